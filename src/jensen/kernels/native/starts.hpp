// k-means and moments of labelled rows: what a start needs, without a temporary of the size of the data.
#pragma once

#include "dispatch.hpp"

namespace jensen {

// Greedy k-means++ on rows z (n, d) of weights (n,), so many times. For each, `uniforms` holds 1 + (K - 1) * candidates
// numbers in [0, 1).
void seed_rows(const Kernels& kernels, const double* z, const double* weight, int64_t n, int d, int K, int candidates,
               const double* uniforms, int64_t times, int64_t* seeds);

// Lloyd's iterations from `centres` (K, d), which end where the labels (n,) put them.
void lloyd(const Kernels& kernels, const double* z, const double* weight, int64_t n, int d, int K, int max_iter,
           double rest, double* centres, int64_t* labels);

// Counts (K,), means (K, d) and scatter about those means of labelled rows; labels below 0 are left out.
void labelled_moments(const double* x, const double* weight, const int64_t* labels, int64_t n, int d, int K,
                      Shape shape, double* counts, double* means, double* scatter);

// Weighted mean, sum of squares about it, and extremes of each column; rows of weight 0 are passed over. Returns the sum
// of the weights.
double column_moments(const double* x, const double* weight, int64_t n, int d, double* mean, double* squares,
                      double* low, double* high);

// The keys of `numerics.order.row_keys`.
void row_keys(const double* x, int64_t n, int d, uint64_t seed, const uint64_t* multipliers, uint64_t* keys);

}  // namespace jensen
