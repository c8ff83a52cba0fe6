"""Everything that is asked after a fit, computed once: the point of zero score and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Self

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.model import Checked, name_of
from jensen.core.parameters import Parameters
from jensen.data.pool import single_threaded_blas
from jensen.errors import InputError
from jensen.infer.coordinates import Coordinates
from jensen.infer.differences import first_derivative
from jensen.infer.identify import Identifiability, identifiability
from jensen.infer.local import MOST_BY_SCORES, Way, rough_units, way_for
from jensen.infer.polish import Rest, to_rest
from jensen.infer.rate import EMRate, rate_by_differences, rate_by_power, rate_of_spectrum
from jensen.infer.spectrum import Spectrum
from jensen.infer.standard_errors import (
    Estimate,
    Kind,
    StandardErrors,
    covariance_root,
    function_error,
    natural_errors,
)

# A way to the point of zero score longer than this, in standard errors, is worth a note.
_FAR = 0.1
_STEP = 0.2


class Analysis:
    """What the data say of a model's parameters about a fit.

    Parameters
    ----------
    model : object
        What was fitted.
    params : Parameters
        Where the fit ended.
    source : Source
        The data.
    """

    def __init__(self, model: Any, params: Parameters, source: Any) -> None:
        self.model, self.params, self.source = model, params, source

    @cached_property
    def way(self) -> Way:
        """How score and information are found."""
        return way_for(self.model, self.source, self.params.n_free)

    @cached_property
    def rest(self) -> Rest:
        """The point of zero score, and the spectrum of the information there."""
        # Matrices here are small: many threads on them cost more than they save.
        with single_threaded_blas():
            return to_rest(self.way, self.params)

    @property
    def known(self) -> Spectrum:
        """The spectrum at the point of zero score."""
        return self.rest.spectrum

    @property
    def blocked(self) -> str:
        """Why there are no standard errors at all; empty if there are."""
        if not self.rest.is_zero:
            return f"no point of zero score was found: {self.rest.reason}"
        return "" if self.known.is_maximum else "the fit is at a saddle, not at a maximum: other starts lead higher"

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a user of standard errors should know, each in a sentence."""
        rest, found = self.rest, list[str]()
        if self.blocked:
            found.append(f"all standard errors are refused: {self.blocked}")
        if rest.is_zero and rest.distance > _FAR:
            found.append(
                f"the fit was not at a maximum of the log-likelihood: running on moved it by {rest.distance:.2g} "
                f"standard errors and gained {rest.gained:.3g}; the standard errors belong to the point reached"
            )
        held = rest.local.coordinates.held
        if held:
            found.append(
                f"{', '.join(held)} {'is' if len(held) == 1 else 'are'} on the boundary and held fixed, where the "
                "usual theory does not hold"
            )
        return tuple(found)

    # --------------------------------------------------------------------------------------- standard errors

    def standard_errors(self, kind: Kind = "observed") -> StandardErrors:
        """Standard errors of every parameter; see `jensen.fit.record.Fit.standard_errors`."""
        root, coordinates = self._root(kind), self.rest.local.coordinates
        errors, covariance, refused = natural_errors(coordinates, self.known, root, self.blocked)
        whole = coordinates.basis @ root
        return StandardErrors(
            params=coordinates.params,
            values=coordinates.shaped(errors),
            covariance=covariance,
            free_covariance=whole @ whole.T,
            entries=coordinates.names,
            kind=kind,
            method=self.way.label,
            refused=refused,
            combinations=self._combinations(root),
            notes=self.notes,
        )

    def standard_error_of(
        self, function: Callable[[Parameters], Any], name: str | None = None, kind: Kind = "observed"
    ) -> Estimate:
        """A function of the parameters with its standard error."""
        if not callable(function):
            raise InputError(
                f"function must be callable with the parameters, such as lambda params: params['p'] ** 2, got "
                f"{function!r}"
            )
        told = str(name or getattr(function, "__name__", "function"))
        return function_error(function, told, self.rest.local.coordinates, self.known, self._root(kind), self.blocked)

    def _combinations(self, root: Array) -> tuple[Estimate, ...]:
        declared = getattr(self.model, "identified", None) or {}
        return tuple(
            function_error(function, name, self.rest.local.coordinates, self.known, root, self.blocked)
            for name, function in declared.items()
        )

    def _root(self, kind: Kind) -> Array:
        if kind == "observed":
            return covariance_root(self.known, None)
        if kind == "sandwich":
            return covariance_root(self.known, self._meat)
        raise InputError(f"kind must be 'observed' or 'sandwich', got {kind!r}")

    @cached_property
    def _meat(self) -> Array:
        """sum_i w_i s_i s_i' in the free directions (m, m)."""
        local = self.rest.local
        if local.outer is not None:
            return local.outer
        row_loglik = getattr(self.model, "row_loglik", None)
        if not callable(row_loglik):
            raise InputError(
                f"the sandwich needs the score of each row, and {name_of(self.model)} declares neither "
                "row_loglik(params, block) nor information(params, block): add one, or take kind='observed'"
            )
        return self._meat_by_differences(row_loglik)

    def _meat_by_differences(self, row_loglik: Callable[[Parameters, Block], Array]) -> Array:
        coordinates, directions = self.rest.local.coordinates, self.known.directions

        def of_block(params: Parameters, block: Block) -> _Sum:
            def along(direction: Array) -> Array:
                def value(t: float) -> Array:
                    return np.asarray(row_loglik(coordinates.moved(t * direction), block))

                return first_derivative(value, _STEP / max(1.0, float(np.abs(direction).max())))[0]

            scores = np.stack([along(direction) for direction in directions.T], axis=1)
            if scores.shape[0] != block.n_rows:
                raise InputError(
                    f"row_loglik of {name_of(self.model)} must return one number for each of the "
                    f"{block.n_rows} rows of a block, got {scores.shape[0]}"
                )
            return _Sum((scores * block.weights[:, None]).T @ scores)

        total: _Sum = self.source.fold(of_block, coordinates.params)
        half = np.linalg.solve(directions.T, total.value)
        return np.asarray(np.linalg.solve(directions.T, half.T))

    # --------------------------------------------------------------------------------------- rate, rank

    @cached_property
    def rate(self) -> EMRate:
        """EM's rate at the point of zero score; with too many parameters for it, by power iteration about the fit."""
        try:
            self.way  # noqa: B018
        except InputError:
            return self._rate_by_power()
        coordinates, checked = self.rest.local.coordinates, Checked(self.model)
        if len(checked.stages) == 1 and not checked.stages[0].guarded and self.known.is_relative:
            return rate_of_spectrum(coordinates, self.known)
        if coordinates.size <= MOST_BY_SCORES:
            return rate_by_differences(checked, self.source, coordinates, self.known)
        return self._rate_by_power()

    def _rate_by_power(self) -> EMRate:
        checked, coordinates = Checked(self.model), Coordinates(self.params)
        if not callable(getattr(self.model, "complete", None)):
            return rate_by_power(checked, self.source, coordinates)
        statistics = self.source.fold(checked.stages[0].expect, self.params)
        units = rough_units(lambda params: float(checked.complete(params, statistics)), coordinates)
        return rate_by_power(checked, self.source, coordinates, _STEP * units)

    @cached_property
    def identifiability(self) -> Identifiability:
        """Rank, flat directions and identified combinations."""
        combinations = self._combinations(self._root("observed"))
        return identifiability(self.rest.local.coordinates, self.known, combinations, self.way.label)


class _Sum:
    """An array that adds up over blocks."""

    def __init__(self, value: Array) -> None:
        self.value = value

    def merge(self, other: Self) -> Self:
        return type(self)(self.value + other.value)
