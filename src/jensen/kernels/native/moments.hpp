// Weighted moments of a sub-block about the centres of its components.
#pragma once

#include "tied.hpp"

namespace JENSEN_ISA {

// Rows [begin, end) of the triangle whose accumulators fit the registers.
constexpr int range_end(int begin, int d) {
    int end = begin, used = 2;
    while (end < d && used + (end + 2) + 2 <= kRegisters) {
        used += (end + 2) + 1;
        ++end;
    }
    return end > begin ? end : begin + 1;
}

// Moments of a component: d(d+1)/2 of the scatter by rows, the count, d first moments.
template <class T, int D, int Begin, int End>
void moments_range(const Workspace<T>& w, int k, int filled, double* sums) {
    constexpr int L = kLanes<T>;
    constexpr int N = End - Begin, kBefore = Begin * (Begin + 1) / 2, kOwn = End * (End + 1) / 2 - kBefore;
    const T* centre = w.centre + static_cast<int64_t>(k) * w.padded;
    const T* share = w.joint + static_cast<int64_t>(k) * w.ld;
    Vec<T> s[N][End] = {}, f[N] = {}, count = {};
    for (int i = 0; i < filled; i += L) {
        const Vec<T> r = load(share + i) * load(w.scale + i);
        Vec<T> c[N], rc[N];
#pragma GCC unroll 8
        for (int a = 0; a < N; ++a) {
            c[a] = load(w.xt + (Begin + a) * w.ld + i) - centre[Begin + a];
            rc[a] = r * c[a];
            f[a] += rc[a];
        }
        if (Begin == 0) count += r;
#pragma GCC unroll 8
        for (int j = 0; j < Begin; ++j) {
            const Vec<T> cj = load(w.xt + j * w.ld + i) - centre[j];
#pragma GCC unroll 8
            for (int a = 0; a < N; ++a) s[a][j] += rc[a] * cj;
        }
#pragma GCC unroll 8
        for (int a = 0; a < N; ++a)
#pragma GCC unroll 8
            for (int j = Begin; j <= Begin + a; ++j) s[a][j] += rc[a] * c[j - Begin];
    }
    Vec<T> own[kOwn], first[N + 1];
    int at = 0;
#pragma GCC unroll 8
    for (int a = 0; a < N; ++a)
#pragma GCC unroll 8
        for (int j = 0; j <= Begin + a; ++j) own[at++] = s[a][j];
    first[0] = count;
#pragma GCC unroll 8
    for (int a = 0; a < N; ++a) first[a + 1] = f[a];
    add_sums<T>(own, sums + kBefore);
    // The count, nothing for all but the first rows of the triangle, lies before the first moments.
    add_sums<T>(first, sums + D * (D + 1) / 2 + Begin);
    if constexpr (End < D) moments_range<T, D, End, range_end(End, D)>(w, k, filled, sums);
}

// Moments of a component: d squares, the count, d first moments.
template <class T, int D>
void moments_diagonal_small(const Workspace<T>& w, int k, int filled, double* sums) {
    constexpr int L = kLanes<T>;
    const T* centre = w.centre + static_cast<int64_t>(k) * w.padded;
    const T* share = w.joint + static_cast<int64_t>(k) * w.ld;
    Vec<T> s[D] = {}, f[D + 1] = {};  // the count before the first moments
    for (int i = 0; i < filled; i += L) {
        const Vec<T> r = load(share + i) * load(w.scale + i);
        f[0] += r;
#pragma GCC unroll 8
        for (int j = 0; j < D; ++j) {
            const Vec<T> c = load(w.xt + j * w.ld + i) - centre[j];
            const Vec<T> rc = r * c;
            f[j + 1] += rc;
            s[j] += rc * c;
        }
    }
    add_sums<T>(s, sums);
    add_sums<T>(f, sums + D);
}

// Moments of component k over strips of rows: `strips` has the first row of each, all strips where it is null. Tiles
// of the scatter go row by row; the tile on the diagonal goes with the first moments, from registers.
template <class T>
void moments_tiles(const Task<T>& task, const Workspace<T>& w, int k, const int32_t* strips, int n_strips) {
    constexpr int L = kLanes<T>, S = kStrip * L;
    const int d = w.d, ld = w.ld, rows = n_strips * S;
    const T* centre = w.centre + static_cast<int64_t>(k) * w.padded;
    const T* share = w.joint + static_cast<int64_t>(k) * ld;
    double* tile = w.lanes + (task.shape == Shape::tied ? 0 : k * tiles_size(d));
    Vec<T> count = {};
    for (int s = 0; s < n_strips; ++s) {
        const int from = strips ? strips[s] : s * S;
#pragma GCC unroll 4
        for (int r = 0; r < kStrip; ++r) {
            const Vec<T> resp = load(share + from + r * L) * load(w.scale + from + r * L);
            store(w.resp + s * S + r * L, resp);
            count += resp;
        }
    }
    task.counts[k] += static_cast<double>(sum<T>(count));
    for (int a = 0; a < d; a += kTile) {
        Vec<T> f[kTile] = {}, own[kTile][kTile] = {};
        T* centred = w.centred + a * ld;
        for (int s = 0, i = 0; s < n_strips; ++s) {
            const T* x = w.xt + a * ld + (strips ? strips[s] : i);
            for (int r = 0; r < kStrip; ++r, i += L, x += L) {
                const Vec<T> resp = load(w.resp + i);
                Vec<T> c[kTile];
#pragma GCC unroll 4
                for (int t = 0; t < kTile; ++t) {
                    // Features beyond the last are zeros in xt, and have the centre 0.
                    c[t] = load(x + t * ld) - centre[a + t];
                    const Vec<T> rc = resp * c[t];
                    store(centred + t * ld + i, c[t]);
                    store(w.scaled + t * ld + i, rc);
                    f[t] += rc;
#pragma GCC unroll 4
                    for (int u = 0; u <= t; ++u) own[t][u] += rc * c[u];
                }
            }
        }
        T sums[kTile];
        sum_four(f[0], f[1], f[2], f[3], sums);
        for (int t = 0; t < kTile && a + t < d; ++t) {
            task.first[static_cast<int64_t>(k) * d + a + t] += static_cast<double>(sums[t]);
        }
        for (int b = 0; b < a; b += kTile, tile += kTile * kTile) {
            const T* other = w.centred + b * ld;
            Vec<T> s[kTile][kTile] = {};
            for (int i = 0; i < rows; i += L) {
                Vec<T> rc[kTile];
#pragma GCC unroll 4
                for (int t = 0; t < kTile; ++t) rc[t] = load(w.scaled + t * ld + i);
#pragma GCC unroll 4
                for (int u = 0; u < kTile; ++u) {
                    const Vec<T> c = load(other + u * ld + i);
#pragma GCC unroll 4
                    for (int t = 0; t < kTile; ++t) s[t][u] += rc[t] * c;
                }
            }
            add_tile<T>(s, tile);
        }
        add_tile<T>(own, tile);
        tile += kTile * kTile;
    }
}

// Shares of component k become responsibilities, in their place; its count grows by their sum.
template <class T>
const T* weigh(const Task<T>& task, const Workspace<T>& w, int k, int filled) {
    T* share = w.joint + static_cast<int64_t>(k) * w.ld;
    Vec<T> count = {};
    for (int i = 0; i < filled; i += kLanes<T>) {
        const Vec<T> r = load(share + i) * load(w.scale + i);
        store(share + i, r);
        count += r;
    }
    task.counts[k] += static_cast<double>(sum<T>(count));
    return share;
}

template <class T>
void moments_diagonal(const Task<T>& task, const Workspace<T>& w, int k, int filled) {
    constexpr int L = kLanes<T>;
    const int d = w.d, ld = w.ld;
    const T* centre = w.centre + static_cast<int64_t>(k) * w.padded;
    const T* resp = weigh(task, w, k, filled);
    double trace = 0.0;
    for (int j0 = 0; j0 < d; j0 += kTile) {
        Vec<T> f[kTile] = {}, s[kTile] = {};
        const int width = d - j0 < kTile ? d - j0 : kTile;
        if (width == kTile) {
            for (int i = 0; i < filled; i += L) {
                const Vec<T> r = load(resp + i);
#pragma GCC unroll 4
                for (int t = 0; t < kTile; ++t) {
                    const Vec<T> c = load(w.xt + (j0 + t) * ld + i) - centre[j0 + t];
                    const Vec<T> rc = r * c;
                    f[t] += rc;
                    s[t] += rc * c;
                }
            }
        } else {
            for (int t = 0; t < width; ++t) {
                for (int i = 0; i < filled; i += L) {
                    const Vec<T> c = load(w.xt + (j0 + t) * ld + i) - centre[j0 + t];
                    const Vec<T> rc = load(resp + i) * c;
                    f[t] += rc;
                    s[t] += rc * c;
                }
            }
        }
        for (int t = 0; t < width; ++t) {
            task.first[static_cast<int64_t>(k) * d + j0 + t] += static_cast<double>(sum<T>(f[t]));
            const double square = static_cast<double>(sum<T>(s[t]));
            if (task.shape == Shape::diag) task.scatter[static_cast<int64_t>(k) * d + j0 + t] += square;
            trace += square;
        }
    }
    if (task.shape == Shape::spherical) task.scatter[k] += trace;
}

template <class T>
void moments_all(const Task<T>& task, Workspace<T>& w, int filled, int plain) {
    if (w.whitens && takes_gram(w.d, w.K, task.shape)) return gram_all(w, filled, plain);
    for (int k = 0; k < w.K; ++k) {
        double* sums = w.lanes + static_cast<int64_t>(k) * accumulators(w.d, task.shape);
        if (task.shape == Shape::diag || task.shape == Shape::spherical) {
            switch (w.d) {
                case 1: moments_diagonal_small<T, 1>(w, k, filled, sums); break;
                case 2: moments_diagonal_small<T, 2>(w, k, filled, sums); break;
                case 3: moments_diagonal_small<T, 3>(w, k, filled, sums); break;
                case 4: moments_diagonal_small<T, 4>(w, k, filled, sums); break;
                case 5: moments_diagonal_small<T, 5>(w, k, filled, sums); break;
                case 6: moments_diagonal_small<T, 6>(w, k, filled, sums); break;
                case 7: moments_diagonal_small<T, 7>(w, k, filled, sums); break;
                case 8: moments_diagonal_small<T, 8>(w, k, filled, sums); break;
                default: moments_diagonal<T>(task, w, k, filled);
            }
            continue;
        }
        switch (w.d) {
            case 1: moments_range<T, 1, 0, range_end(0, 1)>(w, k, filled, sums); break;
            case 2: moments_range<T, 2, 0, range_end(0, 2)>(w, k, filled, sums); break;
            case 3: moments_range<T, 3, 0, range_end(0, 3)>(w, k, filled, sums); break;
            case 4: moments_range<T, 4, 0, range_end(0, 4)>(w, k, filled, sums); break;
            case 5: moments_range<T, 5, 0, range_end(0, 5)>(w, k, filled, sums); break;
            case 6: moments_range<T, 6, 0, range_end(0, 6)>(w, k, filled, sums); break;
            case 7: moments_range<T, 7, 0, range_end(0, 7)>(w, k, filled, sums); break;
            case 8: moments_range<T, 8, 0, range_end(0, 8)>(w, k, filled, sums); break;
            default: moments_tiles<T>(task, w, k, nullptr, filled / (kStrip * kLanes<T>));
        }
    }
}

// Add the sums of small d, bring tiles into their places, and mirror the triangles.
template <class T>
void finish(const Task<T>& task, Workspace<T>& w) {
    const int d = w.d;
    const bool triangles = task.shape == Shape::full || task.shape == Shape::tied;
    if (w.whitens) add_whitened(task, w);
    else if (d <= kSmall) add_up(w, task.shape, task.counts, task.first, task.scatter);
    const int n_matrices = !triangles ? 0 : task.shape == Shape::tied ? 1 : w.K;
    for (int k = 0; k < n_matrices; ++k) {
        double* scatter = task.scatter + static_cast<int64_t>(k) * d * d;
        if (d > kSmall) {
            const double* tile = w.lanes + k * tiles_size(d);
            for (int a = 0; a < d; a += kTile) {
                for (int b = 0; b <= a; b += kTile) {
                    for (int t = 0; t < kTile; ++t) {
                        for (int u = 0; u < kTile; ++u, ++tile) {
                            if (a + t < d && b + u <= a + t) scatter[static_cast<int64_t>(a + t) * d + b + u] += *tile;
                        }
                    }
                }
            }
        }
        for (int i = 0; i < d; ++i)
            for (int j = 0; j < i; ++j) scatter[static_cast<int64_t>(j) * d + i] = scatter[static_cast<int64_t>(i) * d + j];
    }
}

}  // namespace JENSEN_ISA
