"""The ways to climb that `jensen.em` takes as ``solver=``, each with what it promises.

>>> import jensen
>>> from jensen.solvers import Incremental
>>> coins = jensen.models.ThreeCoins()
>>> fit = jensen.em(coins, [1, 1, 0, 1], {"pi": 0.4, "p": 0.6, "q": 0.7}, solver=Incremental(n_blocks=2))
>>> fit.ascends
'free energy'
"""

from __future__ import annotations

from jensen.solve.annealing import Annealed
from jensen.solve.incremental import Incremental
from jensen.solve.partial import Hard, Truncated
from jensen.solve.stochastic import Stochastic
from jensen.solve.variants import Plain

__all__ = ["Annealed", "Hard", "Incremental", "Plain", "Stochastic", "Truncated"]
