"""The tree of merges: what brute force, mclust and SciPy make of the same rows, and laws that it keeps."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import fit, table
from references import read_csv
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.stats import multivariate_normal

from jensen import datasets
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.fit.starts import hierarchy as module
from jensen.fit.starts.hierarchy import hierarchy
from jensen.fit.summary import summarise
from jensen.kernels import choose
from jensen.numerics.order import canonical_order

CRITERIA = ("VVV", "EII", "affine")
every_criterion = pytest.mark.parametrize("criterion", CRITERIA)
seeds = st.integers(0, 2**16)
criteria = st.sampled_from(CRITERIA)

native = pytest.mark.skipif(choose.native_kernels() is None, reason="the native kernel is not there")


@pytest.fixture(params=["portable", pytest.param("native", marks=native)])
def kernel(request, monkeypatch):
    """The code that grows the tree."""
    if request.param == "portable":
        monkeypatch.setattr(module, "native_kernels", lambda: None)
    return request.param


def tree(x, criterion, weight=None, **settings):
    """The hierarchy of some rows, in canonical order."""
    return hierarchy(summarise(ArraySource(np.asarray(x, dtype=float), weight)), criterion, **settings)


def grown_without_kernel(x, criterion, weight=None):
    """The same in NumPy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "native_kernels", lambda: None)
        return tree(x, criterion, weight)


def groups(labels):
    """A partition as a set of sets, whatever its names."""
    return {frozenset(np.flatnonzero(labels == k).tolist()) for k in np.unique(labels)}


def of_rows(x, found, n_clusters):
    """Labels of rows in the order they came in."""
    place = {tuple(row): i for i, row in enumerate(np.asarray(x)[canonical_order(x)].tolist())}
    different = {row: i for i, row in enumerate(dict.fromkeys(sorted(place, key=place.get)))}
    return found.labels(n_clusters)[[different[tuple(row)] for row in np.asarray(x).tolist()]]


# ------------------------------------------------------------------------------------------------ independent evidence


def transform_by_hand(copies, criterion):
    """The rows that mclust would cluster, from eigenvectors; sphered ones for "affine"."""
    z = (copies - copies.mean(axis=0)) / copies.std(axis=0, ddof=1)
    eigenvalues, axes = np.linalg.eigh(z.T @ z)
    return z @ axes / (np.sqrt(eigenvalues / len(z)) if criterion == "affine" else eigenvalues**0.25)


def criterion_by_hand(parts, criterion, d, all_rows):
    """The criterion of a partition, from the definition, on copies of the rows."""
    value = 0.0
    for rows in parts:
        n, about = len(rows), rows - rows.mean(axis=0)
        scatter = about.T @ about
        if criterion == "EII":
            value += np.trace(scatter)
        elif criterion == "affine":
            value += n * np.log(np.linalg.det((scatter + 0.5 * np.cov(all_rows.T, ddof=0).reshape(d, d)) / n))
        else:
            average = ((all_rows - all_rows.mean(axis=0)) ** 2).mean()
            determinant = np.linalg.det(scatter / n) if len(np.unique(rows, axis=0)) > d else 0.0
            value += n * np.log(determinant + (np.trace(scatter) + average) / n)
    return value


def tree_by_hand(x, weight, criterion):
    """Merges and costs by trying every pair at every step, each row in as many copies as it weighs."""
    times = np.asarray(weight, dtype=int)
    z = transform_by_hand(np.repeat(x, times, axis=0), criterion)
    ends = np.cumsum(times)
    clusters = {i: z[end - t : end] for i, (end, t) in enumerate(zip(ends, times, strict=True))}
    merges, costs = [], []
    while len(clusters) > 1:
        before = criterion_by_hand(clusters.values(), criterion, x.shape[1], z)
        tried = {}
        for i, j in combinations(clusters, 2):
            rest = [rows for k, rows in clusters.items() if k not in (i, j)]
            together = np.concatenate([clusters[i], clusters[j]])
            tried[i, j] = criterion_by_hand([*rest, together], criterion, x.shape[1], z) - before
        i, j = min(tried, key=tried.get)
        merges.append((i, j))
        costs.append(tried[i, j])
        clusters[i] = np.concatenate([clusters[i], clusters.pop(j)])
    return np.array(merges), np.array(costs)


@every_criterion
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_merges_are_those_of_brute_force(criterion, d, weighted, kernel):
    for seed in range(2):
        x = table(seed, 11, d, 2)
        x = x[canonical_order(x)]
        weight = np.random.default_rng(seed).integers(1, 5, len(x)).astype(float) if weighted else np.ones(len(x))
        found = tree(x, criterion, weight)
        merges, costs = tree_by_hand(x, weight, criterion)
        np.testing.assert_array_equal(found.merges, merges)
        np.testing.assert_allclose(found.costs, costs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["iris", "faithful"])
@pytest.mark.parametrize("criterion", ["VVV", "EII"])
def test_partitions_are_those_of_mclust(name, criterion, kernel):
    x = datasets.load(name).data
    found = tree(x, criterion)
    for line in read_csv("mclust_hierarchy.csv"):
        if (line["data"], line["criterion"]) == (name, criterion):
            assert groups(of_rows(x, found, int(line["G"]))) == groups(np.array(list(line["labels"]))), line["G"]


@given(seeds, st.integers(2, 60), st.integers(1, 5))
def test_equal_spherical_clusters_are_ward(seed, n, d):
    x = table(seed, n, d, 3)
    found = tree(x, "EII")
    ward = linkage(found.z, "ward")
    np.testing.assert_allclose(found.costs, ward[:, 2] ** 2 / 2, rtol=1e-9, atol=1e-12)
    for k in range(1, min(n, 12)):
        assert groups(found.labels(k)) == groups(fcluster(ward, k, "maxclust"))


@given(seeds, criteria, st.sampled_from([(40, 1), (40, 2), (60, 4), (30, 12), (12, 20)]), st.integers(0, 3))
@settings(max_examples=60)
def test_both_kernels_grow_the_same_tree(seed, criterion, size, kind):
    if choose.native_kernels() is None:
        pytest.skip("the native kernel is not there")
    rng = np.random.default_rng(seed)
    x, weight = table(seed, *size, 3), rng.integers(0, 4, size[0]) * rng.random(size[0]) + 0.1
    if kind == 1:
        x = np.round(x)  # ties without number
    elif kind == 2:
        x[:, -1] = x[:, 0] * 2.0  # collinear
    elif kind == 3:
        weight, x[0] = 10.0 ** rng.uniform(-9, 9, len(x)), 1e4
    one, other = tree(x, criterion, weight), grown_without_kernel(x, criterion, weight)
    np.testing.assert_array_equal(one.merges, other.merges)
    np.testing.assert_allclose(one.costs, other.costs, rtol=1e-7, atol=1e-10 * weight.sum())


@native
@pytest.mark.parametrize("name", ["iris", "faithful", "galaxies"])
@every_criterion
def test_both_kernels_grow_the_same_tree_of_rounded_data(name, criterion):
    x = datasets.load(name).data
    np.testing.assert_array_equal(tree(x, criterion).merges, grown_without_kernel(x, criterion).merges)


def test_many_features_leave_the_floats_in_neither_kernel(kernel):
    x = table(0, 30, 80, 2)
    for criterion in CRITERIA:
        found = tree(x, criterion, np.full(30, 1e5))
        assert np.isfinite(found.costs).all()
        assert groups(found.labels(1)) == groups(np.zeros(30))


# ------------------------------------------------------------------------------------------------ known structure


@pytest.mark.parametrize(
    ("name", "n_clusters", "criterion", "loglik"),
    [
        ("faithful", 2, "VVV", -1130.264),
        ("faithful", 2, "EII", -1130.264),
        ("faithful", 2, "affine", -1130.264),
        ("iris", 2, "VVV", -214.3547),
        ("iris", 2, "affine", -214.3547),
        ("iris", 3, "VVV", -180.1858),
        ("iris", 3, "EII", -180.1858),
    ],
)
def test_em_goes_from_a_cut_to_what_is_known(name, n_clusters, criterion, loglik):
    x = datasets.load(name).data
    labels = of_rows(x, tree(x, criterion), n_clusters)
    found = fit(x, n_clusters, init=labels, reg_covar=0.0)
    assert found.objective == pytest.approx(loglik, abs=2e-3)


@every_criterion
def test_groups_that_lie_apart_are_found(criterion, kernel):
    truth = np.repeat(np.arange(4), 30)
    corners = np.array([[0.0, 0.0, 0.0], [40.0, 0.0, 0.0], [0.0, 40.0, 0.0], [0.0, 0.0, 40.0]])
    x = corners[truth] + np.random.default_rng(0).standard_normal((120, 3))
    assert groups(of_rows(x, tree(x, criterion), 4)) == groups(truth)


@every_criterion
@pytest.mark.parametrize("total", [1e-200, 1e-3, 1.0, 1e9])
def test_groups_are_found_whatever_the_weights_add_up_to(criterion, total, kernel):
    truth = np.repeat(np.arange(3), 20)
    x = 40.0 * np.eye(3)[truth] + np.random.default_rng(0).standard_normal((60, 3))
    assert groups(of_rows(x, tree(x, criterion, np.full(60, total / 60)), 3)) == groups(truth)


def test_only_the_affine_criterion_follows_long_groups():
    # The sides of a triangle.
    rng, truth = np.random.default_rng(0), np.repeat([0, 1, 2], 80)
    corners, along = np.array([[0.0, 0.0], [10.0, 0.0], [5.0, 8.66]]), rng.uniform(0.05, 0.95, (240, 1))
    x = corners[truth] * (1 - along) + corners[(truth + 1) % 3] * along + 0.15 * rng.standard_normal((240, 2))
    wrong = {}
    for criterion in CRITERIA:
        labels = of_rows(x, tree(x, criterion), 3)
        wrong[criterion] = min(np.count_nonzero(np.array(names)[labels] != truth) for names in permutations(range(3)))
    assert wrong["affine"] < 20 and wrong["VVV"] > 60 and wrong["EII"] > 60


# ------------------------------------------------------------------------------------------------ laws


@every_criterion
def test_cuts_are_nested_and_numbered_by_their_first_rows(criterion, kernel):
    x = table(0, 50, 2, 3)
    found = tree(x, criterion)
    finer = groups(found.labels(50))
    assert len(finer) == 50
    for k in range(49, 0, -1):
        labels = found.labels(k)
        coarser = groups(labels)
        assert len(coarser) == k and len(coarser - finer) == 1
        assert all(any(part <= whole for whole in coarser) for part in finer)
        first = [int(np.argmax(labels == c)) for c in range(k)]
        assert labels.min() == 0 and first == sorted(first)
        finer = coarser


@given(seeds, criteria, st.sampled_from([1e-6, 1.0, 7.0, 1e5]), st.sampled_from([0.0, -3.0, 1e4]))
def test_units_and_origin_change_nothing(seed, criterion, unit, origin):
    x = table(seed, 60, 3, 3)
    units = unit * np.array([1.0, 3.0, 0.01])
    np.testing.assert_array_equal(tree(x, criterion).merges, tree(units * (x + origin), criterion).merges)


@given(seeds, criteria)
def test_the_order_of_rows_changes_nothing(seed, criterion):
    x = np.round(table(seed, 60, 2, 3), 1)
    shuffled = np.random.default_rng(seed).permutation(x)
    one, other = tree(x, criterion), tree(shuffled, criterion)
    np.testing.assert_array_equal(one.merges, other.merges)
    np.testing.assert_allclose(one.costs, other.costs, rtol=1e-10, atol=1e-10)


@given(seeds)
def test_no_linear_map_changes_the_affine_tree(seed):
    x = table(seed, 60, 3, 3)
    mapping = np.random.default_rng(seed).standard_normal((3, 3)) + 2.0 * np.eye(3)
    one, other = tree(x, "affine"), tree(x @ mapping, "affine")
    for k in (2, 3, 5, 9):
        assert groups(of_rows(x, one, k)) == groups(of_rows(x @ mapping, other, k))


@given(seeds, criteria)
def test_weight_is_repetition(seed, criterion):
    rng = np.random.default_rng(seed)
    x, times = table(seed, 40, 2, 3), rng.integers(0, 4, 40)
    one = tree(x, criterion, times.astype(float))
    other = tree(rng.permutation(np.repeat(x, times, axis=0)), criterion)
    np.testing.assert_array_equal(one.merges, other.merges)
    np.testing.assert_allclose(one.costs, other.costs)


@pytest.mark.parametrize("unit", [1.0, 0.1, 1.0 / 3.0, 1e5 / 7.0])
def test_ties_go_to_the_first_rows_whatever_the_rounding(unit, kernel):
    x = unit * np.arange(8.0)[:, None] + 5.0
    expected = [(0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (4, 6), (0, 4)]
    np.testing.assert_array_equal(tree(x, "EII").merges, expected)
    square = unit * np.stack(np.meshgrid(np.arange(4.0), np.arange(4.0), indexing="ij"), axis=-1).reshape(-1, 2)
    np.testing.assert_array_equal(tree(square, "EII").merges[:8], [(2 * i, 2 * i + 1) for i in range(8)])


# ------------------------------------------------------------------------------------------------ samples


@every_criterion
def test_the_rows_of_a_large_table_all_get_the_cluster_they_lie_in(criterion):
    truth = np.repeat(np.arange(3), 1000)
    x = 30.0 * np.eye(3)[truth] + np.random.default_rng(0).standard_normal((3000, 3))
    found = tree(x, criterion, max_rows=200)
    assert len(found.clustered) == len(found.counts) == 200
    assert groups(of_rows(x, found, 3)) == groups(truth)
    np.testing.assert_array_equal(found.labels(3), tree(x, criterion, max_rows=200).labels(3))
    assert not np.array_equal(found.clustered, tree(x, criterion, max_rows=200, seed=1).clustered)
    assert set(found.labels(5)) == set(range(5))
    assert found.labels(500).max() == 199


def test_the_default_sample_is_two_thousand_rows():
    x = np.random.default_rng(0).standard_normal((2001, 1))
    assert len(tree(x[:2000], "EII").clustered) == 2000
    many = np.random.default_rng(0).standard_normal((5000, 1))
    assert len(tree(many, "EII").clustered) == 2000


def test_a_sample_takes_rows_by_their_weight(kernel):
    x = np.arange(1000.0)[:, None]
    weight = np.ones(1000)
    weight[500], weight[600:] = 500.0, 2.0
    found = tree(x, "EII", weight, max_rows=100)
    assert found.counts.sum() == 100
    each = weight.sum() / 100
    light, heavy = np.count_nonzero(found.clustered < 500), np.count_nonzero(found.clustered >= 600)
    assert found.counts[found.clustered == 500][0] == pytest.approx(500 / each, abs=1)
    assert light == pytest.approx(500 / each, abs=1) and heavy == pytest.approx(800 / each, abs=1)


@every_criterion
def test_a_row_that_fills_the_sample_leaves_one_cluster(criterion):
    x, weight = table(0, 300, 2, 2), np.ones(300)
    weight[7] = 1e9
    found = tree(x, criterion, weight, max_rows=100)
    assert len(found.clustered) == 1 and len(found.merges) == 0
    assert not found.labels(1).any() and not found.labels(3).any()
    close = np.append(1e-200 * np.arange(299.0), 1e-190)[:, None]
    assert set(tree(close, criterion, max_rows=100).labels(3)) == {0, 1, 2}


@pytest.mark.parametrize("criterion", ["VVV", "affine"])
def test_other_rows_get_the_best_quadratic_discriminant(criterion):
    x = table(3, 900, 2, 3, spread=2.0)
    found = tree(x, criterion, max_rows=150)
    labels, z, n_clusters = found.labels(4), found.z, 4
    own, rows, counts = labels[found.clustered], z[found.clustered], found.counts
    whole = np.cov(rows.T, fweights=counts.astype(int), ddof=0)
    scores = []
    for k in range(n_clusters):
        n = counts[own == k].sum()
        mean = np.average(rows[own == k], axis=0, weights=counts[own == k])
        about = rows[own == k] - mean
        covariance = ((counts[own == k, None] * about).T @ about + whole) / (n + 1)
        scores.append(np.log(n) + multivariate_normal(mean, covariance).logpdf(z))
    others = np.setdiff1d(np.arange(len(z)), found.clustered)
    assert len(others) > 700 and len(set(labels[others])) == n_clusters
    np.testing.assert_array_equal(labels[others], np.argmax(scores, axis=0)[others])
    centres = [np.linalg.norm(z - rows[own == k].mean(axis=0), axis=1) for k in range(n_clusters)]
    assert not np.array_equal(labels[others], np.argmin(centres, axis=0)[others])


# ------------------------------------------------------------------------------------------------ awkward data


@every_criterion
@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (np.zeros((1, 2)), None),
        (np.ones((7, 2)), None),
        (table(0, 2, 3, 1), None),
        (table(0, 30, 1, 2) @ np.array([[1.0, -2.0, 1e3]]), None),
        (np.append(table(0, 20, 2, 2), [[1e140, -1e140]], axis=0), None),
        (table(0, 20, 2, 2) * np.array([1e-140, 0.0]), None),
        (np.append(1e-200 * np.arange(9.0), 1.0)[:, None], None),
        (table(0, 20, 2, 2), np.full(20, 1e-300)),
        (table(0, 20, 2, 2), np.append(np.full(19, 1e-12), 1e15)),
        (table(0, 20, 2, 2), np.full(20, 0.01)),
        (table(0, 20, 12, 2), np.full(20, 1e20)),
        (table(0, 20, 2, 2), np.append(np.full(10, 5e-324), np.ones(10))),
        (table(0, 5, 40, 1), None),
        (np.round(table(0, 200, 2, 3)), None),
    ],
    ids=[
        "one row", "equal rows", "two rows", "one direction", "outlier", "tiny units", "too close to tell",
        "hardly any weight", "one heavy row", "less than a row", "much weight", "next to none", "few rows",
        "ties",
    ],
)  # fmt: skip
def test_awkward_data_are_no_trouble(x, weight, criterion, kernel):
    found = tree(x, criterion, weight)
    m = len(found.clustered)
    assert np.isfinite(found.costs).all() and len(found.merges) == len(found.costs) == m - 1
    assert (found.merges[:, 0] < found.merges[:, 1]).all()
    assert sorted(found.merges[:, 1]) == list(range(1, m))
    for k in (1, 2, m, m + 3):
        assert set(found.labels(k)) == set(range(min(k, m)))


def test_no_cluster_at_all_is_refused():
    with pytest.raises(InputError, match="n_clusters must be at least 1, got 0"):
        tree(np.arange(3.0)[:, None], "EII").labels(0)


@native
def test_the_native_kernel_refuses_what_it_cannot_read():
    kernel, z = choose.native_kernels(), np.zeros((3, 2))
    merges, costs = np.empty((2, 2), dtype=np.int64), np.empty(2)
    for wrong in ((z[:0], np.ones(0), 0), (z, np.ones(2), 0), (z, np.ones(3), 3), (z, np.ones(3), -1)):
        with pytest.raises(ValueError):
            kernel.hierarchy(*wrong, 1.0, 0.0, merges, costs)
    with pytest.raises(ValueError):
        kernel.hierarchy(z, np.ones(3), 0, 1.0, 0.0, merges, np.empty(1))
    with pytest.raises(ValueError):
        kernel.hierarchy(z, np.ones(3), 0, 1.0, 0.0, merges[:1], costs)
