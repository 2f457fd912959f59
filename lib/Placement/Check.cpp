// The question before a search and the proof after it. The proof compares every
// pair of stages: there are tens of them, and nothing cleverer is needed.

#include "waferloom/Placement/Placement.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom::placement;

LogicalResult waferloom::placement::check(const Problem &problem) {
  int64_t available = problem.fabricWidth * problem.fabricHeight, wanted = 0;
  for (const Stage &stage : problem.stages) {
    if (stage.width < 1 || stage.height < 1)
      return emitError(stage.loc) << "a stage of " << stage.width << " by "
                                  << stage.height << " PEs has no PE";
    if (stage.width > problem.fabricWidth ||
        stage.height > problem.fabricHeight) {
      InFlightDiagnostic diag = emitError(stage.loc)
                                << "needs " << stage.width << " by "
                                << stage.height << " PEs but the fabric has "
                                << problem.fabricWidth << " by "
                                << problem.fabricHeight << " for programs";
      diag.attachNote() << "choose a smaller region, or a larger target";
      return diag;
    }
    wanted += stage.width * stage.height;
    if (wanted > available) {
      InFlightDiagnostic diag = emitError(stage.loc)
                                << "stages up to this one need " << wanted
                                << " PEs but the fabric has " << available
                                << " for programs";
      diag.attachNote() << "choose smaller regions, or a larger target";
      return diag;
    }
  }
  for (const Net &net : problem.nets)
    if (std::max(net.from, net.to) >= problem.stages.size() || net.bytes < 0)
      return emitError(problem.loc)
             << "a net of " << net.bytes << " bytes leads from stage "
             << net.from << " to stage " << net.to << " of "
             << problem.stages.size();
  return success();
}

static bool overlap(const Rect &a, const Rect &b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height &&
         b.y < a.y + a.height;
}

LogicalResult waferloom::placement::verify(const Problem &problem,
                                           const Solution &solution) {
  if (solution.size() != problem.stages.size())
    return emitError(problem.loc)
           << "has places for " << solution.size() << " stages but there are "
           << problem.stages.size();
  for (auto [i, stage] : llvm::enumerate(problem.stages)) {
    const Rect &rect = solution[i];
    if (rect.width != stage.width || rect.height != stage.height)
      return emitError(stage.loc)
             << "asks for " << stage.width << " by " << stage.height
             << " PEs but is placed on " << rect.width << " by " << rect.height;
    if (rect.x < 0 || rect.y < 0 || rect.x + rect.width > problem.fabricWidth ||
        rect.y + rect.height > problem.fabricHeight)
      return emitError(stage.loc)
             << "reaches from (" << rect.x << ", " << rect.y << ") to ("
             << rect.x + rect.width - 1 << ", " << rect.y + rect.height - 1
             << ") but the fabric has " << problem.fabricWidth << " by "
             << problem.fabricHeight << " PEs for programs";
    for (const Rect &defect : problem.defects)
      if (overlap(rect, defect))
        return emitError(stage.loc) << "stands on a defect of " << defect.width
                                    << " by " << defect.height << " PEs at ("
                                    << defect.x << ", " << defect.y << ")";
    for (size_t j = 0; j < i; ++j)
      if (overlap(rect, solution[j])) {
        InFlightDiagnostic diag = emitError(stage.loc)
                                  << "shares PEs with another stage";
        diag.attachNote(problem.stages[j].loc) << "the other stage is here";
        return diag;
      }
  }
  return success();
}
