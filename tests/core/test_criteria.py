"""Criteria have the signs that they say they have."""

import math

import pytest

from jensen.core import criteria


def test_criteria_of_faithful_with_two_full_components():
    # mclust and scikit-learn print -2322.191743 and 2322.191743 for these; see tests/reference.
    assert criteria.bic(-1130.263960184743, 11, 272) == pytest.approx(2322.191743098739, rel=1e-12)
    assert criteria.aic(-1130.263960184743, 11) == pytest.approx(2282.527920369483, rel=1e-12)


def test_icl_adds_twice_the_doubt():
    assert criteria.icl(-10.0, 3, 50.0, 0.0) == criteria.bic(-10.0, 3, 50.0) == 20.0 + 3 * math.log(50.0)
    assert criteria.icl(-10.0, 3, 50.0, -1.5) == criteria.bic(-10.0, 3, 50.0) + 3.0
