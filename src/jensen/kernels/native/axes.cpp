#include "axes.hpp"

#include <algorithm>
#include <cmath>

#include "dense.hpp"

namespace jensen {

namespace {

constexpr int kMaxSteps = 100, kMaxTrusted = 3, kMaxHalvings = 40;
constexpr double kStill = 1e-8, kBent = 1e-6, kAway = 0.1, kCommon = 1e-6;

// out = A' W A for (d, d), from the lower triangle of W on; `half` has room for W A.
void turn_into(int d, const double* axes, const double* matrix, double* half, double* out) {
    for (int i = 0; i < d; ++i) {
        for (int j = 0; j < d; ++j) {
            double sum = 0.0;
            for (int l = 0; l < d; ++l) sum += matrix[i * d + l] * axes[l * d + j];
            half[i * d + j] = sum;
        }
    }
    for (int i = 0; i < d; ++i) {
        for (int j = 0; j <= i; ++j) {
            double sum = 0.0;
            for (int l = 0; l < d; ++l) sum += axes[l * d + i] * half[l * d + j];
            out[i * d + j] = out[j * d + i] = sum;
        }
    }
}

}  // namespace

Axes::Axes(int K, int d)
    : d_(d), p_(d * (d - 1) / 2), axes_(d * d), turned_(d * d), half_(d * d), skew_(2 * d * d),
      inside_(static_cast<size_t>(K) * d * d), values_(static_cast<size_t>(K) * d), sums_(K), shares_(K), pull_(K),
      rates_(values_.size()), scratch_(std::max(d, p_)), slope_(p_), step_(p_),
      curvature_(static_cast<size_t>(p_) * p_),
      factor_(curvature_.size()), bends_(std::max(d, p_)), totals_(static_cast<size_t>(K) * p_), middle_(d * d),
      bent_(static_cast<size_t>(d) * d * d) {}

bool Axes::begin(int K, const double* covariances) {
    const int d = d_, square = d * d;
    std::fill(axes_.begin(), axes_.end(), 0.0);
    for (int k = 0; k < K; ++k) {
        // Weights that no two coincidences have in common: every matrix is diagonal where this sum is.
        double whole, trace = 0.0;
        for (int i = 0; i < d; ++i) trace += covariances[k * square + i * (d + 1)];
        const double weight = (1.0 + std::modf((k + 1) * 0.6180339887498949, &whole)) / trace;
        for (int i = 0; i < square; ++i) axes_[i] += weight * covariances[k * square + i];
    }
    if (!eigen(d, axes_.data(), bends_.data(), scratch_.data())) return false;
    for (int k = 0; k < K; ++k) {
        turn_into(d, axes_.data(), covariances + k * square, half_.data(), turned_.data());
        double size = 0.0, off = 0.0;
        for (int i = 0; i < d; ++i) {
            size = std::max(size, std::fabs(turned_[i * (d + 1)]));
            for (int j = 0; j < i; ++j) off = std::max(off, std::fabs(turned_[i * d + j]));
        }
        if (!(off <= kCommon * std::max(size, off))) return false;
    }
    return true;
}

// The M_k = A' W_k A, their diagonals, and the sums of the logarithms of these; false if one is not positive.
bool Axes::rotate(int K, const double* scatter, const double* axes) {
    const int d = d_;
    for (int k = 0; k < K; ++k) {
        double* const inside = inside_.data() + k * d * d;
        turn_into(d, axes, scatter + k * d * d, half_.data(), inside);
        sums_[k] = 0.0;
        for (int i = 0; i < d; ++i) {
            const double at = values_[k * d + i] = inside[i * (d + 1)];
            if (!(at > 0.0 && std::isfinite(at))) {
                failed_ = k;
                return false;
            }
            sums_[k] += std::log(at) - log_scale_;
        }
    }
    return true;
}

double Axes::value(int K) const {
    double total = 0.0;
    for (int k = 0; k < K; ++k) total += equal_volume_ ? std::exp(sums_[k] / d_) : shares_[k] * sums_[k];
    return total;
}

// Value, slope and curvature in S, where M_k becomes exp(-S) M_k exp(S). Unknowns are the entries (i, j), i < j.
double Axes::expand(int K) {
    const int d = d_, square = d * d;
    const double *const inside = inside_.data(), *const values = values_.data();
    for (int k = 0; k < K; ++k) {
        pull_[k] = equal_volume_ ? std::exp(sums_[k] / d) / d : shares_[k];
        for (int i = 0; i < d; ++i) rates_[k * d + i] = pull_[k] / values[k * d + i];
    }
    std::fill(middle_.begin(), middle_.end(), 0.0);
    for (int k = 0; k < K; ++k) {
        const double *const m = inside + k * square, *const rates = rates_.data() + k * d;
        for (int i = 0; i < d; ++i)
            for (int j = 0; j < d; ++j) middle_[i * d + j] += 0.5 * (rates[i] + rates[j]) * m[i * d + j];
    }
    // What two unknowns (l, a) and (l, b) with an index in common bend, but for the sign.
    for (int l = 0; l < d; ++l) {
        double* const bent = bent_.data() + l * square;
        for (int i = 0; i < square; ++i) bent[i] = -2.0 * middle_[i];
        for (int k = 0; k < K; ++k) {
            const double *const m = inside + k * square, at = values[k * d + l];
            const double rate = 2.0 * rates_[k * d + l], over = 4.0 * pull_[k];
            for (int a = 0; a < d; ++a) {
                for (int b = 0; b < d; ++b) {
                    bent[a * d + b] += rate * m[a * d + b] - over * (m[l * d + a] / at) * (m[l * d + b] / at);
                }
            }
        }
    }
    for (int i = 0, q = 0; i < d; ++i) {
        for (int j = i + 1; j < d; ++j, ++q) {
            slope_[q] = 0.0;
            for (int k = 0; k < K; ++k) {
                const double off = 2.0 * inside[k * square + i * d + j];
                slope_[q] += off * (rates_[k * d + j] - rates_[k * d + i]);
                totals_[k * p_ + q] = off / values[k * d + j] - off / values[k * d + i];
            }
            for (int a = 0, r = 0; a <= i; ++a) {
                for (int b = a + 1; b < d && r <= q; ++b, ++r) {
                    double sum = 0.0;
                    if (a == i) sum += bent_[i * square + j * d + b];
                    if (b == j) sum += bent_[j * square + i * d + a];
                    if (a == j) sum -= bent_[j * square + i * d + b];
                    if (b == i) sum -= bent_[i * square + j * d + a];
                    if (equal_volume_) {
                        for (int k = 0; k < K; ++k) sum += pull_[k] / d * totals_[k * p_ + q] * totals_[k * p_ + r];
                    }
                    curvature_[q * p_ + r] = curvature_[r * p_ + q] = sum;
                }
            }
        }
    }
    return value(K);
}

// Newton's step with absolute curvatures. Returns the lowest curvature as a share of the largest, or 1 if none is
// negative; then its direction is the first column of `curvature_`.
double Axes::direction(double* step) {
    for (int q = 0; q < p_; ++q) step[q] = -slope_[q];
    if (solve_positive(p_, curvature_.data(), factor_.data(), step)) return 1.0;
    std::fill_n(step, p_, 0.0);
    if (!eigen(p_, curvature_.data(), bends_.data(), scratch_.data())) return 1.0;
    const double steepest = std::max({std::fabs(bends_[0]), std::fabs(bends_[p_ - 1]), 1e-300});
    for (int i = 0; i < p_; ++i) {
        double along = 0.0;
        for (int q = 0; q < p_; ++q) along += curvature_[q * p_ + i] * slope_[q];
        along /= std::max(std::fabs(bends_[i]), 1e-12 * steepest);
        for (int q = 0; q < p_; ++q) step[q] -= curvature_[q * p_ + i] * along;
    }
    return bends_[0] / steepest;
}

namespace {

// The axes times the Cayley transform of a step. I - S needs no pivots: its symmetric part is I.
void cayley(int d, const double* axes, const double* step, double* skew, double* turned) {
    double *const left = skew, *const right = skew + d * d;
    for (int i = 0, q = 0; i < d; ++i) {
        left[i * (d + 1)] = right[i * (d + 1)] = 1.0;
        for (int j = i + 1; j < d; ++j, ++q) {
            left[j * d + i] = right[i * d + j] = 0.5 * step[q];
            left[i * d + j] = right[j * d + i] = -0.5 * step[q];
        }
    }
    for (int c = 0; c < d; ++c) {
        for (int i = c + 1; i < d; ++i) {
            const double times = left[i * d + c] / left[c * (d + 1)];
            for (int j = c + 1; j < d; ++j) left[i * d + j] -= times * left[c * d + j];
            for (int j = 0; j < d; ++j) right[i * d + j] -= times * right[c * d + j];
        }
    }
    for (int c = d - 1; c >= 0; --c) {
        for (int j = 0; j < d; ++j) {
            for (int i = c + 1; i < d; ++i) right[c * d + j] -= left[c * d + i] * right[i * d + j];
            right[c * d + j] /= left[c * (d + 1)];
        }
    }
    for (int i = 0; i < d; ++i) {
        for (int j = 0; j < d; ++j) {
            turned[i * d + j] = 0.0;
            for (int l = 0; l < d; ++l) turned[i * d + j] += axes[i * d + l] * right[l * d + j];
        }
    }
}

}  // namespace

int Axes::descend(int K, const double* counts, const double* scatter, bool equal_volume) {
    const int d = d_;
    double n = 0.0, spread = 0.0;
    for (int k = 0; k < K; ++k) {
        n += counts[k];
        for (int i = 0; i < d; ++i) spread += scatter[k * d * d + i * (d + 1)];
    }
    equal_volume_ = equal_volume;
    log_scale_ = spread > 0.0 ? std::log(spread / d) : 0.0;
    for (int k = 0; k < K; ++k) shares_[k] = counts[k] / n;
    if (!rotate(K, scatter, axes_.data())) return failed_;
    int trusted = 0;
    for (int t = 0; t < (d > 1 ? kMaxSteps : 0); ++t) {
        const double before = expand(K), scale = std::max(std::fabs(before), 1.0), lowest = direction(step_.data());
        double size = 0.0, along = 0.0;
        for (int q = 0; q < p_; ++q) {
            size = std::max(size, std::fabs(step_[q]));
            along += slope_[q] * step_[q];
        }
        if (size <= kStill && lowest < -kBent) {
            // On top of a ridge: nothing pulls, and both sides go down.
            for (int q = 0; q < p_; ++q) step_[q] = kAway * curvature_[q * p_];
            size = kAway;
        } else if (-along <= 1e-14 * scale) {
            // Falls below rounding cannot be seen: such a step is taken on trust.
            ++trusted;
        }
        const bool last = size <= kStill || trusted > kMaxTrusted;
        const double shorter = std::min(1.0, 0.5 / std::max(size, 1e-300));
        for (int q = 0; q < p_; ++q) step_[q] *= shorter;
        const double allowed = trusted || last ? before + 1e-13 * scale : before;
        bool accepted = false;
        for (int halving = 0; halving < kMaxHalvings && !accepted; ++halving) {
            cayley(d, axes_.data(), step_.data(), skew_.data(), turned_.data());
            if (!rotate(K, scatter, turned_.data())) return failed_;
            accepted = value(K) < allowed;
            if (!accepted) {
                for (int q = 0; q < p_; ++q) step_[q] *= 0.5;
            }
        }
        if (!accepted) return rotate(K, scatter, axes_.data()) ? -1 : failed_;
        axes_.swap(turned_);
        if (last) break;
    }
    return -1;
}

}  // namespace jensen
