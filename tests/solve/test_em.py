"""EM by ask and tell."""

import numpy as np
import pytest
from climbs import OneBlock

from jensen.core.contracts import Stage
from jensen.core.domains import Real
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.solve.em import EM
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule, AtRest


class TwoStages:
    """A model whose two stages write their names."""

    stages = tuple(
        Stage(lambda params, block, s=s: s, lambda params, statistics, s=s: params.replace(x=[10.0 * s + statistics]))
        for s in (1, 2)
    )

    def objective(self, params, statistics):
        return float(statistics)


def test_stages_take_turns_and_a_state_is_never_changed():
    solver = EM(TwoStages())
    state = solver.init(Parameters({"x": [0.0]}, {"x": Real((1,))}))
    assert solver.best(state) is None
    seen, states = [], [state]
    for _ in range(4):
        expect, params, _ = solver.ask(state)
        state, info = solver.tell(state, params, expect(params, None))
        states.append(state)
        seen.append((info.iteration, params["x"][0], info.objective))
    # Each maximize gets the statistics that its own stage's expect made.
    assert seen == [(0, 0.0, 1.0), (1, 11.0, 2.0), (2, 22.0, 1.0), (3, 11.0, 2.0)]
    assert [s.point and s.point.iteration for s in states] == [None, 0, 1, 2, 3]
    assert solver.best(states[2]).objective == 2.0
    assert solver.ask(states[1])[1]["x"] == pytest.approx(11.0)
    assert np.isinf(solver.tell(states[0], states[0].start, 1)[1].gain)


class Lazy:
    """A model that climbs to x = 1 at a rate of .9 in its first stage, and does nothing in two more."""

    @property
    def stages(self):
        def expect(params, block):
            return -float((params["x"][0] - 1.0) ** 2)

        def idle(params, statistics):
            return params

        def climb(params, statistics):
            return params.replace(x=1.0 + 0.9 * (params["x"] - 1.0))

        return (Stage(expect, climb), Stage(expect, idle), Stage(expect, idle))

    def objective(self, params, statistics):
        return statistics


@pytest.mark.parametrize("rule", [AitkenRule(1.0), AtRest(1e-5)], ids=["Aitken", "rest"])
def test_rules_judge_whole_turns_of_the_stages(rule):
    solver = EM(Lazy(), measured=True)
    result = run(solver, OneBlock(), Parameters({"x": [5.0]}, {"x": Real((1,))}), rule, Limits(5000))
    assert result.status.is_converged
    assert abs(result.params["x"][0] - 1.0) < 2e-3 and result.n_iter > 150


def test_a_fall_in_the_last_stage_is_not_hidden_by_the_turn():
    class Falls(Lazy):
        @property
        def stages(self):
            first, second, third = super().stages
            return (first, second, Stage(third.expect, lambda params, s: params.replace(x=params["x"] + 0.1)))

    start = Parameters({"x": [5.0]}, {"x": Real((1,))})
    result = run(EM(Falls()), OneBlock(), start, AitkenRule(1.0), Limits(50))
    assert result.status is Status.OBJECTIVE_FELL and result.n_iter == 2
