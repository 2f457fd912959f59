// All PEs execute an op before any executes the next, so a collective is a loop
// over groups of PEs. Memory that nobody wrote is NaN; padding of states is
// finite garbage; padding of weights and inputs is zero. What must not reach a
// result therefore shows.

#include "Machine.h"

#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Dialect/Wafer/Stages.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>
#include <random>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::interpret;
using wafer::Axis;
using wafer::LayoutAttr;

SmallVector<int64_t> Machine::getPadded(ArrayRef<int64_t> local,
                                        LayoutAttr layout) {
  SmallVector<int64_t> padded(local);
  for (auto [size, dim] : llvm::zip(padded, layout.getDims()))
    size *= region.getSize(dim.getAxes());
  return padded;
}

void Machine::distribute(const Tensor &whole, LayoutAttr layout, Value value,
                         function_ref<double()> padding) {
  LocalShards &shards = set(value);
  if (!layout) {
    for (Tensor &shard : shards)
      shard.data = whole.data;
    return;
  }
  SmallVector<int64_t> padded = getPadded(shards[0].shape, layout), live;
  for (auto [size, dim] : llvm::zip(padded, layout.getDims()))
    live.push_back(dim.getLiveSize(size));
  for (int64_t pe = 0; pe < numPes; ++pe) {
    int64_t next = 0;
    forEach(shards[pe].shape, [&](ArrayRef<int64_t> index) {
      SmallVector<int64_t> global;
      bool inside = true;
      for (auto [d, dim] : llvm::enumerate(layout.getDims())) {
        global.push_back(dim.getGlobalIndex(index[d], padded[d], region,
                                            column(pe), row(pe)));
        inside &= global.back() < live[d];
      }
      shards[pe].data[next++] =
          inside ? whole.data[offsetOf(live, global)] : padding();
    });
  }
}

LogicalResult Machine::collect(const LocalShards &shards, LayoutAttr layout,
                               Tensor &whole, Operation *op) {
  if (!layout) {
    whole.data = shards[0].data;
    return success();
  }
  SmallVector<int64_t> padded = getPadded(shards[0].shape, layout), live;
  for (auto [size, dim] : llvm::zip(padded, layout.getDims()))
    live.push_back(dim.getLiveSize(size));
  whole.data.assign(count(live), 0);
  std::vector<bool> seen(count(live), false);
  bool differ = false;
  for (int64_t pe = 0; pe < numPes; ++pe) {
    if (!llvm::all_of(
            llvm::zip(layout.getRootAxes(), layout.getRootCoordinates()),
            [&](auto root) {
              return getCoordinate(std::get<0>(root), pe) == std::get<1>(root);
            }))
      continue; // it lives elsewhere
    int64_t next = 0;
    forEach(shards[pe].shape, [&](ArrayRef<int64_t> index) {
      double value = shards[pe].data[next++];
      SmallVector<int64_t> global;
      for (auto [d, dim] : llvm::enumerate(layout.getDims())) {
        global.push_back(dim.getGlobalIndex(index[d], padded[d], region,
                                            column(pe), row(pe)));
        if (global.back() >= live[d])
          return;
      }
      int64_t at = offsetOf(live, global);
      if (seen[at] && value != whole.data[at] &&
          !(std::isnan(value) && std::isnan(whole.data[at])))
        differ = true;
      seen[at] = true;
      whole.data[at] = value;
    });
  }
  if (differ)
    return op->emitError("replicas of one element differ");
  return success();
}

std::vector<std::vector<int64_t>> Machine::getGroups(ArrayRef<Axis> axes) {
  SmallVector<Axis> others;
  for (Axis axis : region.getAxes())
    if (!llvm::is_contained(axes, axis))
      others.push_back(axis);
  std::map<int64_t, std::map<int64_t, int64_t>> groups;
  for (int64_t pe = 0; pe < numPes; ++pe)
    groups[getCoordinate(others, pe)][getCoordinate(axes, pe)] = pe;
  std::vector<std::vector<int64_t>> result;
  for (auto &[key, group] : groups) {
    result.emplace_back();
    for (auto &[coordinate, pe] : group)
      result.back().push_back(pe);
  }
  return result;
}

LogicalResult Machine::runGeneric(linalg::GenericOp op) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  unsigned numInputs = op.getNumDpsInputs();
  Block *body = op.getBody();
  llvm::DenseMap<Value, double> env;
  // Constants from outside the body.
  for (Operation &inner : *body)
    for (Value operand : inner.getOperands())
      if (operand.getParentBlock() != body)
        if (std::optional<double> number = algebra::getNumber(operand))
          env[operand] = *number;
  SmallVector<int64_t> extents(op.getNumLoops(), 1);
  for (auto [operand, map] : llvm::zip(op->getOperands(), maps))
    if (auto type = dyn_cast<RankedTensorType>(operand.getType()))
      for (auto [d, expr] : llvm::enumerate(map.getResults()))
        extents[cast<AffineDimExpr>(expr).getPosition()] = type.getDimSize(d);
  LocalShards result = values[op.getDpsInits().front()];
  bool known = true;
  SmallVector<LocalShards *> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(isa<RankedTensorType>(input.getType()) ? &values[input]
                                                            : nullptr);
  auto at = [](AffineMap map, ArrayRef<int64_t> loops, const Tensor &tensor) {
    int64_t offset = 0;
    for (auto [d, expr] : llvm::enumerate(map.getResults()))
      offset = offset * tensor.shape[d] +
               loops[cast<AffineDimExpr>(expr).getPosition()];
    return offset;
  };
  for (int64_t pe = 0; pe < numPes; ++pe)
    forEach(extents, [&](ArrayRef<int64_t> loops) {
      for (unsigned i = 0; i < numInputs; ++i)
        if (inputs[i])
          env[body->getArgument(i)] =
              (*inputs[i])[pe].data[at(maps[i], loops, (*inputs[i])[pe])];
        else
          env[body->getArgument(i)] =
              algebra::getNumber(op.getInputs()[i]).value_or(NAN);
      double &out = result[pe].data[at(maps.back(), loops, result[pe])];
      env[body->getArguments().back()] = out;
      for (Operation &inner : body->without_terminator()) {
        SmallVector<double, 3> operands;
        for (Value operand : inner.getOperands())
          operands.push_back(env.lookup(operand));
        std::optional<double> value = algebra::evaluate(&inner, operands);
        known &= value.has_value();
        env[inner.getResult(0)] = value.value_or(NAN);
      }
      out = env.lookup(body->getTerminator()->getOperand(0));
    });
  if (!known)
    return op.emitError("the body has an op that the interpreter cannot "
                        "evaluate");
  set(op.getResult(0)) = result;
  return success();
}

LogicalResult Machine::runRepeat(wafer::RepeatOp op) {
  SmallVector<LocalShards> carried;
  for (Value init : op.getInits())
    carried.push_back(values[init]);
  for (trip = 0; trip < static_cast<int64_t>(op.getTripCount()); ++trip) {
    for (auto [argument, shards] :
         llvm::zip(op.getBodyBlock()->getArguments(), carried))
      values[argument] = shards;
    if (failed(runBlock(*op.getBodyBlock())))
      return failure();
    for (auto [i, value] : llvm::enumerate(op.getYield().getValues()))
      carried[i] = values[value];
  }
  trip = 0;
  for (auto [result, shards] : llvm::zip(op.getResults(), carried))
    values[result] = shards;
  return success();
}

static bool isStripAlongX(Operation *op) {
  return wafer::getDirection(wafer::getStages(op)) == Axis::X;
}

/// The layers are in the module beside this one. Of what is the same in a lane
/// the PE that sends it speaks.
LogicalResult Machine::runLayers(wafer::SendRecvOp op) {
  const bool alongX = isStripAlongX(op);
  auto both = entry->getParentOfType<ModuleOp>()->getParentOfType<ModuleOp>();
  auto function = both
                      ? wafer::getKinds(both).back().lookupSymbol<func::FuncOp>(
                            entry.getName())
                      : func::FuncOp();
  if (!function)
    return op.emitError("has no layers beside it");
  Machine layers(function, world);
  for (Value value : op.getValues()) {
    LocalShards &lanes = layers.taken.emplace_back();
    for (int64_t lane = 0; lane < (alongX ? height : width); ++lane)
      lanes.push_back(values[value][endOf(lane, alongX, /*last=*/true)]);
  }
  if (failed(layers.run()))
    return failure();
  for (auto [result, lanes] : llvm::zip_equal(op.getResults(), layers.sent)) {
    LocalShards &shards = set(result);
    for (int64_t pe = 0; pe < numPes; ++pe)
      shards[pe].data = lanes[laneOf(pe, alongX)].data;
  }
  return success();
}

LogicalResult Machine::runOp(Operation *op) {
  std::mt19937 garbage(7);
  std::uniform_real_distribution<double> finite(-100, 100);
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return runGeneric(generic);
  if (auto repeat = dyn_cast<wafer::RepeatOp>(op))
    return runRepeat(repeat);
  if (auto both = dyn_cast<wafer::ReduceApplyBroadcastOp>(op))
    return runAtRoots(both);
  if (auto elsewhere = dyn_cast<wafer::SendRecvOp>(op))
    return runLayers(elsewhere);
  if (auto allReduce = dyn_cast<wafer::AllReduceOp>(op)) {
    runAllReduce(allReduce);
  } else if (auto beside = dyn_cast<wafer::ToNeighborOp>(op)) {
    runToNeighbor(beside);
  } else if (auto reduce = dyn_cast<wafer::ReduceOp>(op)) {
    runReduce(reduce);
  } else if (auto broadcast = dyn_cast<wafer::BroadcastOp>(op)) {
    runBroadcast(broadcast.getValue(), broadcast.getResult(),
                 broadcast.getAxes().getAxes(),
                 static_cast<int64_t>(broadcast.getRoot().value_or(0)));
  } else if (auto slice = dyn_cast<wafer::SliceOp>(op)) {
    runShare(slice, true);
  } else if (auto gather = dyn_cast<wafer::GatherOp>(op)) {
    runShare(gather, false);
  } else if (auto append = dyn_cast<wafer::AppendOp>(op)) {
    runAppend(append);
  } else if (auto store = dyn_cast<wafer::StoreOp>(op)) {
    auto &[layout, state] = states[stateNames.lookup(store.getState())];
    layout = store.getState().getDefiningOp<wafer::StateOp>().getLayoutAttr();
    state = values[store.getUpdate()];
  } else if (auto lookup = dyn_cast<wafer::LookupOp>(op)) {
    runLookup(lookup);
  } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    runSlice(slice);
  } else if (auto concat = dyn_cast<tensor::ConcatOp>(op)) {
    runConcat(concat);
  } else if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op)) {
    LocalShards from = values[op->getOperand(0)];
    LocalShards &to = set(op->getResult(0));
    for (int64_t pe = 0; pe < numPes; ++pe)
      to[pe].data = from[pe].data;
  } else if (isa<tensor::EmptyOp>(op)) {
    set(op->getResult(0));
  } else if (auto fill = dyn_cast<linalg::FillOp>(op)) {
    std::optional<double> number = algebra::getNumber(fill.getInputs().front());
    if (!number)
      return op->emitError("fills with what is no constant");
    for (Tensor &shard : set(fill.getResult(0)))
      std::fill(shard.data.begin(), shard.data.end(), *number);
  } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
    if (!dense)
      return success(); // scalars are read through the op
    for (Tensor &shard : set(constant.getResult()))
      for (auto [i, value] : llvm::enumerate(dense.getValues<Attribute>()))
        shard.data[i] = *algebra::getNumber(value);
  } else if (auto parameter = dyn_cast<wafer::ParameterOp>(op)) {
    auto name = cast<FlatSymbolRefAttr>(parameter.getWeights()[trip]);
    distribute(world.weights.at(name.getValue().str()),
               parameter.getLayoutAttr(), parameter.getResult(),
               [] { return 0.0; });
  } else if (auto state = dyn_cast<wafer::StateOp>(op)) {
    auto name = cast<StringAttr>(state.getNames()[trip]).str();
    distribute(world.states.at(name), state.getLayoutAttr(), state.getResult(),
               [&] { return finite(garbage); });
    stateNames[state.getResult()] = name;
  } else if (auto input = dyn_cast<wafer::InputOp>(op)) {
    distribute(world.inputs.at(input.getName().str()), input.getLayoutAttr(),
               input.getResult(), [] { return 0.0; });
  } else if (isa<wafer::PositionOp>(op)) {
    for (Tensor &shard : set(op->getResult(0)))
      shard.data[0] = static_cast<double>(world.position);
  } else if (auto iota = dyn_cast<wafer::IotaOp>(op)) {
    LocalShards &shards = set(iota.getResult());
    LayoutAttr layout = iota.getLayoutAttr();
    for (int64_t pe = 0; pe < numPes; ++pe)
      for (size_t i = 0; i < shards[pe].data.size(); ++i)
        shards[pe].data[i] = static_cast<double>(
            layout ? layout.getDim(0).getGlobalIndex(
                         i, getPadded(shards[pe].shape, layout)[0], region,
                         column(pe), row(pe))
                   : i);
  } else if (isa<wafer::RecvOp>(op)) {
    const bool alongX = isStripAlongX(op);
    for (auto [result, lanes] : llvm::zip_equal(op->getResults(), taken)) {
      LocalShards &shards = set(result);
      for (int64_t pe = 0; pe < numPes; ++pe)
        shards[pe].data = lanes[laneOf(pe, alongX)].data;
    }
  } else if (isa<wafer::SendOp>(op)) {
    for (Value value : op->getOperands()) {
      LocalShards &lanes = sent.emplace_back();
      const bool alongX = isStripAlongX(op);
      for (int64_t lane = 0; lane < (alongX ? height : width); ++lane)
        lanes.push_back(values[value][endOf(lane, alongX, /*last=*/false)]);
    }
  } else if (auto output = dyn_cast<wafer::OutputOp>(op)) {
    return collect(values[output.getValue()], output.getLayoutAttr(),
                   world.outputs[output.getName().str()], op);
  } else {
    return op->emitError("the interpreter has no rule for this op");
  }
  return success();
}

LogicalResult Machine::runBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(runOp(&op)))
      return failure();
  return success();
}

LogicalResult interpret::run(func::FuncOp entry, World &world) {
  return Machine(entry, world).run();
}

void interpret::readParts(ModuleOp module, World &world) {
  for (auto weight : module.getOps<wafer::WeightOp>()) {
    wafer::PartAttr part = weight.getPartAttr();
    if (!part)
      continue;
    const Tensor &whole = world.weights[part.getOf().getValue().str()];
    Tensor &tensor = world.weights[weight.getSymName().str()];
    for (size_t i = 0; i < tensor.data.size(); ++i) {
      int64_t at = part.getAt(), rest = static_cast<int64_t>(i);
      for (auto [size, stride] :
           llvm::reverse(llvm::zip(part.getSizes(), part.getStrides()))) {
        at += rest % size * stride;
        rest /= size;
      }
      tensor.data[i] = whole.data[at];
    }
  }
}

World interpret::createWorld(ModuleOp module, func::FuncOp entry, uint32_t seed,
                             int64_t position) {
  World world;
  world.position = position;
  std::mt19937 random(seed);
  auto draw = [&](ShapedType type, double scale) {
    std::uniform_real_distribution<double> uniform(-scale, scale);
    Tensor tensor{SmallVector<int64_t>(type.getShape()), {}};
    for (int64_t i = 0; i < type.getNumElements(); ++i)
      tensor.data.push_back(static_cast<float>(uniform(random)));
    return tensor;
  };
  module.walk([&](Operation *op) {
    if (auto weight = dyn_cast<wafer::WeightOp>(op)) {
      auto type = cast<ShapedType>(weight.getType());
      Tensor tensor = draw(type, 0.5);
      if (auto dense = dyn_cast_or_null<DenseElementsAttr>(
              weight.getValue().value_or(ElementsAttr())))
        for (auto [i, value] : llvm::enumerate(dense.getValues<Attribute>()))
          tensor.data[i] = *algebra::getNumber(value);
      world.weights[weight.getSymName().str()] = tensor;
    } else if (auto state = dyn_cast<wafer::StateOp>(op)) {
      for (auto name : state.getNames().getAsRange<StringAttr>())
        if (!world.states.count(name.str()))
          world.states[name.str()] =
              draw(cast<ShapedType>(state.getResult().getType()), 1);
    } else if (auto input = dyn_cast<wafer::InputOp>(op);
               input && op->getParentOfType<func::FuncOp>() == entry) {
      auto type = cast<ShapedType>(input.getResult().getType());
      Tensor tensor = draw(type, 1);
      if (isa<IntegerType>(type.getElementType())) {
        int64_t limit = input.getLimit() > 0 ? input.getLimit() : 2;
        for (auto [i, value] : llvm::enumerate(tensor.data))
          value = input.getFallback() == "ones" ? 1
                  : input.getFallback() == "positions"
                      ? static_cast<double>(position + i)
                      : static_cast<double>(random() % limit);
      }
      world.inputs[input.getName().str()] = tensor;
    }
  });
  return world;
}
