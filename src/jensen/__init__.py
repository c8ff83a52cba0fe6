"""Jensen: EM for Python, Gaussian mixtures first.

The public door. Every name below is loaded when it is first used, so that ``import jensen`` costs next to
nothing: no scikit-learn, no SciPy, no pyarrow.

>>> import jensen
>>> "GaussianMixture" in dir(jensen)
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jensen import datasets as datasets
    from jensen import families as families
    from jensen import models as models
    from jensen import solvers as solvers
    from jensen import testing as testing
    from jensen import watch as watch
    from jensen.config import show_config as show_config
    from jensen.core import domains as domains
    from jensen.core.contracts import Stage as Stage
    from jensen.core.information import Information as Information
    from jensen.core.model import LatentModel as LatentModel
    from jensen.core.sums import Sums as Sums
    from jensen.data.pool import threads as threads
    from jensen.errors import JensenError as JensenError
    from jensen.errors import JensenWarning as JensenWarning
    from jensen.estimators import GaussianMixture as GaussianMixture
    from jensen.estimators import MixtureDiscriminantAnalysis as MixtureDiscriminantAnalysis
    from jensen.estimators import load as load
    from jensen.estimators import save as save
    from jensen.estimators import select as select
    from jensen.fit.em import em as em
    from jensen.fit.fixed_point import fixed_point as fixed_point
    from jensen.fit.priors import ConjugatePrior as ConjugatePrior
    from jensen.infer.lrt import bootstrap_lrt as bootstrap_lrt
    from jensen.solve import stopping as stopping

__version__ = "0.1.0.dev0"

__all__ = [
    "ConjugatePrior",
    "GaussianMixture",
    "Information",
    "JensenError",
    "JensenWarning",
    "LatentModel",
    "MixtureDiscriminantAnalysis",
    "Stage",
    "Sums",
    "__version__",
    "bootstrap_lrt",
    "datasets",
    "domains",
    "em",
    "families",
    "fixed_point",
    "load",
    "models",
    "save",
    "select",
    "show_config",
    "solvers",
    "stopping",
    "testing",
    "threads",
    "watch",
]

# Public name -> the module that holds it.
_HOME = {
    "ConjugatePrior": "jensen.fit.priors",
    "GaussianMixture": "jensen.estimators",
    "Information": "jensen.core.information",
    "JensenError": "jensen.errors",
    "JensenWarning": "jensen.errors",
    "LatentModel": "jensen.core.model",
    "MixtureDiscriminantAnalysis": "jensen.estimators",
    "Stage": "jensen.core.contracts",
    "Sums": "jensen.core.sums",
    "bootstrap_lrt": "jensen.infer.lrt",
    "em": "jensen.fit.em",
    "fixed_point": "jensen.fit.fixed_point",
    "load": "jensen.estimators",
    "save": "jensen.estimators",
    "select": "jensen.estimators",
    "show_config": "jensen.config",
    "threads": "jensen.data.pool",
}
_ROOMS = {
    "datasets": "jensen.datasets",
    "domains": "jensen.core.domains",
    "families": "jensen.families",
    "models": "jensen.models",
    "solvers": "jensen.solvers",
    "stopping": "jensen.solve.stopping",
    "testing": "jensen.testing",
    "watch": "jensen.watch",
}


def __getattr__(name: str) -> Any:
    """Load a public name on its first use (PEP 562)."""
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    if name not in _HOME:
        raise AttributeError(f"module 'jensen' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
