//===- WaferLayoutOps.td - Changes of layout, rerolled layers -*- tablegen -*-===//
//
// The ops that levels 3 and 4 add. At level 3 their types carry layouts; at
// level 4 the same ops stand on the local shard that one PE holds.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_WAFERLAYOUTOPS
#define WAFERLOOM_DIALECT_WAFER_WAFERLAYOUTOPS

include "waferloom/Dialect/Wafer/WaferAttrs.td"
include "waferloom/Dialect/Wafer/WaferInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/LoopLikeInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"

def Wafer_AllReduceOp : Wafer_Op<"all_reduce", [Pure, Wafer_Collective]> {
  let summary = "All-reduce partial values along axes";
  let description = [{
    An all-reduce of each operand over the PEs that differ only on `axes`; every
    one of them gets the result. Several operands travel in one message (fused
    collectives). The order of the reduction is both arms of the line toward its
    middle, then the middle; it is the same on every run.

    ```
    y = 0    1    2    3         over [y] sum        y = 0    1    2    3
        1    2    3    4        ------------>           10   10   10   10
    ```

    ```mlir
    %q, %k = wafer.all_reduce %q0, %k0 over [y] sum
        : (tensor<8xf32>, tensor<4xf32>) -> (tensor<8xf32>, tensor<4xf32>)
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values,
                       Wafer_AxesAttr:$axes, Wafer_Combiner:$combiner);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let assemblyFormat = [{
    $values `over` $axes $combiner attr-dict `:` functional-type($values, $results)
  }];
  let hasVerifier = 1;
}

def Wafer_ReduceApplyBroadcastOp : Wafer_Op<"reduce_apply_broadcast", [
    RecursiveMemoryEffects, SingleBlock, Wafer_Collective]> {
  let summary = "Reduce, compute on the result once, broadcast what that gives";
  let description = [{
    Reduces each operand over the PEs that differ only on `axes`, as
    `wafer.all_reduce` does. The body computes with the results, and with what is
    the same on those PEs; what it yields is on all of them afterwards. Only where
    the reduction ends must it be computed, and only what it yields travels back:
    fewer words than the sums, and halves where all readers round.

    ```
    x = 0    1    2    3       sums      x = 2              yields
        g,u  g,u  g,u  g,u   -------->  h = silu(g) u   ------------>  h  h  h  h
    ```

    The body is local: it holds no collective. Values from outside may be read if
    they lie the same on all PEs along `axes`. What is computed of results of
    `wafer.to_neighbor` is computed by the PE beside the root, and broadcast from
    there.

    ```mlir
    %h = wafer.reduce_apply_broadcast %g, %u over [x] sum {
    ^bb0(%a: tensor<8xf32>, %b: tensor<8xf32>):
      ...
      wafer.yield %c : tensor<8xf16>
    } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf16>
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values,
                       Wafer_AxesAttr:$axes, Wafer_Combiner:$combiner);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $values `over` $axes $combiner $body attr-dict
    `:` functional-type($values, $results)
  }];
  let hasRegionVerifier = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block *getBodyBlock() { return &getBody().front(); }
    YieldOp getYield();
    /// Whether a result is computed by the PE beside the root.
    bool isOfNeighbor(unsigned result);
  }];
}

def Wafer_ToNeighborOp : Wafer_Op<"to_neighbor", [
    Pure, HasParent<"ReduceApplyBroadcastOp">]> {
  let summary = "Give values of the root to the PE beside it";
  let description = [{
    The PEs of the line make pairs; the other PE of the root's pair gets its
    values, and computes what is computed of the results, while the root computes
    the rest. Level 4.

    ```mlir
    %other = wafer.to_neighbor %half : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let assemblyFormat = [{
    $values attr-dict `:` functional-type($values, $results)
  }];
  let hasVerifier = 1;
}

def Wafer_ReduceOp : Wafer_Op<"reduce", [Pure, Wafer_Collective]> {
  let summary = "Reduce partial values to one coordinate";
  let description = [{
    As `wafer.all_reduce`, but only the PEs at coordinate `root` of the axis hold the
    result.

    ```mlir
    %1 = wafer.reduce %0 to [y] = 3 sum : (tensor<8xf32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$value, Wafer_AxesAttr:$axes,
                       I64Attr:$root, Wafer_Combiner:$combiner);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = [{
    $value `to` $axes `=` $root $combiner attr-dict
    `:` functional-type($value, $result)
  }];
  let hasVerifier = 1;
}

def Wafer_BroadcastOp : Wafer_Op<"broadcast", [Pure, Wafer_Collective]> {
  let summary = "Give the value of one coordinate to all PEs";
  let description = [{
    Without a coordinate any of them may give it: all have the same value, but
    they need not all compute it (level 4).

    ```mlir
    %1 = wafer.broadcast %0 from [y] = 3 : (tensor<8xf32>) -> tensor<8xf32>
    %3 = wafer.broadcast %2 from [y] : (tensor<f32>) -> tensor<f32>
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$value, Wafer_AxesAttr:$axes,
                       OptionalAttr<I64Attr>:$root);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = [{
    $value `from` $axes (`=` $root^)? attr-dict
    `:` functional-type($value, $result)
  }];
  let hasVerifier = 1;
}

def Wafer_SliceOp : Wafer_Op<"slice", [Pure]> {
  let summary = "Keep this PE's share of a replicated dimension";
  let description = [{
    Local: no word crosses PEs. Of dimension `dim`, n elements on every PE, the
    PE at coordinate c of P along `axes` (mixed radix, major to minor) keeps
    elements c n/P .. (c + 1) n/P - 1, or, when `cyclic`, those congruent to c
    modulo P.

    ```
    every PE    0 1 2 3 4 5 6 7         dim 0 over [y]        y = 0    1    2    3
                                        -------------->         0 1  2 3  4 5  6 7
                                        cyclic                  0 4  1 5  2 6  3 7
    ```

    ```mlir
    %1 = wafer.slice %0 dim 0 over [y] : (tensor<8xf32>) -> tensor<2xf32>
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$value, I64Attr:$dim,
                       Wafer_AxesAttr:$axes, UnitAttr:$cyclic);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = [{
    $value `dim` $dim `over` $axes (`cyclic` $cyclic^)? attr-dict
    `:` functional-type($value, $result)
  }];
  let hasVerifier = 1;
}

def Wafer_GatherOp : Wafer_Op<"gather", [Pure, Wafer_Collective]> {
  let summary = "Give every PE all shares of a split dimension";
  let description = [{
    The inverse of `wafer.slice`, an all-gather along `axes`.

    ```
    y = 0    1    2    3         dim 0 over [y]        every PE
      0 1  2 3  4 5  6 7        -------------->        0 1 2 3 4 5 6 7
    ```

    ```mlir
    %1 = wafer.gather %0 dim 0 over [y] : (tensor<2xf32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$value, I64Attr:$dim,
                       Wafer_AxesAttr:$axes, UnitAttr:$cyclic);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = [{
    $value `dim` $dim `over` $axes (`cyclic` $cyclic^)? attr-dict
    `:` functional-type($value, $result)
  }];
  let hasVerifier = 1;
}

def Wafer_MaskOp : Wafer_Op<"mask", [Pure]> {
  let summary = "Set the padding of a dimension to a constant";
  let description = [{
    Elements of dimension `dim` beyond its live size become `fill`. Level 3 only:
    at level 4 it is a select against an iota of the dimension.

    ```mlir
    %1 = wafer.mask %0 dim 0 fill 0xFF800000 : f32
       : (tensor<12xf32, #wafer.layout<[y live 10 padding any]>>)
       -> tensor<12xf32, #wafer.layout<[y live 10 padding -inf]>>
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$value, I64Attr:$dim,
                       TypedAttrInterface:$fill);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = [{
    $value `dim` $dim `fill` $fill attr-dict `:` functional-type($value, $result)
  }];
  let hasVerifier = 1;
}

def Wafer_RepeatOp : Wafer_Op<"repeat", [
    RecursiveMemoryEffects, SingleBlock,
    DeclareOpInterfaceMethods<LoopLikeOpInterface, [
      "getInitsMutable", "getLoopResults", "getRegionIterArgs",
      "getStaticTripCount", "getYieldedValuesMutable"]>,
    DeclareOpInterfaceMethods<RegionBranchOpInterface, [
      "getEntrySuccessorOperands", "getRegionInvocationBounds"]>]> {
  let summary = "Run the same layers one after another";
  let description = [{
    The body runs `tripCount` times; its arguments are the initial values, then what
    the trip before yielded. A `wafer.parameter` or `wafer.state` in the body
    names one weight or state per trip. Values from outside may be read.

    ```mlir
    %y = wafer.repeat 5 (%x = %x0) : tensor<64xf32> {
      %w = wafer.parameter [@w0, @w1, @w2, @w3, @w4] : tensor<64xf32>
      ...
      wafer.yield %z : tensor<64xf32>
    }
    ```
  }];
  let arguments = (ins ConfinedAttr<I64Attr, [IntPositive]>:$tripCount,
                       Variadic<AnyType>:$inits);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block *getBodyBlock() { return &getBody().front(); }
    YieldOp getYield();
  }];
}

def Wafer_YieldOp : Wafer_Op<"yield", [
    Pure, ReturnLike, Terminator,
    ParentOneOf<["RepeatOp", "ReduceApplyBroadcastOp"]>]> {
  let summary = "End a trip, or what is computed between two ways";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // WAFERLOOM_DIALECT_WAFER_WAFERLAYOUTOPS
