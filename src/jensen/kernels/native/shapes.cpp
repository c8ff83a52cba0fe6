#include "shapes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dense.hpp"

namespace jensen {

namespace {

// A Cholesky pivot below this share of the variance is rounding, as in NumPy's twin.
constexpr double kSingular = 1e-13;

bool has_volumes(Rule rule) { return rule == Rule::VEI || rule == Rule::VEE || rule == Rule::VEV; }

bool has_common_axes(Rule rule) { return rule == Rule::EVE || rule == Rule::VVE; }

enum class Held { not_possible, already, now };

// Eigenvalues (K, p) of weights (K,) raised to m and lowered to ratio m, for the best m: families/shapes/ratio.py.
Held truncate(int K, int p, double ratio, const double* counts, double* values, std::vector<double>& edges) {
    double all_low = std::numeric_limits<double>::infinity(), all_high = 0.0, low = all_low, high = 0.0;
    for (int k = 0; k < K; ++k) {
        for (int j = 0; j < p; ++j) {
            const double at = values[k * p + j];
            if (!std::isfinite(at)) return Held::not_possible;
            all_low = std::min(all_low, at);
            all_high = std::max(all_high, at);
            if (!(counts[k] > 0.0)) continue;
            low = std::min(low, at);
            high = std::max(high, at);
        }
    }
    if (all_high <= ratio * all_low) return Held::already;
    if (!(high > 0.0)) return Held::not_possible;
    double least;
    if (high <= ratio * low) {
        // Only components that weigh nothing break the constraint: they are moved as little as may be.
        least = std::min(std::max(all_low, high / ratio), low);
    } else {
        edges.clear();
        for (int k = 0; k < K; ++k) {
            for (int j = 0; counts[k] > 0.0 && j < p; ++j) {
                const double at = values[k * p + j];
                if (at > 0.0) edges.push_back(at);
                if (at / ratio > 0.0) edges.push_back(at / ratio);
            }
        }
        std::sort(edges.begin(), edges.end());
        size_t first = 0, last = edges.size();
        while (first < last) {
            const size_t middle = (first + last) / 2;
            double slope = 0.0;
            for (int k = 0; k < K; ++k) {
                for (int j = 0; counts[k] > 0.0 && j < p; ++j) {
                    const double at = values[k * p + j], edge = edges[middle];
                    if (at < edge) slope += counts[k] * (1.0 - at / edge);
                    if (at / ratio > edge) slope += counts[k] * (1.0 - at / ratio / edge);
                }
            }
            if (slope < 0.0) first = middle + 1;
            else last = middle;
        }
        const double edge = first > 0 ? edges[first - 1] : 0.0;
        double pull = 0.0, weight = 0.0;
        for (int k = 0; k < K; ++k) {
            for (int j = 0; counts[k] > 0.0 && j < p; ++j) {
                const double at = values[k * p + j];
                if (at <= edge) {
                    pull += counts[k] * at;
                    weight += counts[k];
                }
                if (at / ratio > edge) {
                    pull += counts[k] * (at / ratio);
                    weight += counts[k];
                }
            }
        }
        least = pull / weight;
    }
    for (int i = 0; i < K * p; ++i) values[i] = std::min(std::max(values[i], least), ratio * least);
    return Held::now;
}

}  // namespace

Shaper::Shaper(Rule rule, int K, int d)
    : rule_(rule), K_(K), d_(d),
      block_(layout_of(rule) == Shape::spherical ? 1 : layout_of(rule) == Shape::diag ? d : static_cast<size_t>(d) * d),
      volumes_(has_volumes(rule) ? K : 0, has_volumes(rule) ? d : 0),
      axes_(has_common_axes(rule) ? K : 0, has_common_axes(rule) ? d : 0), index_(K), counts_(K),
      old_(has_volumes(rule) || has_common_axes(rule) ? K * block_ : 0), logs_(K), values_(static_cast<size_t>(K) * d),
      variances_(values_.size()), scratch_(static_cast<size_t>(d) * d) {}

bool Shaper::begins_at(const double* covariances) {
    return !has_common_axes(rule_) || axes_.begin(K_, covariances);
}

int Shaper::maximize(const double* counts, double* scatter, const double* old, double* out) {
    int alive = 0, largest = 0;
    for (int k = 0; k < K_; ++k) {
        if (!(counts[k] > 0.0)) continue;
        if (counts[k] > counts[largest]) largest = k;
        if (alive < k) std::copy_n(scatter + k * block_, block_, scatter + alive * block_);
        counts_[alive] = counts[k];
        index_[alive++] = k;
    }
    if (alive == 0) {
        std::copy_n(old, K_ * block_, out);
        return -1;
    }
    if (alive < K_ && !old_.empty()) {
        for (int a = 0; a < alive; ++a) std::copy_n(old + index_[a] * block_, block_, old_.begin() + a * block_);
        old = old_.data();
    }
    const int failed = among_alive(alive, scatter, old, out);
    if (failed >= 0) return failed < alive ? index_[failed] : K_;
    if (alive == K_) return -1;
    for (int a = alive - 1; a >= 0; --a) {
        if (a < index_[a]) std::copy_n(out + a * block_, block_, out + index_[a] * block_);
    }
    for (int k = 0; k < K_; ++k) {
        if (!(counts[k] > 0.0)) std::copy_n(out + largest * block_, block_, out + k * block_);
    }
    return -1;
}

// Logarithms of the old volumes, or null: near the end of a run the new ones are close.
const double* Shaper::old_volumes(int K, const double* old) {
    for (int k = 0; k < K; ++k) {
        if (rule_ == Rule::VEI) {
            logs_[k] = 0.0;
            for (int j = 0; j < d_; ++j) logs_[k] += std::log(old[k * d_ + j]) / d_;
        } else {
            if (!log_determinant_half(old + k * block_, d_, scratch_.data(), &logs_[k])) return nullptr;
            logs_[k] *= 2.0 / d_;
        }
        if (!std::isfinite(logs_[k])) return nullptr;
    }
    return logs_.data();
}

// Scatters in `out`, the logarithms of whose |W_k|^(1/d) are in logs_, times what makes their volumes one.
int Shaper::equal_volumes(int K, double* out, size_t block) {
    const double peak = *std::max_element(logs_.begin(), logs_.begin() + K);
    double sum = 0.0, n = 0.0;
    for (int k = 0; k < K; ++k) {
        sum += std::exp(logs_[k] - peak);
        n += counts_[k];
    }
    for (int k = 0; k < K; ++k) {
        const double times = std::exp(peak - logs_[k]) * (sum / n);
        for (size_t i = 0; i < block; ++i) out[k * block + i] *= times;
    }
    return -1;
}

int Shaper::among_alive(int K, double* scatter, const double* old, double* out) {
    const int d = d_;
    const double* const counts = counts_.data();
    double n = 0.0;
    for (int k = 0; k < K; ++k) n += counts[k];
    // Logarithms of |W_k|^(1/d) from variances along axes; the first component without one, or -1.
    auto logs_of = [&](const double* values) {
        for (int k = 0; k < K; ++k) {
            logs_[k] = 0.0;
            for (int j = 0; j < d; ++j) {
                if (!(values[k * d + j] > 0.0)) return k;
                logs_[k] += std::log(values[k * d + j]) / d;
            }
        }
        return -1;
    };
    int failed = -1;
    switch (rule_) {
        case Rule::EII:
        case Rule::EEI:
            for (size_t i = 0; i < block_; ++i) {
                double sum = 0.0;
                for (int k = 0; k < K; ++k) sum += scatter[k * block_ + i];
                for (int k = 0; k < K; ++k) out[k * block_ + i] = sum / (rule_ == Rule::EII ? n * d : n);
            }
            return -1;
        case Rule::VEI:
            return volumes_.along_axes(K, counts, scatter, old_volumes(K, old), out);
        case Rule::EVI:
            if ((failed = logs_of(scatter)) >= 0) return failed;
            std::copy_n(scatter, K * block_, out);
            return equal_volumes(K, out, block_);
        case Rule::VEE:
            return volumes_.together(K, counts, scatter, old_volumes(K, old), out);
        case Rule::EVV:
            for (int k = 0; k < K; ++k) {
                const double* const own = scatter + k * block_;
                if (!log_determinant_half(own, d, scratch_.data(), &logs_[k])) return k;
                for (int i = 0; i < d; ++i) {
                    // The determinant would be of rounding alone.
                    const double pivot = scratch_[i * d + i];
                    if (!(pivot * pivot > kSingular * own[i * d + i])) return k;
                }
                logs_[k] *= 2.0 / d;
            }
            std::copy_n(scatter, K * block_, out);
            return equal_volumes(K, out, block_);
        case Rule::EVE:
        case Rule::VVE:
            axes_.begin(K, old);
            if ((failed = axes_.descend(K, counts, scatter, rule_ == Rule::EVE)) >= 0) return failed;
            std::copy_n(axes_.values(), K * d, variances_.begin());
            if (rule_ == Rule::EVE) {
                if ((failed = logs_of(axes_.values())) >= 0) return failed;
                equal_volumes(K, variances_.data(), d);
            } else {
                for (int i = 0; i < K * d; ++i) variances_[i] /= counts[i / d];
            }
            for (int k = 0; k < K; ++k) compose(d, variances_.data() + k * d, axes_.axes(), out + k * block_);
            return -1;
        case Rule::EEV:
        case Rule::VEV: {
            // Volumes of the old before the eigenvectors, which take the place of the scatters.
            const double* const start = rule_ == Rule::VEV ? old_volumes(K, old) : nullptr;
            for (int k = 0; k < K; ++k) {
                if (!eigen(d, scatter + k * block_, values_.data() + k * d, scratch_.data())) return k;
            }
            if (rule_ == Rule::VEV) {
                for (double& value : values_) value = std::max(value, 0.0);
                failed = volumes_.along_axes(K, counts, values_.data(), start, variances_.data());
                if (failed >= 0) return failed;
            } else {
                for (int j = 0; j < d; ++j) {
                    double sum = 0.0;
                    for (int k = 0; k < K; ++k) sum += values_[k * d + j];
                    for (int k = 0; k < K; ++k) variances_[k * d + j] = sum / n;
                }
            }
            for (int k = 0; k < K; ++k) {
                compose(d, variances_.data() + k * d, scatter + k * block_, out + k * block_);
            }
            return -1;
        }
        default:
            return K;
    }
}

int Shaper::hold_ratio(double ratio, const double* counts, double* covariances) {
    const int d = d_, n_stored = rule_ == Rule::EEE ? 1 : K_, p = layout_of(rule_) == Shape::spherical ? 1 : d;
    const bool matrices = block_ > 1 && layout_of(rule_) != Shape::diag;
    if (matrices) vectors_.resize(n_stored * block_);
    for (int k = 0; k < n_stored; ++k) {
        double* const at = values_.data() + k * p;
        if (matrices) {
            std::copy_n(covariances + k * block_, block_, vectors_.begin() + k * block_);
            if (!eigen(d, vectors_.data() + k * block_, at, scratch_.data())) return k;
        } else {
            std::copy_n(covariances + k * block_, p, at);
        }
        for (int j = 0; j < p; ++j) at[j] = std::max(at[j], 0.0);
    }
    // What is stored once weighs what all do. Of equal ones stored K times, each may have its own weight.
    double n = 0.0;
    for (int k = 0; k < K_; ++k) n += counts[k];
    const Held held = truncate(n_stored, p, ratio, n_stored < K_ ? &n : counts, values_.data(), edges_);
    if (held == Held::not_possible) return K_;
    if (held == Held::already) return -1;
    for (int k = 0; k < n_stored; ++k) {
        const double* const at = values_.data() + k * p;
        if (matrices) compose(d, at, vectors_.data() + k * block_, covariances + k * block_);
        else std::copy_n(at, p, covariances + k * block_);
    }
    return -1;
}

}  // namespace jensen
