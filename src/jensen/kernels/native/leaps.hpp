// Extrapolation of EM's steps within a burst: quasi-Newton from secants of points and of their images under EM's map
// (Zhou, Alexander & Lange 2011), in the metric of the complete-data information, in which the map's derivative is
// symmetric near a maximum (Dempster, Laird & Rubin 1977, section 3): a change of column units or axes changes nothing.
#pragma once

#include <algorithm>
#include <vector>

#include "update.hpp"

namespace jensen {

class Leaps {
  public:
    // For mixtures of K components in d features under an M-step.
    Leaps(const MStep& step, int K, int d);

    // Note a point of a run and what the M-step makes of it: weights, means and covariances, one after another.
    void note(const double* point, const double* image);

    // What the M-step made of the last point.
    const double* image() const { return images_.data() + last_ * 2 * size_ + size_; }

    // The last proposal was higher, so that the next may go further; or it was not: every point but the last is
    // forgotten, and the next goes less far.
    void accepted() { reach_ *= 2.0; }
    void refused() {
        reach_ = std::max(reach_ / 4.0, 2.0);
        known_ = known_ > 0 ? 1 : 0;
    }

    // The slowest rate of the map among the secants at the last point, whose whitening is `here`'s; 1 or more where the
    // map expands, not a number where nothing is known. To be called before `propose`.
    double rate(const Mixture& here);

    // A point that lies ahead, into `out`; false where the secants do not tell, or it has no covariances.
    bool propose(double* out);

  private:
    // More of them are of more use at the end, and of less on the way there.
    static constexpr int kSecants = 3;

    const double* at(int back) const {
        return images_.data() + static_cast<size_t>((last_ + kSecants + 1 - back) % (kSecants + 1)) * 2 * size_;
    }
    void measure(const Mixture& here, const double* change, double* out);
    bool is_inside(const double* point, const double* image);
    bool into_shape(double* point, const double* image);

    Shape layout_;
    int K_, d_, known_ = 0, last_ = 0, q_ = 0;
    bool plain_, equal_weights_;
    double reach_ = 4.0;  // how many plain steps a leap may be long in any direction
    size_t covariances_, size_;  // numbers of the covariances, and of a point
    std::vector<double> zeros_;
    Maximizer nearest_;
    std::vector<double> images_, metric_, change_, precision_, product_, moments_;
    std::vector<int> used_;
    // Of the secants: Cholesky factor of their products, eigenvectors and eigenvalues of the map, sums along them.
    double factor_[kSecants * kSecants], vectors_[kSecants * kSecants], values_[kSecants], along_[kSecants];
    double lengths_[kSecants];
};

}  // namespace jensen
