"""Builders of ONNX models for demos, tests and studies."""

from .llama import Shape, build, weights

__all__ = ["Shape", "build", "weights"]
