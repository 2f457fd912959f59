//===- Passes.h - Give programs a place on the fabric -----------*- C++ -*-===//

#ifndef WAFERLOOM_PLACEMENT_PASSES_H
#define WAFERLOOM_PLACEMENT_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include <memory>

namespace waferloom::fabric {
class FabricDialect;
}

namespace waferloom::placement {

#define GEN_PASS_DECL
#include "waferloom/Placement/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "waferloom/Placement/Passes.h.inc"

} // namespace waferloom::placement

#endif // WAFERLOOM_PLACEMENT_PASSES_H
