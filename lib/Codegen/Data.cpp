#include "waferloom/Codegen/Data.h"

#include "waferloom/Image/Half.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <cstring>

using namespace waferloom;
using namespace waferloom::codegen;

static constexpr uint64_t alignment = 64; // of a source in the data section
static constexpr uint64_t elementsPerQuestion = 1 << 20; // whether to go on

void codegen::placeSources(image::ImageT &image) {
  uint64_t offset = 0;
  for (auto &source : image.sources) {
    source->offset = offset;
    offset += llvm::alignTo(source->bytes, alignment);
  }
}

llvm::Expected<llvm::ArrayRef<char>>
DataSection::bytesOf(const SourceBytes &source, llvm::StringRef name,
                     uint64_t bytes) {
  if (source.part && !source.file.empty())
    return partOf(source, name, bytes);
  if (!source.file.empty())
    return source.blocks ? expandedOf(source, name, bytes)
                         : stretchOf(source.file, source.offset, bytes);
  if (source.inlined.size() == bytes)
    return llvm::ArrayRef<char>(source.inlined.data(), source.inlined.size());
  return llvm::createStringError(
      llvm::formatv("the {0} bytes of '{1}' lie in no file that is named: say "
                    "`in \"FILE\" at OFFSET` behind the number of bytes",
                    bytes, name));
}

/// What integers in blocks stand for.
llvm::Expected<llvm::ArrayRef<char>>
DataSection::expandedOf(const SourceBytes &source, llvm::StringRef name,
                        uint64_t bytes) {
  const BlockFormat &format = *source.blocks;
  const uint64_t elements = format.rows * format.columns;
  if (bytes != elements * (format.hasHalves() ? 2 : 4))
    return llvm::createStringError(llvm::formatv(
        "weight '{0}' has {1} bytes but its file packs {2} numbers", name,
        bytes, elements));
  if (format.rounded != BlockFormat::Rounded::none) {
    auto rounding = roundingOf(source, name);
    if (!rounding)
      return rounding.takeError();
    made.push_back(std::make_unique<char[]>(bytes));
    image::expandBlocks(format, (*rounding)->codes.data(),
                        (*rounding)->scales.data(), nullptr, made.back().get());
    return llvm::ArrayRef<char>(made.back().get(), bytes);
  }
  auto packed = stretchOf(source.file, source.offset, format.packedBytes());
  if (!packed)
    return packed;
  auto scales =
      stretchOf(source.scalesFile, source.scalesOffset, format.scaleBytes());
  if (!scales)
    return scales;
  llvm::ArrayRef<char> zeros;
  if (format.zeroBytes()) {
    auto given =
        stretchOf(source.zerosFile, source.zerosOffset, format.zeroBytes());
    if (!given)
      return given;
    zeros = *given;
  }
  made.push_back(std::make_unique<char[]>(bytes));
  image::expandBlocks(format, packed->data(), scales->data(), zeros.data(),
                      made.back().get());
  return llvm::ArrayRef<char>(made.back().get(), bytes);
}

/// The codes and scales that a weight's numbers are rounded to.
llvm::Expected<const image::Rounding *>
DataSection::roundingOf(const SourceBytes &source, llvm::StringRef name) {
  auto [known, fresh] = roundings.try_emplace({source.file, source.offset});
  if (!fresh)
    return &known->second;
  const BlockFormat &format = *source.blocks;
  auto numbers = stretchOf(source.file, source.offset, format.roundedBytes());
  if (!numbers)
    return numbers.takeError();
  if (source.part)
    name = name.rsplit('.').first; // behind it stands which part
  auto rounding = image::roundToBlocks(format, numbers->data());
  if (!rounding)
    return llvm::createStringError("weight '" + name.str() + "' " +
                                   llvm::toString(rounding.takeError()));
  known->second = std::move(*rounding);
  rounded.push_back({name.str(), format,
                     known->second.codes.size() + known->second.scales.size(),
                     known->second.error});
  return &known->second;
}

/// Codes, or scales with what codes lack as patterns of f16.
llvm::Expected<llvm::ArrayRef<char>>
DataSection::partOf(const SourceBytes &source, llvm::StringRef name,
                    uint64_t bytes) {
  const BlockFormat &format = *source.blocks, inImage = format.inImage();
  const bool areCodes = *source.part == image::PackedPart::codes;
  if (bytes != (areCodes ? inImage.packedBytes() : inImage.scaleBytes()))
    return llvm::createStringError(llvm::formatv(
        "source '{0}' has {1} bytes, which its blocks do not take", name,
        bytes));
  llvm::ArrayRef<char> given;
  if (format.rounded != BlockFormat::Rounded::none) {
    auto rounding = roundingOf(source, name);
    if (!rounding)
      return rounding.takeError();
    const auto &from = areCodes ? (*rounding)->codes : (*rounding)->scales;
    given = llvm::ArrayRef<char>(from.data(), from.size());
  } else {
    auto found = areCodes ? stretchOf(source.file, source.offset, bytes)
                          : stretchOf(source.scalesFile, source.scalesOffset,
                                      format.scaleBytes());
    if (!found)
      return found;
    given = *found;
  }
  if (areCodes) {
    if (auto at = image::findNaN(format, given))
      return llvm::createStringError(llvm::formatv(
          "'{0}' has no number at element {1}, which a PE cannot unpack; "
          "compile with --weights expanded",
          name, *at));
    return given;
  }
  made.push_back(std::make_unique<char[]>(bytes));
  if (llvm::Error error =
          image::scalesOnPes(format, given.data(), made.back().get()))
    return llvm::createStringError("'" + name.str() + "' " +
                                   llvm::toString(std::move(error)));
  return llvm::ArrayRef<char>(made.back().get(), bytes);
}

llvm::Expected<llvm::ArrayRef<char>>
DataSection::stretchOf(llvm::StringRef path, uint64_t offset, uint64_t bytes) {
  std::unique_ptr<llvm::MemoryBuffer> &file = files[path];
  if (!file) {
    auto opened = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                              /*RequiresNullTerminator=*/false);
    if (!opened)
      return llvm::createStringError(
          opened.getError(),
          llvm::formatv("cannot read weights from '{0}'", path));
    file = std::move(*opened);
  }
  if (offset > file->getBufferSize() || bytes > file->getBufferSize() - offset)
    return llvm::createStringError(llvm::formatv(
        "weights at bytes {0} to {1} of '{2}', which has {3}: the file changed "
        "since it was compiled",
        offset, offset + bytes, path, file->getBufferSize()));
  return llvm::ArrayRef<char>(file->getBufferStart() + offset, bytes);
}

/// `bytes` of f16, rounded to nearest even from twice as many of f32.
llvm::Expected<llvm::ArrayRef<char>>
DataSection::halvesOf(const SourceBytes &source, llvm::StringRef name,
                      uint64_t bytes) {
  auto from = bytesOf(source, name, 2 * bytes);
  if (!from)
    return from.takeError();
  made.push_back(std::make_unique<char[]>(bytes));
  char *to = made.back().get();
  for (uint64_t i = 0; 2 * i < bytes; ++i) {
    if (i % elementsPerQuestion == 0 && interrupted && interrupted())
      return llvm::createStringError("interrupted");
    float value;
    std::memcpy(&value, from->data() + 4 * i, 4);
    uint16_t half = image::halfOfFloat(value);
    if ((half & 0x7fff) == 0x7c00 && std::isfinite(value))
      return llvm::createStringError(llvm::formatv(
          "weight '{0}' has {1} at element {2}, and f16 ends at 65504; compile "
          "with --precision f32",
          name, value, i));
    std::memcpy(to + 2 * i, &half, 2);
  }
  return llvm::ArrayRef<char>(to, bytes);
}

llvm::Error DataSection::fill(const Image &image) {
  static const char zeros[alignment] = {};
  if (image.image.shape_only)
    return llvm::Error::success();
  uint64_t at = 0;
  for (size_t i = 0; i < image.sources.size(); ++i) {
    if (interrupted && interrupted())
      return llvm::createStringError("interrupted");
    const image::SourceT &entry = *image.image.sources[i];
    chunks.emplace_back(zeros, entry.offset - at);
    auto bytes = image.sources[i].narrows
                     ? halvesOf(image.sources[i], entry.name, entry.bytes)
                     : bytesOf(image.sources[i], entry.name, entry.bytes);
    if (!bytes)
      return bytes.takeError();
    chunks.push_back(*bytes);
    at = entry.offset + entry.bytes;
  }
  return llvm::Error::success();
}

llvm::Expected<DataSection>
DataSection::of(const Image &image, const std::function<bool()> &interrupted) {
  DataSection data;
  data.interrupted = interrupted;
  if (llvm::Error error = data.fill(image))
    return std::move(error);
  return data;
}
