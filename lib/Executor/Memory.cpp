#include "Memory.h"
#include "Workers.h"
#include "llvm/Support/ErrorHandling.h"
#include <algorithm>
#include <cstring>

namespace waferloom::executor {

static uint32_t toLanes(uint64_t count) {
  return static_cast<uint32_t>((count + lanes - 1) / lanes * lanes);
}

Memory::Memory(uint32_t width, uint32_t height, size_t bytes, bool inLanes)
    : width(width), stride(width), perPe((bytes + 31) / 16 * 16) {
  // Whole blocks per row cost at most a sixth more.
  if (inLanes && toLanes(width) <= width + width / 6)
    stride = toLanes(width);
  slots = stride * height;
  if (inLanes)
    slots = toLanes(slots);
  constexpr size_t page = 4096;
  size_t size = (this->bytes() + page - 1) / page * page;
  data.reset(static_cast<char *>(std::aligned_alloc(page, size)));
  if (!data)
    llvm::report_bad_alloc_error("no memory for the PEs");
}

/// So many PEs are cleared or turned at a time.
constexpr size_t chunk = 16 * lanes;

void Memory::clear(Workers &workers) {
  interleaved = false;
  workers.forEach((slots + chunk - 1) / chunk, [&](size_t i, unsigned) {
    size_t begin = i * chunk, end = std::min<size_t>(slots, begin + chunk);
    std::memset(data.get() + begin * perPe, 0, (end - begin) * perPe);
  });
}

void Memory::interleave(Workers &workers) {
  if (interleaved)
    return;
  workers.forEach(blocks(), [&](size_t i, unsigned) {
    thread_local std::vector<char> scratch;
    scratch.resize(lanes * perPe);
    executor::interleave(block(uint32_t(i)), perPe, scratch.data());
  });
  interleaved = true;
}

void Memory::separate(Workers &workers) {
  if (!interleaved)
    return;
  workers.forEach(blocks(), [&](size_t i, unsigned) {
    thread_local std::vector<char> scratch;
    scratch.resize(lanes * perPe);
    executor::separate(block(uint32_t(i)), perPe, scratch.data());
  });
  interleaved = false;
}

/// Calls copy(offset, pointer, bytes) for each stretch of a range.
template <typename Copy>
void Memory::pieces(size_t pe, uint32_t address, size_t size, Copy copy) {
  if (!interleaved)
    return copy(0, of(pe) + address, size);
  uint32_t slot = slotOf(pe);
  char *base = block(slot / lanes) + 4 * (slot % lanes);
  size_t done = 0;
  // Whole words at once, so that the size is known here.
  if ((address & 3) == 0)
    for (; done + 4 <= size; done += 4)
      copy(done, laneAt(base, int64_t(address + done)), size_t(4));
  while (done < size) {
    size_t now = std::min<size_t>(size - done, 4 - ((address + done) & 3));
    copy(done, laneAt(base, int64_t(address + done)), now);
    done += now;
  }
}

void Memory::write(size_t pe, uint32_t address, const char *from, size_t size) {
  pieces(pe, address, size, [&](size_t offset, char *at, size_t bytes) {
    if (bytes == 4)
      std::memcpy(at, from + offset, 4);
    else
      std::memcpy(at, from + offset, bytes);
  });
}

void Memory::read(size_t pe, uint32_t address, char *to, size_t size) {
  pieces(pe, address, size, [&](size_t offset, char *at, size_t bytes) {
    if (bytes == 4)
      std::memcpy(to + offset, at, 4);
    else
      std::memcpy(to + offset, at, bytes);
  });
}

} // namespace waferloom::executor
