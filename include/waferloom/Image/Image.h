// Images in memory and in files. What is read is checked: whoever holds a
// `Loaded` may rely on every rule of docs/image-format.md.

#ifndef WAFERLOOM_IMAGE_IMAGE_H
#define WAFERLOOM_IMAGE_IMAGE_H

#include "waferloom/Image/Image_generated.h"
#include "llvm/ADT/ArrayRef.h"
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

/// A file that is mapped, and what it was like then.
class Mapped {
public:
  Mapped(int descriptor, std::string path);
  ~Mapped();
  Mapped(const Mapped &) = delete;
  Mapped &operator=(const Mapped &) = delete;

  /// Fails when the file was cut off or written to since.
  llvm::Error check() const;

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
  llvm::ArrayRef<char> data;
  std::unique_ptr<llvm::MemoryBuffer> file; // what `data` points into, if any
  std::string owned;                        // the same without a file
  std::unique_ptr<Mapped> mapped;           // of a file too large for a copy

  /// To be asked before `data` is read: a file that is mapped may change.
  llvm::Error unchanged() const {
    return mapped ? mapped->check() : llvm::Error::success();
  }
};

/// Files up to this size are copied into memory: nothing that happens to them
/// later matters. Larger ones are mapped.
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

/// What `write` would put into the file.
std::string writeBytes(const ImageT &image,
                       llvm::ArrayRef<llvm::ArrayRef<char>> chunks);

/// Writes the right checksum into bytes that were changed: for tests.
void seal(std::string &bytes);

/// Checks every rule; errors begin with the rule's number.
llvm::Error check(const ImageT &image, uint64_t dataBytes);

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_IMAGE_H
