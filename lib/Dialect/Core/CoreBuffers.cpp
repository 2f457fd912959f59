// What instructions do with buffers: they name one that is there, and stay
// inside.

#include "waferloom/Dialect/Core/Accesses.h"
#include "waferloom/Dialect/Core/Shards.h"
#include "waferloom/Format/Packing.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::core;

static LogicalResult verifyInside(Operation *op, const Buffers &buffers,
                                  Window window) {
  if (!window.buffer)
    return success();
  BufferOp buffer = buffers.lookup(window.buffer);
  if (!buffer)
    return op->emitOpError() << "names " << window.buffer
                             << ", which is no buffer of its program";
  const auto bytes = static_cast<int64_t>(buffer.getBytes());
  if (window.low >= 0 && window.high <= bytes)
    return success();
  return op->emitOpError() << "touches bytes " << window.low << " to "
                           << window.high << " of " << window.buffer
                           << ", which has " << bytes;
}

static LogicalResult verifyInstruction(Operation *op, const Buffers &buffers,
                                       const Trips &trips) {
  if (llvm::is_contained(trips, 0))
    return success(); // never runs
  bool fine = true;
  forEachOperand(op, [&](OperandAttr operand) {
    if (!fine || operand.getImmediate())
      return;
    fine = succeeded(
        verifyInside(op, buffers, windowOf(operand, shapeOf(op), trips)));
    if (fine && operand.getIndexScale())
      fine =
          succeeded(verifyInside(op, buffers, indexWindowOf(operand, trips)));
  });
  return success(fine);
}

int64_t waferloom::core::getShardBytes(BindOp bind) {
  int64_t elements = 1;
  for (auto dim : bind.getDims().getAsRange<DimAttr>())
    for (DigitAttr digit : dim.getDigits())
      if (digit.getAxis() == Axis::none)
        elements *= digit.getExtent();
  if (PackingAttr packing = bind.getPackingAttr()) {
    if (packing.getPart() == PackedPart::codes)
      elements =
          packedWords(elements, static_cast<int64_t>(packing.getFormat().bits));
    else
      for (int64_t group : packing.getGroups())
        elements /= group;
  }
  return elements * bytesOf(bind.getType());
}

static LogicalResult verifyBind(BindOp bind, const Buffers &buffers) {
  if (!bind.getBufferAttr())
    return success();
  const auto begin = static_cast<int64_t>(bind.getAddress());
  return verifyInside(
      bind, buffers,
      {bind.getBufferAttr(), begin, begin + getShardBytes(bind)});
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
