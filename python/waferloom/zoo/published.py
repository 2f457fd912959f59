"""The sizes of models that people run, to count cycles of without their weights.
Rotary tables have as many rows as a first prompt needs, not as the model could
take; scalings of theta for longer ones are left out."""

from .packing import Packing
from .shape import Shape

POSITIONS = 4096

PUBLISHED = {
    "smollm2-360m": Shape(layers=32, width=960, heads=15, kv_heads=5, head_dim=64, hidden=2560, vocabulary=49152,
                          theta=1e5, tied=True, positions=POSITIONS),
    "llama3.2-1b": Shape(layers=16, width=2048, heads=32, kv_heads=8, head_dim=64, hidden=8192, vocabulary=128256,
                         theta=5e5, tied=True, positions=POSITIONS),
    "qwen2.5-0.5b": Shape(layers=24, width=896, heads=14, kv_heads=2, head_dim=64, hidden=4864, vocabulary=151936,
                          theta=1e6, epsilon=1e-6, tied=True, bias=True, positions=POSITIONS),
    "qwen3-0.6b": Shape(layers=28, width=1024, heads=16, kv_heads=8, head_dim=128, hidden=3072, vocabulary=151936,
                        theta=1e6, epsilon=1e-6, tied=True, head_norm=True, positions=POSITIONS),
    "phi-4-mini": Shape(layers=32, width=3072, heads=24, kv_heads=8, head_dim=128, hidden=8192, vocabulary=200064,
                        theta=1e4, tied=True, rotary=96, positions=POSITIONS),
    "gemma3-1b": Shape(layers=26, width=1152, heads=4, kv_heads=1, head_dim=256, hidden=6912, vocabulary=262144,
                       theta=1e6, local_theta=1e4, epsilon=1e-6, tied=True, head_norm=True, sandwich=True,
                       scaled=True, gelu=True, window=512, full_every=6, positions=POSITIONS),
    "gpt-oss-20b": Shape(layers=24, width=2880, heads=64, kv_heads=8, head_dim=64, hidden=2880, vocabulary=201088,
                         theta=1.5e5, window=128, full_every=2, experts=32, chosen=4, sinks=True,
                         positions=POSITIONS),
    "mixtral-8x7b": Shape(layers=32, width=4096, heads=32, kv_heads=8, head_dim=128, hidden=14336, vocabulary=32000,
                          theta=1e6, experts=8, chosen=2, positions=POSITIONS),
    "qwen3-30b-a3b": Shape(layers=48, width=2048, heads=32, kv_heads=4, head_dim=128, hidden=768, vocabulary=151936,
                           theta=1e6, epsilon=1e-6, head_norm=True, experts=128, chosen=8, positions=POSITIONS),
}

# In how many bits people run them. The experts of gpt-oss are MXFP4: as many bits, in blocks of 32 as well.
PACKED = {"gpt-oss-20b": Packing(bits=4, experts_only=True), "mixtral-8x7b": Packing(bits=4),
          "qwen3-30b-a3b": Packing(bits=4)}
