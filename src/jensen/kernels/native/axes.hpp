// One orientation with shapes of their own: EVE and VVE. The twin of families/shapes/axes.py, which has the
// mathematics, but for the search from nowhere: this one always begins at given axes.
#pragma once

#include <cstddef>
#include <vector>

namespace jensen {

class Axes {
  public:
    Axes(int K, int d);

    // Begin at the axes of covariances (K, d, d); returns whether all of them are diagonal there.
    bool begin(int K, const double* covariances);

    // Go downhill, for scatters (K, d, d), to axes of a minimum. Returns -1, or the first component that has no scatter
    // along one of them.
    int descend(int K, const double* counts, const double* scatter, bool equal_volume);

    // The axes, columns of (d, d), and the scatters along them (K, d).
    const double* axes() const { return axes_.data(); }
    const double* values() const { return values_.data(); }

  private:
    bool rotate(int K, const double* scatter, const double* axes);
    double value(int K) const;
    double expand(int K);
    double direction(double* step);

    int d_, p_;
    bool equal_volume_ = false;
    int failed_ = -1;
    double log_scale_ = 0.0;
    std::vector<double> axes_, turned_, half_, skew_, inside_, values_, sums_, shares_, pull_, rates_, scratch_;
    std::vector<double> slope_, step_, curvature_, factor_, bends_, totals_, middle_, bent_;
};

}  // namespace jensen
