#include "Meetings.h"

#include "InstructionCost.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;
using core::OperandAttr;

SmallVector<int64_t> codegen::stridesOf(OperandAttr operand,
                                        ArrayRef<int64_t> shape) {
  if (operand.getImmediate() || !operand.getDense())
    return SmallVector<int64_t>(operand.getStrides());
  SmallVector<int64_t> strides(shape.size());
  int64_t elements = 1;
  for (size_t k = shape.size(); k-- > 0; elements *= shape[k])
    strides[k] = elements;
  return strides;
}

SmallVector<Meeting, 2>
codegen::meetingsOf(core::Opcode op, ArrayRef<int64_t> shape,
                    ArrayRef<OperandAttr> operands,
                    const machine::MachineModel &model) {
  SmallVector<Meeting, 2> meetings;
  if (shape.empty())
    return meetings;
  auto stepOf = [&](OperandAttr operand) {
    return operand.getImmediate() || !operand.getBuffer()
               ? 0
               : stridesOf(operand, shape).back() *
                     image::bytesOf(wordOf(operand.getType()));
  };
  const int64_t rate = rateOf(op, shape, operands, model);
  for (size_t i = 1; i < operands.size(); ++i)
    for (size_t k = 1; k < i; ++k)
      if (int64_t step = stepOf(operands[i]);
          step && step == stepOf(operands[k]))
        meetings.push_back(
            {operands[k], operands[i],
             model.getBytesPerCycle(wordOf(operands[k].getType()), rate),
             llvm::product_of(shape), rate, 1});
  return meetings;
}

void codegen::findMeetings(Block &block, int64_t times,
                           const machine::MachineModel &model,
                           SmallVectorImpl<Meeting> &meetings) {
  for (Operation &op : block) {
    if (auto loop = dyn_cast<core::LoopOp>(op)) {
      const auto count = static_cast<int64_t>(loop.getCount());
      findMeetings(loop.getBody().front(),
                   times *
                       (loop.getPerEntry() ? 1 : std::max<int64_t>(count, 1)),
                   model, meetings);
    } else if (auto vector = dyn_cast<core::VectorOp>(op)) {
      for (Meeting meeting : meetingsOf(vector.getOp(), vector.getShape(),
                                        operandsOf(vector), model)) {
        meeting.times = times;
        meetings.push_back(meeting);
      }
    }
  }
}
