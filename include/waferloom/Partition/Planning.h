//===- Planning.h - Layouts under a question about fit ----------*- C++ -*-===//
//
// Bytes of weights and states follow from a layout. Buffers, tables and code
// follow from the programs, which are written later. So a plan is asked about
// before it is settled: whoever knows the later phases answers what the fullest
// PE would hold.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_PARTITION_PLANNING_H
#define WAFERLOOM_PARTITION_PLANNING_H

#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Mapping/Mapping.h"
#include "waferloom/Partition/Considered.h"
#include "waferloom/Target/Resources.h"
#include "waferloom/Target/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace waferloom::partition {

struct PartitionPlanOptions;

/// What a level-3 module would take on the fullest PE. It must be the same for
/// the same module. An error: a later phase cannot do it at all (colors, say).
using Measure = llvm::function_ref<llvm::Expected<target::Fit>(mlir::ModuleOp)>;

/// What planning found, whether or not a plan fits.
struct Planned {
  target::Fit fit;               ///< of the chosen plan, or else of the closest
  bool asked = false;            ///< `fit` is an answer
  int answers = 0;               ///< plans that were measured
  int64_t width = 0, height = 0; ///< of a region, in PEs
  int64_t stages = 1;            ///< regions side by side
  double cycles = 0;             ///< of the chosen plan, estimated
  double arithmetic = 0;         ///< of these: what each PE computes
  /// Of the region of the ends, where it has another shape.
  std::optional<std::pair<int64_t, int64_t>> ends;
  std::string reason; ///< of the last plan that a later phase could not do
  std::vector<mapping::Layout> layouts; ///< of the chosen plan
  int64_t layers = 0;                   ///< trips that are alike; 0: none are
  std::vector<Considered> considered;   ///< by estimate, the best first
  bool streams = false; ///< entries of several tokens take them one by one
};

/// Asked while layouts are searched (may be null): true ends that without any.
using Interrupted = std::function<bool()>;

/// A grid of stages, as wafer::StagesAttr has it.
struct StageGrid {
  int64_t columns, rows;
  bool inColumns;

  int64_t strips() const { return inColumns ? columns : rows; }
  /// The column and the row of stage `index`.
  std::pair<int64_t, int64_t> getPlace(int64_t index) const {
    return wafer::getStagePlace(columns, rows, inColumns, index);
  }
};

/// The grids of `count` stages of `width` x `height` PEs that `target` has room
/// for, those with the fewest strips first; strips of one stage each only where
/// there are no others.
llvm::SmallVector<StageGrid> listGrids(int64_t width, int64_t height,
                                       int64_t count,
                                       const target::Target &target);

/// How what stages give each other lies, as far as the kind that was planned
/// before says it.
struct Lanes {
  llvm::SmallVector<int64_t> factors; ///< of the direction across the strip
  /// Those of each dimension of each value, one after the other.
  std::vector<llvm::SmallVector<wafer::Axis>> axes;
};

/// Brings `module` from level 2 (factored, folded) to level 3 by the cheapest
/// plan whose measure fits; asks about at most `mostAnswers` plans. The machine
/// is the module's `wafer.target`. What goes to stages of another kind lies as
/// `lanes` (may be null) say. On failure `module` is unchanged and nothing
/// is reported but errors of the module itself.
llvm::LogicalResult
planWithin(mlir::ModuleOp module, const PartitionPlanOptions &options,
           Measure measure, Planned &planned, int mostAnswers = 40,
           const Interrupted &interrupted = {}, const Lanes *lanes = nullptr);

struct Problem;

/// What planning expects of regions before anything is written. The module is
/// read once, so many shapes can be asked about; nothing is asked of the later
/// phases.
class Estimates {
public:
  /// Errors: those of the module, which are reported.
  static mlir::FailureOr<Estimates> of(mlir::ModuleOp module,
                                       const PartitionPlanOptions &options,
                                       const Interrupted &interrupted = {});
  Estimates(Estimates &&);
  ~Estimates();

  /// Those of the cheapest layout on `stages` regions of `width` x `height`
  /// PEs, what stages carry not counted; nothing: none was found whose weights,
  /// states and largest op the memory holds.
  std::optional<Estimate> get(int64_t width, int64_t height, int64_t stages);
  /// Of the dimensions that may be split, in no order.
  std::vector<int64_t> getLengths() const;

private:
  Estimates(std::unique_ptr<Problem> problem, target::Target target);
  std::unique_ptr<Problem> problem;
  target::Target target;
};

} // namespace waferloom::partition

#endif // WAFERLOOM_PARTITION_PLANNING_H
