// The fused E-step and moments of a Gaussian mixture over a block of rows.
//
// Rows go in transposed sub-blocks (d, B), SIMD lanes along rows. For each sub-block: log joint densities of every
// component, responsibilities, then every component's moments. Nothing of size n x K is stored.
#pragma once

#include "factors.hpp"
#include "prune.hpp"

namespace JENSEN_ISA {

template <class T>
void moments(Task<T>& task, void* scratch) {
    [[maybe_unused]] const FlushSmallest<T> flush;
    Workspace<T> w;
    layout<T>(w, task.d, task.K, task.shape, static_cast<char*>(scratch));
    prepare(task, w);
    const int64_t size = lanes_size(task.d, task.K, task.shape);
    for (int64_t i = 0; i < size; ++i) w.lanes[i] = 0.0;
    const bool may_prune = task.last && can_prune(task.d, task.K, task.shape) && task.n > 0 && task.last[0] != -2;
    if (may_prune && task.last[0] >= 0) {
        moments_pruned(task, w);
        finish(task, w);
        return;
    }
    const int unit = kStrip * kLanes<T>;
    for (int64_t start = 0; start < task.n; start += w.rows) {
        const int count = static_cast<int>(task.n - start < w.rows ? task.n - start : w.rows);
        const int filled = static_cast<int>(round_up(count, unit));
        if (task.kept) gather_once(task, w, start, count, filled);
        else gather(task, w, start, count, filled);
        joint_all(task, w, filled);
        task.loglik += normalise(w, filled, task.weight ? 0 : count, may_prune);
        moments_all(task, w, filled, task.weight ? 0 : count);
        if (may_prune) {
            for (int i = 0; i < count; ++i) task.last[start + i] = w.label[i];
        }
    }
    task.is_kept = task.kept != nullptr;
    finish(task, w);
}

// Log-likelihoods, responsibilities and labels of rows, without weights.
template <class T>
void rows(const Task<T>& task, const jensen::Rows& out, void* scratch) {
    constexpr int L = kLanes<T>;
    [[maybe_unused]] const FlushSmallest<T> flush;
    Workspace<T> w;
    layout<T>(w, task.d, task.K, task.shape, static_cast<char*>(scratch));
    prepare(task, w);
    for (int64_t start = 0; start < task.n; start += w.rows) {
        const int count = static_cast<int>(task.n - start < w.rows ? task.n - start : w.rows);
        const int filled = static_cast<int>(round_up(count, kStrip * L));
        gather(task, w, start, count, filled);
        joint_all(task, w, filled);
        for (int i = 0; i < filled; i += L) {
            const Vec<T> best = load(w.best + i);
            Vec<T> total = {};
            BitsVec<T> label = {};
            const T* p = w.joint + i + static_cast<int64_t>(w.K) * w.ld;
            // Backwards, so that among equals the first component is left standing.
            for (int k = w.K - 1; k >= 0; --k) {
                p -= w.ld;
                const Vec<T> value = load(p);
                label = value >= best ? splat<typename Traits<T>::Bits>(k) : label;
                if (out.loglik || out.responsibilities) total += exp_nonpositive(value - best);
            }
            total = or_one<T>(total);
            const int last = count - i < L ? count - i : L;
            double logs[L];
            if (out.loglik) {
                if constexpr (sizeof(T) == sizeof(double)) {
                    store(logs, best + log_positive(total));
                } else {
                    store(logs, low_doubles(best) + log_positive(low_doubles(total)));
                    store(logs + L / 2, high_doubles(best) + log_positive(high_doubles(total)));
                }
            }
            for (int l = 0; l < last; ++l) {
                const int64_t row = start + i + l;
                if (out.peak) out.peak[row] = static_cast<double>(best[l]);
                if (out.labels) out.labels[row] = static_cast<int64_t>(label[l]);
                if (out.loglik) out.loglik[row] = logs[l];
            }
            if (!out.responsibilities) continue;
            const Vec<T> scale = reciprocal(total);
            p = w.joint + i;
            for (int k = 0; k < w.K; ++k, p += w.ld) {
                const Vec<T> r = exp_nonpositive(load(p) - best) * scale;
                for (int l = 0; l < last; ++l) out.responsibilities[(start + i + l) * w.K + k] = r[l];
            }
        }
    }
}

template <class T>
void exp_all(const T* x, T* out, int64_t n) {
    constexpr int L = kLanes<T>;
    for (int64_t i = 0; i < n; i += L) {
        const int count = static_cast<int>(n - i < L ? n - i : L);
        T lanes[L] = {};
        for (int l = 0; l < count; ++l) lanes[l] = x[i + l];
        store(lanes, exp_nonpositive(load(lanes)));
        for (int l = 0; l < count; ++l) out[i + l] = lanes[l];
    }
}

double nearer(const double* columns, int64_t ld, int64_t n, int d, const double* point, const double* before,
              const double* weight, double* out) {
    constexpr int L = kLanes<double>;
    Vec<double> sums = {};
    for (int64_t i = 0; i < n; i += L) {
        Vec<double> distance = {};
        for (int j = 0; j < d; ++j) {
            const Vec<double> along = load(columns + j * ld + i) - point[j];
            distance += along * along;
        }
        const Vec<double> known = load(before + i);
        distance = distance < known ? distance : known;
        store(out + i, distance);
        sums += load(weight + i) * distance;
    }
    return sum<double>(sums);
}

template <class T>
size_t scratch_size(int d, int K, Shape shape) {
    Workspace<T> w;
    return layout<T>(w, d, K, shape, nullptr) + 64;
}

template <class T>
size_t kept_size(int64_t n, int d, int K, Shape shape) {
    // Whitening takes place where the rows are.
    if (may_whiten(d, shape)) return 0;
    Workspace<T> w;
    layout<T>(w, d, K, shape, nullptr);
    return kept_bytes(n, w) + d * sizeof(double) + 64;
}

}  // namespace JENSEN_ISA

namespace jensen {
extern const Kernels JENSEN_ISA_TABLE;
const Kernels JENSEN_ISA_TABLE = {
    JENSEN_ISA_NAME,
    &JENSEN_ISA::scratch_size<double>,
    &JENSEN_ISA::scratch_size<float>,
    &JENSEN_ISA::kept_size<double>,
    &JENSEN_ISA::kept_size<float>,
    &JENSEN_ISA::moments<double>,
    &JENSEN_ISA::moments<float>,
    &JENSEN_ISA::rows<double>,
    &JENSEN_ISA::rows<float>,
    &JENSEN_ISA::exp_all<double>,
    &JENSEN_ISA::exp_all<float>,
    &JENSEN_ISA::nearer,
    &JENSEN_ISA::factorise,
};
}  // namespace jensen
