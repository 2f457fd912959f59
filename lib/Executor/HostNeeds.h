// What a session needs of the host's memory.

#ifndef WAFERLOOM_LIB_EXECUTOR_HOSTNEEDS_H
#define WAFERLOOM_LIB_EXECUTOR_HOSTNEEDS_H

#include "waferloom/Image/Image.h"
#include "llvm/Support/Error.h"

namespace waferloom::executor {

/// Bytes of this host's memory.
uint64_t hostMemory();

/// Refuses more than that.
llvm::Error checkHostMemory(uint64_t bytes);

/// What all PEs have; `isSparse`: without their weights, of which only what is
/// not zero takes memory.
uint64_t bytesOfPes(const image::ImageT &image, bool isSparse);

/// An entry's inputs and outputs as the host has them.
uint64_t bytesOfArrays(const image::ImageT &image, size_t entry);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_HOSTNEEDS_H
