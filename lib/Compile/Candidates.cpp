// Estimates leave out what only whole programs show: how instructions merge,
// what waits for what. So the best few plans are lowered and counted, which
// needs no values. Equal layers take equally long from the second on, so of
// many a few are counted and the others added.

#include "Phases.h"

#include "waferloom/Algebra/Rewrites.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Executor/Executor.h"
#include "waferloom/Image/Image.h"
#include "waferloom/Target/ImageTarget.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace waferloom;

/// Leaves the first `trips` layers of every function.
static void shorten(ModuleOp module, int64_t trips) {
  for (auto function : wafer::getKinds(module).back().getOps<func::FuncOp>()) {
    wafer::RepeatOp layers = wafer::getLayersRepeat(function);
    if (!layers || static_cast<int64_t>(layers.getTripCount()) <= trips)
      continue;
    layers.setTripCount(static_cast<uint64_t>(trips));
    layers.walk([&](wafer::StoredOpInterface op) {
      op.setStoredNames(
          Builder(module.getContext())
              .getArrayAttr(op.getStoredNames().getValue().take_front(
                  static_cast<size_t>(trips))));
    });
  }
}

/// Cycles of a step of every entry that has a program of its own.
static std::optional<uint64_t> countAll(ModuleOp planned,
                                        const CompileOptions &options,
                                        const target::Target &target,
                                        std::optional<int64_t> trips) {
  OwningOpRef<ModuleOp> copy = planned.clone();
  ScopedDiagnosticHandler quiet(planned.getContext(),
                                [](mlir::Diagnostic &) { return success(); });
  if (trips)
    shorten(*copy, *trips);
  std::unique_ptr<image::TargetT> machine = target::toImage(target);
  target::Fit fit;
  if (isInterrupted(options) || failed(lowerToFabric(*copy, options)) ||
      failed(codegen::lowerToCore(*copy, *machine, fit, options.interrupted)))
    return std::nullopt;
  FailureOr<codegen::Image> image = codegen::emitImage(*copy, *machine);
  if (failed(image) || llvm::errorToBool(image::checkWithoutData(image->image)))
    return std::nullopt;
  auto loaded = std::make_shared<image::Loaded>();
  loaded->image = std::move(image->image);
  const image::RegionT &region = *loaded->image.regions.front();
  uint64_t cycles = 0;
  for (size_t entry = 0; entry < loaded->image.entries.size(); ++entry) {
    if (region.programs[entry]->shares)
      continue;
    if (isInterrupted(options))
      return std::nullopt;
    executor::RunOptions run;
    run.interrupted = options.interrupted;
    run.estimate = true;
    llvm::Expected<executor::StepResult> step =
        executor::countStep(loaded, entry, run);
    if (!step) {
      llvm::consumeError(step.takeError());
      return std::nullopt;
    }
    cycles += step->cycles;
  }
  return cycles;
}

std::optional<double> waferloom::countPlan(ModuleOp planned,
                                           const CompileOptions &given,
                                           const target::Target &target) {
  // Factors that go ahead save all plans about as much, but where few PEs have
  // a part in a message, programs take two to three times as long to count.
  CompileOptions options = given;
  if (!llvm::is_contained(options.disabledRewrites, algebra::earlyNorm))
    options.disabledRewrites.push_back(algebra::earlyNorm.str());
  int64_t trips = 0;
  ModuleOp kind = wafer::getKinds(planned).back(); // that of the layers
  for (auto function : kind.getOps<func::FuncOp>())
    if (wafer::RepeatOp layers = wafer::getLayersRepeat(function))
      trips = static_cast<int64_t>(layers.getTripCount());
  const int64_t sharing = std::max<int64_t>(
      wafer::getStages(wafer::getProgram(kind)).getCount() - 1, 1);
  // Each stage with two layers, and with three.
  const int64_t few = 2 * sharing, more = 3 * sharing;
  if (trips <= few + more) {
    std::optional<uint64_t> all =
        countAll(planned, options, target, std::nullopt);
    return all ? std::optional(static_cast<double>(*all)) : std::nullopt;
  }
  std::optional<uint64_t> two = countAll(planned, options, target, few);
  std::optional<uint64_t> three = countAll(planned, options, target, more);
  if (!two || !three)
    return std::nullopt;
  const double each =
      (static_cast<double>(*three) - static_cast<double>(*two)) /
      static_cast<double>(sharing);
  return static_cast<double>(*three) + each * static_cast<double>(trips - more);
}
