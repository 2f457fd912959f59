// What a vector operation costs after its issue: elements over rate, where the
// rate is the target's for the operation and type, limited by strides, and
// halved where two operands that are read together hit the same banks.

#include "Prepared.h"
#include <algorithm>
#include <cstdlib>

namespace waferloom::executor {

static uint32_t rateOf(const Instruction &i, const image::TargetT &target) {
  bool half = i.a.type == Type::f16;
  bool integer = i.a.type == Type::i32;
  switch (i.op) {
  case Opcode::mov:
    return i.dst.type == Type::f16 ? target.rate_mov_16 : target.rate_mov_32;
  case Opcode::select:
    return i.dst.type == Type::f16 ? target.rate_mov_16 : target.rate_mov_32;
  case Opcode::fma:
    if (i.dst.type == Type::f32 && i.b.type == Type::f16)
      return target.rate_fma_mixed;
    return integer ? target.rate_integer
           : half  ? target.rate_fma_f16
                   : target.rate_fma_f32;
  case Opcode::mul:
    return integer ? target.rate_integer
           : half  ? target.rate_mul_f16
                   : target.rate_mul_f32;
  case Opcode::add:
  case Opcode::sub:
  case Opcode::neg:
  case Opcode::abs:
    return integer ? target.rate_integer
           : half  ? target.rate_add_f16
                   : target.rate_add_f32;
  case Opcode::max:
  case Opcode::min:
  case Opcode::eq:
  case Opcode::lt:
  case Opcode::le:
    return integer ? target.rate_integer
           : half  ? target.rate_max_f16
                   : target.rate_max_f32;
  case Opcode::convert:
    return target.rate_convert;
  default:
    return target.rate_integer;
  }
}

/// The last dimension that has more than one element.
static int innermost(const Instruction &i) {
  for (int k = 3; k >= 0; --k)
    if (i.shape[k] > 1)
      return k;
  return 3;
}

/// Elements per cycle that a stride allows, by the published SIMD rule, which
/// counts in 16-bit words.
static uint32_t strideLimit(int32_t bytes) {
  int32_t words = std::abs(bytes / 2);
  if (words == 0 || words == 1)
    return UINT32_MAX;
  switch (words % 8) {
  case 1:
  case 7:
  case 4:
    return 2;
  case 0:
    return 1;
  default:
    return UINT32_MAX;
  }
}

/// Two operands that advance alike collide when the bytes that they read in
/// one cycle share a bank.
static bool collide(const Operand &a, const Operand &b, int dimension,
                    uint32_t rate, const image::TargetT &target) {
  if (!a.present || !b.present || a.immediate || b.immediate ||
      a.strides[dimension] == 0 || a.strides[dimension] != b.strides[dimension])
    return false;
  uint32_t period = target.banks * target.bank_bytes;
  uint32_t width = std::min(rate * image::bytesOf(a.type), period / 2);
  uint32_t distance = (a.base % period + period - b.base % period) % period;
  return std::min(distance, period - distance) < width;
}

uint64_t vectorCycles(const Instruction &i, const image::TargetT &target) {
  uint64_t n = i.elements;
  if (i.op == Opcode::floor_div || i.op == Opcode::floor_mod)
    return n * target.integer_divide_cycles;
  uint32_t rate = std::max(1u, rateOf(i, target));
  for (int k = 0; k < 4; ++k)
    if (i.shape[k] > 1 && i.dst.strides[k] == 0)
      rate = 1; // a fold: each element waits for the one before
  int dimension = innermost(i);
  for (const Operand *operand : {&i.dst, &i.a, &i.b, &i.c})
    if (operand->present && !operand->immediate)
      rate = std::min(rate, strideLimit(operand->strides[dimension]));
  bool collision = collide(i.a, i.b, dimension, rate, target) ||
                   collide(i.a, i.c, dimension, rate, target) ||
                   collide(i.b, i.c, dimension, rate, target);
  uint64_t cycles = (n + rate - 1) / rate;
  return collision ? 2 * cycles : cycles;
}

} // namespace waferloom::executor
