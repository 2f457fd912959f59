"""Builders of ONNX models for demos, tests and studies."""

from .llama import build, write, write_shapes
from .published import PUBLISHED
from .reference import Reference
from .shape import Shape, weights

__all__ = ["PUBLISHED", "Reference", "Shape", "build", "weights", "write", "write_shapes"]
