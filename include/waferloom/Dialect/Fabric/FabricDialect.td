//===- FabricDialect.td - The dialect and its attributes ---*- tablegen -*-===//

#ifndef WAFERLOOM_DIALECT_FABRIC_FABRICDIALECT
#define WAFERLOOM_DIALECT_FABRIC_FABRICDIALECT

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Fabric_Dialect : Dialect {
  let name = "fabric";
  let cppNamespace = "::waferloom::fabric";
  let summary = "Where programs run, and how their words cross the fabric";
  let description = [{
    A function at this level says on which rectangle of the fabric it runs
    (`fabric.place`), which queues serve each color (`fabric.queues`), and as
    ops which collectives it does, along which lines, by which algorithm, in
    which colors.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// Attributes of a function: its #fabric.rect and its #fabric.queues.
    static constexpr ::llvm::StringLiteral placeName = "fabric.place";
    static constexpr ::llvm::StringLiteral queuesName = "fabric.queues";
    void registerAttributes();
  }];
}

class Fabric_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::waferloom::fabric";
}

def Fabric_Direction : Fabric_Enum<"Direction", "a direction of the fabric", [
    I32EnumAttrCase<"X", 0, "x">,
    I32EnumAttrCase<"Y", 1, "y">]>;

def Fabric_Combiner : Fabric_Enum<"Combiner", "what a reduction computes", [
    I32EnumAttrCase<"Sum", 0, "sum">,
    I32EnumAttrCase<"Max", 1, "max">,
    I32EnumAttrCase<"Min", 2, "min">]>;

def Fabric_Algorithm : Fabric_Enum<"Algorithm", "how values meet on a line", [
    I32EnumAttrCase<"Chain", 0, "chain">,
    I32EnumAttrCase<"Tree", 1, "tree">,
    I32EnumAttrCase<"TwoPhase", 2, "two_phase">,
    I32EnumAttrCase<"Star", 3, "star">,
    I32EnumAttrCase<"Grown", 4, "grown">]>;

class Fabric_Attr<string name, string attrMnemonic>
    : AttrDef<Fabric_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Fabric_RectAttr : Fabric_Attr<"Rect", "rect"> {
  let summary = "Rectangle of PEs";
  let description = [{
    Columns `[x, x + width)` and rows `[y, y + height)` of the fabric; (0, 0) is
    its north-west PE, x grows east and y south.

    ```mlir
    #fabric.rect<at = (2, 0), size = (4, 3)>
    ```
  }];
  let parameters = (ins "int64_t":$x, "int64_t":$y, "int64_t":$width,
                        "int64_t":$height);
  let assemblyFormat = [{
    `<` `at` `=` `(` $x `,` $y `)` `,` `size` `=` `(` $width `,` $height `)` `>`
  }];
  let genVerifyDecl = 1;
}

def Fabric_LineAttr : Fabric_Attr<"Line", "line"> {
  let summary = "PEs of a direction that work together";
  let description = [{
    `length` PEs, neighbours `stride` hops apart; `stride` such groups interleave
    in a segment, and `segments` segments follow each other, each on its own.
    Every column (or row) of the region is in one group: the region is
    length x stride x segments PEs wide (or high).

    ```
    <x, length = 3, stride = 2, segments = 2>

    column    0 1 2 3 4 5 | 6 7 8 9 10 11
    group     a b a b a b | c d c d c  d
    ```
  }];
  let parameters = (ins EnumParameter<Fabric_Direction>:$direction,
                        "int64_t":$length, "int64_t":$stride,
                        "int64_t":$segments);
  let assemblyFormat = [{
    `<` $direction `,` `length` `=` $length `,` `stride` `=` $stride `,`
        `segments` `=` $segments `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// PEs of the region along the direction.
    int64_t getExtent() const {
      return getLength() * getStride() * getSegments();
    }
  }];
}

def Fabric_AxisAttr : Fabric_Attr<"Axis", "axis"> {
  let summary = "A digit of a PE's position";
  let description = [{
    The PE in column c has coordinate `(c / stride) mod extent` on an axis along
    x, likewise its row along y.

    ```mlir
    #fabric.axis<x, extent = 4, stride = 8>
    ```
  }];
  let parameters = (ins EnumParameter<Fabric_Direction>:$direction,
                        "int64_t":$extent, "int64_t":$stride);
  let assemblyFormat = [{
    `<` $direction `,` `extent` `=` $extent `,` `stride` `=` $stride `>`
  }];
  let genVerifyDecl = 1;
}

def Fabric_AxisArrayAttr
    : TypedArrayAttrBase<Fabric_AxisAttr, "axes, major to minor">;

def Fabric_QueuesAttr : Fabric_Attr<"Queues", "queues"> {
  let summary = "The queues that serve each color";
  let description = [{
    Entry c of `input` is the queue by which a PE takes words of color c, of
    `output` the one by which it puts them; -1 where no PE does. The same on
    every PE.

    ```mlir
    #fabric.queues<input = [0, 1, -1], output = [0, -1, 0]>
    ```
  }];
  let parameters = (ins OptionalArrayRefParameter<"int64_t">:$input,
                        OptionalArrayRefParameter<"int64_t">:$output);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif // WAFERLOOM_DIALECT_FABRIC_FABRICDIALECT
