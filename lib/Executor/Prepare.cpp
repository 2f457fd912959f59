#include "Prepared.h"
#include <algorithm>
#include <map>

namespace waferloom::executor {

namespace {
/// Decodes the instructions of one class, keeping track of the loops around.
class Decoder {
public:
  Decoder(const image::ImageT &image, const image::ProgramT &from,
          const std::vector<uint32_t> &own, std::vector<AccountKey> &accounts,
          std::map<std::pair<uint32_t, Opcode>, uint32_t> &known)
      : target(*image.target), from(from), own(own), accounts(accounts),
        known(known) {
    result.sent.assign(256, 0);
    result.received.assign(256, 0);
  }

  Program run() {
    decode(0, own.size(), static_cast<uint32_t>(from.instructions.size()), 1);
    return std::move(result);
  }

private:
  /// Decodes own[first..] whose image index is below `limit`; each runs `times`
  /// times. Returns how many there were.
  size_t decode(size_t first, size_t last, uint32_t limit, uint64_t times) {
    size_t at = first;
    while (at < last && own[at] < limit) {
      const image::InstructionT &in = *from.instructions[own[at]];
      size_t place = result.instructions.size();
      result.instructions.push_back(instruction(in, own[at], times));
      ++at;
      if (!image::isLoop(in.op))
        continue;
      ++depth;
      at += decode(at, last, own[at - 1] + 1 + in.body, times * in.count);
      --depth;
      result.instructions[place].end =
          static_cast<uint32_t>(result.instructions.size());
    }
    return at - first;
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

  /// Whether preparing the operand needs the scalar core: it moves with a loop,
  /// is chosen by an index, or is a scalar that is loaded inside a loop.
  bool needsRewrite(const Operand &operand, bool isSource) const {
    if (!operand.present || operand.immediate)
      return false;
    if (operand.steps.count > 0 || operand.indexScale != 0)
      return true;
    return isSource && depth > 0 && operand.strides[0] == 0 &&
           operand.strides[1] == 0 && operand.strides[2] == 0 &&
           operand.strides[3] == 0;
  }

  Instruction instruction(const image::InstructionT &in, uint32_t index,
                          uint64_t times) {
    Instruction out;
    out.op = in.op;
    out.index = index;
    out.node = in.node;
    out.count = in.count;
    out.thread = in.thread;
    out.account = account(in.node, in.op);
    if (in.thread >= 0)
      result.threads = std::max(result.threads, unsigned(in.thread) + 1);
    if (image::isControl(in.op)) {
      out.rewrite = in.op == Opcode::rewrite ? target.rewrite_cycles : 0;
      return out;
    }
    size_t rank = in.shape.size();
    for (size_t k = 0; k < rank; ++k) {
      out.shape[4 - rank + k] = in.shape[k];
      out.elements *= in.shape[k];
    }
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
    if (needsRewrite(out.dst, false) || needsRewrite(out.a, true) ||
        needsRewrite(out.b, true) || needsRewrite(out.c, true) ||
        needsRewrite(out.predicate, true))
      out.rewrite = target.rewrite_cycles;
    if (image::isStream(in.op))
      stream(in, out, times);
    else {
      out.kernel = kernelOf(out);
      out.work = vectorCycles(out, target);
    }
    return out;
  }

  void stream(const image::InstructionT &in, Instruction &out, uint64_t times) {
    Type type = image::sends(in.op) ? out.a.type : out.dst.type;
    out.packed = type == Type::f16;
    out.words = out.packed ? (out.elements + 1) / 2 : out.elements;
    out.inColor = in.in_color;
    out.outColor = in.out_color;
    if (in.op == Opcode::recv_fold || in.op == Opcode::recv_fold_send)
      out.fold = foldOf(in.fold, type);
    if (image::sends(in.op))
      result.sent[in.out_color] += out.words * times;
    if (image::receives(in.op))
      result.received[in.in_color] += out.words * times;
  }

  uint32_t account(uint32_t node, Opcode op) {
    auto [it, fresh] =
        known.try_emplace({node, op}, static_cast<uint32_t>(accounts.size()));
    if (fresh)
      accounts.push_back({node, op});
    return it->second;
  }

  const image::TargetT &target;
  const image::ProgramT &from;
  const std::vector<uint32_t> &own;
  std::vector<AccountKey> &accounts;
  std::map<std::pair<uint32_t, Opcode>, uint32_t> &known;
  Program result;
  unsigned depth = 0;
};
} // namespace

PreparedEntry prepare(const image::ImageT &image, size_t entry) {
  PreparedEntry prepared;
  std::map<std::pair<uint32_t, Opcode>, uint32_t> known;
  for (const auto &region : image.regions) {
    const image::ProgramT &from = *region->programs[entry];
    image::Classes classes = image::classesOf(*region);
    image::ProgramTable table = image::tabulate(*region, classes, from);
    RegionPrograms out;
    for (const std::vector<uint32_t> &own : table.programs)
      out.programs.push_back(
          Decoder(image, from, own, prepared.accounts, known).run());
    out.ofPe.reserve(size_t(region->width) * region->height);
    for (uint32_t row : classes.rows)
      for (uint32_t column : classes.columns)
        out.ofPe.push_back(table.ofClasses.at({column, row}));
    prepared.regions.push_back(std::move(out));
  }
  return prepared;
}

} // namespace waferloom::executor
