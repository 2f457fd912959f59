//===- Passes.td - Give programs a place on the fabric -----*- tablegen -*-===//

#ifndef WAFERLOOM_PLACEMENT_PASSES
#define WAFERLOOM_PLACEMENT_PASSES

include "mlir/Pass/PassBase.td"

class FabricSize<string passName> : Pass<passName, "::mlir::ModuleOp"> {
  let options = [
    Option<"width", "width", "int64_t", /*default=*/"8",
           "Columns of the fabric that programs may take, in PEs">,
    Option<"height", "height", "int64_t", /*default=*/"8",
           "Rows of the fabric that programs may take, in PEs">,
  ];
}

def FabricPlace : FabricSize<"fabric-place"> {
  let summary = "Give every entry a rectangle of the fabric";
  let description = [{
    Entries of a program run on the same PEs, one at a time: they are one stage.
    Reads its size from their `wafer.region` and writes where it lies into their
    `fabric.place`. Nothing else changes.

    Needs: every entry has a `wafer.region`, the same one; none has a place.
    Gives: every entry has the same `fabric.place`, on the fabric.

    The same input and options always give the same places. The pass fails, and
    leaves the module as it was, when there is no room.

    Example: test/Placement/place.mlir
  }];
  let dependentDialects = ["::waferloom::fabric::FabricDialect"];
}

def FabricVerifyPlacement : FabricSize<"fabric-verify-placement"> {
  let summary = "Prove places that were written by hand";
  let description = [{
    Fails unless every entry has a place, of the size of its region, on the
    fabric, and the same as the other entries'. Changes nothing.
  }];
}

#endif // WAFERLOOM_PLACEMENT_PASSES
