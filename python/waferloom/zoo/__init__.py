"""Builders of ONNX models for demos, tests and studies."""

from .llama import build, write, write_shapes
from .packing import Packing
from .published import PACKED, PUBLISHED
from .reference import Reference
from .shape import Shape, weights

__all__ = ["PACKED", "PUBLISHED", "Packing", "Reference", "Shape", "build", "weights", "write", "write_shapes"]
