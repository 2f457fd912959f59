//===- SymbolicTensor.h - What import knows about an ONNX value -*- C++ -*-===//
//
// An ONNX value is known in one or more of these ways:
//
//   elements   a short list of expressions (shape vectors, bounds, axes)
//   function   one expression over the tensor's indices (masks, positions)
//   view       a tensor that exists at run time, or can be made to
//
// A view is a tensor and the way its dimensions make up those of the value.
// Transpose, Expand, Unsqueeze and Reshape only change that way, so that most
// of them never become operations:
//
//   value [b, h, L, d] with h = kv * g repeated heads of a cache [b, kv, L, d]
//   dims  [[b], [kv, g: broadcast], [L], [d]]
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_IMPORT_SYMBOLICTENSOR_H
#define WAFERLOOM_LIB_IMPORT_SYMBOLICTENSOR_H

#include "Expr.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace waferloom::import {

/// A part of a dimension: a dimension of the tensor below, or -1 for one that
/// the tensor lacks (repeated, or of size 1).
struct Factor {
  int64_t size;
  int base;
};

/// A logical dimension is the product of its factors, outermost first. A
/// dimension of size 1 may have none. Unreferenced dimensions of the tensor
/// have size 1.
struct View {
  mlir::Value tensor;
  llvm::SmallVector<llvm::SmallVector<Factor, 1>> dims;
};

/// Rows of which data decides how many there are: all that there may be, and
/// which of them there are. What is computed of the others reaches nothing.
struct ChosenRows {
  unsigned axis = 0;
  /// A function of d0, the row.
  Expr present;
  /// Their number: an integer that nothing is known of.
  Expr count;
  /// Of rows that follow each other, the first; else null.
  Expr begin = nullptr;
};

struct SymbolicTensor {
  /// Polynomials in p. A dimension in which p occurs is bounded: its tensor
  /// has the size at the largest p, and only a prefix of it is live.
  llvm::SmallVector<Expr> shape;
  /// Element type of the file; run-time tensors hold i64 as i32.
  mlir::Type type;

  std::optional<llvm::SmallVector<Expr>> elements;
  Expr function = nullptr;
  std::optional<View> view;

  /// What the file says of a constant, whatever else is known of it.
  mlir::DenseElementsAttr given;
  /// A constant of the file that is not an index function, as the wafer has it.
  mlir::DenseElementsAttr constant;
  /// A weight: the symbol that `wafer.parameter` reads.
  mlir::StringAttr weight;

  /// The past of a state that was not read yet, by its number.
  int past = -1;
  /// The state that this is, after the append.
  int appended = -1;

  /// Values one behind the other along `joinedAxis`, one of them of a live
  /// length: they stay apart (Joins.cpp).
  llvm::SmallVector<SymbolicTensor *, 0> parts;
  unsigned joinedAxis = 0;
  /// Rows that may be absent (Rows.cpp).
  std::optional<ChosenRows> rows;

  /// What lies beyond the live length along the last bounded dimension.
  bool paddingIsZero = false;
  bool paddingIsFinite = false;

  bool isFloat() const { return mlir::isa<mlir::FloatType>(type); }
  bool isBool() const { return type.isInteger(1); }
  bool isInt() const { return !isFloat() && !isBool(); }
  size_t rank() const { return shape.size(); }
  /// Known without any tensor of floats at run time.
  bool isSymbolic() const { return elements || function; }
};

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_SYMBOLICTENSOR_H
