//===- WaferDialect.td - The dialect and its base class ----*- tablegen -*-===//

#ifndef WAFERLOOM_DIALECT_WAFER_WAFERDIALECT
#define WAFERLOOM_DIALECT_WAFER_WAFERDIALECT

include "mlir/IR/OpBase.td"

def Wafer_Dialect : Dialect {
  let name = "wafer";
  let cppNamespace = "::waferloom::wafer";
  let summary = "Program entry, persistent state, and what linalg cannot say";
  let description = [{
    A program is one `func.func` per entry, without arguments or results and
    with the attribute `wafer.tokens`, the new tokens that a step of this entry
    takes. What enters and leaves does so by ops of this dialect, so that every
    level can say where a value lies without changing a signature.
  }];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = "void registerAttributes();";
}

class Wafer_Op<string mnemonic, list<Trait> traits = []>
    : Op<Wafer_Dialect, mnemonic, traits>;

#endif // WAFERLOOM_DIALECT_WAFER_WAFERDIALECT
