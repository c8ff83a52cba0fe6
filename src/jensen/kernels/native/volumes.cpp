#include "volumes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dense.hpp"

namespace jensen {

namespace {

constexpr int kMaxSteps = 100, kMaxHalvings = 12;
constexpr double kLongest = 3.0, kStill = 1e-9;
// A start is near the minimum if no slope is more than this share of what the component weighs.
constexpr double kNear = 0.5;

double dot(int n, const double* a, const double* b) {
    double sum = 0.0;
    for (int i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
}

double largest(int n, const double* a) {
    double found = 0.0;
    for (int i = 0; i < n; ++i) found = std::max(found, std::fabs(a[i]));
    return found;
}

}  // namespace

Volumes::Volumes(int K, int d)
    : d_(d), logs_(K), trial_(K), traces_(K), slope_(K), step_(K), shares_(K), products_(K * static_cast<size_t>(K)),
      curvature_(products_.size()), factor_(std::max(products_.size(), static_cast<size_t>(d) * d)), bends_(2 * K),
      total_(static_cast<size_t>(d) * d), white_(total_.size()), flat_(K * total_.size()), half_(total_.size()) {}

// Newton's step against the slope; where the curvature is not clearly positive, the shortest that solves the system.
bool Volumes::step_from(int K) {
    for (int k = 0; k < K; ++k) step_[k] = -slope_[k];
    if (solve_positive(K, curvature_.data(), factor_.data(), step_.data())) return true;
    if (!eigen(K, curvature_.data(), bends_.data(), bends_.data() + K)) return false;
    const double least = std::numeric_limits<double>::epsilon() * K * largest(K, bends_.data());
    std::fill_n(step_.begin(), K, 0.0);
    for (int i = 0; i < K; ++i) {
        if (std::fabs(bends_[i]) <= least) continue;
        double along = 0.0;
        for (int k = 0; k < K; ++k) along += curvature_[k * K + i] * slope_[k];
        for (int k = 0; k < K; ++k) step_[k] -= curvature_[k * K + i] * along / bends_[i];
    }
    return true;
}

// `pooled` takes log-volumes, fills in size_, shares_ and products_, and returns whether M is positive definite.
template <class Pooled>
int Volumes::search(int K, const double* counts, double n, const double* traces, const double* start, Pooled pooled) {
    auto slopes = [&] {
        for (int k = 0; k < K; ++k) slope_[k] = d_ * counts[k] - n * shares_[k];
    };
    for (int k = 0; k < K; ++k) {
        if (!(traces[k] > 0.0)) return k;
        logs_[k] = std::log(traces[k] / (counts[k] * d_));
    }
    bool near = start != nullptr && K > 1 && pooled(start);
    if (near) {
        slopes();
        for (int k = 0; k < K; ++k) near = near && std::fabs(slope_[k]) <= kNear * d_ * counts[k];
        if (near) std::copy_n(start, K, logs_.begin());
    }
    if (!near && !pooled(logs_.data())) return K;
    double value = d_ * dot(K, counts, logs_.data()) + n * size_;
    for (int t = 0; t < (K > 1 ? kMaxSteps : 0); ++t) {
        slopes();
        for (int k = 0; k < K; ++k) {
            for (int l = 0; l < K; ++l) {
                // H does not change when all volumes change together; the constant takes this direction out.
                const double own = k == l ? shares_[k] : 0.0;
                curvature_[k * K + l] = n * (own - products_[k * K + l] + 1.0 / K);
            }
        }
        if (!step_from(K)) return K;
        double length = largest(K, step_.data()), along = dot(K, slope_.data(), step_.data());
        // Falls below rounding cannot be seen: such a step is taken on trust and is the last.
        const bool last = length <= kStill || -along <= 1e-15 * (std::fabs(value) + n);
        const double shorter = std::min(1.0, kLongest / std::max(length, 1e-300));
        for (int k = 0; k < K; ++k) step_[k] *= shorter;
        along *= shorter;
        bool accepted = false;
        double there = value;
        for (int halving = 0; halving < kMaxHalvings && !accepted; ++halving) {
            for (int k = 0; k < K; ++k) trial_[k] = logs_[k] + step_[k];
            if (!pooled(trial_.data())) return K;
            there = d_ * dot(K, counts, trial_.data()) + n * size_;
            double left = 0.0;
            for (int k = 0; k < K; ++k) left += (d_ * counts[k] - n * shares_[k]) * step_[k];
            // Along the step the slope vanishes at the lowest point, and loses its digits later than the value does.
            accepted = last || there < value || std::fabs(left) <= 0.1 * std::fabs(along);
            if (!accepted) {
                for (int k = 0; k < K; ++k) step_[k] *= 0.5;
                along *= 0.5;
            }
        }
        if (!accepted) break;
        std::copy_n(trial_.begin(), K, logs_.begin());
        value = there;
        if (last) break;
    }
    return -1;
}

int Volumes::along_axes(int K, const double* counts, const double* values, const double* start, double* out) {
    const int d = d_;
    double n = 0.0;
    for (int k = 0; k < K; ++k) {
        n += counts[k];
        traces_[k] = 0.0;
        for (int j = 0; j < d; ++j) traces_[k] += values[k * d + j];
    }
    auto pooled = [&](const double* logs) {
        std::fill_n(total_.begin(), d, 0.0);
        for (int k = 0; k < K; ++k) {
            const double weight = std::exp(-logs[k]);
            for (int j = 0; j < d; ++j) total_[j] += flat_[k * d + j] = weight * values[k * d + j];
        }
        size_ = 0.0;
        for (int j = 0; j < d; ++j) {
            if (!(total_[j] > 0.0 && std::isfinite(total_[j]))) return false;
            size_ += std::log(total_[j]);
        }
        for (int k = 0; k < K; ++k) {
            shares_[k] = 0.0;
            for (int j = 0; j < d; ++j) shares_[k] += flat_[k * d + j] /= total_[j];
            for (int l = 0; l <= k; ++l) {
                products_[k * K + l] = products_[l * K + k] = dot(d, flat_.data() + k * d, flat_.data() + l * d);
            }
        }
        return true;
    };
    const int failed = search(K, counts, n, traces_.data(), start, pooled);
    if (failed >= 0) return failed;
    std::fill_n(total_.begin(), d, 0.0);
    for (int k = 0; k < K; ++k) {
        const double weight = std::exp(-logs_[k]) / n;
        for (int j = 0; j < d; ++j) total_[j] += weight * values[k * d + j];
    }
    for (int k = 0; k < K; ++k) {
        const double volume = std::exp(logs_[k]);
        for (int j = 0; j < d; ++j) out[k * d + j] = volume * total_[j];
    }
    return -1;
}

int Volumes::together(int K, const double* counts, const double* scatter, const double* start, double* out) {
    const int d = d_, square = d * d;
    double n = 0.0;
    for (int k = 0; k < K; ++k) {
        n += counts[k];
        traces_[k] = 0.0;
        for (int j = 0; j < d; ++j) traces_[k] += scatter[k * square + j * (d + 1)];
    }
    auto sum_up = [&](const double* logs, double over) {
        std::fill(total_.begin(), total_.end(), 0.0);
        for (int k = 0; k < K; ++k) {
            const double weight = std::exp(-logs[k]) / over;
            for (int i = 0; i < square; ++i) total_[i] += weight * scatter[k * square + i];
        }
    };
    auto pooled = [&](const double* logs) {
        sum_up(logs, 1.0);
        if (!factorise(total_.data(), d, factor_.data(), white_.data(), &size_)) return false;
        size_ *= 2.0;
        const double* const white = white_.data();
        for (int k = 0; k < K; ++k) {
            // T_k; what is below its diagonal counts twice in products, and is kept times the root of 2.
            const double weight = std::exp(-logs[k]), twice = std::sqrt(2.0);
            const double* const at = scatter + k * square;
            double* const t = flat_.data() + k * square;
            for (int i = 0; i < d; ++i) {
                for (int j = 0; j < d; ++j) {
                    double sum = 0.0;
                    for (int l = 0; l <= i; ++l) sum += white[i * d + l] * at[l * d + j];
                    half_[i * d + j] = weight * sum;
                }
            }
            shares_[k] = 0.0;
            for (int i = 0; i < d; ++i) {
                for (int j = 0; j <= i; ++j) {
                    const double entry = dot(j + 1, half_.data() + i * d, white + j * d);
                    t[i * d + j] = i == j ? entry : twice * entry;
                    t[j * d + i] = i == j ? entry : 0.0;
                }
                shares_[k] += t[i * (d + 1)];
            }
            for (int l = 0; l <= k; ++l) {
                products_[k * K + l] = products_[l * K + k] = dot(square, t, flat_.data() + l * square);
            }
        }
        return true;
    };
    const int failed = search(K, counts, n, traces_.data(), start, pooled);
    if (failed >= 0) return failed;
    sum_up(logs_.data(), n);
    for (int k = 0; k < K; ++k) {
        const double volume = std::exp(logs_[k]);
        for (int i = 0; i < square; ++i) out[k * square + i] = volume * total_[i];
    }
    return -1;
}

}  // namespace jensen
