"""One Gaussian for each class: the M-step from labels, and EM where some labels are missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import table
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from jensen.core.block import Block
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.datasets import load
from jensen.errors import InputError
from jensen.families.gaussian import Gaussian
from jensen.families.shapes import SHAPES, complete_objective, maximize_shape
from jensen.families.whitening import as_full
from jensen.fit.classes.gaussians import SCALE_FREE, best_shape, chosen_shape, fit_shapes
from jensen.fit.classes.rows import ClassRows, labels_beside
from jensen.fit.summary import summarise
from jensen.models import Labelled, Mixture

IRIS = load("iris").data
SPECIES = np.unique(load("iris").target, return_inverse=True)[1]
# Of these the M-step has a formula that fits into a line.
FORMULAS = ("VVV", "EEE", "VVI", "EEI", "VII", "EII")


def class_rows(x, labels, weight=None):
    source = labels_beside(np.asarray(x, dtype=np.float64), np.asarray(labels), weight)
    names = tuple("abcdefgh"[: int(labels.max()) + 1])
    return ClassRows(source, names, summarise(source))


def fits(x, labels, shapes=tuple(SHAPES), weight=None, reg_covar=0.0, priors=None):
    rows = class_rows(x, labels, weight)
    return fit_shapes(rows, shapes, *rows.ridge(reg_covar), priors=priors)


def covariances(fit, d):
    params = fit.params
    return as_full(Gaussian(len(params["means"]), d, fit.covariance_type).layout, params["covariances"],
                   *params["means"].shape)  # fmt: skip


def by_hand(x, share, shape):
    """Shares, means and covariances from responsibilities (n, C), by the book."""
    counts, d = share.sum(axis=0), x.shape[1]
    means = share.T @ x / counts[:, None]
    scatter = np.array([(r[:, None] * (x - m)).T @ (x - m) for r, m in zip(share.T, means, strict=True)])
    if shape[0] == "E":
        own = np.tile(scatter.sum(axis=0) / counts.sum(), (len(counts), 1, 1))
    else:
        own = scatter / counts[:, None, None]
    if shape[1:] == "VI" or shape[1:] == "EI":
        own = own * np.eye(d)
    elif shape[1:] == "II":
        own = np.trace(own, axis1=1, axis2=2)[:, None, None] / d * np.eye(d)
    return counts / counts.sum(), means, own


def log_joint(x, shares, means, own):
    dens = [multivariate_normal(m, s, allow_singular=False).logpdf(x) for m, s in zip(means, own, strict=True)]
    return np.log(shares) + np.stack(dens, axis=1)


@pytest.mark.parametrize("shape", FORMULAS)
def test_the_m_step_from_labels_by_hand(shape):
    (fit,) = fits(IRIS, SPECIES, [shape])
    shares, means, own = by_hand(IRIS, np.eye(3)[SPECIES], shape)
    np.testing.assert_allclose(fit.params["weights"], shares, rtol=1e-14)
    np.testing.assert_allclose(fit.params["means"], means, rtol=1e-13)
    np.testing.assert_allclose(covariances(fit, 4), own, rtol=1e-10, atol=1e-14)
    loglik = log_joint(IRIS, shares, means, own)[np.arange(150), SPECIES].sum()
    assert fit.loglik == pytest.approx(loglik, rel=1e-11) and fit.objective == pytest.approx(loglik, rel=1e-11)
    assert fit.status is Status.CONVERGED and fit.n_iter == 0 and fit.is_sound


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_maximum(shape):
    # Wherever free coordinates are moved, the labelled likelihood falls.
    rows = class_rows(IRIS, SPECIES)
    (fit,) = fit_shapes(rows, [shape], np.zeros(4), np.full(4, 1e-12))
    model = Labelled(Mixture(Gaussian(3, 4, shape)))
    block = Block({"x": IRIS, "labels": SPECIES})
    params = model.model.parameters(**fit.params.values)
    best = model.expect(params, block).loglik
    assert best == pytest.approx(fit.loglik, rel=1e-12)
    free, rng = params.to_free(), np.random.default_rng(0)
    for size in (1e-3, 1e-2):
        for _ in range(20):
            moved = params.from_free(free + size * rng.standard_normal(free.size))
            assert model.expect(moved, block).loglik < best


@pytest.mark.parametrize("shape", ["EVE", "VVE"])
@pytest.mark.parametrize("seed", [12, 16])
def test_axes_in_common_are_looked_for_in_several_places(seed, shape):
    rng, labels = np.random.default_rng(seed), np.arange(48) % 4
    x = np.concatenate([rng.standard_normal((12, 6)) @ rng.standard_normal((6, 6)) for _ in range(4)])
    x = x.reshape(4, 12, 6).swapaxes(0, 1).reshape(48, 6)
    (fit,) = fits(x, labels, [shape])
    about = [x[labels == c] - x[labels == c].mean(axis=0) for c in range(4)]
    counts, scatter = np.full(4, 12.0), np.array([rows.T @ rows for rows in about])
    best, from_the_columns = (
        complete_objective(counts, scatter, maximize_shape(shape, counts, scatter, previous))
        for previous in (None, np.tile(np.eye(6), (4, 1, 1)))
    )
    assert complete_objective(counts, scatter, covariances(fit, 6)) == pytest.approx(best, rel=1e-9)
    assert best > from_the_columns + 1.0


def test_the_penalty_is_in_the_objective_alone():
    labels = np.where(np.arange(150) % 5 == 0, SPECIES, -1)
    for given_labels in (SPECIES, labels):
        (fit,) = fits(IRIS, given_labels, ["VVV"], reg_covar=1e-2)
        joint = log_joint(IRIS, fit.params["weights"], fit.params["means"], covariances(fit, 4))
        penalty = 0.5 * 1e-2 * np.trace(np.linalg.inv(covariances(fit, 4)), axis1=1, axis2=2)
        for value, these in ((fit.loglik, joint), (fit.objective, joint - penalty)):
            rows = np.where(given_labels >= 0, these[np.arange(150), given_labels], logsumexp(these, axis=1))
            assert value == pytest.approx(rows.sum(), rel=1e-9)


def test_freedom_never_costs_likelihood():
    found = dict(zip(SHAPES, fits(IRIS, SPECIES), strict=True))
    for name, shape in SHAPES.items():
        for other, smaller in SHAPES.items():
            if shape.contains(smaller):
                assert found[name].loglik >= found[other].loglik - 1e-9, (name, other)


@pytest.mark.parametrize("shape", FORMULAS)
def test_em_over_unlabelled_rows_by_hand(shape):
    labels = np.where(np.arange(150) % 5 == 0, SPECIES, -1)
    (fit,) = fits(IRIS, labels, [shape])
    share = np.full((150, 3), 1.0 / 3.0)
    share[labels >= 0] = np.eye(3)[labels[labels >= 0]]
    for _ in range(500):
        shares, means, own = by_hand(IRIS, share, shape)
        joint = log_joint(IRIS, shares, means, own)
        rows = np.where(labels >= 0, joint[np.arange(150), labels], logsumexp(joint, axis=1))
        unknown = labels < 0
        share[unknown] = np.exp(joint - logsumexp(joint, axis=1)[:, None])[unknown]
    assert fit.loglik == pytest.approx(rows.sum(), abs=1e-5)
    np.testing.assert_allclose(fit.params["weights"], shares, atol=1e-4)
    np.testing.assert_allclose(fit.params["means"], means, atol=1e-3)
    np.testing.assert_allclose(covariances(fit, 4), own, atol=1e-3)


@st.composite
def problems(draw):
    seed, d = draw(st.integers(0, 2**16)), draw(st.sampled_from([1, 2, 3]))
    n_classes = draw(st.sampled_from([2, 3]))
    x = table(seed, draw(st.sampled_from([24, 60])), d, n_classes, spread=draw(st.sampled_from([0.3, 2.0])))
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(len(x)) < draw(st.sampled_from([0.3, 0.8])), rng.integers(n_classes, size=len(x)), -1)
    labels[:n_classes] = np.arange(n_classes)
    weight = rng.integers(1, 4, len(x)).astype(float) if draw(st.booleans()) else None
    return x, labels, weight, draw(st.sampled_from(list(SHAPES)))


@given(problems(), st.sampled_from(["auto", 1e-2]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_objective_never_falls(problem, reg_covar, held):
    x, labels, weight, shape = problem
    n_classes = labels.max() + 1
    priors = np.full(n_classes, 1.0 / n_classes) if held else None
    (fit,) = fits(x, labels, [shape], weight, reg_covar, priors)
    assert fit.status is not Status.OBJECTIVE_FELL
    if fit.params is not None:
        steps = np.diff(fit.trace)
        assert steps.size == 0 or steps.min() >= -1e-10 * max(abs(fit.objective), 1.0)
        # What is reported belongs to the parameters.
        rows = class_rows(x, labels, weight)
        ridge, floor = rows.ridge(reg_covar)
        model = Labelled(Mixture(Gaussian(n_classes, x.shape[1], shape, ridge, floor)))
        assert rows.source.fold(model.expect, fit.params).loglik == pytest.approx(fit.objective, rel=1e-9, abs=1e-9)
        if held:
            np.testing.assert_array_equal(fit.params["weights"], priors)


def test_weight_two_is_the_row_twice():
    rng = np.random.default_rng(3)
    weight = rng.integers(1, 4, 150).astype(float)
    for labels in (SPECIES, np.where(np.arange(150) % 4 == 0, SPECIES, -1)):
        times = weight.astype(int)
        weighted = fits(IRIS, labels, weight=weight, reg_covar="auto")
        repeated = fits(np.repeat(IRIS, times, axis=0), np.repeat(labels, times), reg_covar="auto")
        for one, two in zip(weighted, repeated, strict=True):
            assert one.loglik == pytest.approx(two.loglik, rel=1e-8)
            assert one.value("bic") == pytest.approx(two.value("bic"), rel=1e-8)
        assert best_shape(weighted, "bic").covariance_type == best_shape(repeated, "bic").covariance_type


def test_units_of_columns_change_nothing():
    units = np.array([1e-6, 1.0, 1e3, 1e6])
    labels = np.where(np.arange(150) % 4 == 0, SPECIES, -1)
    both = [fits(x, labels, SCALE_FREE, reg_covar="auto") for x in (IRIS, IRIS * units + 1e3 * units)]
    for one, two in zip(*both, strict=True):
        assert two.loglik + 150 * np.log(units).sum() == pytest.approx(one.loglik, abs=1e-4), one.covariance_type


def test_distant_classes_do_not_raise_the_ridge():
    labels = np.where(np.arange(150) % 5 == 0, SPECIES, -1)
    near, far = (class_rows(x, labels).ridge("auto")[0] for x in (IRIS, IRIS + 1e4 * SPECIES[:, None]))
    np.testing.assert_allclose(far, near, rtol=1e-6)
    assert (far > 0).all() and (far < 1e-6 * IRIS.var(axis=0)).all()


def test_where_all_rows_are_labelled_there_is_no_ridge():
    with_it, without = fits(IRIS, SPECIES, reg_covar="auto"), fits(IRIS, SPECIES, reg_covar=0.0)
    assert [fit.objective for fit in with_it] == [fit.objective for fit in without] == [fit.loglik for fit in without]


def test_a_class_that_is_thin_but_has_its_rows_is_sound():
    # Rounding apart, any direction that the rows of a class fill is its own affair.
    x = IRIS.copy()
    x[SPECIES == 1, 3] = x[SPECIES == 1, 2] + 1e-4 * np.random.default_rng(0).standard_normal(50)
    (fit,) = fits(x, SPECIES, ["VVV"], reg_covar="auto")
    assert fit.is_sound
    x[SPECIES == 1, 3] = x[SPECIES == 1, 2]
    (fit,) = fits(x, SPECIES, ["VVV"], reg_covar="auto")
    assert fit.reason == "the rows of class b vary in 3 of 4 directions only"


def test_held_shares_are_no_free_parameters():
    labels = np.where(np.arange(150) % 4 == 0, SPECIES, -1)
    priors = np.array([0.5, 0.3, 0.2])
    for given_labels in (SPECIES, labels):
        (free,), (held,) = fits(IRIS, given_labels, ["VVV"]), fits(IRIS, given_labels, ["VVV"], priors=priors)
        assert held.n_free == free.n_free - 2 and held.loglik < free.loglik
        np.testing.assert_array_equal(held.params["weights"], priors)


def few(n_b, seed=0, d=4):
    """Forty rows of class a and a few of class b."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((40 + n_b, d)), np.repeat([0, 1], [40, n_b])


def sound(n_b, reg_covar="auto"):
    return {name for name, fit in zip(SHAPES, fits(*few(n_b), reg_covar=reg_covar), strict=True) if fit.is_sound}


@pytest.mark.parametrize("reg_covar", ["auto", 0.0])
def test_what_a_class_of_few_rows_determines(reg_covar):
    pooled, volume = {"EII", "EEI", "EEE"}, {"VII", "VEI", "VEE"}
    assert sound(1, reg_covar) == pooled
    # Two rows have a spread along every axis, and a volume.
    assert sound(2, reg_covar) == pooled | volume | {"EVI", "VVI"}
    assert sound(3, reg_covar) == sound(2, reg_covar)
    # All but one of the directions tell the axes.
    assert sound(4, reg_covar) == sound(2, reg_covar) | {"EEV", "VEV"}
    assert sound(5, reg_covar) == set(SHAPES)


def test_reasons_name_the_class():
    for fit in fits(*few(2), reg_covar="auto"):
        assert fit.is_sound == (not fit.reason)
        assert fit.is_sound or "class b" in fit.reason, fit.reason
    (fit,) = fits(*few(2), ["VVV"])
    assert fit.reason == "the rows of class b vary in 1 of 4 directions only" and fit.value("bic") == np.inf


def test_a_column_that_does_not_vary_within_a_class():
    x, labels = IRIS.copy(), SPECIES
    x[labels == 1, 2] = 4.0
    found = dict(zip(SHAPES, fits(x, labels, reg_covar="auto"), strict=True))
    assert found["VVI"].reason == "the rows of class b vary in 3 of 4 columns only"
    assert found["EVI"].reason == found["VVI"].reason and not found["VVV"].is_sound
    assert found["EEE"].is_sound and found["VEE"].is_sound and found["EEI"].is_sound


def test_a_constant_column_tells_nothing():
    x = np.column_stack([IRIS, np.full(150, 3.0)])
    with_it, without = fits(x, SPECIES, reg_covar="auto"), fits(IRIS, SPECIES, reg_covar="auto")
    for one, two in zip(with_it, without, strict=True):
        assert one.is_sound == two.is_sound


def test_when_none_is_left_the_reasons_are_told():
    x, labels = few(2)
    with pytest.raises(InputError, match=r"no covariance shape can be estimated\. full: .*class b.*simpler"):
        chosen_shape(fits(x, labels, ["VVV"]), "bic")
    # A class is not degenerate for being as smooth as it was asked to be.
    assert chosen_shape(fits(x, labels, ["VVV"], reg_covar=0.1), "bic").covariance_type == "full"
    assert chosen_shape(fits(x, labels, ["VVV", "EII"]), "bic").covariance_type == "EII"


@pytest.mark.parametrize("criterion", ["bic", "aic", "aicc", "caic", "sabic"])
def test_criteria(criterion):
    found = fits(IRIS, SPECIES)
    n, best = 150, best_shape(found, criterion)
    price = {
        "bic": lambda p: p * np.log(n), "aic": lambda p: 2 * p, "aicc": lambda p: 2 * p * n / (n - p - 1),
        "caic": lambda p: p * (np.log(n) + 1), "sabic": lambda p: p * np.log((n + 2) / 24),
    }[criterion]  # fmt: skip
    values = [-2 * fit.loglik + price(fit.n_free) for fit in found]
    assert best.value(criterion) == pytest.approx(min(values), rel=1e-12)


def test_threads_and_blocks_change_no_more_than_rounding():
    labels = np.where(np.arange(150) % 4 == 0, SPECIES, -1)
    whole = class_rows(IRIS, labels)
    cut = ClassRows(ArraySource(IRIS, block_rows=16).with_arrays(labels=labels), whole.names, whole.data)
    for one, two in zip(*(fit_shapes(rows, ["VVV", "EVE"], *rows.ridge("auto")) for rows in (whole, cut)), strict=True):
        assert one.loglik == pytest.approx(two.loglik, rel=1e-8)
