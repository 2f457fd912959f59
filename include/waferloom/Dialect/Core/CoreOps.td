//===- CoreOps.td - Regions, programs, instructions --------*- tablegen -*-===//

#ifndef WAFERLOOM_DIALECT_CORE_COREOPS
#define WAFERLOOM_DIALECT_CORE_COREOPS

include "waferloom/Dialect/Core/CoreDialect.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"

class Core_Op<string mnemonic, list<Trait> traits = []>
    : Op<Core_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// What an image consists of
//===----------------------------------------------------------------------===//

def Core_ImageOp : Core_Op<"image", [NoTerminator, SingleBlock, IsolatedFromAbove]> {
  let summary = "Everything a machine loads";
  let description = [{
    `capacity` is the number of tokens that states hold, `parameters` the
    number of weights; with `shape_only` their bytes are nowhere.

    ```mlir
    core.image "grid-4x4" {
      core.entry "main"
      core.region at 0, 0 size 4, 1 columns [1, 0 x 2, 2] rows [0] memory 64 {
        ...
      }
    }
    ```
  }];
  let arguments = (ins
    StrAttr:$target,
    DefaultValuedAttr<I64Attr, "0">:$capacity,
    DefaultValuedAttr<I64Attr, "0">:$parameters,
    UnitAttr:$shape_only
  );
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$target attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Core_SourceOp : Core_Op<"source", [HasParent<"ImageOp">]> {
  let summary = "Bytes of the data section";
  let description = [{
    Either the elements themselves, or how many bytes there are and where they
    lie: in a file, as they are; as f32 which the data section has as f16
    (`narrowed`); or as packed integers with scales (`blocks`), of which it has
    the numbers, or one `part` as PEs hold it. Bytes that lie nowhere cannot become an image's.

    ```mlir
    core.source "w" = dense<[1.0, 2.0]> : tensor<2xf32>
    core.source "embed" bytes 1024 in "model.onnx" at 4096
    core.source "head" bytes 512 in "model.onnx" at 8192 narrowed
    core.source "down" bytes 32768 in "model.onnx" at 0
        blocks <128 by 64 bits 4 size 32 scales f32 from "model.onnx" at 4096>
    core.source "up.codes" bytes 4096 in "model.onnx" at 65536
        blocks <64 by 128 bits 4 size 1 tall 32 dense rounded f32 scales f16 wide nowhere>
        part codes
    ```
  }];
  let arguments = (ins
    StrAttr:$name,
    OptionalAttr<ElementsAttr>:$value,
    OptionalAttr<I64Attr>:$bytes,
    OptionalAttr<StrAttr>:$file,
    OptionalAttr<I64Attr>:$offset,
    UnitAttr:$narrowed,
    OptionalAttr<Core_BlocksAttr>:$blocks,
    OptionalAttr<Core_PackedPartAttr>:$part
  );
  let assemblyFormat = [{
    $name (`=` $value^)? (`bytes` $bytes^)? (`in` $file^ `at` $offset)?
    (`narrowed` $narrowed^)? (`blocks` $blocks^)? (`part` `` $part^)?
    attr-dict
  }];
  let hasVerifier = 1;
}

def Core_EntryOp : Core_Op<"entry", [HasParent<"ImageOp">, NoTerminator, SingleBlock]> {
  let summary = "A way to run the image: so many new tokens per step";
  let arguments = (ins StrAttr:$name, DefaultValuedAttr<I64Attr, "1">:$tokens,
                       DefaultValuedAttr<I64Attr, "0">:$from,
                       DefaultValuedAttr<I64Attr, "0">:$until);
  let regions = (region MaxSizedRegion<1>:$body);
  let assemblyFormat = [{
    $name (`tokens` $tokens^)? (`from` $from^)? (`until` $until^)? attr-dict-with-keyword ($body^)?
  }];
}

def Core_InputOp : Core_Op<"input", [HasParent<"EntryOp">]> {
  let summary = "What a caller gives to an entry, or leaves out";
  let arguments = (ins
    StrAttr:$name,
    DefaultValuedAttr<Core_FallbackAttr, "Fallback::required">:$fallback,
    DefaultValuedAttr<I64Attr, "0">:$limit,
    DefaultValuedAttr<I64Attr, "0">:$least,
    UnitAttr:$fed
  );
  let assemblyFormat = "$name `` $fallback (`below` $limit^)? (`from` $least^)? (`fed` $fed^)? attr-dict";
}

def Core_TensorOp : Core_Op<"tensor", [HasParent<"EntryOp">]> {
  let summary = "A tensor as the model has it, before padding";
  let description = [{
    An output that is `whole` answers all tokens of a step at once; of an input
    that is, every part of a step takes all.

    ```mlir
    core.tensor output "logits" [1, 1, 512] f32 as f32
    ```
  }];
  let arguments = (ins
    Core_RoleAttr:$role,
    StrAttr:$name,
    DenseI64ArrayAttr:$shape,
    TypeAttr:$type,
    TypeAttr:$host_type,
    UnitAttr:$whole
  );
  let assemblyFormat = [{
    `` $role $name $shape $type `as` $host_type (`whole` $whole^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Core_BoundsOp : Core_Op<"bounds", [HasParent<"EntryOp">]> {
  let summary = "What no program of the same layouts can be below, in cycles";
  let description = [{
    Of a step; `wires` are hops alone, `hard` has words, ramps and products of
    weights as well, `products` are the latter's share, `pace` the products of
    one token on the fullest stage. Behind `layers` the same of each of so many
    that are alike. `floor` is `hard` and the issue of the instructions that
    products and messages take, of a step and of a layer (docs/mapping.md, Bounds).

    ```mlir
    core.bounds wires 90 hard 200 products 40 pace 40
      layers 5 wires 16 hard 38 products 8 floor 230, 44
    ```
  }];
  let arguments = (ins
    I64Attr:$wires, I64Attr:$hard, I64Attr:$products, I64Attr:$pace,
    DefaultValuedAttr<I64Attr, "0">:$layers,
    DefaultValuedAttr<I64Attr, "0">:$layer_wires,
    DefaultValuedAttr<I64Attr, "0">:$layer_hard,
    DefaultValuedAttr<I64Attr, "0">:$layer_products,
    DefaultValuedAttr<I64Attr, "0">:$floor,
    DefaultValuedAttr<I64Attr, "0">:$layer_floor
  );
  let assemblyFormat = [{
    `wires` $wires `hard` $hard `products` $products `pace` $pace
    (`layers` $layers^ `wires` $layer_wires `hard` $layer_hard `products`
     $layer_products)? (`floor` $floor^ `,` $layer_floor)? attr-dict
  }];
  let hasVerifier = 1;
}

def Core_RegionOp : Core_Op<"region", [HasParent<"ImageOp">, NoTerminator,
                                       SingleBlock, SymbolTable]> {
  let summary = "A rectangle of PEs and its programs";
  let description = [{
    `columns` gives the class of each column from west to east, `rows` of each
    row from north to south: a list of classes, `a x n` is class a n times,
    `(a, b) x n` both of them n times over. `memory` is the bytes of SRAM that
    the programs address; `core-allocate` writes it. `stages` says that
    the rectangle is so many equal stages side by side.
  }];
  let arguments = (ins
    I64Attr:$x, I64Attr:$y, I64Attr:$width, I64Attr:$height,
    ArrayAttr:$columns, ArrayAttr:$rows, OptionalAttr<I64Attr>:$memory,
    OptionalAttr<DenseI64ArrayAttr>:$stages
  );
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `at` $x `,` $y `size` $width `,` $height `columns` custom<Runs>($columns)
    `rows` custom<Runs>($rows) (`memory` $memory^)? (`stages` $stages^)?
    attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Core_SetOp : Core_Op<"set", [HasParent<"RegionOp">, Symbol]> {
  let summary = "Name a set of classes";
  let description = [{
    ```mlir
    core.set @ends = [0, 3]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseI64ArrayAttr:$classes);
  let assemblyFormat = "$sym_name `=` $classes attr-dict";
  let hasVerifier = 1;
}

def Core_BufferOp : Core_Op<"buffer", [ParentOneOf<["RegionOp", "ProgramOp"]>,
                                       Symbol]> {
  let summary = "Name bytes of a PE's memory";
  let description = [{
    A buffer of a region is there for all its programs, on the PEs that `on`
    names; one of a program is its own, and scratch lives from the first to the
    last instruction that names it. `at` is its address: given by hand, or by
    `core-share` and `core-allocate`. `start` is what the address should be
    modulo the banks of the memory (`core-assign-banks`).

    ```mlir
    core.buffer parameter @wq bytes 4096 on columns @stage0
    core.buffer scratch @scores bytes 256 start 12 at 8204
    ```
  }];
  let arguments = (ins
    Core_UseAttr:$use,
    SymbolNameAttr:$sym_name,
    I64Attr:$bytes,
    OptionalAttr<I64Attr>:$start,
    OptionalAttr<I64Attr>:$address,
    OptionalAttr<FlatSymbolRefAttr>:$columns,
    OptionalAttr<FlatSymbolRefAttr>:$rows
  );
  let assemblyFormat = [{
    `` $use $sym_name `bytes` $bytes (`start` $start^)? (`at` $address^)?
    (custom<Classes>($columns, $rows)^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Core_BindOp : Core_Op<"bind", [ParentOneOf<["RegionOp", "ProgramOp"]>]> {
  let summary = "Say how a tensor lies on the PEs";
  let description = [{
    Each PE holds the product of the digits without an axis, row-major, at
    `address`, which may be that of a buffer and so many bytes more. An axis that no digit names replicates. Parameters, states and
    index tensors belong to the region, inputs and outputs to a program.

    ```mlir
    core.bind parameter "w" f32[0] as f32 [15 by 1 (x 4, 4)] source 0
    core.bind state "k" f32[@k + 128] as f32 [15 by 1 (x 4, 4)]
    core.bind output "y" f32[64] as f32 [4 by 1 (4)] on columns @first
    core.bind parameter "w" f16[0] as f16 [8 by 4 (8), 4 by 1 (4)] source 0
        packed <codes groups [1, 4] of 8 by 4 bits 8 size 4 scales f32>
    ```
  }];
  let arguments = (ins
    Core_RoleAttr:$role,
    StrAttr:$name,
    TypeAttr:$type,
    OptionalAttr<FlatSymbolRefAttr>:$buffer,
    I64Attr:$address,
    TypeAttr:$host_type,
    ArrayAttr:$dims,
    DefaultValuedAttr<I64Attr, "0">:$padding,
    OptionalAttr<I64Attr>:$source,
    DefaultValuedAttr<I64Attr, "0">:$source_offset,
    OptionalAttr<Core_PackingAttr>:$packing,
    OptionalAttr<FlatSymbolRefAttr>:$columns,
    OptionalAttr<FlatSymbolRefAttr>:$rows
  );
  let assemblyFormat = [{
    `` $role $name custom<Address>($type, $buffer, $address) `as` $host_type
    custom<Dims>($dims) (`padding` $padding^)?
    (`source` $source^ (`offset` $source_offset^)?)? (`packed` $packing^)?
    (custom<Classes>($columns, $rows)^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Core_ProgramOp : Core_Op<"program", [HasParent<"RegionOp">, NoTerminator,
                                         SingleBlock, SymbolTable]> {
  let summary = "What the PEs of a region do in one entry";
  let description = [{
    `shares "other"`: the program's instructions are those of entry `other`, but for
    the counts of outermost loops that say `per_entry`, and lie in the memory of a
    PE once. Names of buffers are looked for here first, then in the region.
  }];
  let arguments = (ins StrAttr:$entry, OptionalAttr<StrAttr>:$shares);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $entry (`shares` $shares^)? attr-dict-with-keyword $body
  }];
}

def Core_RouteOp : Core_Op<"route", [HasParent<"ProgramOp">]> {
  let summary = "What routers do with one color";
  let description = [{
    Words that come in at one of the inputs leave at all outputs. Several inputs
    take turns in the order listed, each for so many words, over and over.

    ```mlir
    core.route 2 from ramp to west on columns @odd
    core.route 0 from ramp 8, east 24 to west
    ```
  }];
  let arguments = (ins
    I64Attr:$color,
    ArrayAttr:$inputs,
    I64Attr:$outputs,
    OptionalAttr<FlatSymbolRefAttr>:$columns,
    OptionalAttr<FlatSymbolRefAttr>:$rows
  );
  let assemblyFormat = [{
    $color `from` custom<Turns>($inputs) `to` custom<Sides>($outputs)
    (custom<Classes>($columns, $rows)^)? attr-dict
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Instructions. The location of an instruction is the ONNX node it is for.
//===----------------------------------------------------------------------===//

class Core_Instruction<string mnemonic, list<Trait> traits = []>
    : Core_Op<mnemonic,
              !listconcat([ParentOneOf<["ProgramOp", "LoopOp"]>], traits)> {
  /// `on columns @a rows @b if i32[64] thread 0`
  dag modifiers = (ins
    OptionalAttr<FlatSymbolRefAttr>:$columns,
    OptionalAttr<FlatSymbolRefAttr>:$rows,
    OptionalAttr<Core_OperandAttr>:$predicate,
    OptionalAttr<I64Attr>:$thread
  );
  string modifierFormat =
      "(custom<Modifiers>($columns, $rows, $predicate, $thread)^)? attr-dict";
}

def Core_VectorOp : Core_Instruction<"vector"> {
  let summary = "dst[i] = op(a[i], b[i], c[i])";
  let description = [{
    In index order, one element after the other: a destination stride of 0
    folds. `fma` is a + b * c with a scalar c; `select` is a ? b : c. With `if`
    it stores only where the i32 word is not 0. `product` marks what belongs
    to a matrix product; only the accounts of a run see it. `live` lets a
    dimension end with the live slots of a cache.

    ```mlir
    core.vector add [8] f32[256] = f32[0], f32[128]
    core.vector add [8] f32[256 : 0] = f32[256 : 0], f32[0]    // a sum
    core.vector fma [4, 8] f32[0 : 0, 1] = f32[0 : 0, 1], f32[64], f32(0.5)
    ```
  }];
  let arguments = !con((ins
    Core_OpcodeAttr:$op, DenseI64ArrayAttr:$shape, Core_OperandAttr:$dst,
    ArrayAttr:$sources, UnitAttr:$product, OptionalAttr<Core_LiveAttr>:$live),
    modifiers);
  let assemblyFormat =
      "`` $op $shape custom<At>($dst) `=` custom<Ats>($sources) "
      "(`product` $product^)? (`live` $live^)? "
      # modifierFormat;
  let hasVerifier = 1;
}

def Core_SendOp : Core_Instruction<"send"> {
  let summary = "Send the elements of an operand";
  let description = [{
    ```mlir
    core.send [8] f32[0] to 3 on columns @left
    ```
  }];
  let arguments = !con((ins
    DenseI64ArrayAttr:$shape, Core_OperandAttr:$a, I64Attr:$color,
    DefaultValuedAttr<I64Attr, "0">:$queue), modifiers);
  let assemblyFormat =
      "$shape custom<At>($a) `to` $color (`queue` $queue^)? "
      # modifierFormat;
  let hasVerifier = 1;
}

def Core_RecvOp : Core_Instruction<"recv"> {
  let summary = "Store received elements";
  let arguments = !con((ins
    DenseI64ArrayAttr:$shape, Core_OperandAttr:$dst, I64Attr:$color,
    DefaultValuedAttr<I64Attr, "0">:$queue), modifiers);
  let assemblyFormat =
      "$shape custom<At>($dst) `from` $color (`queue` $queue^)? "
      # modifierFormat;
  let hasVerifier = 1;
}

def Core_RecvFoldOp : Core_Instruction<"recv_fold"> {
  let summary = "dst = fold(dst, received)";
  let description = [{
    ```mlir
    core.recv_fold add [8] f32[0] from 3
    ```
  }];
  let arguments = !con((ins
    Core_FoldAttr:$fold, DenseI64ArrayAttr:$shape, Core_OperandAttr:$dst,
    I64Attr:$color, DefaultValuedAttr<I64Attr, "0">:$queue), modifiers);
  let assemblyFormat =
      "`` $fold $shape custom<At>($dst) `from` $color (`queue` $queue^)? "
      # modifierFormat;
  let hasVerifier = 1;
}

def Core_RecvFoldSendOp : Core_Instruction<"recv_fold_send"> {
  let summary = "Send on fold(received, a)";
  let description = [{
    The link of a chain: nothing is stored.

    ```mlir
    core.recv_fold_send add [8] f32[0] from 3 to 4
    ```
  }];
  let arguments = !con((ins
    Core_FoldAttr:$fold, DenseI64ArrayAttr:$shape, Core_OperandAttr:$a,
    I64Attr:$in_color, DefaultValuedAttr<I64Attr, "0">:$in_queue,
    I64Attr:$out_color, DefaultValuedAttr<I64Attr, "0">:$out_queue), modifiers);
  let assemblyFormat =
      "`` $fold $shape custom<At>($a) `from` $in_color (`queue` $in_queue^)? "
      "`to` $out_color (`queue` $out_queue^)? " # modifierFormat;
  let hasVerifier = 1;
}

def Core_LoopOp : Core_Op<"loop", [ParentOneOf<["ProgramOp", "LoopOp"]>,
                                   NoTerminator, SingleBlock]> {
  let summary = "Repeat instructions a fixed number of times";
  let description = [{
    `per_entry`: entries that share the code repeat it so many times each as they
    say. `over` names what the trips are, for accounts.

    ```mlir
    core.loop 4 {
      core.vector mov [8] f32[64 step 0 by 32] = f32[0]
    }
    core.loop 16 per_entry over tokens {
    }
    ```
  }];
  let arguments = (ins
    I64Attr:$count,
    UnitAttr:$per_entry,
    DefaultValuedAttr<Core_LoopOverAttr, "LoopOver::nothing">:$over,
    OptionalAttr<FlatSymbolRefAttr>:$columns,
    OptionalAttr<FlatSymbolRefAttr>:$rows
  );
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $count (`per_entry` $per_entry^)? (`over` $over^)? (custom<Classes>($columns, $rows)^)?
    attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Core_WaitOp : Core_Instruction<"wait"> {
  let summary = "Go on when a thread has ended";
  let arguments = (ins I64Attr:$thread,
                       OptionalAttr<FlatSymbolRefAttr>:$columns,
                       OptionalAttr<FlatSymbolRefAttr>:$rows);
  let assemblyFormat = "$thread (custom<Classes>($columns, $rows)^)? attr-dict";
}

def Core_RewriteOp : Core_Instruction<"rewrite"> {
  let summary = "Cost of rewriting a descriptor";
  let arguments = (ins OptionalAttr<FlatSymbolRefAttr>:$columns,
                       OptionalAttr<FlatSymbolRefAttr>:$rows);
  let assemblyFormat = "(custom<Classes>($columns, $rows)^)? attr-dict";
}

def Core_EndOp : Core_Instruction<"end"> {
  let summary = "End of the program";
  let arguments = (ins);
  let assemblyFormat = "attr-dict";
}

#endif // WAFERLOOM_DIALECT_CORE_COREOPS
