"""The answer that a fit gives, in sentences: how many groups, what they are, how sure the rows are, whether it fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jensen.core.block import Array
from jensen.report.checks import Calibration, surprising
from jensen.report.view import View
from jensen.report.words import counted, decimals_for, fixed, shortened

# Groups whose shares and features are told one by one.
_EACH = 6
# Beyond so many standard deviations of all rows, a mean is slightly high or low, high or low, very high or low.
_LEVELS = ((1.5, "very "), (0.5, ""), (0.1, "slightly "))
_FEATURES = 3
# A row is doubtful where no component reaches this.
SURE = 0.8
# Components that share this much of their rows are worth a word, and may be one group beyond the second.
_OVERLAP, _ONE = 0.05, 0.2
# Distances of distributions below this are small, however sure.
_SMALL = 0.02
_NAME = 40
_NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()


@dataclass(frozen=True)
class Assignment:
    """How sure the components of the rows are.

    Attributes
    ----------
    certainty : float
        Mean of the rows' largest responsibility.
    doubtful : float
        Weight of the rows where it is below `SURE`.
    total : float
        Weight of all rows; of a trimmed fit, those that were kept.
    shared : ndarray of shape (K, K)
        Mean responsibility of component k for a row of component j, noise last where there is any; rows sum to 1.
    """

    certainty: float
    doubtful: float
    total: float
    shared: Array


def assignment(view: View) -> Assignment:
    """What responsibilities say over all rows."""
    k = len(view.fitted.params["weights"])
    shared, sure, doubtful, total = np.zeros((k, k)), 0.0, 0.0, 0.0
    for part in view.chunks():
        rows, weight = view.rows[part], None if view.weight is None else view.weight[part]
        counts = np.ones(len(rows)) if weight is None else weight
        if view.outliers == "trimmed":
            counts = counts * (view.labels[part] >= 0)
        found = view.fitted.responsibilities(rows)
        largest = found.max(axis=1)
        shared += (found * counts[:, None]).T @ found
        sure += float(counts @ largest)
        doubtful += float(counts @ (largest < SURE))
        total += float(counts.sum())
    of_each = shared.sum(axis=1, keepdims=True)
    return Assignment(sure / total, doubtful, total, shared / np.where(of_each > 0, of_each, 1.0))


def headline(view: View) -> str:
    """How many groups, and how large."""
    weights, k = view.weights, view.fitted.n_components
    noise = 1.0 - float(weights.sum()) if view.fitted.box is not None else None
    of = "the rows" if view.weight is None else "the weight of the rows"
    if view.outliers == "trimmed":
        of = f"{of} that were kept"
    title = f"{in_words(k).capitalize()} group{'s' * (k != 1)}"
    title += "" if noise is None else " and noise"
    trimmed = int(np.count_nonzero(view.labels < 0)) if view.outliers == "trimmed" and len(view.rows) else 0
    aside = f" {counted(trimmed, 'row')} {'were' if trimmed != 1 else 'was'} left out as outliers." if trimmed else ""
    order = np.argsort(-weights, kind="stable")
    if k == 1:
        text = f"{title}: a single bell-shaped cloud describes " + (
            "the rows" if noise is None else percent(weights[0])
        )
        return f"{text}.{aside}" if noise is None else f"{text} of {of}, and noise the other {percent(noise)}."
    if k <= _EACH:
        told = [f"{percent(weights[j])}{f' of {of}' * (i == 0)} in component {j}" for i, j in enumerate(order)]
    else:
        first, last = order[0], order[-1]
        told = [
            f"the largest, component {first}, has {percent(weights[first])} of {of}",
            f"the smallest, component {last}, has {percent(weights[last])}",
        ]
    told += [] if noise is None else [f"{percent(noise)} are noise"]
    return f"{title}: {listed(told)}.{aside}"


def portraits(view: View) -> list[str]:
    """What is special about each component, beside the mean of all rows; nothing where there are many, or one."""
    k = view.fitted.n_components
    if not 1 < k <= _EACH:
        return []
    means, spreads = view.fitted.params["means"], view.spreads
    shares = view.weights / view.weights.sum()
    centre = shares @ means
    scale = np.sqrt(shares @ (spreads**2 + (means - centre) ** 2))
    z = (means - centre) / np.where(scale > 0, scale, 1.0)
    names = view.full_names
    found = list[str]()
    for component in range(k):
        told = list[str]()
        for j in np.argsort(-np.abs(z[component]), kind="stable")[:_FEATURES]:
            away = abs(z[component, j])
            degree = next((word for least, word in _LEVELS if away >= least), None)
            if degree is None or (degree == "slightly " and told):
                break
            level = f"{degree}{'high' if z[component, j] > 0 else 'low'}"
            digits = decimals_for(float(scale[j]))
            at, whole = (fixed(float(value), digits) for value in (means[component, j], centre[j]))
            told.append(f"{level} {shortened(names[j], _NAME)} ({at}; {whole} overall)")
        text = listed(told) if told else "near the mean of all rows in every column"
        found.append(f"Component {component}, {percent(view.weights[component])}: {text}.")
    return found


def certainty(view: View, found: Assignment) -> str:
    """How sure the component of a row is, and which components are hard to tell apart."""
    if len(found.shared) == 1:
        return ""
    share = percent(found.doubtful / found.total)
    text = f"On average, a row belongs to its most likely component with a probability of {percent(found.certainty)}. "
    limit = f"{100 * SURE:.0f}\u00a0%"
    if found.doubtful == 0:
        text += f"No row is in doubt: for each, one component reaches {limit}."
    else:
        n, total = int(round(found.doubtful)), int(round(found.total))
        who = f"{n:,} of {counted(total, 'row')} ({share})" if view.weight is None else f"{share} of the rows' weight"
        verb = "is" if view.weight is not None or n == 1 else "are"
        text += f"In doubt {verb} {who}, where no component reaches {limit}."
    between = found.shared - np.diag(np.diagonal(found.shared))
    j, k = np.unravel_index(int(between.argmax()), between.shape)
    if between[j, k] < _OVERLAP:
        return text
    names = [*map(str, range(view.fitted.n_components)), "noise"]
    one, other = (names[i] if names[i] == "noise" else f"component {names[i]}" for i in (j, k))
    return (
        f"{text} Hardest to tell apart are {one} and {other}: for the rows of {one}, the probability of {other} is "
        f"{percent(between[j, k])} on average."
    )


def may_be_one(view: View, found: Assignment) -> bool:
    """Whether some components overlap so much that they may be one group."""
    k = view.fitted.n_components
    between = found.shared[:k, :k] - np.diag(np.diagonal(found.shared)[:k])
    return bool(between.max(initial=0.0) >= _ONE)


def fitting(found: Calibration) -> str:
    """Whether the rows may be draws from the mixture."""
    limit, distance = surprising(found), found.distance
    told = f"the largest distance between their distribution and the mixture's is {distance:.2g}"
    if distance <= limit:
        return (
            f"The rows look like draws from this mixture: {told}, and only more than {limit:.2g} would be surprising."
        )
    if distance < _SMALL:
        return (
            f"The rows differ a little from draws of this mixture: {told}. With so many rows, {limit:.2g} would "
            "already be surprising, and so small a difference seldom matters."
        )
    return (
        f"The rows do not look like draws from this mixture: {told}, and more than {limit:.2g} is surprising. Groups "
        "may have another shape than a bell: look at the picture, then try another covariance, more components, or "
        "noise."
    )


def in_words(n: int) -> str:
    """A number up to twelve as a word."""
    return _NUMBERS[n] if n < len(_NUMBERS) else f"{n:,}"


def percent(share: float) -> str:
    """A share in percent, which no line break takes from its sign."""
    value = 100.0 * float(share)
    if 0.0 < value < 0.1:
        return "less than 0.1\u00a0%"
    if 99.9 < value < 100.0:
        return "more than 99.9\u00a0%"
    return f"{value:.1f}\u00a0%" if value not in (0.0, 100.0) else f"{value:.0f}\u00a0%"


def listed(parts: Sequence[str]) -> str:
    """Parts of a sentence with commas, and "and" before the last."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
