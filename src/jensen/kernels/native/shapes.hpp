// M-steps of the covariance shapes that are more than their layout, and the eigenvalue-ratio constraint. The twin of
// families/shapes, which has the mathematics.
#pragma once

#include <cstddef>
#include <vector>

#include "axes.hpp"
#include "task.hpp"
#include "volumes.hpp"

namespace jensen {

// mclust's names: volume, shape and orientation, each equal, variable, or those of the identity.
enum class Rule : int { EII, VII, EEI, VEI, EVI, VVI, EEE, VEE, EVE, VVE, EEV, VEV, EVV, VVV };

constexpr int kRules = 14;

// The layout in which a rule's covariances and scatters are kept.
constexpr Shape layout_of(Rule rule) {
    if (rule == Rule::EII || rule == Rule::VII) return Shape::spherical;
    if (rule == Rule::EEE) return Shape::tied;
    return rule == Rule::EEI || rule == Rule::VEI || rule == Rule::EVI || rule == Rule::VVI ? Shape::diag : Shape::full;
}

// Whether a rule's covariances are all that its layout can hold.
constexpr bool is_plain(Rule rule) {
    return rule == Rule::VVV || rule == Rule::EEE || rule == Rule::VVI || rule == Rule::VII;
}

// One rule's M-steps, with their scratch. All of them return -1 or what is not positive definite: a component, or K for
// something that is common to all.
class Shaper {
  public:
    Shaper(Rule rule, int K, int d);

    // Whether an M-step may begin at these covariances (K, d, d); always, but for the rules that begin at common axes.
    bool begins_at(const double* covariances);

    // Covariances that maximise, of a rule that is not plain. Counts and scatters have their pseudo-data; the scatters'
    // place is used. A component without any takes the covariance of the largest, having no likelihood to lose.
    int maximize(const double* counts, double* scatter, const double* old, double* out);

    // Raise and lower the eigenvalues of the rule's maximiser until no two differ by more than a factor.
    int hold_ratio(double ratio, const double* counts, double* covariances);

  private:
    int among_alive(int K, double* scatter, const double* old, double* out);
    const double* old_volumes(int K, const double* old);
    int equal_volumes(int K, double* out, size_t block);

    Rule rule_;
    int K_, d_;
    size_t block_;  // numbers of one component's covariance
    Volumes volumes_;
    Axes axes_;
    std::vector<int> index_;
    std::vector<double> counts_, old_, logs_, values_, variances_, vectors_, scratch_, edges_;
};

}  // namespace jensen
