//===- Packed.h - Numbers of packed integers --------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_PACKED_H
#define WAFERLOOM_LIB_CODEGEN_PACKED_H

#include "Emitter.h"
#include "Shared.h"

namespace waferloom::codegen {

/// 16 bits as an operand: a pattern, or a small whole number.
Ref patternOf(uint32_t bits);

/// Takes the bias off `halves` that all have it, and the zero that they share;
/// zeros of their own have the bias, too.
void takeBiasOff(Emitter &emitter, const PackedShard &packed, Ref halves);

/// The numbers, of type `word`, of `halves` that stand in the order of the
/// shard, with the bias if zeros are their own.
Ref makeNumbers(Emitter &emitter, const PackedShard &packed, Ref halves,
                Ref scales, Ref zeros, Word word);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_PACKED_H
