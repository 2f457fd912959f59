//===- Data.h - An image before it is written -------------------*- C++ -*-===//
//
// The schema's object, and for each of its sources where the bytes are. They go
// from the model's file into the image's data section without a copy of their
// own: both are mapped, and the writer takes stretches of bytes. Weights that
// the wafer holds in half precision or in codes of few bits are rounded here,
// and those that the file holds as small integers expanded.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_CODEGEN_DATA_H
#define WAFERLOOM_CODEGEN_DATA_H

#include "waferloom/Image/Blocks.h"
#include "waferloom/Image/Image_generated.h"
#include "waferloom/Image/Rounding.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace waferloom::codegen {

/// Where the bytes of one source of the image come from: a stretch of a file,
/// or bytes that the compiler computed.
struct SourceBytes {
  std::string file; // empty: `inlined`
  uint64_t offset = 0;
  std::string inlined;
  bool narrows = false; // f32 in the file, f16 in the image
  /// Integers that the writer expands; scales and zeros lie elsewhere.
  std::optional<BlockFormat> blocks;
  std::string scalesFile, zerosFile;
  uint64_t scalesOffset = 0, zerosOffset = 0;
  /// Of `blocks` one part, as PEs hold it.
  std::optional<image::PackedPart> part;
};

/// A weight that was rounded, and what it lost.
struct RoundedWeight {
  std::string name;
  BlockFormat format;
  uint64_t bytes = 0; ///< of codes and scales
  image::RoundingError error;
};

/// An image before it is written: the schema's object and its data section.
struct Image {
  image::ImageT image;
  std::vector<SourceBytes> sources; // one per image.sources
};

/// Gives the sources their offsets in the data section, one behind the other.
void placeSources(image::ImageT &image);

/// The data section of an image: files opened once, and the stretches of them
/// that it is made of.
class DataSection {
public:
  /// Errors: a file cannot be read or is too short, a number does not fit f16,
  /// a source has no bytes anywhere, or `interrupted`, which is asked from time
  /// to time (may be null), said so.
  static llvm::Expected<DataSection>
  of(const Image &image, const std::function<bool()> &interrupted = {});

  /// Valid as long as the section.
  llvm::ArrayRef<llvm::ArrayRef<char>> getChunks() const { return chunks; }

  /// What was rounded to codes, in the order of the image's sources.
  llvm::ArrayRef<RoundedWeight> getRounded() const { return rounded; }

  /// The files that it is made of.
  std::vector<std::string> getFiles() const {
    std::vector<std::string> names;
    for (const auto &file : files)
      names.push_back(file.getKey().str());
    return names;
  }

private:
  llvm::Error fill(const Image &image);
  llvm::Expected<llvm::ArrayRef<char>>
  bytesOf(const SourceBytes &source, llvm::StringRef name, uint64_t bytes);
  llvm::Expected<llvm::ArrayRef<char>>
  stretchOf(llvm::StringRef file, uint64_t offset, uint64_t bytes);
  llvm::Expected<llvm::ArrayRef<char>>
  expandedOf(const SourceBytes &source, llvm::StringRef name, uint64_t bytes);
  llvm::Expected<llvm::ArrayRef<char>>
  partOf(const SourceBytes &source, llvm::StringRef name, uint64_t bytes);
  llvm::Expected<const image::Rounding *> roundingOf(const SourceBytes &source,
                                                     llvm::StringRef name);
  llvm::Expected<llvm::ArrayRef<char>>
  halvesOf(const SourceBytes &source, llvm::StringRef name, uint64_t bytes);

  std::function<bool()> interrupted;
  llvm::StringMap<std::unique_ptr<llvm::MemoryBuffer>> files;
  std::vector<llvm::ArrayRef<char>> chunks;
  std::vector<std::unique_ptr<char[]>> made; // rounded or expanded
  std::map<std::pair<std::string, uint64_t>, image::Rounding> roundings;
  std::vector<RoundedWeight> rounded;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_CODEGEN_DATA_H
