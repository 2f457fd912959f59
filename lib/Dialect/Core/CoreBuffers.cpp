// What instructions do with buffers: they name one that is there, and stay
// inside.

#include "waferloom/Dialect/Core/Core.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace waferloom::core;

void waferloom::core::forEachOperand(
    Operation *instruction, llvm::function_ref<void(OperandAttr)> visit) {
  OperandAttr predicate;
  llvm::TypeSwitch<Operation *>(instruction)
      .Case([&](VectorOp op) {
        visit(op.getDst());
        for (auto source : op.getSources().getAsRange<OperandAttr>())
          visit(source);
        predicate = op.getPredicateAttr();
      })
      .Case<RecvOp, RecvFoldOp>([&](auto op) {
        visit(op.getDst());
        predicate = op.getPredicateAttr();
      })
      .Case<SendOp, RecvFoldSendOp>([&](auto op) {
        visit(op.getA());
        predicate = op.getPredicateAttr();
      });
  if (predicate)
    visit(predicate);
}

namespace {
/// The bytes that something touches: from `low` to before `high`.
struct Window {
  int64_t low = 0, high = 0;

  /// Moves it by 0 .. `times` - 1 times `bytes`.
  void move(int64_t times, int64_t bytes) {
    (bytes < 0 ? low : high) += (times - 1) * bytes;
  }
};

/// The trips of the loops around an instruction, the outermost first.
using Trips = SmallVector<int64_t, 4>;
} // namespace

static int64_t bytesOf(Type type) { return type.isF16() ? 2 : 4; }

static void moveWithLoops(Window &window, ArrayRef<int64_t> steps,
                          const Trips &trips) {
  for (size_t i = 0; i + 1 < steps.size(); i += 2)
    if (steps[i] >= 0 && steps[i] < static_cast<int64_t>(trips.size()))
      window.move(trips[steps[i]], steps[i + 1]);
}

static Window windowOf(OperandAttr operand, ArrayRef<int64_t> shape,
                       const Trips &trips) {
  const int64_t size = bytesOf(operand.getType());
  Window window{operand.getBase(), operand.getBase() + size};
  if (operand.getDense()) {
    int64_t elements = 1;
    for (int64_t extent : shape)
      elements *= extent;
    window.move(elements, size);
  } else {
    for (auto [extent, stride] : llvm::zip(shape, operand.getStrides()))
      window.move(extent, stride * size);
  }
  moveWithLoops(window, operand.getSteps(), trips);
  if (operand.getIndexScale())
    window.move(operand.getIndexCount(), operand.getIndexScale());
  return window;
}

static LogicalResult verifyInside(Operation *op, const Buffers &buffers,
                                  FlatSymbolRefAttr name, Window window) {
  if (!name)
    return success();
  BufferOp buffer = buffers.lookup(name);
  if (!buffer)
    return op->emitOpError()
           << "names " << name << ", which is no buffer of its program";
  const auto bytes = static_cast<int64_t>(buffer.getBytes());
  if (window.low >= 0 && window.high <= bytes)
    return success();
  return op->emitOpError() << "touches bytes " << window.low << " to "
                           << window.high << " of " << name << ", which has "
                           << bytes;
}

static LogicalResult verifyInstruction(Operation *op, const Buffers &buffers,
                                       const Trips &trips) {
  if (llvm::is_contained(trips, 0))
    return success(); // never runs
  ArrayRef<int64_t> shape;
  if (auto attr = op->getAttrOfType<DenseI64ArrayAttr>("shape"))
    shape = attr;
  bool fine = true;
  forEachOperand(op, [&](OperandAttr operand) {
    if (!fine || operand.getImmediate())
      return;
    fine = succeeded(verifyInside(op, buffers, operand.getBuffer(),
                                  windowOf(operand, shape, trips)));
    if (!fine || !operand.getIndexScale())
      return;
    Window index{operand.getIndexAt(), operand.getIndexAt() + 4};
    moveWithLoops(index, operand.getIndexSteps(), trips);
    fine =
        succeeded(verifyInside(op, buffers, operand.getIndexBuffer(), index));
  });
  return success(fine);
}

static LogicalResult verifyBind(BindOp bind, const Buffers &buffers) {
  if (!bind.getBufferAttr())
    return success();
  int64_t elements = 1;
  for (auto dim : bind.getDims().getAsRange<DimAttr>())
    for (DigitAttr digit : dim.getDigits())
      if (digit.getAxis() == Axis::none)
        elements *= digit.getExtent();
  const auto begin = static_cast<int64_t>(bind.getAddress());
  return verifyInside(bind, buffers, bind.getBufferAttr(),
                      {begin, begin + elements * bytesOf(bind.getType())});
}

/// Instructions nest as deep as their loops: the walk is by hand, for it knows
/// the trips.
static LogicalResult verifyBlock(Block &block, const Buffers &buffers,
                                 Trips &trips) {
  for (Operation &op : block) {
    if (auto bind = dyn_cast<BindOp>(op)) {
      if (failed(verifyBind(bind, buffers)))
        return failure();
    } else if (auto loop = dyn_cast<LoopOp>(op)) {
      trips.push_back(static_cast<int64_t>(loop.getCount()));
      if (failed(verifyBlock(loop.getBody().front(), buffers, trips)))
        return failure();
      trips.pop_back();
    } else if (failed(verifyInstruction(&op, buffers, trips))) {
      return failure();
    }
  }
  return success();
}

/// Every name is that of a buffer, and no access leaves its buffer. Behind the
/// verifiers of all that stands inside.
LogicalResult RegionOp::verifyRegions() {
  const Buffers shared(*this);
  for (Operation &op : getBody().front()) {
    if (auto bind = dyn_cast<BindOp>(op)) {
      if (failed(verifyBind(bind, shared)))
        return failure();
    } else if (auto program = dyn_cast<ProgramOp>(op)) {
      Trips trips;
      if (failed(
              verifyBlock(program.getBody().front(), Buffers(program), trips)))
        return failure();
    }
  }
  return success();
}

LogicalResult BufferOp::verify() {
  const auto bytes = static_cast<int64_t>(getBytes());
  if (bytes < 1 || bytes > int64_t(UINT32_MAX))
    return emitOpError() << "has " << bytes << " bytes";
  const bool own = getUse() == Use::input || getUse() == Use::output ||
                   getUse() == Use::scratch;
  if (own != isa<ProgramOp>((*this)->getParentOp()))
    return emitOpError() << "for " << stringifyUse(getUse()) << " belongs to a "
                         << (own ? "program" : "region");
  for (auto [what, value] :
       {std::pair<StringRef, std::optional<uint64_t>>{"start", getStart()},
        {"address", getAddress()}})
    if (value && (static_cast<int64_t>(*value) < 0 ||
                  static_cast<int64_t>(*value) > int64_t(UINT32_MAX)))
      return emitOpError() << "has " << what << " "
                           << static_cast<int64_t>(*value);
  if (own && (getColumnsAttr() || getRowsAttr()))
    return emitOpError(
        "of a program is on all PEs that run it: leave 'on' out");
  return success();
}
