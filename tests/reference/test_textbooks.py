"""The textbooks' own problems: published iterates and limits, and exact arithmetic where the textbook rounds."""

import ast
import warnings
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from examples import FOLDER, example
from mixtures import NeverStop
from references import read_csv, read_json

import jensen
from jensen.errors import JensenWarning
from jensen.solve.stopping import AtRest

BOOKS = read_json("textbooks.json")
TOSSES = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]


def iterates(model, data, start, n):
    """Parameters of plain EM after 0 to n steps."""
    found = []
    for steps in range(n + 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JensenWarning)
            fit = jensen.em(model, data, start, max_iter=steps, accelerate="off", stop=NeverStop())
        assert fit.n_iter == steps
        found.append(fit.params)
    return found


def test_linkage():
    """Dempster, Laird & Rubin (1977), section 1: their table 1 prints nine digits, some of them a unit off."""
    book, model = BOOKS["linkage"], example("linkage").Linkage()
    path = [float(p["t"]) for p in iterates(model, [book["counts"]], {"t": 0.5}, len(book["path"]) - 1)]
    np.testing.assert_allclose(path, book["path"], rtol=0, atol=1e-15)
    np.testing.assert_allclose(path[:9], book["printed"], rtol=0, atol=1e-9)
    fit = jensen.em(model, [book["counts"]], {"t": 0.5}, stop=AtRest(1e-13))
    assert fit.params["t"] == pytest.approx(book["limit"], abs=1e-14)
    # The limit is the positive root of 197 t^2 - 15 t - 68.
    assert fit.params["t"] == pytest.approx((15 + np.sqrt(15**2 + 4 * 197 * 68)) / (2 * 197), abs=1e-14)


def test_two_coins():
    """Do & Batzoglou (2008), figure 1 prints two digits."""
    book, model = BOOKS["two_coins"], example("two_coins").TwoCoins()
    path = [p["bias"] for p in iterates(model, book["heads"], {"bias": [0.6, 0.5]}, len(book["path"]) - 1)]
    np.testing.assert_allclose(path, book["path"], rtol=0, atol=1e-14)
    for step, printed in book["printed"].items():
        np.testing.assert_array_equal(path[int(step)].round(2), printed)
    fit = jensen.em(model, book["heads"], {"bias": [0.6, 0.5]}, stop=AtRest(1e-12))
    np.testing.assert_allclose(fit.params["bias"], book["limit"], rtol=0, atol=1e-11)


def gene_counting(start, counts, n):
    """Iterates of Ceppellini, Siniscalco & Smith (1955) in exact arithmetic."""
    a, b, o = (Fraction(str(value)) for value in start)
    n_a, n_b, n_ab, n_o = counts
    path = [(a, b, o)]
    for _ in range(n):
        aa, bb = n_a * a / (a + 2 * o), n_b * b / (b + 2 * o)
        total = 2 * sum(counts)
        a, b, o = (n_a + aa + n_ab) / total, (n_b + bb + n_ab) / total, (2 * n_o + n_a - aa + n_b - bb) / total
        path.append((a, b, o))
    return path


def test_blood_groups():
    """Lange (2010), Applied Probability, table 2.2, on the patients of Clarke et al. (1959).

    The table's rows sum to 1 in the four digits printed, so that some are a unit in the last one away from the exact
    iterates, which are computed here as fractions.
    """
    book, model = BOOKS["blood_groups"], example("blood_groups").BloodGroups()
    path = [p["alleles"] for p in iterates(model, [book["counts"]], {"alleles": book["start"]}, 5)]
    exact = np.array(gene_counting(book["start"], book["counts"], 5), dtype=float)
    np.testing.assert_allclose(path, exact, rtol=0, atol=1e-15)
    np.testing.assert_allclose(path, book["printed"], rtol=0, atol=1e-4)
    fit = jensen.em(model, [book["counts"]], {"alleles": book["start"]}, stop=AtRest(1e-13))
    np.testing.assert_allclose(fit.params["alleles"], book["printed"][-1], rtol=0, atol=0.5e-4 + 1e-6)
    np.testing.assert_allclose(fit.params["alleles"], maximum_of_blood_groups(book["counts"]), rtol=0, atol=1e-13)


def maximum_of_blood_groups(counts):
    """Where the multinomial likelihood of the four groups has no slope, to 30 digits."""
    with mpmath.workdps(40):

        def slope(a, b):
            o = 1 - a - b
            groups = (a * a + 2 * a * o, b * b + 2 * b * o, 2 * a * b, o * o)
            by_a = (2 * o, -2 * b, 2 * b, -2 * o)
            by_b = (-2 * a, 2 * o, 2 * a, -2 * o)
            return [sum(n * d / g for n, d, g in zip(counts, by, groups, strict=True)) for by in (by_a, by_b)]

        a, b = mpmath.findroot(slope, (mpmath.mpf("0.2136"), mpmath.mpf("0.0501")), tol=1e-60)
        return [float(a), float(b), float(1 - a - b)]


def three_coins_step(pi, p, q, tosses):
    """One EM step in exact arithmetic."""
    b = [pi * (p if y else 1 - p) / (pi * (p if y else 1 - p) + (1 - pi) * (q if y else 1 - q)) for y in tosses]
    n, heads = len(tosses), sum(tosses)
    heads_b = sum(share for share, y in zip(b, tosses, strict=True) if y)
    return sum(b) / n, heads_b / sum(b), (heads - heads_b) / (n - sum(b))


def three_coins_fit(pi, p, q, **settings):
    start = {"pi": float(pi), "p": float(p), "q": float(q)}
    fit = jensen.em(jensen.models.ThreeCoins(), TOSSES, start, **settings)
    return fit, [float(fit.params[name]) for name in ("pi", "p", "q")]


def test_three_coins_from_the_table():
    rows = read_csv("three_coins.csv")
    ends = {row["start"]: row for row in rows}
    assert len(ends) == 4
    for row in rows:
        if row["iter"] == "0":
            end = ends[row["start"]]
            fit, found = three_coins_fit(row["pi"], row["p"], row["q"])
            exact = [float(Fraction(end[f"exact_{name}"])) for name in ("pi", "p", "q")]
            np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12)
            assert fit.objective == pytest.approx(float(end["loglik"]), abs=1e-13)
            assert fit.trace[0] == pytest.approx(float(row["loglik"]), abs=1e-13)
            assert fit.status.is_converged


@pytest.mark.parametrize("accelerate", ["off", "auto"])
def test_three_coins_from_random_starts(accelerate):
    """One step reaches the fixed point, whatever the start."""
    rng = np.random.default_rng(4)
    for _ in range(10):
        start = [Fraction(int(k), 1000) for k in rng.integers(20, 981, 3)]
        once = three_coins_step(*start, TOSSES)
        assert three_coins_step(*once, TOSSES) == once
        pi, p, q = once
        assert pi * p + (1 - pi) * q == Fraction(6, 10)
        _, found = three_coins_fit(*start, accelerate=accelerate)
        np.testing.assert_allclose(found, [float(value) for value in once], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["linkage", "two_coins", "blood_groups", "poisson_mixture"])
def test_a_textbook_model_takes_fewer_than_30_lines(name):
    tree = ast.parse((Path(FOLDER) / f"{name}.py").read_text(encoding="utf-8"))
    (model,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert {node.name for node in model.body if isinstance(node, ast.FunctionDef)} >= {"expect", "maximize"}
    lines = model.end_lineno - model.lineno + 1
    # The Poisson mixture declares all it can, for the pages on standard errors and the bootstrap.
    assert lines < (40 if name == "poisson_mixture" else 30)
