// What moves data by position: fused collectives, rows of tables, slots of
// caches, shares of dimensions. Which PE does what never depends on a branch:
// it is a class of the line, a coordinate word in memory, or a predicate on a
// store.

#include "Program.h"

#include "llvm/ADT/STLExtras.h"

#include <numeric>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

static int64_t elementsOf(ArrayRef<int64_t> shape) {
  return llvm::product_of(shape);
}

/// What brings `from` to `to`: rows may be stored in half precision.
static Opcode moving(const Ref &from, const Ref &to) {
  return from.type == to.type ? Opcode::mov : Opcode::convert;
}

/// Does `op` take just what another collective gives to nobody else? Then it
/// works on, in the same buffer: first along x, say, then along y.
static bool continues(fabric::CollectiveOpInterface op) {
  auto before =
      op.getValues().front().getDefiningOp<fabric::CollectiveOpInterface>();
  return before && before->getBlock() == op->getBlock() &&
         llvm::equal(op.getValues(), before->getResults()) &&
         llvm::all_of(op.getValues(),
                      [](Value value) { return value.hasOneUse(); });
}

/// Gives the operands of every fused collective their places in its buffer, so
/// that what computes them writes there.
void ProgramEmitter::placeFusedCollectives(Block &block) {
  auto place = [&](ValueRange operands, ResultRange results) {
    auto wordOf = [](Value value) {
      const Type element = getElementTypeOrSelf(value.getType());
      return element.isF16()           ? Word::f16
             : isa<FloatType>(element) ? Word::f32
                                       : Word::i32;
    };
    int64_t bytes = 0;
    for (Value value : operands)
      bytes += elementsOf(shapeOf(value)) * bytesOf(wordOf(value));
    FlatSymbolRefAttr fused =
        emitter.newBuffer(llvm::alignTo(bytes, 4), core::Use::scratch, "fused");
    int64_t offset = 0;
    for (auto [value, result] : llvm::zip_equal(operands, results)) {
      const Word word = wordOf(value);
      Ref ref = dense(fused, word, shapeOf(value), offset);
      values[result] = ref;
      offset += elementsOf(shapeOf(value)) * bytesOf(word);
      if (value.hasOneUse() &&
          isa_and_nonnull<linalg::GenericOp, wafer::LookupOp, wafer::SliceOp,
                          fabric::PutOp, fabric::ToLanesOp,
                          fabric::FromLanesOp>(value.getDefiningOp()) &&
          value.getDefiningOp()->getBlock() == &block)
        placed[value] = ref;
    }
  };
  for (Operation &each : block) {
    if (auto sendRecv = dyn_cast<fabric::StageSendRecvOp>(each))
      place(sendRecv.getValues(), sendRecv.getResults());
    if (auto recv = dyn_cast<fabric::StageRecvOp>(each))
      place(recv.getResults(), recv.getResults());
    auto op = dyn_cast<fabric::CollectiveOpInterface>(each);
    if (!op)
      continue;
    if (!continues(op)) {
      place(op.getValues(), op->getResults());
      continue;
    }
    for (auto [value, result] :
         llvm::zip_equal(op.getValues(), op->getResults())) {
      Ref same = values.lookup(value);
      values[result] = same;
    }
  }
}

LogicalResult ProgramEmitter::emit(fabric::CollectiveOpInterface op) {
  for (auto [value, result] :
       llvm::zip_equal(op.getValues(), op->getResults())) {
    auto type = cast<ShapedType>(value.getType());
    if (type.getElementType().isF16() && !isa<fabric::BroadcastOp>(op))
      return op->emitOpError("combines f16 values, which are summed as f32");
    if (placed.contains(value) || continues(op))
      continue;
    FailureOr<Ref> ref = get(op, value);
    if (failed(ref))
      return failure();
    emitter.vector(Opcode::mov, type.getShape(), values[result], *ref);
  }
  auto broadcast = dyn_cast<fabric::BroadcastOp>(op.getOperation());
  if (broadcast && readers.areRoots(broadcast))
    return success();
  if (llvm::Error error = collectives.emit(
          emitter, op, values[op->getResult(0)], readers.partsIn(op)))
    return op->emitOpError() << llvm::toString(std::move(error));
  return success();
}

LogicalResult ProgramEmitter::emit(wafer::SliceOp op) {
  FailureOr<Ref> from = get(op, op.getValue());
  FailureOr<Ref> to = result(op.getResult());
  if (failed(from) || failed(to))
    return failure();
  values[op.getResult()] = *to;
  SmallVector<int64_t> shape = shapeOf(op.getResult());
  ArrayRef<wafer::Axis> axes = op.getAxes().getAxes();
  int64_t parts = shared.getRegion().getSize(axes);
  auto dim = static_cast<int64_t>(op.getDim());
  if (parts > 1 && !from->immediate) {
    Ref coord = coordinate(axes);
    from->indexBuffer = coord.buffer;
    from->indexOffset = coord.offset;
    from->indexCount = parts;
    int64_t stride = from->strides[dim];
    from->indexScale =
        stride * bytesOf(from->type) * (op.getCyclic() ? 1 : shape[dim]);
    if (op.getCyclic())
      from->strides[dim] = stride * parts;
  }
  emitter.vector(Opcode::mov, shape, *to, *from);
  return success();
}

LogicalResult ProgramEmitter::emit(fabric::PutOp op) {
  FailureOr<Ref> from = get(op, op.getValue());
  FailureOr<Ref> whole = result(op.getResult());
  FailureOr<SmallVector<wafer::Axis>> axes = shared.axesOf(op);
  if (failed(from) || failed(whole) || failed(axes))
    return failure();
  values[op.getResult()] = *whole;
  Ref zero = whole->type == Word::i32 ? Ref::constant(int32_t(0))
                                      : Ref::constant(0.0f);
  emitter.vector(Opcode::mov, shapeOf(op.getResult()), *whole, zero);
  SmallVector<int64_t> shape = shapeOf(op.getValue());
  auto dim = static_cast<int64_t>(op.getDim());
  Ref share = *whole;
  Ref coord = coordinate(*axes);
  int64_t parts = shared.getRegion().getSize(*axes);
  share.indexBuffer = coord.buffer;
  share.indexOffset = coord.offset;
  share.indexCount = parts;
  int64_t stride = whole->strides[dim];
  share.indexScale =
      stride * bytesOf(whole->type) * (op.getCyclic() ? 1 : shape[dim]);
  if (op.getCyclic())
    share.strides[dim] = stride * parts;
  emitter.vector(Opcode::mov, shape, share, *from);
  return success();
}

/// The update's shape; an update of one token may leave its dimension out.
static SmallVector<int64_t> updateShape(wafer::AppendOp op) {
  SmallVector<int64_t> shape = shapeOf(op.getUpdate());
  if (shape.size() + 1 == shapeOf(op.getState()).size())
    shape.insert(shape.begin() + static_cast<int64_t>(op.getDim()), 1);
  return shape;
}

FailureOr<ProgramEmitter::SlotKey> ProgramEmitter::slotKey(wafer::AppendOp op) {
  auto state = op.getState().getDefiningOp<wafer::StateOp>();
  if (!state)
    return op.emitOpError("appends to something that is not a state");
  FailureOr<wafer::LayoutAttr> layout = layoutOf(state);
  if (failed(layout))
    return failure();
  wafer::DimAttr dim = layout->getDim(static_cast<int64_t>(op.getDim()));
  if (dim.getAxes().size() != dim.getDigits().size())
    return op.emitOpError("appends along a dimension that is neither blocks "
                          "nor cyclic");
  std::vector<std::string> axes;
  for (wafer::Axis axis : dim.getAxes())
    axes.push_back(axis.str());
  return SlotKey(axes, dim.getCyclic(), updateShape(op)[op.getDim()],
                 shapeOf(op.getState())[op.getDim()]);
}

void ProgramEmitter::bindPosition() {
  wafer::PositionOp first;
  func.walk([&](wafer::PositionOp op) {
    if (!first)
      first = op;
  });
  if (!first)
    return;
  Layout lies{Word::i32, typeOf(func.getContext(), Word::i32), {}};
  position = bind(core::Role::input, "wafer.position", lies, {}, 4);
}

LogicalResult ProgramEmitter::emitSlots() {
  slots.clear();
  WalkResult walked = func.walk([&](wafer::AppendOp op) {
    if (!position || !isWritten(op))
      return WalkResult::advance();
    FailureOr<SlotKey> key = slotKey(op);
    if (failed(key))
      return WalkResult::interrupt();
    if (auto known = slots.find(*key); known != slots.end())
      return WalkResult(emitHot(op, known->second));
    auto [names, cyclic, rows, extent] = *key;
    SmallVector<wafer::Axis> axes;
    for (const std::string &name : names)
      axes.push_back(*wafer::Axis::parse(name));
    auto parts = static_cast<int32_t>(shared.getRegion().getSize(axes));
    Slots made;
    made.everywhere = parts == 1;
    made.slot = emitter.temporary(Word::i32, {rows});
    made.owned = emitter.temporary(Word::i32, {rows});
    emitter.setNode(op.getLoc());
    for (int64_t row = 0; row < rows; ++row) {
      auto word = [](Ref ref, int64_t at) {
        ref.strides.clear();
        ref.offset += at * 4;
        return ref;
      };
      Ref slot = word(made.slot, row), owned = word(made.owned, row);
      Ref at = emitter.temporary(Word::i32, {});
      emitter.vector(Opcode::add, {}, at, *position,
                     Ref::constant(static_cast<int32_t>(row)));
      if (made.everywhere) {
        emitter.vector(Opcode::mov, {}, slot, at);
        continue;
      }
      auto divisor = cyclic ? parts : static_cast<int32_t>(extent);
      Ref high = cyclic ? slot : owned, low = cyclic ? owned : slot;
      emitter.vector(Opcode::floor_div, {}, high, at, Ref::constant(divisor));
      emitter.vector(Opcode::floor_mod, {}, low, at, Ref::constant(divisor));
      emitter.vector(Opcode::eq, {}, owned, owned, coordinate(axes));
    }
    slots[*key] = made;
    return WalkResult(emitHot(op, slots[*key]));
  });
  return failure(walked.wasInterrupted());
}

LogicalResult ProgramEmitter::emitHot(wafer::AppendOp op, Slots &slots) {
  if (!slots.hot.isAbsent() || !patchOf(op, budget, target))
    return success();
  FailureOr<LocalShard> numbers = shared.slotNumbers(op);
  if (failed(numbers))
    return failure();
  const SmallVector<int64_t> count{
      shapeOf(op.getState())[static_cast<size_t>(op.getDim())]};
  slots.hot = emitter.temporary(Word::i32, count);
  Ref now = *position;
  now.strides.assign(1, 0);
  emitter.setNode(op.getLoc());
  emitter.vector(Opcode::eq, count, slots.hot,
                 sharedRef(*numbers, Word::i32, count), now);
  return success();
}

void ProgramEmitter::store(wafer::AppendOp op, const Slots &slots, Ref to,
                           Ref from) {
  SmallVector<int64_t> shape = updateShape(op);
  auto dim = static_cast<int64_t>(op.getDim());
  int64_t rows = shape[dim];
  Ref owned = slots.owned;
  to.indexBuffer = slots.slot.buffer;
  to.indexOffset = slots.slot.offset;
  to.indexScale = to.strides[dim] * bytesOf(to.type);
  to.indexCount = shapeOf(op.getState())[dim];
  owned.strides.clear();
  shape[dim] = 1;
  unsigned depth = emitter.depth();
  if (rows > 1) {
    emitter.loop(rows);
    to.indexSteps.push_back({depth, 4});
    owned.steps.push_back({depth, 4});
    if (!from.immediate)
      from.steps.push_back({depth, from.strides[dim] * bytesOf(from.type)});
  }
  emitter.vector(moving(from, to), shape, to, from, {}, {},
                 slots.everywhere ? Ref() : owned);
  if (rows > 1)
    emitter.endLoop();
}

/// Dimensions in the order in which `first` lies, so that the shape is as short
/// as can be.
static SmallVector<int64_t> inOrder(ArrayRef<int64_t> shape, Ref &first,
                                    MutableArrayRef<Ref> others) {
  SmallVector<int64_t> order(shape.size()), ordered;
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](int64_t a, int64_t b) {
    return std::pair(-first.strides[a], a) < std::pair(-first.strides[b], b);
  });
  auto sort = [&](Ref &ref) {
    if (!ref.immediate)
      llvm::copy(llvm::map_to_vector(
                     order, [&](int64_t dim) { return ref.strides[dim]; }),
                 ref.strides.begin());
  };
  sort(first);
  llvm::for_each(others, sort);
  for (int64_t dim : order)
    ordered.push_back(shape[dim]);
  return ordered;
}

/// The state of this trip is copied while the row is not there yet, and the row
/// selected into the copy, which is what is read; into the state it goes behind
/// that.
LogicalResult ProgramEmitter::emitPatched(wafer::AppendOp op,
                                          const Patch &patch) {
  FailureOr<Ref> update = get(op, op.getUpdate());
  FailureOr<Ref> state = get(op, op.getState());
  if (failed(update) || failed(state))
    return failure();
  const Slots &where = slots.at(*slotKey(op));
  const SmallVector<int64_t> shape = shapeOf(op.getState());
  const auto dim = static_cast<int64_t>(op.getDim());
  Ref copy = emitter.temporary(state->type, shape);
  copy.strides.assign(patch.strides.begin(), patch.strides.end());
  Ref from = *state, to = copy;
  const SmallVector<int64_t> lying = inOrder(shape, from, to);
  emitter.vector(Opcode::mov, lying, to, from);
  Ref row = *update;
  if (!row.immediate && row.strides.size() < shape.size())
    row.strides.insert(row.strides.begin() + dim, 0);
  if (row.type != copy.type) {
    const SmallVector<int64_t> one = updateShape(op);
    Ref rounded = emitter.temporary(copy.type, one);
    emitter.vector(Opcode::convert, one, rounded, row);
    row = rounded;
  }
  to = copy;
  Ref given[] = {where.hot, row}; // what decides; the row, for each slot
  given[0].strides.assign(shape.size(), 0);
  given[0].strides[dim] = 1;
  if (!row.immediate)
    given[1].strides[dim] = 0;
  const SmallVector<int64_t> copied = inOrder(shape, to, given);
  emitter.vector(Opcode::select, copied, to, given[0], given[1], to);
  store(op, where, *state, row);
  values[op.getResult()] = copy;
  return success();
}

LogicalResult ProgramEmitter::emit(wafer::AppendOp op) {
  FailureOr<SlotKey> key = slotKey(op);
  if (failed(key))
    return failure();
  if (std::optional<Patch> patch = patchOf(op, budget, target))
    return emitPatched(op, *patch);
  FailureOr<Ref> update = get(op, op.getUpdate());
  FailureOr<Ref> state = get(op, op.getState());
  if (failed(update) || failed(state))
    return failure();
  if (!update->immediate && update->strides.size() < state->strides.size())
    update->strides.insert(
        update->strides.begin() + static_cast<int64_t>(op.getDim()), 0);
  store(op, slots.at(*key), *state, *update);
  values[op.getResult()] = *state;
  return success();
}

LogicalResult ProgramEmitter::emit(wafer::StoreOp op) {
  FailureOr<Ref> update = get(op, op.getUpdate());
  FailureOr<Ref> state = get(op, op.getState());
  if (failed(update) || failed(state))
    return failure();
  emitter.vector(moving(*update, *state), shapeOf(op.getState()), *state,
                 *update);
  return success();
}
