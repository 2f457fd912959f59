//===- Functions.h - The list of scalar functions ---------------*- C++ -*-===//
//
// Functions.def as data and as questions about MLIR ops.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_SCALAR_FUNCTIONS_H
#define WAFERLOOM_SCALAR_FUNCTIONS_H

#include "mlir/IR/Operation.h"

#include <cmath>
#include <optional>

namespace mlir {
class OpBuilder;
} // namespace mlir

namespace waferloom::scalar {

enum class Function : uint8_t {
#define INSTRUCTION(name, onnx, operands, op, opcode, finite, value) name,
#define COMPOSED(name, operands, op, weight, temporaries, finite, value) name,
#define SEQUENCE(name, onnx, op, exact, quick, flags, weight, temporaries,     \
                 finite, value)                                                \
  name,
#include "waferloom/Scalar/Functions.def"
};

/// What Functions.def says of a function.
struct Facts {
  const char *name;
  bool isOnnx; ///< ONNX has an operator of that name
  int operands;
  double weight;    ///< cost for planning, in vector instructions per element
  int temporaries;  ///< vectors of it that live at one time, at most
  bool staysFinite; ///< finite operands give a finite result
};

const Facts &factsOf(Function function);

/// The function that `op` computes, if it is in the list.
std::optional<Function> functionOf(mlir::Operation *op);

/// The exact result in double precision; `b` is not looked at if the function
/// has one operand.
double evaluate(Function function, double a, double b = 0);

/// The op that computes `function` of `operands`, which are floats of one type.
mlir::Value create(mlir::OpBuilder &builder, mlir::Location loc,
                   Function function, mlir::ValueRange operands);

} // namespace waferloom::scalar

#endif // WAFERLOOM_SCALAR_FUNCTIONS_H
