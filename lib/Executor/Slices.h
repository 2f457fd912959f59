// Windows of the arrays that a step takes and gives.

#ifndef WAFERLOOM_LIB_EXECUTOR_SLICES_H
#define WAFERLOOM_LIB_EXECUTOR_SLICES_H

#include "waferloom/Executor/Executor.h"

namespace waferloom::executor {

/// A window along one dimension of an array, as an array of its own.
struct Slice {
  HostTensor tensor;
  std::vector<char> bytes;
};

Slice sliceDim(const HostTensor &from, size_t dim, int64_t begin,
               int64_t count);

/// Appends `part` to `whole` along dimension 1.
void appendTokens(OutputTensor &whole, const OutputTensor &part);

/// Keeps the last of dimension 1.
void keepLast(OutputTensor &tensor);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_SLICES_H
