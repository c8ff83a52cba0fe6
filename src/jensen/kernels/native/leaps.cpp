#include "leaps.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dense.hpp"

namespace jensen {

namespace {

// A secant of which so small a share of its square is not that of others says nothing of its own.
constexpr double kOwn = 1e-8;
// Where the map expands faster than this, plain steps are leaving a saddle; a leap would choose where to.
constexpr double kExpands = 1.02;
// A proposal outside its domain is drawn back towards the plain step so often before it is given up.
constexpr int kMaxHalvings = 5;

double dot(const double* a, const double* b, size_t n) {
    double total = 0.0;
    for (size_t i = 0; i < n; ++i) total += a[i] * b[i];
    return total;
}

// What lies nearest among a rule's covariances: its M-step without a ridge or a prior.
MStep bare(MStep step, const double* zeros) {
    step.ridge = zeros;
    step.count = step.strength = 0.0;
    step.scatter = step.centre = nullptr;
    return step;
}

}  // namespace

Leaps::Leaps(const MStep& step, int K, int d)
    : layout_(layout_of(step.rule)), K_(K), d_(d), plain_(is_plain(step.rule) && std::isinf(step.ratio)),
      equal_weights_(step.equal_weights), covariances_(covariance_size(layout_, K, d)),
      size_(K + static_cast<size_t>(K) * d + covariances_), zeros_(std::max(d, K * d)),
      nearest_(bare(step, zeros_.data()), K, d), images_(2 * size_ * (kSecants + 1)), metric_(kSecants * size_),
      change_(2 * size_), precision_(static_cast<size_t>(K) * d * d), product_(static_cast<size_t>(d) * d),
      moments_(covariances_), used_(kSecants) {}

void Leaps::note(const double* point, const double* image) {
    last_ = (last_ + 1) % (kSecants + 1);
    known_ = std::min(known_ + 1, kSecants + 1);
    double* const to = images_.data() + static_cast<size_t>(last_) * 2 * size_;
    std::copy_n(point, size_, to);
    std::copy_n(image, size_, to + size_);
}

// The metric times a change: for one row, dw^2 / w + w dm' P dm + w tr(P dS P dS) / 2 is the length of a change of a
// component with the weight w and the precision P (Magnus & Neudecker 1999, chapter 15).
void Leaps::measure(const Mixture& here, const double* change, double* out) {
    const int K = K_, d = d_;
    const double *const moves = change + K, *const bends = moves + K * d;
    double *const out_means = out + K, *const out_covariances = out_means + K * d;
    for (int k = 0; k < K; ++k) {
        const double w = here.weights[k];
        out[k] = w > 0.0 && !equal_weights_ ? change[k] / w : 0.0;
        if (layout_ == Shape::full || layout_ == Shape::tied) {
            const bool tied = layout_ == Shape::tied;
            const double* const p = precision_.data() + (tied ? 0 : static_cast<size_t>(k) * d * d);
            for (int i = 0; i < d; ++i) out_means[k * d + i] = w * dot(p + i * d, moves + k * d, d);
            if (tied && k > 0) continue;
            const double* const bend = bends + static_cast<size_t>(k) * d * d;
            double* const to = out_covariances + static_cast<size_t>(k) * d * d;
            // P and the change are symmetric: rows stand for columns.
            for (int i = 0; i < d; ++i)
                for (int j = 0; j < d; ++j) product_[i * d + j] = dot(p + i * d, bend + j * d, d);
            const double half = tied ? 0.5 : 0.5 * w;
            for (int i = 0; i < d; ++i)
                for (int j = 0; j <= i; ++j) {
                    to[i * d + j] = to[j * d + i] = half * dot(product_.data() + i * d, p + j * d, d);
                }
            continue;
        }
        for (int j = 0; j < d; ++j) {
            const double white = here.whitening[layout_ == Shape::diag ? k * d + j : k], p = white * white;
            out_means[k * d + j] = w * p * moves[k * d + j];
            if (layout_ == Shape::diag) out_covariances[k * d + j] = 0.5 * w * p * p * bends[k * d + j];
            else if (j == 0) out_covariances[k] = 0.5 * w * d * p * p * bends[k];
        }
    }
}

double Leaps::rate(const Mixture& here) {
    q_ = 0;
    if (known_ < 2) return std::numeric_limits<double>::quiet_NaN();
    const int d = d_;
    if (layout_ == Shape::full || layout_ == Shape::tied) {
        for (int k = 0; k < (layout_ == Shape::tied ? 1 : K_); ++k) {
            const size_t at = static_cast<size_t>(k) * d * d;
            const double* const white = here.whitening + at;
            for (int i = 0; i < d; ++i)
                for (int j = 0; j <= i; ++j) {
                    double sum = 0.0;
                    for (int l = i; l < d; ++l) sum += white[l * d + i] * white[l * d + j];
                    precision_[at + i * d + j] = precision_[at + j * d + i] = sum;
                }
        }
    }
    // The newest secants first; those that lie within the others are left out.
    double lengths[kSecants], products[kSecants * kSecants];
    double *const u = change_.data(), *const v = u + size_;
    for (int back = 0; back + 1 < known_; ++back) {
        const double *const newer = at(back), *const older = at(back + 1);
        for (size_t i = 0; i < size_; ++i) u[i] = newer[i] - older[i];
        double* const measured = metric_.data() + static_cast<size_t>(q_) * size_;
        measure(here, u, measured);
        const double square = dot(u, measured, size_);
        if (!(square > 0.0 && std::isfinite(square))) continue;
        const double length = std::sqrt(square);
        for (size_t i = 0; i < size_; ++i) measured[i] /= length;
        double own = 1.0;
        double* const row = factor_ + q_ * kSecants;
        for (int i = 0; i < q_; ++i) {
            double sum = dot(metric_.data() + static_cast<size_t>(i) * size_, u, size_) / length;
            for (int l = 0; l < i; ++l) sum -= row[l] * factor_[i * kSecants + l];
            row[i] = sum / factor_[i * kSecants + i];
            own -= row[i] * row[i];
        }
        if (!(own > kOwn)) continue;
        row[q_] = std::sqrt(own);
        used_[q_] = back;
        lengths[q_++] = length;
    }
    if (q_ == 0) return std::numeric_limits<double>::quiet_NaN();
    const int q = q_;
    // U' W V, whose other half is the same near a maximum.
    for (int j = 0; j < q; ++j) {
        const double *const newer = at(used_[j]) + size_, *const older = at(used_[j] + 1) + size_;
        for (size_t i = 0; i < size_; ++i) v[i] = (newer[i] - older[i]) / lengths[j];
        for (int i = 0; i < q; ++i) products[i * kSecants + j] = dot(metric_.data() + i * size_, v, size_);
    }
    const double *const point = at(0), *const image = point + size_;
    for (size_t i = 0; i < size_; ++i) u[i] = image[i] - point[i];
    for (int i = 0; i < q; ++i) along_[i] = dot(metric_.data() + i * size_, u, size_);
    // Between L^-1 and L^-T; then of the residual too.
    double between[kSecants * kSecants];
    for (int j = 0; j < q; ++j) {
        for (int i = 0; i < q; ++i) {
            double sum = 0.5 * (products[i * kSecants + j] + products[j * kSecants + i]);
            for (int l = 0; l < i; ++l) sum -= factor_[i * kSecants + l] * between[l * kSecants + j];
            between[i * kSecants + j] = sum / factor_[i * kSecants + i];
        }
    }
    for (int i = 0; i < q; ++i) {
        for (int j = 0; j <= i; ++j) {
            double sum = between[i * kSecants + j];
            for (int l = 0; l < j; ++l) sum -= factor_[j * kSecants + l] * vectors_[i * q + l];
            vectors_[i * q + j] = vectors_[j * q + i] = sum / factor_[j * kSecants + j];
        }
        double sum = along_[i];
        for (int l = 0; l < i; ++l) sum -= factor_[i * kSecants + l] * along_[l];
        along_[i] = sum / factor_[i * kSecants + i];
    }
    double scratch[kSecants];
    if (!eigen(q, vectors_, values_, scratch)) {
        q_ = 0;
        return std::numeric_limits<double>::quiet_NaN();
    }
    for (int i = 0; i < q; ++i) lengths_[used_[i]] = lengths[i];
    return std::max(values_[q - 1], 0.0);
}

// Whether weights and covariances are positive; a weight that is nothing in the image stays nothing.
bool Leaps::is_inside(const double* point, const double* image) {
    const int K = K_, d = d_;
    for (int k = 0; k < K; ++k) {
        if (image[k] > 0.0 ? !(point[k] > 0.0) : point[k] != image[k]) return false;
    }
    const double* const covariances = point + K + K * d;
    if (layout_ == Shape::diag || layout_ == Shape::spherical) {
        return std::all_of(covariances, covariances + covariances_, [](double value) { return value > 0.0; });
    }
    double log_diagonal;
    for (int k = 0; k < (layout_ == Shape::tied ? 1 : K); ++k) {
        const double* const matrix = covariances + static_cast<size_t>(k) * d * d;
        if (!log_determinant_half(matrix, d, product_.data(), &log_diagonal)) return false;
    }
    return true;
}

// The covariances of the rule that come nearest by weight (Kullback-Leibler).
bool Leaps::into_shape(double* point, const double* image) {
    const int K = K_, d = d_;
    double* const covariances = point + K + K * d;
    const size_t block = layout_ == Shape::tied ? covariances_ : covariances_ / K;
    for (size_t i = 0; i < covariances_; ++i) {
        const double rows = layout_ == Shape::tied ? 1.0 : point[i / block];
        moments_[i] = covariances[i] * rows * (layout_ == Shape::spherical ? d : 1);
    }
    std::copy_n(point, size_, change_.data());
    double* const from = const_cast<double*>(image);
    const Mixture old{from, change_.data() + K, from + K + K * d, nullptr, nullptr, nullptr};
    const Mixture found{point, point + K, covariances, nullptr, nullptr, nullptr};
    return nearest_.maximize({change_.data(), zeros_.data(), moments_.data()}, old, found) < 0;
}

bool Leaps::propose(double* out) {
    const int q = q_, K = K_, d = d_;
    if (q == 0 || values_[q - 1] > kExpands) return false;
    // (U'WU - U'WV)^-1 U'W r, through the eigenvectors. Where the map expands a little, Newton's step would lead back
    // to the saddle that it is leaving: there only the reach counts.
    double shares[kSecants];
    std::fill_n(shares, q, 0.0);
    for (int j = 0; j < q; ++j) {
        double sum = 0.0;
        for (int i = 0; i < q; ++i) sum += vectors_[i * q + j] * along_[i];
        sum /= std::max(1.0 - values_[j], 1.0 / reach_);
        for (int i = 0; i < q; ++i) shares[i] += vectors_[i * q + j] * sum;
    }
    for (int i = q - 1; i >= 0; --i) {
        for (int l = i + 1; l < q; ++l) shares[i] -= factor_[l * kSecants + i] * shares[l];
        shares[i] /= factor_[i * kSecants + i];
    }
    double* const leap = change_.data();
    std::fill_n(leap, size_, 0.0);
    for (int j = 0; j < q; ++j) {
        const double share = shares[j] / lengths_[used_[j]];
        if (!std::isfinite(share)) return false;
        const double *const newer = at(used_[j]) + size_, *const older = at(used_[j] + 1) + size_;
        for (size_t i = 0; i < size_; ++i) leap[i] += share * (newer[i] - older[i]);
    }
    const double* const image = this->image();
    for (int halving = 0; halving < kMaxHalvings; ++halving) {
        for (size_t i = 0; i < size_; ++i) out[i] = image[i] + leap[i];
        if (is_inside(out, image)) return plain_ || into_shape(out, image);
        for (size_t i = 0; i < size_; ++i) leap[i] *= 0.5;
    }
    return false;
}

}  // namespace jensen
