// The file: an 8-byte magic, the length-prefixed FlatBuffer, zeros up to a
// multiple of 64, the data section.

#include "waferloom/Image/Image.h"
#include "Sharing.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <cstring>

using namespace llvm;

namespace waferloom::image {

// The high bit and the line end show files that were taken for text.
static constexpr char magic[] = "\211WAFER\r\n";
static constexpr uint64_t magicBytes = 8;
static constexpr uint64_t alignment = 64;

static Error refuse(StringRef name, uint64_t offset, const Twine &what) {
  return createStringError("image '" + name + "': offset " + Twine(offset) +
                           ": " + what);
}

/// Everything before the data section.
static std::string encode(const ImageT &image) {
  flatbuffers::FlatBufferBuilder builder;
  builder.FinishSizePrefixed(Image::Pack(builder, &image), ImageIdentifier());
  std::string bytes(magic, magicBytes);
  bytes.append(reinterpret_cast<const char *>(builder.GetBufferPointer()),
               builder.GetSize());
  bytes.resize(alignTo(bytes.size(), alignment));
  return bytes;
}

std::string writeBytes(const ImageT &image, ArrayRef<ArrayRef<char>> chunks) {
  std::string bytes = encode(image);
  for (ArrayRef<char> chunk : chunks)
    bytes.append(chunk.data(), chunk.size());
  return bytes;
}

Error write(StringRef path, const ImageT &image,
            ArrayRef<ArrayRef<char>> chunks) {
  auto fail = [&](std::error_code error) {
    return createStringError("cannot write '" + path + "': " + error.message());
  };
  // Renaming would replace a device or a pipe by a file.
  if (sys::fs::is_directory(path))
    return fail(std::make_error_code(std::errc::is_a_directory));
  if (sys::fs::exists(path) && !sys::fs::is_regular_file(path))
    return createStringError("cannot write '" + path +
                             "': it is not a regular file");
  SmallString<128> temporary;
  int descriptor;
  if (std::error_code error = sys::fs::createUniqueFile(
          path + ".%%%%%%", descriptor, temporary, sys::fs::OF_None,
          sys::fs::all_read | sys::fs::all_write))
    return fail(error);
  raw_fd_ostream os(descriptor, /*shouldClose=*/true);
  os << encode(image);
  for (ArrayRef<char> chunk : chunks)
    os.write(chunk.data(), chunk.size());
  os.close();
  std::error_code error = os.error();
  os.clear_error();
  if (!error)
    error = sys::fs::rename(temporary, path);
  if (error) {
    sys::fs::remove(temporary);
    return fail(error);
  }
  return Error::success();
}

/// Where the tables end, after the magic and all lengths were checked.
static Expected<uint64_t> checkFrame(StringRef bytes, StringRef name) {
  if (bytes.size() < magicBytes ||
      std::memcmp(bytes.data(), magic, magicBytes) != 0)
    return refuse(name, 0, "this is not a wafer image");
  if (bytes.size() < magicBytes + 4)
    return refuse(name, bytes.size(), "the file ends before its first length");
  uint64_t length = flatbuffers::ReadScalar<flatbuffers::uoffset_t>(
      bytes.data() + magicBytes);
  uint64_t end = magicBytes + 4 + length;
  if (end > bytes.size())
    return refuse(
        name, bytes.size(),
        formatv("the file ends here, but its tables end at {0}", end).str());
  flatbuffers::Verifier verifier(
      reinterpret_cast<const uint8_t *>(bytes.data()) + magicBytes,
      static_cast<size_t>(4 + length), /*max_depth=*/16,

      // Our tables are never shared, and none is smaller than its offset.
      /*max_tables=*/static_cast<flatbuffers::uoffset_t>(length / 4 + 1));
  if (!VerifySizePrefixedImageBuffer(verifier))
    return refuse(name, magicBytes, "the tables are damaged");
  if (referredBytes(*GetSizePrefixedImage(bytes.data() + magicBytes)) > length)
    return refuse(name, magicBytes, "the tables refer to a part several times");
  return end;
}

/// Unpacks what a frame holds and checks it.
static Error open(Loaded &loaded, StringRef bytes, StringRef name) {
  Expected<uint64_t> end = checkFrame(bytes, name);
  if (!end)
    return end.takeError();
  uint64_t dataBegin = alignTo(*end, alignment);
  if (dataBegin > bytes.size())
    return refuse(
        name, bytes.size(),
        formatv("the file ends here, but its data begin at {0}", dataBegin)
            .str());
  GetSizePrefixedImage(bytes.data() + magicBytes)->UnPackTo(&loaded.image);
  loaded.data = ArrayRef(bytes.data(), bytes.size()).drop_front(dataBegin);
  if (Error error = check(loaded.image, loaded.data.size()))
    return createStringError("image '" + name +
                             "': " + toString(std::move(error)));
  return Error::success();
}

Expected<std::shared_ptr<const Loaded>> read(StringRef path) {
  auto file = MemoryBuffer::getFile(path, /*IsText=*/false,
                                    /*RequiresNullTerminator=*/false);
  if (!file)
    return createStringError("cannot read '" + path +
                             "': " + file.getError().message());
  auto loaded = std::make_shared<Loaded>();
  loaded->file = std::move(*file);
  if (Error error = open(*loaded, loaded->file->getBuffer(), path))
    return std::move(error);
  return loaded;
}

Expected<std::shared_ptr<const Loaded>> readBytes(StringRef bytes,
                                                  StringRef name) {
  auto loaded = std::make_shared<Loaded>();
  loaded->file = MemoryBuffer::getMemBufferCopy(bytes, name);
  if (Error error = open(*loaded, loaded->file->getBuffer(), name))
    return std::move(error);
  return loaded;
}

Expected<std::shared_ptr<const Loaded>> adopt(ImageT image, std::string data) {
  if (Error error = check(image, data.size()))
    return std::move(error);
  auto loaded = std::make_shared<Loaded>();
  loaded->image = std::move(image);
  loaded->owned = std::move(data);
  loaded->data = ArrayRef(loaded->owned.data(), loaded->owned.size());
  return loaded;
}

} // namespace waferloom::image
