"""The libraries, all behind one function: so many M-steps from the same parameters, timed, and where they led."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import metadata
from typing import Any, ClassVar
from unittest import mock

import numpy as np

from benchmarks.data import Array, Parameters, Problem
from benchmarks.machine import EXTERNAL, compiled, scratch

Shapes = tuple[str, ...]
ALL_SHAPES: Shapes = ("full", "tied", "diag", "spherical")


@dataclass(frozen=True)
class Outcome:
    """Wall time of a run, where it led after how many iterations, and an external program's peak memory in MiB."""

    seconds: float
    params: Parameters
    n_iter: int
    peak: float | None = None


# Runs so many M-steps.
Runner = Callable[[int], Outcome]


class Library:
    """One competitor. `missing` says why it cannot run here, or is empty."""

    name: ClassVar[str]
    shapes: ClassVar[Shapes] = ("full", "diag")
    precisions: ClassVar[Shapes] = ("float64", "float32")
    threads: ClassVar[tuple[int, ...]] = (1, 2)
    external: ClassVar[bool] = False
    missing: str = ""

    def version(self) -> str:
        """Version number."""
        return metadata.version(self.name)

    def handles(self, shape: str, precision: str, threads: int) -> bool:
        """Whether it can run such a cell."""
        return not self.missing and shape in self.shapes and precision in self.precisions and threads in self.threads

    def prepare(self, problem: Problem, threads: int) -> Runner:
        """What is not part of an iteration, done once."""
        raise NotImplementedError


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


# --------------------------------------------------------------------------------------------------- Jensen


@contextmanager
def isa(wanted: str) -> Iterator[None]:
    """Within it, passes run on another instruction set, as if ``JENSEN_ISA`` had asked for it."""
    from jensen.kernels import choose

    with mock.patch.dict(os.environ, JENSEN_ISA=wanted):
        chosen = choose.choice.__wrapped__()
    with mock.patch.object(choose, "choice", lambda: chosen):
        yield


@dataclass(frozen=True)
class Jensen(Library):
    """Jensen's loop and kernel, without the estimator around it.

    Attributes
    ----------
    isa : str
        Instruction set; ``""`` for the widest, ``"portable"`` for NumPy.
    n_threads : int
        As many, whatever the others have; 0 for as many as they.
    double : bool
        float64 even where the others run in float32.
    pruned : bool
        Components that lie apart are pruned, as always.
    """

    isa: str = ""
    n_threads: int = 0
    double: bool = False
    pruned: bool = True

    shapes: ClassVar[Shapes] = ALL_SHAPES

    @property
    def name(self) -> str:  # type: ignore[override]
        """With what sets it apart."""
        marks = [self.isa, f"{self.n_threads} thread" if self.n_threads else "", "float64" if self.double else ""]
        marks.append("" if self.pruned else "unpruned")
        return " ".join(filter(None, ("jensen", *marks)))

    def version(self) -> str:
        import jensen

        return str(jensen.__version__)

    def prepare(self, problem: Problem, threads: int) -> Runner:
        from jensen.data.arrays import ArraySource
        from jensen.data.pool import threads as use_threads
        from jensen.families.gaussian import Gaussian
        from jensen.fit.search.restarts import with_memory
        from jensen.models.mixture import Mixture
        from jensen.solve import loop
        from jensen.solve.em import EM

        start = problem.start
        model = Mixture(Gaussian(problem.k, problem.d, problem.shape, np.zeros(problem.d)))  # type: ignore[arg-type]
        params = model.parameters(weights=start.weights, means=start.means, covariances=start.covariances)
        source = ArraySource(problem.x.astype(np.float64) if self.double else problem.x).in_single_precision()
        kernel: Callable[[], AbstractContextManager[None]] = (lambda: isa(self.isa)) if self.isa else nullcontext

        def runner(n_iter: int) -> Outcome:
            use_threads(self.n_threads or threads)
            rows = with_memory(model, source) if self.pruned else source
            # Near the end of float32's digits the objective trembles; here, no run may end for it.
            with kernel(), mock.patch.object(loop, "FALL_TOLERANCE", np.inf):
                seconds, found = _timed(
                    lambda: loop.run(EM(model, model.burst), rows, params, _Never(), loop.Limits(n_iter))
                )
            names = ("weights", "means", "covariances")
            return Outcome(seconds, Parameters(*(found.params[name] for name in names)), found.n_iter)

        return runner


class _Never:
    """The stopping rule that never stops."""

    def update(self, info: Any) -> None:
        return None


# --------------------------------------------------------------------------------------------------- peers


class ScikitLearn(Library):
    """``sklearn.mixture.GaussianMixture``."""

    name = "scikit-learn"
    shapes = ALL_SHAPES

    def prepare(self, problem: Problem, threads: int) -> Runner:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        start, dtype = problem.start, problem.x.dtype
        matrices = problem.shape in ("full", "tied")
        precisions = np.linalg.inv(start.covariances) if matrices else 1.0 / start.covariances

        def runner(n_iter: int) -> Outcome:
            model = GaussianMixture(
                problem.k,
                covariance_type=problem.shape,
                reg_covar=0.0,
                tol=0.0,
                max_iter=n_iter,
                weights_init=start.weights.astype(dtype),
                means_init=start.means.astype(dtype),
                precisions_init=precisions.astype(dtype),
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                seconds, _ = _timed(lambda: model.fit(problem.x))
            return Outcome(seconds, Parameters(model.weights_, model.means_, model.covariances_), model.n_iter_)

        return runner


class Daal4py(Library):
    """oneDAL's EM through daal4py, a part of scikit-learn-intelex."""

    name = "daal4py"

    def __init__(self) -> None:
        try:
            import daal4py

            daal4py.em_gmm  # noqa: B018
        except (ImportError, AttributeError) as error:
            self.missing = f"daal4py does not load ({error})"

    def version(self) -> str:
        return metadata.version("daal")

    def prepare(self, problem: Problem, threads: int) -> Runner:
        import daal4py

        daal4py.daalinit(threads)
        x, start, full = problem.x, problem.start, problem.shape == "full"
        weights, means = start.weights[None].astype(x.dtype), start.means.astype(x.dtype)
        covariances = [np.ascontiguousarray(np.atleast_2d(c), dtype=x.dtype) for c in start.covariances]

        def runner(n_iter: int) -> Outcome:
            algorithm = daal4py.em_gmm(
                problem.k,
                fptype="double" if x.dtype == np.float64 else "float",
                maxIterations=n_iter,
                accuracyThreshold=0.0,
                regularizationFactor=0.0,
                covarianceStorage="full" if full else "diagonal",
            )
            seconds, found = _timed(lambda: algorithm.compute(x, weights, means, covariances))
            stack = np.array(found.covariances)
            shaped = stack if full else stack.reshape(problem.k, problem.d)
            params = Parameters(np.ravel(found.weights), np.asarray(found.means), shaped)
            return Outcome(seconds, params, int(found.nIterations.item()))

        return runner


class Pomegranate(Library):
    """pomegranate's own EM step: ``summarize``, then ``from_summaries``."""

    name = "pomegranate"

    def __init__(self) -> None:
        try:
            import pomegranate.gmm  # noqa: F401
        except ImportError as error:
            self.missing = f"pomegranate is not installed ({error})"

    def prepare(self, problem: Problem, threads: int) -> Runner:
        import torch
        from pomegranate.distributions import Normal
        from pomegranate.gmm import GeneralMixtureModel

        torch.set_num_threads(threads)
        x = torch.from_numpy(problem.x)

        def tensor(values: Array) -> Any:
            return torch.tensor(values, dtype=x.dtype)

        def runner(n_iter: int) -> Outcome:
            start = problem.start
            components = [
                Normal(tensor(mean), tensor(covariance), covariance_type=problem.shape)
                for mean, covariance in zip(start.means, start.covariances, strict=True)
            ]
            model = GeneralMixtureModel(components, priors=tensor(start.weights))

            def iterate() -> None:
                for _ in range(n_iter):
                    model.summarize(x)
                    model.from_summaries()

            with torch.no_grad():
                seconds, _ = _timed(iterate)
            means = np.array([c.means.detach().numpy() for c in model.distributions])
            covariances = np.array([c.covs.detach().numpy() for c in model.distributions])
            return Outcome(seconds, Parameters(model.priors.detach().numpy(), means, covariances), n_iter)

        return runner


class _External(Library):
    """A program of its own, which reads the problem from a file and times itself."""

    external = True
    # Longer than this, and a cell is left out.
    patience = 300.0

    def command(self) -> list[str]:
        """What to run, before the file and the number of iterations."""
        raise NotImplementedError

    def version(self) -> str:
        return subprocess.run([*self.command(), "version"], capture_output=True, text=True, check=True).stdout.strip()

    def prepare(self, problem: Problem, threads: int) -> Runner:
        path = scratch() / f"{self.name}.problem"
        full, single = problem.shape == "full", problem.x.dtype == np.float32
        with open(path, "wb") as file:
            np.array([problem.n, problem.d, problem.k, full, single], dtype=np.int64).tofile(file)
            for array in (problem.x, problem.start.weights, problem.start.means, problem.start.covariances):
                np.ascontiguousarray(array, dtype=problem.x.dtype).tofile(file)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}

        def runner(n_iter: int) -> Outcome:
            command = [*self.command(), str(path), str(n_iter)]
            ran = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True, timeout=self.patience
            )
            seconds, peak, *numbers = (float(word) for word in ran.stdout.split())
            k, d = problem.k, problem.d
            weights, means, covariances = np.split(np.array(numbers), [k, k + k * d])
            # Column by column there, row by row here; the matrices are symmetric.
            shaped = covariances.reshape((k, d, d) if problem.shape == "full" else (k, d))
            return Outcome(seconds, Parameters(weights, means.reshape(k, d), shaped), n_iter, peak)

        return runner


class Armadillo(_External):
    """``gmm_full`` and ``gmm_diag`` of Armadillo, compiled with OpenMP for this machine."""

    name = "Armadillo"

    def __init__(self) -> None:
        if compiled("armadillo.cpp", "-larmadillo") is None:
            self.missing = "there is no C++ compiler, or it does not find Armadillo"

    def command(self) -> list[str]:
        return [compiled("armadillo.cpp", "-larmadillo") or ""]


class Mclust(_External):
    """``em`` of the R package mclust."""

    name = "mclust"
    precisions = ("float64",)
    threads = (1,)

    def __init__(self) -> None:
        rscript = shutil.which("Rscript")
        code = "stopifnot(requireNamespace('mclust', quietly = TRUE))"
        if rscript is None or subprocess.run([rscript, "-e", code], capture_output=True).returncode != 0:
            self.missing = "there is no Rscript, or it does not find mclust"

    def command(self) -> list[str]:
        return ["Rscript", "--vanilla", str(EXTERNAL / "mclust.R")]


def named(name: str) -> Library:
    """The library of that name."""
    return Jensen() if name == "jensen" else next(peer for peer in PEERS if peer.name == name)()


PEERS: tuple[type[Library], ...] = (ScikitLearn, Daal4py, Armadillo, Mclust, Pomegranate)
