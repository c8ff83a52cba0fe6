#include "update.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

namespace jensen {

namespace {

constexpr double kLog2Pi = 1.8378770664093454836;

// Lower Cholesky factor and its inverse, both (d, d); false if the matrix is not positive definite.
bool factorise(const double* matrix, int d, double* factor, double* inverse, double* log_diagonal) {
    double total = 0.0;
    for (int i = 0; i < d; ++i) {
        for (int j = 0; j <= i; ++j) {
            double sum = matrix[i * d + j];
            for (int l = 0; l < j; ++l) sum -= factor[i * d + l] * factor[j * d + l];
            if (i > j) {
                factor[i * d + j] = sum / factor[j * d + j];
            } else if (sum > 0.0 && std::isfinite(sum)) {
                factor[i * d + i] = std::sqrt(sum);
                total += std::log(factor[i * d + i]);
            } else {
                return false;
            }
        }
    }
    for (int j = 0; j < d; ++j) {
        for (int i = 0; i < j; ++i) inverse[i * d + j] = 0.0;
        inverse[j * d + j] = 1.0 / factor[j * d + j];
        for (int i = j + 1; i < d; ++i) {
            double sum = 0.0;
            for (int l = j; l < i; ++l) sum += factor[i * d + l] * inverse[l * d + j];
            inverse[i * d + j] = -sum / factor[i * d + i];
        }
    }
    *log_diagonal = total;
    return true;
}

double penalty_of(const double* inverse, const double* ridge, int d) {
    double total = 0.0;
    for (int i = 0; i < d; ++i)
        for (int j = 0; j <= i; ++j) total += inverse[i * d + j] * inverse[i * d + j] * ridge[j];
    return 0.5 * total;
}

}  // namespace

size_t maximize_scratch(int K, int d) { return static_cast<size_t>(K) * d + static_cast<size_t>(d) * d; }

int factors(Shape shape, int K, int d, const double* ridge, const Mixture& mixture, double* scratch) {
    double* factor = scratch + static_cast<size_t>(K) * d;
    const double base = -0.5 * d * kLog2Pi;
    double trace_ridge = 0.0;
    for (int j = 0; j < d; ++j) trace_ridge += ridge[j];
    if (shape == Shape::full || shape == Shape::tied) {
        const int n_matrices = shape == Shape::tied ? 1 : K;
        for (int k = 0; k < n_matrices; ++k) {
            const size_t at = static_cast<size_t>(k) * d * d;
            double log_diagonal;
            if (!factorise(mixture.covariances + at, d, factor, mixture.whitening + at, &log_diagonal)) return k;
            mixture.constants[k] = base - log_diagonal;
            mixture.penalty[k] = penalty_of(mixture.whitening + at, ridge, d);
        }
        for (int k = n_matrices; k < K; ++k) {
            mixture.constants[k] = mixture.constants[0];
            mixture.penalty[k] = mixture.penalty[0];
        }
        return -1;
    }
    for (int k = 0; k < K; ++k) {
        if (shape == Shape::spherical) {
            if (!(mixture.covariances[k] > 0.0)) return k;
            const double w = mixture.whitening[k] = 1.0 / std::sqrt(mixture.covariances[k]);
            mixture.constants[k] = base + d * std::log(w);
            mixture.penalty[k] = 0.5 * w * w * trace_ridge;
            continue;
        }
        double log_sum = 0.0, penalty = 0.0;
        for (int j = 0; j < d; ++j) {
            const int at = k * d + j;
            if (!(mixture.covariances[at] > 0.0)) return k;
            const double w = mixture.whitening[at] = 1.0 / std::sqrt(mixture.covariances[at]);
            log_sum += std::log(w);
            penalty += w * w * ridge[j];
        }
        mixture.constants[k] = base + log_sum;
        mixture.penalty[k] = 0.5 * penalty;
    }
    return -1;
}

void maximize(Shape shape, int K, int d, const Moments& moments, const Mixture& old, const double* ridge,
              const Mixture& out, double* scratch) {
    double* step = scratch;
    double total = 0.0, trace_ridge = 0.0;
    for (int k = 0; k < K; ++k) total += moments.counts[k];
    for (int j = 0; j < d; ++j) trace_ridge += ridge[j];
    for (int k = 0; k < K; ++k) {
        out.weights[k] = moments.counts[k] / total;
        for (int j = 0; j < d; ++j) {
            const int at = k * d + j;
            step[at] = moments.counts[k] > 0.0 ? moments.first[at] / moments.counts[k] : 0.0;
            out.means[at] = old.means[at] + step[at];
        }
    }
    if (shape == Shape::tied) {
        for (int i = 0; i < d; ++i) {
            for (int j = 0; j <= i; ++j) {
                double sum = 0.0;
                for (int k = 0; k < K; ++k) sum += moments.first[k * d + i] * step[k * d + j];
                const double value = (moments.scatter[i * d + j] - sum) / total + (i == j ? ridge[i] : 0.0);
                out.covariances[i * d + j] = out.covariances[j * d + i] = value;
            }
        }
        return;
    }
    for (int k = 0; k < K; ++k) {
        // A component without rows keeps its covariance, which costs nothing.
        const double count = moments.counts[k];
        const bool alive = count > 0.0;
        const double* first = moments.first + k * d;
        const double* move = step + k * d;
        if (shape == Shape::full) {
            const size_t base = static_cast<size_t>(k) * d * d;
            for (int i = 0; i < d; ++i) {
                for (int j = 0; j <= i; ++j) {
                    const size_t at = base + i * d + j;
                    const double value =
                        (moments.scatter[at] - first[i] * move[j]) / count + (i == j ? ridge[i] : 0.0);
                    out.covariances[base + j * d + i] = out.covariances[at] = alive ? value : old.covariances[at];
                }
            }
        } else if (shape == Shape::diag) {
            for (int j = 0; j < d; ++j) {
                const int at = k * d + j;
                const double centred = moments.scatter[at] - first[j] * move[j];
                out.covariances[at] =
                    alive ? (centred > 0.0 ? centred : 0.0) / count + ridge[j] : old.covariances[at];
            }
        } else {
            double centred = moments.scatter[k];
            for (int j = 0; j < d; ++j) centred -= first[j] * move[j];
            out.covariances[k] =
                alive ? (centred > 0.0 ? centred : 0.0) / (count * d) + trace_ridge / d : old.covariances[k];
        }
    }
}

namespace {

size_t covariance_size(Shape shape, size_t K, size_t d) {
    const size_t sizes[] = {K * d * d, d * d, K * d, K};
    return sizes[static_cast<int>(shape)];
}

}  // namespace

size_t record_size(Shape shape, int K, int d) {
    return 2 * (K + static_cast<size_t>(K) * d + covariance_size(shape, K, d)) + 1;
}

int burst(const Kernels& kernels, Task<double> task, const double* ridge, int steps, bool from_start, double* records,
          int* failed) {
    const size_t K = task.K, d = task.d;
    const size_t size = covariance_size(task.shape, K, d), length = record_size(task.shape, task.K, task.d);
    std::vector<double> scratch(maximize_scratch(task.K, task.d) + size + 3 * K);
    double* const factor_room = scratch.data() + maximize_scratch(task.K, task.d);
    double* const offsets = factor_room + size + 2 * K;
    const std::unique_ptr<char[]> room(new char[kernels.scratch_double(task.d, task.K, task.shape) + 64]);
    void* aligned = room.get() + (64 - reinterpret_cast<uintptr_t>(room.get()) % 64) % 64;
    auto parameters = [&](int t) {
        double* at = records + t * length;
        return Mixture{at, at + K, at + K + K * d, factor_room, factor_room + size, factor_room + size + K};
    };
    auto moments = [&](int t) { return records + t * length + K + K * d + size; };
    // The E-step at the parameters of record t; false if they have no density.
    auto expect = [&](int t) {
        const Mixture mixture = parameters(t);
        *failed = factors(task.shape, task.K, task.d, ridge, mixture, scratch.data());
        if (*failed >= 0) return false;
        for (size_t k = 0; k < K; ++k) {
            // The logarithm of an empty component's share is minus infinity, as it should be.
            offsets[k] = mixture.constants[k] - mixture.penalty[k] + std::log(mixture.weights[k]);
        }
        task.centres = mixture.means;
        task.whitening = mixture.whitening;
        task.offsets = offsets;
        task.counts = moments(t);
        task.first = task.counts + K;
        task.scatter = task.first + K * d;
        std::fill_n(task.counts, K + K * d + size, 0.0);
        task.loglik = 0.0;
        kernels.moments_double(task, aligned);
        task.scatter[size] = task.loglik;
        return true;
    };
    *failed = -1;
    if (from_start && !expect(0)) return -1;
    for (int t = 0; t < steps; ++t) {
        const double* at = moments(t);
        maximize(task.shape, task.K, task.d, {at, at + K, at + K + K * d}, parameters(t), ridge, parameters(t + 1),
                 scratch.data());
        if (!expect(t + 1)) return t;
    }
    return steps;
}

}  // namespace jensen
