//===- Passes.td - Picking the next token on the wafer -----*- tablegen -*-===//

#ifndef WAFERLOOM_SAMPLING_PASSES
#define WAFERLOOM_SAMPLING_PASSES

include "mlir/Pass/PassBase.td"

def SamplingLast : Pass<"sampling-last", "::mlir::ModuleOp"> {
  let summary = "Of a chunk, give the last token's outputs only";
  let description = [{
    In entries of several tokens of a model with states, an output that the model
    has for every token (dimension 1, by comparison with the entry of one token)
    becomes that of the last token, one element of dimension 1. Everything else about a prompt
    is in the states, and the logits of 16 tokens are 16 times as large.

    Needs: level 2, before dimensions are factored. Does nothing to entries without
    states, nor where no entry takes one token.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def SamplingPull : Pass<"sampling-pull", "::mlir::func::FuncOp"> {
  let summary = "Compute only the element of a dimension that is read";
  let description = [{
    A slice that takes one element of a dimension moves in front of the op that
    computes its source, if nothing else reads that: a generic that has the
    dimension on a parallel loop loses the loop. So a slice of a chunk's logits
    ends up at the last hidden state, and the final norm, the head and the choice
    of a token are those of one token. It stops at a loop of layers, at states,
    and where the whole is needed as well.

    Needs: level 2, behind partition-factor. Does nothing to entries without states.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def SamplingChoose : Pass<"sampling-choose", "::mlir::func::FuncOp"> {
  let summary = "Pick the next token and feed it back";
  let description = [{
    In the entries of a decoder, adds the arg-max of the last token's logits (the
    lowest index wins) as output `wafer.next_token`. In the entry of one token it
    says with `feeds` that the value also becomes the token that the next step
    takes.

    The arg-max is a maximum, then the least index that reaches it. So it needs
    nothing of the levels below but what norms and softmax need.

    With `draw`, noise is added to the logits so that the arg-max is a draw, of
    the `top` largest only if that is not 0. Temperature, seed and a smaller count
    are inputs that a caller may give: `wafer.temperature`, `wafer.seed`,
    `wafer.top_k`.

    Needs: level 2, before dimensions are factored. Does nothing to an entry that
    takes several tokens and keeps no states, or has no single output over the
    vocabulary.
  }];
  let options = [
    Option<"draw", "draw", "bool", /*default=*/"false",
           "Draw by temperature and seed instead of taking the most likely">,
    Option<"top", "top", "int64_t", /*default=*/"0",
           "Draw from that many of the most likely tokens; 0: from all">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
}

#endif // WAFERLOOM_SAMPLING_PASSES
