//===- Passes.cpp - The quickest programs that fit ------------------------===//
//
// Speed first; then, as far as memory asks for it, bytes: programs are written
// again with less scratch (slower sequences) until the fullest PE holds them,
// and only then refused.
//
//===----------------------------------------------------------------------===//

#include "waferloom/Codegen/Passes.h"

#include "Convert.h"
#include "Machine.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Codegen/CoreText.h"
#include "waferloom/Dialect/Core/Shards.h"
#include "waferloom/Image/Programs.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/Target.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/MapVector.h"

namespace waferloom::codegen {
#define GEN_PASS_DEF_CONVERTFABRICTOCORE
#define GEN_PASS_DEF_COREFIT
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;
using codegen::Budget;

static constexpr Budget budgets[] = {
    {16384, true, target::mostRowsWrittenOut, true, true},
    {16384, true, target::mostRowsWrittenOut, true, false},
    {16384, true, target::mostRowsWrittenOut, false, true},
    {16384, true, target::mostRowsWrittenOut, false, false},
    {16384, true, 16, true, true},
    {16384, true, 16, true, false},
    {16384, true, 16, false, false},
    {16384, true, 4, false, false},
    {16384, true, 0, false, false},
    {16384, false, 0, false, false},
    {4096, true, 0, false, false},
    {4096, false, 0, false, false},
    {1024, false, 0, false, false},
    {0, false, 0, false, false}};

FailureOr<image::TargetT>
codegen::machineOf(Operation *op, const std::optional<image::TargetT> &given,
                   StringRef specification) {
  if (given)
    return *given;
  llvm::Expected<target::Target> target = target::parse(specification);
  if (!target)
    return emitError(op->getLoc()) << llvm::toString(target.takeError());
  return *target::toImage(*target);
}

FailureOr<image::TargetT>
codegen::machineOf(core::ImageOp image,
                   const std::optional<image::TargetT> &given,
                   StringRef specification) {
  return machineOf(image.getOperation(), given,
                   specification.empty() ? image.getTarget() : specification);
}

/// What the memory of the fullest PE holds, without code.
static target::Fit fitOf(core::RegionOp region, const image::TargetT &machine) {
  target::Fit all;
  llvm::MapVector<std::pair<Attribute, Attribute>, target::Fit> some;
  for (auto buffer : region.getBody().getOps<core::BufferOp>()) {
    Attribute columns = buffer.getColumnsAttr(), rows = buffer.getRowsAttr();
    target::Fit &fit = columns || rows ? some[{columns, rows}] : all;
    auto bytes = static_cast<int64_t>(buffer.getBytes());
    (buffer.getUse() == core::Use::parameter ? fit.weights
     : buffer.getUse() == core::Use::state   ? fit.states
                                             : fit.tables) += bytes;
  }
  target::Fit fullest; // of those that only some PEs have
  for (auto &[holders, fit] : some)
    if (fit.total() > fullest.total())
      fullest = fit;
  all.weights += fullest.weights;
  all.states += fullest.states;
  all.tables += fullest.tables;
  all.buffers = static_cast<int64_t>(*region.getMemory()) - all.total();
  all.limit = machine.sram_bytes;
  all.reserved = machine.reserved_bytes;
  for (auto bind : region.getBody().getOps<core::BindOp>()) {
    if (bind.getRole() == core::Role::index)
      continue;
    all.held.push_back({bind.getName().str(),
                        target::shardBytes(core::getShardBytes(bind), 1)});
  }
  return all;
}

/// The same of all regions, with code.
static FailureOr<target::Fit> fitOf(core::ImageOp op,
                                    const image::TargetT &machine) {
  FailureOr<codegen::Image> image = codegen::coreToImage(op, &machine);
  if (failed(image))
    return failure();
  target::Fit fullest;
  for (auto [region, written] : llvm::zip_equal(
           op.getBody().getOps<core::RegionOp>(), image->image.regions)) {
    target::Fit fit = fitOf(region, machine);
    fit.code = static_cast<int64_t>(image::codeBytes(*written, machine));
    if (fit.total() > fullest.total())
      fullest = std::move(fit);
  }
  return fullest;
}

namespace {
struct ConvertFabricToCore
    : codegen::impl::ConvertFabricToCoreBase<ConvertFabricToCore> {
  using ConvertFabricToCoreBase::ConvertFabricToCoreBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<image::TargetT> machine =
        codegen::machineOf(module, std::nullopt, target);
    if (budget >= std::size(budgets)) {
      module.emitError() << "there is no budget " << budget.getValue()
                         << ", the last is " << std::size(budgets) - 1;
      return signalPassFailure();
    }
    if (failed(machine))
      return signalPassFailure();
    auto image = codegen::convertToCore(module, *machine, budgets[budget]);
    if (failed(image))
      return signalPassFailure();
    codegen::keepOnly(module, *image);
  }
};

struct CoreFit : codegen::impl::CoreFitBase<CoreFit> {
  using CoreFitBase::CoreFitBase;
  CoreFit(const image::TargetT &machine, target::Fit *fit,
          const std::function<bool()> &interrupted)
      : given(machine), fit(fit), interrupted(interrupted) {}

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

  LogicalResult run();
  LogicalResult refuse(core::ImageOp smallest, const target::Fit &needs,
                       const image::TargetT &machine);

  std::optional<image::TargetT> given;
  target::Fit *fit = nullptr;
  std::function<bool()> interrupted;
};
} // namespace

LogicalResult CoreFit::refuse(core::ImageOp smallest, const target::Fit &needs,
                              const image::TargetT &machine) {
  auto region = *smallest.getBody().getOps<core::RegionOp>().begin();
  InFlightDiagnostic diag =
      getOperation().emitError()
      << "needs " << needs.total() << " bytes of SRAM on the fullest PE of "
      << region.getWidth() << " by " << region.getHeight() << " but '"
      << machine.name << "' has " << needs.limit;
  diag.attachNote() << "weights " << needs.weights << ", states "
                    << needs.states << ", tables " << needs.tables
                    << ", buffers " << needs.buffers << ", code " << needs.code
                    << ", reserved " << needs.reserved << " bytes";
  return failure();
}

LogicalResult CoreFit::run() {
  ModuleOp module = getOperation();
  FailureOr<image::TargetT> machine = codegen::machineOf(module, given, target);
  if (failed(machine))
    return failure();
  target::Fit needs;
  for (const Budget &budget : budgets) {
    if (interrupted && interrupted())
      return failure();
    FailureOr<core::ImageOp> image =
        codegen::convertToCore(module, *machine, budget);
    if (failed(image))
      return failure();
    OpPassManager allocation(core::ImageOp::getOperationName());
    allocation.addPass(codegen::createCoreCoalesce());
    if (budget.schedules) {
      // What different PEs need is not merged; what is merged may be needed on
      // fewer.
      allocation.addPass(codegen::createCoreNeeds());
      allocation.addPass(codegen::createMergeFor(*machine));
      allocation.addPass(codegen::createCoreNeeds());
      allocation.addPass(codegen::createCoreSendInPlace());
      allocation.addPass(codegen::createScheduleFor(*machine));
      if (!module->hasAttr(codegen::wholeCaches))
        allocation.addPass(codegen::createLiveLengthsFor(*machine));
    }
    codegen::populateAllocationPipeline(allocation, *machine,
                                        budget.spreadOverBanks);
    if (failed(runPipeline(allocation, *image)))
      return failure();
    FailureOr<target::Fit> found = fitOf(*image, *machine);
    if (failed(found))
      return failure();
    needs = *found;
    needs.economies = &budget - std::begin(budgets);
    if (fit)
      *fit = needs;
    if (needs.fits()) {
      codegen::keepOnly(module, *image);
      return success();
    }
    if (&budget == std::end(budgets) - 1) {
      (void)refuse(*image, needs, *machine);
      image->erase();
      return failure();
    }
    image->erase();
  }
  return failure();
}

void codegen::populateCodegenPipeline(
    OpPassManager &pm, const image::TargetT &machine, target::Fit *fit,
    const std::function<bool()> &interrupted) {
  pm.addPass(std::make_unique<CoreFit>(machine, fit, interrupted));
}

void codegen::populateAllocationPipeline(OpPassManager &pm,
                                         const image::TargetT &machine,
                                         bool banks) {
  pm.addPass(createCoreShare());
  if (banks)
    pm.addPass(createAssignBanksFor(machine));
  pm.addPass(createAllocateFor(machine));
}

namespace {
struct CodegenOptions : PassPipelineOptions<CodegenOptions> {
  Option<std::string> target{*this, "target",
                             llvm::cl::desc("The machine, as --target has it"),
                             llvm::cl::init("wse3")};
};
} // namespace

void codegen::registerPipeline() {
  PassPipelineRegistration<CodegenOptions>(
      "codegen", "Level 5 to level 6: programs with addresses",
      [](OpPassManager &pm, const CodegenOptions &options) {
        CoreFitOptions fit;
        fit.target = options.target;
        pm.addPass(createCoreFit(fit));
      });
}

LogicalResult codegen::lowerToCore(ModuleOp module,
                                   const image::TargetT &machine,
                                   target::Fit &fit,
                                   const std::function<bool()> &interrupted) {
  fit = target::Fit();
  fit.limit = machine.sram_bytes;
  fit.reserved = machine.reserved_bytes;
  PassManager pm(module.getContext());
  populateCodegenPipeline(pm, machine, &fit, interrupted);
  return pm.run(module);
}

FailureOr<target::Fit> codegen::fitOf(ModuleOp module,
                                      const image::TargetT &machine) {
  auto images = module.getOps<core::ImageOp>();
  if (images.empty() ||
      (*images.begin()).getBody().getOps<core::RegionOp>().empty())
    return module.emitError("has no core.image with a region");
  return ::fitOf(*images.begin(), machine);
}

FailureOr<codegen::Image> codegen::emitImage(ModuleOp module,
                                             const image::TargetT &machine) {
  return assemble(module, &machine);
}
