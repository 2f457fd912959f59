// The file: an 8-byte magic, the length-prefixed FlatBuffer, zeros up to a
// multiple of 64, the data section, an 8-byte checksum of all that.

#include "waferloom/Image/Image.h"
#include "Checksum.h"
#include "Sharing.h"
#include "waferloom/Files/Output.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;

namespace waferloom::image {

// The high bit and the line end show files that were taken for text.
static constexpr char magic[] = "\211WAFR2\r\n";
static constexpr char firstMagic[] = "\211WAFER\r\n"; // of version 1
static constexpr uint64_t magicBytes = 8;
static constexpr uint64_t checksumBytes = 8;
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
  Checksum checksum;
  checksum.add(bytes);
  bytes += checksum.finish();
  return bytes;
}

Error write(StringRef path, const ImageT &image,
            ArrayRef<ArrayRef<char>> chunks, ArrayRef<std::string> read) {
  return files::write(
      path,
      [&](raw_ostream &os) -> Error {
        Checksum checksum;
        auto add = [&](StringRef bytes) {
          checksum.add(bytes);
          os << bytes;
        };
        add(encode(image));
        for (ArrayRef<char> chunk : chunks)
          add(StringRef(chunk.data(), chunk.size()));
        os << checksum.finish();
        return Error::success();
      },
      read);
}

Error save(StringRef path, const Loaded &loaded) {
  if (!loaded.file)
    return write(path, loaded.image, {loaded.data});
  return files::write(path, [&](raw_ostream &os) -> Error {
    if (Error error = loaded.unchanged())
      return error;
    os << loaded.file->getBuffer();
    return Error::success();
  });
}

void seal(std::string &bytes) {
  if (bytes.size() < magicBytes + checksumBytes)
    return;
  bytes.resize(bytes.size() - checksumBytes);
  Checksum checksum;
  checksum.add(bytes);
  bytes += checksum.finish();
}

namespace {
/// Where the parts of a file end.
struct Frame {
  uint64_t tables, data;
};
} // namespace

/// Checks the magic, all lengths, the checksum, and that the tables are sound.
static Expected<Frame> checkFrame(StringRef bytes, StringRef name) {
  if (bytes.starts_with(StringRef(firstMagic, magicBytes)))
    return refuse(name, 0,
                  "this is an image of version 1; this program reads "
                  "version 2: compile the model again");
  if (!bytes.starts_with(StringRef(magic, magicBytes)))
    return refuse(name, 0, "this is not a wafer image");
  if (bytes.size() < magicBytes + 4)
    return refuse(name, bytes.size(), "the file ends before its first length");
  uint64_t length = flatbuffers::ReadScalar<flatbuffers::uoffset_t>(
      bytes.data() + magicBytes);
  uint64_t end = magicBytes + 4 + length;
  uint64_t least = alignTo(end, alignment) + checksumBytes;
  if (least > bytes.size())
    return refuse(name, bytes.size(),
                  formatv("the file ends here, but its tables end at {0} and "
                          "its data not before {1}",
                          end, least)
                      .str());
  Frame frame{end, bytes.size() - checksumBytes};
  Checksum checksum;
  checksum.add(bytes.take_front(frame.data));
  if (bytes.drop_front(frame.data) != checksum.finish())
    return refuse(name, frame.data,
                  "the checksum here is not that of the bytes before it: the "
                  "file is damaged or cut off");
  flatbuffers::Verifier verifier(
      reinterpret_cast<const uint8_t *>(bytes.data()) + magicBytes,
      static_cast<size_t>(4 + length), /*max_depth=*/16,

      // Our tables are never shared, and none is smaller than its offset.
      /*max_tables=*/static_cast<flatbuffers::uoffset_t>(length / 4 + 1));
  if (!VerifySizePrefixedImageBuffer(verifier))
    return refuse(name, magicBytes, "the tables are damaged");
  if (referredBytes(*GetSizePrefixedImage(bytes.data() + magicBytes)) > length)
    return refuse(name, magicBytes, "the tables refer to a part several times");
  return frame;
}

/// Unpacks what a frame holds and checks it.
static Error open(Loaded &loaded, StringRef bytes, StringRef name) {
  Expected<Frame> frame = checkFrame(bytes, name);
  if (!frame)
    return frame.takeError();
  GetSizePrefixedImage(bytes.data() + magicBytes)->UnPackTo(&loaded.image);
  loaded.data = ArrayRef(bytes.data(), frame->data)
                    .drop_front(alignTo(frame->tables, alignment));
  if (Error error = check(loaded.image, loaded.data.size()))
    return createStringError("image '" + name +
                             "': " + toString(std::move(error)));
  return Error::success();
}

Mapped::Mapped(int descriptor, std::string path)
    : descriptor(descriptor), path(std::move(path)), first(stamp()) {}

Mapped::~Mapped() { ::close(descriptor); }

Mapped::Stamp Mapped::stamp() const {
  struct stat found;
  if (::fstat(descriptor, &found) != 0)
    return {};
  return {found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

Error Mapped::check() const {
  Stamp now = stamp();
  if (now.size == first.size && now.seconds == first.seconds &&
      now.nanoseconds == first.nanoseconds)
    return Error::success();
  return createStringError("image '" + path +
                           "' was written to since it was read; read it again");
}

Expected<std::shared_ptr<const Loaded>> read(StringRef path,
                                             uint64_t mostCopied) {
  auto fail = [&](const std::string &why) {
    return createStringError("cannot read '" + path + "': " + why);
  };
  int descriptor = ::open(path.str().c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return fail(std::error_code(errno, std::generic_category()).message());
  auto mapped = std::make_unique<Mapped>(descriptor, path.str());
  struct stat found;
  if (::fstat(descriptor, &found) != 0 || S_ISDIR(found.st_mode))
    return fail(std::make_error_code(std::errc::is_a_directory).message());
  // A volatile file that is to end in a zero is read, not mapped.
  bool isCopied = static_cast<uint64_t>(found.st_size) <= mostCopied;
  auto file = MemoryBuffer::getOpenFile(
      sys::fs::convertFDToNativeFile(descriptor), path, /*FileSize=*/-1,
      /*RequiresNullTerminator=*/isCopied, /*IsVolatile=*/isCopied);
  if (!file)
    return fail(file.getError().message());
  auto loaded = std::make_shared<Loaded>();
  loaded->file = std::move(*file);
  if (!isCopied)
    loaded->mapped = std::move(mapped);
  if (Error error = open(*loaded, loaded->file->getBuffer(), path))
    return std::move(error);
  if (Error error = loaded->unchanged())
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
