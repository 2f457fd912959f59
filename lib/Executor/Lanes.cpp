#include "Lanes.h"
#include "Operations.h"
#include <cstring>

namespace waferloom::executor {

// The same loops for each level of instructions that a host may have. All round
// alike: only how many lanes one host instruction takes differs.
namespace plain {
#include "LaneLoops.inc"
} // namespace plain

#if defined(__x86_64__) && defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))),         \
                             apply_to = function)
namespace eight {
#include "LaneLoops.inc"
#include "LaneSums.inc"
} // namespace eight
#pragma clang attribute pop
#pragma clang attribute push(                                                  \
    __attribute__((                                                            \
        target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))),          \
    apply_to = function)
namespace sixteen {
#include "LaneLoops.inc"
#include "LaneSums.inc"
} // namespace sixteen
#pragma clang attribute pop
#endif

LaneKernel laneKernelOf(const Instruction &instruction) {
#if defined(__x86_64__) && defined(__clang__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return sixteen::kernelFor(instruction);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return eight::kernelFor(instruction);
#endif
  return plain::kernelFor(instruction);
}

LaneSumKernel laneSumKernel() {
#if defined(__x86_64__) && defined(__clang__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return sixteen::sumLanes;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c"))
    return eight::sumLanes;
#endif
  return nullptr;
}

void interleave(char *block, size_t bytes, char *scratch) {
  std::memcpy(scratch, block, lanes * bytes);
  for (size_t word = 0; word < bytes / 4; ++word)
    for (size_t l = 0; l < lanes; ++l)
      std::memcpy(block + (word * lanes + l) * 4,
                  scratch + l * bytes + word * 4, 4);
}

void separate(char *block, size_t bytes, char *scratch) {
  std::memcpy(scratch, block, lanes * bytes);
  for (size_t l = 0; l < lanes; ++l)
    for (size_t word = 0; word < bytes / 4; ++word)
      std::memcpy(block + l * bytes + word * 4,
                  scratch + (word * lanes + l) * 4, 4);
}

} // namespace waferloom::executor
