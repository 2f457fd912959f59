//===- Fabric.h - Level 5: places, lines and colors -------------*- C++ -*-===//
//
// The dialect between per-PE tensors and the programs of cores: which rectangle
// of the fabric a program runs on, and how its collectives cross it.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_FABRIC_FABRIC_H
#define WAFERLOOM_DIALECT_FABRIC_FABRIC_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "waferloom/Dialect/Fabric/FabricDialect.h.inc"

#include "waferloom/Dialect/Fabric/FabricEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "waferloom/Dialect/Fabric/FabricAttrs.h.inc"

namespace waferloom::fabric {

/// What holds of every collective: results as its values, one element type, a
/// root on the line, a line as long as the region is wide (or high).
llvm::LogicalResult verifyCollective(mlir::Operation *op);

} // namespace waferloom::fabric

#include "waferloom/Dialect/Fabric/FabricInterfaces.h.inc"

#define GET_OP_CLASSES
#include "waferloom/Dialect/Fabric/FabricOps.h.inc"

namespace waferloom::fabric {

/// Where the function around `op` runs, or null.
RectAttr getPlace(mlir::Operation *op);

/// How parts and lanes share where strips of stages turn: `each` of those that
/// are more go with one of the others.
struct LaneShares {
  bool lanesShare; ///< a part; else parts share a lane
  int64_t each;

  LaneShares(int64_t parts, int64_t lanes);
  /// Words of a lane, of parts of so many.
  int64_t laneWords(int64_t words) const;
  /// Words of a part, filled up to whole pieces.
  int64_t filled(int64_t words) const;
};

} // namespace waferloom::fabric

#endif // WAFERLOOM_DIALECT_FABRIC_FABRIC_H
