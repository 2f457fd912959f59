#include "SlotVisit.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;
using core::OperandAttr;
using core::Window;

SlotValue LiveSlots::Visit::evaluate(ArrayRef<SlotValue> sources,
                                     int64_t tokens) const {
  for (auto [stride, extent] :
       llvm::zip_equal(walks.front().strides, walks.front().extents))
    if (stride == 0 && extent != 1)
      return {};
  return codegen::evaluate(op, sources, tokens);
}

/// Whether they are the same elements, of whatever type.
static bool isSameWindow(OperandAttr a, OperandAttr b) {
  return a.getBuffer() == b.getBuffer() && a.getBase() == b.getBase() &&
         a.getDense() == b.getDense() && a.getStrides() == b.getStrides() &&
         a.getSteps() == b.getSteps() &&
         a.getType().isF16() == b.getType().isF16() && !a.getIndexScale() &&
         !b.getIndexScale();
}

bool LiveSlots::Visit::isTangled(std::optional<unsigned> dim,
                                 const Slots &written, int64_t first) const {
  const Window window = core::windowOf(dst(), op.getShape(), trips);
  for (size_t i = 1; i < operands.size(); ++i) {
    if (operands[i].getImmediate() || isSameWindow(operands[i], dst()) ||
        !window.overlaps(core::windowOf(operands[i], op.getShape(), trips)))
      continue;
    const bool isOfOthers =
        dim && written.count != 0 && facts[i].slots == written && aligned[i] &&
        aligned[i]->dim == dim &&
        aligned[i]->from >= first + walks.front().extents[*dim];
    if (!isOfOthers)
      return true;
  }
  return false;
}

/// Lets every dimension that goes over slots go over nothing else.
void LiveSlots::Visit::cut() {
  for (size_t i = 1; i < operands.size(); ++i) {
    if (!hasSlots(i))
      continue;
    while (walks.front().extents.size() < 4) {
      auto found = findCut(walks[i], facts[i].slots);
      if (!found)
        break;
      auto [dim, inner] = *found;
      for (Walk &walk : walks) {
        const int64_t stride = walk.strides[dim];
        walk.strides.insert(walk.strides.begin() + dim, stride * inner);
        walk.extents.insert(walk.extents.begin() + dim,
                            walk.extents[dim] / inner);
        walk.extents[dim + 1] = inner;
      }
    }
  }
}

Walk codegen::walkOf(OperandAttr operand, ArrayRef<int64_t> shape) {
  Walk walk{SmallVector<int64_t, 4>(shape), {}};
  walk.strides.assign(shape.size(), 0);
  const int64_t bytes = core::bytesOf(operand.getType());
  int64_t dense = bytes;
  for (size_t k = shape.size(); k-- > 0; dense *= shape[k])
    if (!operand.getImmediate())
      walk.strides[k] =
          operand.getDense() ? dense : operand.getStrides()[k] * bytes;
  return walk;
}

bool codegen::covers(OperandAttr operand, const Walk &walk) {
  if (core::moves(operand))
    return false;
  SmallVector<std::pair<int64_t, int64_t>> dims; // stride, extent
  for (auto [stride, extent] : llvm::zip_equal(walk.strides, walk.extents))
    if (extent != 1)
      dims.emplace_back(stride, extent);
  llvm::sort(dims);
  int64_t next = core::bytesOf(operand.getType());
  for (auto [stride, extent] : dims) {
    if (stride != next)
      return false;
    next *= extent;
  }
  return true;
}
