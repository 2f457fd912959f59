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

def AlgebraDeferScale : Pass<"algebra-defer-scale", "::mlir::ModuleOp"> {
  let summary = "Scale behind a product what was scaled in front of it";
  let description = [{
    `(u * s) . W` becomes `(u . W) * s` where `s` comes out of a reduction and has
    none of the contracted loops: the factor of a norm, the denominator of a
    softmax. The reduction and the product no longer wait for each other.

    Fires only if every reader of `u * s`, through products with other factors,
    is such a contraction, all of them in f32, and if their results together have
    fewer than `growth` times the elements of `u`.

    A product behind a norm that rounds its factor to f16 keeps doing so: the
    norm's gain becomes a weight of f32 that is scaled by 2^-k, so that |u| is at
    most |x|, and `s` takes in 2^k. Where there is no such gain, or without
    `halves`, the factor is not rounded.

    Needs: algebra-fold, no wafer.repeat of layers yet.
  }];
  let options = [
    Option<"norm", "norm", "bool", /*default=*/"true",
           "Scales that come from a sum of something else">,
    Option<"softmax", "softmax", "bool", /*default=*/"true",
           "Scales that come from the sum of what they scale">,
    Option<"halves", "halves", "bool", /*default=*/"true",
           "Factors behind a norm stay f16, by gains that are scaled">,
    Option<"growth", "growth", "int64_t", /*default=*/"8",
           "How many times the elements may be scaled behind the products">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def AlgebraGatesFirst : Pass<"algebra-gates-first", "::mlir::func::FuncOp"> {
  let summary = "Experts are added up by the product that ends them";
  let description = [{
    `sum_j g_j (W_j a_j + b_j)` becomes `sum_j W_j (g_j a_j) + sum_j g_j b_j`,
    where nobody else reads what is in between: one sum of products over `j` and
    what each product contracts, so one row is partial instead of one for each
    `j`.

    Needs: algebra-fold.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def AlgebraReciprocalRoot : Pass<"algebra-reciprocal-root",
                                 "::mlir::func::FuncOp"> {
  let summary = "1 / sqrt(x + c) as one function";
  let description = [{
    `1 / sqrt(x + c)` becomes `rsqrt(x + c)` where `c` is a positive constant, so
    that the argument is not 0.

    Needs: algebra-fold.
  }];
  let dependentDialects = ["::mlir::math::MathDialect"];
}

def AlgebraLocal : Pass<"algebra-local", "::mlir::func::FuncOp"> {
  let summary = "Fewer instructions in the program of one PE";
  let description = [{
    1. `x * c`, c a constant, goes into the elementwise body that adds
       something to it, for a multiply-add is one instruction with one rounding.
    2. What a `wafer.repeat` computes of values from outside of it, whole ops
       and parts of bodies, is computed once in front of it; messages and what
       lies in memory trip by trip stay.
    3. `b ? (a ? x : c) : c` becomes `(a and b) ? x : c` where a and b are the
       same in all trips.

    Needs: level 4.
    Gives: level 4 with fewer ops in loops.

    Example: test/Algebra/local.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def AlgebraPrecision : Pass<"algebra-precision", "::mlir::ModuleOp"> {
  let summary = "Choose which values are stored and multiplied in f16";
  let description = [{
    Parameters and states are stored as the model has them (`model`), all in f32
    (`f32`), or in f16 what products read and large tables of rows (`f16`).
    Every other value is f32. A product of which one factor is stored in f16
    rounds the other one to it and adds up in f32:

    ```mlir
    %0 = arith.extf %w : f16 to f32
    %1 = arith.truncf %x : f32 to f16
    %2 = arith.extf %1 : f16 to f32
    %3 = arith.mulf %0, %2 : f32
    %4 = arith.addf %sum, %3 : f32
    ```

    Needs: level 2, no wafer.repeat yet.
    Gives: f16 in parameters, states, windows of them, and bodies only.
  }];
  let options = [Option<"precision", "precision", "std::string", "\"model\"",
                        "model, f32 or f16">];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

#endif // WAFERLOOM_ALGEBRA_PASSES

