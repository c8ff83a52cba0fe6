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

// Maximise. `old` gives the shift of the moments and the covariances of components without rows. Returns -1, or the
// first component whose covariance is not positive definite.
int maximize(Shape shape, int K, int d, const Moments& moments, const Mixture& old, const double* ridge,
             const Mixture& out, double* scratch);

// What the E-step needs of the covariances: fills in whitening, constants and penalty. Returns as `maximize` does.
// Every E-step of few features takes it from here, alone or in a burst, so that both give the same bits.
int factors(Shape shape, int K, int d, const double* ridge, const Mixture& mixture, double* scratch);

// Doubles of scratch that `maximize` needs.
size_t maximize_scratch(int K, int d);

// One record for each of up to `steps` iterations, in arrays with the iteration in front; entry 0 is the start and is
// read, with its moments and without its factors.
struct Trail {
    Mixture mixture;
    double *counts, *first, *scatter, *objective;
};

// EM from entry 0 of the trail, which has room for `steps` + 1. Returns how many iterations were done; `failed` is -1,
// or the component whose covariance ended it. `task` brings the data.
int burst(const Kernels& kernels, Task<double> task, const double* ridge, int steps, const Trail& trail, int* failed);

}  // namespace jensen
