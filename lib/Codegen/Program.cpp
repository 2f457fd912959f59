#include "Program.h"
#include "Body.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

ProgramEmitter::ProgramEmitter(func::FuncOp func, Stream stream, Stage stage,
                               core::ProgramOp program,
                               const SymbolNames &names, Shared &shared,
                               CollectiveEmitter &collectives,
                               const image::TargetT &target, Budget budget)
    : func(func), stream(stream), stage(stage), shared(shared),
      collectives(collectives),
      readers(shared.getRegion().getWidth(), shared.getRegion().getHeight()),
      target(target), budget(budget), emitter(program, names) {
  stageSets = wafer::getStageSets(func);
}

LogicalResult ProgramEmitter::run() {
  if (!llvm::hasSingleElement(func.getBody()))
    return func.emitOpError("has control flow, which a wafer program has not");
  bindPosition();
  emitTurnWords();
  if (failed(emitPasses()))
    return failure();
  LogicalResult done =
      stream.most > 1 ? emitStream()
                      : success(succeeded(emitSlots()) &&
                                succeeded(emitBlock(func.getBody().front())));
  if (succeeded(done))
    emitter.dropUnused();
  return done;
}

LogicalResult ProgramEmitter::emitBlock(Block &block) {
  placeFusedCollectives(block);
  for (Operation &op : block)
    if (isWritten(&op) && failed(emitOp(&op)))
      return failure();
  return success();
}

bool ProgramEmitter::isWritten(Operation *op) const {
  if (op == wafer::getStagedRepeat(func))
    return true; // stage 0 has its ends
  wafer::StageSet runner = wafer::lookup(stageSets, op);
  return runner == wafer::StageSet::All || runner == stage.runs;
}

LogicalResult ProgramEmitter::emitOp(Operation *op) {
  emitter.setNode(op->getLoc());
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<linalg::GenericOp, fabric::CollectiveOpInterface, fabric::PutOp,
            fabric::ToLanesOp, fabric::FromLanesOp, wafer::RepeatOp,
            wafer::AppendOp, wafer::StoreOp, wafer::LookupOp, wafer::SliceOp,
            wafer::InputOp, wafer::OutputOp, tensor::ConcatOp>(
          [&](auto typed) { return emit(typed); })
      .Case<wafer::ParameterOp>([&](wafer::ParameterOp parameter) {
        FailureOr<std::optional<PackedShard>> packed = shared.packed(parameter);
        if (succeeded(packed) && *packed) {
          values.erase(parameter.getResult());
          unread.insert(parameter.getResult());
          return success(succeeded(shared.parameter(parameter)));
        }
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
      .Case<fabric::StageSendRecvOp, fabric::StageRecvOp, fabric::StageSendOp>(
          [&](auto typed) { return emit(typed); })
      .Case<func::ReturnOp, fabric::YieldOp, wafer::YieldOp>(
          [](auto) { return success(); })
      .Default([](Operation *other) {
        return other->emitOpError("is not an op that code generation knows");
      });
}

FailureOr<Ref> ProgramEmitter::get(Operation *user, Value value) {
  auto it = values.find(value);
  if (it == values.end() && unread.contains(value)) {
    FailureOr<Ref> unpacked = unpack(value.getDefiningOp<wafer::ParameterOp>());
    if (failed(unpacked))
      return failure();
    return values[value] = *unpacked;
  }
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
  Ref ref = dense(shard.buffer, type, shape, shard.offset);
  if (!shard.strides.empty())
    ref.strides.assign(shard.strides.begin(), shard.strides.end());
  return ref;
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

Type codegen::hostTypeOf(Operation *op, ShapedType local) {
  Type host = local.getElementType();
  if (auto attr = op->getAttrOfType<TypeAttr>("host_type"))
    host = attr.getValue();
  if (host.isInteger(1) || host.isInteger(64))
    return IntegerType::get(op->getContext(), host.getIntOrFloatBitWidth());
  Word word = local.getElementType().isF32()   ? Word::f32
              : local.getElementType().isF16() ? Word::f16
                                               : Word::i32;
  return typeOf(op->getContext(), word);
}

Ref ProgramEmitter::bind(core::Role role, StringRef name, const Layout &layout,
                         ArrayRef<int64_t> shape, int64_t bytes,
                         Guard holders) {
  FlatSymbolRefAttr buffer = emitter.newBuffer(
      bytes, role == core::Role::input ? core::Use::input : core::Use::output,
      name);
  OpBuilder builder(func.getContext());
  core::BindOp bind = createBind(builder, role, name, layout, buffer);
  if (holders.columns)
    bind.setColumnsAttr(holders.columns);
  if (holders.rows)
    bind.setRowsAttr(holders.rows);
  emitter.insertBinding(bind);
  return dense(buffer, layout.type, shape);
}

LogicalResult ProgramEmitter::emit(wafer::InputOp op) {
  if (isPerToken(op))
    return emitPerToken(op);
  auto type = cast<ShapedType>(op.getType());
  FailureOr<Layout> lies = shared.layout(op, type);
  if (failed(lies))
    return failure();
  lies->hostType = hostTypeOf(op, type);
  values[op.getResult()] =
      bind(core::Role::input, op.getName(), *lies, type.getShape(),
           type.getNumElements() * bytesOf(lies->type));
  taken[op.getName()] = op;
  return success();
}

/// The PEs that have the value of `op`.
FailureOr<Guard> ProgramEmitter::holdersOf(wafer::OutputOp op) {
  Guard guard;
  wafer::LayoutAttr layout = op.getLayoutAttr();
  if (!layout || !layout.hasRoot())
    return guard;
  const wafer::RegionAttr region = wafer::getRegion(op);
  for (auto direction : {wafer::Axis::X, wafer::Axis::Y}) {
    const bool alongX = direction == wafer::Axis::X;
    const auto lines =
        static_cast<unsigned>(alongX ? region.getWidth() : region.getHeight());
    llvm::BitVector roots(lines, true);
    for (auto [axis, coordinate] :
         llvm::zip_equal(layout.getRootAxes(), layout.getRootCoordinates()))
      for (unsigned line = 0; line < lines; ++line)
        if (axis.direction == direction &&
            region.getCoordinate(axis, line, line) != coordinate)
          roots.reset(line);
    if (roots.all())
      continue;
    FlatSymbolRefAttr set =
        collectives.setOf(alongX ? Direction::X : Direction::Y, roots);
    if (!set)
      return op.emitOpError("lives at roots, but nothing was sent to them");
    (alongX ? guard.columns : guard.rows) = set;
  }
  return guard;
}

LogicalResult ProgramEmitter::emit(wafer::OutputOp op) {
  auto type = cast<ShapedType>(op.getValue().getType());
  FailureOr<Layout> lies = shared.layout(op, type);
  FailureOr<Ref> value = get(op, op.getValue());
  FailureOr<Guard> holders = holdersOf(op);
  if (failed(lies) || failed(value) || failed(holders))
    return failure();
  lies->hostType = hostTypeOf(op, type);
  // The host reads it after the last instruction, so nothing may reuse it.
  Ref out = bind(core::Role::output, op.getName(), *lies, type.getShape(),
                 type.getNumElements() * bytesOf(lies->type), *holders);
  emitter.vector(Opcode::mov, type.getShape(), out, *value);
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
