// What can be wrong with core text before any target is known. Addresses
// against the memory, words against words and colors against the target are the
// image checker's: it sees images that never were text.

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Format/HostType.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::core;

/// Loops around `op`: the depths that its operands may step with.
static int64_t loopsAround(Operation *op) {
  int64_t loops = 0;
  for (op = op->getParentOp(); isa_and_nonnull<LoopOp>(op);
       op = op->getParentOp())
    ++loops;
  return loops;
}

static LogicalResult verifySteps(Operation *op, ArrayRef<int64_t> steps) {
  const int64_t loops = loopsAround(op);
  for (size_t i = 0; i < steps.size(); i += 2)
    if (steps[i] < 0 || steps[i] >= loops)
      return op->emitOpError() << "steps with the loop at depth " << steps[i]
                               << " but stands in " << loops;
  return success();
}

/// No number of an operand leads further than the addresses of a memory.
static LogicalResult verifyReach(Operation *op, StringRef what,
                                 ArrayRef<int64_t> numbers) {
  constexpr int64_t most = UINT32_MAX;
  for (int64_t number : numbers)
    if (number < -most || number > most)
      return op->emitOpError() << "has an operand with " << what << " "
                               << number << ", more than a memory has bytes";
  return success();
}

static LogicalResult verifyOperand(Operation *op, OperandAttr operand,
                                   size_t rank, bool isDestination = false) {
  if (operand.getImmediate()) {
    if (isDestination)
      return op->emitOpError("writes to a scalar");
    return success();
  }
  if (operand.getBase() < 0)
    return op->emitOpError() << "has an operand at " << operand.getBase();
  if (!operand.getDense() && operand.getStrides().size() != rank)
    return op->emitOpError() << "has " << operand.getStrides().size()
                             << " strides for a shape of rank " << rank;
  if (operand.getIndexScale() && operand.getIndexCount() <= 0)
    return op->emitOpError("has an index that no value can satisfy: of 0");
  if (operand.getIndexAt() < 0)
    return op->emitOpError() << "reads its index at " << operand.getIndexAt();
  if (failed(verifyReach(op, "base", operand.getBase())) ||
      failed(verifyReach(op, "stride", operand.getStrides())) ||
      failed(verifyReach(op, "step", operand.getSteps())) ||
      failed(verifyReach(op, "index",
                         {operand.getIndexAt(), operand.getIndexScale(),
                          operand.getIndexCount()})) ||
      failed(verifyReach(op, "step", operand.getIndexSteps())))
    return failure();
  if (failed(verifySteps(op, operand.getSteps())))
    return failure();
  return verifySteps(op, operand.getIndexSteps());
}

static LogicalResult verifyShape(Operation *op, ArrayRef<int64_t> shape) {
  if (shape.size() > 4)
    return op->emitOpError() << "has a shape of rank " << shape.size()
                             << ", the machine has 4 dimensions";
  int64_t elements = 1;
  for (int64_t size : shape) {
    if (size < 1 || size > INT32_MAX || elements > INT32_MAX / size)
      return op->emitOpError("has a shape without or with too many elements");
    elements *= size;
  }
  return success();
}

template <typename OpType>
static LogicalResult verifyPredicate(OpType op) {
  OperandAttr predicate = op.getPredicateAttr();
  if (!predicate)
    return success();
  if (!predicate.getType().isInteger(32))
    return op.emitOpError() << "has a predicate of type " << predicate.getType()
                            << ", needs i32";
  return verifyOperand(op, predicate, op.getShape().size());
}

static LogicalResult verifyByte(Operation *op, StringRef what, int64_t value) {
  if (value < 0 || value > 255)
    return op->emitOpError()
           << "names " << what << " " << value << ", which is not in 0 .. 255";
  return success();
}

template <typename OpType>
static LogicalResult verifyThread(OpType op) {
  if (std::optional<uint64_t> thread = op.getThread(); thread && *thread > 127)
    return op.emitOpError()
           << "runs as thread " << static_cast<int64_t>(*thread)
           << ", which is not in 0 .. 127";
  return success();
}

//===----------------------------------------------------------------------===//
// Vector instructions
//===----------------------------------------------------------------------===//

static unsigned sourcesOf(Opcode op) {
  switch (op) {
  case Opcode::mov:
  case Opcode::neg:
  case Opcode::abs:
  case Opcode::convert:
    return 1;
  case Opcode::fma:
  case Opcode::select:
    return 3;
  default:
    return 2;
  }
}

static bool isScalar(OperandAttr operand) {
  return operand.getImmediate() ||
         (!operand.getDense() &&
          llvm::all_of(operand.getStrides(), [](int64_t s) { return s == 0; }));
}

/// Which operands have to be of one type.
static LogicalResult verifyTypes(VectorOp op, ArrayRef<OperandAttr> sources) {
  const Type dst = op.getDst().getType();
  auto same = [&](Type a, Type b) -> LogicalResult {
    if (a == b)
      return success();
    return op.emitOpError() << "'" << stringifyOpcode(op.getOp()) << "' mixes "
                            << a << " and " << b;
  };
  auto integer = [&](Type type) -> LogicalResult {
    if (type.isInteger(32))
      return success();
    return op.emitOpError() << "'" << stringifyOpcode(op.getOp())
                            << "' needs i32 here, not " << type;
  };
  switch (op.getOp()) {
  case Opcode::convert:
    return success();
  case Opcode::eq:
  case Opcode::lt:
  case Opcode::le:
    if (failed(integer(dst)))
      return failure();
    return same(sources[0].getType(), sources[1].getType());
  case Opcode::select:
    if (failed(integer(sources[0].getType())) ||
        failed(same(sources[1].getType(), sources[2].getType())))
      return failure();
    return same(dst, sources[1].getType());
  case Opcode::fma:
    if (failed(same(dst, sources[0].getType())))
      return failure();
    return same(sources[1].getType(), sources[2].getType());
  case Opcode::floor_div:
  case Opcode::floor_mod:
    if (failed(integer(dst)))
      return failure();
    break;
  default:
    break;
  }
  for (OperandAttr source : sources)
    if (failed(same(dst, source.getType())))
      return failure();
  return success();
}

/// Whether a dimension can end with the live slots of a cache.
static LogicalResult verifyLive(VectorOp op) {
  LiveAttr live = op.getLiveAttr();
  if (!live)
    return success();
  const auto rank = static_cast<int64_t>(op.getShape().size());
  if (live.getDim() < 0 || live.getDim() >= rank)
    return op.emitOpError() << "has no dimension " << live.getDim();
  if (live.getParts() < 1 || live.getParts() > INT32_MAX ||
      live.getFrom() < 0 || live.getFrom() > INT32_MAX)
    return op.emitOpError() << "goes over slots on " << live.getParts()
                            << " PEs from slot " << live.getFrom();
  if (op.getThread())
    return op.emitOpError("is live and runs as a thread");
  return success();
}

LogicalResult VectorOp::verify() {
  const size_t rank = getShape().size();
  if (failed(verifyShape(*this, getShape())) ||
      failed(verifyOperand(*this, getDst(), rank, /*isDestination=*/true)) ||
      failed(verifyPredicate(*this)) || failed(verifyThread(*this)) ||
      failed(verifyLive(*this)))
    return failure();
  SmallVector<OperandAttr, 3> sources;
  for (Attribute source : getSources()) {
    auto operand = dyn_cast<OperandAttr>(source);
    if (!operand)
      return emitOpError() << "has " << source << " for an operand";
    if (failed(verifyOperand(*this, operand, rank)))
      return failure();
    sources.push_back(operand);
  }
  if (sources.size() != sourcesOf(getOp()))
    return emitOpError() << "'" << stringifyOpcode(getOp()) << "' has "
                         << sources.size() << " operands but needs "
                         << sourcesOf(getOp());
  if (getOp() == Opcode::fma && !isScalar(sources[2]) && rank > 0)
    return emitOpError("'fma' multiplies by one scalar: give the third operand "
                       "strides of 0");
  return verifyTypes(*this, sources);
}

//===----------------------------------------------------------------------===//
// Streams and control
//===----------------------------------------------------------------------===//

template <typename OpType>
static LogicalResult verifyStream(OpType op, OperandAttr operand,
                                  bool isDestination) {
  if (failed(verifyShape(op, op.getShape())) ||
      failed(verifyOperand(op, operand, op.getShape().size(), isDestination)) ||
      failed(verifyPredicate(op)))
    return failure();
  return verifyThread(op);
}

LogicalResult SendOp::verify() {
  if (failed(verifyStream(*this, getA(), false)) ||
      failed(verifyByte(*this, "color", getColor())))
    return failure();
  return verifyByte(*this, "queue", getQueue());
}

LogicalResult RecvOp::verify() {
  if (failed(verifyStream(*this, getDst(), true)) ||
      failed(verifyByte(*this, "color", getColor())))
    return failure();
  return verifyByte(*this, "queue", getQueue());
}

LogicalResult RecvFoldOp::verify() {
  if (failed(verifyStream(*this, getDst(), true)) ||
      failed(verifyByte(*this, "color", getColor())))
    return failure();
  return verifyByte(*this, "queue", getQueue());
}

LogicalResult RecvFoldSendOp::verify() {
  if (failed(verifyStream(*this, getA(), false)) ||
      failed(verifyByte(*this, "color", getInColor())) ||
      failed(verifyByte(*this, "color", getOutColor())) ||
      failed(verifyByte(*this, "queue", getInQueue())))
    return failure();
  return verifyByte(*this, "queue", getOutQueue());
}

LogicalResult LoopOp::verify() {
  const auto count = static_cast<int64_t>(getCount());
  if (count < 0 || count > INT32_MAX)
    return emitOpError() << "repeats " << count << " times";
  return success();
}

LogicalResult RouteOp::verify() {
  if (failed(verifyByte(*this, "color", getColor())))
    return failure();
  const auto outputs = static_cast<int64_t>(getOutputs());
  if (getInputs().empty() || outputs <= 0 || outputs > 31)
    return emitOpError("leads from or to nowhere");
  for (Attribute input : getInputs()) {
    auto turn = dyn_cast<TurnAttr>(input);
    if (!turn)
      return emitOpError() << "has " << input << " for an input";
    if (outputs >> static_cast<uint32_t>(turn.getSide()) & 1)
      return emitOpError() << "sends words back to "
                           << stringifySide(turn.getSide());
    if (turn.getWords() < 0 || turn.getWords() > int64_t(UINT32_MAX))
      return emitOpError() << "takes " << turn.getWords() << " words from "
                           << stringifySide(turn.getSide());
    if ((turn.getWords() == 0) != (getInputs().size() == 1))
      return emitOpError("gives each input its number of words, or has one "
                         "input without a number");
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Regions and what they hold
//===----------------------------------------------------------------------===//

LogicalResult SetOp::verify() {
  for (int64_t id : getClasses())
    if (id < 0)
      return emitOpError() << "holds class " << id;
  return success();
}

static LogicalResult verifyHostType(Operation *op, Type type, Type host) {
  if (!isElement(type))
    return op->emitOpError() << "holds " << type
                             << " on the wafer, which has "
                                "f32, f16 and i32";
  if (!isElement(host) && !host.isSignlessInteger(1) &&
      !host.isSignlessInteger(64) && waferloom::hostNameOf(host).empty())
    return op->emitOpError() << "cannot come from " << host;
  return success();
}

LogicalResult TensorOp::verify() {
  return verifyHostType(*this, getType(), getHostType());
}

LogicalResult BoundsOp::verify() {
  for (NamedAttribute field : (*this)->getAttrs())
    if (auto cycles = dyn_cast<IntegerAttr>(field.getValue());
        cycles && cycles.getInt() < 0)
      return emitOpError() << "has " << cycles.getInt() << " "
                           << field.getName().getValue();
  if (getLayers() > UINT32_MAX)
    return emitOpError() << "has " << getLayers()
                         << " layers, more than 32 bits";
  if (!llvm::hasSingleElement((*this)->getBlock()->getOps<BoundsOp>()))
    return emitOpError() << "stands in its entry twice";
  return success();
}

LogicalResult BindOp::verify() {
  if (failed(verifyHostType(*this, getType(), getHostType())))
    return failure();
  const bool perProgram = getRole() == Role::input || getRole() == Role::output;
  if (perProgram != isa<ProgramOp>((*this)->getParentOp()))
    return emitOpError() << "of role " << stringifyRole(getRole())
                         << " belongs to a "
                         << (perProgram ? "program" : "region");
  if (getSource().has_value() != (getRole() == Role::parameter))
    return emitOpError("has a source if and only if it is a parameter");
  for (Attribute attr : getDims()) {
    auto dim = dyn_cast<DimAttr>(attr);
    if (!dim)
      return emitOpError() << "has " << attr << " for a dimension";
    for (DigitAttr digit : dim.getDigits())
      if (digit.getExtent() < 1 || digit.getStride() < 1)
        return emitOpError() << "has a digit of " << digit.getExtent()
                             << " every " << digit.getStride();
  }
  PackingAttr packing = getPackingAttr();
  if (packing && getRole() != Role::parameter)
    return emitOpError("is packed but no parameter");
  if (packing && packing.getGroups().size() != getDims().size())
    return emitOpError() << "has " << getDims().size() << " dimensions and "
                         << packing.getGroups().size() << " groups";
  return success();
}

/// The classes that runs name, or failure when they do not cover `extent`.
static LogicalResult verifyRuns(RegionOp op, ArrayAttr runs, StringRef what,
                                int64_t extent) {
  int64_t covered = 0;
  for (Attribute attr : runs) {
    auto run = dyn_cast<RunAttr>(attr);
    if (!run || run.getClasses().empty() || run.getRepeats() < 1 ||
        run.getRepeats() > extent)
      return op.emitOpError() << "has " << attr << " among its " << what;
    for (int64_t id : run.getClasses())
      if (id < 0 || id > 1 << 20)
        return op.emitOpError() << "has class " << id << " among its " << what;
    covered += int64_t(run.getClasses().size()) * run.getRepeats();
  }
  if (covered != extent)
    return op.emitOpError() << "gives classes to " << covered << " " << what
                            << " but has " << extent;
  return success();
}

LogicalResult RegionOp::verify() {
  for (auto [what, value] :
       {std::pair<StringRef, uint64_t>{"width", getWidth()},
        {"height", getHeight()}})
    if (value < 1 || value > 1 << 16)
      return emitOpError() << "has a " << what << " of "
                           << static_cast<int64_t>(value);
  if (failed(verifyRuns(*this, getColumns(), "columns", getWidth())) ||
      failed(verifyRuns(*this, getRows(), "rows", getHeight())))
    return failure();
  if (std::optional<ArrayRef<int64_t>> stages = getStages())
    if (stages->size() != 2 || llvm::any_of(*stages, [](int64_t count) {
          return count < 1 || count > 1 << 16;
        }))
      return emitOpError("has stages that are not a number west to east and a "
                         "number north to south");
  llvm::DenseSet<StringAttr> sets;
  for (SetOp set : getBody().getOps<SetOp>())
    sets.insert(set.getSymNameAttr());
  WalkResult result = walk([&](Operation *op) -> WalkResult {
    for (StringRef guard : {"columns", "rows"})
      if (auto set = op->getAttrOfType<FlatSymbolRefAttr>(guard))
        if (!sets.contains(set.getAttr()))
          return op->emitOpError()
                 << "names " << set << ", which is no set of this region";
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

LogicalResult ImageOp::verify() {
  llvm::StringSet<> entries;
  for (EntryOp entry : getBody().getOps<EntryOp>())
    if (!entries.insert(entry.getName()).second)
      return entry.emitOpError() << "is the second with this name";
  const size_t sources = llvm::range_size(getBody().getOps<SourceOp>());
  for (RegionOp region : getBody().getOps<RegionOp>()) {
    llvm::StringSet<> programs;
    for (ProgramOp program : region.getBody().getOps<ProgramOp>()) {
      if (!entries.contains(program.getEntry()))
        return program.emitOpError() << "is for an entry that is not there";
      if (program.getShares() && !entries.contains(*program.getShares()))
        return program.emitOpError()
               << "shares the code of '" << *program.getShares()
               << "', an entry that is not there";
      if (!programs.insert(program.getEntry()).second)
        return program.emitOpError() << "is the second for this entry";
    }
    if (programs.size() != entries.size())
      return region.emitOpError()
             << "has " << programs.size() << " programs for " << entries.size()
             << " entries";
    for (BindOp bind : region.getBody().getOps<BindOp>())
      if (std::optional<uint64_t> source = bind.getSource();
          source && *source >= sources)
        return bind.emitOpError()
               << "reads source " << static_cast<int64_t>(*source) << " of "
               << sources;
  }
  return success();
}
