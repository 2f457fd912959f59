//===- Regions.h - Shapes of regions to plan for ----------------*- C++ -*-===//
//
// A search over numbers: it knows of widths, heights and estimated cycles, and
// nothing of models.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_COMPILE_REGIONS_H
#define WAFERLOOM_COMPILE_REGIONS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace waferloom {

/// Width and height in PEs.
using Shape = std::pair<int64_t, int64_t>;

/// Estimated cycles of a shape; nothing: no plan is known for it.
using EstimateShape = llvm::function_ref<std::optional<double>(Shape)>;

struct RatedShape {
  Shape shape;
  double cycles = 0;
};

/// Shapes of at most `width` x `height` PEs, the cheapest first; of equals the
/// one of fewer PEs. Asks for at most `most` estimates. Empty: no shape that
/// was looked at has a plan. Sides near the best that waste fewest PEs on a
/// dimension of one of `lengths` elements are looked at, too.
std::vector<RatedShape> rateShapes(Shape limit, EstimateShape estimate,
                                   int64_t most,
                                   llvm::ArrayRef<int64_t> lengths = {});

} // namespace waferloom

#endif // WAFERLOOM_COMPILE_REGIONS_H
