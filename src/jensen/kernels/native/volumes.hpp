// Volumes of their own around one shape: VEI, VEE and VEV. The twin of families/shapes/volumes.py, which has the
// mathematics.
#pragma once

#include <vector>

namespace jensen {

// Scratch, and the two forms of the search. Both return -1, the first component without scatter, or K if the part that
// is common to all is not positive definite.
class Volumes {
  public:
    Volumes(int K, int d);

    // Variances (K, d) of one shape from scatter along axes (K, d). `start` has log-volumes to begin at, or is null.
    int along_axes(int K, const double* counts, const double* values, const double* start, double* out);

    // Covariances (K, d, d) of one shape and orientation from scatter (K, d, d).
    int together(int K, const double* counts, const double* scatter, const double* start, double* out);

  private:
    template <class Pooled>
    int search(int K, const double* counts, double n, const double* traces, const double* start, Pooled pooled);
    bool step_from(int K);

    int d_;
    double size_ = 0.0;  // log|M|
    std::vector<double> logs_, trial_, traces_, slope_, step_, shares_, products_, curvature_, factor_, bends_;
    std::vector<double> total_, white_, flat_, half_;
};

}  // namespace jensen
