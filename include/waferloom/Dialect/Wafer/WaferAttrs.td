//===- WaferAttrs.td - How tensors lie on a region ---------*- tablegen -*-===//
//
// The attributes of levels 3 and 4. docs/Dialects/Wafer.md explains them.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_WAFERATTRS
#define WAFERLOOM_DIALECT_WAFER_WAFERATTRS

include "waferloom/Dialect/Wafer/WaferDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Wafer_Attr<string name, string attrMnemonic>
    : AttrDef<Wafer_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Wafer_Combiner : I32EnumAttr<"Combiner", "what a combination computes", [
    I32EnumAttrCase<"Sum", 0, "sum">,
    I32EnumAttrCase<"Max", 1, "max">,
    I32EnumAttrCase<"Min", 2, "min">]> {
  let cppNamespace = "::waferloom::wafer";
}

def Wafer_RegionAttr : Wafer_Attr<"Region", "region"> {
  let summary = "Rectangle of PEs whose directions are cut into axes";
  let description = [{
    The factors of each direction, major to minor. A direction of one factor is
    the axis `x` or `y`; the factors of a cut one are `x0`, `x1`, ...

    ```mlir
    #wafer.region<x = 2 x 4, y = 8>   // 8 x 8 PEs, axes x0 (2), x1 (4), y (8)
    ```
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$x,
                        ArrayRefParameter<"int64_t">:$y);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getWidth() const;  ///< PEs along x
    int64_t getHeight() const; ///< PEs along y
    /// All axes, those of x first, major to minor.
    ::llvm::SmallVector<Axis> getAxes() const;
    bool has(Axis axis) const;
    /// PEs along `axis`; 1 if the region does not have it.
    int64_t getSize(Axis axis) const;
    /// PEs along several axes together.
    int64_t getSize(::llvm::ArrayRef<Axis> axes) const;
    /// Hops of one step along `axis`: the product of the factors minor to it.
    int64_t getStride(Axis axis) const;
    /// The coordinate on `axis` of the PE in column `column` and row `row`.
    int64_t getCoordinate(Axis axis, int64_t column, int64_t row) const;
  }];
}

def Wafer_StagesAttr : Wafer_Attr<"Stages", "stages"> {
  let summary = "How many regions stand side by side, and their order";
  let description = [{
    A program with `stages` runs on a grid of `columns` x `rows` copies of its
    region. They follow each other in strips that turn around: along rows of the
    grid, the first to the east, or (`in columns`) along columns, the first to
    the south. One row or column of stages is one strip unless it is said
    otherwise. Stage 0, in the north-west, runs what stands outside of an
    entry's `wafer.repeat`; the others share its trips in order, the first ones
    one more where they do not divide. What both need, both compute.

    The last stage gives its values back to stage 0 and so stands in one row or
    one column with it: strips are one, or an even number, or of one stage each.

    ```mlir
    #wafer.stages<11 x 1>           // 30 layers: 3 on each of stages 1 to 10
    #wafer.stages<2 x 3 in columns> //  0 5
                                    //  1 4
                                    //  2 3
    ```
  }];
  let parameters = (ins "int64_t":$columns, "int64_t":$rows, "bool":$inColumns);
  let builders = [AttrBuilder<(ins "int64_t":$columns, "int64_t":$rows), [{
    return $_get($_ctxt, columns, rows, columns == 1 && rows > 1);
  }]>];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getCount() const { return getColumns() * getRows(); }
    /// Strips beside each other.
    int64_t getStrips() const { return getInColumns() ? getColumns() : getRows(); }
    /// Whether the last stage of such a grid stands in one row or column with
    /// the first.
    static bool closes(int64_t columns, int64_t rows, bool inColumns) {
      const int64_t strips = inColumns ? columns : rows;
      return strips == 1 || strips % 2 == 0 || strips == columns * rows;
    }
  }];
}

def Wafer_Kind : I32EnumAttr<"Kind", "what stages of a program have in common", [
    I32EnumAttrCase<"Ends", 0, "ends">,
    I32EnumAttrCase<"Layers", 1, "layers">]> {
  let cppNamespace = "::waferloom::wafer";
}

def Wafer_DimAttr : Wafer_Attr<"Dim", "dim"> {
  let summary = "How one dimension is divided";
  let description = [{
    `digits` is empty for a dimension that is whole on every PE; axes only for
    a block (`cyclic` false: a local extent follows) or a cyclic division (true:
    a local extent precedes); else all digits, major to minor, local extents
    included. `live` is the number of elements that count, or -1 for all of
    them; `liveState` names the state that says so at run time. `padding` is known
    of the rest.
  }];
  let parameters = (ins
    ArrayRefParameter<"::waferloom::wafer::Digit">:$digits,
    "bool":$cyclic,
    "int64_t":$live,
    "::mlir::StringAttr":$liveState,
    "::waferloom::wafer::Padding":$padding
  );
  let builders = [
    AttrBuilder<(ins CArg<"::llvm::ArrayRef<::waferloom::wafer::Digit>", "{}">:$digits,
                     CArg<"bool", "false">:$cyclic, CArg<"int64_t", "-1">:$live,
                     CArg<"::waferloom::wafer::Padding", "{}">:$padding), [{
      return $_get($_ctxt, digits, cyclic, live, ::mlir::StringAttr(), padding);
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    /// Writes the entry as layouts do: "cyclic y live 3 padding 0".
    void write(::llvm::raw_ostream &os) const;
    static ::mlir::FailureOr<DimAttr> parseEntry(::mlir::AsmParser &parser);

    bool isWhole() const { return getDigits().empty(); }
    /// Is there padding, that is, may elements be beyond the live size?
    bool isPadded() const { return getLive() >= 0 || getLiveState(); }
    /// The axes among the digits, major to minor.
    ::llvm::SmallVector<Axis> getAxes() const;
    /// The elements that count of a dimension of `padded` elements.
    int64_t getLiveSize(int64_t padded) const {
      return getLive() >= 0 ? getLive() : padded;
    }
    /// The elements one PE holds of a dimension of `padded` elements.
    int64_t getLocalSize(int64_t padded, RegionAttr region) const;
    /// All digits with local extents, canonical: extents of 1 dropped, local
    /// neighbours merged, axes of size 1 dropped.
    ::llvm::SmallVector<Digit> resolve(int64_t padded, RegionAttr region) const;
    /// The global index of local element `local` at the PE (column, row).
    int64_t getGlobalIndex(int64_t local, int64_t padded, RegionAttr region,
                           int64_t column, int64_t row) const;
    DimAttr withPadding(Padding padding) const;
    DimAttr withoutAxes(::llvm::ArrayRef<Axis> axes) const;
  }];
}

def Wafer_LayoutAttr : Wafer_Attr<"Layout", "layout"> {
  let summary = "How a tensor lies on the PEs of a region";
  let description = [{
    One entry per dimension of the global, padded tensor; `*` is whole on every
    PE. Each axis splits one dimension, or the tensor is replicated along it
    (not written), `partial` along it (the reduction is still to be done), or lives
    at one coordinate of it (`root`). Equal attributes are equal layouts.

    ```mlir
    tensor<576xf16, #wafer.layout<[y]>>
    tensor<3x4x2112xf32,
      #wafer.layout<[x0, x1 live 3 padding num, cyclic y live 2050 padding any]
                    partial<x2, sum> root<x3 = 1>>>
    ```
  }];
  let parameters = (ins
    ArrayRefParameter<"::waferloom::wafer::DimAttr">:$dims,
    OptionalArrayRefParameter<"::waferloom::wafer::Axis">:$partial,
    "::waferloom::wafer::Combiner":$combiner,
    OptionalArrayRefParameter<"::waferloom::wafer::Axis">:$rootAxes,
    OptionalArrayRefParameter<"int64_t">:$rootCoordinates
  );
  let builders = [
    AttrBuilder<(ins "::llvm::ArrayRef<::waferloom::wafer::DimAttr>":$dims), [{
      return $_get($_ctxt, dims, ::llvm::ArrayRef<Axis>(), Combiner::Sum,
                   ::llvm::ArrayRef<Axis>(), ::llvm::ArrayRef<int64_t>());
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    DimAttr getDim(int64_t i) const { return getDims()[i]; }
    bool isPartial() const { return !getPartial().empty(); }
    bool hasRoot() const { return !getRootAxes().empty(); }
    /// The layout of the same tensor when nothing is partial.
    LayoutAttr withoutPartial() const;
    LayoutAttr withDims(::llvm::ArrayRef<DimAttr> dims) const;
    LayoutAttr withPartial(::llvm::ArrayRef<Axis> axes, Combiner combiner) const;
    /// The axes that split some dimension, in the order of the dimensions.
    ::llvm::SmallVector<Axis> getSplitAxes() const;
    /// The shape of the local shard one PE holds of a tensor of shape `padded`.
    ::llvm::SmallVector<int64_t> getLocalShape(::llvm::ArrayRef<int64_t> padded,
                                               RegionAttr region) const;
  }];
}

def Wafer_AxesAttr : Wafer_Attr<"Axes", "axes"> {
  let summary = "Axes of the region, major to minor";
  let parameters = (ins ArrayRefParameter<"::waferloom::wafer::Axis">:$axes);
  let hasCustomAssemblyFormat = 1;
}

def Wafer_BlocksAttr : Wafer_Attr<"Blocks", "blocks"> {
  let summary = "How the file packs the numbers of a weight";
  let description = [{
    The elements of a weight, in row-major order, as a matrix of small integers
    in blocks: waferloom/Format/Blocks.h says what they stand for. Integers,
    scales and zeros lie at offsets of files. The type of the weight is that of
    the numbers; who reads the bytes expands them.
    Where the file has numbers that are rounded, there are no scales in it.

    ```mlir
    #wafer.blocks<128 by 64 bits 4 size 32 scales f16 zeros packed from "m.onnx" at 512, "m.onnx" at 768>
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

def Wafer_PartAttr : Wafer_Attr<"Part", "part"> {
  let summary = "Which elements of another weight a weight is";
  let description = [{
    Element (i0, i1, ..) of the weight is element `at` + i0 * strides[0] +
    i1 * strides[1] + .. of the weight that `of` names, in row-major order. No
    bytes are copied: who reads the part reads the whole with these strides.

    ```mlir
    #wafer.part<of @qkv at 96 sizes [64, 32] strides [160, 1]>
    ```
  }];
  let parameters = (ins
    "::mlir::FlatSymbolRefAttr":$of, "int64_t":$at,
    ArrayRefParameter<"int64_t">:$sizes, ArrayRefParameter<"int64_t">:$strides
  );
  let assemblyFormat = [{
    `<` `of` $of `at` $at `sizes` `[` $sizes `]` `strides` `[` $strides `]` `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// How far elements of the whole are apart that are `stride` elements of
    /// the part apart, in row-major order.
    int64_t getStride(int64_t stride) const;
  }];
}

def Wafer_TargetAttr : Wafer_Attr<"Target", "target"> {
  let summary = "The machine that a module is compiled for";
  let description = [{
    What `--target` accepts, without the path of a file: a preset or `grid-WxH`,
    and overrides. `figures` are those that the name does not say; a machine with
    a name of its own has all of them there.

    ```mlir
    module attributes {wafer.target = #wafer.target<"grid-8x8,sram=64KiB">}
    #wafer.target<"lab", {banks = 8 : i64, clock = 8.500000e-01 : f64, ...}>
    ```
  }];
  let parameters = (ins "::mlir::StringAttr":$name,
                        OptionalParameter<"::mlir::DictionaryAttr">:$figures);
  let assemblyFormat = "`<` $name (`,` $figures^)? `>`";
  let genVerifyDecl = 1;
}

#endif // WAFERLOOM_DIALECT_WAFER_WAFERATTRS
