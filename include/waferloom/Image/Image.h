// Images in memory and in files. What is read is checked: whoever holds a
// `Loaded` may rely on every rule of docs/image-format.md.

#ifndef WAFERLOOM_IMAGE_IMAGE_H
#define WAFERLOOM_IMAGE_IMAGE_H

#include "waferloom/Image/Image_generated.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>
#include <string>

namespace waferloom::image {

/// The output of an entry that picks the next token by itself.
inline constexpr llvm::StringLiteral nextToken = "wafer.next_token";

/// Whether a tensor is one of ours, which the model does not have.
inline bool isOurs(llvm::StringRef name) { return name.starts_with("wafer."); }

/// NumPy's name of the type that the model gives a tensor.
llvm::StringRef typeNameOf(const TensorInfoT &info);

/// A file that stays on the disk, and what it was like when it was opened.
class OnDisk {
public:
  OnDisk(int descriptor, std::string path);
  ~OnDisk();
  OnDisk(const OnDisk &) = delete;
  OnDisk &operator=(const OnDisk &) = delete;

  uint64_t size() const { return static_cast<uint64_t>(first.size); }

  /// Fails when the file was cut off or written to since.
  llvm::Error check() const;

  /// Reads `size` bytes from `offset` on. Fails as `check` does where there are
  /// fewer by now, or says what the system says.
  llvm::Error read(uint64_t offset, size_t size, char *to) const;

private:
  struct Stamp {
    int64_t size = -1, seconds = 0, nanoseconds = 0;
  };
  Stamp stamp() const;

  int descriptor;
  std::string path;
  Stamp first;
};

/// An image that passed the checker, and its data section.
struct Loaded {
  ImageT image;
  llvm::ArrayRef<char> data;                // empty while it stays on the disk
  std::unique_ptr<llvm::MemoryBuffer> file; // what `data` points into, if any
  std::string owned;                        // the same without a file
  std::unique_ptr<OnDisk> disk;             // of a file too large for a copy
  uint64_t dataBegin = 0;                   // of the data section in `disk`

  /// To be asked before bytes are read: a file on the disk may change.
  llvm::Error unchanged() const {
    return disk ? disk->check() : llvm::Error::success();
  }

  /// Bytes of the data section, which must have them: where they lie, or read
  /// from the disk into `room`. Fails when the file was cut off since.
  llvm::Expected<const char *> bytes(uint64_t offset, size_t size,
                                     llvm::SmallVectorImpl<char> &room) const;
};

/// Files up to this size are copied into memory: nothing that happens to them
/// later matters. Of larger ones the data section stays on the disk.
inline constexpr uint64_t mostCopied = uint64_t(256) << 20;

/// Reads and checks a file. Errors name the file and where in it.
llvm::Expected<std::shared_ptr<const Loaded>>
read(llvm::StringRef path, uint64_t mostCopied = image::mostCopied);

/// The same from bytes in memory, which are copied.
llvm::Expected<std::shared_ptr<const Loaded>> readBytes(llvm::StringRef bytes,
                                                        llvm::StringRef name);

/// Checks an image that was never a file.
llvm::Expected<std::shared_ptr<const Loaded>> adopt(ImageT image,
                                                    std::string data);

/// Writes a file whole or not at all. The data section is `chunks` one after
/// the other. The same image gives the same bytes. Never writes over a file
/// that was `read`.
llvm::Error write(llvm::StringRef path, const ImageT &image,
                  llvm::ArrayRef<llvm::ArrayRef<char>> chunks,
                  llvm::ArrayRef<std::string> read = {});

/// Writes what was read, as it was read.
llvm::Error save(llvm::StringRef path, const Loaded &loaded);

/// Gives `take` what `write` would put into the file, in stretches of at most
/// 16 MiB, until it fails.
llvm::Error forStretches(const ImageT &image,
                         llvm::ArrayRef<llvm::ArrayRef<char>> chunks,
                         llvm::function_ref<llvm::Error(llvm::StringRef)> take);

/// What `write` would put into the file.
std::string writeBytes(const ImageT &image,
                       llvm::ArrayRef<llvm::ArrayRef<char>> chunks);

/// Writes the right checksum into bytes that were changed: for tests.
void seal(std::string &bytes);

/// Checks every rule; errors begin with the rule's number.
llvm::Error check(const ImageT &image, uint64_t dataBytes);
/// The same before there is a data section, whose writer makes it as long as it
/// must be.
llvm::Error checkWithoutData(const ImageT &image);

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_IMAGE_H
