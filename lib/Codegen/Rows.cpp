#include "Rows.h"

#include <numeric>

using namespace waferloom;
using namespace waferloom::codegen;
using llvm::ArrayRef;
using llvm::SmallVector;
using machine::MachineModel;

SmallVector<size_t> Scalars::asItLies(const Ref &ref) const {
  SmallVector<size_t> order(sum.extents.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::pair(-std::abs(ref.strides[a]), a) <
           std::pair(-std::abs(ref.strides[b]), b);
  });
  return order;
}

SmallVector<size_t> Scalars::asItIsRead() const {
  SmallVector<size_t> order(outer);
  for (size_t loop = 0; loop < sum.extents.size(); ++loop)
    if (!llvm::is_contained(outer, loop))
      order.push_back(loop);
  return order;
}

SmallVector<size_t> Scalars::bestOrder() const {
  SmallVector<size_t> lies = asItLies(vector);
  if (!moves(vector))
    return lies;
  SmallVector<size_t> read = asItIsRead();
  return rowCycles(read) < rowCycles(lies) ? read : lies;
}

Ref Scalars::laid(const Ref &ref, ArrayRef<size_t> order) const {
  if (!moves(ref))
    return ref;
  Ref to = ref;
  to.steps.clear();
  to.indexBuffer = {};
  int64_t stride = 1;
  for (size_t loop : llvm::reverse(order)) {
    const bool isOwn = ref.strides[loop] != 0 && sum.extents[loop] != 1;
    to.strides[loop] = isOwn ? stride : 0;
    stride *= isOwn ? sum.extents[loop] : 1;
  }
  return to;
}

Scalars::Copy Scalars::copyOf(const Ref &ref, ArrayRef<size_t> order) const {
  Copy copy{{}, ref, laid(ref, order)};
  const Ref to = copy.to;
  copy.from.strides.clear();
  copy.to.strides.clear();
  for (size_t loop : asItLies(ref)) {
    copy.shape.push_back(ref.strides[loop] == 0 ? 1 : sum.extents[loop]);
    copy.from.strides.push_back(ref.strides[loop]);
    copy.to.strides.push_back(to.strides[loop]);
  }
  return copy;
}

/// The operand at a place that no loop moves.
Ref Scalars::settled(const Ref &ref, ArrayRef<size_t> order) const {
  if (!moves(ref))
    return ref;
  Copy copy = copyOf(ref, order);
  Ref to = laid(ref, order);
  to.buffer = copy.to.buffer =
      sum.emitter->temporary(ref.type, copy.shape).buffer;
  to.offset = copy.to.offset = 0;
  sum.emitter->vector(Opcode::mov, copy.shape, copy.to, copy.from);
  return to;
}

void Scalars::emitLoop() const {
  Emitter &emitter = *sum.emitter;
  if (!isSame(sum.init, sum.dst))
    emitter.vector(Opcode::mov, ownExtents(sum.extents, sum.dst), sum.dst,
                   sum.init);
  Ref dst = sum.dst, a = scalar, b = vector;
  for (size_t loop : outer) {
    unsigned depth = emitter.depth();
    for (Ref *ref : {&dst, &a, &b})
      if (int64_t bytes = ref->strides[loop] * bytesOf(ref->type))
        ref->steps.push_back({depth, bytes});
    emitter.loop(sum.extents[loop]);
  }
  dst = over(dst);
  b = over(b);
  emitter.setProduct(true);
  if (b.type != a.type) { // a row at a time
    Ref wide = emitter.temporary(a.type, inner);
    emitter.vector(Opcode::convert, inner, wide, b);
    b = wide;
  }
  emitter.vector(Opcode::fma, inner, dst, dst, b, over(a));
  emitter.setProduct(false);
  for (size_t i = 0; i < outer.size(); ++i)
    emitter.endLoop();
}

void Scalars::emitSequence(bool copies) const {
  Emitter &emitter = *sum.emitter;
  // The first fma of a window of the sum adds to its beginning.
  bool begins = !foldsInside && !isSame(sum.init, sum.dst);
  if (foldsInside && !isSame(sum.init, sum.dst))
    emitter.vector(Opcode::mov, ownExtents(sum.extents, sum.dst), sum.dst,
                   sum.init);
  emitter.setProduct(true);
  const Ref a = settled(scalar, asItLies(scalar));
  const Ref b = copies ? settled(vector, bestOrder()) : vector;
  SmallVector<int64_t> index(outer.size(), 0);
  for (int64_t time = 0; time < times; ++time) {
    int64_t rest = time;
    bool isFirst = begins;
    Ref to = sum.dst, init = sum.init, x = a, row = b;
    for (size_t k = outer.size(); k-- > 0; rest /= sum.extents[outer[k]]) {
      int64_t i = rest % sum.extents[outer[k]];
      isFirst &= i == 0 || sum.dst.strides[outer[k]] != 0;
      for (Ref *ref : {&to, &x, &row})
        *ref = at(*ref, outer[k], i);
      if (!init.immediate)
        init = at(init, outer[k], i);
    }
    to = over(to);
    if (isFirst && !init.immediate)
      init = over(init);
    emitter.vector(Opcode::fma, inner, to, isFirst ? init : to, over(row),
                   over(x));
  }
  emitter.setProduct(false);
}
