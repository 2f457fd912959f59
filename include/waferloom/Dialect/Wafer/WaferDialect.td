//===- WaferDialect.td - The dialect and its base class ----*- tablegen -*-===//

#ifndef WAFERLOOM_DIALECT_WAFER_WAFERDIALECT
#define WAFERLOOM_DIALECT_WAFER_WAFERDIALECT

include "mlir/IR/OpBase.td"

def Wafer_Dialect : Dialect {
  let name = "wafer";
  let cppNamespace = "::waferloom::wafer";
  let summary = "Program entry, persistent state, and what linalg cannot say";
  let description = [{
    A program is functions without arguments or results, and in front of them a
    `wafer.program` that says which entries run them. What enters and leaves does so by ops of this dialect, so that every
    level can say where a value lies without changing a signature.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// Attributes of a module: the machine that it is compiled for, a
    /// #wafer.target, and a dictionary of the options that were chosen.
    static constexpr ::llvm::StringLiteral targetName = "wafer.target";
    static constexpr ::llvm::StringLiteral optionsName = "wafer.options";
    void registerAttributes();
  }];
}

class Wafer_Op<string mnemonic, list<Trait> traits = []>
    : Op<Wafer_Dialect, mnemonic, traits>;

#endif // WAFERLOOM_DIALECT_WAFER_WAFERDIALECT
