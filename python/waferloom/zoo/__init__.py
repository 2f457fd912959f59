"""Builders of ONNX models for demos, tests and studies."""

from .llama import build, write, write_shapes
from .reference import Reference
from .shape import Shape, weights

__all__ = ["Reference", "Shape", "build", "weights", "write", "write_shapes"]
