"""What a model file says: the fitted mixture, and how it came about."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import jensen
from jensen.core.block import Array
from jensen.errors import InputError, NumericalFailure
from jensen.families.noise import Box
from jensen.families.shapes.table import SHAPES, covariance_shape
from jensen.families.whitening import whiten
from jensen.fit.fitted import FittedMixture
from jensen.fit.result import MixtureFit
from jensen.kernels.portable import scatter_shape
from jensen.store.strict_json import Json, Malformed

# A reader refuses a newer schema. It rises when a file means something that an older reader would misread.
SCHEMA = 2
FAMILY = "gaussian mixture"
_FIELDS = {"schema", "library", "family", "covariance_type", "parameters", "feature_names", "info"}
# Fields that a file has where they say something, and the schema that brought them.
_OPTIONAL = {"equal_weights": 2, "noise": 2, "threshold": 2}
_PARAMETERS = ("weights", "means", "covariances")


@dataclass(frozen=True, eq=False)
class ModelRecord:
    """A fitted mixture with its history, as a model file holds it.

    Attributes
    ----------
    fitted : FittedMixture
        The mixture to be used.
    info : mapping of str to JSON
        How it came about: seed, objective, status, settings ...; for people and programs, nothing is computed from it.
    library : str
        What wrote the file.
    """

    fitted: FittedMixture
    info: Mapping[str, Json] = field(default_factory=dict)
    library: str = f"jensen {jensen.__version__}"


def fit_info(fit: MixtureFit, settings: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """What a model file tells of a fit.

    Parameters
    ----------
    fit : MixtureFit
        The fit.
    settings : mapping of str to JSON, optional
        The settings that a user chose.

    Returns
    -------
    dict
        JSON values; a number that is not finite becomes None.
    """
    return {
        "n_rows": fit.n_rows,
        "weight": finite(fit.weight),
        "n_free": fit.n_free,
        "loglik": finite(fit.loglik),
        "objective": finite(fit.objective),
        "bic": finite(fit.bic),
        "aic": finite(fit.aic),
        "icl": finite(fit.icl),
        "status": fit.status.value,
        "message": fit.message,
        "n_iter": fit.n_iter,
        "sound": fit.is_sound,
        "constant_columns": list(fit.constant_columns),
        "faults": list(fit.faults),
        "coinciding": [list(group) for group in fit.coinciding],
        "warnings": list(fit.warnings),
        "starts": {
            "n": len(fit.starts),
            "agreeing": fit.n_agreeing,
            "degenerate": sum(not start.is_sound for start in fit.starts),
            "account": None if fit.account is None else str(fit.account),
        },
        "seed": fit.seed,
        "seconds": finite(fit.seconds),
        "settings": dict(settings or {}),
    }


def finite(value: float) -> float | None:
    """The number, or None for one that JSON cannot hold."""
    return float(value) if math.isfinite(value) else None


def to_document(record: ModelRecord) -> dict[str, Json]:
    """The JSON document of a record."""
    names = record.fitted.feature_names
    besides = _besides(record.fitted)
    return {
        # The oldest schema that says it all, so that as many readers as can read it.
        "schema": max((_OPTIONAL[name] for name in besides), default=1),
        "library": record.library,
        "family": FAMILY,
        "covariance_type": record.fitted.covariance_type,
        "parameters": list(_PARAMETERS),
        "feature_names": None if names is None else list(names),
        "info": dict(record.info),
        **besides,
    }


def _besides(fitted: FittedMixture) -> dict[str, Json]:
    """The optional fields that say something."""
    found: dict[str, Json] = {}
    if fitted.equal_weights:
        found["equal_weights"] = True
    box = fitted.box
    if box is not None:
        found["noise"] = {"log_volume": box.log_volume, "corner": box.corner.tolist(), "edges": box.edges.tolist()}
    if fitted.threshold is not None:
        found["threshold"] = fitted.threshold
    return found


def check_document(document: Any) -> tuple[str, tuple[str, ...] | None, bool]:
    """Check the JSON document of a file; the shape and the feature names that it states, and whether it has noise.

    Raises
    ------
    Malformed
        If a field is missing, unknown, or of another kind than the schema says.
    """
    if not isinstance(document, dict):
        raise Malformed("its description is no JSON object")
    schema = document.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise Malformed(f"its schema is {schema!r}, expected a version number")
    if schema > SCHEMA:
        raise Malformed(
            f"it has schema {schema}, written by {document.get('library')!r}, and this version reads schemas up to "
            f"{SCHEMA}. Upgrade jensen"
        )
    allowed = _FIELDS | {name for name, since in _OPTIONAL.items() if schema >= since}
    if not _FIELDS <= set(document) <= allowed:
        unknown, missing = sorted(set(document) - allowed), sorted(_FIELDS - set(document))
        raise Malformed(f"its description has unknown fields {unknown}" if unknown else f"it does not state {missing}")
    if document["family"] != FAMILY:
        raise Malformed(f"it holds a {document['family']!r}, expected a {FAMILY!r}")
    labels = [shape.label for shape in SHAPES.values()]
    shape = next((label for label in labels if label == document["covariance_type"]), None)
    if shape is None:
        raise Malformed(f"its covariance_type is {document['covariance_type']!r}, expected one of {', '.join(labels)}")
    if document["parameters"] != list(_PARAMETERS):
        raise Malformed(f"its parameters are {document['parameters']!r}, expected {list(_PARAMETERS)}")
    if not isinstance(document["library"], str) or not isinstance(document["info"], dict):
        raise Malformed("its library must be text, and its info an object")
    if document.get("equal_weights", True) is not True:
        raise Malformed("its equal_weights must be true, or not there")
    if "threshold" in document and not _is_number(document["threshold"]):
        raise Malformed("its threshold must be a number, or not there")
    names = document["feature_names"]
    noise = "noise" in document
    if names is None:
        return shape, None, noise
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Malformed("its feature_names must be a list of text, or null")
    if len(set(names)) < len(names):
        raise Malformed("its feature_names repeat a name")
    return shape, tuple(names), noise


def check_shapes(shape: str, names: tuple[str, ...] | None, noise: bool, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check that the tensors are the parameters, in the shapes that belong together, before any value is read.

    Raises
    ------
    Malformed
        If a tensor is missing, unknown, or has a shape that does not fit.
    """
    if set(shapes) != set(_PARAMETERS):
        raise Malformed(f"its tensors are {sorted(shapes)}, expected {sorted(_PARAMETERS)}")
    means = shapes["means"]
    if len(means) != 2 or 0 in means:
        raise Malformed(f"its means have the shape {list(means)}, expected [K, d]")
    k, d = means
    expected = {
        "weights": (k + noise,),
        "means": (k, d),
        "covariances": scatter_shape(covariance_shape(shape).layout, k, d),
    }
    for name, found in shapes.items():
        if found != expected[name]:
            raise Malformed(f"its {name} have the shape {list(found)}, expected {list(expected[name])}")
    if names is not None and len(names) != d:
        raise Malformed(f"it has {len(names)} feature names for {d} features")


def to_record(document: Mapping[str, Any], arrays: Mapping[str, Array]) -> ModelRecord:
    """The record of a checked document and its arrays.

    Raises
    ------
    Malformed
        If a value is outside its domain: not finite, weights that do not sum to 1, a covariance that is not positive
        definite.
    """
    shape, names, noise = check_document(document)
    box = _box(document["noise"], arrays["means"].shape[1]) if noise else None
    threshold = document.get("threshold")
    try:
        # Values near the largest float overflow on their way to being refused.
        with np.errstate(all="ignore"):
            weights, means, covariances = (arrays[name] for name in _PARAMETERS)
            fitted = FittedMixture.from_arrays(
                shape, weights, means, covariances, names, document.get("equal_weights", False), box,
                None if threshold is None else float(threshold),
            )  # fmt: skip
            whitening, constants = whiten(fitted.layout, fitted.params)
    except (InputError, NumericalFailure) as error:
        raise Malformed(str(error).rstrip(".")) from None
    if not (np.isfinite(whitening).all() and np.isfinite(constants).all()):
        raise Malformed("its covariances are singular but for rounding")
    return ModelRecord(fitted, document["info"], document["library"])


def _box(value: Any, d: int) -> Box:
    """The box of the noise that a document describes."""
    if not isinstance(value, dict) or set(value) != {"log_volume", "corner", "edges"}:
        raise Malformed("its noise must state log_volume, corner and edges")
    rows = [value["corner"], *value["edges"]] if isinstance(value["edges"], list) else []
    whole = len(rows) == d + 1 and all(isinstance(row, list) and len(row) == d for row in rows)
    if not (whole and all(map(_is_number, [value["log_volume"], *(number for row in rows for number in row)]))):
        raise Malformed(f"its noise must have a number as log_volume, {d} of them as corner, and {d} x {d} as edges")
    numbers = np.array(rows, dtype=np.float64)
    return Box(numbers[0], numbers[1:], float(value["log_volume"]))


def _is_number(value: Any) -> bool:
    """Whether something of a JSON document is a finite float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
