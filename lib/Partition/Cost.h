//===- Cost.h - Cycles and bytes of a split -----------------------*- C++
//-*-===//

#ifndef WAFERLOOM_LIB_PARTITION_COST_H
#define WAFERLOOM_LIB_PARTITION_COST_H

#include "Search.h"

namespace waferloom::partition {

/// What no plan may cost.
constexpr double impossibleCycles = 1e12;

/// The axes of a region and their sizes.
class Axes {
public:
  /// PEs of one line may be at most `mostHops` apart. `middleRoots`: sums along
  /// a line end in its middle, not at its end.
  Axes(const Factors &factors, int64_t mostHops, bool middleRoots,
       machine::LinkCosts links = {});

  llvm::ArrayRef<wafer::Axis> all() const { return axes; }
  int64_t getSize(wafer::Axis axis) const;
  int64_t getSize(llvm::ArrayRef<wafer::Axis> axes) const;
  /// Hops of one step along `axis`.
  int64_t getStride(wafer::Axis axis) const;
  int64_t getMostHops() const { return mostHops; }
  bool hasMiddleRoots() const { return middleRoots; }
  const machine::LinkCosts &getLinks() const { return links; }

private:
  Factors factors;
  int64_t mostHops;
  bool middleRoots;
  machine::LinkCosts links;
  llvm::SmallVector<wafer::Axis> axes;
};

/// Cycles of an all-reduce of `words` per PE along `axes`, in closed form: both
/// arms of each line to the middle, or one to its end, by the best of chain,
/// star, tree and two-phase, and a multicast back.
double getAllReduceCycles(const Axes &axes, llvm::ArrayRef<wafer::Axis> along,
                          int64_t words);
/// Cycles of an all-gather whose result has `words` per PE.
double getGatherCycles(const Axes &axes, llvm::ArrayRef<wafer::Axis> along,
                       int64_t words);

/// Axes per class; an empty optional is a class not decided yet.
using Assignment = std::vector<std::optional<llvm::SmallVector<wafer::Axis>>>;

/// The cost of assignments on one factorisation.
class Costs {
public:
  Costs(const Problem &problem, const Factors &factors);

  const Axes &getAxes() const { return axes; }
  /// The padded size of every class under a complete or partial assignment.
  std::vector<int64_t> getPadded(const Assignment &assignment) const;

  struct WorkCost {
    double cycles = 0;                    ///< local
    llvm::SmallVector<wafer::Axis> along; ///< of its collective
    int64_t words = 0;                    ///< per PE
    double collective = 0;                ///< cycles, alone
  };
  WorkCost getCost(const Work &work, const Assignment &assignment,
                   llvm::ArrayRef<int64_t> padded) const;
  /// Bytes per PE; a lower bound while classes are open.
  int64_t getBytes(const Assignment &assignment,
                   llvm::ArrayRef<int64_t> padded) const;
  /// All works, collectives of one depth, axes and combiner in one message.
  void rank(const Assignment &assignment, LayoutPlan &plan) const;

private:
  double getProductCycles(const Work &work, int64_t elements, int64_t results,
                          const Assignment &assignment,
                          llvm::ArrayRef<int64_t> padded) const;
  double getUnpackingCycles(const Unpacking &unpacking,
                            const Assignment &assignment,
                            llvm::ArrayRef<int64_t> padded) const;
  /// Bytes of a shard of a weight; those of its numbers where they are fewer. A
  /// lower bound while classes are open.
  int64_t getPackedBytes(const PackedWeight &weight, const TensorShape &shape,
                         const Assignment &assignment,
                         llvm::ArrayRef<int64_t> padded) const;
  int64_t getExtent(int index, const Assignment &assignment,
                    llvm::ArrayRef<int64_t> padded) const;
  int64_t getWords(const TensorShape &shape, const Assignment &assignment,
                   llvm::ArrayRef<int64_t> padded) const;

  /// Elements per PE that no completion of `assignment` can go below.
  int64_t getLeastWords(const TensorShape &shape, const Assignment &assignment,
                        llvm::ArrayRef<int64_t> padded) const;

  const Problem &problem;
  Axes axes;
};

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_COST_H
