"""`jensen.em` from a function that draws starts: it searches, whatever the model, and says what it found."""

import warnings

import numpy as np
import pytest
from mixtures import mixture

import jensen
from jensen.core.status import Status
from jensen.errors import InputError, JensenWarning, NumericalFailure
from jensen.numerics.streams import stream

# Three clusters for two components: which two of them go together decides.
CLUSTERS = np.repeat([[0.0], [9.0], [14.0]], [80, 60, 60], axis=0) + np.random.default_rng(0).standard_normal((200, 1))
PAIR = mixture(2, 1, "spherical", 1e-3)


def from_rows(rng):
    """A start that anybody would write: rows as means."""
    return {"weights": [0.5, 0.5], "means": rng.choice(CLUSTERS, 2, replace=False), "covariances": [4.0, 4.0]}


class Cauchy(jensen.LatentModel):
    """A heavy-tailed location: a normal whose precision is hidden, of many optima (Barnett 1966)."""

    domains = {"place": jensen.domains.Real(())}

    def expect(self, params, block):
        gap = 1.0 + (block.x[:, 0] - params["place"]) ** 2
        share = block.weights * 2.0 / gap
        return jensen.Sums(
            weight=block.total_weight,
            loglik=-block.weights @ np.log(np.pi * gap),
            share=share.sum(),
            sum=share @ block.x[:, 0],
        )

    def maximize(self, params, s):
        return {"place": s.sum / s.share}


SPREAD = [-40.0, -39.0, 0.0, 0.5, 30.0, 30.3, 30.5, 30.8, 31.0]


def far_away(rng):
    return {"place": rng.uniform(-42.0, 2.0)}


def quiet(*args, **settings):
    """A fit whose warnings do not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JensenWarning)
        return jensen.em(*args, **settings)


# ------------------------------------------------------------------------------------------------ what it finds


def test_a_search_finds_what_single_starts_often_miss():
    single = [jensen.em(PAIR, CLUSTERS, from_rows, n_init=1, seed=seed).objective for seed in range(12)]
    best = max(single)
    assert sum(objective < best - 5 for objective in single) >= 2, "the case has lost its point"
    for seed in range(6):
        fit = jensen.em(PAIR, CLUSTERS, from_rows, seed=seed)
        assert fit.objective == pytest.approx(best, abs=1e-4)
        assert fit.status is Status.CONVERGED and not fit.warnings
        assert fit.account.ending == "agreed" and fit.account.is_sure
        assert fit.starts == fit.account.starts and {start.kind for start in fit.starts} == {"drawn"}
        assert f"{best:.2f}" in str(fit.account)


def test_components_that_are_drawn_anew_lead_away_from_a_bad_optimum():
    # Two components on the first cluster, one across the last two: every start is this one.
    truth = np.repeat(np.arange(4), 60)
    x = 10.0 * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])[truth] + np.random.default_rng(1).standard_normal((240, 2))
    model = mixture(4, 2, "diag", 1e-3)
    crowded = {
        "weights": [0.12, 0.13, 0.25, 0.5],
        "means": [[-0.7, 0.0], [0.7, 0.0], [10.0, 0.0], [5.0, 10.0]],
        "covariances": [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [26.0, 1.0]],
    }
    alone = quiet(model, x, lambda rng: crowded, n_init=3, seed=0).objective
    best = jensen.em(model, x, {**crowded, "weights": [0.25] * 4, "means": x[[0, 60, 120, 180]]}).objective
    for seed in range(3):
        fit = quiet(model, x, lambda rng: crowded, seed=seed)
        assert fit.objective == pytest.approx(best, abs=1e-4) and best > alone + 50
        assert any(move.kind == "component drawn anew" and move.accepted for move in fit.account.moves)
        assert fit.account.optima[0].n_escapes >= 1


def test_a_model_without_components_has_starts_alone():
    def anywhere(rng):
        return {"place": rng.uniform(-60.0, 60.0)}

    fit = jensen.em(Cauchy(), SPREAD, anywhere, seed=0)
    assert fit.params["place"] == pytest.approx(30.5, abs=0.1) and fit.account.moves == ()
    assert len(fit.account.optima) >= 3
    assert fit.objective == pytest.approx(fit.account.optima[0].objective, abs=1e-3)
    # What no start leads to is not found, so that the test of escapes below means something.
    assert jensen.em(Cauchy(), SPREAD, far_away, seed=0).params["place"] < 2.0


@pytest.mark.parametrize("as_mapping", [False, True])
def test_a_model_may_have_escapes_of_its_own(as_mapping):
    class Jumps(Cauchy):
        asked = []

        def escapes(self, params, source, rng):
            self.asked.append((float(params["place"]), source.n_rows, rng.random()))
            places = [float(source.x.min()), float(source.x.max())]
            found = [{"place": place} for place in places]
            return [("to the edge", one if as_mapping else self.parameters(**one)) for one in found]

    model = Jumps()
    fit = quiet(model, SPREAD, far_away, seed=0)
    assert fit.params["place"] == pytest.approx(30.5, abs=0.1)
    assert {move.kind for move in fit.account.moves} == {"to the edge"}
    assert [move.accepted for move in fit.account.moves].count(True) >= 1
    assert all(place < 32 and n_rows == len(SPREAD) for place, n_rows, _ in model.asked)
    # Every batch has a stream of its own.
    assert len({number for *_, number in model.asked}) == len(model.asked) >= 2


# ------------------------------------------------------------------------------------------------ how it is asked


def test_a_number_of_starts_is_that_many_and_the_best_is_kept():
    drawn = []

    def start(rng):
        drawn.append(from_rows(rng))
        return drawn[-1]

    fit = jensen.em(PAIR, CLUSTERS, start, n_init=5, seed=3)
    assert fit.account is None and len(fit.starts) == len(drawn) == 5
    assert fit.objective == max(end.objective for end in fit.starts)
    for i, one in enumerate(drawn):
        np.testing.assert_array_equal(one["means"], from_rows(stream(3, "start", i))["means"])
    alone = jensen.em(PAIR, CLUSTERS, drawn[2])
    assert alone.objective == fit.starts[2].objective and alone.account is None


def test_the_seed_repeats_a_search():
    one, same, other = (jensen.em(Cauchy(), SPREAD, far_away, seed=seed) for seed in (5, 5, 6))
    assert one.trace == same.trace and str(one.account) == str(same.account)
    assert [s.objective for s in one.starts] == [s.objective for s in same.starts]
    assert [s.objective for s in one.starts] != [s.objective for s in other.starts]
    fresh = [jensen.em(Cauchy(), SPREAD, far_away).starts[0].n_iter for _ in range(12)]
    assert len(set(fresh)) > 1


@pytest.mark.parametrize("n_init", [0, -1, 1.5, True, "five", None])
def test_bad_numbers_of_starts(n_init):
    with pytest.raises(InputError, match="n_init must be 'auto' or an integer of at least 1, got"):
        jensen.em(PAIR, CLUSTERS, from_rows, n_init=n_init)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "one"])
def test_bad_seeds(seed):
    with pytest.raises(InputError, match="seed must be an integer of at least 0, got"):
        jensen.em(PAIR, CLUSTERS, from_rows, seed=seed)


@pytest.mark.parametrize("n_init", ["auto", 3])
def test_a_function_that_draws_no_start_is_named(n_init):
    with pytest.raises(InputError, match="start must have the parameters place; got palce"):
        jensen.em(Cauchy(), SPREAD, lambda rng: {"palce": 0.0}, n_init=n_init, seed=0)
    calls = []

    def later(rng):
        calls.append(1)
        return {"place": np.nan if len(calls) > 2 else 0.0}

    with pytest.raises(InputError, match="'place' is outside its domain"):
        jensen.em(Cauchy(), SPREAD, later, n_init=n_init, seed=0)


@pytest.mark.parametrize("settings", [{}, {"fixed": {"weights": True}}, {"equal": ["covariances"]}])
def test_a_draw_outside_its_domain_is_named_with_constraints_too(settings):
    drawn = []

    def later(rng):
        drawn.append(1)
        return {**from_rows(rng), "covariances": [-1.0 if len(drawn) > 2 else 4.0, 0.5]}

    with pytest.raises(InputError, match="'covariances' is outside its domain"):
        jensen.em(PAIR, CLUSTERS, later, seed=0, **settings)


def test_what_is_held_is_as_in_the_first_draw():
    fit = jensen.em(PAIR, CLUSTERS, from_rows, fixed={"means": [True, False], "weights": True}, seed=2)
    first = from_rows(stream(2, "start", 0))
    np.testing.assert_array_equal(fit.params["means"][0], first["means"][0])
    np.testing.assert_array_equal(fit.params["weights"], first["weights"])
    assert len({start.objective for start in fit.starts}) > 1 and fit.account is not None
    for optimum in fit.account.optima:
        np.testing.assert_array_equal(optimum.params["means"][0], first["means"][0])


def test_what_is_equal_stays_equal():
    fit = jensen.em(PAIR, CLUSTERS, from_rows, equal=["covariances"], seed=2)
    assert fit.params["covariances"][0] == fit.params["covariances"][1]
    best = max(
        jensen.em(PAIR, CLUSTERS, from_rows, equal=["covariances"], n_init=1, seed=seed).objective for seed in range(8)
    )
    assert fit.objective == pytest.approx(best, abs=1e-4)


# ------------------------------------------------------------------------------------------------ ends and failures


def test_starts_without_density_are_left_out_and_only_all_of_them_are_an_error():
    def some(rng):
        start = far_away(rng)
        return {"place": 1e200} if start["place"] > -20 else start

    with np.errstate(all="ignore"):
        fit = jensen.em(Cauchy(), SPREAD, some, seed=0)
        failed = [start for start in fit.starts if start.objective == -np.inf]
        assert failed and all(start.status is Status.DEGENERATE and start.optimum is None for start in failed)
        assert np.isfinite(fit.objective)
        with pytest.raises(NumericalFailure):
            jensen.em(Cauchy(), SPREAD, lambda rng: {"place": 1e200}, seed=0)


def test_out_of_time_keeps_the_best_so_far():
    with pytest.warns(JensenWarning, match="time limit"):
        fit = jensen.em(Cauchy(), SPREAD, far_away, seed=0, max_time=0.0)
    assert fit.status is Status.OUT_OF_TIME and fit.account.ending == "time" and fit.account.rounds == 1
    assert fit.n_iter == 0 and fit.objective == max(start.objective for start in fit.starts)


@pytest.mark.parametrize("at", [20, 60])
def test_an_interrupt_ends_the_search_and_begins_nothing_else(at):
    class Interrupted(Cauchy):
        passes = 0

        def expect(self, params, block):
            self.passes += 1
            if self.passes == at:
                raise KeyboardInterrupt
            return super().expect(params, block)

    model = Interrupted()
    with pytest.warns(JensenWarning, match="interrupted"):
        fit = jensen.em(model, SPREAD, far_away, seed=0, accelerate="off")
    assert fit.status is Status.INTERRUPTED and fit.account.ending == "interrupted"
    # One pass more, for the statistics at the best parameters.
    assert model.passes <= at + 1 and len(fit.trace) == fit.n_iter + 1
    assert Cauchy().expect(fit.params, fit.source.block(0)).loglik == pytest.approx(fit.objective)
    assert fit.objective == max(optimum.objective for optimum in fit.account.optima)


def test_an_interrupt_before_the_first_point_is_one():
    class Interrupted(Cauchy):
        def expect(self, params, block):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jensen.em(Interrupted(), SPREAD, far_away, seed=0)


def test_observers_are_told_of_every_start():
    told = []
    fit = jensen.em(Cauchy(), SPREAD, far_away, seed=0, observers=[told.append])
    assert sum(info.iteration == 0 for info in told) >= len(fit.starts)
    assert quiet(Cauchy(), SPREAD, far_away, n_init=4, seed=0, observers=[told.append]).account is None


@pytest.mark.parametrize("bad", ["many", 0, True, 2.5])
def test_a_wrong_number_of_starts_is_refused_whatever_the_start(bad):
    start = {"pi": 0.4, "p": 0.5, "q": 0.6}
    with pytest.raises(InputError, match="n_init"):
        jensen.em(jensen.models.ThreeCoins(), [1, 0, 1], start, n_init=bad)
