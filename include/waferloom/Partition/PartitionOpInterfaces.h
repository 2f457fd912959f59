//===- PartitionOpInterfaces.h - The rules of an op -------------*- C++ -*-===//
//
// What partitioning asks an op, and what an op says of itself in answer. Phases
// know no op by name: one that is added gets a model of these interfaces in a
// file of lib/Partition/Ops.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_PARTITION_PARTITIONOPINTERFACES_H
#define WAFERLOOM_PARTITION_PARTITIONOPINTERFACES_H

#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/IR/OpDefinition.h"

namespace waferloom::partition {

class Boundaries;
class ClassReader;
class Factorizer;
class Writer;

/// The loops of an op, as numbers: dimensions of one number run together, as
/// they do in the indexing maps of a generic.
struct IterationSpace {
  struct Tensor {
    unsigned operand; ///< its number
    llvm::SmallVector<int> loops;
  };
  /// Those operands that are tensors and have a loop, in the order in which
  /// they speak for it.
  llvm::SmallVector<Tensor> operands;
  llvm::SmallVector<int> result;
  /// Loops whose elements are contracted.
  llvm::SmallVector<int> reductions;
  /// Loops that every PE runs as a whole: what is sliced or joined.
  llvm::SmallVector<int> whole;
};

/// What one PE computes for each point of the iteration space.
struct LocalWork {
  double cyclesPerElement = 1;
  algebra::Fold fold = algebra::Fold::None; ///< over the reductions
  /// Of a sum of products, the operands that are multiplied.
  llvm::SmallVector<unsigned> factors;
  int halves = 0; ///< of them, those that are multiplied as f16
  /// Of the first operand only rows are read, as many as the result has.
  bool takesRows = false;
};

/// What an op is to layers that repeat.
enum class Rerolling {
  Computes, ///< a part of its layer
  Source,   ///< reads nothing that is computed: each trip has its own
  Never,    ///< enters, leaves or is a loop already: in no layer
};

// What an op does that says nothing else.
void relateLoops(mlir::Operation *op, Boundaries &boundaries);
void cloneFactored(mlir::Operation *op, Factorizer &factorizer);
llvm::LogicalResult readLoops(mlir::Operation *op, ClassReader &reader);
llvm::LogicalResult refuseToWrite(mlir::Operation *op);

/// `Computes` for an op that does not say.
Rerolling getRerolling(mlir::Operation *op);

/// Does `value` stay in memory from step to step?
bool isStored(mlir::Value value);

/// Adds the models of all ops that partitioning has rules for: those of linalg,
/// tensor and arith and this project's own.
void registerOpModels(mlir::DialectRegistry &registry);

} // namespace waferloom::partition

#include "waferloom/Partition/PartitionOpInterfaces.h.inc"

#endif // WAFERLOOM_PARTITION_PARTITIONOPINTERFACES_H
