// The longest way of data through a function, of that alone which no program of
// these layouts can leave out: every all-reduce carries words from each end of
// its line to the other, and every product of weights has its multiply-adds.
//
// Why ends may be added: let c be a PE that stands at an end of every line it
// is in, and c' the one at the other end of a line. What c has of an all-reduce
// along it depends on what c' had before, over length - 1 steps. c' is such a
// PE, too, so the ways of all-reduces behind each other add up, whichever lines
// they are along. Where a sum ends at a root and goes back from there, the way
// is counted in from the nearer end and out to the farther one. What one PE of
// a line gives the others though all have it counts nothing. Local
// arithmetic but products of weights (caches are read as far as they are full),
// and hand-overs around a turn count nothing.
//
// The floor of instructions has their issue as well: a product is an `fma` for
// each element of its smaller factor, the scalar `c`, or one product and one
// fold of all elements in singles, and what a core computed it must send.

#include "Phases.h"

#include "waferloom/Collectives/Collectives.h"
#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Routing/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace waferloom;

namespace {
/// Cycles of a way: hops alone; with words, ramps and multiply-adds, of which
/// `products` are the last; and with the issue of instructions.
struct Way {
  uint64_t wires = 0, hard = 0, products = 0, floor = 0;

  Way then(Way next) const {
    return {wires + next.wires, hard + next.hard, products + next.products,
            floor + next.floor};
  }
  /// The longer of both, by each measure.
  void join(const Way &other) {
    wires = std::max(wires, other.wires);
    floor = std::max(floor, other.floor);
    if (other.hard > hard) {
      hard = other.hard;
      products = other.products;
    }
  }
};

class Ways {
public:
  /// `layers` are those of another kind of stages, where they have one.
  Ways(func::FuncOp function, const image::TargetT &target,
       Ways *layers = nullptr);

  /// The bounds of so many tokens, one after the other.
  image::BoundsT run(uint64_t tokens);

private:
  void walk(Block &block);
  void repeat(wafer::RepeatOp op);
  Way weigh(Operation *op);
  Way weighHandOvers(fabric::StageSendRecvOp op);
  Way weighCollective(fabric::CollectiveOpInterface op);
  uint64_t getProductCycles(Operation *op) const;
  Way weighProduct(Operation *op) const;
  Way wayTo(Operation *op) const;
  /// Products that a token takes once, and those of one layer.
  std::pair<uint64_t, uint64_t> countProducts();
  uint64_t getPace();

  func::FuncOp function;
  Ways *layers;
  collectives::Costs costs;
  uint64_t rate, mulRate, addRate; ///< elements per cycle
  llvm::DenseMap<Value, Way> ways;
  Way longest;
  image::BoundsT bounds;
};
} // namespace

Ways::Ways(func::FuncOp function, const image::TargetT &target, Ways *layers)
    : function(function), layers(layers), costs(target),
      rate(std::max({target.rate_fma_f32, target.rate_fma_f16,
                     target.rate_fma_mixed, 1u})),
      mulRate(std::max(target.rate_mul_f32, 1u)),
      addRate(std::max(target.rate_add_f32, 1u)) {}

static uint64_t countElements(linalg::LinalgOp op) {
  uint64_t elements = 1;
  for (int64_t range : op.getStaticLoopRanges())
    elements *= static_cast<uint64_t>(std::max<int64_t>(range, 1));
  return elements;
}

/// The multiply-adds of one PE at the fastest rate; 0: no product of weights.
uint64_t Ways::getProductCycles(Operation *op) const {
  auto generic = dyn_cast<linalg::LinalgOp>(op);
  if (!generic || generic.getNumReductionLoops() == 0)
    return 0;
  const bool readsWeights = llvm::any_of(op->getOperands(), [](Value operand) {
    return operand.getDefiningOp<wafer::ParameterOp>();
  });
  if (!readsWeights || generic.getNumDpsInputs() < 2)
    return 0;
  return llvm::divideCeil(countElements(generic), rate);
}

Way Ways::weighProduct(Operation *op) const {
  const uint64_t product = getProductCycles(op);
  if (!product)
    return {};
  auto generic = cast<linalg::LinalgOp>(op);
  uint64_t scalars = UINT64_MAX;
  for (Value factor : generic.getDpsInputs()) {
    auto type = dyn_cast<RankedTensorType>(factor.getType());
    scalars = std::min<uint64_t>(scalars, type ? type.getNumElements() : 1);
  }
  const uint64_t elements = countElements(generic);
  const uint64_t folded =
      llvm::divideCeil(elements, mulRate) + llvm::divideCeil(elements, addRate);
  return {0, product, product,
          std::min(scalars * costs.issue + product, 2 * costs.issue + folded)};
}

/// Straight from stage to stage every PE hears of the one a region before it.
Way Ways::weighHandOvers(fabric::StageSendRecvOp op) {
  wafer::StagesAttr stages = wafer::getStages(op);
  auto sizeOf = [&](int64_t stage, wafer::Axis::Direction direction) {
    wafer::RegionAttr region =
        wafer::getRegion(stage && layers ? layers->function : function);
    return direction == wafer::Axis::X ? region.getWidth() : region.getHeight();
  };
  Way way;
  for (int64_t i = 0; i < stages.getCount(); ++i) {
    const wafer::HandOver to = wafer::getHandOver(stages, i);
    if (to.turns)
      continue;
    const int64_t next = (i + 1) % stages.getCount();
    const auto hops = static_cast<uint64_t>(
        sizeOf(next, to.direction) + sizeOf(1, to.direction) * to.between);
    const uint64_t cycles =
        costs.getPassing(static_cast<uint64_t>(op.getWords())) +
        costs.getTravel(hops);
    way = way.then({hops * costs.hop, cycles, 0, cycles});
  }
  return layers ? way.then(layers->longest) : way;
}

Way Ways::weighCollective(fabric::CollectiveOpInterface op) {
  const routing::Collective c = routing::readCollective(op);
  const uint64_t ends = c.line.length - 1;
  const uint64_t near =
      std::min<uint64_t>(c.request.root, ends - c.request.root);
  // In to a root from the nearer end, out of it to the farther one.
  const bool in = c.request.kind == collectives::Kind::Reduce;
  const bool out = c.request.kind == collectives::Kind::Broadcast;
  const uint64_t hops = (in ? near : out ? ends - near : ends) * c.line.stride;
  if (!ends)
    return {};
  const uint64_t cycles =
      costs.getPassing(in ? 1 : c.request.words) + costs.getTravel(hops);
  // What comes from another message may be sent on by the instruction that
  // waits for it.
  const bool computed = llvm::any_of(op->getOperands(), [](Value operand) {
    return operand.getDefiningOp<linalg::LinalgOp>();
  });
  return {hops * costs.hop, cycles, 0, cycles + (computed ? costs.issue : 0)};
}

Way Ways::weigh(Operation *op) {
  if (auto handOver = dyn_cast<fabric::StageSendRecvOp>(op))
    return weighHandOvers(handOver);
  if (auto collective = dyn_cast<fabric::CollectiveOpInterface>(op))
    return weighCollective(collective);
  return weighProduct(op);
}

Way Ways::wayTo(Operation *op) const {
  Way way;
  for (Value operand : op->getOperands())
    way.join(ways.lookup(operand));
  return way;
}

void Ways::repeat(wafer::RepeatOp op) {
  SmallVector<Way> carried;
  for (Value value : op.getInits())
    carried.push_back(ways.lookup(value));
  Way before = longest;
  for (uint64_t trip = 0; trip < op.getTripCount(); ++trip) {
    for (auto [argument, way] :
         llvm::zip(op.getBodyBlock()->getArguments(), carried))
      ways[argument] = way;
    before = longest;
    walk(*op.getBodyBlock());
    for (auto [i, value] :
         llvm::enumerate(op.getBodyBlock()->getTerminator()->getOperands()))
      carried[i] = ways.lookup(value);
  }
  for (auto [result, way] : llvm::zip(op.getResults(), carried))
    ways[result] = way;
  if (layers || op != wafer::getLayersRepeat(function))
    return;
  bounds.layers = static_cast<uint32_t>(op.getTripCount());
  bounds.layer_wires = longest.wires - before.wires;
  bounds.layer_hard = longest.hard - before.hard;
  bounds.layer_floor = longest.floor - before.floor;
  bounds.layer_products =
      longest.products - std::min(longest.products, before.products);
}

void Ways::walk(Block &block) {
  // What layers read but do not carry may be there before the stage in front.
  const bool onlyLoops = wafer::getKind(function) == wafer::Kind::Layers &&
                         block.getParentOp() == function;
  for (Operation &op : block) {
    if (auto loop = dyn_cast<wafer::RepeatOp>(op)) {
      repeat(loop);
      continue;
    }
    if (onlyLoops)
      continue;
    // What goes ahead begins before ends of lines have heard of anything.
    auto broadcast = dyn_cast<fabric::BroadcastOp>(op);
    const Way way = broadcast && broadcast.goesAhead()
                        ? Way{}
                        : wayTo(&op).then(weigh(&op));
    for (Value result : op.getResults())
      ways[result] = way;
    longest.join(way);
  }
}

std::pair<uint64_t, uint64_t> Ways::countProducts() {
  uint64_t once = 0, repeated = 0;
  wafer::RepeatOp own = wafer::getLayersRepeat(function);
  function.walk([&](Operation *op) {
    uint64_t cycles = getProductCycles(op);
    const bool inLayers = own && own->isProperAncestor(op);
    for (auto loop = op->getParentOfType<wafer::RepeatOp>(); loop;
         loop = loop->getParentOfType<wafer::RepeatOp>())
      if (loop != own)
        cycles *= loop.getTripCount();
    (inLayers ? repeated : once) += cycles;
  });
  return {once, repeated};
}

/// Products of one token on the stage that has most of them.
uint64_t Ways::getPace() {
  auto [once, repeated] = countProducts();
  if (layers) // a loop of these ends is none of layers
    once += repeated;
  wafer::RepeatOp own =
      wafer::getLayersRepeat(layers ? layers->function : function);
  if (layers)
    repeated = layers->countProducts().second;
  const auto stages =
      static_cast<uint64_t>(wafer::getStages(function).getCount());
  const uint64_t trips = own ? own.getTripCount() : 0;
  if (stages == 1)
    return once + trips * repeated;
  return std::max(once, llvm::divideCeil(trips, stages - 1) * repeated);
}

image::BoundsT Ways::run(uint64_t tokens) {
  if (layers) {
    layers->walk(layers->function.getBody().front());
    bounds = layers->bounds;
  }
  walk(function.getBody().front());
  bounds.pace = getPace();
  bounds.wires = longest.wires;
  bounds.products = longest.products;
  bounds.hard = std::max(longest.hard, bounds.pace * tokens);
  bounds.floor = std::max(longest.floor, bounds.hard);
  return bounds;
}

void waferloom::addBounds(ModuleOp module, const image::TargetT &target,
                          ModuleOp programs) {
  llvm::StringMap<core::EntryOp> entries;
  programs.walk([&](core::EntryOp op) { entries[op.getName()] = op; });
  SmallVector<ModuleOp> kinds = wafer::getKinds(module);
  for (wafer::EntryOp entry : wafer::getProgram(kinds.front()).getEntries()) {
    auto functionOf = [&](ModuleOp kind) {
      return kind.lookupSymbol<func::FuncOp>(entry.getFunction());
    };
    // A block of tokens is one way, a stream takes its products per token.
    const auto times =
        static_cast<uint64_t>(entry.isStreamed() ? entry.getTokens() : 1);
    Ways layers(functionOf(kinds.back()), target);
    const image::BoundsT bounds = Ways(functionOf(kinds.front()), target,
                                       kinds.size() > 1 ? &layers : nullptr)
                                      .run(times);
    core::EntryOp to = entries.at(entry.getName());
    if (to.getBody().empty())
      to.getBody().emplaceBlock();
    OpBuilder builder = OpBuilder::atBlockEnd(&to.getBody().front());
    core::BoundsOp::create(
        builder, to.getLoc(), bounds.wires, bounds.hard, bounds.products,
        bounds.pace, bounds.layers, bounds.layer_wires, bounds.layer_hard,
        bounds.layer_products, bounds.floor, bounds.layer_floor);
  }
}
