"""EM by ask and tell."""

import numpy as np
import pytest

from jensen.core.contracts import Stage
from jensen.core.domains import Real
from jensen.core.parameters import Parameters
from jensen.solve.em import EM


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
