//===- CoreDialect.td - The dialect, its enums and attributes -*- tablegen -*-===//

#ifndef WAFERLOOM_DIALECT_CORE_COREDIALECT
#define WAFERLOOM_DIALECT_CORE_COREDIALECT

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Core_Dialect : Dialect {
  let name = "core";
  let cppNamespace = "::waferloom::core";
  let summary = "Programs of the cores, as the image holds them";
  let description = [{
    One op for each table of the image, in a text that can be written by hand,
    verified and run. Addresses are bytes of a PE's SRAM. Nothing here grows
    with the number of PEs: a rectangle has one class per column and one per
    row, and instructions and routes name the classes that have them.
  }];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = "void registerAttributes();";
}

//===----------------------------------------------------------------------===//
// Enums: the values are those of the image's schema.
//===----------------------------------------------------------------------===//

class Core_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::waferloom::core";
  let genSpecializedAttr = 0;
}
class Core_EnumAttr<EnumAttrInfo info, string mnemonic>
    : EnumAttr<Core_Dialect, info, mnemonic>;

def Core_Opcode : Core_Enum<"Opcode", "what a vector instruction computes", [
  I32EnumAttrCase<"mov", 0>, I32EnumAttrCase<"add", 1>,
  I32EnumAttrCase<"sub", 2>, I32EnumAttrCase<"mul", 3>,
  I32EnumAttrCase<"max", 4>, I32EnumAttrCase<"min", 5>,
  I32EnumAttrCase<"neg", 6>, I32EnumAttrCase<"abs", 7>,
  I32EnumAttrCase<"fma", 8>, I32EnumAttrCase<"eq", 9>,
  I32EnumAttrCase<"lt", 10>, I32EnumAttrCase<"le", 11>,
  I32EnumAttrCase<"select", 12>, I32EnumAttrCase<"bit_and", 13>,
  I32EnumAttrCase<"bit_or", 14>, I32EnumAttrCase<"bit_xor", 15>,
  I32EnumAttrCase<"shl", 16>, I32EnumAttrCase<"shr", 17>,
  I32EnumAttrCase<"sar", 18>, I32EnumAttrCase<"convert", 19>,
  I32EnumAttrCase<"floor_div", 20>, I32EnumAttrCase<"floor_mod", 21>
]>;
def Core_OpcodeAttr : Core_EnumAttr<Core_Opcode, "opcode">;

def Core_Fold : Core_Enum<"Fold", "how received words combine", [
  I32EnumAttrCase<"add", 1>, I32EnumAttrCase<"max", 4>,
  I32EnumAttrCase<"min", 5>
]>;
def Core_FoldAttr : Core_EnumAttr<Core_Fold, "fold">;

def Core_Role : Core_Enum<"Role", "what a binding is for", [
  I32EnumAttrCase<"parameter", 0>, I32EnumAttrCase<"state", 1>,
  I32EnumAttrCase<"input", 2>, I32EnumAttrCase<"output", 3>,
  I32EnumAttrCase<"index", 4>
]>;
def Core_RoleAttr : Core_EnumAttr<Core_Role, "role">;

def Core_Use : Core_Enum<"Use", "what a buffer is for", [
  I32EnumAttrCase<"parameter", 0>, I32EnumAttrCase<"state", 1>,
  I32EnumAttrCase<"input", 2>, I32EnumAttrCase<"output", 3>,
  I32EnumAttrCase<"index", 4>, I32EnumAttrCase<"scratch", 5>
]>;
def Core_UseAttr : Core_EnumAttr<Core_Use, "use">;

def Core_LoopOver : Core_Enum<"LoopOver", "what the trips of a loop are", [
  I32EnumAttrCase<"nothing", 0>, I32EnumAttrCase<"layers", 1>,
  I32EnumAttrCase<"tokens", 2>
]>;
def Core_LoopOverAttr : Core_EnumAttr<Core_LoopOver, "loop_over">;

def Core_Side : Core_Enum<"Side", "one side of a router", [
  I32EnumAttrCase<"north", 0>, I32EnumAttrCase<"south", 1>,
  I32EnumAttrCase<"east", 2>, I32EnumAttrCase<"west", 3>,
  I32EnumAttrCase<"ramp", 4>
]>;

def Core_PackedPart : Core_Enum<"PackedPart", "what of a packed weight", [
  I32EnumAttrCase<"codes", 0>, I32EnumAttrCase<"scales", 1>,
  I32EnumAttrCase<"zeros", 2>
]>;

def Core_PackedPartAttr : Core_EnumAttr<Core_PackedPart, "packed_part">;

def Core_Axis : Core_Enum<"Axis", "where a digit of an index comes from", [
  I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"x", 1>, I32EnumAttrCase<"y", 2>
]>;

def Core_Fallback : Core_Enum<"Fallback", "what a step fills in by itself", [
  I32EnumAttrCase<"required", 0>, I32EnumAttrCase<"position", 1>,
  I32EnumAttrCase<"positions", 2>, I32EnumAttrCase<"ones", 3>,
  I32EnumAttrCase<"length", 4>, I32EnumAttrCase<"only_ones", 5>,
  I32EnumAttrCase<"ignored", 6>, I32EnumAttrCase<"fixed", 7>
]>;
def Core_FallbackAttr : Core_EnumAttr<Core_Fallback, "fallback">;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

class Core_Attr<string name, string attrMnemonic> : AttrDef<Core_Dialect, name> {
  let mnemonic = attrMnemonic;
  let hasCustomAssemblyFormat = 1;
}

def Core_OperandAttr : Core_Attr<"Operand", "at"> {
  let summary = "A memory operand, or a scalar";
  let description = [{
    `type[base : strides step depth by bytes, ..]`. Element (i0, i1, ..) is at
    base + sum of i_k * stride_k * size of the type, plus `bytes` for every
    iteration of the loop at nesting depth `depth`. `base` is an address, or a
    buffer and how many bytes behind its begin. Without strides the elements
    lie densely, row-major. `+ i32[at] * scale of count` moves the operand by
    `scale` bytes times the word at `at`, which must be below `count`.
    `type(value)` is a scalar.

    ```mlir
    f32[256]                       f32[256 : 8, 1 step 0 by 32]
    f32[@scores]                   f32[@scores + 16 : 8, 1]
    f32[0 + i32[64] * 128 of 512]  f32[@table + i32[@ids + 4] * 128 of 512]
    f32(1.0)   f32(0x7F800000)     i32(-3)
    ```
  }];
  let parameters = (ins
    "::mlir::Type":$type,
    "::mlir::FlatSymbolRefAttr":$buffer,
    "int64_t":$base,
    "bool":$dense,
    ArrayRefParameter<"int64_t">:$strides,
    ArrayRefParameter<"int64_t", "depth, bytes, depth, bytes, ..">:$steps,
    "::mlir::FlatSymbolRefAttr":$indexBuffer,
    "int64_t":$indexAt,
    ArrayRefParameter<"int64_t">:$indexSteps,
    "int64_t":$indexScale,
    "int64_t":$indexCount,
    "bool":$immediate,
    "uint32_t":$bits
  );
  let extraClassDeclaration = [{
    /// `bits` as a scalar of `type`.
    static OperandAttr getScalar(::mlir::Type type, uint32_t bits);
  }];
}

def Core_LiveAttr : AttrDef<Core_Dialect, "Live"> {
  let mnemonic = "live";
  let summary = "A dimension that ends with the live slots of a cache";
  let description = [{
    Dimension `dim` goes over slots that lie cyclically on `parts` PEs. After a
    step that ends at length L each of them has n = max(2, ceil(L / parts)) live
    ones; the dimension begins at slot `from`, and has min(extent, n - from)
    elements, or none (docs/executor.md, E34).

    ```mlir
    core.vector add [8] f32[0] = f32[32], f32[64] live <0 over 16>
    core.vector add [3] f32[0] = f32[0], f32[20] live <0 over 16 from 5>
    ```
  }];
  let parameters = (ins "int64_t":$dim, "int64_t":$parts,
                        DefaultValuedParameter<"int64_t", "0">:$from);
  let assemblyFormat = "`<` $dim `over` $parts (`from` $from^)? `>`";
}

def Core_BlocksAttr : AttrDef<Core_Dialect, "Blocks"> {
  let mnemonic = "blocks";
  let summary = "How a matrix of small integers with scales is packed in a file";
  let description = [{
    waferloom/Format/Blocks.h says what the integers stand for. Scales, and zeros
    where they lie in a file, are at offsets of files. Of what is rounded when
    the image is written, the scales are made, too.

    ```mlir
    #core.blocks<128 by 64 bits 4 size 32 scales f16 zeros packed from "m.onnx" at 512, "m.onnx" at 768>
    ```
  }];
  let parameters = (ins
    "::waferloom::BlockFormat":$format,
    OptionalParameter<"::mlir::StringAttr">:$scalesFile,
    DefaultValuedParameter<"int64_t", "0">:$scalesAt,
    OptionalParameter<"::mlir::StringAttr">:$zerosFile,
    DefaultValuedParameter<"int64_t", "0">:$zerosAt
  );
  let assemblyFormat = [{
    `<` custom<BlockFormat>($format) custom<BlockScales>($scalesFile, $scalesAt)
    (`,` $zerosFile^ `at` $zerosAt)? `>`
  }];
  let genVerifyDecl = 1;
}

def Core_PackingAttr : AttrDef<Core_Dialect, "Packing"> {
  let mnemonic = "packing";
  let summary = "Which part of a weight whose integers stay packed on the PEs";
  let description = [{
    Codes lie in words of 16 bits, the first word holds elements 0, W, 2 W, ..
    of the shard, of W words. `groups`: per dimension, how many elements behind
    each other share a scale and a zero, of which there is one per group.

    ```mlir
    #core.packing<scales groups [1, 32] of 128 by 64 bits 4 size 32 scales f32>
    ```
  }];
  let parameters = (ins
    "PackedPart":$part, ArrayRefParameter<"int64_t">:$groups,
    "::waferloom::BlockFormat":$format
  );
  let assemblyFormat = [{
    `<` $part `groups` `[` $groups `]` `of` custom<BlockFormat>($format) `>`
  }];
  let genVerifyDecl = 1;
}

def Core_TurnAttr : Core_Attr<"Turn", "turn"> {
  let summary = "An input of a router and how many words it gives at a time";
  let parameters = (ins "Side":$side, "int64_t":$words);
}

def Core_RunAttr : Core_Attr<"Run", "run"> {
  let summary = "A list of classes, a number of times over";
  let parameters = (ins ArrayRefParameter<"int64_t">:$classes,
                        "int64_t":$repeats);
}

def Core_DigitAttr : Core_Attr<"Digit", "digit"> {
  let summary = "One digit of an index: `x 4 every 2`, or `4` on every PE";
  let parameters = (ins "Axis":$axis, "int64_t":$extent, "int64_t":$stride);
}

def Core_DimAttr : Core_Attr<"Dim", "dim"> {
  let summary = "One dimension of a distributed tensor";
  let description = [{
    `live by source_stride (digits, major to minor)`. Elements at and beyond
    `live` are padding.

    ```mlir
    15 by 1 (x 4, 4)    // 15 elements: column i holds 4 i .. 4 i + 3
    ```
  }];
  let parameters = (ins "int64_t":$live, "int64_t":$sourceStride,
                        ArrayRefParameter<"DigitAttr">:$digits);
}

#endif // WAFERLOOM_DIALECT_CORE_COREDIALECT
