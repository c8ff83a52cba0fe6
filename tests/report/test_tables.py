"""Tables of components fit any terminal, in parts if need be, and say which columns they leave out."""

import numpy as np
import pytest

from jensen.report.tables import Table, caption_lines, estimates, table_of_components
from jensen.report.words import display_width


def table(k, d, names=None, noise=None):
    rng = np.random.default_rng(0)
    weights, means = np.full(k, 1 / k), rng.normal(size=(k, d)) * 10.0 ** rng.integers(-3, 6, d)
    return table_of_components(weights, means, 0.1 + np.abs(means), names or [f"x{j + 1}" for j in range(d)], noise)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 4), (9, 12), (40, 2), (40, 12), (2, 300)])
def test_lines_fit(width, k, d):
    made = table(k, d, [f"the measured quantity in region {j} of all (units)" for j in range(d)])
    lines, n_shown = made.lines(width)
    assert max(map(display_width, lines)) <= width
    assert 1 <= n_shown <= d and len(lines) <= max(36, k + 1)
    header = [line for line in lines if line.startswith("component")]
    assert sum(line.count("…") >= 1 for line in header) == len(header)


def test_parts_show_all_columns_one_after_another():
    lines, n_shown = table(3, 8).lines(80)
    titles = " ".join(line for line in lines if line.startswith("component")).split()
    assert n_shown == 8 and [t for t in titles if t.startswith("x")] == [f"x{j}" for j in range(1, 9)]
    assert lines.count("") == len([line for line in lines if line.startswith("component")]) - 1


def test_what_is_too_much_shows_the_columns_that_tell_most():
    means = np.zeros((2, 60))
    means[1, 41], means[1, 7] = 50.0, 20.0
    made = table_of_components(np.array([0.5, 0.5]), means, np.ones((2, 60)), [f"x{j + 1}" for j in range(60)])
    lines, n_shown = made.lines(50)
    assert "x8" in lines[0] and "x42" in lines[0] and n_shown < 60
    assert f"in the {n_shown} columns of 60 that tell" in caption_lines(made, lines, n_shown)
    one = table(1, 60)
    lines, n_shown = one.lines(50)
    assert f"in the first {n_shown} of 60 columns; ask" in caption_lines(one, lines, n_shown, "ask")


def test_wide_names_stay_aligned():
    lines, _ = table(2, 2, ["間歇泉の噴出時間", "waiting"]).lines(80)
    assert len({display_width(line) for line in lines}) == 1


def test_noise_has_a_share_and_nothing_else():
    lines, _ = table(2, 1, noise=0.25).lines(80)
    assert lines[-1] == "    noise   25.0%"


def test_numbers_have_two_digits_of_the_smallest_spread():
    assert estimates(np.array([3.14159, -20.0]), np.array([0.123, 4.0])) == ("  3.14 ± 0.12", "-20.00 ± 4.00")
    assert estimates(np.array([1e-9]), np.array([2e-10]), "+-") == ("1e-09 +- 2e-10",)


def test_a_column_may_end_early():
    lines, _ = Table(("a", "1", "2"), ("t", "u"), (("x",), ("y", "z"))).lines(80)
    assert lines == ["a   t   u", "1   x   y", "2       z"]
