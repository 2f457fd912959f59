// The checksum of a file: what notices a flipped bit.

#ifndef WAFERLOOM_LIB_IMAGE_CHECKSUM_H
#define WAFERLOOM_LIB_IMAGE_CHECKSUM_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/xxhash.h"
#include <algorithm>
#include <string>

namespace waferloom::image {

/// XXH3 of each megabyte, and XXH3 of these, little-endian: so that bytes may
/// come in stretches of any size.
class Checksum {
public:
  void add(llvm::StringRef bytes) {
    while (!bytes.empty()) {
      if (rest.empty() && bytes.size() >= block) {
        close(bytes.take_front(block));
        bytes = bytes.drop_front(block);
        continue;
      }
      size_t more = std::min(block - rest.size(), bytes.size());
      rest.append(bytes.data(), more);
      bytes = bytes.drop_front(more);
      if (rest.size() == block) {
        close(rest);
        rest.clear();
      }
    }
  }

  /// Eight bytes.
  std::string finish() {
    if (!rest.empty())
      close(rest);
    rest.clear();
    return littleEndian(llvm::xxh3_64bits(sums));
  }

private:
  static constexpr size_t block = 1 << 20;

  static std::string littleEndian(uint64_t value) {
    std::string bytes(8, '\0');
    llvm::support::endian::write64le(bytes.data(), value);
    return bytes;
  }
  void close(llvm::StringRef bytes) {
    sums += littleEndian(llvm::xxh3_64bits(bytes));
  }

  std::string rest, sums;
};

} // namespace waferloom::image

#endif // WAFERLOOM_LIB_IMAGE_CHECKSUM_H
