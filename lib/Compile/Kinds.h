//===- Kinds.h - Planning stages of unlike shapes ---------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_COMPILE_KINDS_H
#define WAFERLOOM_LIB_COMPILE_KINDS_H

#include "waferloom/Partition/Kinds.h"
#include "waferloom/Partition/Passes.h"

namespace waferloom {

/// Brings `module` (level 2, prepared) to level 3 as two kinds of stages: the
/// layers on regions as `grid` says, what stands around them on one of `ends`
/// PEs beside them. The layers are planned first, the ends lie where these meet
/// them; `measure` is asked about the layers alone, then about both.
llvm::LogicalResult planKinds(mlir::OwningOpRef<mlir::ModuleOp> &module,
                              const partition::PartitionPlanOptions &grid,
                              std::pair<int64_t, int64_t> ends,
                              const target::Target &target,
                              partition::Measure measure,
                              partition::Planned &planned, int mostAnswers,
                              const partition::Interrupted &interrupted);

} // namespace waferloom

#endif // WAFERLOOM_LIB_COMPILE_KINDS_H
