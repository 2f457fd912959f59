#include "waferloom/Machine/MachineModel.h"

namespace waferloom::machine {

namespace {
/// The figures of a target that are a format's own.
struct Rates {
  uint32_t fma, mul, add, max, mov;
};
} // namespace

static Rates ratesOf(const image::TargetT &target, Format format) {
  switch (format) {
#define COMPUTED(name, fma, mul, add, max, mov)                                \
  case Format::name:                                                           \
    return {target.rate_##fma, target.rate_##mul, target.rate_##add,           \
            target.rate_##max, target.rate_##mov};
#include "waferloom/Format/Formats.def"
  default:
    return {1, 1, 1, 1, 1}; // no image has others
  }
}

/// Of products of `from` that are added to `to`.
static uint32_t fmaRate(const image::TargetT &target, Format from, Format to) {
#define WIDENING(narrow, wide, fma)                                            \
  if (from == Format::narrow && to == Format::wide)                            \
    return target.rate_##fma;
#include "waferloom/Format/Formats.def"
  return ratesOf(target, to).fma;
}

int64_t MachineModel::getRate(Opcode op, Type dst, Type a, Type b) const {
  auto rate = [&]() -> uint32_t {
    switch (op) {
    case Opcode::mov:
    case Opcode::select:
      return ratesOf(target, formatOf(dst)).mov;
    case Opcode::fma:
      return fmaRate(target, formatOf(b), formatOf(dst));
    case Opcode::mul:
      return ratesOf(target, formatOf(a)).mul;
    case Opcode::add:
    case Opcode::sub:
    case Opcode::neg:
    case Opcode::abs:
      return ratesOf(target, formatOf(a)).add;
    case Opcode::max:
    case Opcode::min:
    case Opcode::eq:
    case Opcode::lt:
    case Opcode::le:
      return ratesOf(target, formatOf(a)).max;
    case Opcode::convert:
      return target.rate_convert;
    case Opcode::bit_and:
    case Opcode::bit_or:
    case Opcode::bit_xor:
      return dst == Type::f16 ? target.rate_bits_16 : target.rate_integer;
    case Opcode::shl:
    case Opcode::shr:
    case Opcode::sar:
      return dst == Type::f16 ? target.rate_shift_16 : target.rate_integer;
    default:
      return target.rate_integer;
    }
  };
  return std::max<int64_t>(rate(), 1);
}

int64_t MachineModel::getStrideLimit(int64_t bytes) {
  int64_t words = std::abs(bytes / 2); // of 16 bits, as the rule counts
  if (words <= 1)
    return unlimited;
  switch (words % 8) {
  case 0:
    return 1;
  case 1:
  case 4:
  case 7:
    return 2;
  default:
    return unlimited;
  }
}

bool MachineModel::collide(int64_t distance, int64_t bytesPerCycle) const {
  const int64_t period = getBankPeriod();
  distance = (distance % period + period) % period;
  return std::min(distance, period - distance) < bytesPerCycle;
}

} // namespace waferloom::machine
