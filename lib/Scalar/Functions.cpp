#include "waferloom/Scalar/Functions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::scalar;

static const Facts facts[] = {
#define INSTRUCTION(name, onnx, operands, op, opcode, finite, value)           \
  {#name, onnx, operands, 1, 1, finite},
#define COMPOSED(name, operands, op, weight, temporaries, finite, value)       \
  {#name, true, operands, weight, temporaries, finite},
#define SEQUENCE(name, onnx, op, exact, quick, flags, weight, temporaries,     \
                 finite, value)                                                \
  {#name, onnx, 1, weight, temporaries, finite},
#include "waferloom/Scalar/Functions.def"
};

const Facts &scalar::factsOf(Function function) {
  return facts[static_cast<size_t>(function)];
}

std::optional<Function> scalar::functionOf(Operation *op) {
#define ROW(name, OpType)                                                      \
  if (isa<OpType>(op))                                                         \
    return Function::name;
#define INSTRUCTION(name, onnx, operands, op, opcode, finite, value)           \
  ROW(name, op)
#define COMPOSED(name, operands, op, weight, temporaries, finite, value)       \
  ROW(name, op)
#define SEQUENCE(name, onnx, op, exact, quick, flags, weight, temporaries,     \
                 finite, value)                                                \
  ROW(name, op)
#include "waferloom/Scalar/Functions.def"
#undef ROW
  return std::nullopt;
}

double scalar::evaluate(Function function, double a, double b) {
  switch (function) {
#define ROW(name, value)                                                       \
  case Function::name:                                                         \
    return value;
#define INSTRUCTION(name, onnx, operands, op, opcode, finite, value)           \
  ROW(name, value)
#define COMPOSED(name, operands, op, weight, temporaries, finite, value)       \
  ROW(name, value)
#define SEQUENCE(name, onnx, op, exact, quick, flags, weight, temporaries,     \
                 finite, value)                                                \
  ROW(name, value)
#include "waferloom/Scalar/Functions.def"
#undef ROW
  }
  llvm_unreachable("every function is in the list");
}

namespace {
/// The number of operands as a type, to choose among builders.
template <int operands>
struct Count {};
} // namespace

template <typename OpType>
static Value make(OpBuilder &b, Location loc, ValueRange v, Count<1>) {
  return OpType::create(b, loc, v[0]);
}

template <typename OpType>
static Value make(OpBuilder &b, Location loc, ValueRange v, Count<2>) {
  return OpType::create(b, loc, v[0], v[1]);
}

Value scalar::create(OpBuilder &builder, Location loc, Function function,
                     ValueRange operands) {
  switch (function) {
#define ROW(name, OpType, count)                                               \
  case Function::name:                                                         \
    return make<OpType>(builder, loc, operands, Count<count>());
#define INSTRUCTION(name, onnx, operands, op, opcode, finite, value)           \
  ROW(name, op, operands)
#define COMPOSED(name, operands, op, weight, temporaries, finite, value)       \
  ROW(name, op, operands)
#define SEQUENCE(name, onnx, op, exact, quick, flags, weight, temporaries,     \
                 finite, value)                                                \
  ROW(name, op, 1)
#include "waferloom/Scalar/Functions.def"
#undef ROW
  }
  llvm_unreachable("every function is in the list");
}
