// EM iterations by Armadillo: reads a problem, prints seconds, peak memory beyond the data, and the parameters.
//
// armadillo FILE ITERATIONS; FILE holds as int64 n, d, K, full (0 or 1), single (0 or 1), then the rows, the weights,
// the means and the covariances as float64 or float32.

#include <armadillo>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

static double status(const std::string& key) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.rfind(key, 0) == 0) return std::atof(line.c_str() + key.size() + 1) / 1024;
    return -1;
}

template <class Model, class T>
static int fit(std::ifstream& file, const std::int64_t* head, int iterations) {
    const arma::uword n = head[0], d = head[1], k = head[2];
    const bool full = head[3];
    arma::Mat<T> x(d, n), means(d, k), diagonal(d, full ? 0 : k);
    arma::Row<T> weights(k);
    arma::Cube<T> covariances(d, d, full ? k : 0);
    const auto read = [&file](T* to, arma::uword size) { file.read(reinterpret_cast<char*>(to), size * sizeof(T)); };
    read(x.memptr(), x.n_elem), read(weights.memptr(), k), read(means.memptr(), d * k);
    full ? read(covariances.memptr(), d * d * k) : read(diagonal.memptr(), d * k);
    if (!file) return 2;

    Model model;
    if constexpr (std::is_same_v<Model, arma::gmm_full> || std::is_same_v<Model, arma::fgmm_full>)
        model.set_params(means, covariances, weights);
    else
        model.set_params(means, diagonal, weights);
    std::ofstream("/proc/self/clear_refs") << "5";
    const double before = status("VmRSS:");
    const auto began = std::chrono::steady_clock::now();
    if (!model.learn(x, k, arma::eucl_dist, arma::keep_existing, 0, iterations, T(0), false)) return 3;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - began;
    std::printf("%.9g\n%.9g\n", spent.count(), status("VmHWM:") - before);
    const auto print = [](const auto& values) { for (const auto v : values) std::printf("%.17g\n", double(v)); };
    print(model.hefts), print(model.means);
    if constexpr (std::is_same_v<Model, arma::gmm_full> || std::is_same_v<Model, arma::fgmm_full>)
        print(model.fcovs);
    else
        print(model.dcovs);
    return 0;
}

int main(int argc, char** argv) {
    if (argc == 2 && std::string(argv[1]) == "version") {
        std::printf("%d.%d\n", ARMA_VERSION_MAJOR, ARMA_VERSION_MINOR);
        return 0;
    }
    std::ifstream file(argv[1], std::ios::binary);
    std::int64_t head[5];
    file.read(reinterpret_cast<char*>(head), sizeof head);
    const int iterations = std::atoi(argv[2]);
    if (head[4]) return head[3] ? fit<arma::fgmm_full, float>(file, head, iterations)
                                : fit<arma::fgmm_diag, float>(file, head, iterations);
    return head[3] ? fit<arma::gmm_full, double>(file, head, iterations)
                   : fit<arma::gmm_diag, double>(file, head, iterations);
}
