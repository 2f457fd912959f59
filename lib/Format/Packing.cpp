#include "waferloom/Format/Packing.h"

#include <numeric>

using namespace waferloom;

SmallFloat waferloom::smallFloatOf(BlockFormat::Code code) {
  switch (code) {
  case BlockFormat::Code::e4m3fn:
    return {3, 7, 0x7e};
  case BlockFormat::Code::e2m1:
    return {1, 1, 0x7};
  default:
    return {2, 15, 0x7b};
  }
}

llvm::ArrayRef<llvm::SmallVector<Piece, 2>>
waferloom::planesOf(BlockFormat::Code code) {
  using Planes = std::vector<llvm::SmallVector<Piece, 2>>;
  // The first plane lies where f16 has it. The others take the bits that are
  // left: mostly one shift brings all of a code into place, else its sign
  // comes by a shift of its own.
  static const Planes e4m3 = {{{0, 0xbf80}}, {{7, 0x3f80}, {1, 0x8000}}},
                      e5m2 = {{{0, 0xff00}}, {{8, 0xff00}}},
                      e2m1 = {{{0, 0x8e00}},
                              {{3, 0x8e00}},
                              {{6, 0x0e00}, {1, 0x8000}},
                              {{9, 0x0e00}, {2, 0x8000}}};
  return code == BlockFormat::Code::e4m3fn ? e4m3
         : code == BlockFormat::Code::e2m1 ? e2m1
                                           : e5m2;
}

/// The largest group along dimension `d` of indices that are in one block of
/// `size` indices of a line of `columns`.
static int64_t groupInLine(int64_t columns, int64_t size,
                           llvm::ArrayRef<PackedDim> dims, size_t d,
                           int64_t at) {
  const bool isOne = size >= columns;
  const int64_t stride = dims[d].stride;
  // What the indices of dimensions in front of it, and behind it, reach within
  // a line.
  int64_t finer = 0, reached = at % columns;
  int64_t limit = std::gcd(isOne ? columns : size, reached);
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (dim.stride % columns == 0)
      continue; // another line, at the same place
    reached += (dim.live - 1) * dim.stride;
    if (i == d)
      continue;
    if (dim.stride > stride)
      limit = std::gcd(limit, dim.stride);
    else
      finer += (dim.live - 1) * dim.stride;
  }
  const bool staysInLine = reached < columns;
  if (isOne && staysInLine)
    return dims[d].run;
  if (!staysInLine)
    limit = std::gcd(limit, columns);
  if (finer >= stride || limit % stride != 0)
    return 1;
  return std::gcd(dims[d].run, limit / stride);
}

/// The same along rows, where blocks have several.
static int64_t groupOfRows(const BlockFormat &format,
                           llvm::ArrayRef<PackedDim> dims, size_t d,
                           int64_t at) {
  const auto columns = static_cast<int64_t>(format.columns),
             rows = static_cast<int64_t>(format.rows);
  llvm::SmallVector<PackedDim> ofRows;
  int64_t reached = at % columns;
  for (PackedDim dim : dims) {
    const bool isOfRows = dim.stride % columns == 0;
    if (!isOfRows)
      reached += (dim.live - 1) * dim.stride;
    ofRows.push_back(
        {dim.live, isOfRows ? dim.stride / columns : rows, dim.run});
  }
  // What leaves its row may be in any.
  if (reached >= columns)
    return 1;
  return groupInLine(rows, static_cast<int64_t>(format.tall), ofRows, d,
                     at / columns);
}

llvm::SmallVector<int64_t> waferloom::groupsOf(const BlockFormat &format,
                                               llvm::ArrayRef<PackedDim> dims,
                                               int64_t at) {
  const auto columns = static_cast<int64_t>(format.columns);
  llvm::SmallVector<int64_t> groups;
  for (auto [d, dim] : llvm::enumerate(dims)) {
    int64_t group = 1;
    if (format.tall > 1 && dim.stride % columns == 0)
      group = groupOfRows(format, dims, d, at);
    else if (format.tall == 1 &&
             dim.stride %
                     (columns * static_cast<int64_t>(format.scaledRows())) ==
                 0)
      group = dim.run; // its scales start over
    else if (dim.stride < columns)
      group =
          groupInLine(columns, static_cast<int64_t>(format.size), dims, d, at);
    // What is beyond the end has the zero of its group only if that has no
    // other element.
    if (hasZeros(format))
      group = std::gcd(group, dim.live);
    groups.push_back(group);
  }
  return groups;
}
