"""What this installation runs on: kernel, instruction set, threads and BLAS; the first thing to put into a report."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import jensen
from jensen.data.pool import threads_and_source
from jensen.kernels.choose import choice


@dataclass(frozen=True)
class Blas:
    """A BLAS library that NumPy or SciPy has loaded.

    Attributes
    ----------
    name, version : str
        Such as ``openblas`` and ``0.3.31``.
    threads : int
        That it uses on its own; while passes run it is held at one.
    file : str
        Path of the library.
    """

    name: str
    version: str
    threads: int
    file: str


@dataclass(frozen=True, repr=False)
class Config:
    """What `show_config` found; printing it gives a table.

    Attributes
    ----------
    version : str
        Of Jensen.
    python, numpy, scipy : str
        Versions of what it runs on.
    kernel : {"native", "portable"}
        C++ or NumPy.
    instruction_set : str
        That the native kernel uses; ``""`` for NumPy.
    reason : str
        Why this kernel and instruction set.
    available : tuple of str
        Instruction sets that were compiled in and that this machine runs, widest first.
    threads : int
        Number of threads that passes use.
    threads_source : str
        Where that number comes from.
    blas : tuple of Blas
        Libraries that NumPy and SciPy have loaded.
    """

    version: str
    python: str
    numpy: str
    scipy: str
    kernel: str
    instruction_set: str
    reason: str
    available: tuple[str, ...]
    threads: int
    threads_source: str
    blas: tuple[Blas, ...]

    def __str__(self) -> str:
        kernel = f"{self.kernel}, {self.instruction_set}" if self.instruction_set else f"{self.kernel} (NumPy)"
        lines = [
            ("kernel", f"{kernel}: {self.reason}"),
            ("available", ", ".join((*self.available, "portable"))),
            ("threads", f"{self.threads}: {self.threads_source}"),
            ("Python", f"{self.python}, NumPy {self.numpy}, SciPy {self.scipy}"),
        ]
        for blas in self.blas:
            lines.append(("BLAS", f"{blas.name} {blas.version}, {blas.threads} threads ({Path(blas.file).name})"))
        return "\n".join([f"Jensen {self.version}", *(f"  {name:<11}{value}" for name, value in lines)])

    __repr__ = __str__


def show_config() -> Config:
    """What Jensen runs on: kernel and instruction set in use, and why; threads; BLAS libraries.

    Returns
    -------
    Config
        A record that prints as a table.

    Raises
    ------
    InputError
        If ``JENSEN_ISA`` or ``JENSEN_NUM_THREADS`` asks for what cannot be.

    Examples
    --------
    >>> import jensen
    >>> jensen.show_config().kernel in ("native", "portable")
    True
    """
    import scipy.linalg  # noqa: F401  (brings its BLAS, which may be another than NumPy's)
    from threadpoolctl import threadpool_info

    chosen = choice()
    n_threads, source = threads_and_source()
    return Config(
        version=jensen.__version__,
        python=platform.python_version(),
        numpy=np.__version__,
        scipy=scipy.__version__,
        kernel=chosen.kernel,
        instruction_set=chosen.isa,
        reason=chosen.reason,
        available=chosen.available,
        threads=n_threads,
        threads_source=source,
        blas=tuple(
            Blas(found["internal_api"], found["version"] or "", found["num_threads"], found["filepath"])
            for found in threadpool_info()
            if found["user_api"] == "blas"
        ),
    )
