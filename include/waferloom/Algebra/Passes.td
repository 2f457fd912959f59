//===- Passes.td - Rewrites valid on any machine -----------*- tablegen -*-===//

#ifndef WAFERLOOM_ALGEBRA_PASSES
#define WAFERLOOM_ALGEBRA_PASSES

include "mlir/Pass/PassBase.td"

def AlgebraFold : Pass<"algebra-fold", "::mlir::func::FuncOp"> {
  let summary = "Fold what moves no number, and bring reductions to one form";
  let description = [{
    1. Transposes and broadcasts, written as a linalg.generic that hands on its
       input, go into the maps of the generics that read them.
    2. Splat constants and fills that a generic reads become constants of its
       body.
    3. A reduction starts from the neutral element of its fold: any other start
       is combined with the result by a generic behind it. A parallel generic
       reads what it changes as an operand of its own.
    4. What nobody reads is dropped.

    Needs: level 2.
    Gives: every reduction's init is a linalg.fill with the neutral element or
    the reduction is none that partitioning knows; no parallel body reads its
    init.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

#endif // WAFERLOOM_ALGEBRA_PASSES
