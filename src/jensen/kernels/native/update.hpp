// The closed-form M-step of Gaussian components and what the next E-step needs of it, for few features; and many
// iterations of EM on one small block in a row.
#pragma once

#include "task.hpp"

namespace jensen {

// Arrays of one set of parameters of K components in d features, in the layouts of the passes.
struct Mixture {
    double* weights;      // (K,)
    double* means;        // (K, d)
    double* covariances;  // (K, d, d), (d, d), (K, d) or (K,)
    double* whitening;    // of the same shape
    double* constants;    // (K,) -d/2 log(2 pi) - log|L_k|
    double* penalty;      // (K,) tr(R Sigma_k^-1) / 2
};

struct Moments {
    const double* counts;
    const double* first;
    const double* scatter;
};

// Maximise: weights, means and covariances. `old` gives the shift of the moments, and the covariances of components
// without rows.
void maximize(Shape shape, int K, int d, const Moments& moments, const Mixture& old, const double* ridge,
              const Mixture& out, double* scratch);

// What the E-step needs of the covariances: fills in whitening, constants and penalty. Returns -1, or the first
// component whose covariance is not positive definite. Every E-step of few features takes it from here, alone or in a
// burst, so that both give the same bits.
int factors(Shape shape, int K, int d, const double* ridge, const Mixture& mixture, double* scratch);

// Doubles of scratch that `maximize` needs.
size_t maximize_scratch(int K, int d);

// Numbers in the record of one step: weights (K,), means (K, d), covariances, counts (K,), first moments (K, d), scatter
// and the objective.
size_t record_size(Shape shape, int K, int d);

// EM from the record in front of `records`, which has room for `steps` more. Its parameters are read, and its moments
// too, unless `from_start` asks for the E-step there first. Returns how many steps were done, -1 if not even that E-step
// could be; `failed` is -1, or the component whose covariance ended it. `task` brings the data.
int burst(const Kernels& kernels, Task<double> task, const double* ridge, int steps, bool from_start, double* records,
          int* failed);

}  // namespace jensen
