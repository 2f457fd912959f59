//===- Considered.h - A region that planning looked at ----------*- C++ -*-===//

#ifndef WAFERLOOM_PARTITION_CONSIDERED_H
#define WAFERLOOM_PARTITION_CONSIDERED_H

#include <cstdint>
#include <optional>
#include <string>

namespace waferloom::partition {

/// What the closed forms expect of a plan.
struct Estimate {
  double cycles = 0;     ///< of a step
  double arithmetic = 0; ///< of these: what each PE computes
};

/// A region that was looked at, and what was found.
struct Considered {
  int64_t width = 0, height = 0, stages = 1;
  std::optional<Estimate> estimate; ///< none: no layout was found
  std::optional<double> counted;    ///< as `estimate->cycles`, by the engine
  /// "chosen", "slower" (it fits), "too large", "impossible" (a later phase
  /// cannot do it, or no layout was found), "not asked" (its estimate is above
  /// a plan that fits).
  std::string outcome;
  std::string reason; ///< of what is too large or impossible
};

} // namespace waferloom::partition

#endif // WAFERLOOM_PARTITION_CONSIDERED_H
