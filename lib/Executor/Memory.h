// The SRAM of all PEs of a region. Separate: one PE after the other, as the
// reference engine wants it. In lanes: blocks of sixteen PEs, interleaved word
// by word (Lanes.h). Rows of PEs begin at a new block where that wastes little,
// so that neighbours in a column have the same lane. Sparse: pages on which
// only zeros are laid, and what lies behind all that a PE holds, take no memory
// of the host.

#ifndef WAFERLOOM_LIB_EXECUTOR_MEMORY_H
#define WAFERLOOM_LIB_EXECUTOR_MEMORY_H

#include "Lanes.h"
#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace waferloom::executor {

class Workers;

class Memory {
public:
  /// PEs of a region with so many bytes each, all zeros. `inLanes`: in blocks.
  Memory(uint32_t width, uint32_t height, size_t bytes, bool inLanes,
         bool isSparse = false);

  /// Host memory that this takes.
  uint64_t bytes() const { return uint64_t(slots) * perPe; }
  /// Of it what was laid, page by page; 0 unless sparse.
  uint64_t bytesLaid() const;
  /// All PEs hold what those of `from` do, which is as large. Nothing has been
  /// computed here yet.
  void copy(const Memory &from, Workers &workers);
  /// All PEs hold zeros again.
  void clear(Workers &workers);
  void interleave(Workers &workers);
  void separate(Workers &workers);
  bool isInterleaved() const { return interleaved; }

  /// The bytes of a PE. Only while separate.
  char *of(size_t pe) { return data.get() + size_t(slotOf(pe)) * perPe; }

  uint32_t slotOf(size_t pe) const {
    return static_cast<uint32_t>(pe / width * stride + pe % width);
  }
  /// From a PE's block to that of the PE whose index is so much more, in the
  /// same column.
  uint32_t blocksBetween(uint32_t pes) const { return slotOf(pes) / lanes; }
  uint32_t blocks() const { return slots / lanes; }
  char *block(uint32_t index) {
    return data.get() + size_t(index) * lanes * perPe;
  }

  /// Copies between a PE's memory and the host, however it lies. Addresses and
  /// sizes are multiples of 2.
  void write(size_t pe, uint32_t address, const char *from, size_t size);
  /// The same, where nothing has been computed yet.
  void lay(size_t pe, uint32_t address, const char *from, size_t size);
  void read(size_t pe, uint32_t address, char *to, size_t size);

private:
  struct Unmap {
    size_t bytes;
    void operator()(char *data) const;
  };
  template <typename Copy>
  void forSpans(size_t pe, uint32_t address, size_t size, Copy copy);

  uint32_t width, stride, slots;
  size_t perPe;
  bool interleaved;
  std::vector<std::atomic<bool>> laid; // by page; none unless sparse
  std::unique_ptr<std::atomic<uint64_t>> pagesLaid;
  std::unique_ptr<char, Unmap> data;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_MEMORY_H
