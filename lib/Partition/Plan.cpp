// From level 2 to level 3: read the classes of dimensions off the module,
// search one split per class, and write it.

#include "Classes.h"
#include "Search.h"
#include "Write.h"

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Partition/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/MathExtras.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONPLAN
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

/// Gives each reader its own constant, fill or iota: readers that share one
/// would have their dimensions joined by it.
static void unshareSources(ModuleOp module) {
  SmallVector<Operation *> sources;
  module.walk([&](Operation *op) {
    if (isa<linalg::FillOp, wafer::IotaOp>(op) ||
        (isa<tensor::EmptyOp, arith::ConstantOp>(op) &&
         isa<RankedTensorType>(op->getResult(0).getType())))
      sources.push_back(op);
  });
  // Readers before what they read: a fill that is copied reads its own empty.
  for (Operation *op : llvm::reverse(sources)) {
    Value value = op->getResult(0);
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : value.getUses())
      uses.push_back(&use);
    for (OpOperand *use : llvm::drop_begin(uses, uses.empty() ? 0 : 1)) {
      OpBuilder builder(op);
      use->set(builder.clone(*op)->getResult(0));
    }
  }
}

static void describe(const Problem &problem, const Plan &plan, Location loc) {
  auto join = [](ArrayRef<int64_t> factors) {
    std::string text;
    for (int64_t factor : factors)
      text += (text.empty() ? "" : " x ") + std::to_string(factor);
    return text;
  };
  remark::analysis(loc,
                   remark::RemarkOpts::name("plan").category("partition-plan"))
      << remark::metric("x", join(plan.factors.x))
      << remark::metric("y", join(plan.factors.y))
      << remark::metric("cycles_estimated", static_cast<int64_t>(plan.cycles))
      << remark::metric("cycles_compute_estimated",
                        static_cast<int64_t>(plan.computeCycles))
      << remark::metric("collectives", plan.packs)
      << remark::metric("bytes_per_pe", plan.bytes)
      << remark::metric("classes",
                        static_cast<int64_t>(problem.classes.size()));
}

namespace {
struct PartitionPlan : partition::impl::PartitionPlanBase<PartitionPlan> {
  using PartitionPlanBase::PartitionPlanBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    const int64_t columns = width, rows = height;
    const int64_t memory = sramBytes - reservedBytes;
    if (columns < 1 || rows < 1 || memory < 1) {
      module.emitError() << "partitioning needs a region and memory, not "
                         << columns << " x " << rows << " PEs with " << memory
                         << " bytes for data each";
      return signalPassFailure();
    }
    unshareSources(module);
    FailureOr<ModuleClasses> classes = classify(module);
    if (failed(classes))
      return signalPassFailure();
    Problem &problem = classes->problem;
    problem.width = columns;
    problem.height = rows;
    problem.bytesPerPe = memory;
    std::optional<Plan> plan = search(problem);
    if (!plan) {
      int64_t total = 0;
      for (const Stored &entry : problem.stored) {
        int64_t bytes = entry.count * entry.shape.elementBytes;
        for (int index : entry.shape.classes)
          bytes *= problem.classes[index].size;
        total += bytes;
      }
      InFlightDiagnostic diag = module.emitError();
      diag << "no layout found that fits: weights and states take "
           << llvm::divideCeil(total, columns * rows)
           << " bytes per PE when divided evenly over " << columns << " x "
           << rows << " PEs, before padding, replicas and buffers, but "
           << memory << " bytes are free for data in each";
      diag.attachNote() << "choose a larger grid, more memory per PE, or a "
                           "smaller state capacity";
      return signalPassFailure();
    }
    describe(problem, *plan, module.getLoc());
    if (failed(write(module, *classes, *plan)))
      return signalPassFailure();
  }
};
} // namespace

void partition::buildPipeline(OpPassManager &manager,
                              const PartitionPlanOptions &options, bool roll) {
  manager.addPass(createPartitionCut());
  manager.addNestedPass<func::FuncOp>(algebra::createAlgebraFold());
  manager.addPass(createCSEPass());
  // From here on reshapes are gone and dimensions are atoms.
  if (roll)
    manager.addNestedPass<func::FuncOp>(createPartitionRoll());
  // From here on like layers are one body.
  manager.addPass(createPartitionPlan(options));
  // From here on types carry layouts; what they say is proven, not believed.
  manager.addNestedPass<func::FuncOp>(createPartitionVerify());
  manager.addPass(createPartitionToPerPe());
  manager.addPass(createCSEPass());
}

namespace {
struct PipelineOptions : PassPipelineOptions<PipelineOptions> {
  Option<int64_t> width{*this, "width", llvm::cl::desc("Columns of the region"),
                        llvm::cl::init(1)};
  Option<int64_t> height{*this, "height", llvm::cl::desc("Rows of the region"),
                         llvm::cl::init(1)};
  Option<int64_t> sram{*this, "sram", llvm::cl::desc("Bytes of a PE"),
                       llvm::cl::init(49152)};
  Option<int64_t> reserved{*this, "reserved",
                           llvm::cl::desc("Of them not for data"),
                           llvm::cl::init(12288)};
  Option<bool> roll{*this, "roll", llvm::cl::desc("Roll like layers"),
                    llvm::cl::init(true)};
};
} // namespace

void partition::registerPipeline() {
  PassPipelineRegistration<PipelineOptions>(
      "waferloom-partition", "Level 2 to level 4: the piece of one PE",
      [](OpPassManager &manager, const PipelineOptions &options) {
        PartitionPlanOptions plan;
        plan.width = options.width;
        plan.height = options.height;
        plan.sramBytes = options.sram;
        plan.reservedBytes = options.reserved;
        buildPipeline(manager, plan, options.roll);
      });
}
