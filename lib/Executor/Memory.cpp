#include "Memory.h"
#include "Workers.h"
#include "llvm/Support/ErrorHandling.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace waferloom::executor {

static uint32_t toLanes(uint64_t count) {
  return static_cast<uint32_t>((count + lanes - 1) / lanes * lanes);
}

/// Of a sparse memory.
constexpr size_t pageBytes = 4096;

/// Zeroed pages, large ones where the host has them: a superstep touches some
/// words of every block, so with small pages most of its time would go into
/// finding them. What nobody touches takes no memory, so sparse memories have
/// small ones.
static char *mapPages(size_t bytes, bool isSparse) {
#if defined(__linux__)
  void *data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED)
    return nullptr;
  madvise(data, bytes, isSparse ? MADV_NOHUGEPAGE : MADV_HUGEPAGE); // a wish
  return static_cast<char *>(data);
#else
  return static_cast<char *>(std::calloc(bytes, 1));
#endif
}

void Memory::Unmap::operator()(char *data) const {
#if defined(__linux__)
  munmap(data, bytes);
#else
  std::free(data);
#endif
}

/// Bytes of a PE in host memory. A block is an odd number of cache lines, so
/// that the same word of all blocks does not fall into the same few sets.
static size_t roundUp(size_t bytes) {
  size_t words = (bytes + 3) / 4 + 4;
  return (words | 1) * 4;
}

Memory::Memory(uint32_t width, uint32_t height, size_t bytes, bool inLanes,
               bool isSparse)
    : width(width), stride(width), perPe(roundUp(bytes)), interleaved(inLanes),
      pagesLaid(std::make_unique<std::atomic<uint64_t>>(0)),
      data(nullptr, Unmap{0}) {
  // Whole blocks per row cost at most a sixth more.
  if (inLanes && toLanes(width) <= width + width / 6)
    stride = toLanes(width);
  slots = stride * height;
  if (inLanes)
    slots = toLanes(slots);
  size_t size = std::max<size_t>(this->bytes(), 1);
  data = std::unique_ptr<char, Unmap>(mapPages(size, isSparse), Unmap{size});
  if (!data)
    llvm::report_bad_alloc_error("no memory for the PEs");
  if (isSparse)
    laid = std::vector<std::atomic<bool>>(size / pageBytes + 1);
}

uint64_t Memory::bytesLaid() const { return pageBytes * *pagesLaid; }

/// So many PEs are cleared or turned at a time.
constexpr size_t chunk = 16 * lanes;

void Memory::clear(Workers &workers) {
#if defined(__linux__)
  if (!laid.empty() && madvise(data.get(), bytes(), MADV_DONTNEED) == 0) {
    laid = std::vector<std::atomic<bool>>(laid.size());
    *pagesLaid = 0;
    return;
  }
#endif
  workers.forEach((slots + chunk - 1) / chunk, [&](size_t i, unsigned) {
    size_t begin = i * chunk, end = std::min<size_t>(slots, begin + chunk);
    std::memset(data.get() + begin * perPe, 0, (end - begin) * perPe);
  });
}

void Memory::copy(const Memory &from, Workers &workers) {
  const size_t size = bytes();
  workers.forEach((size + pageBytes - 1) / pageBytes, [&](size_t i, unsigned) {
    const size_t at = i * pageBytes, now = std::min(pageBytes, size - at);
    const char *page = from.data.get() + at;
    // Zeros lie here already, and take no memory so.
    if (std::any_of(page, page + now, [](char byte) { return byte != 0; }))
      std::memcpy(data.get() + at, page, now);
  });
  for (size_t i = 0; i < laid.size(); ++i)
    laid[i] = from.laid[i].load();
  *pagesLaid = from.pagesLaid->load();
  interleaved = from.interleaved;
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
void Memory::forSpans(size_t pe, uint32_t address, size_t size, Copy copy) {
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
  forSpans(pe, address, size, [&](size_t offset, char *at, size_t bytes) {
    if (bytes == 4)
      std::memcpy(at, from + offset, 4);
    else
      std::memcpy(at, from + offset, bytes);
  });
}

void Memory::lay(size_t pe, uint32_t address, const char *from, size_t size) {
  if (laid.empty())
    return write(pe, address, from, size);
  forSpans(pe, address, size, [&](size_t offset, char *at, size_t bytes) {
    const char *end = from + offset + bytes;
    auto *page = &laid[static_cast<size_t>(at - data.get()) / pageBytes];
    auto *last =
        &laid[static_cast<size_t>(at + bytes - 1 - data.get()) / pageBytes];
    // What is zero lies there already, unless something else was laid.
    if (!*page && !*last &&
        std::all_of(from + offset, end, [](char byte) { return byte == 0; }))
      return;
    for (; page <= last; ++page)
      if (!page->exchange(true))
        ++*pagesLaid;
    std::memcpy(at, from + offset, bytes);
  });
}

void Memory::read(size_t pe, uint32_t address, char *to, size_t size) {
  forSpans(pe, address, size, [&](size_t offset, char *at, size_t bytes) {
    if (bytes == 4)
      std::memcpy(to + offset, at, 4);
    else
      std::memcpy(to + offset, at, bytes);
  });
}

} // namespace waferloom::executor
