// The M-step of Gaussian components and what the next E-step needs of it, for few features.
#pragma once

#include <limits>
#include <vector>

#include "shapes.hpp"
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

// What an M-step maximises within: kernels/mstep.py.
struct MStep {
    Rule rule = Rule::VVV;
    const double* ridge = nullptr;    // (d,) diagonal of R
    double count = 0.0;               // a prior's pseudo-rows for each component
    const double* scatter = nullptr;  // their scatter, a block of the layout: (d, d), (d,) or (1,); or null
    double strength = 0.0;            // their pull on the means
    const double* centre = nullptr;   // (d,) where they pull to; or null
    double ratio = std::numeric_limits<double>::infinity();
    bool equal_weights = false;
};

class Maximizer {
  public:
    Maximizer(const MStep& step, int K, int d);

    // Whether an M-step may begin at these covariances.
    bool begins_at(const double* covariances) { return shaper_.begins_at(covariances); }

    // Maximise: weights, means and covariances. `old` gives the shift of the moments, and the covariances of components
    // without rows. Returns -1, the first component whose covariance is not positive definite, or K for all together.
    int maximize(const Moments& moments, const Mixture& old, const Mixture& out);

    // Log-density of the prior, without its constant; whitening and constants are there.
    double log_prior(const Mixture& mixture) const;

  private:
    void centre(const Moments& moments, const Mixture& old, double* scatter);

    MStep step_;
    Shape layout_;
    int K_, d_;
    Shaper shaper_;
    std::vector<double> moves_, counts_, scatter_;
};

// What the E-step needs of the covariances: fills in whitening, constants and penalty. Returns -1, or the first
// component whose covariance is not positive definite. Every E-step of few features takes it from here, alone or in a
// burst, so that both give the same bits. `scratch` has room for d * d.
int factors(const Kernels& kernels, Shape shape, int K, int d, const double* ridge, const Mixture& mixture,
            double* scratch);

// Numbers in the covariances of K components.
size_t covariance_size(Shape shape, int K, int d);

}  // namespace jensen
