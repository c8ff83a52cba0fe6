"""What speaks against an optimum of a Gaussian mixture: faults, and components narrow beside the others."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from jensen.core.block import AnyArray
from jensen.core.contracts import Run
from jensen.families.gaussian import Gaussian
from jensen.families.moves import narrow_components
from jensen.fit.outliers.contract import gaussian_part
from jensen.fit.search.climbing import faults_of
from jensen.fit.search.landscape import Verdict

# Degenerate and narrow optima are set aside, or taken for what their objective says.
Degenerate = Literal["avoid", "allow"]

# A component is narrow if it is so in some direction, in units of the components' average covariance.
_NARROW = 1.0 / 30.0


def verdict(model: Any, run: Run[Any], columns: AnyArray, degenerate: Degenerate = "avoid") -> Verdict:
    """Faults of a run's end, its narrow components, and what these must bring to be believed.

    A component far narrower than the others gains by every row that happens to lie in it, and among many places for
    it one is always lucky (McLachlan & Peel 2000, section 3.10). Its price is what BIC asks for its free parameters,
    half their number times the logarithm of the number of rows: a narrow group that is really there brings more.

    Parameters
    ----------
    model : Mixture, or what stands in its place
        Of Gaussian components, with outliers or without.
    run : Run
        What has ended.
    columns : ndarray of shape (d,) of bool
        Columns that vary.
    degenerate : {"avoid", "allow"}, default="avoid"
        ``allow`` finds nothing.

    Returns
    -------
    Verdict
        Faults alone where there are any.
    """
    if degenerate == "allow":
        return Verdict()
    faults = faults_of(model, run)
    if faults:
        return Verdict(faults)
    gaussians, params = gaussian_part(model, run.params)
    family: Gaussian = gaussians.family  # type: ignore[assignment]
    narrow = narrow_components(family.layout, params, columns, _NARROW)
    if not narrow:
        return Verdict()
    counts, weight = run.statistics.components.counts, max(float(run.statistics.weight), 2.0)
    told = tuple(
        f"component {k} is narrow, {ratio:.1g} of the average variance in a direction, on {counts[k]:.3g} rows"
        for k, ratio in narrow
    )
    size = (params.n_free + 1) / family.n_components
    return Verdict((), told, float(len(narrow) * 0.5 * size * np.log(weight)))
