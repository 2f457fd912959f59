//===- Packed.h - Numbers of packed integers --------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_PACKED_H
#define WAFERLOOM_LIB_CODEGEN_PACKED_H

#include "Emitter.h"
#include "Shared.h"

namespace waferloom::codegen {

/// 16 bits as an operand: a pattern, or a small whole number.
Ref patternOf(uint32_t bits);

/// The numbers, of type `word`, of `halves` with the bias that stand in the
/// order of the shard.
Ref makeNumbers(Emitter &emitter, const PackedShard &packed, Ref halves,
                Ref scales, Ref zeros, Word word);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_PACKED_H
