//===- Patterns.h - How the room's patterns are applied ---------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_ALGEBRA_PATTERNS_H
#define WAFERLOOM_LIB_ALGEBRA_PATTERNS_H

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace waferloom::algebra {

/// From the first op on, and constants stay where they are read: the order of
/// ops is that of the program.
inline mlir::GreedyRewriteConfig keepingOrder() {
  mlir::GreedyRewriteConfig config;
  config.setUseTopDownTraversal()
      .enableFolding(false)
      .enableConstantCSE(false)
      .setRegionSimplificationLevel(mlir::GreedySimplifyRegionLevel::Disabled);
  return config;
}

} // namespace waferloom::algebra

#endif // WAFERLOOM_LIB_ALGEBRA_PATTERNS_H
