#include "descent.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "dense.hpp"

namespace jensen {

namespace {

// Responsibilities below this add nothing to an entropy.
constexpr double kFaint = 1e-9;

double x_log_x(double x) { return x > 0.0 ? x * std::log(x) : 0.0; }

// The pair of a place in a table of i < j, row after row.
struct Pair {
    int first, second;
};

std::vector<Pair> pairs_of(int K) {
    std::vector<Pair> pairs;
    pairs.reserve(static_cast<size_t>(K) * (K - 1) / 2);
    for (int i = 0; i < K; ++i)
        for (int j = i + 1; j < K; ++j) pairs.push_back({i, j});
    return pairs;
}

// The covariance of two components as one: a part `share` of it is the second's.
void merge_covariances(Shape shape, int d, double share, const double* gap, const double* first, const double* second,
                       double* out) {
    const double between = share * (1.0 - share);
    if (shape == Shape::full) {
        for (int i = 0; i < d; ++i) {
            for (int j = 0; j < d; ++j) {
                const size_t at = static_cast<size_t>(i) * d + j;
                out[at] = (1.0 - share) * first[at] + share * second[at] + between * gap[i] * gap[j];
            }
        }
    } else if (shape == Shape::diag) {
        for (int j = 0; j < d; ++j) out[j] = (1.0 - share) * first[j] + share * second[j] + between * gap[j] * gap[j];
    } else {
        double square = 0.0;
        for (int j = 0; j < d; ++j) square += gap[j] * gap[j];
        out[0] = (1.0 - share) * first[0] + share * second[0] + between * square / d;
    }
}

// log|Sigma| / 2 of a covariance that is one component's own; false if it is not positive definite.
bool half_log_determinant(Shape shape, int d, const double* covariance, double* scratch, double* out) {
    if (shape == Shape::full) return log_determinant_half(covariance, d, scratch, out);
    double total = 0.0;
    for (int j = 0; j < (shape == Shape::diag ? d : 1); ++j) {
        if (!(covariance[j] > 0.0 && std::isfinite(covariance[j]))) return false;
        total += std::log(covariance[j]);
    }
    *out = shape == Shape::diag ? 0.5 * total : 0.5 * d * total;
    return true;
}

// Components on their way down.
class Components {
  public:
    Components(Shape shape, int d, const MStep& step, double weight, std::vector<double> records)
        : shape_(shape), d_(d), step_(step), weight_(weight), no_ridge_(d, 0.0), here_(std::move(records)) {
        bare_.rule = step.rule;
        bare_.ridge = no_ridge_.data();
        bare_.ratio = step.ratio;
    }

    double* record() { return here_.data(); }

    // So many steps of EM; false if there is no density.
    template <class T>
    bool settle(Expecting<T>& expect, Maximizer& maximizer, int steps) {
        next_.resize(here_.size());
        if (!maximizer.begins_at(expect.mixture(here_.data()).covariances)) return false;
        for (int t = 0; t < steps; ++t) {
            if (expect(here_.data()) >= 0) return false;
            const Mixture old = expect.mixture(here_.data()), out = expect.mixture(next_.data());
            if (maximizer.maximize(expect.moments(here_.data()), old, out) >= 0) return false;
            here_.swap(next_);
        }
        return true;
    }

    // The cheapest pairs on paper, none of which share a component; false where one has no volume.
    bool disjoint(int K, int n_pairs, std::vector<Pair>& chosen) {
        if (!assess(K)) return false;
        std::vector<char> touched(K, 0);
        chosen.clear();
        for (const int at : ordered_) {
            const Pair& pair = pairs_[at];
            if (touched[pair.first] || touched[pair.second]) continue;
            touched[pair.first] = touched[pair.second] = 1;
            chosen.push_back(pair);
            if (static_cast<int>(chosen.size()) == n_pairs) break;
        }
        return true;
    }

    // The pair that costs least with the entropy of whose of the two the rows are; false where none has volume.
    bool cheapest(int K, int64_t n, const double* weight, const double* resp, Pair& chosen) {
        if (!assess(K)) return false;
        double least = std::numeric_limits<double>::infinity();
        for (const int at : ordered_) {
            // Entropies are not negative: what is dearer by labels alone need not be looked at.
            double loss = losses_[at];
            if (!(loss < least)) break;
            const double *const one = resp + pairs_[at].first, *const other = resp + pairs_[at].second;
            for (int64_t i = 0; i < n && loss < least; ++i) {
                const double a = one[i * K], b = other[i * K];
                if (!(a > kFaint && b > kFaint)) continue;
                const double both = a + b;
                loss += (weight ? weight[i] : 1.0) * (a * std::log(both / a) + b * std::log(both / b));
            }
            if (loss < least) {
                least = loss;
                chosen = pairs_[at];
            }
        }
        return std::isfinite(least);
    }

    // Pairs as one each, with the moments of the two; returns how many components are left, or -1.
    int merge(int K, const std::vector<Pair>& pairs) {
        const size_t d = d_, block = covariance_size(shape_, 1, d_);
        double *const weights = here_.data(), *const means = weights + K, *const covariances = means + K * d;
        std::vector<char> gone(K, 0);
        std::vector<double> gap(d), merged(block);
        for (const Pair& pair : pairs) {
            const size_t i = pair.first, j = pair.second;
            const double total = std::max(weights[i] + weights[j], 1e-300), share = weights[j] / total;
            for (size_t a = 0; a < d; ++a) gap[a] = means[j * d + a] - means[i * d + a];
            if (shape_ == Shape::tied) {
                // What all have in common takes in what lies between these two.
                for (size_t a = 0; a < d; ++a) {
                    for (size_t b = 0; b < d; ++b) {
                        covariances[a * d + b] += total * share * (1.0 - share) * gap[a] * gap[b];
                    }
                }
            } else {
                double *const first = covariances + i * block, *const second = covariances + j * block;
                merge_covariances(shape_, d_, share, gap.data(), first, second, merged.data());
                std::copy(merged.begin(), merged.end(), first);
            }
            weights[i] = total;
            for (size_t a = 0; a < d; ++a) means[i * d + a] += share * gap[a];
            gone[j] = 1;
        }
        return left(K, gone);
    }

  private:
    // All pairs, their losses, and their order.
    bool assess(int K) {
        pairs_ = pairs_of(K);
        const size_t n_pairs = pairs_.size();
        losses_.resize(n_pairs);
        const double* const weights = here_.data();
        const double *const means = weights + K, *const covariances = means + static_cast<size_t>(K) * d_;
        if (!merge_losses(shape_, K, d_, weight_, weights, means, covariances, losses_.data())) return false;
        ordered_.resize(n_pairs);
        std::iota(ordered_.begin(), ordered_.end(), 0);
        std::stable_sort(ordered_.begin(), ordered_.end(), [&](int a, int b) { return losses_[a] < losses_[b]; });
        return true;
    }

    // What is not gone, close together, in the model's shape.
    int left(int K, const std::vector<char>& gone) {
        const size_t d = d_, block = shape_ == Shape::tied ? 0 : covariance_size(shape_, 1, d_);
        const size_t common = shape_ == Shape::tied ? d * d : 0;
        const int fewer = K - static_cast<int>(std::count(gone.begin(), gone.end(), 1));
        const double *const weights = here_.data(), *const means = weights + K, *const covariances = means + K * d;
        next_.assign(record_size(shape_, fewer, d_), 0.0);
        double *const own_weights = next_.data(), *const own_means = own_weights + fewer;
        double* const own = own_means + fewer * d;
        double total = 0.0;
        for (int k = 0; k < K; ++k) total += gone[k] ? 0.0 : weights[k];
        int at = 0;
        for (int k = 0; k < K; ++k) {
            if (gone[k]) continue;
            own_weights[at] = weights[k] / total;
            std::copy_n(means + k * d, d, own_means + at * d);
            std::copy_n(covariances + k * block, block, own + at * block);
            ++at;
        }
        std::copy_n(covariances, common, own);
        if (!is_plain(step_.rule) || std::isfinite(step_.ratio)) {
            // As if these were the moments of rows.
            const size_t size = covariance_size(shape_, fewer, d_);
            std::vector<double> scatter(own, own + size), first(fewer * d, 0.0), unused(fewer), old(own, own + size);
            for (size_t k = 0; k < static_cast<size_t>(fewer) && block > 0; ++k) {
                const double times = own_weights[k] * (shape_ == Shape::spherical ? d : 1);
                for (size_t a = 0; a < block; ++a) scatter[k * block + a] *= times;
            }
            Maximizer maximizer(bare_, fewer, d_);
            const Mixture before{nullptr, own_means, old.data(), nullptr, nullptr, nullptr};
            const Mixture out{unused.data(), own_means, own, nullptr, nullptr, nullptr};
            if (!maximizer.begins_at(old.data()) ||
                maximizer.maximize({own_weights, first.data(), scatter.data()}, before, out) >= 0) {
                return -1;
            }
        }
        if (step_.equal_weights) std::fill_n(own_weights, fewer, 1.0 / fewer);
        here_.swap(next_);
        return fewer;
    }

    Shape shape_;
    int d_;
    const MStep& step_;
    double weight_;
    std::vector<double> no_ridge_, here_, next_, losses_;
    std::vector<Pair> pairs_;
    std::vector<int> ordered_;
    MStep bare_;  // the rule and its ratio
};

}  // namespace

bool merge_losses(Shape shape, int K, int d, double weight, const double* weights, const double* means,
                  const double* covariances, double* losses) {
    const size_t block = covariance_size(shape, 1, d);
    std::vector<double> halves(K), gap(d), merged(block), scratch(static_cast<size_t>(d) * d), white;
    if (shape == Shape::tied) {
        white.resize(static_cast<size_t>(d) * d);
        if (!factorise(covariances, d, scratch.data(), white.data(), halves.data())) return false;
    } else {
        for (int k = 0; k < K; ++k) {
            if (!half_log_determinant(shape, d, covariances + k * block, scratch.data(), &halves[k])) return false;
        }
    }
    for (int i = 0; i < K; ++i) {
        for (int j = i + 1; j < K; ++j) {
            const double total = weights[i] + weights[j], share = total > 0.0 ? weights[j] / total : 0.0;
            for (int a = 0; a < d; ++a) gap[a] = means[j * d + a] - means[i * d + a];
            double size = 0.0;
            if (shape == Shape::tied) {
                // The one that is left keeps the common covariance.
                for (int a = 0; a < d; ++a) {
                    double along = 0.0;
                    for (int b = 0; b <= a; ++b) along += white[a * d + b] * gap[b];
                    size += along * along;
                }
                size *= 0.5 * total * share * (1.0 - share);
            } else {
                double half;
                merge_covariances(shape, d, share, gap.data(), covariances + i * block, covariances + j * block,
                                  merged.data());
                if (!half_log_determinant(shape, d, merged.data(), scratch.data(), &half)) return false;
                size = total * half - weights[i] * halves[i] - weights[j] * halves[j];
            }
            *losses++ = weight * (size - (x_log_x(total) - x_log_x(weights[i]) - x_log_x(weights[j])));
        }
    }
    return true;
}

template <class T>
double descend(const Kernels& kernels, Task<T> task, const MStep& step, const Way& way, double* params) {
    const size_t d = task.d;
    int K = task.K;
    double weight = static_cast<double>(task.n), passes = 0.0;
    if (task.weight) weight = std::accumulate(task.weight, task.weight + task.n, 0.0);
    std::vector<double> record(record_size(task.shape, K, task.d)), resp;
    std::copy_n(params, K + K * d + covariance_size(task.shape, K, task.d), record.begin());
    Components here(task.shape, task.d, step, weight, std::move(record));
    std::vector<Pair> pairs(1);
    while (K > way.wanted) {
        const bool many = K > way.many * way.wanted;
        const int steps = many ? way.among_many : way.steps;
        task.K = K;
        Maximizer maximizer(step, K, task.d);
        Expecting<T> expect(kernels, task, step, maximizer);
        if (!here.settle(expect, maximizer, steps)) return -1.0;
        if (many) {
            const int n_pairs = std::min(std::max(static_cast<int>(way.share * K), 1), K - way.wanted);
            if (!here.disjoint(K, n_pairs, pairs)) return -1.0;
        } else {
            resp.resize(static_cast<size_t>(task.n) * K);
            pairs.resize(1);
            if (expect.responsibilities(here.record(), resp.data()) >= 0) return -1.0;
            if (!here.cheapest(K, task.n, task.weight, resp.data(), pairs[0])) return -1.0;
        }
        passes += (steps + !many) * static_cast<double>(K) / way.wanted;
        K = here.merge(K, pairs);
        if (K < 0) return -1.0;
    }
    std::copy_n(here.record(), K + K * d + covariance_size(task.shape, K, task.d), params);
    return passes;
}

template double descend(const Kernels&, Task<double>, const MStep&, const Way&, double*);
template double descend(const Kernels&, Task<float>, const MStep&, const Way&, double*);

}  // namespace jensen
