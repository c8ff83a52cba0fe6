"""Small data sets that come with the package, each with its source."""

from jensen.datasets.bundled import Dataset, load, names

__all__ = ["Dataset", "load", "names"]
