// A microthread runs beside the main program from its start to its wait. What
// it touches is locked in between: else values would depend on time.

#include "Check.h"

using namespace llvm;

namespace waferloom::image {

namespace {
/// What a microthread uses while it is in flight.
struct Flight {
  int8_t thread;
  uint32_t instruction;
  size_t depth; // of the loops around its start
};

class ThreadChecker {
public:
  ThreadChecker(const ProgramT &program, const std::vector<uint32_t> &own,
                const std::string &where)
      : program(program), own(own), where(where) {}

  Error run() {
    SmallVector<std::pair<size_t, uint32_t>, 8> loops; // end, count
    for (uint32_t index : own) {
      while (!loops.empty() && index >= loops.back().first) {
        loops.pop_back();
        counts.pop_back();
        if (Error error = checkBodyEnd(loops.size()))
          return error;
      }
      if (Error error = checkOne(index))
        return error;
      const InstructionT &instruction = *program.instructions[index];
      if (instruction.op == Opcode::loop && instruction.body != 0) {
        loops.push_back({index + 1 + instruction.body, instruction.count});
        counts.push_back(std::max(1u, instruction.count));
      }
    }
    while (!loops.empty()) {
      loops.pop_back();
      if (Error error = checkBodyEnd(loops.size()))
        return error;
    }
    return checkBodyEnd(SIZE_MAX);
  }

private:
  Error refuse(unsigned rule, uint32_t index, const Twine &what) const {
    return violation(rule, where + " instructions[" + Twine(index) + "]", what);
  }

  /// A loop's body, or the program (SIZE_MAX), must have waited for what it
  /// started.
  Error checkBodyEnd(size_t depth) {
    for (const Flight &flight : flights)
      if (depth == SIZE_MAX || flight.depth > depth)
        return refuse(22, flight.instruction,
                      "starts microthread " + Twine(int(flight.thread)) +
                          (depth == SIZE_MAX
                               ? ", which nobody waits for"
                               : ", which is not waited for in the same loop"));
    return Error::success();
  }

  Error checkOne(uint32_t index) {
    const InstructionT &instruction = *program.instructions[index];
    auto inFlight = [&](int8_t thread) {
      for (size_t i = 0; i < flights.size(); ++i)
        if (flights[i].thread == thread)
          return i;
      return SIZE_MAX;
    };
    if (instruction.op == Opcode::wait) {
      size_t at = inFlight(instruction.thread);
      if (at == SIZE_MAX)
        return refuse(22, index,
                      "waits for microthread " +
                          Twine(int(instruction.thread)) +
                          ", which is not in flight");
      if (flights[at].depth != counts.size())
        return refuse(22, index, "waits in another loop than it started in");
      flights.erase(flights.begin() + at);
      return Error::success();
    }
    if (isControl(instruction.op))
      return Error::success();
    for (const Flight &flight : flights)
      if (Error error = checkApart(index, flight))
        return error;
    if (instruction.thread < 0)
      return Error::success();
    if (inFlight(instruction.thread) != SIZE_MAX)
      return refuse(22, index,
                    "starts microthread " + Twine(int(instruction.thread)) +
                        ", which is still in flight");
    flights.push_back({instruction.thread, index, counts.size()});
    return Error::success();
  }

  /// What an instruction reads, and what it writes.
  void touched(const InstructionT &i, SmallVectorImpl<Extent> &reads,
               SmallVectorImpl<Extent> &writes) const {
    for (const OperandT *operand :
         {i.a.get(), i.b.get(), i.c.get(), i.predicate.get(), i.dst.get()}) {
      if (!operand || operand->immediate)
        continue;
      (operand == i.dst.get() ? writes : reads)
          .push_back(extentOf(*operand, i.shape, counts));
      if (operand->index_scale != 0) {
        OperandT word;
        word.base = operand->index_at;
        word.type = Type::i32;
        word.steps = operand->index_steps;
        reads.push_back(extentOf(word, {}, counts));
      }
    }
  }

  /// I23.
  Error checkApart(uint32_t index, const Flight &flight) {
    const InstructionT &mine = *program.instructions[index];
    const InstructionT &other = *program.instructions[flight.instruction];
    if ((receives(mine.op) && receives(other.op) &&
         mine.in_color == other.in_color) ||
        (sends(mine.op) && sends(other.op) &&
         mine.out_color == other.out_color))
      return refuse(23, index,
                    "uses a color that microthread " +
                        Twine(int(flight.thread)) + " is using");
    SmallVector<Extent, 8> reads, writes, otherReads, otherWrites;
    touched(mine, reads, writes);
    touched(other, otherReads, otherWrites);
    auto meet = [](ArrayRef<Extent> a, ArrayRef<Extent> b) {
      for (const Extent &x : a)
        for (const Extent &y : b)
          if (x.meets(y))
            return true;
      return false;
    };
    if (meet(writes, otherWrites) || meet(writes, otherReads) ||
        meet(reads, otherWrites))
      return refuse(23, index,
                    "touches memory that microthread " +
                        Twine(int(flight.thread)) + " is using");
    return Error::success();
  }

  const ProgramT &program;
  const std::vector<uint32_t> &own;
  const std::string &where;
  SmallVector<Flight, 4> flights;
  SmallVector<uint32_t, 8> counts;
};
} // namespace

Error checkThreads(const RegionT &, const ProgramT &program,
                   const ProgramTable &table, const std::string &where) {
  bool any = false;
  for (const auto &instruction : program.instructions)
    any |= instruction->thread >= 0 || instruction->op == Opcode::wait;
  if (!any)
    return Error::success();
  for (const std::vector<uint32_t> &own : table.programs)
    if (Error error = ThreadChecker(program, own, where).run())
      return error;
  return Error::success();
}

} // namespace waferloom::image
