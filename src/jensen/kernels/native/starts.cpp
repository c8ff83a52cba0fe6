#include "starts.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "scratch.hpp"

namespace jensen {

namespace {

double squared_distance(const double* a, const double* b, int d) {
    double total = 0.0;
    for (int j = 0; j < d; ++j) total += (a[j] - b[j]) * (a[j] - b[j]);
    return total;
}

// Position drawn by cumulative weight, the way numpy's searchsorted(..., side="right") would.
int64_t draw(const std::vector<double>& heap, double uniform, int64_t last_positive) {
    const auto at = std::upper_bound(heap.begin(), heap.end(), uniform * heap.back()) - heap.begin();
    return std::min<int64_t>(at, last_positive);
}

int64_t accumulate(const double* weight, const double* factor, int64_t n, std::vector<double>& heap) {
    int64_t last = n - 1;
    double total = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        const double share = factor ? weight[i] * factor[i] : weight[i];
        if (share > 0.0) last = i;
        heap[i] = total += share;
    }
    return last;
}

// Rows by columns, and room for what the seeding of one set of centres takes.
class Seeding {
  public:
    Seeding(const Kernels& kernels, const double* z, const double* weight, int64_t n, int d)
        : kernels_(kernels), z_(z), weight_(weight), n_(n), d_(d), ld_((n + kPadding - 1) / kPadding * kPadding),
          columns_(ld_ * d), shares_(ld_), whole_(n), heap_(n), nearest_(ld_), reduced_(ld_), best_(ld_),
          last_(accumulate(weight, nullptr, n, whole_)) {
        std::copy_n(weight, n, shares_.begin());
        for (int64_t i = 0; i < n; ++i)
            for (int j = 0; j < d; ++j) columns_[j * ld_ + i] = z[i * d + j];
    }

    void operator()(int K, int candidates, const double* uniforms, int64_t* seeds) {
        std::fill(nearest_.begin(), nearest_.end(), INFINITY);
        seeds[0] = draw(whole_, uniforms[0], last_);
        reduce(seeds[0]);
        nearest_.swap(reduced_);
        for (int k = 1; k < K; ++k) {
            const double* u = uniforms + 1 + static_cast<int64_t>(k - 1) * candidates;
            const int64_t positive = accumulate(weight_, nearest_.data(), n_, heap_);
            if (!(heap_[n_ - 1] > 0.0)) {
                // No row is left at a distance that floats can tell from 0: the others are drawn by weight.
                std::vector<double> left(weight_, weight_ + n_);
                for (int l = 0; l < k; ++l) left[seeds[l]] = 0.0;
                const int64_t other = accumulate(left.data(), nullptr, n_, heap_);
                seeds[k] = heap_[n_ - 1] > 0.0 ? draw(heap_, u[0], other) : seeds[k % n_];
                continue;
            }
            double lowest = INFINITY;
            for (int c = 0; c < candidates; ++c) {
                const int64_t candidate = draw(heap_, u[c], positive);
                const double potential = reduce(candidate);
                if (potential < lowest) {
                    lowest = potential;
                    seeds[k] = candidate;
                    best_.swap(reduced_);
                }
            }
            nearest_.swap(best_);
        }
    }

  private:
    // Distances to the nearest seed, with this row as one more; their sum by weight.
    double reduce(int64_t row) {
        return kernels_.nearer(columns_.data(), ld_, n_, d_, z_ + row * d_, nearest_.data(), shares_.data(),
                               reduced_.data());
    }

    const Kernels& kernels_;
    const double *z_, *weight_;
    int64_t n_;
    int d_;
    int64_t ld_;
    // `whole_`: the weights added up.
    std::vector<double> columns_, shares_, whole_, heap_, nearest_, reduced_, best_;
    int64_t last_;
};

}  // namespace

void seed_rows(const Kernels& kernels, const double* z, const double* weight, int64_t n, int d, int K, int candidates,
               const double* uniforms, int64_t times, int64_t* seeds) {
    Seeding seeding(kernels, z, weight, n, d);
    for (int64_t t = 0; t < times; ++t) {
        seeding(K, candidates, uniforms + t * (1 + static_cast<int64_t>(K - 1) * candidates), seeds + t * K);
    }
}

void lloyd(const Kernels& kernels, const double* z, const double* weight, int64_t n, int d, int K, int max_iter,
           double rest, double* centres, int64_t* labels) {
    std::vector<double> ones(K, 1.0), zeros(K, 0.0), sums(static_cast<size_t>(K) * d), counts(K);
    std::vector<int64_t> before;
    const Scratch scratch(kernels.scratch_double(d, K, Shape::spherical));
    Task<double> task;
    task.n = n, task.d = d, task.K = K, task.shape = Shape::spherical;
    task.x = z, task.centres = centres, task.whitening = ones.data(), task.offsets = zeros.data();
    Rows out;
    out.labels = labels;
    kernels.rows_double(task, out, scratch.get());
    for (int iteration = 0; iteration < max_iter; ++iteration) {
        std::fill(sums.begin(), sums.end(), 0.0);
        std::fill(counts.begin(), counts.end(), 0.0);
        for (int64_t i = 0; i < n; ++i) {
            const double w = weight[i];
            double* sum = sums.data() + labels[i] * d;
            counts[labels[i]] += w;
            for (int j = 0; j < d; ++j) sum[j] += w * z[i * d + j];
        }
        std::vector<int> lost;
        for (int k = 0; k < K; ++k) {
            if (counts[k] > 0.0) {
                for (int j = 0; j < d; ++j) sums[k * d + j] /= counts[k];
            } else {
                lost.push_back(k);
                std::copy_n(centres + k * d, d, sums.data() + k * d);
            }
        }
        if (!lost.empty()) {
            // A centre without rows moves to a row that is farthest from its own centre.
            std::vector<double> distance(n);
            for (int64_t i = 0; i < n; ++i) distance[i] = squared_distance(z + i * d, sums.data() + labels[i] * d, d);
            std::vector<int64_t> order(n);
            std::iota(order.begin(), order.end(), int64_t(0));
            std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return distance[a] > distance[b]; });
            for (size_t l = 0; l < lost.size(); ++l) std::copy_n(z + order[l % n] * d, d, sums.data() + lost[l] * d);
        }
        double shift = 0.0;
        for (size_t i = 0; i < sums.size(); ++i) shift += (sums[i] - centres[i]) * (sums[i] - centres[i]);
        std::copy(sums.begin(), sums.end(), centres);
        before.assign(labels, labels + n);
        kernels.rows_double(task, out, scratch.get());
        if (shift <= rest || std::equal(before.begin(), before.end(), labels)) break;
    }
}

void labelled_moments(const double* x, const double* weight, const int64_t* labels, int64_t n, int d, int K,
                      Shape shape, double* counts, double* means, double* scatter) {
    // Sums about the first row of each label: far from the origin they would lose digits.
    std::vector<const double*> origin(K, nullptr);
    for (int64_t i = 0; i < n; ++i) {
        const int64_t k = labels[i];
        const double w = weight ? weight[i] : 1.0;
        if (k < 0 || !(w > 0.0)) continue;
        const double* row = x + i * d;
        if (!origin[k]) origin[k] = row;
        counts[k] += w;
        for (int j = 0; j < d; ++j) means[k * d + j] += w * (row[j] - origin[k][j]);
    }
    for (int k = 0; k < K; ++k) {
        if (!(counts[k] > 0.0)) continue;
        for (int j = 0; j < d; ++j) means[k * d + j] = origin[k][j] + means[k * d + j] / counts[k];
    }
    std::vector<double> c(d);
    for (int64_t i = 0; i < n; ++i) {
        const int64_t k = labels[i];
        if (k < 0) continue;
        const double w = weight ? weight[i] : 1.0;
        for (int j = 0; j < d; ++j) c[j] = x[i * d + j] - means[k * d + j];
        if (shape == Shape::diag) {
            for (int j = 0; j < d; ++j) scatter[k * d + j] += w * c[j] * c[j];
        } else if (shape == Shape::spherical) {
            for (int j = 0; j < d; ++j) scatter[k] += w * c[j] * c[j];
        } else {
            double* out = scatter + (shape == Shape::tied ? 0 : k * d * d);
            for (int a = 0; a < d; ++a) {
                const double wc = w * c[a];
                for (int b = 0; b <= a; ++b) out[a * d + b] += wc * c[b];
            }
        }
    }
    if (shape == Shape::full || shape == Shape::tied) {
        for (int k = 0; k < (shape == Shape::tied ? 1 : K); ++k) {
            double* out = scatter + static_cast<size_t>(k) * d * d;
            for (int a = 0; a < d; ++a)
                for (int b = 0; b < a; ++b) out[b * d + a] = out[a * d + b];
        }
    }
}

double column_moments(const double* x, const double* weight, int64_t n, int d, double* mean, double* squares,
                      double* low, double* high) {
    std::vector<double> origin(d, 0.0);
    std::fill_n(mean, d, 0.0);
    std::fill_n(squares, d, 0.0);
    std::fill_n(low, d, INFINITY);
    std::fill_n(high, d, -INFINITY);
    double total = 0.0;
    // About the first row, so that the mean of far-away data stays exact; then the squares about the mean.
    for (int64_t i = 0; i < n; ++i) {
        const double w = weight ? weight[i] : 1.0;
        if (!(w > 0.0)) continue;
        const double* row = x + i * d;
        if (total == 0.0) std::copy_n(row, d, origin.data());
        total += w;
        for (int j = 0; j < d; ++j) {
            mean[j] += w * (row[j] - origin[j]);
            low[j] = row[j] < low[j] ? row[j] : low[j];
            high[j] = row[j] > high[j] ? row[j] : high[j];
        }
    }
    if (!(total > 0.0)) return 0.0;
    for (int j = 0; j < d; ++j) mean[j] = origin[j] + mean[j] / total;
    for (int64_t i = 0; i < n; ++i) {
        const double w = weight ? weight[i] : 1.0;
        const double* row = x + i * d;
        for (int j = 0; j < d; ++j) squares[j] += w * (row[j] - mean[j]) * (row[j] - mean[j]);
    }
    return total;
}

void row_keys(const double* x, int64_t n, int d, uint64_t seed, const uint64_t* multipliers, uint64_t* keys) {
    for (int64_t i = 0; i < n; ++i) {
        uint64_t state = seed;
        for (int j = 0; j < d; ++j) {
            // Adding 0.0 makes one zero of -0.0 and 0.0, which compare equal.
            const double value = x[i * d + j] + 0.0;
            uint64_t bits;
            std::memcpy(&bits, &value, sizeof bits);
            state = (state ^ bits) * multipliers[j];
            state ^= state >> 32;
        }
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
        state = (state ^ (state >> 27)) * 0x94D049BB133111EBu;
        keys[i] = state ^ (state >> 31);
    }
}

}  // namespace jensen
