"""The account of a search, in numbers and in words."""

from dataclasses import replace

import pytest

from jensen import domains
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.fit.search.account import Account, Move, Optimum, StartRecord

AT = Parameters({"x": 0.0}, {"x": domains.Real(())})


def optimum(height, n_starts=1, n_escapes=0, faults=(), narrow=(), price=0.0):
    """An optimum whose plain log-likelihood is half a nat higher than its objective."""
    return Optimum(AT, height, height + 0.5, faults, narrow, price, n_starts, n_escapes)


def account(*optima, moves=(), dropped=0, ending="agreed", **more):
    """The account of these optima, each with as many starts as it says."""
    ends = [number for number, one in enumerate(optima) for _ in range(one.n_starts)]
    starts = [
        StartRecord(i, "kmeans", optima[end].objective, Status.CONVERGED, 9, (), 0.0, 10.0, 0.0, end)
        for i, end in enumerate(ends)
    ]
    starts += [StartRecord(len(ends) + i, "random", -99.0, Status.DROPPED, 8, (), 0.0) for i in range(dropped)]
    given = {"rounds": 3, "confirmed": max(optima[0].n_starts, 1), "passes": 500.0, "n_rows": 12_345, **more}
    return Account(tuple(optima), tuple(starts), tuple(moves), ending=ending, **given)


def moves(n, accepted=0):
    return [Move("swap", -20.0, -19.0, i < accepted) for i in range(n)]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (account(optimum(-10.0, 12)), "12 of 12 starts ended at -9.50."),
        (account(optimum(-10.0, 5), optimum(-12.0, 1), optimum(-13.0, 2)),
         "5 of 8 starts ended at -9.50; 2 at -12.50; 1 at -11.50."),
        (account(optimum(-10.0), dropped=7), "1 of 1 starts ended at -9.50; 7 fell behind and were dropped."),
        (account(optimum(-10.0, 2), moves=moves(8)), "2 of 2 starts ended at -9.50; nothing higher in 8 escapes."),
        (account(optimum(-10.0, 2), moves=moves(1)), "2 of 2 starts ended at -9.50; nothing higher in 1 escape."),
        (account(optimum(-10.0, 0, 2), optimum(-12.0, 3), moves=moves(9, 2)),
         "0 of 3 starts ended at -9.50; 3 at -11.50; 2 led higher in 9 escapes."),
        (account(optimum(-10.0), sampled=True), "On a sample of 12,345 rows: 1 of 1 starts ended at -9.50."),
        (account(optimum(-10.0), ending="time"),
         "1 of 1 starts ended at -9.50. The time limit ended the search early: this is the best so far."),
        (account(optimum(-10.0), ending="interrupted"),
         "1 of 1 starts ended at -9.50. The search was interrupted: this is the best so far."),
        (account(optimum(-10.0), ending="budget"),
         "1 of 1 starts ended at -9.50. The budget was spent before enough rounds agreed."),
    ],
)  # fmt: skip
def test_words(told, said):
    assert str(told) == said


def test_many_optima_are_told_together():
    text = str(account(optimum(-10.0, 9), *(optimum(-20.0 - i, 8 - i) for i in range(7))))
    assert text == (
        "9 of 44 starts ended at -9.50; 8 at -19.50; 7 at -20.50; 6 at -21.50; 5 at -22.50; 9 at 3 others, no higher."
    )


def test_what_is_higher_and_not_preferred_is_set_aside_and_said_once():
    found = [
        optimum(-10.0, 4),
        optimum(-5.0, 2, narrow=("component 1 is narrow",), price=9.0),
        optimum(-12.0, 3),
        optimum(3.0, 1, faults=("component 0 is nearly singular",)),
        optimum(-40.0, 1, faults=("component 0 rests on 1 row",)),
    ]
    told = account(*found, advice="take care")
    assert told.set_aside == (found[1], found[3])
    # A sound one comes first: it is what a person would want to look at.
    assert str(told) == (
        "4 of 11 starts ended at -9.50; 3 at -11.50; 1 at -39.50. "
        "Set aside: -4.50 (component 1 is narrow, 2 starts) and 1 more; take care."
    )
    # By escapes alone, and without advice.
    told = account(found[0], replace(found[3], n_starts=0, n_escapes=1))
    assert str(told) == "4 of 4 starts ended at -9.50. Set aside: 3.50 (component 0 is nearly singular)."
    # The same height but for rounding is no reason.
    assert account(optimum(-10.0), optimum(-10.0 + 5e-4, narrow=("narrow",))).set_aside == ()


@pytest.mark.parametrize(
    ("confirmed", "ending", "warns"),
    [
        (1, "budget", True),
        (1, "disagreed", True),
        (2, "budget", False),
        (1, "agreed", False),
        (1, "time", False),
        (1, "interrupted", False),
    ],
)
def test_a_lonely_optimum_is_warned_of_where_the_budget_was_spent(confirmed, ending, warns):
    told = account(optimum(-10.0), confirmed=confirmed, ending=ending)
    assert told.is_sure == (confirmed > 1)
    assert bool(told.warning) == warns
    if warns:
        assert told.warning.startswith("the best optimum was reached once in 3 rounds, of 1 starts")


def test_all_the_rows_may_put_another_optimum_in_front():
    told = account(optimum(-10.0, 3), optimum(-10.2, 1), optimum(-11.0, 2), confirmed=3, dropped=1)
    other = told.led_by(1)
    assert [o.objective for o in other.optima] == [-10.2, -10.0, -11.0]
    assert [s.optimum for s in told.starts] == [0, 0, 0, 1, 2, 2, None]
    assert [s.optimum for s in other.starts] == [1, 1, 1, 0, 2, 2, None]
    assert (told.is_sure, other.is_sure) == (True, False)
    assert [s.objective for s in other.starts] == [s.objective for s in told.starts]
    same = told.led_by(0)
    assert same.optima == told.optima and same.starts == told.starts and same.confirmed == 3


def test_what_starts_and_optima_are_ranked_by():
    assert optimum(-10.0).standing == (True, -10.0)
    assert optimum(-10.0, price=3.0).standing == (True, -13.0)
    assert optimum(50.0, faults=("bad",)).standing < optimum(-10.0, price=3.0).standing
    good = StartRecord(0, "kmeans", -1.0, Status.CONVERGED, 3, (), 0.0)
    assert good.is_sound and not replace(good, faults=("bad",)).is_sound
    assert not replace(good, status=Status.DEGENERATE).is_sound


def test_optima_that_print_alike_are_told_as_one():
    heights = (-10.0, -10.001, -12.0, -12.004, -15.0)
    told = account(*(optimum(height, n) for height, n in zip(heights, (5, 2, 1, 2, 1), strict=True)))
    assert str(told) == "5 of 11 starts ended at -9.50; 2 less than 0.01 beside it; 3 at -11.50; 1 at -14.50."
