// What stages give each other: the repeat whose trips they share, between what
// a stage takes and what it gives; lanes that turn; streams that pass.

#include "Program.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;
using Border = CollectiveEmitter::Border;

static fabric::StageSendRecvOp sendRecvOf(wafer::RepeatOp op) {
  for (Operation *user : op->getUsers())
    if (auto found = dyn_cast<fabric::StageSendRecvOp>(user);
        found && found->getNumResults() == op->getNumResults())
      return found;
  op.emitOpError("is shared by stages but nothing hands its results over");
  return {};
}

/// The stream that stage `from` sends.
static FailureOr<Border> borderOf(fabric::StageSendRecvOp op, int64_t from,
                                  collectives::Border what) {
  if (wafer::getHandOver(wafer::getStages(op), from).turns && !op.turns())
    return op.emitOpError("says nothing of lanes that turn");
  return getBorder(op, from, what);
}

FailureOr<Ref> ProgramEmitter::emitTurn(Region &turn, Ref given) {
  Block &block = turn.front();
  values[block.getArgument(0)] = given;
  placeFusedCollectives(block);
  for (Operation &op : block)
    if (failed(emitOp(&op)))
      return failure();
  return get(block.getTerminator(), block.getTerminator()->getOperand(0));
}

/// The words of the message of one PE.
static Ref messageOf(fabric::StageSendRecvOp op, Ref first) {
  return dense(first.buffer, first.type, {op.getWords()}, first.offset);
}

LogicalResult ProgramEmitter::send(wafer::RepeatOp repeat) {
  fabric::StageSendRecvOp op = sendRecvOf(repeat);
  if (!op)
    return failure();
  FailureOr<Border> border =
      borderOf(op, stage.index, collectives::Border::Send);
  if (failed(border))
    return failure();
  emitter.setNode(op.getLoc());
  Ref message = messageOf(op, values.lookup(op.getResult(0)));
  int64_t words = op.getWords();
  if (wafer::getHandOver(wafer::getStages(func), stage.index).turns) {
    FailureOr<Ref> lane = emitTurn(op.getLeave(), message);
    if (failed(lane))
      return failure();
    message = *lane;
    words = cast<ShapedType>(op.getEnter().getArgument(0).getType())
                .getNumElements();
  }
  if (llvm::Error error = collectives.emit(emitter, *border, message, words))
    return op.emitOpError() << llvm::toString(std::move(error));
  return success();
}

LogicalResult ProgramEmitter::receive(wafer::RepeatOp repeat) {
  fabric::StageSendRecvOp op = sendRecvOf(repeat);
  if (!op)
    return failure();
  wafer::StagesAttr stages = wafer::getStages(func);
  const int64_t from =
      (stage.index + stages.getCount() - 1) % stages.getCount();
  FailureOr<Border> border = borderOf(op, from, collectives::Border::Receive);
  if (failed(border))
    return failure();
  emitter.setNode(op.getLoc());
  Ref message = messageOf(op, values.lookup(op.getResult(0)));
  const bool turns = wafer::getHandOver(stages, from).turns;
  Ref taken = message;
  int64_t words = op.getWords();
  if (turns) {
    words = cast<ShapedType>(op.getEnter().getArgument(0).getType())
                .getNumElements();
    taken = emitter.temporary(message.type, {words});
  }
  if (llvm::Error error = collectives.emit(emitter, *border, taken, words))
    return op.emitOpError() << llvm::toString(std::move(error));
  if (!turns)
    return success();
  FailureOr<Ref> parts = emitTurn(op.getEnter(), taken);
  if (failed(parts))
    return failure();
  emitter.vector(Opcode::mov, {op.getWords()}, message, *parts);
  return success();
}

LogicalResult ProgramEmitter::emitShare(wafer::RepeatOp op) {
  fabric::StageSendRecvOp sendRecv = sendRecvOf(op);
  if (!sendRecv)
    return failure();
  SmallVector<Ref> carried =
      llvm::map_to_vector(sendRecv.getResults(),
                          [&](Value result) { return values.lookup(result); });
  if (stage.runs == wafer::StageSet::First) {
    for (auto [init, ref] : llvm::zip_equal(op.getInits(), carried)) {
      FailureOr<Ref> from = get(op, init);
      if (failed(from))
        return failure();
      emitter.vector(Opcode::mov, shapeOf(init), ref, *from);
    }
    return send(op);
  }
  auto [first, end] = stage.tripsOf(op);
  return success(succeeded(receive(op)) &&
                 succeeded(emitTrips(op, end - first, carried)) &&
                 succeeded(send(op)));
}

LogicalResult ProgramEmitter::emitStaged(wafer::RepeatOp op) {
  return success(
      succeeded(emitShare(op)) &&
      (stage.runs != wafer::StageSet::First || succeeded(receive(op))));
}

void ProgramEmitter::emitTurnWords() {
  wafer::StagesAttr stages = wafer::getStages(func);
  const int64_t before =
      (stage.index + stages.getCount() - 1) % stages.getCount();
  if (!wafer::getHandOver(stages, stage.index).turns &&
      !wafer::getHandOver(stages, before).turns)
    return;
  wafer::RegionAttr region = shared.getRegion();
  auto coordinateAlong = [&](wafer::Axis::Direction direction) {
    SmallVector<wafer::Axis> axes =
        llvm::filter_to_vector(region.getAxes(), [&](wafer::Axis axis) {
          return axis.direction == direction && region.getSize(axis) > 1;
        });
    return axes.empty() ? Ref::constant(int32_t(0)) : coordinate(axes);
  };
  Ref part = coordinateAlong(wafer::Axis::Y),
      lane = coordinateAlong(wafer::Axis::X);
  int64_t parts = region.getHeight(), lanes = region.getWidth();
  if (stages.getInColumns()) {
    std::swap(part, lane);
    std::swap(parts, lanes);
  }
  const fabric::LaneShares shares(parts, lanes);
  Ref many = shares.lanesShare ? lane : part;
  Ref each = Ref::constant(static_cast<int32_t>(shares.each));
  lanePiece = emitter.temporary(Word::i32, {});
  laneOwned = emitter.temporary(Word::i32, {});
  emitter.vector(Opcode::floor_mod, {}, lanePiece, many, each);
  emitter.vector(Opcode::floor_div, {}, laneOwned, many, each);
  emitter.vector(Opcode::eq, {}, laneOwned, laneOwned,
                 shares.lanesShare ? part : lane);
}

/// `ref` from its piece that this PE has to do with, of `words`.
static Ref pieceOf(Ref ref, Ref piece, int64_t words, int64_t pieces) {
  ref.indexBuffer = piece.buffer;
  ref.indexOffset = piece.offset;
  ref.indexScale = words * bytesOf(ref.type);
  ref.indexCount = pieces;
  return ref;
}

LogicalResult ProgramEmitter::emit(fabric::ToLanesOp op) {
  FailureOr<Ref> from = get(op, op.getValue());
  FailureOr<Ref> to = result(op.getResult());
  if (failed(from) || failed(to))
    return failure();
  values[op.getResult()] = *to;
  Ref zero =
      to->type == Word::i32 ? Ref::constant(int32_t(0)) : Ref::constant(0.0f);
  const SmallVector<int64_t> lane = shapeOf(op.getResult());
  const int64_t words = shapeOf(op.getValue()).front();
  const fabric::LaneShares shares(static_cast<int64_t>(op.getFromCount()),
                                  static_cast<int64_t>(op.getToCount()));
  emitter.vector(Opcode::mov, lane, *to, zero);
  if (!shares.lanesShare) {
    emitter.vector(Opcode::mov, {words},
                   pieceOf(*to, lanePiece, words, shares.each), *from, {}, {},
                   laneOwned);
    return success();
  }
  Ref pieces = *from;
  if (int64_t filled = lane.front() * shares.each; filled != words) {
    pieces = emitter.temporary(to->type, {filled});
    emitter.vector(Opcode::mov, {filled}, pieces, zero);
    emitter.vector(Opcode::mov, {words}, pieces, *from);
  }
  emitter.vector(Opcode::mov, lane, *to,
                 pieceOf(pieces, lanePiece, lane.front(), shares.each), {}, {},
                 laneOwned);
  return success();
}

LogicalResult ProgramEmitter::emit(fabric::FromLanesOp op) {
  FailureOr<Ref> from = get(op, op.getValue());
  FailureOr<Ref> to = result(op.getResult());
  if (failed(from) || failed(to))
    return failure();
  values[op.getResult()] = *to;
  const fabric::LaneShares shares(static_cast<int64_t>(op.getToCount()),
                                  static_cast<int64_t>(op.getFromCount()));
  const int64_t words = shapeOf(op.getResult()).front();
  const int64_t piece =
      shares.lanesShare ? shapeOf(op.getValue()).front() : words;
  emitter.vector(Opcode::mov, {words}, *to,
                 to->type == Word::i32 ? Ref::constant(int32_t(0))
                                       : Ref::constant(0.0f));
  Ref &indexed = shares.lanesShare ? *to : *from;
  indexed = pieceOf(indexed, lanePiece, piece, shares.each);
  emitter.vector(Opcode::mov, {piece}, *to, *from, {}, {}, laneOwned);
  return success();
}
