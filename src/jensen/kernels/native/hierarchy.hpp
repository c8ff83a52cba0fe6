// Model-based agglomerative clustering: the whole tree of merges of some rows.
#pragma once

#include <cstdint>

namespace jensen {

// What a cluster of weight n and scatter W about its mean costs.
enum class Merging : int {
    trace = 0,        // tr W
    determinant = 1,  // n log(|W / n| + (tr W + floor) / n), where |W| is 0 up to d rows
    affine = 2,       // n log|(W + floor I) / n|
};

// Merge the clusters of rows z (n, d) of weights (n,), each a cluster at first, until one is left.
//
// Each of the n - 1 `merges` names the lowest row of either cluster, the lower first; `costs` has what each added. Of
// merges whose costs exceed the least by no more than share |least|, the first in order of rows is taken.
void hierarchy(const double* z, const double* weight, int64_t n, int d, Merging criterion, double floor, double share,
               int64_t* merges, double* costs);

}  // namespace jensen
