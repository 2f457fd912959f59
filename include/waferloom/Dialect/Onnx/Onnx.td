//===- Onnx.td - A model as its file says it ---------------*- tablegen -*-===//
//
// Level 1. The dialect is thin on purpose: one op stands for every operator,
// and nothing is interpreted. Meaning begins where import lowers it.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_ONNX_ONNX
#define WAFERLOOM_DIALECT_ONNX_ONNX

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::waferloom::onnx";
  let summary = "What the file says";
  let description = [{
    An ONNX graph after the checker accepted it and functions were expanded. Types of intermediate values are not stated: the file need
    not, and import derives what it uses.
  }];
  let useDefaultTypePrinterParser = 1;
}

def Onnx_ValueType : TypeDef<Onnx_Dialect, "Value"> {
  let mnemonic = "value";
  let summary = "An ONNX value: a tensor of some shape and element type";
}

class Onnx_Op<string mnemonic, list<Trait> traits = []>
    : Op<Onnx_Dialect, mnemonic, traits>;

def Onnx_GraphOp : Onnx_Op<"graph", [NoTerminator, SingleBlock]> {
  let summary = "Hold the nodes of a model";
  let description = [{
    Inputs, weights, nodes and outputs in an order in which every value is
    defined before it is used.

    ```mlir
    onnx.graph "main" {
      %x = onnx.input "x" : f32 ["batch", 4]
      %y = onnx.node "Relu"(%x) domain "" version 17 {} -> ["y"]
         : (!onnx.value) -> !onnx.value
      onnx.output "y", %y : f32 ["batch", 4]
    }
    ```
  }];
  let arguments = (ins StrAttr:$name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$name attr-dict-with-keyword $body";
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name)>];
}

def Onnx_InputOp : Onnx_Op<"input", [HasParent<"GraphOp">]> {
  let summary = "Declare an input of the graph";
  let description = [{
    Each dimension is an integer, a name, or the empty string (unknown).
  }];
  let arguments = (ins StrAttr:$name, TypeAttr:$elementType, ArrayAttr:$shape);
  let results = (outs Onnx_ValueType:$result);
  let assemblyFormat = "$name attr-dict `:` $elementType $shape";
}

def Onnx_OutputOp : Onnx_Op<"output", [HasParent<"GraphOp">]> {
  let summary = "Declare an output of the graph";
  let description = "As `onnx.input`; a shape the file leaves out is empty.";
  let arguments = (ins StrAttr:$name, Onnx_ValueType:$value,
                       TypeAttr:$elementType, ArrayAttr:$shape);
  let assemblyFormat = "$name `,` $value attr-dict `:` $elementType $shape";
}

def Onnx_WeightOp : Onnx_Op<"weight", [ParentOneOf<["GraphOp", "IfOp", "LoopOp"]>]> {
  let summary = "Refer to a weight of the file";
  let description = [{
    The bytes stay where they are: `offset` counts from the start of `file`.
    A weight without a file has a shape only.

    ```mlir
    %w = onnx.weight "embed" from "model.onnx" at 1234 : tensor<512x64xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, OptionalAttr<StrAttr>:$file,
                       DefaultValuedAttr<I64Attr, "0">:$offset,
                       TypeAttrOf<AnyStaticShapeTensor>:$type);
  let results = (outs Onnx_ValueType:$result);
  let assemblyFormat = [{
    $name (`from` $file^ `at` $offset)? attr-dict `:` $type
  }];
}

def Onnx_ConstantOp : Onnx_Op<"constant", [ParentOneOf<["GraphOp", "IfOp", "LoopOp"]>]> {
  let summary = "Give the elements of a small or integer tensor";
  let arguments = (ins StrAttr:$name, ElementsAttr:$value);
  let results = (outs Onnx_ValueType:$result);
  let assemblyFormat = "$name $value attr-dict";
}

def Onnx_AbsentOp : Onnx_Op<"absent", [HasParent<"GraphOp">]> {
  let summary = "Stand for an optional input that is left out";
  let results = (outs Onnx_ValueType:$result);
  let assemblyFormat = "attr-dict";
}

def Onnx_NodeOp : Onnx_Op<"node"> {
  let summary = "Apply an operator";
  let description = [{
    The operator is known by domain, type and the version of the domain that
    the model imports. Attributes keep their ONNX names: i64, f32, strings,
    arrays of them, and dense tensors. `outputs` are the names of the values.
    The location is the node's name, or its first output's. A node from the
    body of a function has the version that the body was written for, `body_of`
    names the operator that was expanded, and the location is its node.

    ```mlir
    %y = onnx.node "Softmax"(%x) domain "" version 17 {axis = -1 : i64} -> ["y"]
       : (!onnx.value) -> !onnx.value
    ```
  }];
  let arguments = (ins StrAttr:$operatorType,
                       Variadic<Onnx_ValueType>:$inputs,
                       StrAttr:$domain, I64Attr:$version,
                       DictionaryAttr:$parameters,
                       StrArrayAttr:$outputNames,
                       OptionalAttr<StrAttr>:$bodyOf);
  let results = (outs Variadic<Onnx_ValueType>:$outputs);
  let assemblyFormat = [{
    $operatorType `(` $inputs `)` `domain` $domain `version` $version $parameters
    `->` $outputNames (`body_of` $bodyOf^)? attr-dict `:` functional-type($inputs, $outputs)
  }];
  let hasVerifier = 1;
}

def Onnx_IfOp : Onnx_Op<"if", [SingleBlock]> {
  let summary = "Take one of two branches";
  let description = [{
    Branches see the values around them. The location is the node's name.

    ```mlir
    %y = onnx.if %condition -> ["y"] : !onnx.value {
      onnx.yield %a : !onnx.value
    } {
      onnx.yield %b : !onnx.value
    }
    ```
  }];
  let arguments = (ins Onnx_ValueType:$condition, StrArrayAttr:$outputNames);
  let results = (outs Variadic<Onnx_ValueType>:$outputs);
  let regions = (region SizedRegion<1>:$thenBranch, SizedRegion<1>:$elseBranch);
  let assemblyFormat = [{
    $condition `->` $outputNames attr-dict `:` type($outputs) $thenBranch $elseBranch
  }];
  let hasVerifier = 1;
}

def Onnx_LoopOp : Onnx_Op<"loop", [SingleBlock]> {
  let summary = "Run a body several times";
  let description = [{
    Loop and Scan, with their operands and attributes as the standard has them.
    The arguments of the body are those of its graph, and it sees the values
    around it. The location is the node's name.

    ```mlir
    %y = onnx.loop "Loop"(%n, %c, %x) version 21 {} -> ["y"]
       : (!onnx.value, !onnx.value, !onnx.value) -> !onnx.value {
    ^bb0(%trip: !onnx.value, %go: !onnx.value, %z: !onnx.value):
      onnx.yield %go, %z : !onnx.value, !onnx.value
    }
    ```
  }];
  let arguments = (ins StrAttr:$operatorType,
                       Variadic<Onnx_ValueType>:$inputs, I64Attr:$version,
                       DictionaryAttr:$parameters, StrArrayAttr:$outputNames);
  let results = (outs Variadic<Onnx_ValueType>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $operatorType `(` $inputs `)` `version` $version $parameters `->` $outputNames
    attr-dict `:` functional-type($inputs, $outputs) $body
  }];
  let hasVerifier = 1;
}

def Onnx_YieldOp : Onnx_Op<"yield", [Terminator, ParentOneOf<["IfOp", "LoopOp"]>]> {
  let summary = "Give the values of a branch, or of a trip";
  let arguments = (ins Variadic<Onnx_ValueType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // WAFERLOOM_DIALECT_ONNX_ONNX
