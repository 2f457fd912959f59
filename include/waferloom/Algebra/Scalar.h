//===- Scalar.h - The value of one op on numbers ----------------*- C++ -*-===//
//
// What the ops inside a linalg.generic compute, on plain numbers. Every value
// of f32, i32 and i1 is exact as a double; results are rounded to their type.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_ALGEBRA_SCALAR_H
#define WAFERLOOM_ALGEBRA_SCALAR_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Attributes.h"
#include "mlir/IR/Operation.h"

#include <optional>

namespace waferloom::algebra {

/// What the reductions of a generic compute.
enum class Fold { None, Sum, Max, Min };

/// What an op does, as far as rules about sums and extremes go. Integers and
/// floats alike.
enum class ScalarKind {
  Other,
  Add,
  Subtract,
  Multiply,
  Divide, ///< of floats
  Negate,
  Maximum,
  Minimum,
  Select,
  Widen,  ///< to a float of more bits
  Narrow, ///< to a float of fewer bits
  FromInteger,
};

enum ScalarProperty : unsigned {
  StaysFinite = 1,  ///< finite operands give a finite result
  Approximates = 2, ///< may lose the last bits where factors are halves
  OfAngle = 4,      ///< so may not what its operand is computed from
};

/// `Other` for an op that no rule is about.
ScalarKind getKind(mlir::Operation *op);

bool has(mlir::Operation *op, ScalarProperty property);

/// The result of `op`, an arith or math op of the body of a generic, or nothing
/// if there is no rule for it.
std::optional<double> evaluate(mlir::Operation *op,
                               llvm::ArrayRef<double> operands);

/// Cycles that an op of a body takes per element, in vector instructions: what
/// plans are compared by.
double getVectorCycles(mlir::Operation *op);
/// The same of all ops of a body.
double getBodyCycles(mlir::linalg::GenericOp op);

/// `value` rounded to `type`.
double roundTo(double value, mlir::Type type);

/// The number of a float, integer or splat attribute.
std::optional<double> getNumber(mlir::Attribute attribute);

/// The number of a constant value, scalar or splat, looking through
/// linalg.fill.
std::optional<double> getNumber(mlir::Value value);

/// A float or integer attribute of `type`.
mlir::TypedAttr getAttribute(mlir::Type type, double value);

/// The fold that the reduction loops of `op` compute and, in `term`, the value
/// of the body that enters it: yield fold(acc, term). None without reductions
/// or when the body has another form.
Fold getFold(mlir::linalg::GenericOp op, mlir::Value &term);

/// What a fold starts from: 0, -inf, inf, or the type's own extremes.
double getNeutral(Fold fold, mlir::Type type);

/// Does the body only hand on its single input, all loops parallel?
bool isCopy(mlir::linalg::GenericOp op);

} // namespace waferloom::algebra

#endif // WAFERLOOM_ALGEBRA_SCALAR_H
