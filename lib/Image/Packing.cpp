#include "waferloom/Image/Packing.h"

namespace waferloom::image {

static_assert(static_cast<int>(PackedZeros::none) ==
                  static_cast<int>(BlockFormat::Zeros::none) &&
              static_cast<int>(PackedZeros::packed) ==
                  static_cast<int>(BlockFormat::Zeros::packed));
static_assert(static_cast<int>(PackedCode::e2m1) ==
              static_cast<int>(BlockFormat::Code::e2m1));

BlockFormat formatOf(const PackingT &packing) {
  BlockFormat format;
  format.rows = packing.rows;
  format.columns = packing.columns;
  format.bits = packing.bits;
  format.size = packing.size;
  format.isSigned = packing.is_signed;
  format.period = packing.period;
  format.halfScales = packing.half_scales;
  format.zeros = static_cast<BlockFormat::Zeros>(packing.zeros);
  format.code = static_cast<BlockFormat::Code>(packing.code);
  format.tall = packing.tall;
  format.isDense = packing.is_dense;
  return format;
}

std::unique_ptr<PackingT> packingOf(PackedPart part, const BlockFormat &format,
                                    llvm::ArrayRef<uint32_t> groups) {
  auto packing = std::make_unique<PackingT>();
  packing->part = part;
  packing->bits = static_cast<uint8_t>(format.bits);
  packing->is_signed = format.isSigned;
  packing->zeros = static_cast<PackedZeros>(format.zeros);
  packing->rows = format.rows;
  packing->columns = format.columns;
  packing->size = format.size;
  packing->period = format.period;
  packing->half_scales = format.halfScales;
  packing->code = static_cast<PackedCode>(format.code);
  packing->tall = format.tall;
  packing->is_dense = format.isDense;
  packing->groups.assign(groups.begin(), groups.end());
  return packing;
}

bool isNumbers(const PackingT &packing) {
  return packing.part == PackedPart::scales ||
         (packing.part == PackedPart::zeros &&
          packing.zeros == PackedZeros::scaled);
}

uint64_t bytesRead(const PackingT &packing) {
  const BlockFormat format = formatOf(packing);
  return packing.part == PackedPart::codes    ? format.packedBytes()
         : packing.part == PackedPart::scales ? format.scaleBytes()
                                              : format.zeroBytes();
}

uint64_t packedBytes(const PackingT &packing, llvm::ArrayRef<uint64_t> extents,
                     uint64_t elementBytes) {
  uint64_t elements = 1, groups = 1;
  for (auto [extent, group] : llvm::zip(extents, packing.groups)) {
    elements *= extent;
    groups *= extent / group;
  }
  if (packing.part != PackedPart::codes)
    return groups * elementBytes;
  return 2 * static_cast<uint64_t>(
                 packedWords(static_cast<int64_t>(elements), packing.bits));
}

static uint32_t integerAt(const BlockFormat &format, const char *packed,
                          uint64_t i) {
  const auto byte = static_cast<uint8_t>(packed[i * format.bits / 8]);
  const uint32_t bits =
      (uint32_t(byte) >> (i * format.bits % 8)) & ((1u << format.bits) - 1);
  return bits ^ static_cast<uint32_t>(movedUp(format));
}

uint32_t codeAt(const BlockFormat &format, const char *codes,
                uint64_t element) {
  return integerAt(
      format, codes,
      format.codeIndex(element / format.columns, element % format.columns));
}

uint64_t scaleIndexOf(const BlockFormat &format, uint64_t element) {
  return format.scaleIndex(element / format.columns, element % format.columns);
}

uint32_t zeroAt(const BlockFormat &format, const char *zeros, uint64_t scale) {
  return integerAt(format, zeros, format.zeroIndex(scale));
}

void putCode(const BlockFormat &format, uint32_t code, uint64_t plane,
             uint16_t &word) {
  if (format.code == BlockFormat::Code::integer) {
    word = static_cast<uint16_t>(word | code << (plane * format.bits));
    return;
  }
  const uint32_t pattern =
      smallFloatOf(format.code)
          .pattern(code, static_cast<int64_t>(format.bits));
  for (Piece piece : planesOf(format.code)[plane])
    word = static_cast<uint16_t>(word | (pattern & piece.mask) >> piece.up);
}

} // namespace waferloom::image
