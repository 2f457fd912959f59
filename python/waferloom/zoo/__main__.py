"""python -m waferloom.zoo llama -o DIR: writes a seeded Llama as DIR/model.onnx."""

import argparse
from dataclasses import fields
from pathlib import Path

import onnx

from .llama import Shape, build, weights


def main():
    parser = argparse.ArgumentParser(prog="python -m waferloom.zoo", description=__doc__)
    parser.add_argument("model", choices=["llama"], help="what to build")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder to write model.onnx into")
    parser.add_argument("--seed", type=int, default=0, help="of the weights")
    for field in fields(Shape):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    args = vars(parser.parse_args())
    shape = Shape(**{field.name: args[field.name] for field in fields(Shape)})
    try:
        model = build(shape, weights(shape, args["seed"]))
    except ValueError as error:
        parser.error(str(error))
    args["output"].mkdir(parents=True, exist_ok=True)
    onnx.save(model, args["output"] / "model.onnx")
    print(args["output"] / "model.onnx")


if __name__ == "__main__":
    main()
