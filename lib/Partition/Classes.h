//===- Classes.h - The planning problem of a module ---------------*- C++
//-*-===//

#ifndef WAFERLOOM_LIB_PARTITION_CLASSES_H
#define WAFERLOOM_LIB_PARTITION_CLASSES_H

#include "Search.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"

namespace waferloom::partition {

/// A module as a planning problem, and the way back.
struct ModuleClasses {
  Problem problem;
  /// The classes of the dimensions of each tensor as it is produced.
  llvm::DenseMap<mlir::Value, llvm::SmallVector<int>> values;
  /// The classes that an operand is read with, where they are others: a change
  /// of layout comes first.
  llvm::DenseMap<std::pair<mlir::Operation *, unsigned>, llvm::SmallVector<int>>
      changes;
};

/// Reads the classes off a module whose dimensions are factored. Errors: an op
/// without a rule; a weight or state that entries use in ways that cannot
/// agree.
mlir::FailureOr<ModuleClasses> classify(mlir::ModuleOp module);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_CLASSES_H
