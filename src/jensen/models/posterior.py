"""A model seen through the posterior of its hidden component: E-steps by parts, and rows whose component is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.contracts import Stage
from jensen.core.domains import Domain
from jensen.core.model import name_of, objective_of, stages_of
from jensen.core.parameters import Parameters
from jensen.errors import ContractError, InputError
from jensen.numerics.logspace import normalise_logs

# Name of the array beside the rows that holds known components.
LABELS = "labels"
# What of a model stays true where some labels are known; what is not here (bursts, draws, an order of components,
# information) is not, and asking for it fails instead of misleading.
_SHARED = frozenset({"complete", "family", "n_components", "faults", "statistics_from", "separable", "maximize_within"})


def expect_by_parts(model: Any, params: Parameters, block: Block) -> Any:
    """The E-step from a model's ``log_joint``, which may be overwritten, and its ``statistics_from``."""
    joint = model.log_joint(params, block)
    rows = normalise_logs(joint)
    if block.weight is not None:
        rows, joint = rows * block.weight, joint * block.weight
    return model.statistics_from(params, block, np.ascontiguousarray(joint.T), float(rows.sum()))


class ByParts:
    """A model whose E-step goes by its ``log_joint`` and ``statistics_from``, which know the entropy of the posterior.

    Parameters
    ----------
    model : object
        With ``log_joint(params, block) -> (K, n)`` and ``statistics_from(params, block, responsibilities, bound)``.

    Raises
    ------
    ContractError
        If the model lacks one of them, or has several stages.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.wrapped_name = name_of(model)
        for method in ("log_joint", "statistics_from"):
            if not callable(getattr(model, method, None)):
                raise ContractError(
                    f"{self.wrapped_name} has no method {method}, which known labels and E-steps by parts need"
                )
        own = stages_of(model)
        if len(own) != 1:
            raise ContractError(
                f"an E-step by parts needs a model of one stage, and {self.wrapped_name} has {len(own)}"
            )
        self._own: Stage = own[0]

    def __getattr__(self, name: str) -> Any:
        if name in _SHARED and "model" in self.__dict__:
            return getattr(self.model, name)
        raise AttributeError(f"{type(self).__name__} has no '{name}'")

    @property
    def domains(self) -> Mapping[str, Domain]:
        """The model's own."""
        domains: Mapping[str, Domain] = self.model.domains
        return domains

    @property
    def stages(self) -> Sequence[Stage]:
        """The E-step by parts, with the model's M-step."""
        return (Stage(self.expect, self.maximize, self._own.guarded),)

    def log_joint(self, params: Parameters, block: Block) -> Array:
        """log p(x_i, z_i = k), shape (K, n)."""
        return np.array(self.model.log_joint(params, block), dtype=np.float64)

    def expect(self, params: Parameters, block: Block) -> Any:
        """The E-step from the joint density."""
        return expect_by_parts(self, params, block)

    def maximize(self, params: Parameters, statistics: Any) -> Any:
        """The model's own M-step."""
        return self._own.maximize(params, statistics)

    def objective(self, params: Parameters, statistics: Any) -> float:
        """The model's own."""
        return float(objective_of(self.model, params, statistics))

    def row_loglik(self, params: Parameters, block: Block) -> Array:
        """log p(x_i) of each row (n,), with the penalty if the joint density has one."""
        return normalise_logs(self.log_joint(params, block))


class Labelled(ByParts):
    """A model of rows of which some have known components: their posterior is fixed, their density is the joint one.

    A block's array `labels` (n,) holds the component of each row, from 0, or -1 where it is unknown. A labelled row
    adds log p(x_i, z_i = label) to the log-likelihood, as in maximum likelihood from partially classified data
    (McLachlan & Peel 2000, section 2.19).

    Parameters
    ----------
    model : object
        With ``log_joint`` and ``statistics_from``, such as `jensen.models.Mixture`.
    """

    def expect(self, params: Parameters, block: Block) -> Any:
        """The model's own E-step on the rows without labels, merged with the joint density of the others."""
        known = block.arrays[LABELS] >= 0
        if not known.any():
            return self._own.expect(params, block)
        labelled = super().expect(params, _rows_of(block, known))
        return labelled if known.all() else self._own.expect(params, _rows_of(block, ~known)).merge(labelled)

    def log_joint(self, params: Parameters, block: Block) -> Array:
        """log p(x_i, z_i = k), shape (K, n); minus infinity for the components that a labelled row does not have."""
        joint = super().log_joint(params, block)
        labels = block.arrays[LABELS]
        if len(labels) and labels.max(initial=-1) >= len(joint):
            raise InputError(f"labels must be below the number of components, {len(joint)}, got {labels.max()}")
        known = np.flatnonzero(labels >= 0)
        at = labels[known]
        own = joint[at, known]
        if block.weight is not None:
            # A row of no weight is no row: it must not stop what the others allow.
            own[np.isneginf(own) & (block.weight[known] == 0)] = 0.0
        if np.isneginf(own).any():
            label = int(at[np.isneginf(own)][0])
            raise InputError(
                f"a row has the label {label}, but component {label} gives it no density at the parameters: start with "
                "a weight above 0 for every label"
            )
        joint[:, known] = -np.inf
        joint[at, known] = own
        return joint


def _rows_of(block: Block, chosen: AnyArray) -> Block:
    """Some of the rows of a block (n,), bool."""
    arrays = {name: np.ascontiguousarray(array[chosen]) for name, array in block.arrays.items()}
    weight = None if block.weight is None else block.weight[chosen]
    return Block(arrays, weight, block.number, block.first_row)


def checked_labels(labels: Any, n_rows: int, n_components: int | None) -> AnyArray:
    """Labels that a person gave, as integers (n,).

    Parameters
    ----------
    labels : array-like of shape (n,)
        Integers from 0, or -1 for unknown.
    n_rows : int
        n.
    n_components : int or None
        K where the model says it.

    Raises
    ------
    InputError
        If they are not.
    """
    given = np.asarray(labels)
    if given.shape != (n_rows,):
        raise InputError(f"labels must have one entry per row, shape ({n_rows},), got shape {given.shape}")
    if not np.issubdtype(given.dtype, np.integer):
        raise InputError(f"labels must be integers, with -1 for unknown, got dtype {given.dtype}")
    if given.size and (given.min() < -1 or (n_components is not None and given.max() >= n_components)):
        limit = "" if n_components is None else f" and below the number of components, {n_components}"
        wrong = given.min() if given.min() < -1 else given.max()
        raise InputError(f"labels must be at least -1{limit}, got {wrong}")
    return given.astype(np.int64)
