//===- Beams.h - Rows that go on with the states of others ------*- C++ -*-===//
//
// In a beam search an input says, for each row of the batch, whose states it
// goes on with. The host moves them before the step: that takes no cycles of
// the program, but time of the link between wafer and host.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_EXECUTOR_BEAMS_H
#define WAFERLOOM_EXECUTOR_BEAMS_H

#include "waferloom/Executor/Executor.h"

namespace waferloom::executor {

/// The row that each row goes on with, as the inputs of a step say that were
/// found right; empty: itself.
std::vector<int64_t> beamsOf(const image::EntryT &entry,
                             llvm::ArrayRef<HostTensor> inputs);

/// Bytes of states that such a step moves, to the host and back.
uint64_t bytesMoved(const image::ImageT &image,
                    llvm::ArrayRef<HostTensor> inputs);

} // namespace waferloom::executor

#endif // WAFERLOOM_EXECUTOR_BEAMS_H
