#include "CopyRuns.h"

#include "InstructionCost.h"
#include "Orders.h"

using namespace mlir;
using namespace waferloom;

bool codegen::continues(Operation *first, Operation *next) {
  auto a = dyn_cast_or_null<core::VectorOp>(first);
  auto b = dyn_cast<core::VectorOp>(next);
  if (!a || !b || a.getOp() != core::Opcode::mov || b.getOp() != a.getOp() ||
      a.getShape().size() != 1 || b.getShape().size() != 1 ||
      a->getDiscardableAttrDictionary() != b->getDiscardableAttrDictionary() ||
      a.getColumnsAttr() != b.getColumnsAttr() ||
      a.getRowsAttr() != b.getRowsAttr() || a.getPredicateAttr() ||
      b.getPredicateAttr() || a.getProduct() != b.getProduct())
    return false;
  auto follows = [&](core::OperandAttr from, core::OperandAttr to) {
    const int64_t size = image::bytesOf(codegen::wordOf(from.getType()));
    return from.getDense() && to.getDense() && !from.getImmediate() &&
           !to.getImmediate() && from.getType() == to.getType() &&
           from.getBuffer() == to.getBuffer() &&
           from.getSteps() == to.getSteps() && !from.getIndexScale() &&
           !to.getIndexScale() &&
           from.getBase() + a.getShape().front() * size == to.getBase();
  };
  return follows(a.getDst(), b.getDst()) &&
         follows(cast<core::OperandAttr>(a.getSources()[0]),
                 cast<core::OperandAttr>(b.getSources()[0]));
}

void codegen::join(Operation *first, Operation *next) {
  auto copy = cast<core::VectorOp>(first);
  copy.setShape(codegen::elementsOf(copy) +
                codegen::elementsOf(cast<core::VectorOp>(next)));
  next->erase();
}
