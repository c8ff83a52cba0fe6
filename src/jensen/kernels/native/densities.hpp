// Log joint densities of a sub-block, component by component, and the responsibilities that they give.
#pragma once

#include "tied.hpp"

namespace JENSEN_ISA {

// Few features: all components of one strip of rows after the other, the rows and their best in registers.
// `subtract(k, x, q)` takes the quadratic form of component k at the rows x from q.
template <class T, int D, int R, class Subtract>
JENSEN_INLINE void joint_strips(const Workspace<T>& w, int filled, Subtract subtract) {
    constexpr int L = kLanes<T>;
    for (int i = 0; i < filled; i += R * L) {
        fetch_ahead(w, i, R * L);
        Vec<T> x[R][D], best[R];
#pragma GCC unroll 8
        for (int j = 0; j < D; ++j)
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) x[r][j] = load(w.xt + j * w.ld + i + r * L);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) best[r] = lowest<T>();
        T* joint = w.joint + i;
        for (int k = 0; k < w.K; ++k, joint += w.ld) {
            Vec<T> q[R];
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) q[r] = splat(w.offset[k]);
            subtract(k, x, q);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                store(joint + r * L, q[r]);
                best[r] = vmax<T>(best[r], q[r]);
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) store(w.best + i + r * L, best[r]);
    }
}

// Rows that each component whitens for itself, with factors that lie `step` apart.
template <class T, int D, int R>
void joint_small(const Workspace<T>& w, int64_t step, int filled) {
    joint_strips<T, D, R>(w, filled, [&](int k, const Vec<T>(&x)[R][D], Vec<T>(&q)[R]) JENSEN_LAMBDA {
        const T *centre = w.centre + static_cast<int64_t>(k) * w.padded, *factor = w.factor + k * step;
        Vec<T> c[R][D];
#pragma GCC unroll 8
        for (int j = 0; j < D; ++j)
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) c[r][j] = x[r][j] - centre[j];
        int p = 0;
#pragma GCC unroll 8
        for (int j = 0; j < D; ++j) {
            Vec<T> z[R];
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) z[r] = c[r][0] * factor[p];
            ++p;
#pragma GCC unroll 8
            for (int l = 1; l <= j; ++l, ++p)
#pragma GCC unroll 4
                for (int r = 0; r < R; ++r) z[r] += c[r][l] * factor[p];
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) q[r] -= z[r] * z[r];
        }
    });
}

// Rows that are whitened once (tied.hpp).
template <class T, int D, int R>
void joint_whitened(const Workspace<T>& w, int filled) {
    whiten_small<T, D, R>(w, filled);
    joint_strips<T, D, R>(w, filled, [&](int k, const Vec<T>(&z)[R][D], Vec<T>(&q)[R]) JENSEN_LAMBDA {
        const T* centre = w.centre + static_cast<int64_t>(k) * w.padded;
#pragma GCC unroll 8
        for (int j = 0; j < D; ++j)
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                const Vec<T> c = z[r][j] - centre[j];
                q[r] -= c * c;
            }
    });
}

template <class T>
void joint_tiles(const Workspace<T>& w, int k, const T* factor, int filled) {
    constexpr int L = kLanes<T>, R = kStrip;
    const T* centre = w.centre + static_cast<int64_t>(k) * w.padded;
    T* joint = w.joint + static_cast<int64_t>(k) * w.ld;
    const int padded = w.padded;
    for (int i = 0; i < filled; i += R * L) {
        T* c = w.centred;  // (padded, R * L), small enough for the first-level cache
        for (int j = 0; j < padded; ++j)
            for (int r = 0; r < R; ++r)
                store(c + (j * R + r) * L, load(w.xt + j * w.ld + i + r * L) - centre[j]);
        Vec<T> q[R];
        for (int r = 0; r < R; ++r) q[r] = splat(w.offset[k]);
        const T* f = factor;
        for (int j0 = 0; j0 < padded; j0 += kTile) {
            Vec<T> z[kTile][R] = {};
            const T* cj = c;
            for (int j = 0; j < j0; ++j, f += kTile, cj += R * L) {
#pragma GCC unroll 4
                for (int r = 0; r < R; ++r) {
                    const Vec<T> cr = load(cj + r * L);
#pragma GCC unroll 4
                    for (int t = 0; t < kTile; ++t) z[t][r] += cr * f[t];
                }
            }
#pragma GCC unroll 4
            for (int u = 0; u < kTile; ++u, f += kTile, cj += R * L) {
#pragma GCC unroll 4
                for (int r = 0; r < R; ++r) {
                    const Vec<T> cr = load(cj + r * L);
#pragma GCC unroll 4
                    for (int t = u; t < kTile; ++t) z[t][r] += cr * f[t];
                }
            }
#pragma GCC unroll 4
            for (int t = 0; t < kTile; ++t)
#pragma GCC unroll 4
                for (int r = 0; r < R; ++r) q[r] -= z[t][r] * z[t][r];
        }
        for (int r = 0; r < R; ++r) {
            store(joint + i + r * L, q[r]);
            store(w.best + i + r * L, vmax<T>(load(w.best + i + r * L), q[r]));
        }
    }
}

// D is the number of features where it is small and loops are unrolled, or 0.
template <class T, int D>
void joint_diagonal(const Workspace<T>& w, bool spherical, int filled) {
    constexpr int L = kLanes<T>, R = kStrip;
    const int d = D > 0 ? D : w.d;
    for (int i = 0; i < filled; i += R * L) {
        fetch_ahead(w, i, R * L);
        Vec<T> best[R];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) best[r] = lowest<T>();
        const T *centre = w.centre, *factor = w.factor;
        T* joint = w.joint + i;
        for (int k = 0; k < w.K; ++k, centre += w.padded, factor += w.factor_size, joint += w.ld) {
            Vec<T> q[R] = {};
#pragma GCC unroll 8
            for (int j = 0; j < d; ++j) {
                const T square = spherical ? T(1) : factor[j];
#pragma GCC unroll 4
                for (int r = 0; r < R; ++r) {
                    const Vec<T> c = load(w.xt + j * w.ld + i + r * L) - centre[j];
                    q[r] += (c * square) * c;
                }
            }
            const T scale = spherical ? factor[0] : T(1);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                const Vec<T> value = w.offset[k] - q[r] * scale;
                store(joint + r * L, value);
                best[r] = vmax<T>(best[r], value);
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) store(w.best + i + r * L, best[r]);
    }
}

// ---------------------------------------------------------------------------------------------- responsibilities

// Sums of weight * (best + log(total)) over lanes on top of one another; padding has weight 0. A row's own logarithm has
// no more digits than its best density: one in the kernel's precision will do.
JENSEN_INLINE Vec<double> weighted_log(Vec<double> weight, Vec<double> best, Vec<double> total) {
    return weight * (best + log_positive(total));
}
JENSEN_INLINE Vec<double> weighted_log(Vec<float> weight, Vec<float> best, Vec<float> total) {
    const Vec<float> log = best + log_positive(total);
    return low_doubles(weight) * low_doubles(log) + high_doubles(weight) * high_doubles(log);
}

// The same of best + log(product), in double: a product of many has a large logarithm.
JENSEN_INLINE Vec<double> log_of_product(Vec<double> best, Vec<double> product) { return best + log_positive(product); }
JENSEN_INLINE Vec<double> log_of_product(Vec<float> best, Vec<float> product) {
    return in_double(best) + log_positive(low_doubles(product)) + log_positive(high_doubles(product));
}

// Turn joint densities into shares of the largest one, and find what makes responsibilities of them, times the row's
// weight; the sum of the weighted log-likelihoods comes back. Rows from `plain` on are weighted.
template <class T>
double normalise(Workspace<T>& w, int filled, int plain, bool labelled = false) {
    constexpr int L = kLanes<T>;
    // Sums lie between 1 and K: a product of this many stays in range, and one logarithm serves them all.
    int bits = 1;
    while ((1 << bits) <= w.K) ++bits;
    const int per_log = (sizeof(T) == sizeof(double) ? 1000 : 120) / bits;
    Vec<T> product = splat(T(1)), peak = {};
    Vec<double> logs = {};
    int held = 0;
    for (int i = 0; i < filled; i += L) {
        const Vec<T> best = load(w.best + i);
        Vec<T> total = {};
        T* p = w.joint + i;
        if (labelled) {
            BitsVec<T> label = {};
            for (int k = 0; k < w.K; ++k) {
                label = load(p + static_cast<int64_t>(k) * w.ld) == best ? splat<typename Traits<T>::Bits>(k) : label;
            }
            for (int l = 0; l < L; ++l) w.label[i + l] = static_cast<int32_t>(label[l]);
        }
        for (int k = 0; k < w.K; ++k, p += w.ld) {
            const Vec<T> e = exp_nonpositive(load(p) - best);
            store(p, e);
            total += e;
        }
        total = or_one<T>(total);
        Vec<T> scale = reciprocal(total);
        // Tables of different rows have mostly ones for weights, for which one logarithm serves many rows.
        const bool may_weigh = i + L > plain;
        const Vec<T> weight = may_weigh ? load(w.row_weight + i) : splat(T(1));
        if (may_weigh && (any_positive<T>(weight - T(1)) || any_positive<T>(T(1) - weight))) {
            scale *= weight;
            logs += weighted_log(weight, best, total);
        } else {
            peak += best;
            product *= total;
            if (++held == per_log) {
                logs += log_of_product(peak, product);
                product = splat(T(1)), peak = Vec<T>{};
                held = 0;
            }
        }
        store(w.scale + i, scale);
    }
    if (held > 0) logs += log_of_product(peak, product);
    return sum<double>(logs);
}

template <class T>
void joint_all(const Task<T>& task, Workspace<T>& w, int filled) {
    if (task.shape == Shape::diag || task.shape == Shape::spherical) {
        const bool spherical = task.shape == Shape::spherical;
        switch (w.d) {
            case 1: return joint_diagonal<T, 1>(w, spherical, filled);
            case 2: return joint_diagonal<T, 2>(w, spherical, filled);
            case 3: return joint_diagonal<T, 3>(w, spherical, filled);
            case 4: return joint_diagonal<T, 4>(w, spherical, filled);
            case 8: return joint_diagonal<T, 8>(w, spherical, filled);
            default: return joint_diagonal<T, 0>(w, spherical, filled);
        }
    }
    constexpr int R4 = kRegisters >= 32 ? 4 : 2, R2 = kRegisters >= 32 ? 2 : 1;
    const int64_t step = task.shape == Shape::tied ? 0 : w.factor_size;
    switch (w.d) {
        case 1: return w.whitens ? joint_whitened<T, 1, R4>(w, filled) : joint_small<T, 1, R4>(w, step, filled);
        case 2: return w.whitens ? joint_whitened<T, 2, R4>(w, filled) : joint_small<T, 2, R4>(w, step, filled);
        case 3: return w.whitens ? joint_whitened<T, 3, R4>(w, filled) : joint_small<T, 3, R4>(w, step, filled);
        case 4: return w.whitens ? joint_whitened<T, 4, R4>(w, filled) : joint_small<T, 4, R4>(w, step, filled);
        case 5: return w.whitens ? joint_whitened<T, 5, R2>(w, filled) : joint_small<T, 5, R2>(w, step, filled);
        case 6: return w.whitens ? joint_whitened<T, 6, R2>(w, filled) : joint_small<T, 6, R2>(w, step, filled);
        case 7: return w.whitens ? joint_whitened<T, 7, R2>(w, filled) : joint_small<T, 7, R2>(w, step, filled);
        case 8: return w.whitens ? joint_whitened<T, 8, R2>(w, filled) : joint_small<T, 8, R2>(w, step, filled);
    }
    for (int i = 0; i < filled; i += kLanes<T>) store(w.best + i, lowest<T>());
    // Above, the factor of one component fills most of the first-level cache: all strips go past it.
    for (int k = 0; k < w.K; ++k) {
        joint_tiles<T>(w, k, w.factor + (task.shape == Shape::tied ? 0 : k * w.factor_size), filled);
    }
}

}  // namespace JENSEN_ISA
