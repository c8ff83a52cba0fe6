// What a pass over a block of rows is given and what it fills in; the same for every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jensen {

enum class Shape : int { full = 0, tied = 1, diag = 2, spherical = 3 };

// n rows, d features, K components. Row-major arrays; T is float or double, everything else is double.
template <class T>
struct Task {
    int64_t n = 0;
    int d = 0;
    int K = 0;
    Shape shape = Shape::full;
    const T* x = nullptr;             // (n, d)
    const double* weight = nullptr;   // (n,), or null for weights of 1
    const double* centres = nullptr;  // (K, d)
    const double* whitening = nullptr;  // (K, d, d), (d, d), (K, d) or (K,)
    const double* offsets = nullptr;  // (K,)

    // For pruning, or null: each row's component at the last pass, -1 at the first, -2 in front where pruning does not
    // pay. Rows are then taken in the order of their components, and the array is brought up to date.
    int32_t* last = nullptr;   // (n,)
    int32_t* order = nullptr;  // (n,) scratch
    int32_t* starts = nullptr;  // (K + 1,) scratch

    // Room for all rows as passes take them, of as many bytes as `Kernels` says and aligned as the scratch
    // is, or null. The first pass fills it in; those after it find there what they would bring in anew.
    void* kept = nullptr;
    bool is_kept = false;

    double* counts = nullptr;   // (K,)
    double* first = nullptr;    // (K, d)
    double* scatter = nullptr;  // of the shape of `whitening`
    double loglik = 0.0;
};

// What the row-wise pass fills in; each may be null.
struct Rows {
    double* loglik = nullptr;            // (n,) log p(x_i)
    double* peak = nullptr;              // (n,) log of the largest pi_k f_k(x_i)
    double* responsibilities = nullptr;  // (n, K)
    int64_t* labels = nullptr;           // (n,)
};

// One instruction set's functions.
struct Kernels {
    const char* name;
    size_t (*scratch_double)(int d, int K, Shape shape);
    size_t (*scratch_float)(int d, int K, Shape shape);
    // Bytes of n rows that are kept from pass to pass; 0 where passes change them.
    size_t (*kept_double)(int64_t n, int d, int K, Shape shape);
    size_t (*kept_float)(int64_t n, int d, int K, Shape shape);
    void (*moments_double)(Task<double>&, void* scratch);
    void (*moments_float)(Task<float>&, void* scratch);
    void (*rows_double)(const Task<double>&, const Rows&, void* scratch);
    void (*rows_float)(const Task<float>&, const Rows&, void* scratch);
    // exp of n numbers, none above 0, as the passes compute it.
    void (*exp_double)(const double* x, double* out, int64_t n);
    void (*exp_float)(const float* x, float* out, int64_t n);
    // Of n points in columns (d, ld), the squared distance from another or what it was before, if that is less; returns
    // their sum by weight. Columns and all other arrays go on to a multiple of `kPadding` numbers, weights with zeros.
    double (*nearer)(const double* columns, int64_t ld, int64_t n, int d, const double* point, const double* before,
                     const double* weight, double* out);
    // Whitening factors in up to `kUnrolled` features: factors.hpp.
    int (*factorise)(int K, int d, const double* matrices, const double* ridge, double* inverses,
                     double* log_diagonals, double* penalties);
};

constexpr int kUnrolled = 8;

constexpr int kPadding = 8;

// The functions of an instruction set for rows of one precision.
template <class T>
struct Passes;

template <>
struct Passes<double> {
    static constexpr auto scratch = &Kernels::scratch_double;
    static constexpr auto kept = &Kernels::kept_double;
    static constexpr auto moments = &Kernels::moments_double;
    static constexpr auto rows = &Kernels::rows_double;
    static constexpr auto exp = &Kernels::exp_double;
};

template <>
struct Passes<float> {
    static constexpr auto scratch = &Kernels::scratch_float;
    static constexpr auto kept = &Kernels::kept_float;
    static constexpr auto moments = &Kernels::moments_float;
    static constexpr auto rows = &Kernels::rows_float;
    static constexpr auto exp = &Kernels::exp_float;
};

}  // namespace jensen
