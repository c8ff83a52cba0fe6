// Whitening factors of small covariances: inverses of Cholesky factors, a row of a matrix in one or a few vectors.
#pragma once

#include "log_product.hpp"
#include "workspace.hpp"

namespace JENSEN_ISA {

// The rows of a matrix, and nothing behind their last numbers.
template <int D>
struct Square {
    static constexpr int kVectors = (D + kLanes<double> - 1) / kLanes<double>;
    Vec<double> row[D][kVectors] = {};

    JENSEN_INLINE double at(int i, int j) const { return row[i][j / kLanes<double>][j % kLanes<double>]; }
};

// The inverse W of the lower Cholesky factor of a symmetric matrix A (D, D), the sum of the logarithms of the factor's
// diagonal, and tr(R A^-1) / 2 for R of diagonal `ridge`; whether A is positive definite.
template <int D>
bool invert_factor(const double* matrix, const double* ridge, double* inverse, double* log_diagonal, double* penalty) {
    constexpr int L = kLanes<double>, V = Square<D>::kVectors;
    Square<D> u, w;  // A = U'U, and W U' = 1
    double reciprocals[D];
    jensen::LogProduct roots;
#pragma GCC unroll 8
    for (int i = 0; i < D; ++i) __builtin_memcpy(u.row[i], matrix + i * D, D * sizeof(double));
#pragma GCC unroll 8
    for (int j = 0; j < D; ++j) {
        const double pivot = u.at(j, j);
        // Neither infinities nor what is no number lie below the largest number.
        if (!(pivot > 0.0 && pivot <= 1.7976931348623157e308)) return false;
        const double root = __builtin_sqrt(pivot);
        reciprocals[j] = 1.0 / root;
        roots.times(root);
#pragma GCC unroll 8
        for (int v = j / L; v < V; ++v) u.row[j][v] *= reciprocals[j];
#pragma GCC unroll 8
        for (int i = j + 1; i < D; ++i)
#pragma GCC unroll 8
            for (int v = i / L; v < V; ++v) u.row[i][v] -= u.at(j, i) * u.row[j][v];
    }
    *log_diagonal = roots.log();
    Vec<double> squares[V] = {};
#pragma GCC unroll 8
    for (int i = 0; i < D; ++i) {
        w.row[i][i / L][i % L] = 1.0;
#pragma GCC unroll 8
        for (int v = 0; v <= i / L; ++v) {
#pragma GCC unroll 8
            for (int l = v * L; l < i; ++l) w.row[i][v] -= u.at(l, i) * w.row[l][v];
            w.row[i][v] *= reciprocals[i];
            squares[v] += w.row[i][v] * w.row[i][v];
        }
        __builtin_memcpy(inverse + i * D, w.row[i], D * sizeof(double));
    }
    Vec<double> scale[V] = {}, total = {};
    __builtin_memcpy(scale, ridge, D * sizeof(double));
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) total += squares[v] * scale[v];
    *penalty = 0.5 * sum<double>(total);
    return true;
}

// The same of K matrices in d <= 8 features. Returns -1, or the first that is not positive definite.
inline int factorise(int K, int d, const double* matrices, const double* ridge, double* inverses, double* log_diagonals,
                     double* penalties) {
    constexpr decltype(&invert_factor<1>) of[kSmall] = {
        invert_factor<1>, invert_factor<2>, invert_factor<3>, invert_factor<4>,
        invert_factor<5>, invert_factor<6>, invert_factor<7>, invert_factor<8>,
    };
    for (int k = 0; k < K; ++k) {
        const int64_t at = static_cast<int64_t>(k) * d * d;
        if (!of[d - 1](matrices + at, ridge, inverses + at, log_diagonals + k, penalties + k)) return k;
    }
    return -1;
}

}  // namespace JENSEN_ISA
