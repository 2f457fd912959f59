//===- Loops.cpp - Loop and Scan of a known number of trips ---------------===//
//
// A program has no control flow, so a body is lowered as often as it runs. The
// number of trips is what is known of the operands: a constant, or a size. A
// condition must be known in every trip; where it ends the loop, so it does.
//
//===----------------------------------------------------------------------===//

#include "Loops.h"
#include "Operators.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Nodes that a loop may come to.
static constexpr int64_t mostNodes = 20000;

namespace {
class Unroller {
public:
  Unroller(Lowering &lowering, onnx::LoopOp loop, Values &values,
           llvm::function_ref<void(Block &)> lowerBlock)
      : lowering(lowering), loop(loop), values(values), lowerBlock(lowerBlock),
        body(loop.getBody().front()) {
    body.walk([&](onnx::NodeOp) { ++nodes; });
  }

  LogicalResult run() {
    for (Value input : loop.getInputs())
      if (!input.getDefiningOp<onnx::AbsentOp>() && !values.lookup(input))
        return success(); // depends on a node that was refused
    return loop.getOperatorType() == "Loop" ? runLoop() : runScan();
  }

private:
  LogicalResult runLoop();
  LogicalResult runScan();
  LogicalResult refuse(const llvm::Twine &reason) {
    return lowering.refuse(reason), failure();
  }
  SymbolicTensor *operand(unsigned i) {
    return i < loop.getInputs().size() ? values.lookup(loop.getInputs()[i])
                                       : nullptr;
  }
  bool isGiven(unsigned i) {
    return i < loop.getInputs().size() &&
           !loop.getInputs()[i].getDefiningOp<onnx::AbsentOp>();
  }
  LogicalResult checkTrips(int64_t trips);
  /// Runs the body; false: something in it was refused.
  bool runTrip(ArrayRef<SymbolicTensor *> arguments);
  SymbolicTensor *yielded(unsigned i) {
    return values.lookup(body.getTerminator()->getOperand(i));
  }
  std::optional<bool> isTrue(SymbolicTensor *condition);
  SymbolicTensor *apply(StringRef op, ArrayRef<SymbolicTensor *> inputs,
                        ArrayRef<NamedAttribute> attributes);
  NamedAttribute attribute(StringRef name, int64_t value) {
    return lowering.builder.getNamedAttr(
        name, lowering.builder.getI64IntegerAttr(value));
  }
  /// What the trips gave, one beside the other along a new dimension.
  LogicalResult stack(unsigned result, ArrayRef<SymbolicTensor *> parts,
                      int64_t axis);
  int64_t axisOf(StringRef name, unsigned i);
  bool isReversed(StringRef name, unsigned i);

  Lowering &lowering;
  onnx::LoopOp loop;
  Values &values;
  llvm::function_ref<void(Block &)> lowerBlock;
  Block &body;
  int64_t nodes = 0; // of the body
};
} // namespace

LogicalResult Unroller::checkTrips(int64_t trips) {
  if (trips > mostNodes / std::max<int64_t>(nodes, 1))
    return refuse("runs its body of " + llvm::Twine(nodes) + " nodes " +
                  llvm::Twine(trips) + " times, which is more than " +
                  llvm::Twine(mostNodes) +
                  " nodes; bind smaller sizes, or export it without the loop");
  return success();
}

bool Unroller::runTrip(ArrayRef<SymbolicTensor *> arguments) {
  for (Operation &op : body)
    for (Value result : op.getResults())
      values.erase(result); // of the trip before
  for (auto [argument, value] : llvm::zip_equal(body.getArguments(), arguments))
    values[argument] = value;
  lowerBlock(body);
  lowering.loc = loop.getLoc();
  return llvm::all_of(body.getTerminator()->getOperands(),
                      [&](Value value) { return values.lookup(value); });
}

/// Whether it is, where that is known.
std::optional<bool> Unroller::isTrue(SymbolicTensor *condition) {
  Expr function = lowering.functionOf(condition);
  if (!function || !condition->isBool())
    return std::nullopt;
  lowering.math.dims = condition->shape;
  Sizes first(condition->rank(), lowering.math.constant(0));
  function = lowering.math.substitute(function, first);
  if (!function->isTrue() && !function->isFalse())
    return std::nullopt;
  return function->isTrue();
}

SymbolicTensor *Unroller::apply(StringRef op, ArrayRef<SymbolicTensor *> inputs,
                                ArrayRef<NamedAttribute> attributes) {
  Call call{lowering,
            lowering.math,
            op,
            "",
            13,
            llvm::SmallVector<SymbolicTensor *>(inputs),
            lowering.builder.getDictionaryAttr(attributes),
            1,
            {true}};
  lowering.math.dims.clear();
  Results results = findOperator("", op)->lower(call);
  return results.empty() ? nullptr : results[0];
}

LogicalResult Unroller::stack(unsigned result, ArrayRef<SymbolicTensor *> parts,
                              int64_t axis) {
  Value output = loop.getOutputs()[result];
  if (output.use_empty())
    return success();
  if (parts.empty())
    return refuse("runs no trip, and the shape of its output '" +
                  cast<StringAttr>(loop.getOutputNames()[result]).getValue() +
                  "' is that of one");
  SmallVector<SymbolicTensor *> rows;
  for (SymbolicTensor *part : parts) {
    const auto rank = static_cast<int64_t>(part->rank()) + 1;
    if (axis >= rank || axis < -rank)
      return refuse("puts rows of rank " + llvm::Twine(rank - 1) +
                    " beside each other along dimension " + llvm::Twine(axis));
    rows.push_back(
        apply("Unsqueeze",
              {part, lowering.fromInts({axis < 0 ? axis + rank : axis})}, {}));
    if (!rows.back())
      return failure();
  }
  SymbolicTensor *all = rows.size() == 1
                            ? rows.front()
                            : apply("Concat", rows, attribute("axis", axis));
  values[output] = all;
  return success(all != nullptr);
}

/// Inputs: trips, condition, carried values. Body: trip, condition, carried ->
/// condition, carried, rows.
LogicalResult Unroller::runLoop() {
  const auto carriedCount = static_cast<unsigned>(loop.getInputs().size()) - 2;
  std::optional<int64_t> most;
  if (isGiven(0)) {
    auto trips = lowering.constantsOf(operand(0), "the number of trips");
    if (!trips)
      return failure();
    if (trips->size() != 1)
      return refuse("has several numbers of trips");
    most = std::max<int64_t>(trips->front(), 0);
    if (failed(checkTrips(*most)))
      return failure();
  }
  SmallVector<SymbolicTensor *> carried;
  for (unsigned i = 0; i < carriedCount; ++i)
    carried.push_back(operand(i + 2));
  SymbolicTensor *condition =
      isGiven(1) ? operand(1)
                 : lowering.fromFunction({}, lowering.builder.getI1Type(),
                                         lowering.math.boolean(true));
  SmallVector<SmallVector<SymbolicTensor *>> rows(loop.getNumResults() -
                                                  carriedCount);
  for (int64_t trip = 0; !most || trip < *most; ++trip) {
    std::optional<bool> goesOn = isTrue(condition);
    if (!goesOn)
      return refuse("data decides whether trip " + llvm::Twine(trip) +
                    " runs; a program has no control flow: export it with a "
                    "number of trips that is known");
    if (!*goesOn)
      break;
    if (failed(checkTrips(trip)))
      return failure();
    SmallVector<SymbolicTensor *> arguments{
        lowering.fromElements({lowering.math.constant(trip)}, true,
                              lowering.builder.getI64Type()),
        condition};
    arguments.append(carried);
    if (!runTrip(arguments))
      return success(); // it was reported
    condition = yielded(0);
    for (unsigned i = 0; i < carriedCount; ++i)
      carried[i] = yielded(i + 1);
    for (auto [i, row] : llvm::enumerate(rows))
      row.push_back(yielded(carriedCount + 1 + i));
  }
  for (unsigned i = 0; i < carriedCount; ++i)
    values[loop.getOutputs()[i]] = carried[i];
  for (auto [i, row] : llvm::enumerate(rows))
    if (failed(stack(carriedCount + i, row, 0)))
      return failure();
  return success();
}

int64_t Unroller::axisOf(StringRef name, unsigned i) {
  auto axes = loop.getParameters().getAs<ArrayAttr>(name);
  return axes && i < axes.size() ? cast<IntegerAttr>(axes[i]).getInt() : 0;
}

bool Unroller::isReversed(StringRef name, unsigned i) {
  return axisOf(name, i) != 0;
}

/// Inputs: carried values, arrays. Body: carried, a row of each -> carried,
/// rows.
LogicalResult Unroller::runScan() {
  auto given = loop.getParameters().getAs<IntegerAttr>("num_scan_inputs");
  const auto inputs = static_cast<int64_t>(loop.getInputs().size());
  const int64_t arrays = given ? given.getInt() : 0;
  if (arrays < 1 || arrays > inputs)
    return refuse("scans " + llvm::Twine(arrays) + " of " +
                  llvm::Twine(inputs) + " inputs");
  const auto carriedCount = static_cast<unsigned>(inputs - arrays);
  if (loop.getNumResults() < carriedCount)
    return refuse("gives " + llvm::Twine(loop.getNumResults()) +
                  " outputs and carries " + llvm::Twine(carriedCount));
  SmallVector<SymbolicTensor *> carried;
  for (unsigned i = 0; i < carriedCount; ++i)
    carried.push_back(operand(i));
  std::optional<int64_t> trips;
  SmallVector<int64_t> axes;
  for (unsigned i = 0; i < arrays; ++i) {
    SymbolicTensor *array = operand(carriedCount + i);
    const auto rank = static_cast<int64_t>(array->rank());
    int64_t axis = axisOf("scan_input_axes", i);
    axis = axis < 0 ? axis + rank : axis;
    if (axis < 0 || axis >= rank)
      return refuse("scans an input of rank " + llvm::Twine(rank) +
                    " along dimension " + llvm::Twine(axis));
    axes.push_back(axis);
    std::optional<int64_t> size = array->shape[axis]->constant();
    if (!size)
      return refuse("its number of trips, " +
                    lowering.math.print(array->shape[axis]) +
                    ", changes with the position");
    if (trips && *trips != *size)
      return refuse("scans inputs of " + llvm::Twine(*trips) + " and " +
                    llvm::Twine(*size) + " rows");
    trips = *size;
  }
  if (failed(checkTrips(*trips)))
    return failure();
  SmallVector<SmallVector<SymbolicTensor *>> rows(loop.getNumResults() -
                                                  carriedCount);
  for (int64_t trip = 0; trip < *trips; ++trip) {
    SmallVector<SymbolicTensor *> arguments = carried;
    for (unsigned i = 0; i < arrays; ++i) {
      const bool reversed = isReversed("scan_input_directions", i);
      SymbolicTensor *at = lowering.fromElements(
          {lowering.math.constant(reversed ? *trips - 1 - trip : trip)}, true,
          lowering.builder.getI64Type());
      arguments.push_back(apply("Gather", {operand(carriedCount + i), at},
                                attribute("axis", axes[i])));
      if (!arguments.back())
        return failure();
    }
    if (!runTrip(arguments))
      return success(); // it was reported
    for (unsigned i = 0; i < carriedCount; ++i)
      carried[i] = yielded(i);
    for (auto [i, row] : llvm::enumerate(rows))
      row.push_back(yielded(carriedCount + i));
  }
  for (unsigned i = 0; i < carriedCount; ++i)
    values[loop.getOutputs()[i]] = carried[i];
  for (auto [i, row] : llvm::enumerate(rows)) {
    if (isReversed("scan_output_directions", i))
      std::reverse(row.begin(), row.end());
    if (failed(stack(carriedCount + i, row, axisOf("scan_output_axes", i))))
      return failure();
  }
  return success();
}

LogicalResult import::lowerLoop(Lowering &lowering, onnx::LoopOp loop,
                                Values &values,
                                llvm::function_ref<void(Block &)> lowerBlock) {
  return Unroller(lowering, loop, values, lowerBlock).run();
}
