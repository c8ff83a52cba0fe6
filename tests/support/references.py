"""Readers of `tests/reference`, and the starts its values belong to."""

import csv
import json
from pathlib import Path

import numpy as np

from jensen import datasets
from jensen.families.shapes import covariance_shape

ROOM = Path(__file__).parents[1] / "reference"


def read_csv(name):
    """The rows of a table, as dictionaries of text."""
    with open(ROOM / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_json(name):
    """The content of a JSON file."""
    return json.loads((ROOM / name).read_text(encoding="utf-8"))


def data(start):
    """The rows that a fixed start belongs to."""
    return datasets.load(start.split("_")[0]).data


def labels(start):
    """The labels of a fixed start, from 0; the README gives the rules."""
    if start == "iris_G3":
        return np.unique(datasets.load("iris").target, return_inverse=True)[1]
    eruptions, waiting = data(start).T
    return (eruptions > 3).astype(int) if start == "faithful_G2" else np.digitize(waiting, [60, 80], right=True)


def in_shape(shape, matrices):
    """Covariance matrices (K, d, d) in the layout of a shape."""
    matrices, layout = np.asarray(matrices), covariance_shape(shape).layout
    if layout == "tied":
        return matrices[0]
    diagonals = np.diagonal(matrices, axis1=1, axis2=2)
    return {"full": matrices, "diag": diagonals, "spherical": diagonals[:, 0]}[layout]
