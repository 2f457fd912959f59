"""ONNX Runtime, one step after the other, the cache fed back by hand: what the
wafer's answers are compared with."""

import os

import numpy as np

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class Reference:
    """A session of ONNX Runtime for batch 1. `model`: path or serialized bytes."""

    def __init__(self, model):
        import onnxruntime

        model = model if isinstance(model, bytes) else os.fspath(model)
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        self.reset()

    def reset(self):
        """Forgets all tokens."""
        self.length = 0
        self.past = {name: np.zeros([d if isinstance(d, int) else (1 if axis == 0 else 0)
                                     for axis, d in enumerate(value.shape)], TYPES[value.type])
                     for name, value in self.inputs.items() if name.startswith("past")}

    def run(self, ids):
        """Logits [1, n, vocabulary] of a step with `ids` int64 [1, n]."""
        ids = np.asarray(ids, np.int64)
        total = self.length + ids.shape[1]
        feeds = {"input_ids": ids, "attention_mask": np.ones((1, total), np.int64),
                 "position_ids": np.arange(self.length, total)[None]}
        feeds = {name: value for name, value in feeds.items() if name in self.inputs} | self.past
        values = dict(zip(self.outputs, self.session.run(None, feeds)))
        self.past = {name.replace("present", "past_key_values"): value
                     for name, value in values.items() if name.startswith("present")}
        self.length = total
        return values["logits"]

    def greedy(self, ids, count):
        """The `count` most likely tokens after the prompt `ids`, each fed back."""
        ids, tokens = list(ids), []
        for _ in range(count):
            tokens.append(int(self.run([ids])[0, -1].argmax()))
            ids = tokens[-1:]
        return tokens
