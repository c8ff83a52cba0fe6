"""The table of covariance shapes: what components share of Sigma_k = lambda_k D_k A_k D_k', and what it costs.

lambda_k = |Sigma_k|^(1/d) is the volume; A_k, diagonal with determinant 1, the shape; D_k, orthogonal, the orientation
(Banfield & Raftery 1993). Three letters say of volume, shape and orientation, in this order, whether they are equal
(E), variable (V) or those of the identity matrix (I). Celeux & Govaert (1995) write EVE as [lambda D A_k D'].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from jensen.errors import InputError
from jensen.kernels.portable import Layout

Letter = Literal["I", "E", "V"]

_FREEDOM = {"I": 0, "E": 1, "V": 2}


@dataclass(frozen=True)
class CovarianceShape:
    """One of the fourteen shapes.

    Attributes
    ----------
    name : str
        Its three letters, such as ``"VEV"``.
    volume : {"E", "V"}
        Of lambda_k.
    shape : {"I", "E", "V"}
        Of A_k; "I" is a sphere.
    orientation : {"I", "E", "V"}
        Of D_k; "I" is along the axes.
    alias : str or None
        What scikit-learn calls it, if it has it.
    """

    name: str
    volume: Letter
    shape: Letter
    orientation: Letter
    alias: str | None = None

    @property
    def label(self) -> str:
        """The name by which it goes in a fit: scikit-learn's where there is one."""
        return self.alias or self.name

    @property
    def layout(self) -> Layout:
        """How covariances and scatters are stored: (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical."""
        if self.name == "EEE":
            return "tied"
        if self.orientation != "I":
            return "full"
        return "spherical" if self.shape == "I" else "diag"

    @property
    def is_common(self) -> bool:
        """Whether all components have the same covariance."""
        return "V" not in self.name

    def n_parameters(self, d: int, n_components: int) -> int:
        """Number of free parameters of the covariances of K components in d dimensions.

        Volumes have 1 each, shapes d - 1 and orientations d (d - 1)/2 (Celeux & Govaert 1995, table 1).
        """
        times = {"I": 0, "E": 1, "V": n_components}
        orientation = times[self.orientation] * (d * (d - 1) // 2)
        return times[self.volume] + times[self.shape] * (d - 1) + orientation

    def contains(self, other: CovarianceShape) -> bool:
        """Whether every covariance of the other shape is one of this shape too, itself included."""
        pairs = zip(self.name, other.name, strict=True)
        return all(_FREEDOM[mine] >= _FREEDOM[theirs] for mine, theirs in pairs)


def _shape(name: str, alias: str | None = None) -> CovarianceShape:
    volume, shape, orientation = cast(tuple[Letter, Letter, Letter], tuple(name))
    return CovarianceShape(name, volume, shape, orientation, alias)


SHAPES: dict[str, CovarianceShape] = {
    shape.name: shape
    for shape in (
        _shape("EII"),
        _shape("VII", "spherical"),
        _shape("EEI"),
        _shape("VEI"),
        _shape("EVI"),
        _shape("VVI", "diag"),
        _shape("EEE", "tied"),
        _shape("VEE"),
        _shape("EVE"),
        _shape("VVE"),
        _shape("EEV"),
        _shape("VEV"),
        _shape("EVV"),
        _shape("VVV", "full"),
    )
}

# In one dimension there is a volume and nothing else, and mclust has names of one letter for it.
LETTERS = {"E": "EII", "V": "VII"}

ALIASES: dict[str, str] = {shape.alias: shape.name for shape in SHAPES.values() if shape.alias is not None}


def covariance_shape(name: object, d: int | None = None) -> CovarianceShape:
    """The shape that a name means.

    Parameters
    ----------
    name : str
        Three letters; ``full``, ``tied``, ``diag`` or ``spherical``; in one dimension also ``E`` or ``V``.
    d : int, optional
        Number of features; None where it is not known, and then all names are taken.

    Raises
    ------
    InputError
        If no shape has this name.
    """
    if isinstance(name, str):
        found = ALIASES.get(name, name)
        if d is None or d == 1:
            found = LETTERS.get(found, found)
        if found in SHAPES:
            return SHAPES[found]
        if name in LETTERS:
            raise InputError(f"covariance_type {name!r} is for one column and there are {d}; use {name}II or another")
    raise InputError(
        f"covariance_type must be one of full, tied, diag, spherical, or of mclust's {', '.join(SHAPES)} "
        f"(E and V for one column), got {name!r}"
    )


def contains(a: str, b: str) -> bool:
    """Whether shape `a` contains shape `b`: E lies within V for the volume, I within E within V for the others.

    The likelihood of `a` is then at least that of `b`. Every shape contains itself.
    """
    return covariance_shape(a).contains(covariance_shape(b))


def n_covariance_parameters(name: str, d: int, n_components: int) -> int:
    """Number of free covariance parameters of a shape for K components in d dimensions.

    Parameters
    ----------
    name : str
        As for `covariance_shape`.
    d, n_components : int
        At least 1.

    Examples
    --------
    >>> n_covariance_parameters("VVV", 4, 3), n_covariance_parameters("E", 1, 3)
    (30, 1)
    """
    return covariance_shape(name, d).n_parameters(d, n_components)
