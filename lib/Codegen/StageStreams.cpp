// Streams between stages: their colors and ways, those that pass a stage, and
// both ends of those between stages of unlike shapes.

#include "Program.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;
using Border = CollectiveEmitter::Border;

FailureOr<Border> codegen::getBorder(fabric::StageStreamOpInterface op,
                                     int64_t from, collectives::Border what) {
  wafer::StagesAttr stages = wafer::getStages(op);
  const int64_t count = stages.getCount();
  const wafer::HandOver way = wafer::getHandOver(stages, from);
  if (!op.getColor())
    return op->emitOpError("has no color: fabric-route gives it one");
  // A stage takes in one color and gives in the other; back goes a third.
  const int64_t color = from + 1 == count
                            ? fabric::StageSendRecvOp::getColorsOf(count) - 1
                            : from % 2;
  const bool alongX = way.direction == wafer::Axis::X;
  wafer::RegionAttr region = wafer::getRegion(op);
  const int64_t length = alongX ? region.getWidth() : region.getHeight();
  // Where lanes turn their sums are in the last PE, wherever they go.
  return Border{what, alongX ? Direction::X : Direction::Y, way.up,
                static_cast<unsigned>(*op.getColor() + color),
                static_cast<unsigned>(way.up || way.turns ? length - 1 : 0)};
}

/// Whether `at` is one of the places that `way` passes from `from` on.
static bool isPassed(std::pair<int64_t, int64_t> from, wafer::HandOver way,
                     std::pair<int64_t, int64_t> at) {
  const bool alongX = way.direction == wafer::Axis::X;
  if (alongX ? at.second != from.second : at.first != from.first)
    return false;
  const int64_t far =
      (alongX ? at.first - from.first : at.second - from.second) *
      (way.up ? 1 : -1);
  return far >= 1 && far <= way.between;
}

LogicalResult ProgramEmitter::emitPasses() {
  wafer::StagesAttr stages = wafer::getStages(func);
  const auto here = wafer::getStagePlace(stages, stage.index);
  if (wafer::getKind(func) == wafer::Kind::Ends)
    return success(); // at the end of the strip
  WalkResult walked = func.walk([&](fabric::StageStreamOpInterface op) {
    for (int64_t from = 0; from < stages.getCount(); ++from) {
      if (!isPassed(wafer::getStagePlace(stages, from),
                    wafer::getHandOver(stages, from), here))
        continue;
      FailureOr<Border> border = getBorder(op, from, collectives::Border::Pass);
      if (failed(border))
        return WalkResult::interrupt();
      llvm::cantFail(collectives.emit(emitter, *border, Ref(), 0));
    }
    return WalkResult::advance();
  });
  return failure(walked.wasInterrupted());
}

LogicalResult ProgramEmitter::emitStageStream(fabric::StageStreamOpInterface op,
                                              int64_t from,
                                              collectives::Border what,
                                              Ref message, int64_t words) {
  FailureOr<Border> border = getBorder(op, from, what);
  if (failed(border))
    return failure();
  emitter.setNode(op.getLoc());
  Ref dense =
      codegen::dense(message.buffer, message.type, {words}, message.offset);
  if (llvm::Error error = collectives.emit(emitter, *border, dense, words))
    return op->emitOpError() << llvm::toString(std::move(error));
  return success();
}

/// The words of all `values` together.
static int64_t countWords(ValueRange values) {
  int64_t words = 0;
  for (Value value : values)
    words += cast<ShapedType>(value.getType()).getNumElements();
  return words;
}

LogicalResult ProgramEmitter::sendOut(fabric::StageSendRecvOp op) {
  for (auto [value, result] :
       llvm::zip_equal(op.getValues(), op.getResults())) {
    if (placed.contains(value))
      continue;
    FailureOr<Ref> from = get(op, value);
    if (failed(from))
      return failure();
    emitter.vector(Opcode::mov, shapeOf(value), values[result], *from);
  }
  return emitStageStream(op, 0, collectives::Border::Send,
                         values.lookup(op.getResult(0)), op.getWords());
}

LogicalResult ProgramEmitter::takeBack(fabric::StageSendRecvOp op) {
  return emitStageStream(op, wafer::getStages(func).getCount() - 1,
                         collectives::Border::Receive,
                         values.lookup(op.getResult(0)), op.getWords());
}

LogicalResult ProgramEmitter::emit(fabric::StageSendRecvOp op) {
  // Where all stages have one program, the repeat in front of it hands over.
  if (!wafer::getKind(func))
    return success();
  return success(succeeded(sendOut(op)) && succeeded(takeBack(op)));
}

LogicalResult ProgramEmitter::emit(fabric::StageRecvOp op) {
  return emitStageStream(op, stage.index - 1, collectives::Border::Receive,
                         values.lookup(op.getResult(0)),
                         countWords(op.getResults()));
}

/// Whether `refs` lie behind each other, as values of `shapes` in one message.
static bool areMessage(ArrayRef<Ref> refs,
                       ArrayRef<SmallVector<int64_t>> shapes) {
  int64_t offset = refs.front().offset;
  for (auto [ref, shape] : llvm::zip_equal(refs, shapes)) {
    const Ref wanted = dense(refs.front().buffer, ref.type, shape, offset);
    if (ref.immediate || ref.buffer != wanted.buffer || ref.offset != offset ||
        ref.strides != wanted.strides || !ref.steps.empty() || ref.indexBuffer)
      return false;
    offset += ShapedType::getNumElements(shape) * bytesOf(ref.type);
  }
  return true;
}

LogicalResult ProgramEmitter::emit(fabric::StageSendOp op) {
  SmallVector<Ref> refs;
  SmallVector<SmallVector<int64_t>> shapes;
  for (Value value : op.getValues()) {
    FailureOr<Ref> ref = get(op, value);
    if (failed(ref))
      return failure();
    refs.push_back(*ref);
    shapes.push_back(shapeOf(value));
  }
  const int64_t words = countWords(op.getValues());
  Ref message = refs.front();
  if (!areMessage(refs, shapes)) {
    message = emitter.temporary(message.type, {words});
    int64_t offset = message.offset;
    for (auto [ref, shape] : llvm::zip_equal(refs, shapes)) {
      emitter.vector(Opcode::mov, shape,
                     dense(message.buffer, ref.type, shape, offset), ref);
      offset += ShapedType::getNumElements(shape) * bytesOf(ref.type);
    }
  }
  return emitStageStream(op, stage.index, collectives::Border::Send, message,
                         words);
}
