//===- Passes.td - Give programs a place on the fabric -----*- tablegen -*-===//

#ifndef WAFERLOOM_PLACEMENT_PASSES
#define WAFERLOOM_PLACEMENT_PASSES

include "mlir/Pass/PassBase.td"

def FabricPlace : Pass<"fabric-place", "::mlir::ModuleOp"> {
  let summary = "Give every entry a rectangle of the fabric";
  let description = [{
    Entries of a program run on the same PEs, one at a time: they are one stage.
    Reads its size from the region of their `wafer.program` and writes where it
    lies into their `fabric.place`. Nothing else changes.

    Needs: a `wafer.program` with a region; a module with a `wafer.target`; no
    entry has a place.
    Gives: every entry has the same `fabric.place`, on the fabric.

    The same input and options always give the same places. The pass fails, and
    leaves the module as it was, when there is no room.

    Example: test/Placement/place.mlir
  }];
  let dependentDialects = ["::waferloom::fabric::FabricDialect"];
}

def FabricVerifyPlacement : Pass<"fabric-verify-placement", "::mlir::ModuleOp"> {
  let summary = "Prove places that were written by hand";
  let description = [{
    Fails unless every entry has a place, of the size of its region, on the
    fabric, and the same as the other entries'. Changes nothing.
  }];
}

#endif // WAFERLOOM_PLACEMENT_PASSES
