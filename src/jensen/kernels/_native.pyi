"""The native kernels, compiled from `native/`."""

from typing import Any

from jensen.core.block import AnyArray, Array

def available() -> list[str]: ...
def moments(
    isa: str,
    x: AnyArray,
    weight: Array | None,
    shape: int,
    centres: Array,
    whitening: Array,
    offsets: Array,
    counts: Array,
    first: Array,
    scatter: Array,
    last: AnyArray | None,
) -> float: ...

class Flight:
    def __init__(self, helpers: int) -> None: ...
    def add_bursts(self, isa: str, x: AnyArray, weight: Array | None, given: tuple[Any, ...]) -> None: ...
    def add_descent(self, isa: str, x: AnyArray, weight: Array | None, given: tuple[Any, ...]) -> None: ...
    def take(self, first: int, count: int) -> list[tuple[int, int, int, int]]: ...
    def __len__(self) -> int: ...

def maximize(
    shape: int,
    rule: int,
    ridge: Array,
    count: float,
    scatter: Array | None,
    strength: float,
    centre: Array | None,
    ratio: float,
    equal_weights: bool,
    old_means: Array,
    old_covariances: Array,
    counts: Array,
    first: Array,
    second: Array,
    weights: Array,
    means: Array,
    covariances: Array,
) -> int: ...
def factors(
    isa: str, shape: int, covariances: Array, ridge: Array, whitening: Array, constants: Array, penalty: Array
) -> int: ...
def smallest_ratios(matrices: Array, unit: Array, out: Array) -> bool: ...
def seed_rows(z: Array, weight: Array, candidates: int, uniforms: Array, seeds: AnyArray) -> None: ...
def lloyd(isa: str, z: Array, weight: Array, max_iter: int, rest: float, centres: Array, labels: AnyArray) -> None: ...
def hierarchy(
    z: Array, weight: Array, criterion: int, floor: float, share: float, merges: AnyArray, costs: Array
) -> None: ...
def exp_nonpositive(isa: str, x: AnyArray, out: AnyArray) -> None: ...
def column_moments(x: Array, weight: Array | None, mean: Array, squares: Array, low: Array, high: Array) -> float: ...
def row_keys(x: Array, seed: int, multipliers: AnyArray, keys: AnyArray) -> None: ...
def labelled_moments(
    x: Array, weight: Array | None, labels: AnyArray, shape: int, counts: Array, means: Array, scatter: Array
) -> None: ...
def rows(
    isa: str,
    x: AnyArray,
    shape: int,
    centres: Array,
    whitening: Array,
    offsets: Array,
    density: Array | None,
    responsibilities: Array | None,
    labels: AnyArray | None,
) -> None: ...
