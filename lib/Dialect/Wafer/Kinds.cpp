// Kinds of stages: which a module has, where their stages stand, and what must
// hold within a kind and between both.

#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Stages.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::wafer;

std::optional<Kind> wafer::getKind(Operation *op) {
  ProgramOp program = getProgram(op);
  return program ? program.getKind() : std::nullopt;
}

SmallVector<ModuleOp> wafer::getKinds(ModuleOp module) {
  SmallVector<ModuleOp> kinds = llvm::to_vector(module.getOps<ModuleOp>());
  return kinds.empty() ? SmallVector<ModuleOp>{module} : kinds;
}

std::pair<int64_t, int64_t> wafer::getStagesOfKind(Operation *op) {
  const int64_t count = getStages(op).getCount();
  std::optional<Kind> kind = getKind(op);
  return {kind == Kind::Layers ? 1 : 0, kind == Kind::Ends ? 1 : count};
}

std::pair<int64_t, int64_t> wafer::getExtents(Operation *op) {
  RegionAttr region = getRegion(op);
  StagesAttr stages = getStages(op);
  int64_t columns = stages.getColumns(), rows = stages.getRows();
  if (getKind(op)) { // in one strip
    auto [first, end] = getStagesOfKind(op);
    (getDirection(stages) == Axis::X ? columns : rows) = end - first;
  }
  return {region.getWidth() * columns, region.getHeight() * rows};
}

/// The program of kind `ends` beside that of `program`; null: there is none,
/// as long as a kind is planned alone.
static ProgramOp getEnds(ProgramOp program) {
  if (program.getKind() == Kind::Ends)
    return program;
  Operation *both = program->getParentOp()->getParentOp();
  if (auto module = dyn_cast_or_null<ModuleOp>(both))
    for (ModuleOp kind : getKinds(module))
      if (getKind(kind) == Kind::Ends)
        return getProgram(kind);
  return {};
}

std::pair<int64_t, int64_t> wafer::getOffset(ProgramOp program, int64_t index) {
  RegionAttr region = program.getPesAttr();
  StagesAttr stages = getStages(program);
  if (!program.getKind()) {
    auto [column, row] = getStagePlace(stages, index);
    return {column * region.getWidth(), row * region.getHeight()};
  }
  if (index == 0)
    return {0, 0};
  ProgramOp ends = getEnds(program);
  const bool alongX = getDirection(stages) == Axis::X;
  auto lengthOf = [&](RegionAttr of) {
    return alongX ? of.getWidth() : of.getHeight();
  };
  const int64_t before =
      (ends ? lengthOf(ends.getPesAttr()) : 0) + (index - 1) * lengthOf(region);
  return alongX ? std::pair(before, int64_t(0)) : std::pair(int64_t(0), before);
}

std::pair<int64_t, int64_t> wafer::getWholeExtents(ProgramOp program) {
  if (!program.getKind())
    return getExtents(program);
  // The last stage of all, or of this kind as long as it is planned alone.
  ProgramOp last = program;
  if (auto both =
          dyn_cast_or_null<ModuleOp>(program->getParentOp()->getParentOp()))
    last = getProgram(getKinds(both).back());
  auto [x, y] = getOffset(last, getStagesOfKind(last).second - 1);
  RegionAttr region = last.getPesAttr();
  return {x + region.getWidth(), y + region.getHeight()};
}

/// The ops of `entry` that are an `Op`, which stands in no other op.
template <typename Op>
static FailureOr<Op> getOnly(func::FuncOp entry, StringRef kind) {
  SmallVector<Op> found;
  entry.walk([&](Op op) { found.push_back(op); });
  if (found.size() != 1 || found.front()->getParentOp() != entry)
    return entry.emitOpError() << "of kind '" << kind << "' has "
                               << found.size() << " " << Op::getOperationName()
                               << " but needs one, which stands in no other op";
  return found.front();
}

FailureOr<KindMessages> wafer::getMessages(func::FuncOp entry) {
  KindMessages messages;
  if (getKind(entry) == Kind::Ends) {
    FailureOr<SendRecvOp> both = getOnly<SendRecvOp>(entry, "ends");
    if (failed(both))
      return failure();
    llvm::append_range(messages.sent, both->getValues());
    llvm::append_range(messages.taken, both->getResults());
    return messages;
  }
  FailureOr<RecvOp> recv = getOnly<RecvOp>(entry, "layers");
  FailureOr<SendOp> send = getOnly<SendOp>(entry, "layers");
  if (failed(recv) || failed(send))
    return failure();
  llvm::append_range(messages.sent, send->getValues());
  llvm::append_range(messages.taken, recv->getResults());
  return messages;
}

/// Whether both lie alike, whatever is known of their padding.
static bool isAlike(Type a, Type b) {
  auto mine = cast<RankedTensorType>(a), theirs = cast<RankedTensorType>(b);
  LayoutAttr layout = getLayout(mine), other = getLayout(theirs);
  if (mine.getShape() != theirs.getShape() ||
      mine.getElementType() != theirs.getElementType() || !layout != !other)
    return false;
  if (!layout)
    return true;
  return llvm::all_of(
      llvm::zip_equal(layout.getDims(), other.getDims()), [&](auto dims) {
        auto [x, y] = dims;
        return x.getDigits() == y.getDigits() &&
               x.getCyclic() == y.getCyclic() && x.getLive() == y.getLive();
      });
}

/// Reports values of `sent` that are not those that are `taken`.
static LogicalResult checkNet(Operation *op, ArrayRef<Value> sent,
                              ArrayRef<Value> taken, StringRef way) {
  if (sent.size() != taken.size())
    return op->emitOpError() << "sends " << sent.size() << " values " << way
                             << ", where " << taken.size() << " are taken";
  for (auto [i, from, to] : llvm::enumerate(sent, taken))
    if (!isAlike(from.getType(), to.getType()))
      return op->emitOpError()
             << "sends value " << i << " " << way << " as " << from.getType()
             << ", where " << to.getType() << " is taken";
  return success();
}

/// Reports what an entry of one kind has that the other's has otherwise.
static LogicalResult checkEntry(func::FuncOp ends, func::FuncOp layers) {
  // A level lower words go other ways, which code generation checks.
  if (ends.getOps<SendRecvOp>().empty() && layers.getOps<SendOp>().empty())
    return success();
  FailureOr<KindMessages> outer = getMessages(ends),
                          inner = getMessages(layers);
  if (failed(outer) || failed(inner) ||
      failed(checkNet(ends, outer->sent, inner->taken, "to the layers")) ||
      failed(checkNet(layers, inner->sent, outer->taken, "to the ends")) ||
      failed(checkNet(layers, inner->sent, inner->taken, "to the next stage")))
    return failure();
  for (auto output : ends.getBody().getOps<OutputOp>())
    for (auto input : layers.getBody().getOps<InputOp>())
      if (output.getFeeds() && input.getName() == *output.getFeeds())
        return output.emitOpError()
               << "feeds '" << *output.getFeeds()
               << "', which not only the first stage reads";
  return success();
}

LogicalResult wafer::verifyKinds(ModuleOp module) {
  SmallVector<ModuleOp> kinds = getKinds(module);
  if (kinds.front() == module)
    return success();
  if (kinds.size() != 2 || getKind(kinds[0]) != Kind::Ends ||
      getKind(kinds[1]) != Kind::Layers)
    return module.emitError("has modules that are not the program of the ends "
                            "and that of the layers, in this order");
  ProgramOp ends = getProgram(kinds[0]), layers = getProgram(kinds[1]);
  StagesAttr stages = getStages(ends);
  if (stages != getStages(layers))
    return layers.emitOpError() << "has stages " << getStages(layers)
                                << " but the ends have " << stages;
  if (!ends.getPesAttr() || !layers.getPesAttr())
    return module.emitError("has kinds of stages without regions");
  const bool alongX = getDirection(stages) == Axis::X;
  RegionAttr mine = layers.getPesAttr(), other = ends.getPesAttr();
  if ((alongX ? mine.getY() : mine.getX()) !=
      (alongX ? other.getY() : other.getX()))
    return layers.emitOpError()
           << "has the region " << mine << " but the ends have " << other
           << ": across their strip both are cut alike, so that lanes meet";
  auto entries = llvm::to_vector(ends.getEntries()),
       others = llvm::to_vector(layers.getEntries());
  if (!llvm::equal(entries, others, [](EntryOp a, EntryOp b) {
        return a.getName() == b.getName() && a.getTokens() == b.getTokens();
      }))
    return layers.emitOpError("has other entries than the ends");
  for (auto [a, b] : llvm::zip_equal(entries, others))
    if (failed(
            checkEntry(kinds[0].lookupSymbol<func::FuncOp>(a.getFunction()),
                       kinds[1].lookupSymbol<func::FuncOp>(b.getFunction()))))
      return failure();
  return success();
}
