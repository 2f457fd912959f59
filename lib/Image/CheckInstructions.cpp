#include "Check.h"
#include "llvm/ADT/STLExtras.h"
#include <utility>

using namespace llvm;

namespace waferloom::image {

static bool isUnary(Opcode op) {
  return op == Opcode::mov || op == Opcode::neg || op == Opcode::abs ||
         op == Opcode::convert;
}

static bool isTernary(Opcode op) {
  return op == Opcode::fma || op == Opcode::select;
}

static bool isComparison(Opcode op) {
  return op == Opcode::eq || op == Opcode::lt || op == Opcode::le;
}

/// Whether all PEs have it.
static bool isEverywhere(const InstructionT &instruction) {
  return instruction.columns == 0 && instruction.rows == 0;
}

static bool isBitwise(Opcode op) {
  return op >= Opcode::bit_and && op <= Opcode::sar;
}

Extent extentOf(const OperandT &operand, ArrayRef<uint32_t> shape,
                ArrayRef<uint32_t> counts) {
  int64_t low = operand.base, high = operand.base;
  auto extend = [&](int64_t distance) {
    (distance < 0 ? low : high) += distance;
  };
  int64_t bytes = bytesOf(operand.type);
  for (size_t k = 0; k < operand.strides.size(); ++k)
    extend(int64_t(shape[k] - 1) * operand.strides[k] * bytes);
  for (const LoopStep &step : operand.steps)
    extend(int64_t(counts[step.depth()]) * step.bytes() - step.bytes());
  if (operand.index_scale != 0)
    extend(int64_t(operand.index_count - 1) * operand.index_scale);
  return {low, high + bytes};
}

namespace {
/// Walks one program with the loops around each instruction.
class InstructionChecker {
public:
  InstructionChecker(const ImageT &image, const RegionT &region,
                     const ProgramT &program, const std::string &where)
      : image(image), target(*image.target), region(region), program(program),
        where(where) {}

  Error run() {
    live = static_cast<uint64_t>(
        llvm::count_if(program.instructions, [](const auto &instruction) {
          return instruction->live_parts != 0;
        }));
    for (index = 0; index < program.instructions.size(); ++index) {
      while (!ends.empty() && ends.back() == index) {
        ends.pop_back();
        counts.pop_back();
        times.pop_back();
        if (ends.empty())
          rewritten += std::exchange(inLoop, 0);
      }
      if (Error error = checkOne(*program.instructions[index]))
        return error;
    }
    return Error::success();
  }

private:
  Error refuse(unsigned rule, const Twine &what) const {
    const InstructionT &instruction = *program.instructions[index];
    std::string at = where + " instructions[" + std::to_string(index) + "]";
    if (instruction.op <= Opcode::MAX)
      at += std::string(" (") + EnumNameOpcode(instruction.op) + ")";
    return violation(rule, at, what);
  }

  /// Whether `count` places that far apart cannot all be in memory. Asked
  /// first, so that sums of distances stay small.
  bool reachesBeyond(uint32_t count, int32_t distance) const {
    return count > 1 &&
           int64_t(count - 1) * std::abs(int64_t(distance)) > region.memory;
  }

  Error checkOne(const InstructionT &instruction);
  Error checkLoop(const InstructionT &instruction);
  Error checkShape(const InstructionT &instruction);
  Error checkOperands(const InstructionT &instruction);
  Error checkOperand(const InstructionT &instruction, const OperandT *operand,
                     StringRef name, bool wanted);
  Error checkSteps(const OperandT &operand, StringRef name);
  Error checkIndex(const OperandT &operand, StringRef name);
  Error checkTypes(const InstructionT &instruction);
  Error checkStream(const InstructionT &instruction);
  Error checkLive(const InstructionT &instruction);

  const ImageT &image;
  const TargetT &target;
  const RegionT &region;
  const ProgramT &program;
  const std::string &where;
  size_t index = 0;
  SmallVector<size_t, 8> ends;     // of the loops around
  SmallVector<uint32_t, 8> counts; // their iterations
  SmallVector<uint64_t, 8> times;  // how often a body runs in all
  uint64_t live = 0;               // instructions that end with the live slots
  uint64_t rewritten = 0; // descriptors, by all PEs, up to the outermost loop
  uint64_t inLoop = 0;    // and in that
  bool isForAll = false;  // all PEs run it
};
} // namespace

Error InstructionChecker::checkOne(const InstructionT &instruction) {
  if (instruction.op > Opcode::MAX || instruction.fold > Opcode::MAX)
    return refuse(7, "unknown operation");
  if (instruction.over > LoopOver::MAX)
    return refuse(7, "is over something unknown");
  if (instruction.node >= image.names.size())
    return refuse(5, formatv("names node {0} of {1}", instruction.node,
                             image.names.size())
                         .str());
  if (instruction.op == Opcode::loop)
    return checkLoop(instruction);
  if (isControl(instruction.op)) {
    if (instruction.dst || instruction.a || instruction.b || instruction.c ||
        instruction.predicate)
      return refuse(14, "has an operand, but takes none");
    if (instruction.op == Opcode::end && !ends.empty())
      return refuse(12, "stands inside a loop");
    if (instruction.op == Opcode::rewrite && isEverywhere(instruction)) {
      if (ends.empty())
        ++rewritten;
      else if (ends.size() == 1 && isForAll)
        inLoop += times.back();
    }
    return checkLive(instruction);
  }
  if (Error error = checkShape(instruction))
    return error;
  if (Error error = checkOperands(instruction))
    return error;
  if (Error error = checkTypes(instruction))
    return error;
  if (Error error = checkLive(instruction))
    return error;
  return checkStream(instruction);
}

/// I12.
Error InstructionChecker::checkLoop(const InstructionT &instruction) {
  size_t limit = ends.empty() ? program.instructions.size() : ends.back();
  if (instruction.body > limit - index - 1)
    return refuse(12,
                  formatv("repeats {0} instructions but {1} follow where it "
                          "stands",
                          instruction.body, limit - index - 1)
                      .str());
  if (ends.size() == 8)
    return refuse(12, "is nested more than 8 deep");
  if (instruction.thread >= 0)
    return refuse(12, "runs as a microthread");
  uint64_t total =
      (times.empty() ? 1 : times.back()) * std::max(1u, instruction.count);
  if (total > uint64_t(1) << 31)
    return refuse(12, "runs its body more than 2^31 times in all");
  if (instruction.body == 0)
    return Error::success();
  ends.push_back(index + 1 + instruction.body);
  if (ends.size() == 1)
    isForAll = isEverywhere(instruction) && instruction.count != 0;
  counts.push_back(std::max(1u, instruction.count));
  times.push_back(total);
  return Error::success();
}

/// I13.
Error InstructionChecker::checkShape(const InstructionT &instruction) {
  if (instruction.shape.size() > 4)
    return refuse(
        13, formatv("has {0} dimensions of at most 4", instruction.shape.size())
                .str());
  uint64_t elements = 1;
  for (uint32_t extent : instruction.shape) {
    if (extent == 0)
      return refuse(13, "has a dimension without elements");
    elements *= extent;
    if (elements > uint64_t(1) << 31)
      return refuse(13, "has more than 2^31 elements");
  }
  return Error::success();
}

/// I14 to I18.
Error InstructionChecker::checkOperands(const InstructionT &i) {
  bool stream = isStream(i.op);
  bool wantsDst = !sends(i.op);
  bool wantsA = !stream || sends(i.op);
  bool wantsB = !stream && !isUnary(i.op);
  bool wantsC = !stream && isTernary(i.op);
  if (Error error = checkOperand(i, i.dst.get(), "dst", wantsDst))
    return error;
  if (Error error = checkOperand(i, i.a.get(), "a", wantsA))
    return error;
  if (Error error = checkOperand(i, i.b.get(), "b", wantsB))
    return error;
  if (Error error = checkOperand(i, i.c.get(), "c", wantsC))
    return error;
  if (i.predicate) {
    if (sends(i.op))
      return refuse(14, "has a predicate, but what is sent cannot depend on "
                        "values");
    if (Error error = checkOperand(i, i.predicate.get(), "predicate", true))
      return error;
  }
  if (i.dst && i.dst->immediate)
    return refuse(14, "dst is an immediate");
  return Error::success();
}

Error InstructionChecker::checkOperand(const InstructionT &instruction,
                                       const OperandT *operand, StringRef name,
                                       bool wanted) {
  if (!operand != !wanted)
    return refuse(14, name + (wanted ? " is missing" : " is not taken"));
  if (!operand)
    return Error::success();
  if (operand->type > Type::MAX)
    return refuse(7, name + " has an unknown type");
  if (operand->immediate)
    return Error::success();
  if (!operand->strides.empty() &&
      operand->strides.size() != instruction.shape.size())
    return refuse(15, formatv("{0} has {1} strides for {2} dimensions", name,
                              operand->strides.size(), instruction.shape.size())
                          .str());
  int64_t memory = region.memory;
  for (size_t k = 0; k < operand->strides.size(); ++k)
    if (reachesBeyond(instruction.shape[k], operand->strides[k]))
      return refuse(18, formatv("{0} has {1} elements {2} apart in a memory of "
                                "{3} bytes",
                                name, instruction.shape[k], operand->strides[k],
                                memory)
                            .str());
  if (Error error = checkSteps(*operand, name))
    return error;
  if (Error error = checkIndex(*operand, name))
    return error;
  if (operand->base % bytesOf(operand->type) != 0)
    return refuse(16, formatv("{0} is at {1}, not a multiple of its element's "
                              "{2} bytes",
                              name, operand->base, bytesOf(operand->type))
                          .str());
  Extent extent = extentOf(*operand, instruction.shape, counts);
  if (extent.begin < 0 || extent.end > memory)
    return refuse(18, formatv("{0} reaches from {1} to {2} in a memory of {3} "
                              "bytes",
                              name, extent.begin, extent.end, memory)
                          .str());
  return Error::success();
}

/// I17: steps are those of loops around, in whole elements, and small enough
/// to be summed.
Error InstructionChecker::checkSteps(const OperandT &operand, StringRef name) {
  auto checkList = [&](const std::vector<LoopStep> &steps,
                       int64_t bytes) -> Error {
    if (steps.size() > 8)
      return refuse(17, name + " moves with more than 8 loops");
    for (const LoopStep &step : steps) {
      if (step.depth() >= counts.size())
        return refuse(17, formatv("{0} moves with loop {1} but there are {2} "
                                  "around it",
                                  name, step.depth(), counts.size())
                              .str());
      if (step.bytes() % bytes != 0)
        return refuse(16, formatv("{0} moves by {1} bytes, not by whole "
                                  "elements",
                                  name, step.bytes())
                              .str());
      if (reachesBeyond(counts[step.depth()], step.bytes()))
        return refuse(
            18, formatv("{0} moves {1} times by {2} bytes in a memory "
                        "of {3}",
                        name, counts[step.depth()], step.bytes(), region.memory)
                    .str());
    }
    return Error::success();
  };
  if (Error error = checkList(operand.steps, bytesOf(operand.type)))
    return error;
  return checkList(operand.index_steps, 4);
}

/// I19.
Error InstructionChecker::checkIndex(const OperandT &operand, StringRef name) {
  if (operand.index_scale == 0)
    return Error::success();
  if (operand.index_count == 0)
    return refuse(19, name + " has an index with no value to take");
  if (operand.index_scale % int64_t(bytesOf(operand.type)) != 0 ||
      operand.index_at % 4 != 0)
    return refuse(16, name + " has an index that is not aligned");
  if (reachesBeyond(operand.index_count, operand.index_scale))
    return refuse(18, formatv("{0} chooses among {1} places {2} bytes apart in "
                              "a memory of {3}",
                              name, operand.index_count, operand.index_scale,
                              region.memory)
                          .str());
  OperandT word;
  word.base = operand.index_at;
  word.type = Type::i32;
  word.steps = operand.index_steps;
  Extent extent = extentOf(word, {}, counts);
  if (extent.begin < 0 || extent.end > region.memory)
    return refuse(19, formatv("{0} has its index at {1} to {2} in a memory of "
                              "{3} bytes",
                              name, extent.begin, extent.end, region.memory)
                          .str());
  return Error::success();
}

/// I20.
Error InstructionChecker::checkTypes(const InstructionT &i) {
  auto mixed = [&] {
    return refuse(20, "the operands' types do not go with the operation");
  };
  if (i.predicate && i.predicate->type != Type::i32)
    return refuse(20, "the predicate is not of type i32");
  if (isStream(i.op) || i.op == Opcode::convert)
    return Error::success();
  if (isComparison(i.op))
    return i.dst->type == Type::i32 && i.a->type == i.b->type ? Error::success()
                                                              : mixed();
  if (i.op == Opcode::select)
    return i.a->type == Type::i32 && i.b->type == i.dst->type &&
                   i.c->type == i.dst->type
               ? Error::success()
               : mixed();
  if (isBitwise(i.op))
    return bytesOf(i.a->type) == bytesOf(i.dst->type) &&
                   bytesOf(i.b->type) == bytesOf(i.dst->type)
               ? Error::success()
               : mixed();
  if (i.op == Opcode::fma) {
    for (int32_t stride : i.c->strides)
      if (stride != 0)
        return refuse(20, "c is not a scalar");
    bool widens = i.dst->type == Type::f32 && i.b->type == Type::f16;
    return i.a->type == i.dst->type && i.c->type == i.b->type &&
                   (widens || i.b->type == i.dst->type)
               ? Error::success()
               : mixed();
  }
  if ((i.op == Opcode::floor_div || i.op == Opcode::floor_mod) &&
      i.dst->type != Type::i32)
    return mixed();
  if (i.a->type != i.dst->type || (i.b && i.b->type != i.dst->type))
    return mixed();
  return Error::success();
}

/// I21.
Error InstructionChecker::checkStream(const InstructionT &i) {
  if (receives(i.op) &&
      (i.in_color >= target.colors || i.in_queue >= target.input_queues))
    return refuse(21,
                  formatv("takes color {0} in queue {1}; the target has {2} "
                          "colors and {3} input queues",
                          unsigned(i.in_color), unsigned(i.in_queue),
                          target.colors, target.input_queues)
                      .str());
  if (sends(i.op) &&
      (i.out_color >= target.colors || i.out_queue >= target.output_queues))
    return refuse(21, formatv("puts color {0} in queue {1}; the target has {2} "
                              "colors and {3} output queues",
                              unsigned(i.out_color), unsigned(i.out_queue),
                              target.colors, target.output_queues)
                          .str());
  bool folds = i.op == Opcode::recv_fold || i.op == Opcode::recv_fold_send;
  if (folds && i.fold != Opcode::add && i.fold != Opcode::max &&
      i.fold != Opcode::min)
    return refuse(21, "folds with something other than add, max or min");
  if (i.thread >= 0 && unsigned(i.thread) >= target.microthreads)
    return refuse(22, formatv("runs as microthread {0}; the target has {1}",
                              int(i.thread), target.microthreads)
                          .str());
  return Error::success();
}

/// I38.
Error InstructionChecker::checkLive(const InstructionT &i) {
  if (i.live_parts == 0)
    return Error::success();
  if (isControl(i.op) || isStream(i.op) || i.thread >= 0)
    return refuse(38, "ends with the live slots of a cache, but is no vector "
                      "instruction of the program itself");
  if (i.live_dim >= i.shape.size())
    return refuse(38, formatv("dimension {0} of {1} ends with the live slots "
                              "of a cache",
                              unsigned(i.live_dim), i.shape.size())
                          .str());
  if (image.capacity == 0)
    return refuse(38, "ends with the live slots of a cache, and there is none");
  if (rewritten < live)
    return refuse(38, formatv("{0} instructions end with the live slots of a "
                              "cache, but all PEs rewrite {1} descriptors "
                              "before the first",
                              live, rewritten)
                          .str());
  return Error::success();
}

Error checkInstructions(const ImageT &image, const RegionT &region,
                        const ProgramT &program, const std::string &where) {
  return InstructionChecker(image, region, program, where).run();
}

} // namespace waferloom::image
