"""Model files: one safetensors file, described by one JSON document in its header. Loading runs no code."""

from jensen.store.files import read_model, write_model
from jensen.store.record import SCHEMA, ModelRecord, fit_info
from jensen.store.strict_json import Json

__all__ = ["SCHEMA", "Json", "ModelRecord", "fit_info", "read_model", "write_model"]
