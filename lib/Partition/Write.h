//===- Write.h - A plan written into a module ----------------------*- C++
//-*-===//

#ifndef WAFERLOOM_LIB_PARTITION_WRITE_H
#define WAFERLOOM_LIB_PARTITION_WRITE_H

#include "Classes.h"

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace waferloom::partition {

/// Brings a module from level 2 to level 3: padded types with layouts, and the
/// changes of layout that the rules ask for. Errors: padding that no mask
/// mends.
llvm::LogicalResult write(mlir::ModuleOp module, const ModuleClasses &classes,
                          const LayoutPlan &plan);

/// Erases ops whose results nobody reads.
void eraseDead(mlir::func::FuncOp entry);

/// Sorts the ops of a block by the number of all-reduces before them and, if
/// `fusedCollectives`, joins all-reduces of one depth, axes and combiner.
void fuseAllReduces(mlir::Block &block, bool fusedCollectives);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_WRITE_H
