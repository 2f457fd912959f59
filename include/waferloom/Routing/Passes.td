//===- Passes.td - Collectives onto the fabric -------------*- tablegen -*-===//

#ifndef WAFERLOOM_ROUTING_PASSES
#define WAFERLOOM_ROUTING_PASSES

include "mlir/Pass/PassBase.td"

def ConvertWaferToFabric : Pass<"convert-wafer-to-fabric", "::mlir::ModuleOp"> {
  let summary = "Say along which lines and how values are reduced";
  let description = [{
    A `wafer.all_reduce` becomes a `fabric.reduce` for every run of neighbouring
    axes of a direction, one after the other over the same values, and as many
    `fabric.broadcast`, the other way round; of a `wafer.reduce_apply_broadcast`
    the body stands between them; `wafer.reduce` is the first half, and
    `wafer.broadcast` the second; a `wafer.gather` becomes a
    `fabric.put` of the share into zeros and its sum. The algorithms are chosen
    for all entries together, by closed form, as far as the target's colors
    allow; roots of all-reduces are in the middle of their line, unless an option says
    otherwise.

    Needs: level 4, a `wafer.program` with a region; a module with a
    `wafer.target`.
    Gives: no `wafer.all_reduce`, `reduce_apply_broadcast`, `reduce`, `broadcast`
    or `gather`; collectives without colors.

    The pass fails, and leaves the module as it was, on values that do not
    travel (f16 is broadcast, not summed) and on lines that need more colors
    than there are.

    Example: test/Routing/convert.mlir
  }];
  let options = [
    Option<"middleRoots", "middle-roots", "bool", /*default=*/"true",
           "Root all-reduces in the middle of their line, not at its begin">,
  ];
  let dependentDialects = ["::mlir::tensor::TensorDialect",
                           "::waferloom::fabric::FabricDialect"];
}

def FabricRoute : Pass<"fabric-route", "::mlir::ModuleOp"> {
  let summary = "Give collectives colors and colors queues";
  let description = [{
    Writes `color` into every collective and `fabric.queues` into every entry.
    Nothing else changes. Collectives whose routes are the same at every router
    share their colors, in all entries.

    Needs: collectives with algorithms; entries with `fabric.place`; a module
    with a `wafer.target`.
    Gives: at no router a color with two inputs; every stream reaches exactly
    its receivers (proved for every answer, not assumed of the solver).

    The same input and options always give the same answer. The pass fails, and
    leaves the module as it was, when the colors do not suffice.

    Example: test/Routing/route.mlir
  }];
  let dependentDialects = ["::waferloom::fabric::FabricDialect"];
}

def FabricVerifyRoutes : Pass<"fabric-verify-routes", "::mlir::ModuleOp"> {
  let summary = "Prove colors and queues that were written by hand";
  let description = [{
    Fails unless the routes of all collectives, laid over each other, carry
    every stream to its receivers and nobody else, within the target's colors
    and queues. Changes nothing.
  }];
}

#endif // WAFERLOOM_ROUTING_PASSES
