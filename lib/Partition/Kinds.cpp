// One program becomes two, in a module each: that of the ends, in which
// wafer.send_recv stands for the layers, and that of the layers, between what a
// stage takes and what it gives. What both need, both compute.

#include "waferloom/Partition/Kinds.h"
#include "Pins.h"
#include "Write.h"

#include "waferloom/Dialect/Wafer/Layers.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

/// Leaves of `entry` what stands around the layers.
static void keepEnds(func::FuncOp entry) {
  wafer::RepeatOp layers = wafer::getLayersRepeat(entry);
  OpBuilder builder(layers);
  auto elsewhere = wafer::SendRecvOp::create(
      builder, layers.getLoc(), layers.getResultTypes(), layers.getInits());
  layers->replaceAllUsesWith(elsewhere);
  layers.erase();
}

/// Leaves of `entry` the layers, and what they read.
static void keepLayers(func::FuncOp entry) {
  wafer::RepeatOp layers = wafer::getLayersRepeat(entry);
  Block &block = entry.getBody().front();
  auto builder = OpBuilder(layers);
  auto recv =
      wafer::RecvOp::create(builder, layers.getLoc(), layers.getResultTypes());
  layers.getInitsMutable().assign(recv.getResults());
  builder.setInsertionPointAfter(layers);
  auto send =
      wafer::SendOp::create(builder, layers.getLoc(), layers.getResults());
  llvm::SetVector<Operation *> needed;
  needed.insert(block.getTerminator());
  needed.insert(send);
  auto need = [&](Value value) {
    Operation *op = value.getDefiningOp();
    if (op && op->getBlock() == &block)
      needed.insert(op);
  };
  for (size_t i = 0; i < needed.size(); ++i)
    needed[i]->walk(
        [&](Operation *op) { llvm::for_each(op->getOperands(), need); });
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (!needed.contains(&op)) {
      op.dropAllUses();
      op.erase();
    }
}

/// Ops that nothing reads any more, and weights of theirs.
static void dropUnused(ModuleOp kind) {
  for (auto entry : kind.getOps<func::FuncOp>())
    eraseDead(entry);
  llvm::StringSet<> read;
  kind.walk([&](wafer::ParameterOp op) {
    for (auto name : op.getWeights().getAsRange<FlatSymbolRefAttr>())
      read.insert(name.getValue());
  });
  for (auto weight : kind.getOps<wafer::WeightOp>())
    if (wafer::PartAttr part = weight.getPartAttr();
        part && read.contains(weight.getSymName()))
      read.insert(part.getOf().getValue()); // has its bytes
  for (auto weight : llvm::make_early_inc_range(kind.getOps<wafer::WeightOp>()))
    if (!read.contains(weight.getSymName()))
      weight.erase();
}

FailureOr<Kinds> partition::outlineKinds(ModuleOp module,
                                         wafer::StagesAttr stages) {
  for (auto entry : module.getOps<func::FuncOp>())
    if (!wafer::getLayersRepeat(entry))
      return entry.emitError("has not one loop of layers, so its ends cannot "
                             "have a region of another shape");
  Kinds kinds{module.clone(), module.clone()};
  for (auto [kind, part] : {std::pair(wafer::Kind::Ends, *kinds.ends),
                            std::pair(wafer::Kind::Layers, *kinds.layers)}) {
    ModuleOp only = part;
    only.setSymName(wafer::stringifyKind(kind));
    wafer::ProgramOp program = wafer::getProgram(only);
    program.setKind(kind);
    program.setStagesAttr(stages);
    for (auto entry : only.getOps<func::FuncOp>())
      (kind == wafer::Kind::Ends ? keepEnds : keepLayers)(entry);
    dropUnused(only);
  }
  return kinds;
}

LogicalResult partition::poseKind(ModuleOp module, ModuleClasses &classes,
                                  const Lanes *lanes) {
  Problem &problem = classes.problem;
  const wafer::Axis::Direction along =
      wafer::getDirection(wafer::getStages(wafer::getProgram(module)));
  problem.stagesAlong = along;
  if (lanes) {
    auto &across = along == wafer::Axis::X ? problem.pinnedY : problem.pinnedX;
    if (!across.empty() && across != lanes->factors)
      return module.emitError(
          "the mapping cuts the ends otherwise than the layers across their "
          "strip, where lanes meet: say the layers' factors, or auto");
    across = lanes->factors;
  }
  for (auto entry : module.getOps<func::FuncOp>()) {
    FailureOr<wafer::KindMessages> messages = wafer::getMessages(entry);
    if (failed(messages))
      return failure();
    for (ArrayRef<Value> values : {messages->sent, messages->taken}) {
      size_t dim = 0;
      for (Value value : values)
        for (int index : classes.values.lookup(value)) {
          problem.carried.insert(index);
          DimClass &entry = problem.classes[index];
          if (lanes && dim < lanes->axes.size() && entry.size > 1) {
            if (entry.pinned && *entry.pinned != lanes->axes[dim])
              return module.emitError(
                  "the mapping splits a dimension of what the ends send "
                  "otherwise than the layers do, whose lanes they meet: leave "
                  "out the entry of kind ends, or say the layers' split");
            entry.pinned = lanes->axes[dim];
          }
          ++dim;
        }
    }
  }
  return success();
}

std::optional<StageGrid> partition::getStrip(std::pair<int64_t, int64_t> region,
                                             std::pair<int64_t, int64_t> ends,
                                             int64_t stages,
                                             const target::Target &target) {
  auto [width, height] = region;
  if (ends.second == height &&
      target::findPlace(target, ends.first + (stages - 1) * width, height))
    return StageGrid{stages, 1, false};
  if (ends.first == width &&
      target::findPlace(target, width, ends.second + (stages - 1) * height))
    return StageGrid{1, stages, true};
  return std::nullopt;
}

OwningOpRef<ModuleOp> partition::joinKinds(ModuleOp ends, ModuleOp layers) {
  OwningOpRef<ModuleOp> both = ModuleOp::create(layers.getLoc());
  (*both)->setAttrs(layers->getAttrDictionary());
  (*both)->removeAttr(SymbolTable::getSymbolAttrName());
  OpBuilder builder = OpBuilder::atBlockEnd(both->getBody());
  builder.clone(*ends);
  builder.clone(*layers);
  return both;
}

Lanes partition::getLanes(ModuleOp layers) {
  Lanes lanes;
  wafer::RegionAttr region = wafer::getRegion(layers);
  lanes.factors = llvm::to_vector(
      wafer::getDirection(wafer::getStages(layers)) == wafer::Axis::X
          ? region.getY()
          : region.getX());
  layers.walk([&](wafer::RecvOp recv) {
    if (!lanes.axes.empty()) // in all entries alike, as the verifier proves
      return;
    for (Type type : recv.getResultTypes())
      for (wafer::DimAttr dim : wafer::getLayout(type).getDims())
        lanes.axes.push_back(dim.getAxes());
  });
  return lanes;
}
