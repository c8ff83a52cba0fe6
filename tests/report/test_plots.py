"""Pictures of mixtures: what is drawn is what the model says, on few rows and many, one column and eight."""

import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.patches import Ellipse

import jensen
from jensen.errors import InputError
from jensen.report import drawing, mixture, planes

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

KINDS = (
    "clusters",
    "projection",
    "density",
    "uncertainty",
    "responsibilities",
    "fit",
    "profiles",
    "estimates",
    "trace",
)
FAITHFUL, IRIS, GALAXIES = (jensen.datasets.load(name).data for name in ("faithful", "iris", "galaxies"))
# Long, alike at both ends, and with what matplotlib would read as mathematics.
LONG = [f"price in $ of the measurement with number {j} in $, as it came" for j in range(8)]


@pytest.fixture(autouse=True)
def closed():
    """No figure outlives its test."""
    yield
    plt.close("all")


def blobs(k, d, n, seed=0):
    """Rows of k round groups, and the mixture that they come from, or nearly."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(-6.0, 6.0, (k, d)) * k ** (1.0 / d)
    labels = rng.integers(0, k, n)
    return means[labels] + rng.standard_normal((n, d)), means


def given(k, d, n, names=None):
    """A mixture with given parameters, and its rows."""
    X, means = blobs(k, d, n)
    shares = np.full(k, 1.0 / k)
    cov = np.broadcast_to(np.eye(d), (k, d, d))
    return jensen.GaussianMixture.from_parameters(shares, means, cov, covariance_type="full", feature_names=names), X


@pytest.fixture(scope="module")
def faithful():
    return jensen.GaussianMixture(2, random_state=0).fit(FAITHFUL)


@pytest.fixture(scope="module")
def iris():
    return jensen.GaussianMixture(3, random_state=0).fit(IRIS)


@pytest.fixture(scope="module")
def galaxies():
    return jensen.GaussianMixture(4, random_state=0).fit(GALAXIES)


def patches(ax):
    return [patch for patch in ax.patches if isinstance(patch, Ellipse)]


def marks(ax):
    """Offsets of all scattered marks (n, 2)."""
    found = [c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)]
    return np.concatenate(found) if found else np.empty((0, 2))


def told(ax):
    return ax.get_title(loc="right")


# ------------------------------------------------------------------------------------------------ every kind, any shape


@pytest.mark.parametrize("kind", KINDS[:-1])
@pytest.mark.parametrize(("k", "d", "n"), [(1, 1, 10), (1, 2, 10), (1, 8, 60), (3, 1, 90), (3, 2, 90), (4, 8, 200)])
def test_every_kind_is_drawn(kind, k, d, n):
    model, X = given(k, d, n)
    ax = model.plot(X, kind)
    ax.figure.canvas.draw()
    assert ax.has_data() or ax.child_axes
    assert model.plot(X, kind, ax=plt.figure().add_subplot()).figure is plt.gcf()


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_forty_components_weights_and_long_names(kind):
    model, X = given(40, 2, 1_200, names=LONG[:2])
    weight = np.arange(len(X)) % 4 * 0.5
    ax = model.plot(pd.DataFrame(X, columns=LONG[:2]), kind, sample_weight=weight)
    ax.figure.canvas.draw()
    assert ax.get_legend() is None


def test_names_are_shortened_stay_different_and_are_no_mathematics():
    short = drawing.short_names(LONG)
    assert len(set(short)) == 8
    assert max(len(name.replace("\\", "")) for name in short) <= 18 + len("8: ")
    assert not any("$" in name.replace("\\$", "") for name in short)
    assert drawing.short_names(["eruptions", "a\nb"]) == ("eruptions", "a b")


def test_colours_and_markers_tell_forty_components_apart():
    assert len({(drawing.colour(k), drawing.marker(k)) for k in range(49)}) == 49
    assert (drawing.colour(-1), drawing.marker(-1)) == (drawing.GREY, "x")


# ------------------------------------------------------------------------------------------------ clusters


def test_clusters_of_two_columns(faithful):
    ax = faithful.plot(FAITHFUL)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x1", "x2")
    assert sorted(map(tuple, marks(ax))) == sorted(map(tuple, FAITHFUL))
    groups = [c for c in ax.collections if isinstance(c, PathCollection)]
    assert sorted(len(c.get_offsets()) for c in groups) == sorted(np.bincount(faithful.predict(FAITHFUL)))
    assert [text.get_text() for text in ax.texts] == ["0", "1"]
    assert [text.get_text().split()[0] for text in ax.get_legend().get_texts()] == ["0", "1"]
    (low, high), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert low < FAITHFUL[:, 0].min() and high > FAITHFUL[:, 0].max()
    assert bottom < FAITHFUL[:, 1].min() and top > FAITHFUL[:, 1].max()


def test_ellipses_hold_their_share(faithful):
    ax = faithful.plot(FAITHFUL)
    found = patches(ax)
    assert len(found) == 4
    for number, ellipse in enumerate(found):
        component, share = divmod(number, 2)
        edge = ellipse.get_patch_transform().transform(np.array([[1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]]))
        away = edge - faithful.means_[component]
        distance = np.einsum("ij,jk,ik->i", away, faithful.precisions_[component], away)
        np.testing.assert_allclose(1.0 - np.exp(-0.5 * distance), planes.ELLIPSES[share], rtol=1e-9)


def test_clusters_of_one_column_are_densities(galaxies):
    ax = galaxies.plot(GALAXIES)
    *parts, whole = ax.lines
    x, y = whole.get_data()
    np.testing.assert_allclose(y, np.exp(galaxies.score_samples(x[:, None])), rtol=1e-10)
    np.testing.assert_allclose(sum(part.get_ydata() for part in parts), y, rtol=1e-10)
    (bars,) = [patch for patch in ax.patches if hasattr(patch, "get_data")]
    heights, edges, _ = bars.get_data()
    assert heights @ np.diff(edges) == pytest.approx(1.0)


def test_clusters_of_four_columns_are_pairs(iris):
    ax = iris.plot(IRIS)
    assert len(ax.child_axes) == 16
    assert sum(bool(patches(panel)) for panel in ax.child_axes) == 6
    (last,) = [panel for panel in ax.child_axes if panel.get_xlabel() == "x3" and panel.get_ylabel() == ""]
    assert len(marks(last)) == 150
    chosen = iris.plot(IRIS, columns=[3, 0])
    assert (chosen.get_xlabel(), chosen.get_ylabel()) == ("x4", "x1")


def test_many_columns_are_projected():
    model, X = given(4, 8, 200)
    ax, found = model.plot(X), model.projection()
    np.testing.assert_allclose(np.sort(marks(ax), axis=0), np.sort(found.transform(X)[:, :2], axis=0), atol=1e-12)
    assert ax.get_xlabel() == f"direction 1 ({100 * found.shares[0]:.0f} % of the structure)"
    one, rows = given(1, 8, 60)
    assert one.plot(rows).get_ylabel() == "principal component 2"
    two, rows = given(2, 8, 60)
    assert two.plot(rows, "projection").get_ylabel() == "density"


def test_noise_and_trimmed_rows_are_grey_crosses():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(-3, 0.5, (100, 2)), rng.normal(3, 0.5, (100, 2)), rng.uniform(-8, 8, (40, 2))])
    for settings, name in (({"noise": True}, "noise"), ({"trim": 0.2}, "trimmed")):
        model = jensen.GaussianMixture(2, random_state=0, n_init=3, **settings).fit(X)
        for kind in KINDS:
            if (kind, name) != ("estimates", "trimmed"):
                model.plot(X, kind).figure.canvas.draw()
                plt.close("all")
        ax = model.plot(X)
        grey = [c for c in ax.collections if np.allclose(c.get_facecolor()[0][:3], matplotlib.colors.to_rgb("#8C8C8C"))]
        assert sum(len(c.get_offsets()) for c in grey) == model.outliers_.sum() > 10
        assert ax.get_legend().get_texts()[-1].get_text() == name


def test_weights_are_areas_and_weight_zero_is_no_row(faithful):
    weight = np.ones(len(FAITHFUL))
    weight[:3] = 4.0, 2.0, 0.0
    ax = faithful.plot(FAITHFUL, sample_weight=weight)
    areas = np.concatenate([c.get_sizes() for c in ax.collections])
    assert len(marks(ax)) == len(FAITHFUL) - 1
    np.testing.assert_allclose(np.sort(areas)[-2:] / np.median(areas), [2.0, 4.0])


def test_a_far_row_does_not_make_the_others_a_dot(faithful):
    X = np.vstack([FAITHFUL, [[1e6, 1e6]]])
    ax = faithful.plot(X)
    assert np.diff(ax.get_xlim()) < 30.0
    assert told(ax) == "1 row outside"


# ------------------------------------------------------------------------------------------------ many rows


def test_many_rows_are_counted_in_bins():
    model, X = given(3, 2, 30_000)
    ax = model.plot(X)
    assert not len(marks(ax)) and len(ax.images) == 1
    assert told(ax) == "30,000 rows in bins, shaded by log count"
    for kind in ("density", "uncertainty"):
        assert "30,000 rows" in told(model.plot(X, kind)), kind
        assert not len(marks(plt.gca()))


@pytest.mark.parametrize("n", [7, 30_000])
def test_bins_hold_what_histogram2d_counts(n):
    rng = np.random.default_rng(0)
    X, labels, weight = rng.standard_normal((n, 2)), rng.integers(0, 3, n), rng.random(n)
    limits = np.array([[-2.0, 2.5], [-1.0, 1.0]])
    counts = planes.binned(X, limits, weight, labels=labels, n_labels=3)
    m = counts.shape[1]
    for label in range(3):
        mine = labels == label
        expected, _, _ = np.histogram2d(*X[mine].T, bins=m, range=limits, weights=weight[mine])
        np.testing.assert_allclose(counts[label], expected.T, atol=1e-9)
    sums = planes.binned(X, limits, weight, values=X[:, 0] ** 2)[1].sum()
    inside = ((limits[:, 0] <= X) & (limits[:, 1] >= X)).all(axis=1)
    assert sums == pytest.approx(weight[inside] @ X[inside, 0] ** 2)


# ------------------------------------------------------------------------------------------------ density, doubts


def test_contours_hold_their_share_of_the_mixture(faithful):
    ax = faithful.plot(None, "density")
    levels = [c for c in ax.collections if hasattr(c, "levels")][1].levels
    draws = faithful._fitted.sample(50_000, np.random.default_rng(0))[0]
    above = (faithful.score_samples(draws)[:, None] > levels).mean(axis=0)
    np.testing.assert_allclose(above, planes.CONTOURS, atol=0.012)
    assert told(ax) == "contours hold 25, 50, 75, 90, 99 % of the mixture"


def test_uncertainty_is_one_minus_the_largest_responsibility(iris, galaxies):
    ax = iris.plot(IRIS, "uncertainty", columns=[0, 1])
    (shown,) = [c for c in ax.collections if isinstance(c, PathCollection)]
    doubts = 1.0 - iris.predict_proba(IRIS).max(axis=1)
    np.testing.assert_allclose(shown.get_array(), np.sort(doubts), atol=1e-12)
    assert shown.get_clim() == (0.0, pytest.approx(2 / 3))
    at = marks(galaxies.plot(GALAXIES, "uncertainty"))
    expected = 1.0 - galaxies.predict_proba(at[:, :1]).max(axis=1)
    np.testing.assert_allclose(at[:, 1], expected, atol=1e-12)


# ------------------------------------------------------------------------------------------------ responsibilities


def test_the_strip_shows_rows_by_component_the_surest_first(iris):
    ax = iris.plot(IRIS, "responsibilities")
    strip = ax.images[0].get_array()
    shares = iris.predict_proba(IRIS)
    assert strip.shape == (3, 150)
    np.testing.assert_allclose(strip.sum(axis=0), 1.0)
    np.testing.assert_allclose(np.sort(strip[1]), np.sort(shares[:, 1]))
    own = strip.max(axis=0)
    borders = np.cumsum(np.bincount(iris.predict(IRIS)))[:-1]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_xdata()[0] == line.get_xdata()[1]] == list(borders)
    for part in np.split(own, borders):
        assert (np.diff(part) <= 0).all()


def test_the_strip_of_many_rows_has_their_mean():
    model, X = given(3, 2, 30_000)
    strip = model.plot(X, "responsibilities").images[0].get_array()
    few = model.plot(X[:20_000], "responsibilities").images[0].get_array()
    assert strip.shape == few.shape == (3, 1_000)
    np.testing.assert_allclose(strip.mean(axis=1), model.predict_proba(X).mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(few.mean(axis=1), model.predict_proba(X[:20_000]).mean(axis=0), rtol=1e-9)


def test_a_weight_in_the_strip_is_so_many_rows(iris):
    weight = np.arange(150) % 3
    weighed = iris.plot(IRIS, "responsibilities", sample_weight=weight).images[0]
    repeated = iris.plot(np.repeat(IRIS, weight, axis=0), "responsibilities", sample_weight=np.ones(weight.sum()))
    np.testing.assert_allclose(weighed.get_array(), repeated.images[0].get_array(), atol=1e-9)
    assert weighed.get_extent()[1] == weight.sum()


# ------------------------------------------------------------------------------------------------ estimates, trace


def test_estimates_are_those_of_confint(iris):
    ax, found = iris.plot(IRIS, "estimates", level=0.9), iris.confint(IRIS, level=0.9)
    shown = [panel for panel in ax.child_axes if panel.get_title()]
    assert [panel.get_title() for panel in shown] == ["weight", "x1", "x2", "x3", "x4"]
    for j, panel in enumerate(shown):
        bars = np.array([line.get_xdata() for line in panel.lines if len(line.get_xdata()) == 2])[j > 0 :]
        expected = found["weights"] if j == 0 else found["means"][:, j - 1]
        np.testing.assert_allclose(bars, expected)
    assert told(ax) == "90 % intervals"


def test_profiles_are_in_units_of_the_whole(iris):
    ax = iris.plot(IRIS, "profiles")
    assert [panel.get_title()[0] for panel in ax.child_axes] == ["0", "1", "2"]
    # By maximum likelihood, the mixture has the mean and the variance of the data.
    expected = (iris.means_ - IRIS.mean(axis=0)) / IRIS.std(axis=0)
    for component, panel in enumerate(ax.child_axes):
        np.testing.assert_allclose(panel.lines[-1].get_xdata(), expected[component], atol=2e-3)


def test_of_many_columns_profiles_show_those_that_differ():
    means = np.zeros((2, 50))
    means[1, [3, 7]] = 5.0
    model = jensen.GaussianMixture.from_parameters([0.5, 0.5], means, np.ones((2, 50)), covariance_type="diag")
    X = model._fitted.sample(40, np.random.default_rng(0))[0]
    ax = model.plot(X, "profiles")
    names = [label.get_text() for label in ax.child_axes[0].get_yticklabels()]
    assert len(names) == 30 and {"x4", "x8"} <= set(names)
    assert "the 30 of 50 columns where means differ most" in told(ax)


def test_the_trace_is_the_record(iris):
    ax, record = iris.plot(kind="trace"), iris.fit_result_
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), record.trace)
    ends = [(x, y) for line in ax.lines[1:] for x, y in zip(*line.get_data(), strict=True)]
    assert sorted(ends) == sorted((start.n_iter, start.objective) for start in record.starts)
    assert f"at the optimum ({record.account.optima[0].n_starts})" in [
        t.get_text() for t in ax.get_legend().get_texts()
    ]
    assert ax.get_ylim()[1] > record.objective


def test_ends_on_a_sample_stand_beside_the_trace():
    X = blobs(3, 2, 70_000)[0]
    model = jensen.GaussianMixture(3, random_state=0).fit(X)
    assert model.fit_result_.account.sampled
    ax = model.plot(kind="trace")
    assert "ends of starts are of a sample of" in told(ax)
    best = [line for line in ax.lines if line.get_label().startswith("at the optimum")][0]
    assert np.abs(best.get_ydata() - model.fit_result_.objective).max() < 5.0


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "pie"}, "kind must be one of 'clusters', 'projection', .*'trace', got 'pie'"),
        ({"X": None}, "kind='clusters' needs X"),
        ({"columns": ["z"]}, "columns must be names or numbers from 0 to 1 of the model's columns, got 'z'"),
        ({"columns": [1, 1]}, "columns must be different ones"),
        ({"kind": "fit", "columns": [0]}, "columns goes with kind 'clusters'.*kind='fit' is about all columns"),
        ({"kind": "estimates", "level": 2.0}, "level must be a number between 0 and 1"),
        ({"sample_weight": np.ones(3)}, "sample_weight must have one entry per row"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(faithful, arguments, message):
    with pytest.raises(InputError, match=message):
        faithful.plot(**{"X": FAITHFUL, **arguments})


def test_other_refusals(iris, monkeypatch):
    with pytest.raises(ValueError, match="expecting 4 features"):
        iris.plot(FAITHFUL)
    with pytest.raises(InputError, match="takes one or two columns, got 3"):
        iris.plot(IRIS, "density", columns=[0, 1, 2])
    loaded = given(2, 2, 5)[0]
    with pytest.raises(InputError, match="kind='trace' needs the record of a fit"):
        loaded.plot(kind="trace")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"plots need matplotlib: install it with pip install 'jensen\[plot\]'"):
        iris.plot(IRIS)


def test_the_kinds_tested_are_all():
    from typing import get_args

    assert set(KINDS) == set(get_args(mixture.Kind))
