#include "dense.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "log_product.hpp"

namespace jensen {

namespace {

// A pivot below this share of the largest diagonal entry leaves the sign of an eigenvalue open.
constexpr double kClear = 1e-10;
// Implicit QL takes about two rounds for an eigenvalue.
constexpr int kMaxRounds = 100;

}  // namespace

bool log_determinant_half(const double* matrix, int d, double* factor, double* log_diagonal) {
    LogProduct roots;
    for (int j = 0; j < d; ++j) {
        double pivot = matrix[j * d + j];
        for (int l = 0; l < j; ++l) pivot -= factor[j * d + l] * factor[j * d + l];
        if (!(pivot > 0.0 && std::isfinite(pivot))) return false;
        const double root = factor[j * d + j] = std::sqrt(pivot), inverse = 1.0 / root;
        roots.times(root);
        for (int i = j + 1; i < d; ++i) {
            double sum = matrix[i * d + j];
            for (int l = 0; l < j; ++l) sum -= factor[i * d + l] * factor[j * d + l];
            factor[i * d + j] = sum * inverse;
        }
    }
    *log_diagonal = roots.log();
    return true;
}

bool factorise(const double* matrix, int d, double* factor, double* inverse, double* log_diagonal) {
    if (!log_determinant_half(matrix, d, factor, log_diagonal)) return false;
    for (int j = 0; j < d; ++j) inverse[j * d + j] = 1.0 / factor[j * d + j];
    for (int j = 0; j < d; ++j) {
        for (int i = 0; i < j; ++i) inverse[i * d + j] = 0.0;
        for (int i = j + 1; i < d; ++i) {
            double sum = 0.0;
            for (int l = j; l < i; ++l) sum += factor[i * d + l] * inverse[l * d + j];
            inverse[i * d + j] = -sum * inverse[i * d + i];
        }
    }
    return true;
}

namespace {

// Householder reflections to a tridiagonal matrix: diagonal in `values`, what is below it in `below` from 1 on. The
// reflections are multiplied up in v (Golub & Van Loan 2013, section 8.3.1), rows taken from the last.
void tridiagonalise(int n, double* v, double* values, double* below) {
    for (int i = n - 1; i > 0; --i) {
        double* const row = v + i * n;
        double scale = 0.0;
        for (int k = 0; k < i - 1; ++k) scale = std::max(scale, std::fabs(row[k]));
        if (scale == 0.0) {
            below[i] = row[i - 1];
            values[i] = 0.0;
            continue;
        }
        scale = std::max(scale, std::fabs(row[i - 1]));
        double norm = 0.0;
        for (int k = 0; k < i; ++k) {
            row[k] /= scale;
            norm += row[k] * row[k];
        }
        const double last = row[i - 1], root = last > 0.0 ? -std::sqrt(norm) : std::sqrt(norm);
        below[i] = scale * root;
        // u = row - root e, and |u|^2 / 2.
        const double half = norm - last * root;
        row[i - 1] = last - root;
        values[i] = half;
        // p = A u / half, then A - u q' - q u' with q = p - (u'p / 2 half) u; u / half is kept in the column.
        double along = 0.0;
        for (int j = 0; j < i; ++j) {
            v[j * n + i] = row[j] / half;
            double sum = 0.0;
            for (int k = 0; k <= j; ++k) sum += v[j * n + k] * row[k];
            for (int k = j + 1; k < i; ++k) sum += v[k * n + j] * row[k];
            below[j] = sum / half;
            along += below[j] * row[j];
        }
        along /= 2.0 * half;
        for (int j = 0; j < i; ++j) {
            const double q = below[j] -= along * row[j];
            for (int k = 0; k <= j; ++k) v[j * n + k] -= row[j] * below[k] + q * row[k];
        }
    }
    below[0] = values[0] = 0.0;
    for (int i = 0; i < n; ++i) {
        if (values[i] != 0.0) {
            for (int j = 0; j < i; ++j) {
                double sum = 0.0;
                for (int k = 0; k < i; ++k) sum += v[i * n + k] * v[k * n + j];
                for (int k = 0; k < i; ++k) v[k * n + j] -= sum * v[k * n + i];
            }
        }
        values[i] = v[i * n + i];
        v[i * n + i] = 1.0;
        for (int j = 0; j < i; ++j) v[i * n + j] = v[j * n + i] = 0.0;
    }
}

// Implicit QL with Wilkinson's shifts (Golub & Van Loan 2013, section 8.3.5); rotations go into the rows of v.
bool diagonalise(int n, double* v, double* values, double* below) {
    constexpr double kSmall = std::numeric_limits<double>::epsilon(), kNothing = 1e-290;
    auto splits = [&](int m) {
        return std::fabs(below[m]) <= kSmall * (std::fabs(values[m]) + std::fabs(values[m + 1])) + kNothing;
    };
    for (int i = 1; i < n; ++i) below[i - 1] = below[i];
    below[n - 1] = 0.0;
    for (int l = 0; l < n; ++l) {
        for (int round = 0;; ++round) {
            int m = l;
            while (m + 1 < n && !splits(m)) ++m;
            if (m == l) break;
            if (round == kMaxRounds) return false;
            const double gap = (values[l + 1] - values[l]) / (2.0 * below[l]);
            double bulge = values[m] - values[l] + below[l] / (gap + std::copysign(std::hypot(gap, 1.0), gap));
            double sine = 1.0, cosine = 1.0, moved = 0.0;
            int i = m - 1;
            for (; i >= l; --i) {
                const double f = sine * below[i], b = cosine * below[i], length = std::sqrt(f * f + bulge * bulge);
                below[i + 1] = length;
                if (length == 0.0) {
                    // The matrix falls apart here.
                    values[i + 1] -= moved;
                    below[m] = 0.0;
                    break;
                }
                sine = f / length;
                cosine = bulge / length;
                const double at = values[i + 1] - moved, change = (values[i] - at) * sine + 2.0 * cosine * b;
                moved = sine * change;
                values[i + 1] = at + moved;
                bulge = cosine * change - b;
                double *const first = v + i * n, *const second = first + n;
                for (int k = 0; k < n; ++k) {
                    const double old = second[k];
                    second[k] = sine * first[k] + cosine * old;
                    first[k] = cosine * first[k] - sine * old;
                }
            }
            if (i >= l) continue;
            values[l] -= moved;
            below[l] = bulge;
            below[m] = 0.0;
        }
    }
    return true;
}

void transpose(int n, double* matrix) {
    for (int i = 0; i < n; ++i)
        for (int j = 0; j < i; ++j) std::swap(matrix[i * n + j], matrix[j * n + i]);
}

}  // namespace

bool eigen(int n, double* matrix, double* values, double* scratch) {
    double largest = 0.0;
    for (int i = 0; i < n * n; ++i) {
        if (!std::isfinite(matrix[i])) return false;
        largest = std::max(largest, std::fabs(matrix[i]));
    }
    // At a size of 1, squares are safe.
    const double scale = largest > 0.0 ? largest : 1.0;
    for (int i = 0; i < n * n; ++i) matrix[i] /= scale;
    tridiagonalise(n, matrix, values, scratch);
    transpose(n, matrix);
    if (!diagonalise(n, matrix, values, scratch)) return false;
    for (int i = 0; i < n; ++i) {
        const int least = static_cast<int>(std::min_element(values + i, values + n) - values);
        if (least != i) {
            std::swap(values[i], values[least]);
            std::swap_ranges(matrix + i * n, matrix + (i + 1) * n, matrix + least * n);
        }
        values[i] *= scale;
    }
    transpose(n, matrix);
    return true;
}

bool smallest_ratios(int K, int d, const double* matrices, const double* unit, double* scratch, double* out) {
    const int square = d * d;
    double *const inverse = scratch, *const half = inverse + square, *const inside = half + square;
    double* const values = inside + square;
    double log_diagonal;
    if (!factorise(unit, d, half, inverse, &log_diagonal)) return false;
    for (int k = 0; k < K; ++k) {
        const double* const matrix = matrices + static_cast<size_t>(k) * square;
        // L^-1 M L^-T, the inverse being lower triangular.
        for (int i = 0; i < d; ++i) {
            for (int j = 0; j < d; ++j) {
                double sum = 0.0;
                for (int l = 0; l <= i; ++l) sum += inverse[i * d + l] * matrix[l * d + j];
                half[i * d + j] = sum;
            }
        }
        for (int i = 0; i < d; ++i) {
            for (int j = 0; j <= i; ++j) {
                double sum = 0.0;
                for (int l = 0; l <= j; ++l) sum += half[i * d + l] * inverse[j * d + l];
                inside[i * d + j] = inside[j * d + i] = sum;
            }
        }
        if (!eigen(d, inside, values, values + d)) return false;
        out[k] = values[0];
    }
    return true;
}

void compose(int d, const double* values, const double* vectors, double* out) {
    for (int i = 0; i < d; ++i) {
        for (int j = 0; j <= i; ++j) {
            double sum = 0.0;
            for (int l = 0; l < d; ++l) sum += vectors[i * d + l] * values[l] * vectors[j * d + l];
            out[i * d + j] = out[j * d + i] = sum;
        }
    }
}

bool solve_positive(int n, const double* matrix, double* factor, double* right) {
    double largest = 0.0;
    for (int i = 0; i < n; ++i) largest = std::max(largest, matrix[i * n + i]);
    for (int i = 0; i < n; ++i) {
        for (int j = 0; j <= i; ++j) {
            double sum = matrix[i * n + j];
            for (int l = 0; l < j; ++l) sum -= factor[i * n + l] * factor[j * n + l];
            if (i > j) factor[i * n + j] = sum / factor[j * n + j];
            else if (sum > kClear * largest && std::isfinite(sum)) factor[i * n + i] = std::sqrt(sum);
            else return false;
        }
    }
    for (int i = 0; i < n; ++i) {
        for (int l = 0; l < i; ++l) right[i] -= factor[i * n + l] * right[l];
        right[i] /= factor[i * n + i];
    }
    for (int i = n - 1; i >= 0; --i) {
        for (int l = i + 1; l < n; ++l) right[i] -= factor[l * n + i] * right[l];
        right[i] /= factor[i * n + i];
    }
    return true;
}

}  // namespace jensen
