"""Random mixtures of experts on random grids, against ONNX Runtime: routers with softmax or sigmoid in front or behind
the choice, correction biases, groups of experts of which a few are allowed, scaling, shared experts; matrices that are
gathered, stacked in one product, or in MoE and QMoE; sizes that divide nothing. Right, or refused by import with its
node. A seeded part runs in the check; WAFERLOOM_RANDOM=N runs N graphs, from WAFERLOOM_SEED on."""

import os

import numpy as np
import pytest
from kinds import Graph, compare

import waferloom as wl

COUNT = int(os.environ.get("WAFERLOOM_RANDOM", 24))
SEED = int(os.environ.get("WAFERLOOM_SEED", 1))


class Mixture(Graph):
    """One drawn graph. `text` says what was drawn."""

    def __init__(self, seed):
        super().__init__(seed)
        draw = lambda low, high: int(self.random.integers(low, high + 1))
        self.tokens = draw(1, 4)
        self.groups = draw(2, 4) if self.random.integers(4) == 0 else 1
        self.experts = self.groups * draw(2, 4) if self.groups > 1 else draw(1, 11)
        self.allowed = draw(1, self.groups)
        self.chosen = draw(1, min(4, self.experts // self.groups * self.allowed))
        self.hidden, self.inner = draw(1, 24), draw(1, 24)
        self.score = str(self.random.choice(["softmax", "sigmoid", "softmax of the chosen"]))
        self.correction = self.score == "sigmoid" and bool(self.random.integers(2))
        self.normalized = bool(self.random.integers(2))
        self.biases, self.shared = (bool(self.random.integers(2)) for _ in range(2))
        self.form = str(self.random.choice(["gathered", "stacked", "MoE", "QMoE"]))
        if self.form in ("MoE", "QMoE"):
            self.groups, self.score, self.correction = 1, "softmax", False
        if self.form == "QMoE":
            self.normalized = True  # see docs/differences.md
            self.bits = int(self.random.choice([4, 8]))
            self.block = int(self.random.choice([0, 16])) if self.bits == 4 else 0
            self.hidden, self.inner = ((16 * draw(1, 3), 16 * draw(1, 3)) if self.block
                                       else (2 * draw(1, 12), 2 * draw(1, 12)))
        self.silu = bool(self.random.integers(2))
        self.text = str({k: v for k, v in vars(self).items() if isinstance(v, (int, str, bool))})

    def best_of(self, scores, count):
        return self.op("TopK", scores, self.integers(count), results=2, axis=-1)

    def allow(self, scores):
        """-inf for experts outside of the best groups, each as good as its best two (DeepSeek-V3)."""
        size = self.experts // self.groups
        each = self.op("Reshape", scores, self.integers(0, self.groups, size))
        best, _ = self.best_of(each, min(2, size))
        _, ids = self.best_of(self.op("ReduceSum", best, self.integers(2), keepdims=0), self.allowed)
        zeros = self.constant(np.zeros((self.tokens, self.groups), np.float32))
        ones = self.constant(np.ones((self.tokens, self.allowed), np.float32))
        mask = self.op("Unsqueeze", self.op("ScatterElements", zeros, ids, ones, axis=1), self.integers(2))
        is_allowed = self.op("Less", self.constant(np.float32(0)), mask)
        allowed = self.op("Where", is_allowed, each, self.constant(np.float32(-np.inf)))
        return self.op("Reshape", allowed, self.integers(0, self.experts))

    def route(self, x):
        """Gates [tokens, k] and who is chosen."""
        scores = self.op("MatMul", x, self.weight(self.hidden, self.experts, scale=1.5))
        if self.score == "softmax":
            scores = self.op("Softmax", scores, axis=-1)
        elif self.score == "sigmoid":
            scores = self.op("Sigmoid", scores)
        order = self.op("Add", scores, self.weight(self.experts)) if self.correction else scores
        gates, ids = self.best_of(self.allow(order) if self.groups > 1 else order, self.chosen)
        if self.correction:
            gates = self.op("GatherElements", scores, ids, axis=1)
        if self.score == "softmax of the chosen":
            gates = self.op("Softmax", gates, axis=-1)
        elif self.normalized:
            gates = self.op("Div", gates, self.op("ReduceSum", gates, self.integers(1), keepdims=1))
        return self.op("Mul", gates, self.constant(np.float32(2.5))), ids

    def activation(self, y):
        return self.op("Mul", y, self.op("Sigmoid", y)) if self.silu else self.op("Relu", y)

    def gathered(self, x):
        gates, ids = self.route(x)

        def product(y, outer, inner):
            taken = self.op("Gather", self.weight(self.experts, outer, inner), ids)
            y = self.op("Squeeze", self.op("MatMul", taken, self.op("Unsqueeze", y, self.integers(3))), self.integers(3))
            return self.op("Add", y, self.op("Gather", self.weight(self.experts, outer), ids)) if self.biases else y

        y = self.activation(product(self.op("Unsqueeze", x, self.integers(1)), self.inner, self.hidden))
        y = self.op("Mul", product(y, self.hidden, self.inner), self.op("Unsqueeze", gates, self.integers(2)))
        return self.op("ReduceSum", y, self.integers(1), keepdims=0)

    def stacked(self, x):
        gates, ids = self.route(x)
        zeros = self.constant(np.zeros((self.tokens, self.experts), np.float32))
        dense = self.op("ScatterElements", zeros, ids, gates, axis=1)

        def product(y, inner, outer):
            y = self.op("MatMul", y, self.weight(self.experts, inner, outer))
            return self.op("Add", y, self.weight(self.experts, 1, outer)) if self.biases else y

        y = self.activation(product(self.op("Unsqueeze", x, self.integers(0)), self.hidden, self.inner))
        shares = self.op("Unsqueeze", self.op("Transpose", dense, perm=[1, 0]), self.integers(2))
        y = self.op("Mul", product(y, self.inner, self.hidden), shares)
        return self.op("ReduceSum", y, self.integers(0), keepdims=0)

    def operator(self, x):
        scores = self.op("MatMul", x, self.weight(self.hidden, self.experts, scale=1.5))
        operands, options = [], {}
        for outer, inner in ((self.inner, self.hidden), (self.hidden, self.inner)):
            if self.form == "MoE":
                operands.append(self.weight(self.experts, outer, inner))
            else:
                packed = self.random.integers(0, 256, (self.experts, outer, inner * self.bits // 8)).astype(np.uint8)
                shape = (self.experts, outer, inner // self.block) if self.block else (self.experts, outer)
                scales = self.random.uniform(0.2, 0.8, shape) / 2**self.bits
                operands += [self.constant(packed), self.constant(scales.astype(np.float32))]
                options = dict(expert_weight_bits=self.bits) | (dict(block_size=self.block) if self.block else {})
            operands.append(self.weight(self.experts, outer) if self.biases else "")
        return self.op(self.form, x, scores, *operands, domain="com.microsoft", k=self.chosen, **options,
                       normalize_routing_weights=int(self.normalized), activation_type="silu" if self.silu else "relu")

    def build(self):
        x = self.input("x", [self.tokens, self.hidden])
        y = {"gathered": self.gathered, "stacked": self.stacked}.get(self.form, self.operator)(x)
        if self.shared:
            other = self.activation(self.op("MatMul", x, self.weight(self.hidden, self.inner)))
            y = self.op("Add", y, self.op("MatMul", other, self.weight(self.inner, self.hidden)))
        self.op("Identity", y, names=["y"])
        self.output("y", [self.tokens, self.hidden])
        return self.model()


@pytest.mark.parametrize("seed", range(SEED, SEED + COUNT))
def test_right_or_refused_by_import(seed):
    g = Mixture(seed)
    print(g.text)  # shown where the test fails
    model = g.build()
    width, height = (int(n) for n in g.random.integers(1, 9, 2))
    options = dict(weights=str(g.random.choice(["kept", "expanded", "auto"])),
                   experts=str(g.random.choice(["chosen", "all", "auto"])))
    steps = [{"x": g.random.standard_normal((g.tokens, g.hidden)).astype(np.float32)} for _ in range(2)]
    print(width, height, options)
    try:
        compare(model, steps, grids=[f"grid-{width}x{height},sram=512KiB"], **options)
    except wl.CompileError as error:
        assert all(found.node for found in error.diagnostics), error
