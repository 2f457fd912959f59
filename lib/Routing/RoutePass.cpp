// Collectives of all entries to a problem, solve, prove, and back.

#include "Mirrors.h"
#include "Pins.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Routing/Passes.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "fabric-route"

namespace waferloom::routing {
#define GEN_PASS_DEF_FABRICROUTE
#define GEN_PASS_DEF_FABRICVERIFYROUTES
#include "waferloom/Routing/Passes.h.inc"
} // namespace waferloom::routing

using namespace mlir;
using namespace waferloom;

static collectives::Algorithm algorithmOf(fabric::Algorithm algorithm) {
  std::string name = fabric::stringifyAlgorithm(algorithm).str();
  llvm::replace(name, '_', '-');
  return collectives::parseAlgorithm(name).value();
}

template <typename ReduceLike>
static void readAlgorithm(ReduceLike op, collectives::Request &request) {
  request.algorithm = algorithmOf(op.getAlgorithm());
  request.group = static_cast<unsigned>(op.getGroup().value_or(0));
  request.levels = static_cast<unsigned>(op.getLevels().value_or(0));
  request.combiner = mirrored<collectives::Combiner>(op.getCombiner());
}

uint64_t routing::wordsOf(Type element, int64_t elements) {
  return static_cast<uint64_t>(element.isF16() ? (elements + 1) / 2 : elements);
}

routing::Collective routing::readCollective(fabric::CollectiveOpInterface op) {
  fabric::LineAttr line = op.getLine();
  routing::Collective c{op.getLoc(),
                        line.getDirection() == fabric::Direction::X
                            ? routing::Direction::X
                            : routing::Direction::Y,
                        {},
                        {}};
  c.line = {static_cast<unsigned>(line.getLength()),
            static_cast<unsigned>(line.getStride()),
            static_cast<unsigned>(line.getSegments())};
  c.request.root = static_cast<unsigned>(op.getRoot());
  int64_t elements = 0;
  for (Value value : op.getValues())
    elements += cast<ShapedType>(value.getType()).getNumElements();
  c.request.words =
      wordsOf(getElementTypeOrSelf(op.getValues().front().getType()), elements);
  if (auto allReduce = dyn_cast<fabric::AllReduceOp>(op.getOperation())) {
    c.request.kind = collectives::Kind::AllReduce;
    readAlgorithm(allReduce, c.request);
  } else if (auto reduce = dyn_cast<fabric::ReduceOp>(op.getOperation())) {
    c.request.kind = collectives::Kind::Reduce;
    readAlgorithm(reduce, c.request);
  } else {
    c.request.kind = collectives::Kind::Broadcast;
    c.request.algorithm = collectives::Algorithm::Chain;
  }
  return c;
}

namespace {
/// The collectives of a module and the problem that they are.
struct Reading {
  SmallVector<fabric::CollectiveOpInterface> ops;
  SmallVector<fabric::StageStreamOpInterface> borders;
  SmallVector<func::FuncOp> entries; // those with a place
  routing::Problem problem;
};
} // namespace

static FailureOr<Reading> read(ModuleOp module) {
  FailureOr<target::Target> target = target::getTarget(module);
  if (failed(target))
    return failure();
  const routing::Limits limits(*target::toImage(*target));
  Reading reading{{}, {}, {}, {module.getLoc(), 0, 0, limits, 0, {}, {}}};
  for (auto func : module.getOps<func::FuncOp>())
    if (fabric::RectAttr place = fabric::getPlace(func)) {
      int64_t width = place.getWidth(), height = place.getHeight();
      routing::Problem &problem = reading.problem;
      if (!reading.entries.empty() &&
          (problem.width != width || problem.height != height))
        return func.emitOpError() << "runs on " << width << " by " << height
                                  << " PEs but another entry on "
                                  << problem.width << " by " << problem.height;
      problem.width = width;
      problem.height = height;
      reading.entries.push_back(func);
    }
  module.walk([&](fabric::StageStreamOpInterface op) {
    reading.borders.push_back(op);
    reading.problem.borderColors =
        fabric::StageSendRecvOp::getColorsOf(wafer::getStages(op).getCount());
  });
  FailureOr<routing::Pins> pins = routing::Pins::of(module);
  if (failed(pins))
    return failure();
  WalkResult walked = module.walk([&](fabric::CollectiveOpInterface op) {
    if (!fabric::getPlace(op)) {
      op->emitOpError("is in no function with a fabric.place");
      return WalkResult::interrupt();
    }
    reading.ops.push_back(op);
    reading.problem.collectives.push_back(routing::readCollective(op));
    pins->color(op->getParentOfType<func::FuncOp>().getName(),
                reading.problem.collectives.back());
    return WalkResult::advance();
  });
  if (walked.wasInterrupted() || failed(routing::plan(reading.problem)) ||
      failed(routing::check(reading.problem)))
    return failure();
  return reading;
}

namespace {
struct FabricRoute : routing::impl::FabricRouteBase<FabricRoute> {
  using FabricRouteBase::FabricRouteBase;

  void runOnOperation() override {
    FailureOr<Reading> reading = read(getOperation());
    if (failed(reading))
      return signalPassFailure();
    FailureOr<routing::Solution> solution = routing::route(reading->problem);
    if (failed(solution) ||
        failed(routing::verify(reading->problem, *solution)))
      return signalPassFailure();
    for (auto [op, color] :
         llvm::zip_equal(reading->ops, solution->firstColors)) {
      LDBG() << op->getName() << " from color " << color;
      op.setFirstColor(color);
    }
    for (fabric::StageStreamOpInterface op : reading->borders)
      op.setFirstColor(reading->problem.colorsLeft());
    auto queues = fabric::QueuesAttr::get(&getContext(), solution->inputQueues,
                                          solution->outputQueues);
    for (func::FuncOp entry : reading->entries)
      entry->setAttr(fabric::FabricDialect::queuesName, queues);
  }
};

struct FabricVerifyRoutes
    : routing::impl::FabricVerifyRoutesBase<FabricVerifyRoutes> {
  using FabricVerifyRoutesBase::FabricVerifyRoutesBase;

  void runOnOperation() override {
    FailureOr<Reading> reading = read(getOperation());
    if (failed(reading) || failed(verify(*reading)))
      signalPassFailure();
  }

  LogicalResult verify(Reading &reading) {
    routing::Solution solution;
    for (fabric::CollectiveOpInterface op : reading.ops) {
      std::optional<uint64_t> color = op.getColor();
      if (!color)
        return op->emitOpError("has no color");
      const unsigned colors = reading.problem.limits.colors;
      if (*color >= colors)
        return op->emitOpError() << "begins at color " << *color
                                 << " but the target has " << colors;
      solution.firstColors.push_back(static_cast<unsigned>(*color));
    }
    for (fabric::StageStreamOpInterface op : reading.borders)
      if (op.getColor() != reading.problem.colorsLeft())
        return op->emitOpError()
               << "does not begin at color " << reading.problem.colorsLeft()
               << ", where those between stages do";
    fabric::QueuesAttr common;
    for (func::FuncOp entry : reading.entries) {
      auto queues = entry->getAttrOfType<fabric::QueuesAttr>(
          fabric::FabricDialect::queuesName);
      if (!queues)
        return entry.emitOpError("has no fabric.queues");
      if (common && queues != common)
        return entry.emitOpError("has other queues than another entry");
      common = queues;
    }
    if (common) {
      solution.inputQueues = llvm::to_vector(common.getInput());
      solution.outputQueues = llvm::to_vector(common.getOutput());
    }
    return routing::verify(reading.problem, solution);
  }
};
} // namespace

void routing::populateRoutingPipeline(OpPassManager &pm) {
  pm.addPass(createFabricRoute());
}
