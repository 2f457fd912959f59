//===- Validation.h - Executed against published cycles ---------*- C++ -*-===//

#ifndef WAFERLOOM_MEASURE_VALIDATION_H
#define WAFERLOOM_MEASURE_VALIDATION_H

#include "waferloom/Image/Image_generated.h"

#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace waferloom::measure {

/// One experiment. Within tolerance: off by at most `percent` of the published
/// value, or by at most `cycles`.
struct ValidationRow {
  std::string id;
  std::string what;
  double executed = 0;
  double published = 0;
  double percent = 0;
  double cycles = 0;

  double error() const { return 100 * (executed - published) / published; }
  bool passes() const;
};

/// The machines of the experiments.
struct ValidationTargets {
  const image::TargetT &wse2;
  const image::TargetT &wse3;
  const image::TargetT &ideal; // wse2 without issue, rewrite and launch
};

struct Validation {
  std::vector<ValidationRow> rows;
  /// Who is fastest: cells in which the executor agrees with the formulas, and
  /// those in which it does not, in words.
  unsigned cells = 0, agree = 0;
  std::vector<std::string> disagreements;

  bool passes() const;
};

/// Runs all experiments; an error when one cannot run or gives wrong numbers.
llvm::Expected<Validation> validate(const ValidationTargets &);

} // namespace waferloom::measure

#endif // WAFERLOOM_MEASURE_VALIDATION_H
