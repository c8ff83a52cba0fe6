"""Fit any latent-variable model: the one door for the user's own models and for mixtures."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from jensen.core.contracts import Info, Run, StoppingRule
from jensen.core.information import entry_names
from jensen.core.model import Checked
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.anything import as_source
from jensen.errors import ContractError, InputError, JensenWarning, NumericalFailure
from jensen.fit.asked import by_parts, chosen, under_constraints, with_labels
from jensen.fit.record import EndOfStart, Fit
from jensen.fit.search.account import Account
from jensen.fit.search.landscape import Plan, serially
from jensen.fit.search.models import ModelLandscape
from jensen.fit.search.rounds import search
from jensen.numerics.streams import fresh_seed, stream
from jensen.solve.loop import Limits, continued, run
from jensen.solve.stopping import AitkenRule, AtRest
from jensen.solve.tracing import TracedSolver
from jensen.solve.variants import Variant

DEFAULT_MAX_ITER = 10_000

Accelerate = Literal["auto", "off", "squarem", "anderson", "quasi-newton"]


def em(
    model: Any,
    data: Any,
    start: Any,
    *,
    sample_weight: Any = None,
    labels: Any = None,
    fixed: Mapping[str, Any] | None = None,
    equal: Sequence[str] = (),
    accelerate: Accelerate = "auto",
    solver: Variant | None = None,
    stop: StoppingRule | float | None = None,
    max_iter: int = DEFAULT_MAX_ITER,
    max_time: float = np.inf,
    n_init: Literal["auto"] | int = "auto",
    seed: int | None = None,
    observers: Sequence[Callable[[Info], None]] = (),
    trace_bound: bool = False,
) -> Fit:
    """Fit a latent-variable model by EM.

    Parameters
    ----------
    model : LatentModel, Mixture, or any object with ``domains``, ``expect`` and ``maximize``
        What to fit.
    data : array-like, data frame, mapping of arrays, or Source
        n rows; see `jensen.LatentModel` for how a model finds them.
    start : mapping of str to array-like, Parameters, a sequence of them, or callable (Generator) -> mapping
        Where to begin; of several starts the best end is kept. A function draws starts, `n_init` of them.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows: 2 is the row twice, 0 no row.
    labels : array-like of shape (n,), default=None
        Known components of rows: integers from 0, or -1 where unknown. For models that declare ``log_joint`` and
        ``statistics_from``, such as mixtures.
    fixed : mapping of str to bool or array-like of bool, default=None
        Parameters to hold at their values in `start`: True, or a mask of the parameter's shape or of its first axes,
        such as ``{"weights": True, "means": [True, False]}`` for the mean of component 0. The M-step is exact among
        the others; see `jensen.models.Constrained`.
    equal : sequence of str, default=()
        Parameters to keep equal along their first axis, that is between components; starts are averaged.
    accelerate : {"auto", "off", "squarem", "anderson", "quasi-newton"}, default="auto"
        Extrapolation of EM's steps, safeguarded: the objective never falls. ``auto`` sets in after some 20 iterations
        if EM is slow. It may end in another optimum than plain EM.
    solver : Variant, optional
        Another way to climb, from `jensen.solvers`, in place of `accelerate`.
    stop : StoppingRule or float, optional
        When to stop: a rule, or how much may still be to gain, in nats; by default max(1e-6, 1e-9 n).
    max_iter : int, default=10000
        M-steps at most.
    max_time : float, default=inf
        Seconds after which no further pass is begun.
    n_init : "auto" or int, default="auto"
        Starts that a function draws. ``"auto"`` searches: rounds of starts, and escapes where the model has components
        or declares ``escapes``, until rounds agree; ``fit.account`` tells. With `trace_bound`, one start is drawn.
    seed : int, optional
        Of drawn starts: number i comes from the stream (seed, "start", i). A fresh one by default.
    observers : sequence of callable (Info) -> None
        Told of every evaluated point.
    trace_bound : bool, default=False
        Whether to record the bound F, the log-likelihood and the gap after every half step, as ``fit.bound``. The
        model must declare ``complete``; steps are not accelerated; where E-steps are partial, the log-likelihood costs
        a pass for each M-step, which ``passes`` does not count.

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        If the data or the start are unusable; the message names what is wrong.
    ContractError
        If the model breaks its contract; the message names the method and what it returned.
    NumericalFailure
        If no start has a finite objective.
    KeyboardInterrupt
        If it comes before the first point is known; later, the fit is returned with the status INTERRUPTED.
    """
    began = time.perf_counter()
    source = as_source(data, sample_weight)
    # A source that the user brings has blocks of its own.
    own_blocks = source is data
    model, source = with_labels(model, source, labels)
    checked = Checked(model)
    seed = fresh_seed() if seed is None else _checked_seed(seed)
    if n_init != "auto" and (isinstance(n_init, bool) or not (isinstance(n_init, int | np.integer) and n_init >= 1)):
        raise InputError(f"n_init must be 'auto' or an integer of at least 1, got {n_init!r}")
    searched = callable(start) and n_init == "auto"
    given = _drawn(start, n_init, seed) if callable(start) else start if _are_several(start) else [start]
    starts = [checked.start(one) for one in given]
    if not starts:
        raise InputError("start is an empty sequence; expected at least one mapping of parameter names to values")
    model, starts = under_constraints(model, starts, fixed, equal)
    checked = Checked(by_parts(model) if trace_bound else model)
    if not (isinstance(max_iter, int | np.integer) and max_iter >= 0):
        raise InputError(f"max_iter must be an integer of at least 0, got {max_iter!r}")
    if isinstance(max_time, bool) or not (isinstance(max_time, int | float | np.number) and max_time >= 0):
        raise InputError(f"max_time must be a number of seconds of at least 0, got {max_time!r}")
    if not isinstance(observers, Sequence) or not all(map(callable, observers)):
        raise InputError(f"observers must be a sequence of functions of one argument, got {observers!r}")
    if accelerate not in get_args(Accelerate):
        raise InputError(f"accelerate must be one of {', '.join(get_args(Accelerate))}, got {accelerate!r}")
    variant: Variant = chosen(solver, accelerate, trace_bound)
    cut = source if own_blocks else variant.source(source)
    limits = Limits(int(max_iter), began + max_time)

    def told(info: Info) -> None:
        for observer in observers:
            observer(info)

    account: Account | None = None
    if searched and not trace_bound:
        land = ModelLandscape(checked, cut, variant, _draws(start, model, checked, seed), seed, limits,
                              told if observers else None)  # fmt: skip
        found, account = search(land, Plan(deadline=limits.deadline), serially)
        starts = [found.params]
        if account.ending == "interrupted":
            limits = replace(limits, max_iter=0)
    ended = list[tuple[Run[Any], Parameters, Any]]()
    records = list[EndOfStart]()
    failure: Exception | None = None
    for one in starts:
        rule = _rule(stop if len(starts) == 1 else deepcopy(stop), source.weight)
        climber = variant.solver(checked, rule)
        if trace_bound:
            climber = TracedSolver(climber, checked, cut)
        try:
            result = run(climber, cut, one, rule, limits, told if observers else None)
        except (NumericalFailure, FloatingPointError, np.linalg.LinAlgError) as error:
            failure = failure or error
            records.append(EndOfStart(-np.inf, Status.DEGENERATE, 0))
            continue
        ended.append((result, one, climber))
        records.append(EndOfStart(result.objective, result.status, result.n_iter))
        if result.status is Status.INTERRUPTED:
            break
    if not ended:
        assert failure is not None
        raise failure if isinstance(failure, NumericalFailure) else NumericalFailure(str(failure)) from failure
    best, origin, climber = max(ended, key=lambda one: (one[0].status is not Status.DEGENERATE, one[0].objective))
    if account is not None:
        best = continued(found, best)
    fault = checked.outside(best.params)
    if fault is not None:
        raise ContractError(f"{checked.name}.maximize returned {fault}")
    fit = Fit(
        model=model,
        params=best.params,
        objective=best.objective,
        statistics=best.statistics,
        status=_status(best, ended[-1][0], account),
        detail=best.detail,
        n_iter=best.n_iter,
        passes=best.passes,
        trace=best.trace,
        solver=variant.name,
        ascends=climber.ascends,
        boundary=boundary_entries(origin) if account is None else (),
        starts=tuple(records) if account is None else account.starts,
        account=account,
        seconds=time.perf_counter() - began,
        source=source,
        variant=variant,
        bound=climber.bound() if trace_bound else (),
        extrapolations=best.extrapolations,
    )
    for message in fit.warnings:
        warnings.warn(message, JensenWarning, stacklevel=2)
    return fit


def _status(best: Run[Any], last: Run[Any], account: Account | None) -> Status:
    if last.status is Status.INTERRUPTED or (account is not None and account.ending == "interrupted"):
        return Status.INTERRUPTED
    return best.status


def _checked_seed(seed: Any) -> int:
    if isinstance(seed, bool) or not (isinstance(seed, int | np.integer) and seed >= 0):
        raise InputError(f"seed must be an integer of at least 0, got {seed!r}")
    return int(seed)


def _drawn(start: Callable[..., Any], n_init: Any, seed: int) -> list[Any]:
    """So many starts from a function; the first, where they are searched."""
    return [start(stream(seed, "start", i)) for i in range(1 if n_init == "auto" else int(n_init))]


def _draws(start: Callable[..., Any], model: Any, checked: Checked, seed: int) -> Callable[[int], Parameters]:
    """Start number i of a search, under the constraints of the model: what is held is as in the first."""
    constraints = getattr(model, "constraints", None)

    def draw(index: int) -> Parameters:
        drawn = start(stream(seed, "start", index))
        values = dict(drawn.values if isinstance(drawn, Parameters) else drawn)
        if constraints is None:
            return checked.start(values)
        # Held entries are put in their places by the model.
        constrained: Parameters = model.parameters(**values)
        constrained.check()
        return constrained

    return draw


def _are_several(start: Any) -> bool:
    return isinstance(start, Sequence) and not isinstance(start, str | Mapping)


def _rule(stop: StoppingRule | float | None, weight: float) -> StoppingRule:
    """The rule that is meant, or a fresh one: rules keep notes, so that every run has its own."""
    if stop is None:
        return AitkenRule(weight)
    if isinstance(stop, int | float):
        if not 0 <= stop < np.inf:
            raise InputError(f"stop as a number is a tolerance in nats of at least 0, got {stop!r}")
        return AitkenRule(weight, tol=float(stop))
    if isinstance(stop, AtRest):
        return AtRest(stop.tol)
    if not callable(getattr(stop, "update", None)):
        raise InputError(f"stop must be a stopping rule, a number of nats or None, got {stop!r}")
    return stop


def boundary_entries(params: Parameters) -> tuple[str, ...]:
    """Names of the entries of a record that lie on the boundary of their domain."""
    edges = np.concatenate([np.ravel(domain.boundary(params[name])) for name, domain in params.domains.items()])
    return tuple(name for name, edge in zip(entry_names(params.domains), edges, strict=True) if edge)
