// Fused multiply-adds of one thread, as many as the machine can: GFLOP/s in float64, then in float32.

#include <chrono>
#include <cstdio>

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

template <class T>
static double rate() {
    typedef T Vec __attribute__((vector_size(kBytes)));
    // Twelve chains hide the latency of two pipes, and fit sixteen registers with their two operands.
    constexpr int kChains = 12, kSteps = 20'000'000;
    Vec a[kChains] = {}, b = Vec{} + T(0.999), c = Vec{} + T(1e-3);
    double best = 0;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const auto began = std::chrono::steady_clock::now();
        for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
            for (int j = 0; j < kChains; ++j) {
                a[j] = a[j] * b + c;
                asm volatile("" : "+v"(a[j]));
            }
        }
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - began;
        const double flops = 2.0 * kChains * kSteps * (kBytes / sizeof(T)) / spent.count();
        best = flops > best ? flops : best;
    }
    return best / 1e9;
}

int main() { std::printf("%.4g\n%.4g\n", rate<double>(), rate<float>()); }
