// Several tokens through the program of one. All ops up to the layers run once
// per token, what is behind them once, for the last token:
//
//   one region          stage 0                         other stages
//   loop tokens         loop ahead: lookup, ..., send   loop tokens
//     lookup, ...       loop the rest:                    receive
//     loop layers         receive, lookup, ..., send      loop layers
//   head                loop ahead: receive               send
//                       head
//
// Stage 0 is ahead by as many tokens as there are other stages: each of these
// holds one, so nobody waits for room that only stage 0 could make.
//
// An entry of one token that shares the code runs the same loops once. So every
// operand lies where it does for the longest entry: inputs have a place for as
// many tokens.

#include "Program.h"

#include "waferloom/Dialect/Wafer/Layers.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

/// The dimension of an input that counts the tokens of a step: the same for all
/// entries that stream through a function.
static std::optional<size_t> tokenDim(wafer::InputOp op) {
  auto function = op->getParentOfType<func::FuncOp>();
  auto streamed = wafer::getProgram(op).getStreamed(function.getName());
  return streamed.empty() ? std::nullopt
                          : streamed.front().getTokenDim(op.getName());
}

bool ProgramEmitter::isPerToken(wafer::InputOp op) const {
  return stream.most > 1 && tokenDim(op);
}

LogicalResult ProgramEmitter::emitPerToken(wafer::InputOp op) {
  auto type = cast<ShapedType>(op.getType());
  ArrayRef<int64_t> shape =
      wafer::getEntry(func).getShape(op.getName()).value_or(type.getShape());
  FailureOr<Layout> lies = shared.layout(op, type);
  if (failed(lies))
    return failure();
  lies->hostType = hostTypeOf(op, type);
  lies->dims.clear();
  const size_t token = *tokenDim(op);
  int64_t stride = 1, sourceStride = 1, tokenStride = 1;
  SmallVector<int64_t, 4> strides;
  for (size_t i = shape.size(); i-- > 0;) {
    const bool counts = i == token;
    const int64_t extent = counts ? stream.most : shape[i];
    const int64_t live = counts ? stream.tokens : shape[i];
    lies->dims.insert(lies->dims.begin(),
                      wholeDim(op.getContext(), live, sourceStride, extent));
    if (counts)
      tokenStride = stride;
    else if (extent != 1)
      strides.insert(strides.begin(), stride);
    stride *= extent;
    sourceStride *= live;
  }
  if (strides.size() != static_cast<size_t>(type.getRank()))
    return op.emitOpError("is cut in a way that streams cannot follow");
  Ref all = bind(core::Role::input, op.getName(), *lies, type.getShape(),
                 stride * bytesOf(lies->type));
  all.strides = strides;
  taken[op.getName()] = op;
  perToken[op] = {all, tokenStride * bytesOf(lies->type)};
  return success();
}

/// Copies this token's part of an input that has one for each.
void ProgramEmitter::takeToken(wafer::InputOp op) {
  auto it = perToken.find(op);
  if (it == perToken.end())
    return;
  auto [all, bytes] = it->second;
  SmallVector<int64_t> shape = shapeOf(op.getResult());
  Ref from = all, now = emitter.temporary(all.type, shape);
  from.indexBuffer = tokenNumber.buffer;
  from.indexScale = bytes;
  from.indexCount = stream.most;
  emitter.setNode(op.getLoc());
  emitter.vector(Opcode::mov, shape, now, from);
  values[op.getResult()] = now;
}

Operation *ProgramEmitter::lastPerToken() {
  Block &block = func.getBody().front();
  auto only = [](auto ops) -> Operation * {
    return llvm::hasSingleElement(ops) ? (*ops.begin()).getOperation()
                                       : nullptr;
  };
  if (wafer::getKind(func) == wafer::Kind::Ends)
    return only(block.getOps<fabric::StageSendRecvOp>());
  if (wafer::getKind(func) == wafer::Kind::Layers)
    return only(block.getOps<fabric::StageSendOp>());
  return wafer::getLayersRepeat(func);
}

/// The ops in front of `last`, and its own share, of the next token.
LogicalResult ProgramEmitter::emitToken(Operation *last) {
  for (Ref *counter : {position ? &*position : nullptr, &tokenNumber})
    if (counter)
      emitter.vector(Opcode::add, {}, *counter, *counter,
                     Ref::constant(int32_t(1)));
  if (failed(emitSlots()))
    return failure();
  for (Operation &op : *last->getBlock()) {
    if (&op == last)
      break;
    if (!isWritten(&op))
      continue;
    if (auto input = dyn_cast<wafer::InputOp>(op))
      takeToken(input);
    else if (failed(emitOp(&op)))
      return failure();
  }
  emitter.setNode(last->getLoc());
  if (auto outside = dyn_cast<fabric::StageSendRecvOp>(last))
    return sendOut(outside);
  return stage.runs == wafer::StageSet::All
             ? emitOp(last)
             : emitShare(cast<wafer::RepeatOp>(last));
}

LogicalResult ProgramEmitter::emitBack(Operation *last) {
  if (auto outside = dyn_cast<fabric::StageSendRecvOp>(last))
    return takeBack(outside);
  return receive(cast<wafer::RepeatOp>(last));
}

LogicalResult
ProgramEmitter::emitLoop(int64_t tokens,
                         llvm::function_ref<LogicalResult()> body) {
  rounded.clear(); // of another token
  emitter.loop(tokens, /*perEntry=*/true, image::LoopOver::tokens);
  if (failed(body()))
    return failure();
  emitter.endLoop();
  return success();
}

/// The ops in front of `last` that those behind it read something of, in
/// order.
static SmallVector<Operation *> readBehind(Operation *last) {
  Block *block = last->getBlock();
  llvm::SmallPtrSet<Operation *, 16> read;
  auto readBy = [&](Operation *reader) {
    reader->walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        if (Operation *from = operand.getDefiningOp();
            from && from->getBlock() == block)
          read.insert(from);
    });
  };
  for (auto it = std::next(Block::iterator(last)); it != block->end(); ++it)
    readBy(&*it);
  SmallVector<Operation *> ops;
  for (auto it = std::next(Block::reverse_iterator(last)); it != block->rend();
       ++it)
    if (read.contains(&*it)) {
      readBy(&*it);
      ops.push_back(&*it);
    }
  return SmallVector<Operation *>(llvm::reverse(ops));
}

/// What ops behind the layers read of the last token: which of stage 0's loops
/// worked it out depends on the number of tokens.
LogicalResult ProgramEmitter::emitAgain(Operation *last) {
  for (Operation *op : readBehind(last)) {
    if (!isWritten(op))
      continue;
    if (auto input = dyn_cast<wafer::InputOp>(op))
      takeToken(input);
    else if (failed(emitOp(op)))
      return failure();
  }
  return success();
}

LogicalResult ProgramEmitter::emitStagedTokens(Operation *last) {
  auto token = [&] { return emitToken(last); };
  if (stage.index > 0)
    return emitLoop(stream.tokens, token);
  const int64_t others = wafer::getStages(func).getCount() - 1;
  const int64_t ahead = std::min(stream.tokens, others);
  auto back = [&] { return emitBack(last); };
  return success(
      succeeded(emitLoop(ahead, token)) &&
      succeeded(emitLoop(
          stream.tokens - ahead,
          [&] { return success(succeeded(back()) && succeeded(token())); })) &&
      succeeded(emitLoop(ahead, back)) && succeeded(emitAgain(last)));
}

LogicalResult ProgramEmitter::emitStream() {
  Block &block = func.getBody().front();
  Operation *last = lastPerToken();
  if (!last)
    return func.emitOpError("streams tokens but has no single loop of layers");
  placeFusedCollectives(block);
  for (auto input : block.getOps<wafer::InputOp>())
    if (isWritten(input) && failed(emitOp(input)))
      return failure();
  // Counted up by every token.
  tokenNumber = emitter.temporary(Word::i32, {});
  emitter.vector(Opcode::mov, {}, tokenNumber, Ref::constant(int32_t(-1)));
  if (position) {
    Ref given = *position;
    position = emitter.temporary(Word::i32, {});
    emitter.vector(Opcode::add, {}, *position, given,
                   Ref::constant(int32_t(-1)));
  }
  LogicalResult streamed =
      wafer::getStages(func).getCount() > 1
          ? emitStagedTokens(last)
          : emitLoop(stream.tokens, [&] { return emitToken(last); });
  if (failed(streamed))
    return failure();
  for (auto it = std::next(Block::iterator(last)); it != block.end(); ++it)
    if (!isa<wafer::InputOp>(*it) && isWritten(&*it) && failed(emitOp(&*it)))
      return failure();
  return success();
}
