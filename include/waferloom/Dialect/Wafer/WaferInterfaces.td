//===- WaferInterfaces.td - What ops have in common --------*- tablegen -*-===//

#ifndef WAFERLOOM_DIALECT_WAFER_WAFERINTERFACES
#define WAFERLOOM_DIALECT_WAFER_WAFERINTERFACES

include "mlir/IR/OpBase.td"

/// All PEs along the op's axes take part: none may leave it out.
def Wafer_Collective : NativeOpTrait<"Collective"> {
  let cppNamespace = "::waferloom::wafer";
}

def Wafer_StoredOpInterface : OpInterface<"StoredOpInterface"> {
  let cppNamespace = "::waferloom::wafer";
  let description = [{
    An op that reads what stays in memory from step to step, by name: a weight
    or a state. Inside a `wafer.repeat` there is one name per trip.
  }];
  let methods = [
    InterfaceMethod<"The names, symbols of weights or strings of states.",
                    "::mlir::ArrayAttr", "getStoredNames">,
    InterfaceMethod<"Reads these instead.", "void", "setStoredNames",
                    (ins "::mlir::ArrayAttr":$names)>
  ];
}

def Wafer_PrecisionOpInterface : OpInterface<"PrecisionOpInterface"> {
  let cppNamespace = "::waferloom::wafer";
  let description = [{
    What a precision that is chosen (algebra-precision) makes of an op that is no
    generic. Numbers are stored as f16 or f32 and computed as f32: an op that says
    nothing reads either and gives f32.
  }];
  let methods = [
    InterfaceMethod<[{
        The operand whose numbers the result holds as they are stored; none if
        the result holds others.
      }], "std::optional<unsigned>", "getForwardedOperand", (ins), "",
      "return std::nullopt;">,
    InterfaceMethod<"Does the op read f32 only, so that halves are widened first?",
      "bool", "readsSingles", (ins), "", "return false;">,
    InterfaceMethod<[{
        Is `operand` a table of which the op reads a few rows? A large one is
        stored as f16 though no product reads it.
      }], "bool", "isTable", (ins "::mlir::OpOperand &":$operand), "",
      "return false;">
  ];
}

#endif // WAFERLOOM_DIALECT_WAFER_WAFERINTERFACES
