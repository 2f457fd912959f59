// A dimension's index is a mixed-radix number over its digits. Digits on an
// axis are fixed by a PE's position, local ones run through its piece; so each
// dimension of a piece is a short list of global indices, and a piece is the
// product of the lists, row-major.

#include "Distribute.h"
#include "Half.h"
#include "waferloom/Image/Programs.h"
#include <cmath>
#include <limits>

namespace waferloom::executor {

HostType hostTypeOf(Type type, bool boolean, bool int64) {
  if (boolean)
    return HostType::boolean;
  if (int64)
    return HostType::i64;
  return type == Type::f32   ? HostType::f32
         : type == Type::f16 ? HostType::f16
                             : HostType::i32;
}

template <typename T>
static T loadAs(const char *at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <typename T>
static void storeAs(char *at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

/// Integers as they are, floats as floats: what conversions pass through.
struct Scalar {
  bool isFloat;
  float real;
  int64_t integer;
};

static Scalar load(const char *at, HostType type) {
  switch (type) {
  case HostType::f32:
    return {true, loadAs<float>(at), 0};
  case HostType::f16:
    return {true, floatOfHalf(loadAs<uint16_t>(at)), 0};
  case HostType::i32:
    return {false, 0, loadAs<int32_t>(at)};
  case HostType::i64:
    return {false, 0, loadAs<int64_t>(at)};
  case HostType::boolean:
    return {false, 0, loadAs<uint8_t>(at) != 0};
  }
  return {false, 0, 0};
}

static int64_t integerOf(const Scalar &scalar) {
  if (!scalar.isFloat)
    return scalar.integer;
  if (!(std::fabs(scalar.real) < 0x1p62f))
    return std::isnan(scalar.real) ? 0
           : scalar.real > 0       ? std::numeric_limits<int64_t>::max()
                                   : std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(std::nearbyint(scalar.real));
}

static void store(char *at, HostType type, const Scalar &scalar) {
  auto real = [&] {
    return scalar.isFloat ? scalar.real : static_cast<float>(scalar.integer);
  };
  switch (type) {
  case HostType::f32:
    return storeAs(at, real());
  case HostType::f16:
    return storeAs(at, halfOfFloat(real()));
  case HostType::i32:
    return storeAs(at, static_cast<int32_t>(integerOf(scalar)));
  case HostType::i64:
    return storeAs(at, integerOf(scalar));
  case HostType::boolean:
    return storeAs(
        at, uint8_t(scalar.isFloat ? scalar.real != 0 : scalar.integer != 0));
  }
}

/// The global indices of one dimension of a piece, in order.
static std::vector<int64_t> indicesOf(const image::DimT &dim, uint32_t x,
                                      uint32_t y) {
  std::vector<int64_t> indices{0};
  for (const image::Digit &digit : dim.digits) {
    std::vector<int64_t> next;
    if (digit.axis() == image::Axis::none) {
      next.reserve(indices.size() * digit.extent());
      for (int64_t index : indices)
        for (uint32_t local = 0; local < digit.extent(); ++local)
          next.push_back(index * digit.extent() + local);
    } else {
      uint32_t position = digit.axis() == image::Axis::x ? x : y;
      int64_t coordinate = (position / digit.stride()) % digit.extent();
      next.reserve(indices.size());
      for (int64_t index : indices)
        next.push_back(index * digit.extent() + coordinate);
    }
    indices = std::move(next);
  }
  return indices;
}

/// Calls visit(local element, source offset in elements, live) for a piece.
template <typename Visit>
static void forPiece(const image::BindingT &binding, uint32_t x, uint32_t y,
                     Visit visit) {
  size_t rank = binding.dims.size();
  if (rank == 0)
    return visit(uint64_t(0), int64_t(0), true);
  std::vector<std::vector<int64_t>> indices;
  for (const auto &dim : binding.dims)
    indices.push_back(indicesOf(*dim, x, y));
  const image::DimT &last = *binding.dims.back();
  std::vector<size_t> at(rank, 0);
  uint64_t local = 0;
  while (true) {
    int64_t offset = 0;
    bool live = true;
    for (size_t d = 0; d + 1 < rank; ++d) {
      int64_t index = indices[d][at[d]];
      live &= index < binding.dims[d]->live;
      offset += index * binding.dims[d]->source_stride;
    }
    for (int64_t index : indices.back())
      visit(local++, offset + index * last.source_stride,
            live && index < last.live);
    size_t d = rank - 1;
    while (d > 0 && ++at[d - 1] == indices[d - 1].size())
      at[--d] = 0;
    if (d == 0)
      return;
  }
}

template <typename Visit>
static void forHolders(const image::RegionT &region,
                       const image::BindingT &binding, Visit visit) {
  image::Classes classes = image::classesOf(region);
  for (uint32_t y = 0; y < region.height; ++y) {
    if (!image::contains(region, binding.rows, classes.rows[y]))
      continue;
    for (uint32_t x = 0; x < region.width; ++x)
      if (image::contains(region, binding.columns, classes.columns[x]))
        visit(x, y);
  }
}

void distribute(const image::RegionT &region, const image::BindingT &binding,
                Elements source, Memory &memory) {
  HostType to = hostTypeOf(binding.type, false, false);
  uint32_t size = image::bytesOf(binding.type);
  unsigned sourceSize = bytesOf(source.type);
  forHolders(region, binding, [&](uint32_t x, uint32_t y) {
    char *base = memory.of(size_t(y) * region.width + x) + binding.address;
    if (binding.role == image::Role::index) {
      uint64_t local = 0;
      for (int64_t index : indicesOf(*binding.dims.front(), x, y))
        store(base + size * local++, to, {false, 0, index});
      return;
    }
    if (source.type == to) {
      forPiece(binding, x, y, [&](uint64_t local, int64_t offset, bool live) {
        std::memcpy(base + size * local,
                    live ? source.data + offset * int64_t(size)
                         : reinterpret_cast<const char *>(&binding.padding),
                    size);
      });
      return;
    }
    forPiece(binding, x, y, [&](uint64_t local, int64_t offset, bool live) {
      if (live)
        store(base + size * local, to,
              load(source.data + offset * int64_t(sourceSize), source.type));
      else
        std::memcpy(base + size * local, &binding.padding, size);
    });
  });
}

void collect(const image::RegionT &region, const image::BindingT &binding,
             Memory &memory, HostType type, char *data) {
  HostType from = hostTypeOf(binding.type, false, false);
  uint32_t size = image::bytesOf(binding.type);
  unsigned hostSize = bytesOf(type);
  forHolders(region, binding, [&](uint32_t x, uint32_t y) {
    const char *base =
        memory.of(size_t(y) * region.width + x) + binding.address;
    forPiece(binding, x, y, [&](uint64_t local, int64_t offset, bool live) {
      if (live)
        store(data + offset * int64_t(hostSize), type,
              load(base + size * local, from));
    });
  });
}

} // namespace waferloom::executor
