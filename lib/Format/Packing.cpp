#include "waferloom/Format/Packing.h"

#include <numeric>

using namespace waferloom;

/// The largest group along dimension `d` of elements that are in one block of
/// one row.
static int64_t groupInRow(const BlockFormat &format,
                          llvm::ArrayRef<PackedDim> dims, size_t d,
                          int64_t at) {
  const auto columns = static_cast<int64_t>(format.columns);
  const int64_t stride = dims[d].stride;
  // Elements that the indices of dimensions in front of it, and behind it,
  // reach within a row.
  int64_t finer = 0, reached = at % columns;
  int64_t limit = std::gcd(
      format.blocks() == 1 ? columns : static_cast<int64_t>(format.size),
      reached);
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (dim.stride % columns == 0)
      continue; // another row, at the same place
    reached += (dim.live - 1) * dim.stride;
    if (i == d)
      continue;
    if (dim.stride > stride)
      limit = std::gcd(limit, dim.stride);
    else
      finer += (dim.live - 1) * dim.stride;
  }
  const bool staysInRow = reached < columns;
  if (format.blocks() == 1 && staysInRow)
    return dims[d].run;
  if (!staysInRow)
    limit = std::gcd(limit, columns);
  if (finer >= stride || limit % stride != 0)
    return 1;
  return std::gcd(dims[d].run, limit / stride);
}

llvm::SmallVector<int64_t> waferloom::groupsOf(const BlockFormat &format,
                                               llvm::ArrayRef<PackedDim> dims,
                                               int64_t at) {
  const auto columns = static_cast<int64_t>(format.columns);
  llvm::SmallVector<int64_t> groups;
  for (auto [d, dim] : llvm::enumerate(dims)) {
    int64_t group = 1;
    if (dim.stride % (columns * static_cast<int64_t>(format.scaledRows())) == 0)
      group = dim.run; // its scales start over
    else if (dim.stride < columns)
      group = groupInRow(format, dims, d, at);
    // What is beyond the end has the zero of its group only if that has no
    // other element.
    if (hasZeros(format))
      group = std::gcd(group, dim.live);
    groups.push_back(group);
  }
  return groups;
}
