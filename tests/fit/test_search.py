"""The search itself, over hills on the integers: no mixture, no data, and every height is known beforehand."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hills import LOW, MIDDLE, TOP, Hills, Interrupted

from jensen.core.status import Status
from jensen.errors import NumericalFailure
from jensen.fit.search.landscape import Plan, Ways, serially
from jensen.fit.search.rounds import search


def found(land, plan, **settings):
    """Where a search ends, and its account."""
    run, account = search(land, plan, serially, **settings)
    return int(run.params["x"]), account


def round_by_round(*rounds, size=2):
    """Starts so that every round ends at one top."""
    return [x for x in rounds for _ in range(size)]


# ------------------------------------------------------------------------------------------------ rounds


def test_starts_that_all_agree_make_one_round_enough():
    land = Hills([15, 17, 19, 18])
    x, account = found(land, Plan(starts=8))
    assert (x, account.rounds, account.ending) == (TOP, 1, "agreed")
    assert account.confirmed == 8 and account.is_sure and not account.warning
    assert str(account) == "8 of 8 starts ended at 91.00."
    # Half as many are too few to be believed, and a second round is not.
    assert found(Hills([17]), Plan(starts=4))[1].rounds == 2


def test_rounds_go_on_until_enough_end_at_the_best():
    starts = round_by_round(LOW, TOP, MIDDLE, TOP, LOW, TOP, LOW)
    x, account = found(Hills(starts), Plan(starts=2, agreeing=2))
    # Since some rounds ended elsewhere, the best must be reached by one more than if all had.
    assert (x, account.rounds, account.ending) == (TOP, 6, "agreed")
    assert account.confirmed == 6 and [o.n_starts for o in account.optima] == [6, 2, 4]


def test_draws_that_led_nowhere_stand_for_rounds():
    starts = round_by_round(TOP, LOW, MIDDLE, TOP, LOW, TOP, TOP)
    assert found(Hills(starts), Plan(starts=2, agreeing=3))[1].rounds == 7
    assert found(Hills(starts), Plan(starts=2, agreeing=3, in_vain=1))[1].rounds == 6
    x, account = found(Hills(starts), Plan(starts=2, agreeing=3, in_vain=2))
    assert (x, account.rounds, account.ending) == (TOP, 4, "agreed")
    # Where most rounds end elsewhere, they do not.
    seldom = Hills(round_by_round(TOP, LOW, LOW, LOW, TOP, LOW, LOW, LOW))
    x, account = found(seldom, Plan(starts=2, agreeing=3, in_vain=2, rounds=8))
    assert (x, account.rounds, account.confirmed, account.ending) == (TOP, 8, 4, "budget")
    often = Hills(round_by_round(TOP, TOP, LOW))
    assert found(often, Plan(starts=2, agreeing=3, in_vain=1))[1].rounds == 4
    assert found(often, Plan(starts=2, agreeing=3))[1].rounds == 5


def test_a_round_counts_for_the_best_of_its_starts():
    x, account = found(Hills([LOW, MIDDLE, 17, 2]), Plan(starts=4, agreeing=3))
    assert (x, account.rounds) == (TOP, 3)
    assert str(account) == "3 of 12 starts ended at 91.00; 6 at 41.00; 3 at 61.00."


def test_where_it_is_plain_one_round_is_enough():
    x, account = found(Hills([LOW, MIDDLE, TOP], {TOP: None}), Plan(starts=3))
    assert (x, account.rounds, account.ending) == (TOP, 1, "agreed")
    # At a lower place it says nothing of the higher one.
    land = Hills(round_by_round(MIDDLE, TOP), {MIDDLE: None, TOP: None})
    assert found(land, Plan(starts=2))[1].rounds == 1
    land = Hills(round_by_round(TOP, MIDDLE), {MIDDLE: None})
    assert found(land, Plan(starts=2, agreeing=3))[1].rounds == 7


def test_the_budget_ends_a_search_that_finds_no_end():
    land = Hills(round_by_round(LOW, MIDDLE, TOP, LOW, MIDDLE, MIDDLE))
    x, account = found(land, Plan(starts=2, rounds=6))
    assert (x, account.rounds, account.ending) == (TOP, 6, "budget")
    assert not account.warning  # two starts agreed
    assert str(account).endswith("The budget was spent before enough rounds agreed.")
    lone = found(Hills([LOW, MIDDLE, TOP, LOW]), Plan(starts=2, rounds=2))[1]
    assert lone.confirmed == 1 and "reached once in 2 rounds" in lone.warning


def test_groups_are_tried_where_rounds_did_not_agree():
    land = Hills(round_by_round(LOW, MIDDLE), {("groups", MIDDLE): [3, 17]})
    x, account = found(land, Plan(starts=2, rounds=2))
    # From the top that they led to there are none, which ends it.
    assert (x, account.ending) == (TOP, "budget") and [place for place, _ in land.regrouped] == [MIDDLE, TOP]
    moves = [move for move in account.moves if move.kind == "groups"]
    assert [(move.before, move.accepted) for move in moves] == [(60.0, False), (60.0, True)]
    # Where all end in vain, that is all.
    land = Hills(round_by_round(LOW, MIDDLE), {("groups", MIDDLE): [3, 13]})
    assert found(land, Plan(starts=2, rounds=2))[0] == MIDDLE
    assert [place for place, _ in land.regrouped] == [MIDDLE]
    # From what led higher they begin anew, with another number, and every climb is a pass that counts.
    land = Hills(round_by_round(LOW, MIDDLE), {("groups", MIDDLE): [17, 16], ("groups", TOP): [13]})
    account = found(land, Plan(starts=2, rounds=2))[1]
    (place, number), (other, later) = land.regrouped
    assert (place, other) == (MIDDLE, TOP) and number != later
    # What comes after it is not tried.
    assert sum(move.kind == "groups" for move in account.moves) == 2
    assert account.passes == sum(run.passes for run in land.recent)
    # Also one that ends at another top that is known, and is not as near to it as the start that found it.
    heights = [0, 10, 20, 30, 40, 50, 59, 0, 60, 0]
    land = Hills(round_by_round(5, 8), {("groups", 8): [6]}, heights=heights)
    account = found(land, Plan(starts=2, rounds=2))[1]
    assert account.passes == sum(run.passes for run in land.recent)
    # Rounds that agreed need none.
    land = Hills(round_by_round(TOP, TOP), {("groups", TOP): [3]})
    found(land, Plan(starts=2, agreeing=2))
    assert not land.regrouped


def test_the_nearest_groups_are_asked_before_the_word_of_rounds_is_taken():
    plan = Plan(starts=2, rounds=6, agreeing=2, quick_groups=True)
    land = Hills(round_by_round(TOP, TOP), {("groups", TOP): [19, 3]})
    x, account = found(land, plan)
    assert (x, account.rounds, account.ending) == (TOP, 2, "agreed")
    # Once, and no draws.
    assert land.nearest == [True] and not any(drawn for *_, drawn in land.asked)
    assert sum(move.kind == "groups" for move in account.moves) == 1
    # Where they lead higher, all groups are asked from there.
    land = Hills(round_by_round(MIDDLE, MIDDLE), {("groups", MIDDLE): [17]})
    x, account = found(land, plan)
    assert (x, account.rounds, account.ending) == (TOP, 2, "surpassed") and land.nearest == [True, False]
    assert str(account).endswith("Crossings or groups led higher than where rounds agreed.")
    assert account.warning
    # Nor are they where it is plain that nothing leads higher.
    land = Hills(round_by_round(TOP, TOP), {TOP: None, ("groups", TOP): [3]})
    found(land, plan)
    assert not land.regrouped and not land.crossings


def test_a_round_that_ends_above_all_before_is_crossed_at_once_where_groups_follow():
    land = Hills(round_by_round(LOW, TOP), {LOW: [3], TOP: [19]})
    quick = Plan(starts=2, rounds=6, agreeing=2, quick_groups=True)
    x, account = found(land, quick)
    assert (x, account.rounds, account.ending) == (TOP, 2, "disagreed")
    # No escapes from there: rounds disagree already.
    assert {place for place, *_ in land.asked} == {LOW} and land.crossings == [[(TOP, LOW)]]
    # From a round that ends lower there are some, which may lead to the best.
    land = Hills(round_by_round(TOP, LOW), {LOW: [17]})
    x, account = found(land, quick)
    assert (x, account.rounds, account.ending) == (TOP, 2, "agreed")
    land = Hills(round_by_round(LOW, TOP), {TOP: [19]})
    found(land, replace(quick, quick_groups=False, rounds=2))
    assert (TOP, 2, False) in land.asked


def test_the_best_is_crossed_with_what_rounds_found_else():
    rounds = round_by_round(LOW, MIDDLE)
    land = Hills(rounds, {(MIDDLE, LOW): [17]})
    x, account = found(land, Plan(starts=2, rounds=2))
    assert (x, account.ending) == (TOP, "budget")
    # Where that led higher, the new best is crossed with both, and then its groups are asked.
    assert land.crossings == [[(MIDDLE, LOW)], [(TOP, MIDDLE), (TOP, LOW)]]
    assert [place for place, _ in land.regrouped] == [TOP]
    crossed = [move for move in account.moves if move.kind == "crossing"]
    assert [(move.before, move.after, move.accepted) for move in crossed] == [(60.0, 90.0, True)]
    assert account.optima[0].n_escapes == 1
    assert account.passes == sum(run.passes for run in land.recent)
    # So it is where groups led higher.
    land = Hills(rounds, {("groups", MIDDLE): [17]})
    found(land, Plan(starts=2, rounds=2))
    assert land.crossings == [[(MIDDLE, LOW)], [(TOP, MIDDLE), (TOP, LOW)]]
    # Before the word of rounds is taken, too, and degenerate ends are no partners.
    quick = Plan(starts=2, rounds=3, agreeing=2, quick_groups=True)
    land = Hills([MIDDLE, LOW] * 2, {(MIDDLE, LOW): [17]})
    x, account = found(land, quick)
    assert (x, account.ending) == (TOP, "surpassed")
    land = Hills([MIDDLE, LOW] * 2, {(MIDDLE, LOW): [17]}, faulty=(LOW,))
    assert found(land, quick)[0] == MIDDLE and land.crossings == [[]]


def test_groups_come_instead_of_further_rounds_where_they_are_quick_and_rounds_disagree():
    groups = {("groups", MIDDLE): [17]}
    quick, rounds = Plan(starts=2, rounds=6, quick_groups=True), round_by_round(LOW, MIDDLE)
    land = Hills(rounds, groups)
    x, account = found(land, quick)
    assert (x, account.rounds, account.ending) == (TOP, 2, "disagreed") and account.warning
    assert str(account).endswith("Rounds ended at different optima.")
    assert found(Hills(rounds, groups), replace(quick, quick_groups=False))[1].rounds == 6
    # A round by itself says nothing, nor do rounds of which most ended at the best.
    assert found(Hills(round_by_round(MIDDLE, MIDDLE, LOW), groups), replace(quick, rounds=3))[1].ending == "budget"
    # Nobody looks for groups where no round has met anything.
    land = Hills([None, None, None, None, LOW, LOW])
    assert found(land, quick)[1].rounds > 2 and land.regrouped


def test_passes_are_counted_and_end_a_search():
    land = Hills([LOW, MIDDLE])
    _, account = found(land, Plan(starts=2, max_passes=0.0))
    assert account.rounds == 1 and account.ending == "budget"
    assert account.passes == sum(run.passes for run in land.recent) == 2.0
    assert account.n_rows == 7
    # What it cost to draw a start counts, too.
    free, dear = (found(Hills([LOW, MIDDLE], cost=cost), Plan(starts=2, rounds=1))[1] for cost in (0.0, 3.0))
    assert dear.passes == free.passes + 2 * 3.0
    # In the record of the start as well, also where starts are dropped after a short run.
    dropping = found(Hills([LOW, MIDDLE], cost=3.0), Plan(starts=2, rounds=1, thorough=False))[1]
    assert all(start.passes >= 3.0 for start in (*dear.starts, *dropping.starts))
    _, account = found(land, Plan(starts=2, max_passes=4.0))
    assert account.rounds == 3


# ------------------------------------------------------------------------------------------------ starts


def test_every_start_is_recorded_with_the_optimum_where_it_ended():
    told = []
    land = Hills([3, 17, 13, 11, 5, 19])
    _, account = found(land, Plan(starts=6, rounds=1), on_end=told.append)
    assert [(s.index, s.kind, s.optimum) for s in account.starts] == [
        (0, "kind 0", 2), (1, "kind 1", 0), (2, "kind 0", 1), (3, "kind 1", 1), (4, "kind 0", 2), (5, "kind 1", 0)
    ]  # fmt: skip
    assert [s.objective for s in account.starts] == [account.optima[s.optimum].objective for s in account.starts]
    assert [(o.objective, o.loglik, o.n_starts) for o in account.optima] == [(90, 91, 2), (60, 61, 2), (40, 41, 2)]
    assert [s.n_iter for s in account.starts] == [1, 3, 1, 1, 1, 1]
    assert [replace(s, optimum=None) for s in account.starts] == told


def test_starts_that_fall_behind_are_dropped_and_the_best_is_run_to_its_end():
    # A long way up: no short run sees the end.
    heights = [*range(0, 200), *range(150, 400)]
    land = Hills([0, 20, 40, 60, 201, 80, 100, 120], heights=heights)
    told = []
    x, account = found(land, Plan(starts=8, thorough=False, rounds=1), on_end=told.append)
    assert x == len(heights) - 1 and account.optima[0].objective == 399
    dropped = [s for s in account.starts if s.status is Status.DROPPED]
    assert [s.index for s in account.starts] == list(range(8)) and sorted(s.index for s in told) == list(range(8))
    assert [s.index for s in dropped] == [0, 1, 2, 3, 5, 6, 7] and all(s.optimum is None for s in dropped)
    # Half of them after 8 steps, the others after 16 more; the whole way of the one that is left is counted.
    assert sorted(s.n_iter for s in dropped) == [8] * 4 + [24] * 3
    assert account.starts[4].n_iter == len(heights) - 1 - 201
    run, _ = search(land, Plan(starts=8, thorough=False, rounds=1), serially)
    assert run.trace == tuple(float(h) for h in heights[201:])
    # A limit on the steps is one on all of them.
    for max_iter in (5, 20, 30):
        limited = Hills(land.starts, heights=heights, max_iter=max_iter)
        run, few = search(limited, Plan(starts=8, thorough=False, rounds=1), serially)
        assert run.n_iter == max_iter == len(run.trace) - 1 == max(s.n_iter for s in few.starts)
    assert set(land.finished) == {4}
    assert str(account).startswith("1 of 1 starts ended at 400.00; 7 fell behind and were dropped.")


def test_of_starts_that_lead_to_one_place_one_is_kept():
    # Seven are at a top of 100 at once. The other gains a tenth of a step at first, and is far higher after 24 of them.
    slow = [0.1 * i for i in range(9)] + [10.0 * i for i in range(1, 40)]
    heights = [*range(92, 101), -1, *slow]
    land = Hills([0, 1, 2, 3, 4, 5, 6, 10], heights=heights)
    x, _ = found(land, Plan(starts=8, thorough=False, rounds=1))
    assert x == len(heights) - 1


@pytest.mark.parametrize("thorough", [True, False])
def test_a_start_without_density_is_recorded_and_only_all_of_them_are_an_error(thorough):
    plan = Plan(starts=2, thorough=thorough, rounds=2)
    x, account = found(Hills([None, 17, None, None]), plan)
    assert x == TOP and account.rounds == 2
    first, second, *others = account.starts
    assert (first.objective, first.status, first.optimum) == (-np.inf, Status.DEGENERATE, None)
    assert first.faults == ("start 0 has no density",) and not first.is_sound
    assert (second.optimum, second.is_sound) == (0, True)
    assert [s.index for s in others] == [2, 3]
    assert str(account).startswith("1 of 1 starts ended at 91.00")
    with pytest.raises(NumericalFailure, match="start 0 has no density"):
        search(Hills([None]), plan, serially)


# ------------------------------------------------------------------------------------------------ what speaks against


def test_a_sound_end_comes_before_a_higher_one_that_is_not():
    x, account = found(Hills([LOW, MIDDLE, TOP], faulty=(TOP,)), Plan(starts=3, rounds=1))
    assert x == MIDDLE
    assert [o.objective for o in account.optima] == [60, 40, 90]
    assert [o.objective for o in account.set_aside] == [90]
    assert "Set aside: 91.00 (sunk, 1 start)." in str(account)
    assert [s.optimum for s in account.starts] == [1, 0, 2]


@pytest.mark.parametrize(("price", "best"), [(29.0, TOP), (31.0, MIDDLE)])
def test_a_narrow_end_must_bring_its_price(price, best):
    x, account = found(Hills([MIDDLE], {MIDDLE: [15]}, narrow={TOP: price}), Plan(starts=2, rounds=1))
    assert x == best and [m.accepted for m in account.moves] == [best == TOP]
    x, account = found(Hills([MIDDLE, TOP], narrow={TOP: price}), Plan(starts=2, rounds=1))
    assert x == best
    assert ("Set aside: 91.00 (narrow, 1 start)" in str(account)) == (best == MIDDLE)


def test_from_a_narrow_place_an_escape_need_not_pay_its_price_again():
    land = Hills([MIDDLE], {MIDDLE: [15]}, narrow={MIDDLE: 31.0, TOP: 31.0})
    x, account = found(land, Plan(starts=1, rounds=1))
    assert x == TOP and account.moves[0].accepted


def test_three_rounds_of_ends_that_are_all_degenerate_are_enough():
    x, account = found(Hills([LOW, MIDDLE, TOP], faulty=(LOW, MIDDLE, TOP)), Plan(starts=1, agreeing=9))
    assert (x, account.rounds, account.ending) == (TOP, 3, "degenerate")
    assert "Every end was degenerate" in str(account)


# ------------------------------------------------------------------------------------------------ escapes


def test_escapes_that_lead_higher_are_moves_that_were_accepted():
    land = Hills([2], {LOW: [1, 7, 9], MIDDLE: [10, 15]})
    x, account = found(land, Plan(starts=2, rounds=1))
    assert x == TOP
    assert [(m.kind, m.before, m.after, m.accepted) for m in account.moves] == [
        ("jump", 40, 40, False), ("jump", 40, 40, False), ("jump", 40, 60, True),
        ("jump", 60, 60, False), ("jump", 60, 90, True),
    ]  # fmt: skip
    assert [(o.objective, o.n_starts, o.n_escapes) for o in account.optima] == [(90, 0, 1), (40, 2, 0)]
    assert str(account).startswith("0 of 2 starts ended at 91.00; 2 at 41.00; 2 led higher in 5 escapes.")
    assert account.confirmed == 1  # the round, which got there by itself


def test_what_has_been_tried_is_not_tried_again():
    land = Hills([MIDDLE], {MIDDLE: [10]})
    _, account = found(land, Plan(starts=2, agreeing=3))
    assert account.rounds == 3 and [asked for asked in land.asked if not asked[2]] == [(MIDDLE, 1, False)]
    assert [m.accepted for m in account.moves] == [False]


def test_before_rounds_that_agree_are_believed_draws_try_to_prove_them_wrong():
    land = Hills([MIDDLE], {"drawn": [15]})
    x, account = found(land, Plan(starts=2, agreeing=3, rounds=5))
    assert x == TOP and [asked for asked in land.asked if asked[2]][0][0] == MIDDLE
    assert (account.optima[0].n_starts, account.optima[0].n_escapes) == (0, 1)


def test_where_rounds_disagree_the_best_is_left_by_draws_too():
    land = Hills(round_by_round(MIDDLE, LOW, LOW, LOW), {"drawn": [15]})
    x, account = found(land, Plan(starts=2, rounds=2))
    assert (MIDDLE, 3, True) in land.asked
    assert x == TOP and account.optima[0].n_escapes == 1


def test_the_first_of_many_escapes_are_tried_before_the_others():
    land = Hills([MIDDLE], {MIDDLE: [10, 15, 10, 10, 10, 16, 16, 16]})
    x, account = found(land, Plan(starts=1, rounds=1))
    assert x == TOP and len(account.moves) == 5
    land = Hills([MIDDLE], {MIDDLE: [10, 10, 10, 10, 10, 16, 16, 16]})
    x, account = found(land, Plan(starts=1, rounds=1))
    assert x == TOP and len(account.moves) == 8


def test_an_escape_that_is_still_low_but_rises_fast_is_followed():
    # Eight steps reach 8, the origin stands at 20; the way goes on to 99.
    heights = [20, -5, *range(0, 100)]
    land = Hills([0], {0: [2]}, heights=heights)
    x, account = found(land, Plan(starts=1, rounds=1))
    assert x == len(heights) - 1 and account.moves[0].accepted


def test_no_escape_leads_to_a_place_that_is_not_sound():
    land = Hills([MIDDLE], {MIDDLE: [15]}, faulty=(TOP,))
    x, account = found(land, Plan(starts=1, rounds=1))
    assert x == MIDDLE and not account.moves[0].accepted
    land = Hills([MIDDLE], {MIDDLE: [15]}, faulty=(MIDDLE,))
    x, account = found(land, Plan(starts=1, rounds=1))
    assert x == TOP and account.moves[0].accepted


def test_an_escape_without_density_is_no_failure():
    class Rough(Hills):
        def climb(self, start, n_iter, before=0):
            if start["x"] == 7:
                raise NumericalFailure("a hole")
            return super().climb(start, n_iter, before)

    x, account = found(Rough([LOW], {LOW: [7, 9]}), Plan(starts=1, rounds=1))
    assert x == MIDDLE and [(m.after, m.accepted) for m in account.moves] == [(-np.inf, False), (60, True)]


# ------------------------------------------------------------------------------------------------ ends from outside


@pytest.mark.parametrize("thorough", [True, False])
def test_out_of_time_ends_with_the_best_so_far(thorough):
    land = Hills([LOW, MIDDLE], {MIDDLE: [15]})
    x, account = found(land, Plan(starts=2, thorough=thorough, deadline=time.perf_counter() - 1.0))
    assert account.ending == "time" and account.rounds == 1 and not account.moves
    # The first batch is always run: nothing else could be returned.
    assert x in (LOW, MIDDLE) and account.optima[0].objective == max(o.objective for o in account.optima)
    assert str(account).endswith("The time limit ended the search early: this is the best so far.")
    assert not account.warning


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(("when", "best"), [(3, MIDDLE), (4, TOP), (6, TOP)])
def test_an_interrupt_keeps_the_best_so_far(when, best, inside):
    land = Interrupted([LOW, MIDDLE, TOP, LOW], when, inside, jumps={TOP: [18, 18]})
    x, account = found(land, Plan(starts=4))
    # Where the loop notes it, the run that was in progress has a point of its own.
    assert x == (TOP if inside else best)
    assert account.ending == "interrupted" and "The search was interrupted" in str(account)


def test_an_interrupt_before_anything_is_one():
    with pytest.raises(KeyboardInterrupt):
        found(Interrupted([LOW], 1), Plan(starts=2))


def test_results_of_a_batch_may_be_worked_out_in_any_order():
    def backwards(function, items):
        return [function(item) for item in reversed(items)][::-1]

    starts = [3, 17, 13, None, 5, 19]
    one = search(Hills(starts), Plan(starts=6, rounds=3), serially)[1]
    other = search(Hills(starts), Plan(starts=6, rounds=3), backwards)[1]
    assert [replace(s, seconds=0.0) for s in one.starts] == [replace(s, seconds=0.0) for s in other.starts]
    assert one.moves == other.moves and str(one) == str(other)


def test_the_highest_goes_on_beside_what_promises_more():
    # Start 0 climbs by 20 at a time and promises far more than the 500 where it ends; start 1 is high and creeps.
    heights = [20.0 * i for i in range(26)] + [0.0] + [1000.0 + 0.5 * i for i in range(41)] + [0.0]
    land = Hills([0, 27], heights=heights)
    x, account = found(land, Plan(starts=2, rounds=1, thorough=False))
    assert heights[x] == 1020.0 and [heights[int(o.params["x"])] for o in account.optima] == [1020.0, 500.0]


def test_where_escapes_are_unlikely_two_rounds_stand_for_three(monkeypatch):
    asked = []

    class Unlikely(Hills):
        def escapes(self, run, number, drawn):
            asked.append(drawn)
            return Ways((), unlikely=True)

    account = found(Unlikely([TOP]), Plan(starts=1, agreeing=3))[1]
    # Draws are not tried from there, either.
    assert account.rounds == 2 and account.ending == "agreed" and asked == [False]
    # One round never stands for two.
    assert found(Unlikely([TOP]), Plan(starts=1, agreeing=2))[1].rounds == 2
    assert found(Hills([TOP]), Plan(starts=1, agreeing=3))[1].rounds == 3
