// Records of points, and the E-step there.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "scratch.hpp"
#include "update.hpp"

namespace jensen {

// The last numbers of a record.
enum class Mark : int {
    objective,
    plain,   // 1 for an M-step from the point before, 0 for a leap
    ratio,   // of the gains to come, as the secants tell it; not a number where nothing is known of it
    passes,  // that it took: leaps that were refused on the way count
};
constexpr int kMarks = 4;

// Numbers in the record of one point: weights (K,), means (K, d), covariances, counts (K,), first moments (K, d),
// scatter; then what `Mark` names.
inline size_t record_size(Shape shape, int K, int d) {
    return 2 * (K + static_cast<size_t>(K) * d + covariance_size(shape, K, d)) + kMarks;
}

// The E-step at the parameters of a record, into its moments and its objective.
template <class T>
class Expecting {
  public:
    Expecting(const Kernels& kernels, const Task<T>& task, const MStep& step, const Maximizer& maximizer)
        : kernels_(kernels), task_(task), step_(step), maximizer_(maximizer), K_(task.K), d_(task.d),
          size_(covariance_size(task.shape, task.K, task.d)), scratch_(d_ * d_ + size_ + 3 * K_),
          room_((kernels.*Passes<T>::scratch)(task.d, task.K, task.shape)) {
        if (const size_t size = (kernels.*Passes<T>::kept)(task.n, task.d, task.K, task.shape)) {
            kept_.reset(new Scratch(size));
            task_.kept = kept_->get();
        }
    }

    size_t numbers() const { return K_ + K_ * d_ + size_; }

    // A record's parameters, with the factors of the last E-step.
    Mixture mixture(double* record) {
        double* const factors = scratch_.data() + d_ * d_;
        return {record, record + K_, record + K_ + K_ * d_, factors, factors + size_, factors + size_ + K_};
    }

    Moments moments(const double* record) const {
        const double* const at = record + numbers();
        return {at, at + K_, at + K_ + K_ * d_};
    }

    // -1, or the component that has no density.
    int operator()(double* record) {
        const Mixture at = mixture(record);
        const int failed = look_at(at);
        if (failed >= 0) return failed;
        task_.counts = record + numbers();
        task_.first = task_.counts + K_;
        task_.scatter = task_.first + K_ * d_;
        std::fill_n(task_.counts, numbers(), 0.0);
        task_.loglik = 0.0;
        (kernels_.*Passes<T>::moments)(task_, room_.get());
        marks(record)[static_cast<int>(Mark::objective)] = task_.loglik + maximizer_.log_prior(at);
        return -1;
    }

    // Responsibilities (n, K) at a record, and nothing else; -1, or the component that has no density.
    int responsibilities(double* record, double* out) {
        const int failed = look_at(mixture(record));
        if (failed >= 0) return failed;
        Rows rows;
        rows.responsibilities = out;
        (kernels_.*Passes<T>::rows)(task_, rows, room_.get());
        return -1;
    }

    double* marks(double* record) const { return record + 2 * numbers(); }

  private:
    int look_at(const Mixture& at) {
        const int failed = factors(kernels_, task_.shape, task_.K, task_.d, step_.ridge, at, scratch_.data());
        if (failed >= 0) return failed;
        double* const offsets = at.penalty + K_;
        for (size_t k = 0; k < K_; ++k) {
            // The logarithm of an empty component's share is minus infinity, as it should be.
            offsets[k] = at.constants[k] - at.penalty[k] + std::log(at.weights[k]);
        }
        task_.centres = at.means;
        task_.whitening = at.whitening;
        task_.offsets = offsets;
        return -1;
    }

    const Kernels& kernels_;
    Task<T> task_;
    const MStep& step_;
    const Maximizer& maximizer_;
    size_t K_, d_, size_;
    std::vector<double> scratch_;
    Scratch room_;
    std::unique_ptr<Scratch> kept_;  // the rows as passes take them
};

}  // namespace jensen
