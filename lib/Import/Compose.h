//===- Compose.h - Operators in terms of others -----------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_COMPOSE_H
#define WAFERLOOM_LIB_IMPORT_COMPOSE_H

#include "Operators.h"

namespace waferloom::import {

/// Applies operators of the table, in their newest version, to write another
/// one. After a refusal every result is null, and null operands are passed on:
/// who composes looks at shapes only of what it was given.
class Compose {
public:
  explicit Compose(Call &call)
      : call(call), type(call.input(0)->type), builder(call.lowering.builder) {}

  using Operands = llvm::ArrayRef<SymbolicTensor *>;
  using Attributes = llvm::ArrayRef<mlir::NamedAttribute>;

  SymbolicTensor *operator()(llvm::StringRef op, Operands operands,
                             Attributes attributes = {});

  /// All of so many results; none after a refusal.
  Results all(llvm::StringRef op, Operands operands, Attributes attributes,
              unsigned count);

  // The commonest, by name.
  SymbolicTensor *add(SymbolicTensor *a, SymbolicTensor *b) {
    return (*this)("Add", {a, b});
  }
  SymbolicTensor *sub(SymbolicTensor *a, SymbolicTensor *b) {
    return (*this)("Sub", {a, b});
  }
  SymbolicTensor *mul(SymbolicTensor *a, SymbolicTensor *b) {
    return (*this)("Mul", {a, b});
  }
  SymbolicTensor *div(SymbolicTensor *a, SymbolicTensor *b) {
    return (*this)("Div", {a, b});
  }
  SymbolicTensor *where(SymbolicTensor *condition, SymbolicTensor *a,
                        SymbolicTensor *b) {
    return (*this)("Where", {condition, a, b});
  }
  SymbolicTensor *less(SymbolicTensor *a, SymbolicTensor *b) {
    return (*this)("Less", {a, b});
  }
  /// c[0] + x * (c[1] + x * (c[2] + ..)).
  SymbolicTensor *polynomial(SymbolicTensor *x, llvm::ArrayRef<double> c);

  /// A scalar of the type of the first operand.
  SymbolicTensor *constant(double value) { return constant(value, type); }
  SymbolicTensor *constant(double value, mlir::Type of);
  SymbolicTensor *ints(llvm::ArrayRef<int64_t> values) {
    return call.lowering.fromInts(values);
  }
  /// 0, 1, 2, .. along the last of so many dimensions.
  SymbolicTensor *iota(Expr size);

  mlir::NamedAttribute attribute(llvm::StringRef name, int64_t value);
  mlir::NamedAttribute attribute(llvm::StringRef name,
                                 llvm::ArrayRef<int64_t> values);

  bool failed() const { return !call.lowering.refusal.empty(); }

private:
  Call &call;
  mlir::Type type;
  mlir::OpBuilder &builder;
};

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_COMPOSE_H
