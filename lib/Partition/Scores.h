//===- Scores.h - What the scores of a softmax are --------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_PARTITION_SCORES_H
#define WAFERLOOM_LIB_PARTITION_SCORES_H

#include "mlir/IR/Value.h"

namespace waferloom::partition {

/// Whether `value` is a sum of products, at most scaled, masked by -inf, and
/// added to 0 or -inf.
bool isProduct(mlir::Value value);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_SCORES_H
