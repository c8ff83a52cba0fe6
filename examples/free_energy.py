"""The bound and the log-likelihood: EM climbs F(q, theta) = E_q log p(x, z) + H(q) by turns (Neal & Hinton 1998).

    python examples/free_energy.py

After an exact E-step the bound touches the likelihood; after an M-step, or a partial E-step, it lies below.
"""

import numpy as np

import jensen
from jensen.solvers import Incremental

MODEL = jensen.models.Mixture(jensen.families.Gaussian(2, 1))
START = {"weights": [0.5, 0.5], "means": [[50.0], [60.0]], "covariances": [[[100.0]], [[100.0]]]}


def main() -> None:
    """Print F, the log-likelihood and the gap of some half steps, for exact and for partial E-steps."""
    waiting = jensen.datasets.load("faithful").data[:, 1]
    for solver in (None, Incremental(n_blocks=4)):
        fit = jensen.em(MODEL, waiting, START, solver=solver, trace_bound=True)
        print(f"{fit.solver}: {fit.n_iter} M-steps, {fit.passes:g} passes")
        for half_step in fit.bound[:9]:
            print(f"  {half_step}")
        print(f"  ... {fit.bound[-1]}")
        assert (np.diff([half_step.free_energy for half_step in fit.bound]) > -1e-9).all()


if __name__ == "__main__":
    main()
