"""What bootstrap likelihood-ratio tests found: one record for each, and what the data support, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from jensen.core.block import Array
from jensen.core.printed import CardLike, Printed
from jensen.core.status import Status
from jensen.errors import InputError
from jensen.fit.result import MixtureFit


@dataclass(frozen=True, eq=False)
class ComponentTest:
    """K components against K + 1.

    Attributes
    ----------
    n_components : int
        K.
    statistic : float
        T, twice the gain of the penalised log-likelihood, which is what is maximised; without `reg_covar` it is the
        plain one. At least 0.
    draws : ndarray of shape (B,)
        T in the data that were drawn from the fit of K components.
    null, alternative : MixtureFit
        The best fits of K and of K + 1 components to the data.
    failed : mapping of str to int
        Draws that were not used, by reason.
    status : Status
        CONVERGED where all draws were made, else INTERRUPTED or OUT_OF_TIME.
    notes : tuple of str
        What a user should know, each in a sentence.
    """

    n_components: int
    statistic: float
    draws: Array = field(repr=False)
    null: MixtureFit
    alternative: MixtureFit
    failed: Mapping[str, int]
    status: Status
    notes: tuple[str, ...]

    @property
    def n_reached(self) -> int:
        """How many draws are at least as large as the statistic."""
        return int((self.draws >= self.statistic).sum())

    @property
    def p_value(self) -> float:
        """(1 + draws at least as large as T) / (1 + draws): the data are one more (Davison & Hinkley 1997, 4.2)."""
        return (1 + self.n_reached) / (1 + len(self.draws))

    @property
    def is_complete(self) -> bool:
        """Whether all draws were made."""
        return self.status is Status.CONVERGED

    def __repr__(self) -> str:
        return f"ComponentTest({self})"

    def __str__(self) -> str:
        k = self.n_components
        told = f"{k + 1} against {k}: T = {self.statistic:.4g}, {self.n_reached} of {len(self.draws)} draws reach it"
        return f"{told}, p = {self.p_value:.3g}"


@dataclass(frozen=True, eq=False)
class BootstrapLRT(Printed):
    """Tests of K against K + 1 components, one after another, up to the first that is not significant.

    Attributes
    ----------
    tests : tuple of ComponentTest
        In the order of K; the last one may have been cut short.
    n_components : int
        What the tests support: the smallest K that was not rejected, or the largest number that was tried.
    level : float
        p-values above it end the tests.
    n_boot : int
        Draws of each test that were asked for.
    covariance_type : str
        Which covariances.
    seed : int
        Draw b of the test of K came from the stream (seed, "lrt", K, b).
    status : Status
        CONVERGED where the tests ended by themselves, else INTERRUPTED or OUT_OF_TIME.
    seconds : float
        Wall time.
    notes : tuple of str
        What a user should know, each in a sentence.
    """

    tests: tuple[ComponentTest, ...]
    n_components: int
    level: float
    n_boot: int
    covariance_type: str
    seed: int
    status: Status
    seconds: float
    notes: tuple[str, ...]

    @property
    def fit(self) -> MixtureFit:
        """The fit with as many components as the tests support."""
        for test in self.tests:
            for fit in (test.null, test.alternative):
                if fit.n_components == self.n_components:
                    return fit
        raise InputError(f"there is no fit, as no test was made: {'; '.join(self.notes) or 'raise max_time'}")

    @property
    def p_values(self) -> Array:
        """Of the tests, in their order."""
        return np.array([test.p_value for test in self.tests])

    @property
    def statistics(self) -> Array:
        """Of the tests, in their order."""
        return np.array([test.statistic for test in self.tests])

    def table(self) -> list[dict[str, int | float | bool]]:
        """One record for each test: both numbers of components, statistic, p-value, draws, log-likelihoods, BIC."""
        return [
            {
                "n_components": test.n_components,
                "against": test.n_components + 1,
                "statistic": test.statistic,
                "p_value": test.p_value,
                "n_draws": len(test.draws),
                "complete": test.is_complete,
                "loglik": test.null.loglik,
                "loglik_against": test.alternative.loglik,
                "bic": test.null.bic,
                "bic_against": test.alternative.bic,
            }
            for test in self.tests
        ]

    def __repr__(self) -> str:
        n, k = len(self.tests), self.n_components
        return f"BootstrapLRT({k} component{'s' * (k != 1)}; {n} test{'s' * (n != 1)} of {self.n_boot} draws)"

    def _card(self) -> CardLike:
        from jensen.report.printed import tests_card

        return tests_card(self)

    @property
    def conclusion(self) -> str:
        """What the data support, in a sentence or two."""
        k = self.n_components
        many = f"{k} component{'s' * (k != 1)}"
        if not self.tests:
            return f"No test was made{': the time limit came first' if self.status is Status.OUT_OF_TIME else ''}."
        last = self.tests[-1]
        if not last.is_complete:
            how = "interrupted" if last.status is Status.INTERRUPTED else "cut short by the time limit"
            supported = f"The data support at least {many}" if len(self.tests) > 1 else "Nothing is decided"
            return f"{supported}: the test of {last.n_components + 1} against {last.n_components} was {how}."
        if last.p_value <= self.level:
            return f"The data support at least {many}, at the level {self.level:g}: every test was significant."
        return f"The data support {many}, at the level {self.level:g}."
