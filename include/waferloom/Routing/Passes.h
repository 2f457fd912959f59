//===- Passes.h - Collectives onto the fabric -------------------*- C++ -*-===//

#ifndef WAFERLOOM_ROUTING_PASSES_H
#define WAFERLOOM_ROUTING_PASSES_H

#include "waferloom/Routing/Routing.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/Pass/Pass.h"

#include <memory>

namespace mlir {
class OpPassManager;
} // namespace mlir
namespace waferloom::fabric {
class CollectiveOpInterface;
class FabricDialect;
} // namespace waferloom::fabric

namespace waferloom::routing {

#define GEN_PASS_DECL
#include "waferloom/Routing/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "waferloom/Routing/Passes.h.inc"

/// Words that so many elements travel in: two f16 share one.
uint64_t wordsOf(mlir::Type element, int64_t elements);

/// The collective that an op of level 5 asks for, without a plan.
Collective readCollective(fabric::CollectiveOpInterface op);

/// Level 4 in, level 5 without places and colors out. `middleRoots`: sums along
/// a line end in its middle.
void populateConversionPipeline(mlir::OpPassManager &pm,
                                bool middleRoots = true);

/// Places in, colors and queues out.
void populateRoutingPipeline(mlir::OpPassManager &pm);

} // namespace waferloom::routing

#endif // WAFERLOOM_ROUTING_PASSES_H
