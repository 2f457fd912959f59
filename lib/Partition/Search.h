//===- Search.h - One split per class of dimensions ---------------*- C++
//-*-===//
//
// The planning problem as plain numbers, and its search. Nothing here knows
// about operations: Classes.cpp reads a Problem off a module, Write.cpp writes
// the answer into it.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_PARTITION_SEARCH_H
#define WAFERLOOM_LIB_PARTITION_SEARCH_H

#include "waferloom/Dialect/Wafer/Axis.h"
#include "waferloom/Format/Blocks.h"
#include "waferloom/Machine/MachineModel.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace waferloom::partition {

/// Dimensions that are split alike.
struct DimClass {
  int64_t size = 1;    ///< elements that count
  bool whole = false;  ///< never split
  bool exact = false;  ///< never padded
  bool cyclic = false; ///< positions of a state
  int padding = 0;     ///< classes of one number are padded to one size
  int64_t weight = 0;  ///< elements of weights and states that have it
  std::set<int> apart; ///< classes that share a loop nest: no axis for both
  std::string role;    ///< classes of one size and role are split alike
  /// A mapping says so. A whole axis stands for all factors of its direction.
  std::optional<llvm::SmallVector<wafer::Axis>> pinned;
};

/// Where the corners of stages stand that a mapping says; none: nobody does.
using StagePlaces = std::vector<std::optional<std::pair<int64_t, int64_t>>>;

/// A tensor: its element size in bytes and the class of each dimension.
struct TensorShape {
  int64_t elementBytes = 4;
  llvm::SmallVector<int> classes;
};

/// A weight whose integers stay packed: how its dimensions lie in the blocks.
struct PackedWeight {
  BlockFormat format;
  llvm::SmallVector<int64_t> strides; ///< elements of the file, per dimension
  int64_t at = 0;                     ///< element of the file at index 0
};

/// One that an op makes numbers of before it reads them.
struct Unpacking {
  PackedWeight weight;
  TensorShape shape; ///< of the numbers
};

/// What an op costs, in terms of the classes of its loops.
struct Work {
  llvm::SmallVector<int> parallel, reduction;
  double cyclesPerElement = 1;
  int combiner = 0;
  int64_t tripCount = 1;
  int scope = 0; ///< the block it stands in
  std::vector<int> producers;
  std::vector<TensorShape> buffers; ///< operands and result that are computed
  /// Of a sum of products: the operands. One of them is read element by
  /// element, and each element meets a vector of the other.
  std::vector<TensorShape> factors;
  std::vector<Unpacking> unpackings;
  int halves = 0; ///< of the factors, those that are multiplied as f16
  /// A change of layout of one dimension, not an op: from -> to.
  std::optional<std::pair<int, int>> change;
};

/// A weight or state that stays in the memory of the PEs.
struct Stored {
  TensorShape shape;
  int64_t count = 1;
  bool repeated = false; ///< one for each trip of a repeat
  std::optional<PackedWeight> packed;
};

struct Problem {
  /// What cycles of a PE and of its links are counted by.
  image::TargetT target;
  std::vector<DimClass> classes;
  std::vector<Work> works;
  std::vector<Stored> stored;
  int64_t width = 1, height = 1; ///< in PEs
  int64_t bytesPerPe = 0;        ///< for weights, states and the largest op
  /// Regions side by side, of which all but the first share what is repeated.
  int64_t stages = 1;
  /// The direction in which they stand, where only one has room for them, and
  /// the classes of what they carry, which must be whole along it.
  std::optional<wafer::Axis::Direction> stagesAlong;
  std::set<int> carried;
  /// What a mapping says: factors of the directions (empty: any), and places.
  llvm::SmallVector<int64_t> pinnedX, pinnedY;
  StagePlaces places;
  int64_t mostHops = 4;         ///< between the PEs of a line
  bool fusedCollectives = true; ///< collectives that can are one message
  bool middleRoots = true;      ///< of sums along a line; else at its end
  /// Branches that a search looks at before it has any plan.
  int64_t mostBranches = 300'000;
  /// Asked every few milliseconds of a search (may be null): true ends it
  /// without a plan.
  std::function<bool()> interrupted;
};

/// How a region's directions are cut into axes.
struct Factors {
  llvm::SmallVector<int64_t> x, y;
};

/// One split per class; the answer of the search.
struct LayoutPlan {
  Factors factors;
  std::vector<llvm::SmallVector<wafer::Axis>> axes; ///< per class
  std::vector<int64_t> padded;                      ///< per class
  double cycles = 0, computeCycles = 0;
  int64_t bytes = 0;
  int messages = 0; ///< collectives, those of one message counted once
};

/// The cheapest plans that fit, the cheapest first, at most `most`. None and
/// `looked` (at so many branches) at the problem's limit: there may be one.
/// None as well when it is interrupted.
std::vector<LayoutPlan> search(const Problem &problem, size_t most = 1,
                               int64_t *looked = nullptr);

/// "gave up after ... without a plan", with the numbers and a way out; empty if
/// the search came to its end.
std::string tellWhetherGaveUp(const Problem &problem, int64_t looked);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_SEARCH_H
