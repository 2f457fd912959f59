//===- WaferProgramOps.td - What a program is and who runs it -*- tablegen -*-===//
//
// The facts of a whole program. They stand once, in front of everything else,
// and hold from level 2 on.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_WAFERPROGRAMOPS
#define WAFERLOOM_DIALECT_WAFER_WAFERPROGRAMOPS

include "waferloom/Dialect/Wafer/WaferAttrs.td"
include "mlir/IR/SymbolInterfaces.td"

def Wafer_ModelTensorAttr : Wafer_Attr<"ModelTensor", "model_tensor"> {
  let summary = "An input or output as the model's file says it";
  let description = [{
    A dimension is a number or a name.

    ```mlir
    #wafer.model_tensor<"logits", f32, ["batch_size", "sequence_length", 512]>
    ```
  }];
  let parameters = (ins "::mlir::StringAttr":$name, "::mlir::Type":$type,
                        "::mlir::ArrayAttr":$shape);
  let assemblyFormat = "`<` $name `,` $type `,` $shape `>`";
}

def Wafer_ModelStateAttr : Wafer_Attr<"ModelState", "model_state"> {
  let summary = "An output that comes back as an input of the next step";
  let description = [{
    `axis` is the dimension of the past that grows by the tokens of a step, or -1
    of a state that the first step fills and later ones read.

    ```mlir
    #wafer.model_state<"past_key_values.0.key", "present.0.key", 2>
    ```
  }];
  let parameters = (ins "::mlir::StringAttr":$past,
                        "::mlir::StringAttr":$present, "int64_t":$axis);
  let assemblyFormat = "`<` $past `,` $present `,` $axis `>`";
}

def Wafer_ProgramOp : Wafer_Op<"program", [
    HasParent<"::mlir::ModuleOp">, NoTerminator]> {
  let summary = "What all entries of a program share";
  let description = [{
    The first op of its module. `context` is the number of tokens that the states
    hold; `inputs`, `outputs` and `states` are the model's own. Planning adds the
    `region` of PEs that every entry runs on, and `stages` where several copies
    of it stand side by side. Inside stand the entries.

    Where stages have regions of unlike shapes, their module has a module for each
    kind, `ends` and `layers` in this order, with a program of its own: the
    region of its stages, and `stages` of both kinds together.

    ```mlir
    wafer.program context 64 region <x = 2 x 4, y = 8> stages <3 x 1> {
      wafer.entry "tokens1" of @tokens1 tokens 1
      wafer.entry "tokens16" of @tokens16 tokens 16
    }
    ```
  }];
  let arguments = (ins
    OptionalAttr<ConfinedAttr<I64Attr, [IntPositive]>>:$context,
    OptionalAttr<Wafer_RegionAttr>:$pes,
    OptionalAttr<Wafer_StagesAttr>:$stages,
    OptionalAttr<Wafer_Kind>:$kind,
    OptionalAttr<TypedArrayAttrBase<Wafer_ModelTensorAttr, "model tensors">>:$inputs,
    OptionalAttr<TypedArrayAttrBase<Wafer_ModelTensorAttr, "model tensors">>:$outputs,
    OptionalAttr<TypedArrayAttrBase<Wafer_ModelStateAttr, "model states">>:$states
  );
  let regions = (region MaxSizedRegion<1>:$body);
  let assemblyFormat = [{
    (`context` $context^)? (`region` $pes^)? (`stages` $stages^)?
    (`kind` $kind^)? (`inputs` $inputs^)? (`outputs` $outputs^)? (`states` $states^)?
    $body attr-dict
  }];
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// The program of `module`, which gets an empty one if it has none.
    static ProgramOp getOrCreate(::mlir::ModuleOp module);

    auto getEntries() { return getBody().getOps<EntryOp>(); }
    /// The entry that runs a function as it stands; null: there is none.
    EntryOp getEntryOf(::llvm::StringRef function);
    /// The entries that stream tokens through a function.
    ::llvm::SmallVector<EntryOp> getStreamed(::llvm::StringRef function);
    EntryOp addEntry(::llvm::StringRef name, ::llvm::StringRef function,
                     int64_t tokens);
  }];
}

def Wafer_EntryOp : Wafer_Op<"entry", [
    HasParent<"ProgramOp">, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A step that users can ask for";
  let description = [{
    A step of `tokens` new tokens, which runs a function of the module. `shapes`
    are those of inputs, outputs and states as users know them, before any
    dimension was cut or padded. Inputs in `ones` are read by no PE: the host
    takes them and checks that all their elements are 1. Steps of a session that
    has fewer tokens than `from`, or not fewer than `until`, take another entry: so
    one `until 1` is for the first step alone, and one `from 1` for all others.

    With `per_token` the entry streams its tokens, one after the other, through
    the function, whose own entry takes one. It gives the dimension that counts
    tokens, for each input that has one.

    ```mlir
    wafer.entry "tokens1" of @tokens1 tokens 1
        shapes {input_ids = array<i64: 1, 1>} ones {attention_mask = tensor<1x64xi64>}
    wafer.entry "tokens4" of @tokens1 tokens 4
        shapes {input_ids = array<i64: 1, 4>} ones {attention_mask = tensor<1x64xi64>}
        per_token {input_ids = 1}
    ```
  }];
  let arguments = (ins
    StrAttr:$name,
    FlatSymbolRefAttr:$function,
    ConfinedAttr<I64Attr, [IntPositive]>:$tokens,
    DefaultValuedAttr<I64Attr, "0">:$from,
    OptionalAttr<ConfinedAttr<I64Attr, [IntPositive]>>:$until,
    OptionalAttr<DictionaryAttr>:$shapes,
    OptionalAttr<DictionaryAttr>:$ones,
    OptionalAttr<DictionaryAttr>:$per_token
  );
  let assemblyFormat = [{
    $name `of` $function `tokens` $tokens (`from` $from^)? (`until` $until^)?
    (`shapes` $shapes^)? (`ones` $ones^)? (`per_token` $per_token^)? attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool isStreamed() { return getPerTokenAttr() != nullptr; }
    /// The shape that users know of an input, output or state; none: not said.
    std::optional<::llvm::ArrayRef<int64_t>> getShape(::llvm::StringRef name);
    /// The dimension of an input that counts the tokens of a streamed entry.
    std::optional<size_t> getTokenDim(::llvm::StringRef input);
  }];
}

#endif // WAFERLOOM_DIALECT_WAFER_WAFERPROGRAMOPS
