"""The objective about a point: its score and its information, exact where the model declares them.

Three ways, the first that the model allows:

* ``exact (Louis)``: the model's ``information``, one pass (Louis 1982).
* ``differences of the EM map (Oakes)``: the score at any parameters is the gradient of ``complete`` there (Fisher's
  identity), which takes no pass; its Jacobian takes passes (Oakes 1999, eq. 6).
* ``differences of the objective``: second differences, for few parameters.

All differences are taken along directions in which the information is nearly the identity, whatever the units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import solve

from jensen.core.block import Array
from jensen.core.information import Information
from jensen.core.model import Checked
from jensen.core.parameters import Parameters
from jensen.errors import ContractError, InputError, NumericalFailure
from jensen.infer.coordinates import Coordinates
from jensen.infer.differences import curvature_scale, first_derivative, hessian
from jensen.infer.spectrum import whitening

# Free parameters at most: matrices of the natural entries are held, some of them at once.
MOST_EXACT = 2000
MOST_BY_SCORES = 100
MOST_BY_OBJECTIVE = 15
# The longest step of a difference, in standard errors along its direction.
_STEP = 0.2
# Directions of less information than this share of the complete-data one are not followed further.
_LEAST_SHARE = 1e-2


@dataclass(frozen=True, eq=False)
class Local:
    """What is known of the objective about a point, in the m free directions of its coordinates.

    Attributes
    ----------
    coordinates : Coordinates
        The point, its directions, and what is held fixed.
    objective : float
        The objective there.
    score : ndarray of shape (m,)
        Its gradient.
    observed : ndarray of shape (m, m)
        Minus its second derivatives: the observed information where the score is zero.
    complete : ndarray of shape (m, m) or None
        The complete-data information.
    outer : ndarray of shape (m, m) or None
        Sum of the outer products of the rows' scores.
    error : float
        Estimated error of the information, relative to the information along each direction.
    """

    coordinates: Coordinates
    objective: float
    score: Array
    observed: Array
    complete: Array | None
    outer: Array | None
    error: float = 0.0


class Exact:
    """Score and information from the model's own ``information``."""

    label: ClassVar[str] = "exact (Louis)"
    is_exact: ClassVar[bool] = True

    def __init__(self, information: Callable[[Parameters, Any], Information], source: Any) -> None:
        self.information, self.source, self.passes = information, source, 0

    def at(self, params: Parameters) -> Local:
        """Everything at a point, in one pass."""
        coordinates, total = Coordinates(params), self._pass(params)
        if not (np.isfinite(total.observed).all() and np.isfinite(total.complete).all()):
            raise NumericalFailure("the information is not finite: some row has next to no density at the parameters")
        jacobian = coordinates.jacobian
        return Local(
            coordinates,
            total.loglik,
            jacobian.T @ total.score,
            _symmetric(jacobian.T @ total.observed @ jacobian),
            _symmetric(jacobian.T @ total.complete @ jacobian),
            _symmetric(jacobian.T @ total.outer @ jacobian),
        )

    def again(self, params: Parameters, before: Local) -> Local:
        """The same as `at`: nothing is gained by what is known."""
        return self.at(params)

    def _pass(self, params: Parameters) -> Information:
        self.passes += 1
        found = self.source.fold(self.information, params)
        size = sum(value.size for value in params.values.values())
        if not isinstance(found, Information) or found.observed.shape != (size, size):
            raise ContractError(
                f"information must return an Information of all {size} entries of the parameters, each entry of every "
                f"array once, but returned {type(found).__name__}"
            )
        return found


class ByScores:
    """Score by Fisher's identity from ``complete``, information by differences of the score (Oakes 1999)."""

    label: ClassVar[str] = "differences of the EM map (Oakes)"
    is_exact: ClassVar[bool] = False

    def __init__(self, model: Checked, source: Any) -> None:
        self.model, self.source, self.passes = model, source, 0
        self._is_checked = False

    def at(self, params: Parameters) -> Local:
        """Everything at a point: twice 10 passes for each free parameter."""
        coordinates = Coordinates(params)
        statistics = self._statistics(params)
        units = rough_units(lambda p: self._complete(p, statistics), coordinates)
        crude = self._along(coordinates, statistics, np.diag(units))
        return self._along(coordinates, statistics, _white(coordinates, crude))

    def again(self, params: Parameters, before: Local) -> Local:
        """The score at another point of the same directions, in one pass; the information is that of before."""
        coordinates = Coordinates(params)
        if coordinates.basis.shape != before.coordinates.basis.shape:
            return self.at(params)
        statistics = self._statistics(params)
        directions = _white(coordinates, before)
        score = self._score(coordinates, np.zeros(coordinates.size), statistics, directions)
        score = _unscaled(score, directions)
        objective = self.model.objective(params, statistics)
        return Local(coordinates, objective, score, before.observed, before.complete, None, before.error)

    def objective(self, params: Parameters) -> float:
        """The objective, in one pass."""
        return self.model.objective(params, self._statistics(params))

    def _statistics(self, params: Parameters) -> Any:
        self.passes += 1
        return self.source.fold(self.model.stages[0].expect, params)

    def _complete(self, params: Parameters, statistics: Any) -> float:
        return float(self.model.complete(params, statistics))

    def _score(self, coordinates: Coordinates, at: Array, statistics: Any, directions: Array) -> Array:
        """Gradient of ``complete`` along directions, about a point `at` in them."""
        slope = getattr(self.model, "slope", None)
        if slope is not None:
            step = directions @ at
            natural = slope(coordinates.moved(step), statistics)
            return np.asarray(directions.T @ coordinates.pulled_back(natural, step))

        def along(j: int) -> float:
            def value(t: float) -> float:
                return self._complete(coordinates.moved(directions @ at + t * directions[:, j]), statistics)

            return float(first_derivative(value, _STEP)[0])

        return np.array([along(j) for j in range(directions.shape[1])])

    def _along(self, coordinates: Coordinates, statistics: Any, directions: Array) -> Local:
        size, unit = coordinates.size, np.eye(coordinates.size)
        origin = np.zeros(size)

        def score_at(at: Array) -> Array:
            return self._score(coordinates, at, self._statistics(coordinates.moved(directions @ at)), directions)

        if not self._is_checked:
            self._check(coordinates, directions, score_at)
        score = self._score(coordinates, origin, statistics, directions)
        if getattr(self.model, "slope", None) is None:
            complete, _ = hessian(lambda t: self._complete(coordinates.moved(directions @ t), statistics), size, _STEP)
        else:
            along = [
                first_derivative(lambda t, e=e: self._score(coordinates, t * e, statistics, directions), _STEP)[0]  # type: ignore[misc]
                for e in unit
            ]
            complete = _symmetric(np.array(along).reshape(size, size))
        found = [first_derivative(lambda t, e=e: score_at(t * e), _STEP) for e in unit]  # type: ignore[misc]
        observed = -np.array([value for value, _ in found]).reshape(size, size)
        error = max((float(e.max()) for _, e in found), default=0.0)
        error = max(error, float(np.abs(observed - observed.T).max(initial=0.0)))
        return Local(
            coordinates,
            self.model.objective(coordinates.params, statistics),
            _unscaled(score, directions),
            _unscaled_both(observed, directions),
            _unscaled_both(-complete, directions),
            None,
            error,
        )

    def _check(self, coordinates: Coordinates, directions: Array, score_at: Callable[[Array], Array]) -> None:
        """Fisher's identity must hold: a ``complete`` that leaves out something of the parameters is found here."""
        self._is_checked, size = True, coordinates.size
        if size == 0:
            return
        # Away from the point itself, where both may be zero.
        ahead = np.full(size, 0.5 / np.sqrt(size))
        by_complete = float(score_at(ahead) @ ahead)

        def value(t: float) -> float:
            return self.objective(coordinates.moved(directions @ ((1.0 + t) * ahead)))

        by_objective = float(first_derivative(value, _STEP)[0])
        if abs(by_complete - by_objective) > 1e-3 * (1.0 + abs(by_objective)):
            raise ContractError(
                f"{self.model.name}.complete is not E_q log p(x, z) of the objective: its slope is {by_complete:.6g} "
                f"where that of the objective is {by_objective:.6g} (Fisher's identity). Give it every term that "
                "depends on the parameters, or leave the method out"
            )


class ByObjective:
    """Score and information by differences of the objective, of a model that declares nothing else."""

    label: ClassVar[str] = "differences of the objective"
    is_exact: ClassVar[bool] = False

    def __init__(self, model: Checked, source: Any) -> None:
        self.model, self.source, self.passes = model, source, 0

    def at(self, params: Parameters) -> Local:
        """Everything at a point: 10 passes for each pair of free parameters, twice."""
        coordinates = Coordinates(params)
        crude = self._along(coordinates, np.diag(rough_units(self.objective, coordinates)))
        return self._along(coordinates, _white(coordinates, crude))

    def again(self, params: Parameters, before: Local) -> Local:
        """The score at another point; the information is that of before."""
        coordinates = Coordinates(params)
        if coordinates.basis.shape != before.coordinates.basis.shape:
            return self.at(params)
        directions = _white(coordinates, before)
        score = _unscaled(self._score(coordinates, directions), directions)
        return Local(coordinates, self.objective(params), score, before.observed, None, None, before.error)

    def objective(self, params: Parameters) -> float:
        """The objective, in one pass."""
        self.passes += 1
        return self.model.objective(params, self.source.fold(self.model.stages[0].expect, params))

    def _score(self, coordinates: Coordinates, directions: Array) -> Array:
        def along(direction: Array) -> float:
            return float(first_derivative(lambda t: self.objective(coordinates.moved(t * direction)), _STEP)[0])

        return np.array([along(direction) for direction in directions.T])

    def _along(self, coordinates: Coordinates, directions: Array) -> Local:
        curved, error = hessian(lambda t: self.objective(coordinates.moved(directions @ t)), coordinates.size, _STEP)
        return Local(
            coordinates,
            self.objective(coordinates.params),
            _unscaled(self._score(coordinates, directions), directions),
            _unscaled_both(-curved, directions),
            None,
            None,
            error,
        )


Way = Exact | ByScores | ByObjective


def way_for(model: Any, source: Any, n_free: int) -> Way:
    """The best way that a model allows.

    Raises
    ------
    InputError
        If there are too many free parameters for it.
    """
    information = getattr(model, "information", None)
    if callable(information):
        _refuse_beyond(MOST_EXACT, n_free, "Fit a simpler covariance, or fewer components")
        return Exact(information, source)
    checked = Checked(model)
    if callable(getattr(model, "complete", None)):
        _refuse_beyond(MOST_BY_SCORES, n_free, "Declare information(params, block) in the model")
        return ByScores(checked, source)
    _refuse_beyond(
        MOST_BY_OBJECTIVE, n_free, "Declare complete(params, statistics), or information(params, block), in the model"
    )
    return ByObjective(checked, source)


def _refuse_beyond(most: int, n_free: int, remedy: str) -> None:
    if n_free > most:
        raise InputError(
            f"standard errors of {n_free} free parameters are beyond what is computed here, {most} for such a model. "
            f"{remedy}; the bootstrap has no such limit"
        )


def rough_units(function: Callable[[Parameters], float], coordinates: Coordinates) -> Array:
    """A standard error, roughly, along each free direction by itself (m,)."""
    centre, unit = function(coordinates.params), np.eye(coordinates.size)
    steps = [
        curvature_scale(lambda t, e=e: function(coordinates.moved(t * e)), centre, float(guess))  # type: ignore[misc]
        for e, guess in zip(unit, coordinates.guesses(), strict=True)
    ]
    return _capped(coordinates, np.diag(np.array(steps))).diagonal()


def _white(coordinates: Coordinates, local: Local) -> Array:
    """Directions (m, m) by columns, along which the information is about 1."""
    white, _, _ = whitening(local.complete, local.observed)
    shares, turned = np.linalg.eigh(_symmetric(white.T @ local.observed @ white))
    least = _LEAST_SHARE * max(1.0, float(shares.max(initial=0.0)))
    return _capped(coordinates, white @ turned / np.sqrt(np.maximum(shares, least)))


def _capped(coordinates: Coordinates, directions: Array) -> Array:
    """Directions none of which is longer than 1 in a coordinate that is a logarithm or the like."""
    longest = np.abs(directions[coordinates.is_curved]).max(axis=0, initial=0.0)
    return np.asarray(directions / np.maximum(longest, 1.0))


def _unscaled(score: Array, directions: Array) -> Array:
    return np.asarray(solve(directions.T, score)) if score.size else score


def _unscaled_both(matrix: Array, directions: Array) -> Array:
    if matrix.size == 0:
        return matrix
    return _symmetric(solve(directions.T, solve(directions.T, matrix).T))


def _symmetric(matrix: Array) -> Array:
    return np.asarray(0.5 * (matrix + matrix.T))
