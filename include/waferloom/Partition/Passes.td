//===- Passes.td - From tensors to the local shard of one PE -*- tablegen -*-===//

#ifndef WAFERLOOM_PARTITION_PASSES
#define WAFERLOOM_PARTITION_PASSES

include "mlir/Pass/PassBase.td"

def PartitionSliceProducts : Pass<"partition-slice-products", "::mlir::ModuleOp"> {
  let summary = "Products of a slice instead of slices of a product";
  let description = [{
    Where all that reads a value are slices of one dimension that comes from
    weights and constants alone (queries, keys and values of one product), each
    slice computes its part by itself, with a part of the weights. Each part is a
    dimension of its own then, with its own boundaries, and no dimension has to
    be whole on every PE for the cut.

    ```
    %qkv = x @ w : 160           %q = x @ w[:, 0:96]
    %q = %qkv[0:96]        -->   %k = x @ w[:, 96:128]
    %k = %qkv[96:128]
    ```

    Needs: level 2. Gives: weights with a `part`.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def PartitionFactor : Pass<"partition-factor", "::mlir::ModuleOp"> {
  let summary = "Factor dimensions until reshapes vanish";
  let description = [{
    Every dimension is factored at all boundaries that any reshape, slice or concat
    needs, in every entry alike; dimensions of one element are left out. A
    reshape is then nothing, and heads are dimensions of their own. Weights keep
    their type in the file: factoring changes no row-major order.

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

def PartitionReroll : Pass<"partition-reroll", "::mlir::func::FuncOp"> {
  let summary = "Reroll layers that repeat into one body";
  let description = [{
    Finds the longest run of like layers and makes it a wafer.repeat, whose
    weights and states are listed one per trip. What the layers share stays in
    front of it. Does nothing when nothing repeats.

    Needs: partition-factor, algebra-fold.
  }];
  let options = [Option<"fewestTrips", "fewest-trips", "int64_t", "2",
                        "layers that are worth a loop">];
}

def PartitionPlan : Pass<"partition-plan", "::mlir::ModuleOp"> {
  let summary = "Choose layouts and write them into types";
  let description = [{
    Searches one split per class of dimensions (docs/partition.md) under the
    memory of a PE as a hard limit, pads dimensions, and writes layouts on all
    tensor types. Where the rules ask for it, values are sliced, gathered or
    masked; all-reduces stand behind their products and are fused.

    Needs: partition-factor, algebra-fold; every entry of the program; a module with
    a `wafer.target`.
    Gives: level 3, which partition-verify accepts.

    The same input and options always give the same plan. Fails with the numbers
    when no plan fits.
  }];
  let options = [
    Option<"width", "width", "int64_t", /*default=*/"1",
           "Columns of the region, in PEs">,
    Option<"height", "height", "int64_t", /*default=*/"1",
           "Rows of the region, in PEs">,
    Option<"mostBranches", "branches", "int64_t", /*default=*/"300000",
           "Branches of the search looked at before it has any plan">,
    Option<"stages", "stages", "int64_t", /*default=*/"1",
           "Equal regions: one for what is not repeated, the others "
           "share the trips of the repeat">,
    Option<"fusedCollectives", "fused-collectives", "bool", /*default=*/"true",
           "One message for all all-reduces of equal depth, axes and combiner">,
    Option<"middleRoots", "middle-roots", "bool", /*default=*/"true",
           "Expect sums along a line to end in its middle, not at its end">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def PartitionComputeAtRoots
    : Pass<"partition-compute-at-roots", "::mlir::func::FuncOp"> {
  let summary = "Compute behind a reduction before its broadcast";
  let description = [{
    A `wafer.all_reduce` and the local ops that need its results, and nothing else
    that is computed later, become a `wafer.reduce_apply_broadcast`, where that
    leaves fewer words on the way back. What is only read rounded to f16 is
    rounded before it travels. Values are the same, bit by bit.

    Needs: level 3.
    Gives: level 3, which partition-verify accepts.

    Example: test/Partition/compute-at-roots.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def PartitionVerify : Pass<"partition-verify", "::mlir::func::FuncOp"> {
  let summary = "Prove that layouts fit their ops";
  let description = [{
    Checks every layout and every op of level 3 by the rules of
    docs/partition.md, and that no type claims more of padding than its op gives.
    Changes nothing. All faults of an entry are reported, not the first alone.
  }];
}

def PartitionToPerPe : Pass<"partition-to-per-pe", "::mlir::ModuleOp"> {
  let summary = "Turn tensors into the local shard of one PE";
  let description = [{
    Needs: level 3 (partition-plan, or written by hand and verified).
    Gives: level 4: plain local types; wafer.parameter, state, input, output,
    iota and append carry the layout of the whole tensor; masks are selects
    against an iota.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def PartitionOwnMaximum
    : Pass<"partition-own-maximum", "::mlir::func::FuncOp"> {
  let summary = "Exponentials of a softmax against a PE's own maximum";
  let description = [{
    `exp(s - m)`, with m a maximum over PEs, becomes `exp(s - own)`, with the
    maximum of what this PE has, and the sums of these over the same PEs are
    scaled by `exp(own - m)` before they are sent: the message of the maxima is on
    its way while the exponentials are computed. Not where the factor takes longer
    than the message. Sums are rounded otherwise. The index of a maximum is that of
    what this PE has, and counts where that is m; it stays what it was.

    Needs: level 4; a module with a `wafer.target` and a region.
    Gives: level 4.

    Example: test/Partition/own-maximum.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
}

def PartitionKeepAtRoots
    : Pass<"partition-keep-at-roots", "::mlir::func::FuncOp"> {
  let summary = "Reduce what the host reads, do not all-reduce it";
  let description = [{
    A `wafer.all_reduce` whose result leaves for the host becomes a `wafer.reduce`
    to the middle of its lines, and the output says that it lives there. What is
    computed of it, by local ops and by sums along other axes, is right there
    only; values that others read, a token that was chosen for one, are
    broadcast from there. Not where these have as many words as the sum.

    Needs: level 4. Gives: level 4.

    Example: test/Partition/keep-at-roots.mlir
  }];
  let options = [
    Option<"middleRoots", "middle-roots", "bool", /*default=*/"true",
           "Root sums in the middle of their line, not at its begin">,
  ];
}

def PartitionShareRoots
    : Pass<"partition-share-roots", "::mlir::func::FuncOp"> {
  let summary = "Let the PE beside a root compute half of what the root does";
  let description = [{
    A `wafer.reduce_apply_broadcast` whose body works long on each element of one
    dimension gives half of its sums to the PE beside the root
    (`wafer.to_neighbor`), where that costs less than to wait for the root.

    Needs: level 4. Gives: level 4.

    Example: test/Partition/share-roots.mlir
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def PartitionEarlyNorms
    : Pass<"partition-early-norms", "::mlir::func::FuncOp"> {
  let summary = "Make the factor of a norm where its values are known first";
  let description = [{
    Squares of what was summed along one direction, which travel with products
    along the other, are summed by a `wafer.all_reduce` of their own, in front of
    these. What is computed of few such sums alone is computed behind it, and
    given by a `wafer.broadcast` along the first direction, from where the values
    are known half a line earlier. Code generation leaves the sums of other lines
    out.

    Needs: level 4. Gives: level 4.

    Example: test/Partition/early-norms.mlir
  }];
}

#endif // WAFERLOOM_PARTITION_PASSES
