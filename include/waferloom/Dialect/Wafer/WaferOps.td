//===- WaferOps.td - How values enter, persist and leave ---*- tablegen -*-===//
//
// The ops of level 2. They keep their meaning at levels 3 and 4.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_WAFEROPS
#define WAFERLOOM_DIALECT_WAFER_WAFEROPS

include "waferloom/Dialect/Wafer/WaferAttrs.td"
include "waferloom/Dialect/Wafer/WaferInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"

def Wafer_WeightOp : Wafer_Op<"weight", [Symbol]> {
  let summary = "Name bytes of a file";
  let description = [{
    The elements of a weight, row-major and little-endian, at a byte offset of
    a file. The bytes are never part of the IR, except for what a pass computed:
    such a weight has a small `value` instead of a file. A weight may be a part
    of another one. One with none of these is shape only: it compiles, and reads
    as zeros.

    Life: created by import; read through `wafer.parameter`; becomes a source
    of the image.

    ```mlir
    wafer.weight @embed from "model.onnx" at 1234 : tensor<512x64xf32>
    wafer.weight @frequencies = dense<[1.0, 0.5]> : tensor<2xf32> : tensor<2xf32>
    wafer.weight @shape_only : tensor<512x64xf32>
    wafer.weight @packed from "model.onnx" at 4096 blocks <bits 4 size 32 scales
        "model.onnx" at 8192> : tensor<512x64xf32>
    wafer.weight @keys part <of @qkv at 96 sizes [64, 32] strides [160, 1]>
        : tensor<64x32xf32>
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    OptionalAttr<StrAttr>:$file,
    DefaultValuedAttr<I64Attr, "0">:$offset,
    OptionalAttr<ElementsAttr>:$value,
    OptionalAttr<Wafer_BlocksAttr>:$blocks,
    OptionalAttr<Wafer_PartAttr>:$part,
    TypeAttrOf<AnyStaticShapeTensor>:$type
  );
  let assemblyFormat = [{
    $sym_name (`from` $file^ `at` $offset)? (`blocks` $blocks^)? (`part` $part^)?
    (`=` $value^)? attr-dict `:` $type
  }];
  let hasVerifier = 1;
}

def Wafer_ParameterOp : Wafer_Op<"parameter", [
    NoMemoryEffect, ConditionallySpeculatable, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    Wafer_StoredOpInterface]> {
  let summary = "Read a weight";
  let description = [{
    The elements of a weight in row-major order; the shape may cut or merge
    dimensions of the weight's own, the number of elements is the same. Inside
    a `wafer.repeat` there is one weight per trip.

    ```mlir
    %w = wafer.parameter [@embed] : tensor<512x64xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefArrayAttr:$weights,
                       OptionalAttr<Wafer_LayoutAttr>:$layout);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$weights attr-dict `:` type($result)";
  let extraClassDeclaration = [{
    ::mlir::ArrayAttr getStoredNames() { return getWeights(); }
    void setStoredNames(::mlir::ArrayAttr names) { setWeightsAttr(names); }
    /// One of several weights is read by the trip that it stands in.
    ::mlir::Speculation::Speculatability getSpeculatability() {
      return getWeights().size() > 1 ? ::mlir::Speculation::NotSpeculatable
                                     : ::mlir::Speculation::Speculatable;
    }
  }];
}

def Wafer_StateOp : Wafer_Op<"state", [Wafer_StoredOpInterface]> {
  let summary = "Read a state as the step finds it";
  let description = [{
    A KV cache at its capacity. A reset fills it with zeros; slots that were
    never written hold some finite number. `wafer.append` changes it in place.
    Inside a `wafer.repeat` there is one name per trip.

    ```mlir
    %k = wafer.state ["past_key_values.0.key"] : tensor<1x4x512x8xf32>
    ```
  }];
  let arguments = (ins StrArrayAttr:$names,
                       OptionalAttr<Wafer_LayoutAttr>:$layout);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$names attr-dict `:` type($result)";
  let extraClassDeclaration = [{
    ::mlir::ArrayAttr getStoredNames() { return getNames(); }
    void setStoredNames(::mlir::ArrayAttr names) { setNamesAttr(names); }
  }];
}

def Wafer_InputOp : Wafer_Op<"input", [Pure]> {
  let summary = "Read an input of the step";
  let description = [{
    What the caller gives. `fallback` says what the host fills in when the
    caller leaves it out: `required` (nothing: an error), `position`,
    `positions` (p, p + 1, ..), `ones`. Integers at or above `limit` are refused
    before a step; 0 is no limit. Nor may they be below `least`, which is 0
    unless it is said. `host_type` is the element type of the model
    (i64 ids become i32 on the way in).

    ```mlir
    %ids = wafer.input "input_ids" {fallback = "required", limit = 512 : i64,
                                    host_type = i64} : tensor<1x1xi32>
    ```
  }];
  let arguments = (ins
    StrAttr:$name,
    DefaultValuedAttr<StrAttr, "\"required\"">:$fallback,
    DefaultValuedAttr<I64Attr, "0">:$limit,
    OptionalAttr<I64Attr>:$least,
    OptionalAttr<TypeAttr>:$host_type,
    OptionalAttr<Wafer_LayoutAttr>:$layout
  );
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Wafer_PositionOp : Wafer_Op<"position", [Pure]> {
  let summary = "Read the number of tokens before this step";
  let description = [{
    The length that all states share, `p` in docs/import.md: 0 after a reset.
  }];
  let results = (outs 0DTensorOf<[I32]>:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Wafer_IotaOp : Wafer_Op<"iota", [Pure]> {
  let summary = "Count 0, 1, 2, ...";
  let description = [{
    Index arithmetic reads its indices from here and never from
    `linalg.index`, so that a local shard of a tensor knows its own indices.
  }];
  let arguments = (ins OptionalAttr<Wafer_LayoutAttr>:$layout);
  let results = (outs 1DTensorOf<[I32]>:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Wafer_LookupOp : Wafer_Op<"lookup", [
    Pure, DeclareOpInterfaceMethods<Wafer_PrecisionOpInterface,
                                    ["isTable", "getForwardedOperand"]>]> {
  let summary = "Take rows of a table";
  let description = [{
    `result[i.., a..] = table[indices[i..], a..]`. Indices lie inside the table;
    the host checks those that come from an input.

    Where a PE holds only some rows, `rows` are their global numbers; an index
    that is not among them gives zeros. The rows of a table of f16 may be taken
    as f32; whole matrices that only products read stay f16, and then each PE
    holds its part of all of them.

    ```mlir
    %x = wafer.lookup %table[%ids]
       : (tensor<512x64xf32>, tensor<1x1xi32>) -> tensor<1x1x64xf32>
    %y = wafer.lookup %shard[%ids] rows %r : tensor<64xi32>
       : (tensor<64x8xf32>, tensor<1x1xi32>) -> tensor<1x1x8xf32>
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$table,
                       AnyStaticShapeTensor:$indices,
                       Optional<1DTensorOf<[I32]>>:$rows);
  let results = (outs AnyStaticShapeTensor:$result);
  let builders = [
    OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$table,
                   "::mlir::Value":$indices), [{
      build($_builder, $_state, result, table, indices, ::mlir::Value());
    }]>
  ];
  let assemblyFormat = [{
    $table `[` $indices `]` (`rows` $rows^ `:` type($rows))? attr-dict
    `:` `(` type($table) `,` type($indices) `)` `->` type($result)
  }];
  let hasVerifier = 1;
}

def Wafer_AppendOp : Wafer_Op<"append", [
    DeclareOpInterfaceMethods<Wafer_PrecisionOpInterface,
                              ["getForwardedOperand"]>]> {
  let summary = "Store new rows into a state";
  let description = [{
    Writes `update` into `state` along `dim` at `[position, position + n)`, in
    place. The result is the state afterwards; the operand must not be read
    after this op. Every state is appended to at most once per step. A state of
    f16 takes rows of f32 and rounds them.

    ```mlir
    %1 = wafer.append %new into %k at %p : tensor<i32> dim 2
       : tensor<1x4x1x8xf32> into tensor<1x4x512x8xf32> -> tensor<1x4x512x8xf32>
    ```
  }];
  let arguments = (ins
    AnyStaticShapeTensor:$update,
    Arg<AnyStaticShapeTensor, "the state, in place", [MemWrite]>:$state,
    0DTensorOf<[I32]>:$position,
    ConfinedAttr<I64Attr, [IntNonNegative]>:$dim,
    OptionalAttr<Wafer_LayoutAttr>:$layout
  );
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = [{
    $update `into` $state `at` $position `:` type($position) `dim` $dim attr-dict
    `:` type($update) `into` type($state) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Wafer_StoreOp : Wafer_Op<"store"> {
  let summary = "Fill a state anew";
  let description = [{
    All of `state` becomes `update`, in place; the operand must not be read after
    this op. A state of f16 takes numbers of f32 and rounds them. What an encoder
    gave is stored so by the first step, and read by those behind it.

    ```mlir
    wafer.store %keys into %k : tensor<1x4x6x8xf32> into tensor<1x4x6x8xf32>
    ```
  }];
  let arguments = (ins
    AnyStaticShapeTensor:$update,
    Arg<AnyStaticShapeTensor, "the state, in place", [MemWrite]>:$state
  );
  let assemblyFormat = [{
    $update `into` $state attr-dict `:` type($update) `into` type($state)
  }];
  let hasVerifier = 1;
}

def Wafer_OutputOp : Wafer_Op<"output", [
    DeclareOpInterfaceMethods<Wafer_PrecisionOpInterface, ["readsSingles"]>]> {
  let summary = "Give an output of the step";
  let description = [{
    With `feeds`, the value is also what the next step finds in that input when
    the caller gives nothing: a token that the wafer picked. Both are whole on
    every PE.

    ```mlir
    wafer.output "logits", %v : tensor<1x1x512xf32>
    wafer.output "wafer.next_token", %t feeds "input_ids" : tensor<1x1xi32>
    ```
  }];
  let arguments = (ins StrAttr:$name, AnyStaticShapeTensor:$value,
                       OptionalAttr<StrAttr>:$feeds,
                       OptionalAttr<Wafer_LayoutAttr>:$layout);
  let assemblyFormat = [{
    $name `,` $value (`feeds` $feeds^)? attr-dict `:` type($value)
  }];
}

def Wafer_SendRecvOp : Wafer_Op<"send_recv"> {
  let summary = "Send to the first stage of the layers, take from the last";
  let description = [{
    In a program of kind `ends`, in place of the layers: what they begin with
    leaves for their first stage, and the results are what their last one gives.

    ```mlir
    %y = wafer.send_recv %x : (tensor<64xf32>) -> tensor<64xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let assemblyFormat = [{
    $values attr-dict `:` functional-type($values, $results)
  }];
  let hasVerifier = 1;
}

def Wafer_RecvOp : Wafer_Op<"recv"> {
  let summary = "Take what the stage before gives";
  let description = [{
    In a program of kind `layers`, in front of them.

    ```mlir
    %x = wafer.recv : tensor<64xf32>
    ```
  }];
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let assemblyFormat = "attr-dict `:` type($results)";
}

def Wafer_SendOp : Wafer_Op<"send"> {
  let summary = "Give to the next stage";
  let description = [{
    In a program of kind `layers`, behind them; the last stage gives to stage 0.

    ```mlir
    wafer.send %y : tensor<64xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values);
  let assemblyFormat = "$values attr-dict `:` type($values)";
}

#endif // WAFERLOOM_DIALECT_WAFER_WAFEROPS
