// The formats of elements, as data (Formats.def): bits, bytes, words, what a
// format becomes where someone computes with it.

#ifndef WAFERLOOM_FORMAT_FORMAT_H
#define WAFERLOOM_FORMAT_FORMAT_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>

namespace waferloom {

enum class Format : uint8_t {
#define FORMAT(name, text, kind, bits, block, scaleBits, widened, sums) name,
#include "waferloom/Format/Formats.def"
};

enum class FormatKind : uint8_t { Real, Integer, Boolean };

/// What Formats.def says of a format.
struct FormatFacts {
  const char *text;
  FormatKind kind;
  unsigned bits;      ///< of an element
  unsigned block;     ///< elements that share a scale; 0: none do
  unsigned scaleBits; ///< of the scale
  Format widened;     ///< what a PE computes with in its place
  Format sums;        ///< what sums of its products accumulate in
  bool isComputed;    ///< PEs compute with it as it is
};

constexpr FormatFacts formatFacts[] = {
#define FORMAT(name, text, kind, bits, block, scaleBits, widened, sums)        \
  {                                                                            \
      text,         FormatKind::kind,                                          \
      bits,         block,                                                     \
      scaleBits,    Format::widened,                                           \
      Format::sums, Format::widened == Format::name},
#include "waferloom/Format/Formats.def"
};

constexpr const FormatFacts &factsOf(Format format) {
  return formatFacts[static_cast<unsigned>(format)];
}

inline llvm::StringRef nameOf(Format format) { return factsOf(format).text; }

/// The format called `name`, if there is one.
std::optional<Format> formatNamed(llvm::StringRef name);

/// Bits of a word: of a link, of an address, of what an instruction names.
constexpr unsigned wordBits = 32;

/// Elements that a word carries.
constexpr unsigned elementsPerWord(Format format) {
  return factsOf(format).bits >= wordBits ? 1 : wordBits / factsOf(format).bits;
}

/// Words that carry `elements`, the last one perhaps in part. Scales of blocks
/// are not counted: they do not travel in the same stream.
constexpr uint64_t wordsOf(Format format, uint64_t elements) {
  uint64_t bits = elements * factsOf(format).bits;
  return (bits + wordBits - 1) / wordBits;
}

/// Bytes that store `elements` behind each other, with the scales of their
/// blocks; the last byte and the last block perhaps in part.
constexpr uint64_t bytesOf(Format format, uint64_t elements) {
  const FormatFacts &facts = factsOf(format);
  uint64_t scales =
      facts.block ? (elements + facts.block - 1) / facts.block : 0;
  return (elements * facts.bits + 7) / 8 + scales * ((facts.scaleBits + 7) / 8);
}

/// Bytes of one element, of a format whose elements have addresses: no fewer
/// than 8 bits and no blocks.
constexpr unsigned bytesOf(Format format) { return factsOf(format).bits / 8; }

} // namespace waferloom

#endif // WAFERLOOM_FORMAT_FORMAT_H
