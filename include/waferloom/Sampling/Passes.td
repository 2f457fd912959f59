//===- Passes.td - Picking the next token on the wafer -----*- tablegen -*-===//

#ifndef WAFERLOOM_SAMPLING_PASSES
#define WAFERLOOM_SAMPLING_PASSES

include "mlir/Pass/PassBase.td"

def SamplingGreedy : Pass<"sampling-greedy", "::mlir::func::FuncOp"> {
  let summary = "Pick the most likely token and feed it back";
  let description = [{
    In the entry of one token of a decoder, adds the arg-max of the logits (the
    lowest index wins) as output `wafer.next_token`, and says with `feeds` that
    the value also becomes the token that the next step takes.

    The arg-max is two maxima: that of the logits, then that of minus the index
    where a logit equals it. So it needs nothing of the levels below but what
    norms and softmax need.

    Needs: level 2, before dimensions are cut. Does nothing to an entry that
    takes several tokens, or has no single output over the vocabulary.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

#endif // WAFERLOOM_SAMPLING_PASSES
