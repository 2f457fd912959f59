"""What every way to write a decoder shares."""

import numpy as np

from .shape import vectors

# Of experts with sinks and biases (gpt-oss): values and gates stay within it.
GATE_LIMIT, GATE_STEEPNESS = 7.0, 1.702


class Form:
    """Builds the nodes. `g` is the Graph; weights are in it under their names."""

    def __init__(self, g, shape, dtype):
        self.g, self.shape, self.dtype = g, shape, np.dtype(dtype)
        self.vectors = vectors(shape)

    def number(self, value):
        return self.g.number(value, self.dtype)

    def multiply(self, h, weight, **names):
        return self.g.node("MatMul", h, weight, **names)

    def product(self, h, name, label):
        """A product with its weight, and its bias if it has one."""
        g, layer = self.g, name.split(".")[2]
        y = self.multiply(h, name + ".weight", name=label)
        bias = name.removeprefix(f"model.layers.{layer}.") + ".bias"
        return g.node("Add", y, name + ".bias") if bias in self.vectors else y

    def embeddings(self):
        x = self.g.node("Gather", "model.embed_tokens.weight", "input_ids", name="embed", axis=0)
        return self.g.node("Mul", x, self.number(self.shape.width ** 0.5)) if self.shape.scaled else x

    def feed_forward(self, i, h):
        if self.shape.experts:
            return self.mixture(i, h)
        layer = f"model.layers.{i}.mlp."
        gate = self.product(h, layer + "gate_proj", f"layer{i}/mlp/gate")
        up = self.product(h, layer + "up_proj", f"layer{i}/mlp/up")
        return self.product(self.g.node("Mul", self.activation(gate), up), layer + "down_proj", f"layer{i}/mlp/down")

    def behind(self, i, branch, name):
        """A branch of layer `i` with the norm that stands behind it, if one does."""
        gain = f"model.layers.{i}.{name}_output_norm.weight"
        return self.norm(branch, gain, f"layer{i}/{name}_norm") if self.shape.sandwich else branch

    def activation(self, x):
        return self.g.node("Mul", x, self.g.node("Sigmoid", x))
