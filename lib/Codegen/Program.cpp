#include "Program.h"
#include "Body.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

uint32_t Names::of(StringRef name) {
  auto [it, fresh] = ids.try_emplace(name, image.names.size());
  if (fresh)
    image.names.push_back(image::escapeToUtf8(name));
  return it->second;
}

uint32_t Names::of(Location loc) {
  StringRef name;
  loc->walk([&](Location part) {
    auto named = dyn_cast<NameLoc>(part);
    if (!named)
      return WalkResult::advance();
    name = named.getName().getValue();
    return WalkResult::interrupt();
  });
  return of(name);
}

ProgramEmitter::ProgramEmitter(func::FuncOp func, Stream stream, Shared &shared,
                               CollectiveEmitter &collectives, Names &names,
                               const image::TargetT &target, Budget budget)
    : func(func), stream(stream), shared(shared), collectives(collectives),
      names(names), target(target), budget(budget) {
  sharedBuffer = emitter.pinBuffer(shared.bytes());
  emitter.buffers[sharedBuffer].address = 0;
  stageSets = wafer::getStageSets(func);
}

LogicalResult ProgramEmitter::run() {
  if (!llvm::hasSingleElement(func.getBody()))
    return func.emitOpError("has control flow, which a wafer program has not");
  bindPosition();
  if (stream.most > 1)
    return emitStream();
  if (failed(emitSlots()))
    return failure();
  return emitBlock(func.getBody().front());
}

LogicalResult ProgramEmitter::emitBlock(Block &block) {
  placeFusedCollectives(block);
  for (Operation &op : block)
    if (failed(emitOp(&op)))
      return failure();
  return success();
}

wafer::StageSet ProgramEmitter::stageSetOf(Operation *op) const {
  return writingFor.value_or(wafer::lookup(stageSets, op));
}

bool ProgramEmitter::isWritten(Operation *op) const {
  wafer::StageSet runner = wafer::lookup(stageSets, op);
  return !writingFor || runner == wafer::StageSet::All || runner == *writingFor;
}

LogicalResult ProgramEmitter::emitOp(Operation *op) {
  emitter.setNode(names.of(op->getLoc()));
  Guard guard = collectives.guardOf(stageSetOf(op));
  // What other PEs have rounded is not here.
  if (guard.columns != roundedBy.columns || guard.rows != roundedBy.rows)
    rounded.clear();
  roundedBy = guard;
  emitter.setGuard(guard);
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<linalg::GenericOp, fabric::CollectiveOpInterface, fabric::PutOp,
            wafer::RepeatOp, wafer::AppendOp, wafer::LookupOp, wafer::SliceOp,
            wafer::InputOp, wafer::OutputOp, tensor::ConcatOp>(
          [&](auto typed) { return emit(typed); })
      .Case<wafer::ParameterOp>([&](wafer::ParameterOp parameter) {
        return parameterLike(op, shared.parameter(parameter),
                             parameter.getWeights().size());
      })
      .Case<wafer::StateOp>([&](wafer::StateOp state) {
        return parameterLike(op, shared.state(state), state.getNames().size());
      })
      .Case<wafer::IotaOp>([&](wafer::IotaOp iota) {
        return parameterLike(op, shared.iota(iota), 1);
      })
      .Case<wafer::PositionOp>([&](wafer::PositionOp op) {
        values[op.getResult()] = *position;
        return success();
      })
      .Case<tensor::EmptyOp>([&](tensor::EmptyOp empty) {
        values[empty.getResult()] = Ref();
        return success();
      })
      .Case<linalg::FillOp>([&](linalg::FillOp fill) -> LogicalResult {
        Attribute value;
        if (!matchPattern(fill.getInputs()[0], m_Constant(&value)))
          return fill.emitOpError("fills with a value that is no constant");
        std::optional<Ref> ref = constantRef(value);
        if (!ref)
          return fill.emitOpError("fills with a value that is no number");
        values[fill->getResult(0)] = *ref;
        return success();
      })
      .Case<arith::ConstantOp>([&](arith::ConstantOp constant) {
        auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
        if (!dense) // a scalar: whoever reads it looks at the op
          return success();
        std::optional<Ref> ref =
            dense.isSplat() ? constantRef(dense.getSplatValue<Attribute>())
                            : std::nullopt;
        if (!ref)
          return LogicalResult(
              constant.emitOpError("is no splat: constants of several values "
                                   "are parameters at this level"));
        values[constant.getResult()] = *ref;
        return success();
      })
      .Case<tensor::ExtractSliceOp>(
          [&](tensor::ExtractSliceOp slice) { return view(slice); })
      .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp>([&](auto typed) {
        return reshape(op, typed.getSrc(), typed.getResultType());
      })
      .Case<func::ReturnOp, wafer::YieldOp>([](auto) { return success(); })
      .Default([](Operation *other) {
        return other->emitOpError("is not an op that code generation knows");
      });
}

FailureOr<Ref> ProgramEmitter::get(Operation *user, Value value) {
  auto it = values.find(value);
  if (it == values.end())
    return user->emitOpError("reads a value that code generation did not meet");
  return it->second;
}

FailureOr<Ref> ProgramEmitter::result(Value value) {
  if (auto it = placed.find(value); it != placed.end())
    return it->second;
  auto type = cast<ShapedType>(value.getType());
  FailureOr<Word> word = wordType(value.getDefiningOp(), type.getElementType());
  if (failed(word))
    return failure();
  return emitter.temporary(*word, type.getShape());
}

Ref ProgramEmitter::sharedRef(LocalShard shard, Word type,
                              ArrayRef<int64_t> shape) {
  return dense(sharedBuffer, type, shape, shard.address);
}

Ref ProgramEmitter::coordinate(ArrayRef<wafer::Axis> axes) {
  return sharedRef(shared.coordinate(axes), Word::i32, {});
}

LogicalResult ProgramEmitter::parameterLike(Operation *op,
                                            FailureOr<LocalShard> shard,
                                            size_t tripCount) {
  if (values.contains(op->getResult(0)))
    return success(); // copied
  auto type = cast<ShapedType>(op->getResult(0).getType());
  FailureOr<Word> word = wordType(op, type.getElementType());
  if (failed(shard) || failed(word))
    return failure();
  Ref ref = sharedRef(*shard, *word, type.getShape());
  if (auto repeat = op->getParentOfType<wafer::RepeatOp>(); tripCount > 1) {
    if (!repeat || repeat.getTripCount() != tripCount)
      return op->emitOpError()
             << "has " << tripCount << " shards but is not repeated as often";
    ref.steps.push_back({depths[repeat], shard->step});
  }
  values[op->getResult(0)] = ref;
  return success();
}

LogicalResult ProgramEmitter::emit(wafer::InputOp op) {
  if (isPerToken(op))
    return emitPerToken(op);
  auto type = cast<ShapedType>(op.getType());
  auto binding = shared.binding(op, type, op.getName(), image::Role::input);
  if (failed(binding))
    return failure();
  Word word = (*binding)->type;
  int buffer = emitter.pinBuffer(type.getNumElements() * bytesOf(word));
  bound.emplace_back(binding->get(), buffer);
  inputs.push_back(std::move(*binding));
  values[op.getResult()] = dense(buffer, word, type.getShape());
  taken[op.getName()] = op;
  return success();
}

LogicalResult ProgramEmitter::emit(wafer::OutputOp op) {
  auto type = cast<ShapedType>(op.getValue().getType());
  auto binding = shared.binding(op, type, op.getName(), image::Role::output);
  FailureOr<Ref> value = get(op, op.getValue());
  if (failed(binding) || failed(value))
    return failure();
  // The host reads it after the last instruction, so nothing may reuse it.
  int buffer =
      emitter.pinBuffer(type.getNumElements() * bytesOf((*binding)->type));
  emitter.vector(Opcode::mov, type.getShape(),
                 dense(buffer, (*binding)->type, type.getShape()), *value);
  bound.emplace_back(binding->get(), buffer);
  Guard holders = collectives.guardOf(stageSetOf(op));
  (*binding)->columns = holders.columns;
  (*binding)->rows = holders.rows;
  outputs.push_back(std::move(*binding));
  std::optional<StringRef> feeds = op.getFeeds();
  if (!feeds)
    return success();
  wafer::InputOp input = taken.lookup(*feeds);
  if (!input || input.getType() != type ||
      input.getLayoutAttr() != op.getLayoutAttr())
    return op.emitOpError("feeds '")
           << *feeds << "', which does not lie as it does";
  // Pinned as well, so it is still there when the next step begins, whose first
  // token it is.
  auto several = perToken.find(input);
  Ref next = several == perToken.end() ? values[input.getResult()]
                                       : several->second.first;
  emitter.vector(Opcode::mov, type.getShape(), next, *value);
  return success();
}

void ProgramEmitter::bindAddresses() {
  for (auto [binding, buffer] : bound)
    binding->address = static_cast<uint32_t>(*emitter.buffers[buffer].address);
}

LogicalResult ProgramEmitter::emit(linalg::GenericOp op) {
  if (op->getNumResults() != 1)
    return op.emitOpError("has several results");
  SmallVector<Ref> operands;
  for (Value operand : op->getOperands()) {
    FailureOr<Ref> ref = get(op, operand);
    if (failed(ref))
      return failure();
    operands.push_back(*ref);
  }
  FailureOr<Ref> dst = result(op->getResult(0));
  if (failed(dst))
    return failure();
  values[op->getResult(0)] = *dst;
  return emitGeneric(emitter, op, operands, *dst, budget, target, rounded);
}

LogicalResult ProgramEmitter::view(tensor::ExtractSliceOp op) {
  FailureOr<Ref> source = get(op, op.getSource());
  if (failed(source))
    return failure();
  Ref ref = *source;
  if (!ref.immediate) {
    llvm::SmallBitVector dropped = op.getDroppedDims();
    SmallVector<int64_t, 4> strides;
    for (auto [i, offset, step] :
         llvm::enumerate(op.getStaticOffsets(), op.getStaticStrides())) {
      if (ShapedType::isDynamic(offset) || ShapedType::isDynamic(step))
        return op.emitOpError("slices at a position known only at run time");
      ref.offset += offset * ref.strides[i] * bytesOf(ref.type);
      if (!dropped[i])
        strides.push_back(ref.strides[i] * step);
    }
    ref.strides = strides;
  }
  values[op.getResult()] = ref;
  return success();
}

/// Unit dimensions come and go; anything else must lie densely.
LogicalResult ProgramEmitter::reshape(Operation *op, Value source,
                                      ShapedType to) {
  FailureOr<Ref> from = get(op, source);
  if (failed(from))
    return failure();
  Ref ref = *from;
  if (ref.immediate) {
    values[op->getResult(0)] = ref;
    return success();
  }
  SmallVector<int64_t> shape = shapeOf(source);
  SmallVector<int64_t, 4> kept;
  SmallVector<int64_t> extents;
  for (auto [extent, stride] : llvm::zip_equal(shape, ref.strides))
    if (extent != 1) {
      kept.push_back(stride);
      extents.push_back(extent);
    }
  SmallVector<int64_t> wanted =
      llvm::filter_to_vector(to.getShape(), [](int64_t n) { return n != 1; });
  bool same = wanted == extents;
  if (!same && ref.strides != dense(0, ref.type, shape).strides) {
    Ref copy = emitter.temporary(ref.type, shape);
    emitter.vector(Opcode::mov, shape, copy, ref);
    ref = copy;
  }
  Ref shaped = dense(ref.buffer, ref.type, to.getShape());
  if (same)
    for (size_t i = 0, k = 0; i < shaped.strides.size(); ++i)
      shaped.strides[i] = to.getDimSize(i) == 1 ? 0 : kept[k++];
  ref.strides = shaped.strides;
  values[op->getResult(0)] = ref;
  return success();
}

LogicalResult ProgramEmitter::emit(tensor::ConcatOp op) {
  FailureOr<Ref> dst = result(op.getResult());
  if (failed(dst))
    return failure();
  int64_t at = 0;
  auto dim = static_cast<int64_t>(op.getDim());
  for (Value operand : op.getInputs()) {
    FailureOr<Ref> ref = get(op, operand);
    if (failed(ref))
      return failure();
    Ref window = *dst;
    window.offset += at * dst->strides[dim] * bytesOf(dst->type);
    emitter.vector(Opcode::mov, shapeOf(operand), window, *ref);
    at += shapeOf(operand)[dim];
  }
  values[op.getResult()] = *dst;
  return success();
}

/// Does `op` read `weights` as a factor of which either side has few elements?
static bool isFactorOf(Operation *op, ShapedType weights, int64_t few) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || !generic.getNumReductionLoops())
    return false;
  int64_t least = weights.getNumElements();
  for (int64_t extent : weights.getShape())
    if (extent > 1)
      least = std::min(least, extent);
  return least <= few;
}

/// An operand that moves with a loop costs a descriptor rewrite each time. So
/// the weights of a trip, which lie behind each other, are copied in one go to
/// where none of their readers moves, if that costs less.
LogicalResult ProgramEmitter::copyWeights(wafer::RepeatOp op) {
  if (!budget.copiesTrips)
    return success();
  struct Trip {
    SmallVector<std::pair<wafer::ParameterOp, LocalShard>> parameters;
    int64_t saved = 0;
  };
  std::map<int64_t, Trip> trips; // by the address of their first local shard
  const machine::MachineModel machine(target);
  const int64_t rate = machine.getRate(Opcode::mov, Word::i32) * 4; // bytes
  for (auto parameter : op.getBodyBlock()->getOps<wafer::ParameterOp>()) {
    FailureOr<LocalShard> shard = shared.parameter(parameter);
    if (failed(shard))
      return failure();
    if (parameter.getWeights().size() != op.getTripCount() ||
        op.getTripCount() < 2)
      continue;
    Trip &trip = trips[shard->front];
    trip.parameters.emplace_back(parameter, *shard);
    auto type = cast<ShapedType>(parameter.getType());
    for (Operation *user : parameter.getResult().getUsers()) {
      trip.saved += machine.getRewrite();
      if (isFactorOf(user, type, budget.unrolled)) // copied by itself, else
        trip.saved += machine.getInstructionCycles(shard->bytes, rate);
    }
  }
  for (auto &[front, trip] : trips) {
    int64_t bytes = trip.parameters.front().second.step;
    if (trip.saved <= machine.getInstructionCycles(bytes, rate, true))
      continue;
    Ref from = sharedRef({front, bytes, bytes, front}, Word::i32, {bytes / 4});
    from.steps.push_back({depths[op], bytes});
    int window = emitter.newBuffer(bytes);
    emitter.vector(Opcode::mov, {bytes / 4},
                   dense(window, Word::i32, {bytes / 4}), from);
    for (auto [parameter, shard] : trip.parameters) {
      auto type = cast<ShapedType>(parameter.getType());
      FailureOr<Word> word = wordType(parameter, type.getElementType());
      if (failed(word))
        return failure();
      values[parameter.getResult()] =
          dense(window, *word, type.getShape(), shard.address - front);
    }
  }
  return success();
}

LogicalResult ProgramEmitter::emit(wafer::RepeatOp op) {
  if (op == wafer::getStagedRepeat(func))
    return emitStaged(op);
  SmallVector<Ref> carried;
  for (Value init : op.getInits()) {
    FailureOr<Ref> from = get(op, init);
    auto type = cast<ShapedType>(init.getType());
    FailureOr<Word> word = wordType(op, type.getElementType());
    if (failed(from) || failed(word))
      return failure();
    carried.push_back(emitter.temporary(*word, type.getShape()));
    emitter.vector(Opcode::mov, type.getShape(), carried.back(), *from);
  }
  if (failed(emitTrips(op, static_cast<int64_t>(op.getTripCount()), carried)))
    return failure();
  for (auto [value, ref] : llvm::zip_equal(op.getResults(), carried))
    values[value] = ref;
  return success();
}

static fabric::StageSendRecvOp sendRecvOf(wafer::RepeatOp op) {
  for (Operation *user : op->getUsers())
    if (auto found = dyn_cast<fabric::StageSendRecvOp>(user);
        found && found->getNumResults() == op->getNumResults())
      return found;
  return {};
}

/// What is carried lies in the buffer that stages send and receive.
FailureOr<SmallVector<Ref>> ProgramEmitter::carriedBy(wafer::RepeatOp op) {
  fabric::StageSendRecvOp sendRecv = sendRecvOf(op);
  if (!sendRecv)
    return op.emitOpError("is shared by stages but nothing hands its results "
                          "over");
  return llvm::map_to_vector(sendRecv->getResults(), [&](Value result) {
    return values.lookup(result);
  });
}

LogicalResult ProgramEmitter::sendRecv(wafer::RepeatOp op, wafer::StageSet who,
                                       CollectiveEmitter::Half half) {
  FailureOr<SmallVector<Ref>> carried = carriedBy(op);
  if (failed(carried))
    return failure();
  emitter.setNode(names.of(sendRecvOf(op).getLoc()));
  if (llvm::Error error = collectives.emitSendRecv(emitter, sendRecvOf(op),
                                                   carried->front(), who, half))
    return op.emitOpError() << llvm::toString(std::move(error));
  return success();
}

/// `who` in the trips of a token: stage 0 sends; others receive, work, send.
LogicalResult ProgramEmitter::emitShare(wafer::RepeatOp op,
                                        wafer::StageSet who) {
  FailureOr<SmallVector<Ref>> carried = carriedBy(op);
  if (failed(carried))
    return failure();
  emitter.setGuard(collectives.guardOf(who));
  if (who == wafer::StageSet::First) {
    for (auto [init, ref] : llvm::zip_equal(op.getInits(), *carried)) {
      FailureOr<Ref> from = get(op, init);
      if (failed(from))
        return failure();
      emitter.vector(Opcode::mov, shapeOf(init), ref, *from);
    }
    return sendRecv(op, who, CollectiveEmitter::Half::Send);
  }
  return success(
      succeeded(sendRecv(op, who, CollectiveEmitter::Half::Receive)) &&
      succeeded(emitTrips(op, wafer::getTripCountPerStage(op), *carried)) &&
      succeeded(sendRecv(op, who, CollectiveEmitter::Half::Send)));
}

LogicalResult ProgramEmitter::emitStaged(wafer::RepeatOp op) {
  return success(succeeded(emitShare(op, wafer::StageSet::First)) &&
                 succeeded(emitShare(op, wafer::StageSet::Others)) &&
                 succeeded(sendRecv(op, wafer::StageSet::First,
                                    CollectiveEmitter::Half::Receive)));
}

/// A loop of `trips` around the body, which works on `carried` in place.
LogicalResult ProgramEmitter::emitTrips(wafer::RepeatOp op, int64_t tripCount,
                                        ArrayRef<Ref> carried) {
  Block *body = op.getBodyBlock();
  for (auto [argument, ref] : llvm::zip_equal(body->getArguments(), carried))
    values[argument] = ref;
  depths[op] = emitter.depth();
  emitter.loop(tripCount, false, image::LoopOver::layers);
  if (failed(copyWeights(op)) || failed(emitBlock(*body)))
    return failure();
  // What is yielded may itself be an argument: read all, then write all.
  Operation *yield = body->getTerminator();
  SmallVector<Ref> yielded;
  for (Value value : yield->getOperands()) {
    FailureOr<Ref> ref = get(yield, value);
    if (failed(ref))
      return failure();
    if (isa<BlockArgument>(value) && yield->getNumOperands() > 1) {
      Ref copy = emitter.temporary(ref->type, shapeOf(value));
      emitter.vector(Opcode::mov, shapeOf(value), copy, *ref);
      *ref = copy;
    }
    yielded.push_back(*ref);
  }
  for (auto [ref, to, value] :
       llvm::zip_equal(yielded, carried, yield->getOperands()))
    emitter.vector(Opcode::mov, shapeOf(value), to, ref);
  emitter.endLoop();
  return success();
}
