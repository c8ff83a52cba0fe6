// EM of many components, of which pairs are merged until few are left. The twin of fit/starts/descent.py, which says
// what it is good for.
#pragma once

#include "expect.hpp"

namespace jensen {

// How to come down.
struct Way {
    int wanted = 0;       // components at the end
    double many = 0.0;    // above so many of them, a share is merged at once, disjoint pairs that are cheapest on paper
    double share = 0.0;
    int among_many = 0;   // steps of EM before that
    int steps = 0;        // and before each merge below, of the pair that costs the likelihood least
};

// From task.K components, weights, means and covariances one after another, whose place those at the end take. Returns
// the passes it took, each for its share of the wanted components; -1 if a mixture on the way has no density, or a pair
// no volume.
template <class T>
double descend(const Kernels& kernels, Task<T> task, const MStep& step, const Way& way, double* params);

// What merging each pair i < j would cost, row after row: families/moves.py::merge_losses, which has the formula.
// `weight` is that of all rows. False if a covariance is not positive definite.
bool merge_losses(Shape shape, int K, int d, double weight, const double* weights, const double* means,
                  const double* covariances, double* losses);

}  // namespace jensen
