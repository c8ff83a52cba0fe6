#include "hierarchy.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace jensen {

namespace {

// Pairs that are looked at together, one in each lane of the compiler's vectors.
constexpr int kLanes = 16;
// So many pivots are multiplied before a logarithm is taken, lest the product leave the floats.
constexpr int kChunk = 8;

class Tree {
  public:
    Tree(const double* z, const double* weight, int64_t n, int d, Merging criterion, double floor)
        : n_(n), d_(d), size_(d * (d + 1) / 2), criterion_(criterion), floor_(floor), weight_(weight, weight + n),
          mean_(z, z + n * d), scatter_(criterion == Merging::trace ? 0 : n * size_, 0.0), trace_(n, 0.0), term_(n),
          rows_(n, 1), alive_(n), low_(n, INFINITY), stale_(n, 0), costs_(n * (n - 1) / 2), delta_(d * kLanes),
          matrix_(criterion == Merging::trace ? 0 : size_ * kLanes) {
        for (int64_t i = 0; i < n; ++i) {
            alive_[i] = i;
            term_[i] = singleton(weight[i]);
        }
        for (int64_t i = 0; i < n; ++i) refresh(i, i, true);
    }

    void grow(double share, int64_t* merges, double* costs) {
        for (int64_t step = 0; step + 1 < n_; ++step) {
            const double least = settle();
            const double bar = least + share * std::abs(least);
            int64_t i = 0, j = 0;
            for (const int64_t k : alive_) {
                if (low_[k] > bar) continue;
                if (stale_[k]) rescan(k);
                if (low_[k] > bar) continue;
                i = k;
                break;
            }
            for (auto at = after(i); at != alive_.end(); ++at) {
                if (cost(i, *at) > bar) continue;
                j = *at;
                break;
            }
            merges[2 * step] = i;
            merges[2 * step + 1] = j;
            costs[step] = cost(i, j);
            merge(i, j);
        }
    }

  private:
    double& cost(int64_t i, int64_t j) { return costs_[i * (2 * n_ - i - 1) / 2 + (j - i - 1)]; }

    std::vector<int64_t>::iterator after(int64_t i) { return std::upper_bound(alive_.begin(), alive_.end(), i); }

    double singleton(double weight) const {
        if (criterion_ == Merging::trace) return 0.0;
        return weight * (criterion_ == Merging::determinant ? 1 : d_) * std::log(floor_ / weight);
    }

    // The least cost of a row of the table, whose bound was no more than a bound.
    void rescan(int64_t i) {
        double least = INFINITY;
        for (auto at = after(i); at != alive_.end(); ++at) least = std::min(least, cost(i, *at));
        low_[i] = least;
        stale_[i] = 0;
    }

    // The least cost of all. Bounds are from below: only rows that seem to hold it are looked at.
    double settle() {
        for (;;) {
            int64_t best = alive_[0];
            for (const int64_t k : alive_)
                if (low_[k] < low_[best]) best = k;
            if (!stale_[best]) return low_[best];
            rescan(best);
        }
    }

    void merge(int64_t i, int64_t j) {
        term_[i] += term_[j] + cost(i, j);
        const double n = weight_[i] + weight_[j], share = weight_[j] / n, factor = weight_[i] * share;
        double* mean = &mean_[i * d_];
        for (int a = 0; a < d_; ++a) delta_[a] = mean_[j * d_ + a] - mean[a];
        if (criterion_ != Merging::trace) {
            double* to = &scatter_[i * size_];
            const double* from = &scatter_[j * size_];
            for (int a = 0, t = 0; a < d_; ++a)
                for (int b = 0; b <= a; ++b, ++t) to[t] += from[t] + factor * delta_[a] * delta_[b];
        }
        trace_[i] += trace_[j];
        for (int a = 0; a < d_; ++a) {
            trace_[i] += factor * delta_[a] * delta_[a];
            mean[a] += share * delta_[a];
        }
        weight_[i] = n;
        rows_[i] += rows_[j];
        // A row that has lost its least cost keeps it as a bound.
        for (const int64_t k : alive_) {
            if (k >= j) break;
            if (k != i && cost(k, j) <= low_[k]) stale_[k] = 1;
        }
        alive_.erase(std::lower_bound(alive_.begin(), alive_.end(), j));
        refresh(i, 0, false);
    }

    // Costs of merging i with every cluster from the row `first` on, and the bounds that follow.
    void refresh(int64_t i, int64_t first, bool singles) {
        low_[i] = INFINITY;
        stale_[i] = 0;
        int64_t others[kLanes];
        double found[kLanes];
        int count = 0;
        const auto flush = [&] {
            assess(i, others, count, singles, found);
            for (int lane = 0; lane < count; ++lane) {
                const int64_t k = others[lane];
                if (k > i) {
                    cost(i, k) = found[lane];
                    low_[i] = std::min(low_[i], found[lane]);
                    continue;
                }
                double& old = cost(k, i);
                if (old <= low_[k]) stale_[k] = 1;
                old = found[lane];
                if (old <= low_[k]) {
                    low_[k] = old;
                    stale_[k] = 0;
                }
            }
            count = 0;
        };
        for (auto at = std::lower_bound(alive_.begin(), alive_.end(), first); at != alive_.end(); ++at) {
            if (*at == i) continue;
            others[count++] = *at;
            if (count == kLanes) flush();
        }
        if (count) flush();
    }

    void assess(int64_t i, const int64_t* others, int count, bool singles, double* out) {
        double total[kLanes], factor[kLanes], spread[kLanes] = {};
        for (int lane = 0; lane < kLanes; ++lane) {
            const int64_t k = others[lane < count ? lane : 0];
            total[lane] = weight_[i] + weight_[k];
            factor[lane] = weight_[i] * (weight_[k] / total[lane]);
            for (int a = 0; a < d_; ++a) delta_[a * kLanes + lane] = mean_[k * d_ + a] - mean_[i * d_ + a];
        }
        for (int a = 0; a < d_; ++a)
            for (int lane = 0; lane < kLanes; ++lane) {
                const double step = delta_[a * kLanes + lane];
                spread[lane] += factor[lane] * step * step;
            }
        if (criterion_ == Merging::trace) {
            std::copy_n(spread, count, out);
            return;
        }
        // The determinant of all over total^d is product * exp(logs).
        double product[kLanes], logs[kLanes] = {};
        bool full = criterion_ == Merging::affine;
        for (int lane = 0; lane < count && !full; ++lane) full = rows_[i] + rows_[others[lane]] > d_;
        if (full && !singles) {
            factorise(i, others, count, total, factor, product, logs);
        } else {
            for (int lane = 0; lane < kLanes; ++lane) {
                product[lane] = spread[lane] / total[lane];
                if (criterion_ == Merging::affine) {
                    product[lane] += floor_ / total[lane];
                    logs[lane] = d_ > 1 ? (d_ - 1) * std::log(floor_ / total[lane]) : 0.0;
                }
            }
        }
        for (int lane = 0; lane < count; ++lane) {
            const int64_t k = others[lane];
            double value;
            if (criterion_ == Merging::affine) {
                value = logs[lane] + std::log(product[lane]);
            } else {
                const double rest = (trace_[i] + trace_[k] + spread[lane] + floor_) / total[lane];
                if (rows_[i] + rows_[k] <= d_) product[lane] = 0.0;
                if (logs[lane] != 0.0 && product[lane] > 0.0) {
                    const double log_rest = std::log(rest), log_det = logs[lane] + std::log(product[lane]);
                    value = std::max(log_rest, log_det) + std::log1p(std::exp(-std::abs(log_rest - log_det)));
                } else {
                    value = std::log(product[lane] + rest);
                }
            }
            out[lane] = total[lane] * value - term_[i] - term_[k];
        }
    }

    // Pivots of W_i + W_k + factor delta delta', in all lanes at once.
    void factorise(int64_t i, const int64_t* others, int count, const double* total, const double* factor,
                   double* product, double* logs) {
        const double least = criterion_ == Merging::affine ? floor_ : 0.0;
        for (int lane = 0; lane < kLanes; ++lane) {
            const double* own = &scatter_[i * size_];
            const double* other = &scatter_[others[lane < count ? lane : 0] * size_];
            for (int t = 0; t < size_; ++t) matrix_[t * kLanes + lane] = own[t] + other[t];
            product[lane] = 1.0;
        }
        for (int a = 0, t = 0; a < d_; ++a)
            for (int b = 0; b <= a; ++b, ++t)
                for (int lane = 0; lane < kLanes; ++lane)
                    matrix_[t * kLanes + lane] += factor[lane] * delta_[a * kLanes + lane] * delta_[b * kLanes + lane] +
                                                  (a == b ? least : 0.0);
        for (int c = 0; c < d_; ++c) {
            double inverse[kLanes];
            for (int lane = 0; lane < kLanes; ++lane) {
                const double pivot = entry(c, c)[lane];
                // What lies below is rounding, and so is its column.
                const bool sound = pivot > least;
                inverse[lane] = sound ? 1.0 / pivot : 0.0;
                product[lane] *= (sound ? pivot : least) / total[lane];
            }
            if (c % kChunk == kChunk - 1 && c + 1 < d_) {
                for (int lane = 0; lane < kLanes; ++lane) {
                    if (!(product[lane] > 0.0)) continue;
                    logs[lane] += std::log(product[lane]);
                    product[lane] = 1.0;
                }
            }
            for (int r = c + 1; r < d_; ++r) {
                double step[kLanes];
                for (int lane = 0; lane < kLanes; ++lane) step[lane] = entry(r, c)[lane] * inverse[lane];
                for (int q = c + 1; q <= r; ++q) {
                    double* to = entry(r, q);
                    const double* from = entry(q, c);
                    for (int lane = 0; lane < kLanes; ++lane) to[lane] -= step[lane] * from[lane];
                }
            }
        }
    }

    double* entry(int row, int column) { return &matrix_[(row * (row + 1) / 2 + column) * kLanes]; }

    int64_t n_;
    int d_;
    int64_t size_;
    Merging criterion_;
    double floor_;
    std::vector<double> weight_, mean_, scatter_, trace_, term_;
    std::vector<int64_t> rows_, alive_;
    // Lower bounds of each row's costs, exact where not stale; costs of pairs i < j, row after row.
    std::vector<double> low_;
    std::vector<char> stale_;
    std::vector<double> costs_;
    std::vector<double> delta_, matrix_;
};

}  // namespace

void hierarchy(const double* z, const double* weight, int64_t n, int d, Merging criterion, double floor, double share,
               int64_t* merges, double* costs) {
    if (n < 2) return;
    Tree(z, weight, n, d, criterion, floor).grow(share, merges, costs);
}

}  // namespace jensen
