// The pass for components that lie apart: rows in the order of their components, and no more of a component's
// whitening than shows that it has no share in a strip of rows.
//
// A component is left out of a strip when the part of its quadratic form at hand puts its log joint density more than
// 37 + log K below the best of every row: what is left out of a row's sum is then below 1e-16 of it.
#pragma once

#include "densities.hpp"
#include "moments.hpp"

namespace JENSEN_ISA {

// Log joint density of component k in one strip of rows from i on; false if it was pruned against `floor`.
template <class T>
bool joint_strip(const Workspace<T>& w, int k, const T* factor, int i, const Vec<T>* floor, Vec<T>* q) {
    constexpr int L = kLanes<T>, R = kStrip;
    const int padded = w.padded;
    const T* centre = w.centre + static_cast<int64_t>(k) * w.padded;
    T* c = w.centred;
    for (int r = 0; r < R; ++r) q[r] = splat(w.offset[k]);
    for (int j0 = 0; j0 < padded; j0 += kTile) {
        for (int j = j0; j < j0 + kTile; ++j) {
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                store(c + (j * R + r) * L, load(w.xt + j * w.ld + i + r * L) - centre[j]);
            }
        }
        Vec<T> z[kTile][R] = {};
        const T* cj = c;
        for (int j = 0; j < j0; ++j, factor += kTile, cj += R * L) {
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                const Vec<T> cr = load(cj + r * L);
#pragma GCC unroll 4
                for (int t = 0; t < kTile; ++t) z[t][r] += cr * factor[t];
            }
        }
#pragma GCC unroll 4
        for (int u = 0; u < kTile; ++u, factor += kTile, cj += R * L) {
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                const Vec<T> cr = load(cj + r * L);
#pragma GCC unroll 4
                for (int t = u; t < kTile; ++t) z[t][r] += cr * factor[t];
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < kTile; ++t)
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) q[r] -= z[t][r] * z[t][r];
        Vec<T> above = q[0] - floor[0];
#pragma GCC unroll 4
        for (int r = 1; r < R; ++r) above = vmax<T>(above, q[r] - floor[r]);
        if (!any_positive<T>(above)) return false;
    }
    return true;
}

// Densities of all components in one strip: those that its rows had at the last pass come first and set the floor.
template <class T>
int joint_pruned(const Task<T>& task, Workspace<T>& w, int i, const int32_t* own, int n_own, uint16_t* active) {
    constexpr int L = kLanes<T>, R = kStrip;
    const T margin = static_cast<T>(37.0 + log_scalar(static_cast<double>(w.K)));
    Vec<T> best[R], floor[R];
    BitsVec<T> label[R] = {};
    for (int r = 0; r < R; ++r) best[r] = floor[r] = lowest<T>();
    int found = 0;
    auto visit = [&](int k) {
        Vec<T> q[R];
        const T* factor = w.factor + (task.shape == Shape::tied ? 0 : k * w.factor_size);
        if (!joint_strip<T>(w, k, factor, i, floor, q)) return;
        active[found++] = static_cast<uint16_t>(k);
        T* joint = w.joint + static_cast<int64_t>(k) * w.ld + i;
        for (int r = 0; r < R; ++r) {
            store(joint + r * L, q[r]);
            label[r] = q[r] > best[r] ? splat<typename Traits<T>::Bits>(k) : label[r];
            best[r] = vmax<T>(best[r], q[r]);
            floor[r] = best[r] - margin;
        }
    };
    for (int o = 0; o < n_own; ++o) visit(own[o]);
    for (int k = 0, o = 0; k < w.K; ++k) {
        if (o < n_own && own[o] == k) {
            ++o;
        } else {
            visit(k);
        }
    }
    for (int r = 0; r < R; ++r) {
        store(w.best + i + r * L, best[r]);
        for (int l = 0; l < L; ++l) w.label[i + r * L + l] = static_cast<int32_t>(label[r][l]);
    }
    return found;
}

// `normalise` over the active components of one strip.
template <class T>
double normalise_strip(Workspace<T>& w, int i, const uint16_t* active, int n_active, bool weighted) {
    constexpr int L = kLanes<T>;
    double loglik = 0.0;
    for (int at = i; at < i + kStrip * L; at += L) {
        const Vec<T> best = load(w.best + at);
        Vec<T> total = {};
        for (int a = 0; a < n_active; ++a) {
            T* p = w.joint + static_cast<int64_t>(active[a]) * w.ld + at;
            const Vec<T> e = exp_nonpositive(load(p) - best);
            store(p, e);
            total += e;
        }
        total = or_one<T>(total);
        const Vec<T> scale = reciprocal(total);
        const Vec<T> weight = weighted ? load(w.row_weight + at) : splat(T(1));
        store(w.scale + at, scale * weight);
        for (int l = 0; l < L; ++l) {
            if (weight[l] == 0) continue;
            // Most rows belong to one component for certain, and need no logarithm.
            const double sum = static_cast<double>(total[l]);
            const double log_sum = sum == 1.0 ? 0.0 : log_scalar(sum);
            loglik += static_cast<double>(weight[l]) * (static_cast<double>(best[l]) + log_sum);
        }
    }
    return loglik;
}

// Moments of component k over the strips where it is active.
template <class T>
void moments_of_strips(const Task<T>& task, const Workspace<T>& w, int k, int n_strips) {
    constexpr int S = kStrip * kLanes<T>;
    int32_t chosen[1024];
    int n_chosen = 0;
    for (int s = 0; s < n_strips; ++s) {
        const uint16_t* list = w.active + static_cast<int64_t>(s) * w.K;
        for (int a = 0; a < w.n_active[s]; ++a) {
            if (list[a] == k) {
                chosen[n_chosen++] = s * S;
                break;
            }
        }
    }
    if (n_chosen > 0) moments_tiles<T>(task, w, k, chosen, n_chosen);
}

template <class T>
void moments_pruned(Task<T>& task, Workspace<T>& w) {
    constexpr int S = kStrip * kLanes<T>;
    const int K = w.K;
    // Rows by component, by counting.
    for (int k = 0; k <= K; ++k) task.starts[k] = 0;
    for (int64_t i = 0; i < task.n; ++i) ++task.starts[task.last[i] + 1];
    for (int k = 0; k < K; ++k) task.starts[k + 1] += task.starts[k];
    for (int64_t i = 0; i < task.n; ++i) task.order[task.starts[task.last[i]]++] = static_cast<int32_t>(i);
    w.in_order = true;
    int64_t visited = 0, kept = 0;
    for (int64_t start = 0; start < task.n; start += w.rows) {
        const int count = static_cast<int>(task.n - start < w.rows ? task.n - start : w.rows);
        const int filled = static_cast<int>(round_up(count, S));
        gather(task, w, start, count, filled);
        const int n_strips = filled / S;
        for (int s = 0; s < n_strips; ++s) {
            int32_t own[S];
            int n_own = 0;
            for (int i = s * S; i < (s + 1) * S; ++i) {
                const int32_t mine = task.last[task.order[start + (i < count ? i : count - 1)]];
                if (n_own == 0 || own[n_own - 1] != mine) own[n_own++] = mine;
            }
            uint16_t* active = w.active + static_cast<int64_t>(s) * K;
            w.n_active[s] = joint_pruned<T>(task, w, s * S, own, n_own, active);
            task.loglik += normalise_strip<T>(w, s * S, active, w.n_active[s],
                                              task.weight != nullptr || (s + 1) * S > count);
            visited += K;
            kept += w.n_active[s];
        }
        for (int k = 0; k < K; ++k) moments_of_strips<T>(task, w, k, n_strips);
        for (int i = 0; i < count; ++i) task.last[task.order[start + i]] = w.label[i];
    }
    // Where most components stay, the order and the checks cost more than they save.
    if (kept * 10 > visited * 7) task.last[0] = -2;
}

}  // namespace JENSEN_ISA
