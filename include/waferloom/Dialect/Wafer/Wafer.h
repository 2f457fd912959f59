//===- Wafer.h - What linalg has no name for --------------------*- C++ -*-===//
//
// The dialect of levels 2 to 4: how values enter and leave a program, and the
// few operators of transformers that linalg cannot say.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_WAFER_H
#define WAFERLOOM_DIALECT_WAFER_WAFER_H

#include "waferloom/Dialect/Wafer/Axis.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "waferloom/Dialect/Wafer/WaferDialect.h.inc"

#include "waferloom/Dialect/Wafer/WaferEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "waferloom/Dialect/Wafer/WaferAttrs.h.inc"

namespace waferloom::wafer {

/// All PEs along the op's axes take part: none may leave it out.
template <typename ConcreteType>
class Collective : public mlir::OpTrait::TraitBase<ConcreteType, Collective> {};

} // namespace waferloom::wafer

#include "waferloom/Dialect/Wafer/WaferInterfaces.h.inc"

#define GET_OP_CLASSES
#include "waferloom/Dialect/Wafer/WaferOps.h.inc"

namespace waferloom::wafer {

/// The region of an entry at levels 3 and 4, or null.
RegionAttr getRegion(mlir::Operation *entry);

/// The layout in the encoding of a tensor type, or null.
LayoutAttr getLayout(mlir::Type type);

/// The type of the local shard that one PE holds of a tensor of type `global`,
/// which has a layout.
mlir::RankedTensorType getLocalType(mlir::RankedTensorType global,
                                    RegionAttr region);

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_WAFER_H
