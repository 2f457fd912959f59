// Weights whose integers stay packed on the wafer, as an image says them.

#ifndef WAFERLOOM_IMAGE_PACKING_H
#define WAFERLOOM_IMAGE_PACKING_H

#include "waferloom/Format/Packing.h"
#include "waferloom/Image/Image_generated.h"

namespace waferloom::image {

BlockFormat formatOf(const PackingT &packing);
std::unique_ptr<PackingT> packingOf(PackedPart part, const BlockFormat &format,
                                    llvm::ArrayRef<uint32_t> groups);

/// Whether the part is numbers of the type of the scales, not integers.
bool isNumbers(const PackingT &packing);

/// Bytes of the source that a packed binding reads.
uint64_t bytesRead(const PackingT &packing);

/// Bytes on a PE of a packed shard whose dimensions have so many elements;
/// `elementBytes`: of a scale.
uint64_t packedBytes(const PackingT &packing, llvm::ArrayRef<uint64_t> extents,
                     uint64_t elementBytes);

/// Adds the code of an element of plane `plane` to its word on a PE.
void putCode(const BlockFormat &format, uint32_t code, uint64_t plane,
             uint16_t &word);

/// The unsigned integer of element `element` of the weight.
uint32_t codeAt(const BlockFormat &format, const char *codes, uint64_t element);
/// Which of the scales is that of element `element`.
uint64_t scaleIndexOf(const BlockFormat &format, uint64_t element);
/// The unsigned zero that goes with that scale.
uint32_t zeroAt(const BlockFormat &format, const char *zeros, uint64_t scale);

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_PACKING_H
