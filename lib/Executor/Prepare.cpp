#include "Prepared.h"
#include "waferloom/Executor/Executor.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <map>
#include <tuple>

namespace waferloom::executor {

namespace {
/// Accounts by node, operation, product, and loop.
struct AccountIds {
  std::map<std::tuple<uint32_t, Opcode, bool, uint32_t>, uint32_t> ids;
  uint32_t loops = 0;
};

/// Decodes the instructions of an entry on a region, for all classes at once,
/// keeping track of the loops around.
class Decoder {
public:
  Decoder(const image::ImageT &image, const image::ProgramT &from,
          std::optional<uint64_t> length, RegionPrograms &result,
          std::vector<AccountKey> &accounts, AccountIds &known)
      : target(*image.target), from(from), length(length), result(result),
        accounts(accounts), known(known) {}

  void run() {
    std::vector<size_t> ends; // of the loops around
    std::vector<Around> outer;
    for (uint32_t index = 0; index < from.instructions.size(); ++index) {
      while (!ends.empty() && ends.back() == index) {
        ends.pop_back();
        around = outer.back();
        outer.pop_back();
      }
      const image::InstructionT &in = *from.instructions[index];
      if (image::isLoop(in.op) && in.body != 0) {
        outer.push_back(around);
        enter(in, ends.empty());
        ends.push_back(index + 1 + in.body);
      }
      result.instructions.push_back(instruction(in, index));
    }
  }

private:
  /// The loop that instructions are accounted to: the innermost around them
  /// over layers or tokens, else the outermost. Trips are over all loops around
  /// it.
  struct Around {
    uint32_t loop = 0, repeats = 1;
    image::LoopOver over = image::LoopOver::nothing;
  };

  void enter(const image::InstructionT &in, bool outermost) {
    // One token is no walk over tokens.
    bool single = in.over == image::LoopOver::tokens && in.count == 1;
    image::LoopOver over = single ? image::LoopOver::nothing : in.over;
    if (over == image::LoopOver::nothing && !outermost)
      return;
    bool nested = around.over != image::LoopOver::nothing;
    around = {++known.loops, in.count * (nested ? around.repeats : 1), over};
  }

  Range steps(const std::vector<image::LoopStep> &list) {
    Range range{static_cast<uint32_t>(result.steps.size()),
                static_cast<uint32_t>(list.size())};
    result.steps.insert(result.steps.end(), list.begin(), list.end());
    return range;
  }

  Operand operand(const image::OperandT *in, size_t rank) {
    Operand out;
    if (!in)
      return out;
    out.present = true;
    out.type = in->type;
    out.immediate = in->immediate;
    out.bits = in->bits;
    if (in->immediate)
      return out;
    out.base = in->base;
    for (size_t k = 0; k < in->strides.size(); ++k)
      out.strides[4 - rank + k] =
          in->strides[k] * static_cast<int32_t>(image::bytesOf(in->type));
    out.steps = steps(in->steps);
    if (in->index_scale != 0) {
      out.indexAt = in->index_at;
      out.indexScale = in->index_scale;
      out.indexCount = in->index_count;
      out.indexSteps = steps(in->index_steps);
    }
    return out;
  }

  /// Preparing an operand needs the scalar core if it moves with a loop, or is
  /// chosen by an index. A scalar that stays where it is costs no more inside a
  /// loop than outside.
  uint64_t rewriteOf(const image::InstructionT &in) const {
    const image::OperandT *operands[] = {in.dst.get(), in.a.get(), in.b.get(),
                                         in.c.get(), in.predicate.get()};
    const bool moves =
        llvm::any_of(operands, [](const image::OperandT *operand) {
          return operand && !operand->immediate &&
                 (!operand->steps.empty() || operand->index_scale != 0);
        });
    return moves ? target.rewrite_cycles : 0;
  }

  Instruction instruction(const image::InstructionT &in, uint32_t index) {
    Instruction out;
    out.op = in.op;
    out.index = index;
    out.node = in.node;
    out.count = in.count;
    out.thread = in.thread;
    out.account = account(in);
    if (image::isControl(in.op)) {
      out.rewrite = in.op == Opcode::rewrite ? target.rewrite_cycles : 0;
      return out;
    }
    size_t rank = in.shape.size();
    for (size_t k = 0; k < rank; ++k) {
      const bool isLive = length && in.live_parts != 0 && k == in.live_dim;
      const uint32_t extent = isLive ? liveExtent(in, *length) : in.shape[k];
      out.shape[4 - rank + k] = extent;
      out.elements *= extent;
    }
    if (out.elements == 0)
      return nothingOf(in, out);
    out.isLine = out.elements == out.shape[3];
    out.dst = operand(in.dst.get(), rank);
    out.a = operand(in.a.get(), rank);
    out.b = operand(in.b.get(), rank);
    out.c = operand(in.c.get(), rank);
    out.predicate = operand(in.predicate.get(), rank);
    out.isStatic = true;
    for (const Operand *o : {&out.dst, &out.a, &out.b, &out.c, &out.predicate})
      if (o->steps.count > 0 || o->indexScale != 0)
        out.isStatic = false;
    out.rewrite = rewriteOf(in);
    if (image::isStream(in.op))
      stream(in, out);
    else {
      out.kernel = kernelOf(out);
      countVector(out, target);
    }
    return out;
  }

  /// None of its slots is live: it takes its issue, and a rewrite if it moves.
  Instruction nothingOf(const image::InstructionT &in, Instruction out) const {
    out.op = Opcode::rewrite;
    out.elements = 1;
    out.rewrite = target.issue_cycles + rewriteOf(in);
    return out;
  }

  void stream(const image::InstructionT &in, Instruction &out) {
    Type type = image::sends(in.op) ? out.a.type : out.dst.type;
    out.packed = elementsPerWord(image::formatOf(type)) == 2;
    out.words = wordsOf(image::formatOf(type), out.elements);
    out.inColor = in.in_color;
    out.outColor = in.out_color;
    if (in.op == Opcode::recv_fold || in.op == Opcode::recv_fold_send)
      out.fold = foldOf(in.fold, type);
    out.foldOp = in.fold;
  }

  uint32_t account(const image::InstructionT &in) {
    auto [it, fresh] =
        known.ids.try_emplace({in.node, in.op, in.product, around.loop},
                              static_cast<uint32_t>(accounts.size()));
    if (fresh)
      accounts.push_back({in.node, in.op, in.product, around.loop,
                          around.repeats, around.over});
    return it->second;
  }

  const image::TargetT &target;
  const image::ProgramT &from;
  const std::optional<uint64_t> length;
  RegionPrograms &result;
  std::vector<AccountKey> &accounts;
  AccountIds &known;
  Around around;
};
} // namespace

/// Strings the instructions that a class has together: where its loops end,
/// what it sends and takes.
static Program assemble(const image::ProgramT &from,
                        const RegionPrograms &region, std::vector<uint32_t> own,
                        unsigned colors) {
  // Nothing after an `end`, which is in no loop, is ever reached.
  auto isEnd = [&](uint32_t i) {
    return region.instructions[i].op == Opcode::end;
  };
  own.erase(std::find_if(own.begin(), own.end(), isEnd), own.end());
  Program program;
  program.sent.assign(colors, 0);
  program.received.assign(colors, 0);
  program.ends.assign(own.size(), 0);
  struct Around {
    size_t position; // of the loop
    size_t end;      // image index after its body
    uint64_t times;
  };
  std::vector<Around> loops;
  auto closeUntil = [&](size_t index, size_t position) {
    while (!loops.empty() && loops.back().end <= index) {
      program.ends[loops.back().position] = static_cast<uint32_t>(position);
      loops.pop_back();
    }
  };
  for (size_t position = 0; position < own.size(); ++position) {
    closeUntil(own[position], position);
    const Instruction &instruction = region.instructions[own[position]];
    uint64_t times = loops.empty() ? 1 : loops.back().times;
    if (instruction.thread >= 0)
      program.threads =
          std::max(program.threads, unsigned(instruction.thread) + 1);
    if (image::isLoop(instruction.op))
      loops.push_back(
          {position,
           own[position] + size_t(1) + from.instructions[own[position]]->body,
           times * instruction.count});
    program.effort.add(
        {image::isControl(instruction.op) ? 1 : instruction.elements,
         1 + instruction.words},
        times);
    if (image::sends(instruction.op))
      program.sent[instruction.outColor] += instruction.words * times;
    if (image::receives(instruction.op))
      program.received[instruction.inColor] += instruction.words * times;
  }
  closeUntil(SIZE_MAX, own.size());
  program.order = std::move(own);
  return program;
}

/// Live slots of each PE.
static uint64_t slotsOf(uint64_t length, uint32_t parts) {
  return std::max<uint64_t>(2, llvm::divideCeil(length, parts));
}

uint32_t liveExtent(const image::InstructionT &instruction, uint64_t length) {
  const uint64_t slots = slotsOf(length, instruction.live_parts);
  if (slots <= instruction.live_from)
    return 0;
  return static_cast<uint32_t>(std::min<uint64_t>(
      instruction.shape[instruction.live_dim], slots - instruction.live_from));
}

std::vector<uint64_t> liveLengths(const image::ImageT &image, size_t entry,
                                  uint64_t length) {
  std::map<uint32_t, uint64_t> most; // slots that matter, by parts
  for (const auto &region : image.regions)
    for (const auto &in : region->programs[entry]->instructions)
      if (in->live_parts != 0) {
        uint64_t &end = most[in->live_parts];
        end = std::max(end, in->live_from + uint64_t(in->shape[in->live_dim]));
      }
  std::vector<uint64_t> lengths;
  for (auto [parts, end] : most)
    lengths.push_back(std::min(end, slotsOf(length, parts)));
  return lengths;
}

bool hasLiveLengths(const image::ImageT &image, size_t entry) {
  return !liveLengths(image, entry, 1).empty();
}

PreparedEntry prepare(const image::ImageT &image, size_t entry,
                      std::optional<uint64_t> length) {
  PreparedEntry prepared;
  AccountIds known;
  for (const auto &region : image.regions) {
    const image::ProgramT &from = *region->programs[entry];
    image::Classes classes = image::classesOf(*region);
    const image::ClassPairs pairs = image::instructionPairs(*region, classes);
    image::ProgramTable table = image::tabulate(*region, pairs, from);
    RegionPrograms out;
    Decoder(image, from, length, out, prepared.accounts, known).run();
    for (std::vector<uint32_t> &own : table.programs)
      out.programs.push_back(
          assemble(from, out, std::move(own), image.target->colors));
    out.ofPe.reserve(size_t(region->width) * region->height);
    for (uint32_t row : classes.rows)
      for (uint32_t column : classes.columns)
        out.ofPe.push_back(table.ofPair[pairs.of(column, row)]);
    for (uint32_t program : out.ofPe)
      prepared.effort.add(out.programs[program].effort, 1);
    prepared.regions.push_back(std::move(out));
  }
  return prepared;
}

} // namespace waferloom::executor
