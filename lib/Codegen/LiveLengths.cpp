// Loops over the slots of a cache end with the live ones, if that takes fewer
// cycles while half of the context is used: the descriptors of instructions
// that do are rewritten once per step, a `rewrite` each.

#include "InstructionCost.h"
#include "LiveSlots.h"
#include "Machine.h"
#include "waferloom/Codegen/Passes.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"

namespace waferloom::codegen {
#define GEN_PASS_DEF_CORELIVELENGTHS
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;
using codegen::Caches;
using codegen::Ending;
using codegen::Endings;
using codegen::LiveSlots;
using codegen::Walk;
using core::OperandAttr;
using machine::MachineModel;

namespace {
struct CoreLiveLengths : codegen::impl::CoreLiveLengthsBase<CoreLiveLengths> {
  using CoreLiveLengthsBase::CoreLiveLengthsBase;
  explicit CoreLiveLengths(const image::TargetT &machine) : given(machine) {}

  void runOnOperation() override;

  std::optional<image::TargetT> given;
};
} // namespace

/// `operand` with a stride for each dimension of its walk.
static OperandAttr strided(OperandAttr operand, const Walk &walk) {
  if (operand.getImmediate())
    return operand;
  const int64_t bytes = core::bytesOf(operand.getType());
  SmallVector<int64_t, 4> strides;
  for (int64_t stride : walk.strides)
    strides.push_back(stride / bytes);
  return OperandAttr::get(
      operand.getContext(), operand.getType(), operand.getBuffer(),
      operand.getBase(), /*dense=*/false, strides, operand.getSteps(),
      operand.getIndexBuffer(), operand.getIndexAt(), operand.getIndexSteps(),
      operand.getIndexScale(), operand.getIndexCount(), false, 0);
}

/// Cycles that `ending` saves in a step that uses half of the context.
static int64_t savedBy(core::VectorOp op, const Ending &ending,
                       const MachineModel &machine) {
  SmallVector<int64_t, 4> shape(ending.shape());
  const int64_t half = std::max<int64_t>(2, llvm::divideCeil(ending.slots, 2));
  int64_t &extent = shape[static_cast<size_t>(ending.live.getDim())];
  extent = std::clamp<int64_t>(half - ending.live.getFrom(), 0, extent);
  SmallVector<OperandAttr, 4> operands;
  for (auto [operand, walk] :
       llvm::zip_equal(codegen::operandsOf(op), ending.walks))
    operands.push_back(strided(operand, walk));
  const int64_t whole = codegen::cyclesOf(op, machine);
  if (llvm::is_contained(shape, 0)) {
    return ending.trips *
           (whole - machine.getIssue() -
            (llvm::any_of(operands, core::moves) ? machine.getRewrite() : 0));
  }
  return ending.trips *
         (whole - codegen::cyclesOf(op.getOp(), shape, operands, machine));
}

/// The most instructions that may end with the live slots; none if they are not
/// worth it.
static Endings findEndings(core::ProgramOp program, const Caches &all,
                           int64_t tokens, const MachineModel &machine) {
  constexpr int most = 40; // walks
  Caches caches = all;
  std::set<Operation *> whole;
  for (int turn = 0; turn < most && !caches.empty(); ++turn) {
    LiveSlots slots(program, caches, tokens);
    if (!slots.walk(whole))
      return {};
    for (StringRef name : slots.unknown)
      caches.erase(name);
    const size_t before = whole.size();
    whole.insert(slots.wrong.begin(), slots.wrong.end());
    if (!slots.unknown.empty() || whole.size() != before)
      continue;
    if (!slots.wrong.empty())
      return {}; // what is wrong is wrong without them
    int64_t saved = 0;
    for (auto &[op, ending] : slots.endings)
      saved += savedBy(cast<core::VectorOp>(op), ending, machine);
    const auto cost =
        static_cast<int64_t>(slots.endings.size()) * machine.getRewrite();
    // Some of what is saved would have been hidden behind messages.
    if (saved <= 2 * cost)
      return {};
    // Those that may as well be whole, if they save less than they cost.
    for (auto &[op, ending] : slots.endings)
      if (ending.isFree && savedBy(cast<core::VectorOp>(op), ending, machine) <=
                               machine.getRewrite())
        whole.insert(op);
    if (whole.size() == before)
      return std::move(slots.endings);
  }
  return {};
}

static void apply(core::VectorOp op, const Ending &ending) {
  Builder builder(op.getContext());
  SmallVector<Attribute, 4> operands;
  for (auto [operand, walk] :
       llvm::zip_equal(codegen::operandsOf(op), ending.walks))
    operands.push_back(operand.getDense() ? operand : strided(operand, walk));
  op.setShapeAttr(builder.getDenseI64ArrayAttr(ending.shape()));
  op.setDstAttr(cast<OperandAttr>(operands.front()));
  op.setSourcesAttr(builder.getArrayAttr(ArrayRef(operands).drop_front()));
  op.setLiveAttr(ending.live);
}

/// Descriptors are rewritten at the begin, by all PEs at once: in front of a
/// take those that wait for credits would wait for it, too.
static void insertRewrites(core::ProgramOp program, size_t count) {
  Block &body = program.getBody().front();
  auto isInFront = [](Operation &op) {
    return isa<core::BufferOp, core::BindOp, core::RouteOp>(op);
  };
  OpBuilder builder(&body, llvm::find_if_not(body, isInFront));
  auto loop = core::LoopOp::create(
      builder, builder.getUnknownLoc(),
      builder.getI64IntegerAttr(static_cast<int64_t>(count)), UnitAttr(),
      core::LoopOverAttr(), FlatSymbolRefAttr(), FlatSymbolRefAttr());
  builder.createBlock(&loop.getBody());
  core::RewriteOp::create(builder, builder.getUnknownLoc(), FlatSymbolRefAttr(),
                          FlatSymbolRefAttr());
}

void CoreLiveLengths::runOnOperation() {
  core::ImageOp image = getOperation();
  FailureOr<image::TargetT> machine = codegen::machineOf(image, given, target);
  if (failed(machine))
    return signalPassFailure();
  for (auto region : image.getBody().getOps<core::RegionOp>()) {
    const Caches caches = codegen::findCaches(region);
    bool isPlain = !caches.empty() && image.getCapacity() != 0;
    region.walk([&](Operation *op) {
      if (auto program = dyn_cast<core::ProgramOp>(op))
        isPlain &= !program.getShares();
      if (auto buffer = dyn_cast<core::BufferOp>(op))
        isPlain &= !buffer.getAddress();
    });
    if (!isPlain)
      continue;
    for (auto program : region.getBody().getOps<core::ProgramOp>())
      for (auto entry : image.getBody().getOps<core::EntryOp>()) {
        if (entry.getName() != program.getEntry())
          continue;
        const Endings endings = findEndings(
            program, caches, static_cast<int64_t>(entry.getTokens()),
            MachineModel(*machine));
        if (endings.empty())
          continue;
        insertRewrites(program, endings.size());
        for (const auto &[op, ending] : endings)
          apply(cast<core::VectorOp>(op), ending);
      }
  }
}

std::unique_ptr<Pass>
codegen::createLiveLengthsFor(const image::TargetT &machine) {
  return std::make_unique<CoreLiveLengths>(machine);
}
