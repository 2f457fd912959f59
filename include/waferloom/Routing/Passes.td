//===- Passes.td - Collectives onto the fabric -------------*- tablegen -*-===//

#ifndef WAFERLOOM_ROUTING_PASSES
#define WAFERLOOM_ROUTING_PASSES

include "mlir/Pass/PassBase.td"

def ConvertWaferToFabric : Pass<"convert-wafer-to-fabric", "::mlir::ModuleOp"> {
  let summary = "Say along which lines and how values are reduced";
  let description = [{
    A `wafer.all_reduce` becomes one `fabric.all_reduce` for every run of
    neighbouring axes of a direction, one after the other over the same values;
    `wafer.reduce` and `wafer.broadcast` likewise; a `wafer.gather` becomes a
    `fabric.put` of the share into zeros and its sum. The algorithms are chosen
    for all entries together, by closed form, as far as the target's colors
    allow; roots of all-reduces are in the middle of their line, unless an option says
    otherwise.

    Needs: level 4, every entry with a `wafer.region`.
    Gives: no `wafer.all_reduce`, `reduce`, `broadcast` or `gather`; collectives
    without colors.

    The pass fails, and leaves the module as it was, on values that do not
    travel (f16 for now) and on lines that need more colors than there are.

    Example: test/Routing/convert.mlir
  }];
  let options = [
    Option<"colors", "colors", "unsigned", /*default=*/"24",
           "Colors of the target">,
    Option<"hop", "hop", "unsigned", /*default=*/"1", "Cycles of a hop">,
    Option<"ramp", "ramp", "unsigned", /*default=*/"2",
           "Cycles between a PE and its router">,
    Option<"forward", "forward", "unsigned", /*default=*/"1",
           "Cycles from taking a word to putting its sum">,
    Option<"issue", "issue", "unsigned", /*default=*/"6",
           "Cycles before an instruction's first element">,
    Option<"rewrite", "rewrite", "unsigned", /*default=*/"16",
           "Cycles of setting up a next phase">,
    Option<"middleRoots", "middle-roots", "bool", /*default=*/"true",
           "Root all-reduces in the middle of their line, not at its begin">,
  ];
  let dependentDialects = ["::waferloom::fabric::FabricDialect"];
}

class RoutePass<string passName> : Pass<passName, "::mlir::ModuleOp"> {
  let options = [
    Option<"colors", "colors", "unsigned", /*default=*/"24",
           "Colors of the target">,
    Option<"inputQueues", "input-queues", "unsigned", /*default=*/"8",
           "Input queues of a PE">,
    Option<"outputQueues", "output-queues", "unsigned", /*default=*/"8",
           "Output queues of a PE">,
  ];
}

def FabricRoute : RoutePass<"fabric-route"> {
  let summary = "Give collectives colors and colors queues";
  let description = [{
    Writes `color` into every collective and `fabric.queues` into every entry.
    Nothing else changes. Collectives whose routes are the same at every router
    share their colors, in all entries.

    Needs: collectives with algorithms; entries with `fabric.place`.
    Gives: at no router a color with two inputs; every stream reaches exactly
    its receivers (proved for every answer, not assumed of the solver).

    The same input and options always give the same answer. The pass fails, and
    leaves the module as it was, when the colors do not suffice.

    Example: test/Routing/route.mlir
  }];
  let dependentDialects = ["::waferloom::fabric::FabricDialect"];
}

def FabricVerifyRoutes : RoutePass<"fabric-verify-routes"> {
  let summary = "Prove colors and queues that were written by hand";
  let description = [{
    Fails unless the routes of all collectives, laid over each other, carry
    every stream to its receivers and nobody else, within the target's colors
    and queues. Changes nothing.
  }];
}

#endif // WAFERLOOM_ROUTING_PASSES
