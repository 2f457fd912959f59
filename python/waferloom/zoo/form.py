"""What every way to write a Llama shares."""

import numpy as np


class Form:
    """Builds the nodes. `g` is the Graph; weights are in it under their names."""

    def __init__(self, g, shape, dtype):
        self.g, self.shape, self.dtype = g, shape, np.dtype(dtype)

    def feed_forward(self, i, h):
        g, layer = self.g, f"model.layers.{i}.mlp."
        gate = g.node("MatMul", h, layer + "gate_proj.weight", name=f"layer{i}/mlp/gate")
        up = g.node("MatMul", h, layer + "up_proj.weight", name=f"layer{i}/mlp/up")
        act = g.node("Mul", g.node("Mul", gate, g.node("Sigmoid", gate)), up)
        return g.node("MatMul", act, layer + "down_proj.weight", name=f"layer{i}/mlp/down")
