// A dimension's index is a mixed-radix number over its digits. Digits on an
// axis are fixed by a PE's position, local ones run through its local shard; so
// each dimension of a local shard is a short list of global indices, and a
// local shard is the product of the lists, row-major.

#include "Distribute.h"
#include "Half.h"
#include "Workers.h"
#include "waferloom/Image/Packing.h"
#include "waferloom/Image/Programs.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
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

/// The global indices of one dimension of a local shard, in order.
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

/// Whether local shards differ along an axis.
static bool dependsOn(const image::DimT &dim, image::Axis axis) {
  return llvm::any_of(dim.digits, [&](const image::Digit &digit) {
    return digit.axis() == axis;
  });
}

static bool dependsOn(const image::BindingT &binding, image::Axis axis) {
  return llvm::any_of(binding.dims,
                      [&](const auto &dim) { return dependsOn(*dim, axis); });
}

namespace {
/// The global indices of one dimension of a local shard, in order, and whether
/// they count on by one.
struct Indices {
  std::vector<int64_t> list;
  bool consecutive = true;

  Indices(std::vector<int64_t> indices = {0}) : list(std::move(indices)) {
    for (size_t i = 1; consecutive && i < list.size(); ++i)
      consecutive = list[i] == list[0] + static_cast<int64_t>(i);
  }
};

/// The indices of all local shards of a binding. Most dimensions lie along one
/// axis, so that there are few.
class Layout {
public:
  Layout(const image::RegionT &region, const image::BindingT &binding)
      : binding(binding) {
    for (const auto &dim : binding.dims) {
      bool alongX = dependsOn(*dim, image::Axis::x),
           alongY = dependsOn(*dim, image::Axis::y);
      Dim made;
      made.axis = alongX && alongY ? Both : alongX ? X : alongY ? Y : Neither;
      uint32_t positions = made.axis == X         ? region.width
                           : made.axis == Y       ? region.height
                           : made.axis == Neither ? 1
                                                  : 0;
      for (uint32_t i = 0; i < positions; ++i)
        made.known.emplace_back(indicesOf(*dim, i, i));
      dims.push_back(std::move(made));
    }
  }

  /// Indices of dimension `d`; `own` keeps those that are not shared.
  const Indices &of(size_t d, uint32_t x, uint32_t y, Indices &own) const {
    const Dim &dim = dims[d];
    if (dim.axis == Both) {
      own = Indices(indicesOf(*binding.dims[d], x, y));
      return own;
    }
    return dim.known[dim.axis == X ? x : dim.axis == Y ? y : 0];
  }

  const image::BindingT &binding;

private:
  enum Along { Neither, X, Y, Both };
  struct Dim {
    Along axis = Neither;
    std::vector<Indices> known; // by position on the axis
  };
  std::vector<Dim> dims;
};

/// The global indices of each dimension of one PE's local shard.
class LocalShard {
public:
  LocalShard(const Layout &layout, uint32_t x, uint32_t y)
      : binding(layout.binding), own(binding.dims.size()) {
    for (size_t d = 0; d < binding.dims.size(); ++d)
      indices.push_back(&layout.of(d, x, y, own[d]));
    if (indices.empty())
      indices.push_back(&scalar); // a row of one
    stride = binding.dims.empty() ? 1 : binding.dims.back()->source_stride;
    live = binding.dims.empty() ? 1 : binding.dims.back()->live;
  }
  LocalShard(const LocalShard &) = delete;
  LocalShard &operator=(const LocalShard &) = delete;

  uint64_t elements() const {
    uint64_t product = 1;
    for (const Indices *of : indices)
      product *= of->list.size();
    return product;
  }

  uint64_t bytes() const {
    const uint32_t size = image::bytesOf(binding.type);
    if (!binding.packing)
      return elements() * size;
    llvm::SmallVector<uint64_t, 4> extents;
    for (const Indices *of : indices)
      extents.push_back(of->list.size());
    return image::packedBytes(*binding.packing, extents, size);
  }

  /// Elements of the last dimension.
  const std::vector<int64_t> &row() const { return indices.back()->list; }
  int64_t rowStride() const { return stride; }
  int64_t rowLive() const { return live; }
  /// Whether a row lies in the source as it lies in the local shard.
  bool isConsecutive() const {
    return stride == 1 && indices.back()->consecutive;
  }

  /// Calls visit(first local element, source offset of index 0 of the last
  /// dimension, whether the row's other indices are live) for every row.
  template <typename Visit>
  void forRows(Visit visit) const {
    size_t outer = indices.size() - 1;
    llvm::SmallVector<size_t, 4> at(outer, 0);
    for (uint64_t local = 0;; local += row().size()) {
      int64_t offset = 0;
      bool rowLives = true;
      for (size_t d = 0; d < outer; ++d) {
        int64_t index = indices[d]->list[at[d]];
        rowLives &= index < binding.dims[d]->live;
        offset += index * binding.dims[d]->source_stride;
      }
      visit(local, offset, rowLives);
      size_t d = outer;
      while (d > 0 && ++at[d - 1] == indices[d - 1]->list.size())
        at[--d] = 0;
      if (d == 0)
        return;
    }
  }

  /// Calls visit(local element, source offset, live) for every element.
  template <typename Visit>
  void forElements(Visit visit) const {
    forRows([&](uint64_t local, int64_t offset, bool rowLives) {
      for (int64_t index : row())
        visit(local++, offset + index * stride, rowLives && index < live);
    });
  }

  /// Calls visit(source offset, live) for the first element of every group of
  /// `groups` elements of each dimension.
  template <typename Visit>
  void forGroups(llvm::ArrayRef<uint32_t> groups, Visit visit) const {
    llvm::SmallVector<size_t, 4> at(groups.size(), 0);
    while (true) {
      int64_t offset = 0;
      bool lives = true;
      for (auto [d, dim] : llvm::enumerate(binding.dims)) {
        const int64_t index = indices[d]->list[at[d]];
        lives &= index < dim->live;
        offset += index * dim->source_stride;
      }
      visit(offset, lives);
      size_t d = groups.size();
      while (d > 0 &&
             (at[d - 1] += groups[d - 1]) == indices[d - 1]->list.size())
        at[--d] = 0;
      if (d == 0)
        return;
    }
  }

private:
  const image::BindingT &binding;
  llvm::SmallVector<const Indices *, 4> indices;
  llvm::SmallVector<Indices, 4> own;
  Indices scalar;
  int64_t stride = 1, live = 1;
};
} // namespace

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

/// The common case: elements of the source as they are, row by row.
template <typename T>
static void copyShard(const LocalShard &shard, const char *source,
                      uint32_t padding, char *to) {
  const std::vector<int64_t> &row = shard.row();
  int64_t stride = shard.rowStride(), live = shard.rowLive();
  T pad;
  std::memcpy(&pad, &padding, sizeof(T));
  shard.forRows([&](uint64_t local, int64_t offset, bool rowLives) {
    char *at = to + local * sizeof(T);
    size_t done = 0;
    if (rowLives && shard.isConsecutive()) {
      done = static_cast<size_t>(
          std::clamp<int64_t>(live - row[0], 0, int64_t(row.size())));
      std::memcpy(at, source + (offset + row[0]) * int64_t(sizeof(T)),
                  done * sizeof(T));
    }
    for (; done < row.size(); ++done) {
      bool lives = rowLives && row[done] < live;
      int64_t from = offset + row[done] * stride;
      storeAs(at + done * sizeof(T),
              lives ? loadAs<T>(source + from * int64_t(sizeof(T))) : pad);
    }
  });
}

/// Codes, scales or zeros of one local shard of a packed weight. What is beyond
/// the end is what stands for 0.
static void layPacked(const image::BindingT &binding, const Elements &source,
                      const LocalShard &shard, char *base) {
  const image::PackingT &packing = *binding.packing;
  const BlockFormat format = image::formatOf(packing);
  const HostType to = hostTypeOf(binding.type, false, false);
  const uint32_t size = image::bytesOf(binding.type);
  auto elementOf = [&](int64_t offset) {
    return binding.source_offset + static_cast<uint64_t>(offset);
  };
  if (packing.part == image::PackedPart::codes) {
    const auto words = static_cast<uint64_t>(
        packedWords(static_cast<int64_t>(shard.elements()), packing.bits));
    const uint32_t nothing = packing.zeros == image::PackedZeros::packed
                                 ? 0
                                 : static_cast<uint32_t>(commonZero(format));
    std::memset(base, 0, 2 * words);
    shard.forElements([&](uint64_t local, int64_t offset, bool live) {
      const uint32_t code =
          live ? image::codeAt(format, source.data, elementOf(offset))
               : nothing;
      char *at = base + 2 * (local % words);
      auto word = loadAs<uint16_t>(at);
      image::putCode(format, code, local / words, word);
      storeAs(at, word);
    });
    return;
  }
  shard.forGroups(packing.groups, [&](int64_t offset, bool live) {
    const uint64_t scale =
        live ? image::scaleIndexOf(format, elementOf(offset)) : 0;
    if (!image::isNumbers(packing))
      store(base, to,
            {false, 0,
             packedBias +
                 (live ? image::zeroAt(format, source.data, scale) : 0)});
    else
      store(base, to,
            live ? load(source.data + scale * bytesOf(source.type), source.type)
                 : Scalar{true, 0, 0});
    base += size;
  });
}

/// The bytes of one local shard.
static void layShard(const image::BindingT &binding, const Elements &source,
                     const LocalShard &shard, char *base) {
  if (binding.packing)
    return layPacked(binding, source, shard, base);
  HostType to = hostTypeOf(binding.type, false, false);
  uint32_t size = image::bytesOf(binding.type);
  if (binding.role == image::Role::index) {
    for (size_t i = 0; i < shard.row().size(); ++i)
      store(base + size * i, to, {false, 0, shard.row()[i]});
    return;
  }
  if (source.type == to && size == 4)
    return copyShard<uint32_t>(shard, source.data, binding.padding, base);
  if (source.type == to)
    return copyShard<uint16_t>(shard, source.data, binding.padding, base);
  unsigned sourceSize = bytesOf(source.type);
  shard.forElements([&](uint64_t local, int64_t offset, bool live) {
    if (live)
      store(base + size * local, to,
            load(source.data + offset * int64_t(sourceSize), source.type));
    else
      std::memcpy(base + size * local, &binding.padding, size);
  });
}

size_t bytesReached(const image::BindingT &binding, HostType type) {
  if (binding.packing)
    return image::bytesRead(*binding.packing);
  int64_t last = 0;
  for (const auto &dim : binding.dims)
    last += dim->source_stride * (std::max<int64_t>(dim->live, 1) - 1);
  return size_t(last + 1) * bytesOf(type);
}

void distribute(const image::RegionT &region, const image::BindingT &binding,
                Elements source, Memory &memory, Workers &workers,
                bool isFirst) {
  const auto put = isFirst ? &Memory::lay : &Memory::write;
  Layout layout(region, binding);
  bool alongX = dependsOn(binding, image::Axis::x);
  image::Classes classes = image::classesOf(region);
  workers.forEach(region.height, [&](size_t row, unsigned) {
    auto y = static_cast<uint32_t>(row);
    if (!image::contains(region, binding.rows, classes.rows[y]))
      return;
    std::vector<char> bytes;
    for (uint32_t x = 0; x < region.width; ++x) {
      if (!image::contains(region, binding.columns, classes.columns[x]))
        continue;
      // Often all PEs of a row hold the same.
      if (bytes.empty() || alongX) {
        LocalShard shard(layout, x, y);
        bytes.resize(shard.bytes());
        layShard(binding, source, shard, bytes.data());
      }
      (memory.*put)(size_t(y) * region.width + x, binding.address, bytes.data(),
                    bytes.size());
    }
  });
}

void collect(const image::RegionT &region, const image::BindingT &binding,
             Memory &memory, HostType type, char *data) {
  HostType from = hostTypeOf(binding.type, false, false);
  uint32_t size = image::bytesOf(binding.type);
  unsigned hostSize = bytesOf(type);
  // Where local shards repeat, the last one counts.
  bool alongX = dependsOn(binding, image::Axis::x),
       alongY = dependsOn(binding, image::Axis::y);
  uint32_t lastX = 0, lastY = 0;
  forHolders(region, binding, [&](uint32_t x, uint32_t y) {
    lastX = x;
    lastY = y;
  });
  std::vector<char> bytes;
  Layout layout(region, binding);
  forHolders(region, binding, [&](uint32_t x, uint32_t y) {
    if ((!alongX && x != lastX) || (!alongY && y != lastY))
      return;
    LocalShard shard(layout, x, y);
    bytes.resize(shard.elements() * size);
    memory.read(size_t(y) * region.width + x, binding.address, bytes.data(),
                bytes.size());
    shard.forElements([&](uint64_t local, int64_t offset, bool live) {
      if (live)
        store(data + offset * int64_t(hostSize), type,
              load(bytes.data() + size * local, from));
    });
  });
}

void clear(const image::RegionT &region, const image::BindingT &binding,
           Memory &memory, Workers &workers,
           llvm::function_ref<bool(int64_t offset, bool live)> isGone) {
  const uint32_t size = image::bytesOf(binding.type);
  Layout layout(region, binding);
  image::Classes classes = image::classesOf(region);
  workers.forEach(region.height, [&](size_t row, unsigned) {
    auto y = static_cast<uint32_t>(row);
    if (!image::contains(region, binding.rows, classes.rows[y]))
      return;
    const char zeros[sizeof(binding.padding)] = {};
    for (uint32_t x = 0; x < region.width; ++x)
      if (image::contains(region, binding.columns, classes.columns[x]))
        LocalShard(layout, x, y)
            .forElements([&](uint64_t local, int64_t offset, bool live) {
              if (isGone(offset, live))
                memory.write(size_t(y) * region.width + x,
                             binding.address +
                                 size * static_cast<uint32_t>(local),
                             zeros, size);
            });
  });
}

} // namespace waferloom::executor
