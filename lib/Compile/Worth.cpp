// What each rewrite saves: the model is planned and compiled again without it,
// on the same region and as many stages, and one step is counted. Cycles need
// no values, so no weight is read.

#include "Phases.h"

#include "waferloom/Algebra/Rewrites.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Compile/Pipelines.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Executor/Executor.h"
#include "waferloom/Image/Image.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/ADT/STLExtras.h"

#include <optional>

using namespace mlir;
using namespace waferloom;

namespace {
class Measuring {
public:
  Measuring(const Levels &levels, const CompileOptions &options,
            const image::ImageT &image)
      : levels(levels), options(options),
        isLive(executor::hasLiveLengths(image, 0)) {}

  /// Leaves `image` as it was.
  static llvm::Expected<uint64_t> countStep(image::ImageT &image,
                                            StringRef without);

  /// Cycles of a step without a rewrite; none: it does not fit any more.
  llvm::Expected<std::optional<uint64_t>> without(StringRef name);

  /// Whether messages, roots or loops over caches are other ones for it.
  bool isAtWork(StringRef name);

  bool changedNothing = false; ///< the rewrite that `without` tried

private:
  Levels levels;
  const CompileOptions &options;
  bool isLive; ///< loops over caches end with the live slots
};
} // namespace

/// The step that what a rewrite is worth is counted in: the last one that
/// caches have room for. Live lengths save nothing there, so those where half
/// is used.
static uint64_t positionFor(const image::ImageT &image, StringRef without) {
  const uint64_t last = executor::lastPosition(image, 0);
  return without == algebra::liveLengths ? last / 2 : last;
}

llvm::Expected<uint64_t> Measuring::countStep(image::ImageT &image,
                                              StringRef without) {
  if (llvm::Error error = image::checkWithoutData(image))
    return std::move(error);
  auto loaded = std::make_shared<image::Loaded>();
  loaded->image = std::move(image);
  executor::RunOptions run;
  run.position = positionFor(loaded->image, without);
  llvm::Expected<executor::StepResult> step =
      executor::countStep(loaded, 0, run);
  image = std::move(loaded->image);
  if (!step)
    return step.takeError();
  return step->cycles;
}

/// What later phases choose: nothing shows of it behind `prepare`.
static bool isOfMessages(StringRef name) {
  return name == algebra::packedMessages || name == algebra::middleRoot ||
         name == algebra::atRoots || name == algebra::sharedRoots ||
         name == algebra::earlyNorm || name == algebra::liveLengths;
}

bool Measuring::isAtWork(StringRef name) {
  if (!isOfMessages(name))
    return true;
  if (name == algebra::liveLengths)
    return isLive;
  bool works = false;
  levels.fabric.walk([&](fabric::CollectiveOpInterface op) {
    if (name == algebra::packedMessages)
      works |= isa<fabric::ReduceOp>(op) && op.getValues().size() > 1;
    else if (name == algebra::middleRoot)
      works |= op.getRoot() != 0;
    else if (name == algebra::earlyNorm)
      works |= isa<fabric::BroadcastOp>(op) &&
               cast<fabric::BroadcastOp>(op.getOperation()).goesAhead();
    else if (name == algebra::sharedRoots)
      works |= isa<fabric::BroadcastOp>(op) && op.getLine().getLength() == 2;
    else
      works |= isa<fabric::BroadcastOp>(op) &&
               llvm::any_of(op.getValues(), [](Value value) {
                 return !value.getDefiningOp<fabric::CollectiveOpInterface>();
               });
  });
  return works;
}

llvm::Expected<std::optional<uint64_t>> Measuring::without(StringRef name) {
  changedNothing = !isAtWork(name);
  if (changedNothing)
    return std::nullopt;
  CompileOptions other = options;
  other.region = {levels.planned->width, levels.planned->height};
  other.stages = levels.planned->stages;
  other.disabledRewrites.push_back(name.str());
  std::string reason;
  ScopedDiagnosticHandler quiet(
      levels.tensors->getContext(),
      [&](mlir::Diagnostic &found) { reason = found.str(); });
  OwningOpRef<ModuleOp> module = levels.tensors.clone();
  if (failed(runPhase(*module, [&](OpPassManager &pm) {
        populatePreparePipeline(pm, other);
      })))
    return llvm::createStringError("without '" + name + "': " + reason);
  changedNothing =
      !isOfMessages(name) &&
      OperationEquivalence::isEquivalentTo(
          levels.prepared, *module, OperationEquivalence::IgnoreLocations);
  partition::Planned planned;
  target::Fit fit;
  if (changedNothing || failed(planEntries(*module, other, planned)) ||
      failed(lowerToFabric(*module, other)))
    return std::nullopt;
  FailureOr<target::Target> target = target::getTarget(*module);
  if (failed(target))
    return llvm::createStringError(reason);
  std::unique_ptr<image::TargetT> machine = target::toImage(*target);
  if (failed(codegen::lowerToCore(*module, *machine, fit)))
    return std::nullopt;
  FailureOr<codegen::Image> image = codegen::emitImage(*module, *machine);
  if (failed(image))
    return std::nullopt;
  llvm::Expected<uint64_t> cycles = countStep(image->image, name);
  if (!cycles)
    return cycles.takeError();
  return *cycles;
}

llvm::Error waferloom::measureRewrites(const Levels &levels,
                                       const CompileOptions &options,
                                       codegen::Image &image) {
  std::optional<uint64_t> usual; // with all of them, where most are counted
  auto countWith = [&](StringRef name) -> llvm::Expected<uint64_t> {
    if (name == algebra::liveLengths)
      return Measuring::countStep(image.image, name);
    if (!usual) {
      llvm::Expected<uint64_t> cycles = Measuring::countStep(image.image, name);
      if (!cycles)
        return cycles;
      usual = *cycles;
    }
    return *usual;
  };
  ArrayRef<StringRef> names = algebra::rewriteNames();
  for (auto [i, name] : llvm::enumerate(names)) {
    auto &rewrite =
        *image.image.rewrites.emplace_back(std::make_unique<image::RewriteT>());
    rewrite.name = name.str();
    if (llvm::is_contained(options.disabledRewrites, name)) {
      rewrite.worth = image::Worth::left_out;
      continue;
    }
    if (options.progress)
      options.progress("without " + name.str(),
                       static_cast<double>(i) /
                           static_cast<double>(names.size()));
    Measuring measuring(levels, options, image.image);
    llvm::Expected<std::optional<uint64_t>> cycles = measuring.without(name);
    if (!cycles)
      return cycles.takeError();
    if (measuring.changedNothing) {
      rewrite.worth = image::Worth::unused;
    } else if (!*cycles) {
      rewrite.worth = image::Worth::unfit;
    } else {
      llvm::Expected<uint64_t> with = countWith(name);
      if (!with)
        return with.takeError();
      rewrite.worth = image::Worth::measured;
      rewrite.cycles =
          static_cast<int64_t>(**cycles) - static_cast<int64_t>(*with);
    }
  }
  return llvm::Error::success();
}
