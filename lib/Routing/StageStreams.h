//===- StageStreams.h - What stages of one kind give and take ----*- C++
//-*-===//

#ifndef WAFERLOOM_LIB_ROUTING_STAGESTREAMS_H
#define WAFERLOOM_LIB_ROUTING_STAGESTREAMS_H

#include "waferloom/Collectives/Collectives.h"

#include "mlir/IR/BuiltinOps.h"

namespace waferloom::routing {

/// Takes from `costs` the colors of streams between stages, which are the
/// highest.
void leaveStreamColors(mlir::ModuleOp module, collectives::Costs &costs);

/// Makes of wafer.send_recv, recv and send the ops of level 5.
void convertStreams(mlir::ModuleOp module);

} // namespace waferloom::routing

#endif // WAFERLOOM_LIB_ROUTING_STAGESTREAMS_H
