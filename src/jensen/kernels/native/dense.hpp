// Small dense matrices, row by row: Cholesky factors, eigenvalues, linear systems. Sizes are those of a few features or
// components, at which a library's calls cost more than the work.
#pragma once

namespace jensen {

// Lower Cholesky factor of a symmetric matrix (d, d) and the inverse of the factor, from the lower triangle; and the
// sum of the logarithms of the factor's diagonal. False if the matrix is not positive definite.
bool factorise(const double* matrix, int d, double* factor, double* inverse, double* log_diagonal);

// The factor alone, and log|matrix| / 2.
bool log_determinant_half(const double* matrix, int d, double* factor, double* log_diagonal);

// Eigenvalues, ascending, of a symmetric matrix (n, n), whose place the eigenvectors take, as columns. `scratch` has
// room for n. False if an entry is not finite.
bool eigen(int n, double* matrix, double* values, double* scratch);

// The smallest eigenvalues (K,) of symmetric matrices (K, d, d) in units of a positive definite one (d, d). False if that
// is not positive definite, or an entry is not finite. `scratch` has room for 3 d * d + 2 d.
bool smallest_ratios(int K, int d, const double* matrices, const double* unit, double* scratch, double* out);

// The symmetric matrix (d, d) with the given eigenvalues (d,) and eigenvectors, columns of (d, d).
void compose(int d, const double* values, const double* vectors, double* out);

// Solve a positive definite system in place of its right side, with a factor (n, n) in `factor`. False, and nothing
// done, if the matrix is not clearly positive definite.
bool solve_positive(int n, const double* matrix, double* factor, double* right);

}  // namespace jensen
