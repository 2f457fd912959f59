// Loops of layers: their weights, what they carry, their trips.

#include "Orders.h"
#include "Program.h"

#include "waferloom/Dialect/Wafer/Layers.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

/// Cycles that `op` saves if `weights`, which it reads, stand still.
static int64_t countSaved(Operation *op, Value weights, Budget budget,
                          const image::TargetT &target) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  const unsigned number = generic && generic->getOperand(0) == weights ? 0 : 1;
  const SmallVector<int64_t> strides(
      dense({}, Word::f32, shapeOf(weights)).strides);
  auto count = [&](bool isMoving) {
    return generic ? countProduct(generic, number, strides, isMoving, budget,
                                  target)
                   : std::nullopt;
  };
  std::optional<int64_t> still = count(false);
  return still ? *count(true) - *still
               : machine::MachineModel(target).getRewrite();
}

/// How many messages of its block come before the first reader of `weights`.
static int64_t messagesBefore(wafer::ParameterOp weights) {
  Block *block = weights->getBlock();
  int64_t messages = 0;
  for (Operation &op : *block) {
    if (llvm::any_of(weights.getResult().getUsers(), [&](Operation *user) {
          return block->findAncestorOpInBlock(*user) == &op;
        }))
      break;
    messages += isa<fabric::CollectiveOpInterface>(op);
  }
  return messages;
}

/// An operand that moves with a loop costs a descriptor rewrite each time. So
/// the weights of a trip, which lie behind each other, are copied to where none
/// of their readers moves, if that costs less. Before the loop; `copies` are
/// for its trips.
LogicalResult ProgramEmitter::copyWeights(wafer::RepeatOp op, int64_t tripCount,
                                          std::vector<TripCopy> &copies) {
  if (!budget.copiesTrips)
    return success();
  struct Trip {
    SmallVector<std::pair<wafer::ParameterOp, LocalShard>> parameters;
    int64_t saved = 0;
  };
  // By the buffer of all trips, in the order of the memory.
  llvm::MapVector<Attribute, Trip> trips;
  const machine::MachineModel machine(target);
  const int64_t rate = machine.getRate(Opcode::mov, Word::i32) * 4; // bytes
  for (auto parameter : op.getBodyBlock()->getOps<wafer::ParameterOp>()) {
    FailureOr<LocalShard> shard = shared.parameter(parameter);
    FailureOr<std::optional<PackedShard>> packed = shared.packed(parameter);
    if (failed(shard) || failed(packed))
      return failure();
    if (*packed || shared.isTable(parameter) ||
        parameter.getWeights().size() != op.getTripCount() ||
        op.getTripCount() < 2)
      continue;
    Trip &trip = trips[shard->buffer];
    trip.parameters.emplace_back(parameter, *shard);
    for (Operation *user : parameter.getResult().getUsers())
      trip.saved += countSaved(user, parameter.getResult(), budget, target);
  }
  for (auto &[buffer, trip] : trips) {
    int64_t bytes = trip.parameters.front().second.step;
    if (trip.saved <= machine.getInstructionCycles(bytes, rate, true))
      continue;
    FlatSymbolRefAttr window = emitter.newBuffer(bytes);
    // What is read behind other messages can be copied while those are on
    // their way; what is read first, while those of the trip before are.
    int64_t begin = 0;
    for (size_t i = 0; i < trip.parameters.size(); ++i) {
      auto [parameter, shard] = trip.parameters[i];
      const bool last = i + 1 == trip.parameters.size();
      if (!last &&
          (!budget.schedules || trip.parameters[i + 1].second.offset % 4 ||
           messagesBefore(parameter) ==
               messagesBefore(trip.parameters[i + 1].first)))
        continue;
      const int64_t end = last ? bytes : trip.parameters[i + 1].second.offset;
      const SmallVector<int64_t> words{(end - begin) / 4};
      TripCopy copy{
          words, dense(window, Word::i32, words, begin),
          dense(cast<FlatSymbolRefAttr>(buffer), Word::i32, words, begin)};
      // One copy more in all, but of each only what no answer hides.
      const int64_t cycles =
          machine.getInstructionCycles(4 * words[0], rate, true);
      if (!last && begin == 0 && messagesBefore(parameter) == 0 &&
          tripCount * std::min(cycles, longestWait(op, machine)) > cycles) {
        emitter.vector(Opcode::mov, words, copy.to, copy.from);
        copy.isNext = true;
        copy.from.offset += bytes;
        // The last trip copies what nobody reads.
        shared.extend(copy.from.buffer, bytes * tripCount + end);
      }
      copy.from.steps.push_back({depths[op], bytes});
      copies.push_back(std::move(copy));
      begin = end;
    }
    for (auto [parameter, shard] : trip.parameters) {
      auto type = cast<ShapedType>(parameter.getType());
      FailureOr<Word> word = wordType(parameter, type.getElementType());
      if (failed(word))
        return failure();
      values[parameter.getResult()] =
          dense(window, *word, type.getShape(), shard.offset);
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
    // What a stage takes is nobody else's: layers work on it where it lies.
    if (succeeded(from) && init.hasOneUse() &&
        init.getDefiningOp<fabric::StageRecvOp>()) {
      carried.push_back(*from);
      continue;
    }
    auto type = cast<ShapedType>(init.getType());
    FailureOr<Word> word = wordType(op, type.getElementType());
    if (failed(from) || failed(word))
      return failure();
    carried.push_back(emitter.temporary(*word, type.getShape()));
    emitter.vector(Opcode::mov, type.getShape(), carried.back(), *from);
  }
  auto [first, end] = stage.tripsOf(op);
  if (failed(emitTrips(op, end - first, carried)))
    return failure();
  for (auto [value, ref] : llvm::zip_equal(op.getResults(), carried))
    values[value] = ref;
  return success();
}

/// A loop of `trips` around the body, which works on `carried` in place.
LogicalResult ProgramEmitter::emitTrips(wafer::RepeatOp op, int64_t tripCount,
                                        ArrayRef<Ref> carried) {
  Block *body = op.getBodyBlock();
  for (auto [argument, ref] : llvm::zip_equal(body->getArguments(), carried))
    values[argument] = ref;
  depths[op] = emitter.depth();
  std::vector<TripCopy> copies;
  if (failed(copyWeights(op, tripCount, copies)))
    return failure();
  emitter.loop(tripCount, false, image::LoopOver::layers);
  auto emitCopies = [&](bool next) {
    for (const TripCopy &copy : copies)
      if (copy.isNext == next)
        emitter.vector(Opcode::mov, copy.words, copy.to, copy.from);
  };
  emitCopies(false);
  if (failed(emitBlock(*body)))
    return failure();
  emitCopies(true);
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
