"""Why a program is as it is: which regions were considered, estimated and counted, how dimensions are laid out, and the three
largest parts of the gap between a step and its bound, with what takes most of each and which lever would touch it. Of a
model, which is compiled without its weights, all of this; of an image what is in it."""

import json
import sys

from ..errors import WaferloomError
from ..explain import Explanation, explain
from ..program import compile, load
from ..sweeps import LostPoints, levers
from ..sweeps.points import PointError, chunk, region, stages, tokens
from .parser import Parser, tell, tell_all
from .waiting import Waiting


# Options of `compile` that levers are counted without.
COMPILED = ("measure_rewrites", "weights")


def parser():
    options = Parser("explain", description=__doc__)
    options.add_argument("file", metavar="IMAGE|MODEL.onnx", help="what compile wrote, or a model")
    options.add_argument("--target", metavar="NAME|FILE", help="of a model, as these all; wse3 (default)")
    options.add_argument("--region", metavar="WxH", help="overrules the size of a region")
    options.add_argument("--stages", metavar="N", help="overrules how many regions share the layers")
    options.add_argument("--context", metavar="N", help="capacity of the KV caches in tokens, such as 4k")
    options.add_argument("--chunk", metavar="N", help="also an entry of N tokens per step")
    options.add_argument("--precision", metavar="P", help="model (default), f32, f16")
    options.add_argument("--objective", metavar="O", help="what a region is chosen for")
    options.add_argument("--mapping", metavar="FILE|NAME", help="takes what a mapping says")
    options.add_argument("--measure-rewrites", action="store_true", default=None, help="also which rewrites cost cycles here")
    options.add_argument("--try", dest="tries", action="store_true", help="of a model: count what levers bring, one by one")
    options.add_argument("--jobs", metavar="N", type=int, default=1, help="of --try: processes; default 1")
    options.add_argument("--json", action="store_true", help="print one JSON object")
    return options


def options_of(args):
    """Those of `compile` that were given."""
    given = {"target": args.target, "precision": args.precision, "objective": args.objective, "mapping": args.mapping,
             "measure_rewrites": args.measure_rewrites}
    if args.context is not None:
        given["context"] = tokens(args.context)
    if args.region is not None and region(args.region) != "auto":
        given["region"] = tuple(map(int, args.region.split("x")))
    if args.stages is not None and stages(args.stages) != "auto":
        given["stages"] = int(args.stages)
    if args.chunk is not None and chunk(args.chunk) != "none":
        given["chunks"] = list(map(int, chunk(args.chunk).split("+")))
    return {name: value for name, value in given.items() if value is not None}


def main(argv=None):
    options = parser()
    args = options.parse_args(argv)
    try:
        given = options_of(args)
    except PointError as error:
        options.error(str(error))
    if args.tries and not args.file.endswith(".onnx"):
        options.error("--try compiles a model anew: it needs MODEL.onnx")
    if args.tries and args.mapping:
        options.error("--try goes around what is chosen; --mapping says it")
    if args.jobs < 1:
        options.error(f"--jobs needs a whole number of at least 1, not '{args.jobs}'")
    is_model = args.file.endswith((".onnx", ".mlir"))
    if args.file.endswith(".onnx"):  # the text of a level says itself whether it has weights
        given["weights"] = False
    if given and not is_model:
        options.error("takes options of compile for a model only: an image is compiled")
    try:
        with Waiting(f"{'compiling' if is_model else 'reading'} {args.file}"):
            program = compile(args.file, **given) if is_model else load(args.file)
        with Waiting("counting cycles"):
            explanation = explain(program)
        if args.tries:
            with Waiting("counting levers"):
                found = levers(program, args.file, args.jobs, **{name: value for name, value in given.items() if name not in COMPILED})
            explanation = Explanation(explanation.facts | {"levers": found})
    except LostPoints as error:
        tell(str(error), "waferloom explain", as_json=args.json)
        return 1
    except WaferloomError as error:
        tell_all(error.diagnostics, args.file, args.json)
        return 1
    except OSError as error:
        tell(str(error), "waferloom explain", as_json=args.json)
        return 1
    print(json.dumps(explanation.facts) if args.json else explanation)
    return 0


if __name__ == "__main__":
    sys.exit(main())
