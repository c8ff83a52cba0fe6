// Vectors of the width of one instruction set, and the two functions of them that EM needs.
//
// Every translation unit that includes this is compiled for another instruction set and defines JENSEN_ISA, the
// namespace that keeps its copies of the templates apart: were they shared, the linker could hand AVX-512 code to a
// machine without it. For the same reason nothing of the standard library's templates is used below this line.
#pragma once

#include <cstdint>
#ifdef __AVX512F__
#include <immintrin.h>
#elif defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace JENSEN_ISA {

constexpr int kBytes = JENSEN_VECTOR_BYTES;
constexpr int kRegisters = JENSEN_REGISTERS;

template <class T>
struct Traits;
template <>
struct Traits<double> {
    using Bits = int64_t;
    using Pattern = uint64_t;
};
template <>
struct Traits<float> {
    using Bits = int32_t;
    using Pattern = uint32_t;
};

template <class T>
struct VecOf {
    typedef T type __attribute__((vector_size(kBytes)));
};
template <class T>
using Vec = typename VecOf<T>::type;
template <class T>
using BitsVec = typename VecOf<typename Traits<T>::Bits>::type;
// Bit patterns to calculate with: unsigned, since exponents of what is masked out in the end run over.
template <class T>
using PatternVec = typename VecOf<typename Traits<T>::Pattern>::type;
template <class T>
constexpr int kLanes = kBytes / static_cast<int>(sizeof(T));

#define JENSEN_INLINE inline __attribute__((always_inline))
#define JENSEN_LAMBDA __attribute__((always_inline))

// Takes numbers too small to be normal for 0 while it lives. In single precision products of small responsibilities get
// there all the time, and some processors need a hundred cycles for each; in double precision they do not.
template <class T>
class FlushSmallest {
  public:
#ifdef __SSE__
    FlushSmallest() : before_(_mm_getcsr()) {
        if (sizeof(T) == sizeof(float)) _mm_setcsr(before_ | 0x8040u);
    }
    ~FlushSmallest() { _mm_setcsr(before_); }
    FlushSmallest(const FlushSmallest&) = delete;
    FlushSmallest& operator=(const FlushSmallest&) = delete;

  private:
    unsigned before_;
#endif
};

template <class T>
JENSEN_INLINE Vec<T> load(const T* p) {
    Vec<T> v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
JENSEN_INLINE void store(T* p, Vec<T> v) {
    __builtin_memcpy(p, &v, sizeof v);
}

template <class T>
JENSEN_INLINE Vec<T> splat(T s) {
    return s - Vec<T>{};
}

// The larger one; `a` where `b` is no number.
template <class T>
JENSEN_INLINE Vec<T> vmax(Vec<T> a, Vec<T> b) {
    return b > a ? b : a;
}

// Sums of shares, or 1 where a row is so far away that no component has any: they stay 0, rather than 0 / 0.
template <class T>
JENSEN_INLINE Vec<T> or_one(Vec<T> total) {
    return total > 0 ? total : splat(T(1));
}

template <class T>
JENSEN_INLINE Vec<T> square_root(Vec<T> v) {
    Vec<T> root;
    for (int l = 0; l < kLanes<T>; ++l) root[l] = static_cast<T>(__builtin_sqrt(static_cast<double>(v[l])));
    return root;
}

// Halve the vector and add, down to one lane. Shuffles, not memory: a vector whose address is taken leaves its register.
template <class V>
JENSEN_INLINE auto sum_lanes(V v) {
    constexpr int lanes = sizeof(V) / sizeof(v[0]);
    if constexpr (lanes == 16) {
        return sum_lanes(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                         __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
    } else if constexpr (lanes == 8) {
        return sum_lanes(__builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7));
    } else if constexpr (lanes == 4) {
        return sum_lanes(__builtin_shufflevector(v, v, 0, 1) + __builtin_shufflevector(v, v, 2, 3));
    } else {
        return v[0] + v[1];
    }
}

template <class V>
JENSEN_INLINE auto low_half(V v) {
    if constexpr (sizeof(V) == 64) return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
    else if constexpr (sizeof(V) == 32) return __builtin_shufflevector(v, v, 0, 1, 2, 3);
    else return __builtin_shufflevector(v, v, 0, 1);
}
template <class V>
JENSEN_INLINE auto high_half(V v) {
    if constexpr (sizeof(V) == 64) return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    else if constexpr (sizeof(V) == 32) return __builtin_shufflevector(v, v, 4, 5, 6, 7);
    else return __builtin_shufflevector(v, v, 2, 3);
}

template <class T>
JENSEN_INLINE T sum(Vec<T> v) {
    return sum_lanes(v);
}

// The sums of four vectors at once, in half the shuffles: pairs of lanes are added while two vectors become one.
template <class V, class T>
JENSEN_INLINE void sum_four(V a, V b, V c, V d, T* out) {
    constexpr int lanes = sizeof(V) / sizeof(T);
    if constexpr (lanes == 8) {
        const V ab = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14) +
                     __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
        const V cd = __builtin_shufflevector(c, d, 0, 8, 2, 10, 4, 12, 6, 14) +
                     __builtin_shufflevector(c, d, 1, 9, 3, 11, 5, 13, 7, 15);
        const V abcd = __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) +
                       __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
        const auto sums = __builtin_shufflevector(abcd, abcd, 0, 1, 2, 3) +
                          __builtin_shufflevector(abcd, abcd, 4, 5, 6, 7);
        for (int i = 0; i < 4; ++i) out[i] = sums[i];
    } else if constexpr (lanes == 4) {
        const V ab = __builtin_shufflevector(a, b, 0, 4, 2, 6) + __builtin_shufflevector(a, b, 1, 5, 3, 7);
        const V cd = __builtin_shufflevector(c, d, 0, 4, 2, 6) + __builtin_shufflevector(c, d, 1, 5, 3, 7);
        const V sums = __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
        for (int i = 0; i < 4; ++i) out[i] = sums[i];
    } else if constexpr (lanes == 16) {
        // Fold once, then as for eight lanes.
        auto fold = [](V v) JENSEN_LAMBDA {
            return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
        };
        sum_four(fold(a), fold(b), fold(c), fold(d), out);
    } else {
        out[0] = sum_lanes(a), out[1] = sum_lanes(b), out[2] = sum_lanes(c), out[3] = sum_lanes(d);
    }
}

// Add to eight numbers the sums of eight vectors of 64 bytes, in three rounds in which two vectors become one.
template <class V>
JENSEN_INLINE void sum_eight(V a, V b, V c, V d, V e, V f, V g, V h, double* out) {
    if constexpr (sizeof(V) / sizeof(a[0]) == 16) {
        auto fold = [](V v) JENSEN_LAMBDA { return low_half(v) + high_half(v); };
        sum_eight(fold(a), fold(b), fold(c), fold(d), fold(e), fold(f), fold(g), fold(h), out);
    } else {
        auto pairs = [](V x, V y) JENSEN_LAMBDA {
            return __builtin_shufflevector(x, y, 0, 8, 2, 10, 4, 12, 6, 14) +
                   __builtin_shufflevector(x, y, 1, 9, 3, 11, 5, 13, 7, 15);
        };
        auto fours = [](V x, V y) JENSEN_LAMBDA {
            return __builtin_shufflevector(x, y, 0, 1, 8, 9, 4, 5, 12, 13) +
                   __builtin_shufflevector(x, y, 2, 3, 10, 11, 6, 7, 14, 15);
        };
        const V abcd = fours(pairs(a, b), pairs(c, d)), efgh = fours(pairs(e, f), pairs(g, h));
        const V sums = __builtin_shufflevector(abcd, efgh, 0, 1, 2, 3, 8, 9, 10, 11) +
                       __builtin_shufflevector(abcd, efgh, 4, 5, 6, 7, 12, 13, 14, 15);
        store(out, load(out) + __builtin_convertvector(sums, Vec<double>));
    }
}

// Singles in double precision: half of the lanes, and one half on top of the other.
JENSEN_INLINE Vec<double> low_doubles(Vec<float> v) { return __builtin_convertvector(low_half(v), Vec<double>); }
JENSEN_INLINE Vec<double> high_doubles(Vec<float> v) { return __builtin_convertvector(high_half(v), Vec<double>); }
JENSEN_INLINE Vec<double> in_double(Vec<float> v) { return low_doubles(v) + high_doubles(v); }
JENSEN_INLINE Vec<double> in_double(Vec<double> v) { return v; }

// Add to numbers the sums of as many vectors, and nothing to up to `kSumsBeyond` numbers behind them.
constexpr int kSumsBeyond = 7;
template <class T, int N, int From = 0>
JENSEN_INLINE void add_sums(const Vec<T> (&v)[N], double* out) {
    auto at = [&](int i) JENSEN_LAMBDA { return From + i < N ? in_double(v[From + i < N ? From + i : 0]) : Vec<double>{}; };
    if constexpr (kBytes == 64 && N - From > 4) {
        sum_eight(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), out + From);
        if constexpr (From + 8 < N) add_sums<T, N, From + 8>(v, out);
    } else {
        double sums[4];
        sum_four(at(0), at(1), at(2), at(3), sums);
#pragma GCC unroll 4
        for (int i = 0; i < 4 && From + i < N; ++i) out[From + i] += sums[i];
        if constexpr (From + 4 < N) add_sums<T, N, From + 4>(v, out);
    }
}

// 1 / x for positive x of ordinary size. Division is slow on wide vectors; Newton's steps from an estimate are not.
JENSEN_INLINE Vec<float> reciprocal(Vec<float> x) { return 1.0f / x; }
JENSEN_INLINE Vec<double> reciprocal(Vec<double> x) {
#ifdef __AVX512F__
    Vec<double> y = (Vec<double>)_mm512_maskz_rcp14_pd(0xff, (__m512d)x);
    y = y * (2.0 - x * y);
    return y * (2.0 - x * y);
#else
    return 1.0 / x;
#endif
}

template <class T>
JENSEN_INLINE T highest(Vec<T> v) {
    T top = v[0];
    for (int i = 1; i < kLanes<T>; ++i) top = v[i] > top ? v[i] : top;
    return top;
}

// exp(x) for x <= 0, at most 1 ulp off; 0 below the point where results would leave the normal numbers. Branch-free:
// x = n ln 2 + r, |r| <= ln(2)/2, and exp(r) = 1 + r + r^2 q(r), q by interpolation in Chebyshev points.
JENSEN_INLINE Vec<double> exp_nonpositive(Vec<double> x) {
    const double magic = 0x1.8p52;
    const Vec<double> shifted = x * 1.4426950408889634 + magic;
    const Vec<double> n = shifted - magic;
    Vec<double> r = x - n * 0x1.62e42fefa3800p-1;
    r = r - n * 0x1.ef35793c76730p-45;
    Vec<double> q = r * 2.5100424157005066788e-8 + 2.7620138719973995569e-7;
    q = q * r + 2.7557268378684192873e-6;
    q = q * r + 2.4801521190217727651e-5;
    q = q * r + 1.9841269863105968748e-4;
    q = q * r + 1.3888888917281793308e-3;
    q = q * r + 8.3333333333300513464e-3;
    q = q * r + 4.1666666666623991516e-2;
    q = q * r + 1.6666666666666667456e-1;
    q = q * r + 5.0000000000000010262e-1;
    const Vec<double> p = (q * r) * r + r + 1.0;
    // The low bits of `shifted` are n; shifted left they add to the exponent.
    PatternVec<double> bits = (PatternVec<double>)p + ((PatternVec<double>)shifted << 52);
    bits &= (PatternVec<double>)(x >= splat(-700.0));
    return (Vec<double>)bits;
}

// log(x) for positive normal x, at most 2 ulp off where x is not near 1, where it is as near. x = 2^k m with m between
// sqrt(1/2) and sqrt(2), and log m = 2 atanh((m - 1) / (m + 1)), by its series.
JENSEN_INLINE Vec<double> log_positive(Vec<double> x) {
    const PatternVec<double> bits = (PatternVec<double>)x;
    const BitsVec<double> k = (BitsVec<double>)(bits - 0x3fe6a09e667f3bcdULL) >> 52;
    const Vec<double> m = (Vec<double>)(bits - ((PatternVec<double>)k << 52));
    // A small integer added to the bits of 3 * 2^51 counts its units.
    const Vec<double> n = (Vec<double>)((PatternVec<double>)k + 0x4338000000000000ULL) - 0x1.8p52;
    const Vec<double> s = (m - 1.0) / (m + 1.0), z = s * s;
    Vec<double> q = z * (1.0 / 21.0) + 1.0 / 19.0;
    q = q * z + 1.0 / 17.0;
    q = q * z + 1.0 / 15.0;
    q = q * z + 1.0 / 13.0;
    q = q * z + 1.0 / 11.0;
    q = q * z + 1.0 / 9.0;
    q = q * z + 1.0 / 7.0;
    q = q * z + 1.0 / 5.0;
    q = q * z + 1.0 / 3.0;
    const Vec<double> twice = s + s;
    return n * 0x1.62e42fefa3800p-1 + (twice + (twice * z * q + n * 0x1.ef35793c76730p-45));
}

// The same in single precision.
JENSEN_INLINE Vec<float> log_positive(Vec<float> x) {
    const PatternVec<float> bits = (PatternVec<float>)x;
    const BitsVec<float> k = (BitsVec<float>)(bits - 0x3f3504f3U) >> 23;
    const Vec<float> m = (Vec<float>)(bits - ((PatternVec<float>)k << 23));
    const Vec<float> n = __builtin_convertvector(k, Vec<float>);
    const Vec<float> s = (m - 1.0f) / (m + 1.0f), z = s * s;
    Vec<float> q = z * (1.0f / 9.0f) + 1.0f / 7.0f;
    q = q * z + 1.0f / 5.0f;
    q = q * z + 1.0f / 3.0f;
    const Vec<float> twice = s + s;
    return n * 0x1.62e400p-1f + (twice + (twice * z * q + n * 0x1.7f7d1cp-20f));
}

JENSEN_INLINE Vec<float> exp_nonpositive(Vec<float> x) {
    const float magic = 0x1.8p23f;
    const Vec<float> shifted = x * 1.44269504f + magic;
    const Vec<float> n = shifted - magic;
    Vec<float> r = x - n * 0x1.62e400p-1f;
    r = r - n * 0x1.7f7d1cp-20f;
    Vec<float> q = r * 1.39262134663e-3f + 8.36320297158e-3f;
    q = q * r + 4.16665544377e-2f;
    q = q * r + 1.6666576846e-1f;
    q = q * r + 0.5f;
    const Vec<float> p = (q * r) * r + r + 1.0f;
    PatternVec<float> bits = (PatternVec<float>)p + ((PatternVec<float>)shifted << 23);
    bits &= (PatternVec<float>)(x >= splat(-87.0f));
    return (Vec<float>)bits;
}

// Whether any lane is positive.
template <class T>
JENSEN_INLINE bool any_positive(Vec<T> v) {
#ifdef __AVX512F__
    if constexpr (sizeof(T) == 8) return _mm512_cmp_pd_mask((__m512d)v, _mm512_setzero_pd(), _CMP_GT_OQ) != 0;
    else return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_GT_OQ) != 0;
#else
    bool found = false;
    for (int l = 0; l < kLanes<T>; ++l) found |= v[l] > 0;
    return found;
#endif
}

}  // namespace JENSEN_ISA
