#include "waferloom/Image/Packing.h"

namespace waferloom::image {

static_assert(static_cast<int>(PackedZeros::none) ==
                  static_cast<int>(BlockFormat::Zeros::none) &&
              static_cast<int>(PackedZeros::packed) ==
                  static_cast<int>(BlockFormat::Zeros::packed));

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
  const uint64_t row = element / format.columns;
  return integerAt(format, codes,
                   row * format.blocks() * format.size +
                       element % format.columns);
}

uint64_t scaleIndexOf(const BlockFormat &format, uint64_t element) {
  const uint64_t row = element / format.columns % format.scaledRows();
  return row * format.blocks() + element % format.columns / format.size;
}

uint32_t zeroAt(const BlockFormat &format, const char *zeros, uint64_t scale) {
  // A row of them ends with a whole byte.
  const uint64_t each = 8 / format.bits, blocks = format.blocks();
  const uint64_t row = (blocks + each - 1) / each * each;
  return integerAt(format, zeros, scale / blocks * row + scale % blocks);
}

} // namespace waferloom::image
