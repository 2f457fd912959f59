//===- Wafer.h - What linalg has no name for --------------------*- C++ -*-===//
//
// The dialect of levels 2 to 4: how values enter and leave a program, and the
// few operators of transformers that linalg cannot say.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_WAFER_H
#define WAFERLOOM_DIALECT_WAFER_WAFER_H

#include "waferloom/Dialect/Wafer/Axis.h"
#include "waferloom/Format/Blocks.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
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

#include <optional>

namespace waferloom::wafer {

/// All PEs along the op's axes take part: none may leave it out.
template <typename ConcreteType>
class Collective : public mlir::OpTrait::TraitBase<ConcreteType, Collective> {};

} // namespace waferloom::wafer

#include "waferloom/Dialect/Wafer/WaferInterfaces.h.inc"

#define GET_OP_CLASSES
#include "waferloom/Dialect/Wafer/WaferOps.h.inc"

namespace waferloom::wafer {

/// The program of the module that `op` is or stands in; null if it has none.
ProgramOp getProgram(mlir::Operation *op);

/// The entry that runs the function `function` as it stands; null if the
/// program has none. Further ones may stream tokens through it.
EntryOp getEntry(mlir::Operation *function);

/// The machine that the module around `op` is compiled for; null if it does not
/// say. waferloom/Target/TargetAttr.h reads it.
TargetAttr getTarget(mlir::Operation *op);

/// The region of the program that `op` stands in, from level 3 on; else null.
RegionAttr getRegion(mlir::Operation *op);

/// The stages of the program that `op` stands in; 1 x 1 where it says none.
StagesAttr getStages(mlir::Operation *op);

/// The layout in the encoding of a tensor type, or null.
LayoutAttr getLayout(mlir::Type type);

/// The type of the local shard that one PE holds of a tensor of type `global`,
/// which has a layout.
mlir::RankedTensorType getLocalType(mlir::RankedTensorType global,
                                    RegionAttr region);

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_WAFER_H
