"""Weights as small integers in blocks that share a scale: MatMulNBits and QMoE."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Packing:
    """How many bits an integer has and how many of them share a scale. With
    `experts_only`, attention and head stay numbers. Routers always do."""

    bits: int = 4
    block: int = 32
    experts_only: bool = False

    def check(self):
        if self.bits not in (4, 8):
            raise ValueError(f"bits {self.bits} is neither 4 nor 8")
        if self.block < 16 or self.block & (self.block - 1):
            raise ValueError(f"block {self.block} is no power of two from 16 on")

    def packs(self, name):
        """Whether the weight is packed: one that products read."""
        if name.endswith((".gate_up.weight", ".down.weight")):
            return True
        return not self.experts_only and name.endswith(("_proj.weight", "lm_head.weight"))

    def pack(self, name, array):
        """Integers and scales of (in, out), or of experts (experts, out, in), along `in`. Bytes that nobody wrote
        (shape.no_weights) stay unwritten."""
        rows = array if array.ndim == 3 else array.T
        count = -(-rows.shape[-1] // self.block)
        if array.ndim == 3 and rows.shape[-1] % self.block:
            raise ValueError(f"experts '{name}' have {rows.shape[-1]} columns, which blocks of {self.block} do not "
                             "divide")
        bytes_of_block = self.block * self.bits // 8
        packed = (*rows.shape[:-1], count * bytes_of_block) if array.ndim == 3 else (len(rows), count, bytes_of_block)
        if not any(array.strides):
            return (np.broadcast_to(np.zeros((), np.uint8), packed),
                    np.broadcast_to(np.zeros((), array.dtype), (*rows.shape[:-1], count)))
        padding = [(0, 0)] * (rows.ndim - 1) + [(0, count * self.block - rows.shape[-1])]
        blocks = np.pad(rows, padding).reshape(*rows.shape[:-1], count, self.block).astype(np.float32)
        middle = 2 ** (self.bits - 1)
        scales = (np.abs(blocks).max(axis=-1) / (middle - 1) + 1e-6).astype(array.dtype)
        codes = np.clip(np.rint(blocks / scales[..., None]) + middle, 0, 2 * middle - 1).astype(np.uint8)
        each = 8 // self.bits
        codes = sum(codes[..., i::each] << np.uint8(i * self.bits) for i in range(each)).astype(np.uint8)
        return codes.reshape(packed), scales
