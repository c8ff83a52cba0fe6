// The scratch of one pass: sub-blocks of transposed rows, and the parameters in the kernel's precision and order.
#pragma once

#include <algorithm>
#include <cmath>

#include "task.hpp"
#include "vec.hpp"

namespace JENSEN_ISA {

using jensen::Shape;
using jensen::Task;

constexpr int kSmall = jensen::kUnrolled;  // up to here loops over features are unrolled and moments stay in registers
constexpr double kFarApart = 1e4;  // standard deviations between components beyond which each whitens rows for itself
constexpr int kTile = 4;      // above, triangles go in tiles of 4 x 4
constexpr int kStrip = kRegisters >= 32 ? 4 : 2;  // vectors of rows that one tile of the E-step works on

JENSEN_INLINE int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

JENSEN_INLINE double log_scalar(double x) { return __builtin_log(x); }

template <class T>
struct Workspace {
    int d, K, padded;  // features, components, features rounded up to whole tiles
    int rows;  // of a sub-block
    int ld;    // distance between features, or components: a cache line more, lest all fall into the same cache sets
    int64_t factor_size;  // numbers in one component's packed whitening factor
    T *xt, *joint, *best, *scale, *centred, *scaled, *resp, *centre, *factor, *offset, *row_weight;
    double* lanes;  // few features: the moments of each component; above: tiles of each matrix
    double* whitened;    // moments of whitened rows
    int32_t* label;      // most probable component of each row of the sub-block
    uint16_t* active;    // (strips, K) components that were not pruned in a strip of rows
    int32_t* n_active;   // (strips,)
    bool in_order;       // rows go by task.order
    bool whitens;        // rows are whitened first
    double* origin;
    const T* ahead;  // the rows of the sub-block after this one, row-major, or null
};

// Below every log joint density that counts.
template <class T>
JENSEN_INLINE Vec<T> lowest() {
    return splat(static_cast<T>(sizeof(T) == sizeof(double) ? -1e300 : -1e38));
}

// Ask for `count` rows of the next sub-block from i on, while there is other work to do: between two sub-blocks the
// processor's own prefetching loses the thread.
template <class T>
JENSEN_INLINE void fetch_ahead(const Workspace<T>& w, int i, int count) {
    if (!w.ahead) return;
    const char* at = reinterpret_cast<const char*>(w.ahead + static_cast<int64_t>(i) * w.d);
    const int bytes = count * w.d * static_cast<int>(sizeof(T));
    for (int b = 0; b < bytes; b += 64) __builtin_prefetch(at + b);
}

template <class T>
int sub_block_rows(int d, int K) {
    const int unit = kStrip * kLanes<T>;
    // Lanes of small d are added up in double after each sub-block, which single precision feels.
    int64_t rows = (sizeof(T) == sizeof(float) && d <= kSmall ? 4096 : 2048) / static_cast<int>(sizeof(T));
    // Large K: joint densities should stay in half the second-level cache.
    while (rows > 2 * unit && rows * K * static_cast<int64_t>(sizeof(T)) > (1 << 19)) rows /= 2;
    return static_cast<int>(round_up(rows, unit));
}

// Packed factor: small d, the lower triangle by rows; above, strips of 4 rows, column by column, padded with zeros.
JENSEN_INLINE int64_t packed_size(int d, Shape shape) {
    if (shape == Shape::diag) return d;
    if (shape == Shape::spherical) return 1;
    if (d <= kSmall) return d * (d + 1) / 2;
    int64_t size = 0;
    for (int j = 0; j < d; j += kTile) size += static_cast<int64_t>(kTile) * (j + kTile);
    return size;
}

// Pruning pays where whitening is long and components are many.
constexpr bool can_prune(int d, int K, Shape shape) {
    return d > kSmall && K >= 8 && K < (1 << 16) && (shape == Shape::full || shape == Shape::tied);
}

// Numbers that a component's moments take: scatter or squares, first moments, count.
constexpr int accumulators(int d, Shape shape) {
    return (shape == Shape::diag || shape == Shape::spherical ? d : d * (d + 1) / 2) + d + 1;
}

// Numbers of one matrix in tiles of its lower triangle.
JENSEN_INLINE int64_t tiles_size(int d) {
    const int64_t n = (d + kTile - 1) / kTile;
    return n * (n + 1) / 2 * kTile * kTile;
}

// Whether rows may be whitened before anything else, and centres with them (tied.hpp).
constexpr bool may_whiten(int d, Shape shape) { return shape == Shape::tied && d <= kSmall; }

// Whether the Gram matrix of whitened rows takes less than the moments of one component after another.
constexpr bool takes_gram(int d, int K, Shape shape) {
    return may_whiten(d, shape) && int64_t{K + d + 1} * (K + d + 1) < int64_t{K} * (d + 1) * (d + 2);
}

// Numbers in `whitened`: counts, first moments, scatter.
constexpr int64_t whitened_size(int d, int K, Shape shape) {
    return may_whiten(d, shape) ? K + int64_t{K} * d + int64_t{d} * d : 0;
}

// Numbers in `lanes`.
inline int64_t lanes_size(int d, int K, Shape shape) {
    const int64_t small = static_cast<int64_t>(accumulators(d, shape)) * K + kSumsBeyond;
    if (takes_gram(d, K, shape)) return std::max(small, tiles_size(K + d + 1));
    if (d <= kSmall) return small;
    return shape == Shape::full ? tiles_size(d) * K : shape == Shape::tied ? tiles_size(d) : 0;
}

template <class T>
size_t layout(Workspace<T>& w, int d, int K, Shape shape, char* base) {
    w.d = d;
    w.K = K;
    w.rows = sub_block_rows<T>(d, K);
    w.ld = w.rows + 64 / static_cast<int>(sizeof(T));
    w.factor_size = packed_size(d, shape);
    w.padded = static_cast<int>(round_up(d, kTile));
    size_t at = 0;
    auto take = [&](size_t bytes) {
        char* p = base ? base + at : nullptr;
        at += static_cast<size_t>(round_up(static_cast<int64_t>(bytes), 64));
        return p;
    };
    const size_t row_bytes = static_cast<size_t>(w.ld) * sizeof(T);
    w.xt = reinterpret_cast<T*>(take(row_bytes * w.padded));
    w.joint = reinterpret_cast<T*>(take(row_bytes * K));
    w.best = reinterpret_cast<T*>(take(row_bytes));
    w.scale = reinterpret_cast<T*>(take(row_bytes));
    w.row_weight = reinterpret_cast<T*>(take(row_bytes));
    w.centred = reinterpret_cast<T*>(take(row_bytes * w.padded));
    w.scaled = reinterpret_cast<T*>(take(row_bytes * kTile));
    w.resp = reinterpret_cast<T*>(take(row_bytes));
    w.centre = reinterpret_cast<T*>(take(sizeof(T) * K * w.padded));
    w.factor = reinterpret_cast<T*>(take(sizeof(T) * w.factor_size * (shape == Shape::tied ? 1 : K)));
    w.offset = reinterpret_cast<T*>(take(sizeof(T) * K));
    w.origin = reinterpret_cast<double*>(take(sizeof(double) * d));
    w.lanes = reinterpret_cast<double*>(take(sizeof(double) * lanes_size(d, K, shape)));
    w.whitened = reinterpret_cast<double*>(take(sizeof(double) * whitened_size(d, K, shape)));
    const bool prunable = can_prune(d, K, shape);
    const size_t strips = prunable ? static_cast<size_t>(w.rows / (kStrip * kLanes<T>)) : 0;
    w.label = reinterpret_cast<int32_t*>(take(prunable ? sizeof(int32_t) * w.rows : 0));
    w.active = reinterpret_cast<uint16_t*>(take(sizeof(uint16_t) * strips * K));
    w.n_active = reinterpret_cast<int32_t*>(take(sizeof(int32_t) * strips));
    w.in_order = false;
    w.ahead = nullptr;
    return at;
}

// Numbers of a sub-block that is kept: the transposed rows, and their weights.
template <class T>
int64_t kept_block(const Workspace<T>& w) {
    return static_cast<int64_t>(w.padded + 1) * w.ld;
}

// All sub-blocks of n rows, in bytes, and behind them the origin.
template <class T>
size_t kept_bytes(int64_t n, const Workspace<T>& w) {
    return static_cast<size_t>((n + w.rows - 1) / w.rows * kept_block(w)) * sizeof(T);
}

template <class T>
double* kept_origin(const Task<T>& task, const Workspace<T>& w) {
    return reinterpret_cast<double*>(static_cast<char*>(task.kept) + kept_bytes(task.n, w));
}

// Centres, factors and offsets in the kernel's precision and order. Factors carry sqrt(1/2), so that squares sum to
// half the Mahalanobis distance.
template <class T>
void prepare(const Task<T>& task, Workspace<T>& w) {
    const int d = w.d, K = w.K;
    const double root_half = 0.70710678118654752440;
    double* const kept = task.kept ? kept_origin(task, w) : nullptr;
    for (int j = 0; j < d; ++j) {
        // Rows that are kept stay about the origin that they were brought in with.
        if (kept && task.is_kept) {
            w.origin[j] = kept[j];
            continue;
        }
        w.origin[j] = 0.0;
        for (int k = 0; k < K; ++k) w.origin[j] += task.centres[static_cast<int64_t>(k) * d + j] / K;
        if (kept) kept[j] = w.origin[j];
    }
    // A row's whitened numbers are no larger than this about the origin, or they would lose digits of the distances.
    double largest = 0.0;
    for (int k = 0; may_whiten(d, task.shape) && k < K; ++k) {
        const double* centre = task.centres + static_cast<int64_t>(k) * d;
        for (int j = 0; j < d; ++j) {
            double size = 0.0;
            for (int l = 0; l <= j; ++l) size += std::abs(task.whitening[j * d + l] * (centre[l] - w.origin[l]));
            largest = std::max(largest, size);
        }
    }
    w.whitens = may_whiten(d, task.shape) && largest < kFarApart;
    // Single precision works about the common origin, subtracted in double before rows are rounded; doubles do without.
    for (int j = 0; j < d && sizeof(T) == sizeof(double) && !w.whitens; ++j) w.origin[j] = 0.0;
    for (int k = 0; k < K; ++k) {
        w.offset[k] = static_cast<T>(task.offsets[k]);
        const double* from = task.centres + static_cast<int64_t>(k) * d;
        T* centre = w.centre + static_cast<int64_t>(k) * w.padded;
        for (int j = 0; j < w.padded; ++j) {
            double value = j < d ? from[j] - w.origin[j] : 0.0;
            if (j < d && w.whitens) {
                value = 0.0;
                for (int l = 0; l <= j; ++l) value += task.whitening[j * d + l] * root_half * (from[l] - w.origin[l]);
            }
            centre[j] = static_cast<T>(value);
        }
    }
    for (int j = d; j < w.padded; ++j)
        for (int i = 0; i < w.ld; ++i) w.xt[j * w.ld + i] = T(0);
    const int n_factors = task.shape == Shape::tied ? 1 : K;
    for (int k = 0; k < n_factors; ++k) {
        T* out = w.factor + k * w.factor_size;
        if (task.shape == Shape::spherical) {
            out[0] = static_cast<T>(0.5 * task.whitening[k] * task.whitening[k]);
        } else if (task.shape == Shape::diag) {
            for (int j = 0; j < d; ++j) {
                const double s = task.whitening[static_cast<int64_t>(k) * d + j];
                out[j] = static_cast<T>(0.5 * s * s);
            }
        } else {
            const double* in = task.whitening + static_cast<int64_t>(k) * d * d;
            if (d <= kSmall) {
                for (int i = 0; i < d; ++i) {
                    for (int j = 0; j <= i; ++j) *out++ = static_cast<T>(in[i * d + j] * root_half);
                }
            } else {
                for (int i0 = 0; i0 < d; i0 += kTile) {
                    for (int j = 0; j < i0 + kTile; ++j) {
                        for (int i = i0; i < i0 + kTile; ++i) {
                            *out++ = i < d && j <= i ? static_cast<T>(in[static_cast<int64_t>(i) * d + j] * root_half)
                                                     : T(0);
                        }
                    }
                }
            }
        }
    }
}

// Add to a tile of the scatter, 16 numbers by rows, the sums over the lanes.
template <class T>
JENSEN_INLINE void add_tile(Vec<T> (&s)[kTile][kTile], double* out) {
    if constexpr (kBytes == 64) {
        sum_eight(s[0][0], s[0][1], s[0][2], s[0][3], s[1][0], s[1][1], s[1][2], s[1][3], out);
        sum_eight(s[2][0], s[2][1], s[2][2], s[2][3], s[3][0], s[3][1], s[3][2], s[3][3], out + 8);
    } else {
        T tile[kTile];
#pragma GCC unroll 4
        for (int t = 0; t < kTile; ++t) {
            sum_four(s[t][0], s[t][1], s[t][2], s[t][3], tile);
#pragma GCC unroll 4
            for (int u = 0; u < kTile; ++u) out[t * kTile + u] += static_cast<double>(tile[u]);
        }
    }
}

// Add the sums of small d: counts (K,), first moments (K, d), and scatter, of matrices the lower triangle.
template <class T>
void add_up(const Workspace<T>& w, Shape shape, double* counts, double* first, double* scatter) {
    const int d = w.d;
    const double* sums = w.lanes;
    for (int k = 0; k < w.K; ++k) {
        if (shape == Shape::full || shape == Shape::tied) {
            double* own = scatter + (shape == Shape::tied ? 0 : static_cast<int64_t>(k) * d * d);
            for (int i = 0; i < d; ++i)
                for (int j = 0; j <= i; ++j) own[i * d + j] += *sums++;
        } else {
            const bool diagonal = shape == Shape::diag;
            for (int j = 0; j < d; ++j) scatter[diagonal ? static_cast<int64_t>(k) * d + j : k] += *sums++;
        }
        counts[k] += *sums++;
        for (int j = 0; j < d; ++j) first[static_cast<int64_t>(k) * d + j] += *sums++;
    }
}

// ---------------------------------------------------------------------------------------------- rows in

// One number of the data in the kernel's precision: singles are taken about the common origin.
JENSEN_INLINE double bring(double value, double) { return value; }
JENSEN_INLINE float bring(float value, double origin) { return static_cast<float>(static_cast<double>(value) - origin); }

template <class T, int D>
void transpose_small(const T* __restrict x, const double* __restrict origin, T* __restrict xt, int ld, int count) {
    for (int i = 0; i < count; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < D; ++j) xt[j * ld + i] = bring(x[i * D + j], origin[j]);
}

// Transpose `count` consecutive rows, eight at a time.
template <class T>
void transpose(const T* x, int d, const double* origin, T* xt, int ld, int count) {
    switch (d) {
        case 1: return transpose_small<T, 1>(x, origin, xt, ld, count);
        case 2: return transpose_small<T, 2>(x, origin, xt, ld, count);
        case 3: return transpose_small<T, 3>(x, origin, xt, ld, count);
        case 4: return transpose_small<T, 4>(x, origin, xt, ld, count);
        case 8: return transpose_small<T, 8>(x, origin, xt, ld, count);
    }
    int i = 0;
    for (; i + 8 <= count; i += 8)
        for (int j = 0; j < d; ++j)
#pragma GCC unroll 8
            for (int r = 0; r < 8; ++r) xt[j * ld + i + r] = bring(x[(i + r) * d + j], origin[j]);
    for (; i < count; ++i)
        for (int j = 0; j < d; ++j) xt[j * ld + i] = bring(x[i * d + j], origin[j]);
}

// Bring `count` rows into xt (d, ld), filling up with the last row; padding never carries weight.
template <class T>
void gather(const Task<T>& task, Workspace<T>& w, int64_t start, int count, int filled) {
    const int d = w.d, ld = w.ld;
    if (w.in_order) {
        for (int i = 0; i < count; ++i) {
            const T* row = task.x + static_cast<int64_t>(task.order[start + i]) * d;
            for (int j = 0; j < d; ++j) w.xt[j * ld + i] = bring(row[j], w.origin[j]);
        }
    } else {
        transpose(task.x + start * d, d, w.origin, w.xt, ld, count);
        // The last rows of the block are not asked for: an address beyond the array would be none to calculate with.
        w.ahead = start + count + filled <= task.n ? task.x + (start + count) * d : nullptr;
    }
    for (int j = 0; j < d; ++j)
        for (int i = count; i < filled; ++i) w.xt[j * ld + i] = w.xt[j * ld + count - 1];
    // Without weights, only vectors that hold padding are weighted, or strips of them.
    const int strip = kStrip * kLanes<T>;
    for (int i = task.weight ? 0 : count / strip * strip; i < filled; ++i) {
        const int64_t at = start + i;
        w.row_weight[i] = i >= count ? T(0)
                          : task.weight ? static_cast<T>(task.weight[w.in_order ? task.order[at] : at])
                                        : T(1);
    }
}

// The same, from where an earlier pass left them, or kept for the next one.
template <class T>
void gather_once(const Task<T>& task, Workspace<T>& w, int64_t start, int count, int filled) {
    w.xt = static_cast<T*>(task.kept) + start / w.rows * kept_block(w);
    w.row_weight = w.xt + static_cast<int64_t>(w.padded) * w.ld;
    if (task.is_kept) return;
    for (int j = w.d; j < w.padded; ++j)
        for (int i = 0; i < w.ld; ++i) w.xt[j * w.ld + i] = T(0);
    gather(task, w, start, count, filled);
    w.ahead = nullptr;
}

}  // namespace JENSEN_ISA
