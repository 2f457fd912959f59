//===- Passes.td - From tensors to the piece of one PE -----*- tablegen -*-===//

#ifndef WAFERLOOM_PARTITION_PASSES
#define WAFERLOOM_PARTITION_PASSES

include "mlir/Pass/PassBase.td"

def PartitionCut : Pass<"partition-cut", "::mlir::ModuleOp"> {
  let summary = "Cut dimensions until reshapes vanish";
  let description = [{
    Every dimension is cut at all boundaries that any reshape, slice or concat
    needs, in every entry alike; dimensions of one element are left out. A
    reshape is then nothing, and heads are dimensions of their own. Weights keep
    their type in the file: a cut changes no row-major order.

    Needs: level 2.
    Gives: no tensor.expand_shape or collapse_shape but those that add or drop a
    dimension of one element beside a tensor.concat; slices and concats concern
    one whole dimension; constants that are no splat are weights with a value.

    Boundaries that do not nest (6 x 4 seen as 4 x 6) are refused.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

#endif // WAFERLOOM_PARTITION_PASSES
