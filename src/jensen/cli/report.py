"""What there is to say of a mixture: one mapping, which is printed as JSON or as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jensen.families.shapes.table import covariance_shape
from jensen.fit.fitted import FittedMixture
from jensen.fit.result import MixtureFit
from jensen.fit.selection import Selection
from jensen.store.record import finite

# Logarithm of the largest float.
_LARGEST = 709.0


def describe(fitted: FittedMixture, info: Mapping[str, Any]) -> dict[str, Any]:
    """A mixture and its history as JSON values.

    Parameters
    ----------
    fitted : FittedMixture
        The mixture.
    info : mapping
        How it came about, from ``jensen.store.fit_info`` or a model file.

    Returns
    -------
    dict
        ``n_components, n_features, feature_names, covariance_type``, all of `info`, and
        ``weights, means, covariances``. Where there is noise, ``noise`` has its ``weight`` and ``volume``; of a trimmed
        mixture, ``threshold`` is the log-density of outliers.
    """
    params = fitted.params
    shape: dict[str, Any] = {
        "n_components": fitted.n_components,
        "covariance_type": fitted.covariance_type,
        "n_features": fitted.n_features,
        "feature_names": None if fitted.feature_names is None else list(fitted.feature_names),
    }
    values = {name: params[name].tolist() for name in ("weights", "means", "covariances")}
    values["weights"] = values["weights"][: fitted.n_components]
    outliers: dict[str, Any] = {"noise": None, "threshold": fitted.threshold}
    if fitted.box is not None:
        volume = math.exp(fitted.box.log_volume) if fitted.box.log_volume < _LARGEST else None
        outliers["noise"] = {"weight": float(params["weights"][-1]), "volume": volume}
    shape |= {name: value for name, value in outliers.items() if value is not None}
    info = {name: value for name, value in info.items() if name not in outliers}
    # A model file says of itself what it likes, but not what the numbers beside it are.
    return {**shape, **{key: value for key, value in info.items() if key not in shape | values}, **values}


def describe_selection(selection: Selection) -> dict[str, Any]:
    """A search as JSON values: ``status, criterion, words``, what was run, and one record for each cell."""
    cells = [
        {key: finite(value) if isinstance(value, float) else value for key, value in row.items()}
        for row in selection.table()
    ]
    return {
        "status": selection.status.value,
        "criterion": selection.criterion,
        "words": selection.words(),
        "warnings": list(selection.warnings),
        "n_starts": selection.n_starts,
        "searched": selection.searched,
        "linked": selection.linked,
        "seconds": selection.seconds,
        "cells": cells,
    }


def describe_errors(fit: MixtureFit, x: Any, weight: Any) -> dict[str, Any]:
    """Standard errors and diagnosis of a fit as JSON values.

    Returns
    -------
    dict
        ``weights, means, covariances``: standard errors in the layout of the parameters, null where one is refused;
        ``method``; ``refused``, entries and reasons; ``notes``; ``diagnosis``, a list of ``topic, text, serious``.
        The first three are null where the mixture is too large for standard errors, and a note says so.
    """
    from jensen.errors import InputError
    from jensen.infer.mixtures import mixture_analysis, mixture_diagnosis

    analysis = mixture_analysis(fit.fitted, x, weight)
    told: dict[str, Any] = {"weights": None, "means": None, "covariances": None, "method": None, "refused": {}}
    try:
        errors = analysis.standard_errors()
    except InputError as error:
        told["notes"] = [str(error)]
    else:
        told |= {name: _nulled(value.tolist()) for name, value in errors.values.items()}
        told |= {"method": errors.method, "refused": dict(errors.refused), "notes": list(errors.notes)}
    findings = mixture_diagnosis(analysis, fit).findings
    told["diagnosis"] = [{"topic": f.topic, "text": f.text, "serious": f.is_serious} for f in findings]
    return told


def _nulled(value: Any) -> Any:
    """Nested lists of numbers with null for every one that is not finite."""
    return [_nulled(part) for part in value] if isinstance(value, list) else finite(value)


def deviations(report: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Standard deviations (K, d) of the components of a report."""
    k, d = report["n_components"], report["n_features"]
    covariances = np.asarray(report["covariances"], dtype=np.float64)
    layout = covariance_shape(report["covariance_type"], d).layout
    if layout in ("full", "tied"):
        variances = np.diagonal(covariances, axis1=-2, axis2=-1)
    else:
        variances = covariances[:, None] if layout == "spherical" else covariances
    return np.sqrt(np.broadcast_to(variances, (k, d)))
