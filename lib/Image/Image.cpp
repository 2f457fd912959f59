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
static constexpr uint64_t longestStretch = uint64_t(16) << 20;

static Error refuse(StringRef name, uint64_t offset, const Twine &what) {
  return createStringError("image '" + name + "': offset " + Twine(offset) +
                           ": " + what);
}

namespace {
/// The bytes of a file: in memory, or read from the disk when they are asked
/// for.
class Bytes {
public:
  explicit Bytes(StringRef memory) : memory(memory), count(memory.size()) {}
  explicit Bytes(const OnDisk &disk) : disk(&disk), count(disk.size()) {}

  uint64_t size() const { return count; }

  /// Those from `offset` on, which must be there; from the disk into `room`.
  Expected<StringRef> get(uint64_t offset, uint64_t size,
                          SmallVectorImpl<char> &room) const {
    if (!disk)
      return memory.substr(offset, size);
    room.resize_for_overwrite(size);
    if (Error error = disk->read(offset, size, room.data()))
      return std::move(error);
    return StringRef(room.data(), size);
  }

private:
  StringRef memory;
  const OnDisk *disk = nullptr;
  uint64_t count;
};
} // namespace

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

Error forStretches(const ImageT &image, ArrayRef<ArrayRef<char>> chunks,
                   function_ref<Error(StringRef)> take) {
  Checksum checksum;
  auto give = [&](StringRef bytes) -> Error {
    for (; !bytes.empty();
         bytes = bytes.drop_front(std::min(longestStretch, bytes.size()))) {
      StringRef stretch = bytes.take_front(longestStretch);
      checksum.add(stretch);
      if (Error error = take(stretch))
        return error;
    }
    return Error::success();
  };
  if (Error error = give(encode(image)))
    return error;
  for (ArrayRef<char> chunk : chunks)
    if (Error error = give(StringRef(chunk.data(), chunk.size())))
      return error;
  return take(checksum.finish());
}

std::string writeBytes(const ImageT &image, ArrayRef<ArrayRef<char>> chunks) {
  std::string bytes;
  cantFail(forStretches(image, chunks, [&](StringRef stretch) -> Error {
    bytes += stretch;
    return Error::success();
  }));
  return bytes;
}

Error write(StringRef path, const ImageT &image,
            ArrayRef<ArrayRef<char>> chunks, ArrayRef<std::string> read) {
  return files::write(
      path,
      [&](raw_ostream &os) -> Error {
        return forStretches(image, chunks, [&](StringRef stretch) -> Error {
          os << stretch;
          return Error::success();
        });
      },
      read);
}

Error save(StringRef path, const Loaded &loaded) {
  if (!loaded.file && !loaded.disk)
    return write(path, loaded.image, {loaded.data});
  return files::write(path, [&](raw_ostream &os) -> Error {
    if (!loaded.disk) {
      os << loaded.file->getBuffer();
      return Error::success();
    }
    const Bytes bytes(*loaded.disk);
    SmallVector<char, 0> room;
    for (uint64_t at = 0; at < bytes.size(); at += longestStretch) {
      auto stretch =
          bytes.get(at, std::min(bytes.size() - at, longestStretch), room);
      if (!stretch)
        return stretch.takeError();
      os << *stretch;
    }
    return loaded.unchanged();
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
/// Where the parts of a file end, and the first of them: magic and tables.
struct Frame {
  uint64_t tables, data;
  StringRef head;
};
} // namespace

/// Whether the last bytes are the checksum of those before them.
static Error checkChecksum(const Bytes &bytes, uint64_t end, StringRef name,
                           SmallVectorImpl<char> &room) {
  Checksum checksum;
  for (uint64_t at = 0; at < end; at += longestStretch) {
    auto stretch = bytes.get(at, std::min(end - at, longestStretch), room);
    if (!stretch)
      return stretch.takeError();
    checksum.add(*stretch);
  }
  auto written = bytes.get(end, checksumBytes, room);
  if (!written)
    return written.takeError();
  if (*written == checksum.finish())
    return Error::success();
  return refuse(name, end,
                "the checksum here is not that of the bytes before it: the "
                "file is damaged or cut off");
}

/// Are the sets' words where a number of 64 bits may be? The verifier looks at
/// where a vector's length is, and that has 32.
static bool areWordsAligned(const Image &image) {
  if (!image.regions())
    return true;
  for (const Region *region : *image.regions())
    if (region->sets())
      for (const ClassSet *set : *region->sets())
        if (set->words() &&
            reinterpret_cast<uintptr_t>(set->words()->Data()) % 8)
          return false;
  return true;
}

/// Checks the magic, all lengths, the checksum, and that the tables are sound.
/// What comes from the disk is in `room`.
static Expected<Frame> checkFrame(const Bytes &bytes, StringRef name,
                                  SmallVectorImpl<char> &room) {
  auto begin =
      bytes.get(0, std::min<uint64_t>(bytes.size(), magicBytes + 4), room);
  if (!begin)
    return begin.takeError();
  if (begin->starts_with(StringRef(firstMagic, magicBytes)))
    return refuse(name, 0,
                  "this is an image of version 1; this program reads "
                  "version 2: compile the model again");
  if (!begin->starts_with(StringRef(magic, magicBytes)))
    return refuse(name, 0, "this is not a wafer image");
  if (bytes.size() < magicBytes + 4)
    return refuse(name, bytes.size(), "the file ends before its first length");
  uint64_t length = flatbuffers::ReadScalar<flatbuffers::uoffset_t>(
      begin->data() + magicBytes);
  uint64_t end = magicBytes + 4 + length;
  uint64_t least = alignTo(end, alignment) + checksumBytes;
  if (least > bytes.size())
    return refuse(name, bytes.size(),
                  formatv("the file ends here, but its tables end at {0} and "
                          "its data not before {1}",
                          end, least)
                      .str());
  const uint64_t dataEnd = bytes.size() - checksumBytes;
  if (Error error = checkChecksum(bytes, dataEnd, name, room))
    return std::move(error);
  auto head = bytes.get(0, end, room);
  if (!head)
    return head.takeError();
  flatbuffers::Verifier verifier(
      reinterpret_cast<const uint8_t *>(head->data()) + magicBytes,
      static_cast<size_t>(4 + length), /*max_depth=*/16,

      // Our tables are never shared, and none is smaller than its offset.
      /*max_tables=*/static_cast<flatbuffers::uoffset_t>(length / 4 + 1));
  if (!VerifySizePrefixedImageBuffer(verifier) ||
      !areWordsAligned(*GetSizePrefixedImage(head->data() + magicBytes)))
    return refuse(name, magicBytes, "the tables are damaged");
  if (referredBytes(*GetSizePrefixedImage(head->data() + magicBytes)) > length)
    return refuse(name, magicBytes, "the tables refer to a part several times");
  return Frame{end, dataEnd, *head};
}

/// Unpacks what a frame holds and checks it.
static Error open(Loaded &loaded, const Bytes &bytes, StringRef name) {
  SmallVector<char, 0> room;
  Expected<Frame> frame = checkFrame(bytes, name, room);
  if (!frame)
    return frame.takeError();
  GetSizePrefixedImage(frame->head.data() + magicBytes)
      ->UnPackTo(&loaded.image);
  loaded.dataBegin = alignTo(frame->tables, alignment);
  if (loaded.file)
    loaded.data = ArrayRef(loaded.file->getBufferStart(), frame->data)
                      .drop_front(loaded.dataBegin);
  if (Error error = check(loaded.image, frame->data - loaded.dataBegin))
    return createStringError("image '" + name +
                             "': " + toString(std::move(error)));
  return Error::success();
}

Expected<const char *> Loaded::bytes(uint64_t offset, size_t size,
                                     SmallVectorImpl<char> &room) const {
  if (!disk)
    return data.data() + offset;
  room.resize_for_overwrite(size);
  if (Error error = disk->read(dataBegin + offset, size, room.data()))
    return std::move(error);
  return room.data();
}

OnDisk::OnDisk(int descriptor, std::string path)
    : descriptor(descriptor), path(std::move(path)), first(stamp()) {}

OnDisk::~OnDisk() { ::close(descriptor); }

OnDisk::Stamp OnDisk::stamp() const {
  struct stat found;
  if (::fstat(descriptor, &found) != 0)
    return {};
  return {found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

static Error wasWritten(StringRef path) {
  return createStringError("image '" + path +
                           "' was written to since it was read; read it again");
}

Error OnDisk::check() const {
  Stamp now = stamp();
  if (now.size == first.size && now.seconds == first.seconds &&
      now.nanoseconds == first.nanoseconds)
    return Error::success();
  return wasWritten(path);
}

Error OnDisk::read(uint64_t offset, size_t size, char *to) const {
  while (size != 0) {
    ssize_t got = ::pread(descriptor, to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return createStringError(
          "cannot read '" + path +
          "': " + std::error_code(errno, std::generic_category()).message());
    if (got == 0)
      return wasWritten(path);
    offset += static_cast<uint64_t>(got);
    to += got;
    size -= static_cast<size_t>(got);
  }
  return Error::success();
}

Expected<std::shared_ptr<const Loaded>> read(StringRef path,
                                             uint64_t mostCopied) {
  auto fail = [&](const std::string &why) {
    return createStringError("cannot read '" + path + "': " + why);
  };
  int descriptor = ::open(path.str().c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return fail(std::error_code(errno, std::generic_category()).message());
  auto disk = std::make_unique<OnDisk>(descriptor, path.str());
  struct stat found;
  if (::fstat(descriptor, &found) != 0 || S_ISDIR(found.st_mode))
    return fail(std::make_error_code(std::errc::is_a_directory).message());
  auto loaded = std::make_shared<Loaded>();
  if (static_cast<uint64_t>(found.st_size) > mostCopied) {
    loaded->disk = std::move(disk);
    if (Error error = open(*loaded, Bytes(*loaded->disk), path))
      return std::move(error);
    if (Error error = loaded->unchanged())
      return std::move(error);
    return loaded;
  }
  // A volatile file that is to end in a zero is read, not mapped.
  auto file = MemoryBuffer::getOpenFile(
      sys::fs::convertFDToNativeFile(descriptor), path, /*FileSize=*/-1,
      /*RequiresNullTerminator=*/true, /*IsVolatile=*/true);
  if (!file)
    return fail(file.getError().message());
  loaded->file = std::move(*file);
  if (Error error = open(*loaded, Bytes(loaded->file->getBuffer()), path))
    return std::move(error);
  return loaded;
}

Expected<std::shared_ptr<const Loaded>> readBytes(StringRef bytes,
                                                  StringRef name) {
  auto loaded = std::make_shared<Loaded>();
  loaded->file = MemoryBuffer::getMemBufferCopy(bytes, name);
  if (Error error = open(*loaded, Bytes(loaded->file->getBuffer()), name))
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
