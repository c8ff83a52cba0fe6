// A common covariance and few features: every row is whitened once, not for every component, and moments are sums over
// pairs of components.
//
// With responsibilities r_ik that sum to the row's weight w_i, shares s_ik = r_ik / w_i, and m_i = sum_k s_ik c_k,
//
//     sum_k r_ik (x_i - c_k)(x_i - c_k)' = w_i (x_i - m_i)(x_i - m_i)' + sum_{k<l} w_i s_ik s_il (c_k - c_l)(c_k - c_l)'
//
// (the variance about the mean of the centres, and the variance of these), in which nothing is taken from anything. All
// of it is the Gram matrix of the columns sqrt(w_i) s_ik, sqrt(w_i) (x_i - m_i) and sqrt(w_i).
#pragma once

#include "workspace.hpp"

namespace JENSEN_ISA {

// Rows of the sub-block in the coordinates of the whitening factor, in their place.
template <class T, int D, int R>
void whiten_small(const Workspace<T>& w, int filled) {
    constexpr int L = kLanes<T>;
    for (int i = 0; i < filled; i += R * L) {
        Vec<T> x[R][D];
#pragma GCC unroll 8
        for (int j = 0; j < D; ++j)
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                x[r][j] = load(w.xt + j * w.ld + i + r * L);
                // Singles are about the origin already.
                if constexpr (sizeof(T) == sizeof(double)) x[r][j] -= w.origin[j];
            }
#pragma GCC unroll 8
        for (int j = 0, p = 0; j < D; ++j) {
            Vec<T> z[R] = {};
#pragma GCC unroll 8
            for (int l = 0; l <= j; ++l, ++p)
#pragma GCC unroll 4
                for (int r = 0; r < R; ++r) z[r] += x[r][l] * w.factor[p];
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) store(w.xt + j * w.ld + i + r * L, z[r]);
        }
    }
}

// Shares of the largest joint density become sqrt(w_i) s_ik, rows sqrt(w_i) (x_i - m_i), `scale` sqrt(w_i). Rows from
// `plain` on are weighted; one so far away that no component has a share of it counts for nothing.
template <class T, int D>
void columns(const Workspace<T>& w, int filled, int plain) {
    constexpr int L = kLanes<T>;
    for (int i = 0; i < filled; i += L) {
        Vec<T> total = {}, mean[D] = {};
        const T* centre = w.centre;
        T* share = w.joint + i;
        for (int k = 0; k < w.K; ++k, centre += w.padded, share += w.ld) {
            const Vec<T> s = load(share);
            total += s;
#pragma GCC unroll 8
            for (int j = 0; j < D; ++j) mean[j] += s * centre[j];
        }
        Vec<T> scale = reciprocal(or_one<T>(total)), root = splat(T(1));
        if (i + L > plain) root = square_root<T>(load(w.row_weight + i));
        root = total > 0 ? root : Vec<T>{};
#pragma GCC unroll 8
        for (int j = 0; j < D; ++j) mean[j] = (load(w.xt + j * w.ld + i) - mean[j] * scale) * root;
        scale *= root;
#pragma GCC unroll 8
        for (int j = 0; j < D; ++j) store(w.xt + j * w.ld + i, mean[j]);
        store(w.scale + i, root);
        share = w.joint + i;
        for (int k = 0; k < w.K; ++k, share += w.ld) store(share, load(share) * scale);
    }
}

// Add the sub-block's Gram matrix to the tiles of its lower triangle.
template <class T, int D>
void gram(const Workspace<T>& w, int filled, int plain) {
    constexpr int L = kLanes<T>;
    columns<T, D>(w, filled, plain);
    const int size = w.K + D + 1;
    // Beyond the last column stands the last again; nobody looks there.
    auto column = [&](int at) JENSEN_LAMBDA -> const T* {
        return at < w.K ? w.joint + static_cast<int64_t>(at) * w.ld : at < w.K + D ? w.xt + (at - w.K) * w.ld : w.scale;
    };
    double* tile = w.lanes;
    for (int a = 0; a < size; a += kTile) {
        const T* const left[kTile] = {column(a), column(a + 1), column(a + 2), column(a + 3)};
        for (int b = 0; b <= a; b += kTile, tile += kTile * kTile) {
            const T* const right[kTile] = {column(b), column(b + 1), column(b + 2), column(b + 3)};
            Vec<T> s[kTile][kTile] = {};
            for (int i = 0; i < filled; i += L) {
                Vec<T> l[kTile];
#pragma GCC unroll 4
                for (int t = 0; t < kTile; ++t) l[t] = load(left[t] + i);
#pragma GCC unroll 4
                for (int u = 0; u < kTile; ++u) {
                    const Vec<T> r = load(right[u] + i);
#pragma GCC unroll 4
                    for (int t = 0; t < kTile; ++t) s[t][u] += l[t] * r;
                }
            }
            add_tile<T>(s, tile);
        }
    }
}

template <class T>
void gram_all(const Workspace<T>& w, int filled, int plain) {
    switch (w.d) {
        case 1: return gram<T, 1>(w, filled, plain);
        case 2: return gram<T, 2>(w, filled, plain);
        case 3: return gram<T, 3>(w, filled, plain);
        case 4: return gram<T, 4>(w, filled, plain);
        case 5: return gram<T, 5>(w, filled, plain);
        case 6: return gram<T, 6>(w, filled, plain);
        case 7: return gram<T, 7>(w, filled, plain);
        case 8: return gram<T, 8>(w, filled, plain);
    }
}

// v := sqrt(2) W^-1 v, for what was multiplied by W / sqrt(2).
inline void unwhiten(const double* whitening, int d, double* v, int stride) {
    for (int i = 0; i < d; ++i) {
        double value = v[i * stride] * 1.41421356237309504880;
        for (int j = 0; j < i; ++j) value -= whitening[i * d + j] * v[j * stride];
        v[i * stride] = value / whitening[i * d + i];
    }
}

// Whitened moments of all components: counts (K,), first moments (K, d) and the lower triangle of the scatter (d, d).
template <class T>
void from_gram(const Workspace<T>& w, double* counts, double* first, double* scatter) {
    const int d = w.d, K = w.K;
    auto pair = [&](int64_t a, int64_t b) {  // b <= a
        const int64_t row = a / kTile, tile = row * (row + 1) / 2 + b / kTile;
        return w.lanes[(tile * kTile + a % kTile) * kTile + b % kTile];
    };
    for (int i = 0; i < d; ++i)
        for (int j = 0; j <= i; ++j) scatter[i * d + j] = pair(K + i, K + j);
    for (int k = 0; k < K; ++k) {
        counts[k] = pair(K + d, k);
        for (int j = 0; j < d; ++j) first[k * d + j] += pair(K + j, k);
        const T* centre = w.centre + static_cast<int64_t>(k) * w.padded;
        for (int l = 0; l < k; ++l) {
            const double shared = pair(k, l);
            const T* other = w.centre + static_cast<int64_t>(l) * w.padded;
            double apart[kSmall];
            for (int j = 0; j < d; ++j) {
                apart[j] = static_cast<double>(centre[j]) - static_cast<double>(other[j]);
                first[k * d + j] -= shared * apart[j];
                first[l * d + j] += shared * apart[j];
            }
            for (int i = 0; i < d; ++i)
                for (int j = 0; j <= i; ++j) scatter[i * d + j] += shared * apart[i] * apart[j];
        }
    }
}

// Add the moments to the task's, in the coordinates of the data; of the scatter, the lower triangle.
template <class T>
void add_whitened(const Task<T>& task, Workspace<T>& w) {
    const int d = w.d, K = w.K;
    double* const counts = w.whitened;
    double* const first = counts + K;
    double* const scatter = first + static_cast<int64_t>(K) * d;
    for (int64_t i = 0; i < whitened_size(d, K, task.shape); ++i) w.whitened[i] = 0.0;
    if (takes_gram(d, K, task.shape)) from_gram(w, counts, first, scatter);
    else add_up(w, task.shape, counts, first, scatter);
    for (int k = 0; k < K; ++k) {
        double* const own = first + static_cast<int64_t>(k) * d;
        unwhiten(task.whitening, d, own, 1);
        for (int j = 0; j < d; ++j) task.first[static_cast<int64_t>(k) * d + j] += own[j];
        task.counts[k] += counts[k];
    }
    for (int i = 0; i < d; ++i)
        for (int j = 0; j < i; ++j) scatter[j * d + i] = scatter[i * d + j];
    for (int j = 0; j < d; ++j) unwhiten(task.whitening, d, scatter + j, d);
    for (int i = 0; i < d; ++i) unwhiten(task.whitening, d, scatter + i * d, 1);
    for (int i = 0; i < d; ++i)
        for (int j = 0; j <= i; ++j) task.scatter[i * d + j] += scatter[i * d + j];
}

}  // namespace JENSEN_ISA
