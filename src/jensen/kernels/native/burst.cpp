#include "burst.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "expect.hpp"
#include "leaps.hpp"

namespace jensen {

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
// A fall beyond this share of the objective is no rounding; gains below the other share are.
template <class T>
constexpr double kFall = sizeof(T) == sizeof(double) ? 1e-10 : 1e-6;
template <class T>
constexpr double kNoise = 16.0 * std::numeric_limits<T>::epsilon();
// Leaps set in where plain steps are expected to need more than so many, and that share of them, besides.
constexpr double kSome = 15.0, kShare = 0.2;
// And where no more than so many nats are to come: before that, EM may still be choosing where to go.
constexpr double kNear = 1.0;
// Components whose means and factors differ by no more than this, in standard deviations, are one and the same.
constexpr double kSame = 0.05;

// Whether gains say twice running that there is nothing left to have; the rule that stops a run judges for itself.
class Enough {
  public:
    Enough(double tolerance, double noise, double objective)
        : tolerance_(tolerance), noise_(noise), objective_(objective) {}

    // After a plain step; `ratio` is that of the gains to come where secants tell it.
    bool after(double objective, double ratio) {
        before_ = gain_;
        gain_ = objective - objective_;
        objective_ = objective;
        if (!std::isnan(ratio)) {
            ratios_[seen_++ % kRemembered] = ratio;
        }
        // Without a gain before, nothing is known; gains of rounding come from above and below.
        if (!(tolerance_ > 0.0) || (std::isnan(before_) && seen_ == 0)) return false;
        if (seen_ > 0) ratio = *std::max_element(ratios_, ratios_ + std::min(seen_, kRemembered));
        else ratio = before_ > 0.0 ? gain_ / before_ : 1.0;
        const bool rounding = std::fabs(gain_) <= noise_ * std::fabs(objective);
        const bool rests = ratio >= 0.0 && ratio < 1.0 && gain_ * ratio / (1.0 - ratio) < tolerance_;
        small_ = rounding || rests ? small_ + 1 : 0;
        return small_ >= 2;
    }

    // A leap says nothing of how plain steps converge.
    void leapt(double objective) { objective_ = objective; }

    // Whether plain steps are slow enough for leaps to pay.
    bool is_far() const {
        if (!(0.0 < gain_ && gain_ < before_)) return false;
        const double ratio = gain_ / before_, to_come = gain_ * ratio / (1.0 - ratio);
        if (!(to_come > tolerance_ && to_come < kNear)) return false;
        const double left = std::log(to_come / tolerance_) / -std::log(ratio);
        return (1.0 - kShare) * left > kSome;
    }

  private:
    static constexpr int kRemembered = 5;
    double tolerance_, noise_, objective_, gain_ = kUnknown, before_ = kUnknown;
    double ratios_[kRemembered] = {};
    int seen_ = 0, small_ = 0;
};

// Whether two components are one and the same, nearly, as at a saddle that plain steps pass by: leaps, which Newton's
// method guides, are drawn to it, and it shows no slope there.
bool any_coincide(Shape shape, int K, int d, const Mixture& mixture) {
    const size_t block = covariance_size(shape, shape == Shape::tied ? K : 1, d);
    for (int k = 1; k < K; ++k) {
        for (int l = 0; l < k; ++l) {
            if (!(mixture.weights[k] > 0.0 && mixture.weights[l] > 0.0)) continue;
            const double *const white = mixture.whitening + (shape == Shape::tied ? 0 : k * block);
            const double *const other = mixture.whitening + (shape == Shape::tied ? 0 : l * block);
            double distance = 0.0, size = 0.0, apart = 0.0;
            for (int i = 0; i < d; ++i) {
                double along = 0.0;
                if (shape == Shape::full || shape == Shape::tied) {
                    for (int j = 0; j <= i; ++j) {
                        along += white[i * d + j] * (mixture.means[k * d + j] - mixture.means[l * d + j]);
                    }
                } else {
                    along = white[shape == Shape::diag ? i : 0] * (mixture.means[k * d + i] - mixture.means[l * d + i]);
                }
                distance += along * along;
            }
            for (size_t i = 0; i < block; ++i) {
                size += white[i] * white[i];
                apart += (white[i] - other[i]) * (white[i] - other[i]);
            }
            if (distance < kSame * kSame && apart < kSame * kSame * size) return true;
        }
    }
    return false;
}

}  // namespace

template <class T>
Arrival burst(const Kernels& kernels, Task<T> task, const MStep& step, const Journey& journey, double* records,
              double* trace) {
    Maximizer maximizer(step, task.K, task.d);
    Expecting<T> expect(kernels, task, step, maximizer);
    const size_t length = record_size(task.shape, task.K, task.d), numbers = expect.numbers();
    const auto point = [&](int number) { return records + number % journey.points * length; };
    const auto objective = [&](const double* record) { return record[length - kMarks]; };
    const auto mark = [&](double* record, bool plain, double passes) {
        double* const at = expect.marks(record);
        at[static_cast<int>(Mark::plain)] = plain;
        at[static_cast<int>(Mark::ratio)] = kUnknown;
        at[static_cast<int>(Mark::passes)] = passes;
    };
    Arrival found;
    if (!maximizer.begins_at(expect.mixture(records).covariances)) {
        found.done = kNoStart;
        return found;
    }
    if (journey.from_start && (found.failed = expect(records)) >= 0) {
        found.done = kNoDensity;
        return found;
    }
    if (!journey.from_start) expect.marks(records)[static_cast<int>(Mark::objective)] = kUnknown;
    mark(records, true, 1.0);
    if (trace) trace[0] = objective(records);
    Enough rule(journey.enough, kNoise<T>, objective(records));
    std::unique_ptr<Leaps> leaps;
    int before_leaps = 0;
    bool may_leap = journey.plain_first >= 0;
    double lost = 0.0;  // passes that led to where the run did not stay
    // Whether a plain step led here: only then there is something to judge, and a leap may follow.
    bool stepped = false;
    int& t = found.done;
    while (t < journey.steps) {
        double *const here = point(t), *const next = point(t + 1);
        if (stepped && !leaps && rule.after(objective(here), kUnknown)) return found;
        found.failed = maximizer.maximize(expect.moments(here), expect.mixture(here), expect.mixture(next));
        if (found.failed >= 0) return found;
        if (!leaps && may_leap && t >= journey.plain_first && rule.is_far()) {
            leaps.reset(new Leaps(step, task.K, task.d));
            before_leaps = t;
        }
        bool leapt = false;
        double passes = 1.0 + lost;
        lost = 0.0;
        if (leaps) {
            leaps->note(here, next);
            if (stepped) {
                // Gains are quadratic in steps near a maximum.
                const double rate = leaps->rate(expect.mixture(here));
                expect.marks(here)[static_cast<int>(Mark::ratio)] = rate * rate;
                if (rule.after(objective(here), rate * rate)) {
                    if (!any_coincide(task.shape, task.K, task.d, expect.mixture(here))) return found;
                    // Back to where leaps set in, and on from there without them.
                    lost = t - before_leaps + found.tried - found.accepted;
                    t = before_leaps;
                    found.accepted = 0;
                    leaps.reset();
                    may_leap = stepped = false;
                    rule = Enough(journey.enough, kNoise<T>, objective(point(t)));
                    continue;
                }
                if (leaps->propose(next)) {
                    leapt = expect(next) < 0 && objective(next) >= objective(here);
                    ++found.tried;
                    if (leapt) {
                        ++found.accepted;
                        leaps->accepted();
                    } else {
                        leaps->refused();
                        std::copy_n(leaps->image(), numbers, next);
                        passes += 1.0;
                    }
                } else {
                    std::copy_n(leaps->image(), numbers, next);
                }
            }
        }
        if (!leapt && (found.failed = expect(next)) >= 0) return found;
        if (leapt) rule.leapt(objective(next));
        mark(next, !leapt, passes);
        stepped = !leapt;
        ++t;
        if (trace) trace[t] = objective(next);
        const double fall = objective(here) - objective(next);
        const double most = kFall<T> * std::max(std::fabs(objective(next)), 1.0);
        if (!std::isfinite(objective(next)) || fall > most) return found;
    }
    return found;
}

template Arrival burst(const Kernels&, Task<double>, const MStep&, const Journey&, double*, double*);
template Arrival burst(const Kernels&, Task<float>, const MStep&, const Journey&, double*, double*);

}  // namespace jensen
