#include "dispatch.hpp"

#include <cstring>

namespace jensen {

extern const Kernels kernels_base;
#ifdef JENSEN_X86
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

namespace {

#ifdef JENSEN_X86
// The compiler's own test asks the operating system too, whether it saves the wide registers.
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

const char* const kNames[] = {
#ifdef JENSEN_X86
    "avx512", "avx2",
#endif
    "base", nullptr};

}  // namespace

const Kernels* find_kernels(const char* name) {
#ifdef JENSEN_X86
    if (std::strcmp(name, "avx512") == 0) return has_avx512() ? &kernels_avx512 : nullptr;
    if (std::strcmp(name, "avx2") == 0) return has_avx2() ? &kernels_avx2 : nullptr;
#endif
    return std::strcmp(name, "base") == 0 ? &kernels_base : nullptr;
}

const Kernels* best_kernels() {
    for (const char* const* name = kNames; *name; ++name) {
        if (const Kernels* found = find_kernels(*name)) return found;
    }
    return &kernels_base;
}

const char* const* compiled_names() { return kNames; }

}  // namespace jensen
