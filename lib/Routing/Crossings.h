//===- Crossings.h - Ops that words cross PEs for ---------------*- C++ -*-===//
//
// What convert-wafer-to-fabric knows of an op of level 4 before it rewrites
// any: the lines of its messages, for which algorithms are chosen together.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_ROUTING_CROSSINGS_H
#define WAFERLOOM_LIB_ROUTING_CROSSINGS_H

#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Routing/Routing.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

namespace waferloom::routing {

/// What travels one way.
struct Messages {
  /// The values of a message have one element type: positions among the
  /// operands (results, of what travels back), by type.
  llvm::MapVector<mlir::Type, llvm::SmallVector<unsigned>> values;
  /// For each message its lines, in order: indices into the list of all.
  llvm::SmallVector<llvm::SmallVector<size_t>> lines;

  bool takes(size_t line) const {
    return llvm::any_of(lines, [&](llvm::ArrayRef<size_t> mine) {
      return llvm::is_contained(mine, line);
    });
  }
};

/// One op of level 4 that words cross PEs for: what it becomes.
struct Crossing {
  mlir::Operation *op;
  wafer::RegionAttr region;
  wafer::StagesAttr stages;
  bool isHandOver = false; // what the stages' repeat carries
  /// Of a hand-over that turns: indices into the list of all lines, both ways
  /// of each. None: of one PE.
  llvm::SmallVector<size_t> leave, enter;
  llvm::SmallVector<wafer::Axis> axes;
  collectives::Kind kind = collectives::Kind::AllReduce;
  wafer::Combiner combiner = wafer::Combiner::Sum;
  int64_t root = -1; // coordinate along `axes`; -1: any, we choose
  Messages in, out;  ///< to the root, and from it
  /// From the root to its neighbor, and from that to all.
  Messages toNeighbor, fromNeighbor;
};

Collective collectiveOf(mlir::Operation *op, bool alongX);
/// The op of level 5 for it.
llvm::SmallVector<mlir::Value>
createCollective(mlir::OpBuilder &builder, const Collective &collective,
                 llvm::SmallVector<mlir::Value> values);

/// Adds to `all` what a stage in front of a turn and the one behind it sum, if
/// stages turn.
void addTurn(Crossing &crossing, bool middleRoots,
             llvm::SmallVectorImpl<Collective> &all);
/// What stands behind the repeat hands its results over.
void addStageSendRecv(const Crossing &crossing, llvm::ArrayRef<Collective> all);

} // namespace waferloom::routing

#endif // WAFERLOOM_LIB_ROUTING_CROSSINGS_H
