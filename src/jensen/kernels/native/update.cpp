#include "update.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "dense.hpp"
#include "log_product.hpp"

namespace jensen {

namespace {

constexpr double kLog2Pi = 1.8378770664093454836;

double penalty_of(const double* inverse, const double* ridge, int d) {
    double total = 0.0;
    for (int i = 0; i < d; ++i)
        for (int j = 0; j <= i; ++j) total += inverse[i * d + j] * inverse[i * d + j] * ridge[j];
    return 0.5 * total;
}

// Of K matrices; -1, or the first that is not positive definite.
int factor_matrices(const Kernels& kernels, int K, int d, const double* ridge, const Mixture& mixture,
                    double* scratch) {
    if (d <= kUnrolled) {
        return kernels.factorise(K, d, mixture.covariances, ridge, mixture.whitening, mixture.constants,
                                 mixture.penalty);
    }
    for (int k = 0; k < K; ++k) {
        const size_t at = static_cast<size_t>(k) * d * d;
        double* const white = mixture.whitening + at;
        if (!factorise(mixture.covariances + at, d, scratch, white, mixture.constants + k)) return k;
        mixture.penalty[k] = penalty_of(white, ridge, d);
    }
    return -1;
}

}  // namespace

int factors(const Kernels& kernels, Shape shape, int K, int d, const double* ridge, const Mixture& mixture,
            double* scratch) {
    const double base = -0.5 * d * kLog2Pi;
    double trace_ridge = 0.0;
    for (int j = 0; j < d; ++j) trace_ridge += ridge[j];
    if (shape == Shape::full || shape == Shape::tied) {
        const int n_matrices = shape == Shape::tied ? 1 : K;
        const int failed = factor_matrices(kernels, n_matrices, d, ridge, mixture, scratch);
        if (failed >= 0) return failed;
        for (int k = 0; k < n_matrices; ++k) mixture.constants[k] = base - mixture.constants[k];
        for (int k = n_matrices; k < K; ++k) {
            mixture.constants[k] = mixture.constants[0];
            mixture.penalty[k] = mixture.penalty[0];
        }
        return -1;
    }
    for (int k = 0; k < K; ++k) {
        if (shape == Shape::spherical) {
            if (!(mixture.covariances[k] > 0.0 && std::isfinite(mixture.covariances[k]))) return k;
            const double w = mixture.whitening[k] = 1.0 / std::sqrt(mixture.covariances[k]);
            mixture.constants[k] = base + d * std::log(w);
            mixture.penalty[k] = 0.5 * w * w * trace_ridge;
            continue;
        }
        LogProduct scales;
        double penalty = 0.0;
        for (int j = 0; j < d; ++j) {
            const int at = k * d + j;
            if (!(mixture.covariances[at] > 0.0 && std::isfinite(mixture.covariances[at]))) return k;
            const double w = mixture.whitening[at] = 1.0 / std::sqrt(mixture.covariances[at]);
            scales.times(w);
            penalty += w * w * ridge[j];
        }
        mixture.constants[k] = base + scales.log();
        mixture.penalty[k] = 0.5 * penalty;
    }
    return -1;
}

Maximizer::Maximizer(const MStep& step, int K, int d)
    : step_(step), layout_(layout_of(step.rule)), K_(K), d_(d), shaper_(step.rule, K, d),
      moves_(static_cast<size_t>(K) * d), counts_(K),
      scatter_(is_plain(step.rule) ? 0 : covariance_size(layout_, K, d)) {}

// Scatter about the means of the rows, which lie `moves_` from the old ones; then that of the prior's pseudo-rows.
void Maximizer::centre(const Moments& moments, const Mixture& old, double* scatter) {
    const int K = K_, d = d_;
    const double* const moves = moves_.data();
    for (int k = 0; k < (layout_ == Shape::tied ? 1 : K); ++k) {
        const double *const first = moments.first + k * d, *const move = moves + k * d;
        if (layout_ == Shape::full) {
            const size_t base = static_cast<size_t>(k) * d * d;
            for (int i = 0; i < d; ++i) {
                for (int j = 0; j <= i; ++j) {
                    const size_t at = base + i * d + j;
                    scatter[base + j * d + i] = scatter[at] = moments.scatter[at] - first[i] * move[j];
                }
            }
        } else if (layout_ == Shape::tied) {
            for (int i = 0; i < d; ++i) {
                for (int j = 0; j <= i; ++j) {
                    double sum = 0.0;
                    for (int l = 0; l < K; ++l) sum += moments.first[l * d + i] * moves[l * d + j];
                    scatter[j * d + i] = scatter[i * d + j] = moments.scatter[i * d + j] - sum;
                }
            }
        } else if (layout_ == Shape::diag) {
            for (int j = 0; j < d; ++j) {
                const double centred = moments.scatter[k * d + j] - first[j] * move[j];
                scatter[k * d + j] = centred > 0.0 ? centred : 0.0;
            }
        } else {
            double centred = moments.scatter[k];
            for (int j = 0; j < d; ++j) centred -= first[j] * move[j];
            scatter[k] = centred > 0.0 ? centred : 0.0;
        }
    }
    if (!step_.scatter && step_.strength == 0.0) return;
    for (int k = 0; k < K; ++k) {
        const double count = moments.counts[k];
        const double pull = step_.strength > 0.0 ? count * step_.strength / (count + step_.strength) : 0.0;
        const double *const means = old.means + k * d, *const move = moves + k * d;
        auto away = [&](int i) { return step_.centre ? means[i] + move[i] - step_.centre[i] : 0.0; };
        auto pseudo = [&](size_t i) { return step_.scatter ? step_.scatter[i] : 0.0; };
        if (layout_ == Shape::full || layout_ == Shape::tied) {
            double* const into = layout_ == Shape::tied ? scatter : scatter + static_cast<size_t>(k) * d * d;
            for (int i = 0; i < d; ++i)
                for (int j = 0; j < d; ++j) into[i * d + j] += pull * (away(i) * away(j)) + pseudo(i * d + j);
        } else if (layout_ == Shape::diag) {
            for (int j = 0; j < d; ++j) scatter[k * d + j] += pull * (away(j) * away(j)) + pseudo(j);
        } else {
            double square = 0.0;
            for (int j = 0; j < d; ++j) square += away(j) * away(j);
            scatter[k] += pull * square + pseudo(0);
        }
    }
}

int Maximizer::maximize(const Moments& moments, const Mixture& old, const Mixture& out) {
    const int K = K_, d = d_;
    double total = 0.0, total_count = 0.0, trace_ridge = 0.0;
    for (int k = 0; k < K; ++k) total += moments.counts[k];
    for (int j = 0; j < d; ++j) trace_ridge += step_.ridge[j];
    for (int k = 0; k < K; ++k) {
        const double count = moments.counts[k];
        out.weights[k] = step_.equal_weights ? 1.0 / K : count / total;
        counts_[k] = count + step_.count;
        total_count += counts_[k];
        for (int j = 0; j < d; ++j) {
            const int at = k * d + j;
            const double move = moves_[at] = count > 0.0 ? moments.first[at] / count : 0.0;
            out.means[at] = old.means[at] + move;
            if (step_.strength > 0.0) {
                const double pull = step_.strength / (count + step_.strength);
                out.means[at] += pull * (step_.centre[j] - out.means[at]);
            }
        }
    }
    double* const covariances = out.covariances;
    if (!is_plain(step_.rule)) {
        double* const scatter = scatter_.data();
        centre(moments, old, scatter);
        for (int k = 0; k < K; ++k) {
            // Each row is a ball N(x, R).
            const double count = moments.counts[k];
            for (int j = 0; j < d && layout_ != Shape::spherical; ++j) {
                scatter[layout_ == Shape::full ? (static_cast<size_t>(k) * d + j) * d + j : k * d + j] +=
                    count * step_.ridge[j];
            }
            if (layout_ == Shape::spherical) scatter[k] += count * trace_ridge;
        }
        const int failed = shaper_.maximize(counts_.data(), scatter, old.covariances, covariances);
        if (failed >= 0) return failed;
    } else {
        centre(moments, old, covariances);
        if (layout_ == Shape::tied) {
            for (int i = 0; i < d; ++i) {
                for (int j = 0; j <= i; ++j) {
                    const double lift = i == j ? total / total_count * step_.ridge[i] : 0.0;
                    covariances[i * d + j] = covariances[j * d + i] = covariances[i * d + j] / total_count + lift;
                }
            }
        }
        for (int k = 0; k < (layout_ == Shape::tied ? 0 : K); ++k) {
            // A component without rows keeps its covariance, which costs nothing.
            const double count = counts_[k], rows = moments.counts[k] / count;
            const size_t size = covariance_size(layout_, 1, d), base = k * size;
            if (!(count > 0.0)) {
                std::copy_n(old.covariances + base, size, covariances + base);
            } else if (layout_ == Shape::full) {
                double* const at = covariances + base;
                const double share = 1.0 / count;
                for (size_t i = 0; i < size; ++i) at[i] *= share;
                for (int i = 0; i < d; ++i) at[i * d + i] += rows * step_.ridge[i];
            } else if (layout_ == Shape::diag) {
                double* const at = covariances + base;
                for (int j = 0; j < d; ++j) at[j] = at[j] / count + rows * step_.ridge[j];
            } else {
                covariances[k] = covariances[k] / (count * d) + rows * (trace_ridge / d);
            }
        }
    }
    return std::isfinite(step_.ratio) ? shaper_.hold_ratio(step_.ratio, counts_.data(), covariances) : -1;
}

double Maximizer::log_prior(const Mixture& mixture) const {
    const int K = K_, d = d_;
    if (step_.count == 0.0 && step_.strength == 0.0 && !step_.scatter) return 0.0;
    const double base = -0.5 * d * kLog2Pi;
    double total = 0.0;
    for (int k = 0; k < K; ++k) {
        auto away = [&](int j) { return step_.centre ? mixture.means[k * d + j] - step_.centre[j] : 0.0; };
        double distance = 0.0, trace = 0.0;
        if (layout_ == Shape::full || layout_ == Shape::tied) {
            const size_t at = layout_ == Shape::tied ? 0 : static_cast<size_t>(k) * d * d;
            const double* const white = mixture.whitening + at;
            for (int i = 0; i < d; ++i) {
                double along = 0.0;
                for (int j = 0; j <= i; ++j) {
                    along += white[i * d + j] * away(j);
                    for (int l = 0; l <= i && step_.scatter; ++l) {
                        trace += white[i * d + j] * step_.scatter[j * d + l] * white[i * d + l];
                    }
                }
                distance += along * along;
            }
        } else {
            for (int j = 0; j < d; ++j) {
                const double white = mixture.whitening[layout_ == Shape::diag ? k * d + j : k];
                distance += white * away(j) * (white * away(j));
                if (step_.scatter && (layout_ == Shape::diag || j == 0)) trace += white * white * step_.scatter[j];
            }
        }
        // The constants have -log|Sigma_k| / 2 beside their base.
        total += step_.count * (mixture.constants[k] - base) - 0.5 * (trace + step_.strength * distance);
    }
    return total;
}

size_t covariance_size(Shape shape, int K, int d) {
    const size_t k = K, square = static_cast<size_t>(d) * d;
    const size_t sizes[] = {k * square, square, k * d, k};
    return sizes[static_cast<int>(shape)];
}

}  // namespace jensen
