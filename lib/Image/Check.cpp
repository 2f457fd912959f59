// The checker: trusts nothing, and says of the first thing that is wrong which
// rule it breaks and where. What passes can be run without further checks,
// apart from the streams of each entry, which are traced when a session begins.

#include "Check.h"
#include <cmath>

using namespace llvm;

namespace waferloom::image {

Error violation(unsigned rule, const Twine &where, const Twine &what) {
  return createStringError("I" + Twine(rule) + ": " + where + ": " + what);
}

static Error outside(unsigned rule, const Twine &where, StringRef name,
                     uint64_t value, uint64_t least, uint64_t most) {
  return violation(
      rule, where,
      formatv("{0} is {1}; it must be in [{2}, {3}]", name, value, least, most)
          .str());
}

/// I1: the version is known. I2: the target's figures are usable.
static Error checkTarget(const ImageT &image) {
  if (image.version != 2)
    return violation(
        1, "image",
        formatv("version is {0}; this program reads version 2", image.version)
            .str());
  if (!image.target)
    return violation(2, "image", "has no target");
  const TargetT &t = *image.target;
  struct Bound {
    const char *name;
    uint64_t value, least, most;
  };
  constexpr uint64_t cycles = 10'000, rate = 1024;
  const Bound bounds[] = {
      {"width", t.width, 1, 65535},
      {"height", t.height, 1, 65535},
      {"sram_bytes", t.sram_bytes, 1, 1u << 30},
      {"reserved_bytes", t.reserved_bytes, 0, 1u << 30},
      {"instruction_bytes", t.instruction_bytes, 0, 65535},
      {"banks", t.banks, 1, 1024},
      {"bank_bytes", t.bank_bytes, 1, 1 << 20},
      {"hop_cycles", t.hop_cycles, 0, cycles},
      {"ramp_cycles", t.ramp_cycles, 0, cycles},
      {"issue_cycles", t.issue_cycles, 0, cycles},
      {"rewrite_cycles", t.rewrite_cycles, 0, cycles},
      {"forward_cycles", t.forward_cycles, 0, cycles},
      {"launch_cycles", t.launch_cycles, 0, cycles},
      {"integer_divide_cycles", t.integer_divide_cycles, 0, cycles},
      {"words_per_burst", t.words_per_burst, 0, UINT32_MAX},
      {"colors", t.colors, 1, 256},
      {"input_queues", t.input_queues, 1, 256},
      {"output_queues", t.output_queues, 1, 256},
      {"input_queue_words", t.input_queue_words, 1, 65535},
      {"output_queue_words", t.output_queue_words, 1, 65535},
      {"microthreads", t.microthreads, 0, 127},
      {"rate_fma_f32", t.rate_fma_f32, 1, rate},
      {"rate_fma_f16", t.rate_fma_f16, 1, rate},
      {"rate_fma_mixed", t.rate_fma_mixed, 1, rate},
      {"rate_mul_f32", t.rate_mul_f32, 1, rate},
      {"rate_mul_f16", t.rate_mul_f16, 1, rate},
      {"rate_add_f32", t.rate_add_f32, 1, rate},
      {"rate_add_f16", t.rate_add_f16, 1, rate},
      {"rate_max_f32", t.rate_max_f32, 1, rate},
      {"rate_max_f16", t.rate_max_f16, 1, rate},
      {"rate_mov_32", t.rate_mov_32, 1, rate},
      {"rate_mov_16", t.rate_mov_16, 1, rate},
      {"rate_convert", t.rate_convert, 1, rate},
      {"rate_integer", t.rate_integer, 1, rate}};
  for (const Bound &bound : bounds)
    if (bound.value < bound.least || bound.value > bound.most)
      return outside(2, "target", bound.name, bound.value, bound.least,
                     bound.most);
  if (!std::isfinite(t.clock_ghz) || t.clock_ghz <= 0)
    return violation(2, "target", "clock_ghz is not above 0");
  return Error::success();
}

template <typename T>
static bool hasNull(const std::vector<std::unique_ptr<T>> &list) {
  for (const auto &item : list)
    if (!item)
      return true;
  return false;
}

static bool hasNull(const std::vector<std::unique_ptr<BindingT>> &bindings) {
  for (const auto &binding : bindings)
    if (!binding || hasNull(binding->dims))
      return true;
  return false;
}

/// I3: no table of a list is missing (files cannot, objects in memory can).
static Error checkPresence(const ImageT &image) {
  bool missing = hasNull(image.sources) || hasNull(image.entries) ||
                 hasNull(image.regions) || hasNull(image.rewrites);
  for (size_t i = 0; !missing && i < image.entries.size(); ++i)
    missing =
        hasNull(image.entries[i]->inputs) || hasNull(image.entries[i]->tensors);
  for (size_t i = 0; !missing && i < image.regions.size(); ++i) {
    const RegionT &region = *image.regions[i];
    missing = hasNull(region.columns) || hasNull(region.rows) ||
              hasNull(region.sets) || hasNull(region.bindings) ||
              hasNull(region.programs);
    for (size_t k = 0; !missing && k < region.programs.size(); ++k) {
      const ProgramT &program = *region.programs[k];
      missing = hasNull(program.instructions) || hasNull(program.routes) ||
                hasNull(program.inputs) || hasNull(program.outputs);
    }
  }
  if (missing)
    return violation(3, "image", "a table of a list is missing");
  return Error::success();
}

/// I4: sources lie in the data section, if there is to be one. I5: name 0 is
/// empty.
static Error checkSources(const ImageT &image, uint64_t dataBytes) {
  if (image.shape_only && dataBytes != 0)
    return violation(
        4, "image",
        formatv("is of shapes only but has {0} bytes of data", dataBytes)
            .str());
  if (image.shape_only)
    dataBytes = std::numeric_limits<uint64_t>::max();
  for (size_t i = 0; i < image.sources.size(); ++i) {
    const SourceT &source = *image.sources[i];
    if (source.bytes > dataBytes || source.offset > dataBytes - source.bytes)
      return violation(
          4, "sources[" + Twine(i) + "] '" + source.name + "'",
          formatv("{0} bytes at {1} exceed the data section of {2}",
                  source.bytes, source.offset, dataBytes)
              .str());
  }
  if (image.names.empty() || !image.names.front().empty())
    return violation(5, "names", "the first name must be the empty one");
  return Error::success();
}

/// I9: the runs give every line of the region one class.
static Error checkRuns(const std::vector<std::unique_ptr<RunT>> &runs,
                       uint32_t lines, const std::string &where) {
  uint64_t total = 0;
  for (const auto &run : runs) {
    if (run->repeats == 0 || run->classes.empty())
      return violation(9, where, "a run is empty");
    total += uint64_t(run->repeats) * run->classes.size();
    if (total > lines)
      break;
    for (uint32_t id : run->classes)
      if (id >= lines)
        return violation(9, where,
                         formatv("class {0} of {1} lines; classes are numbered "
                                 "from 0",
                                 id, lines)
                             .str());
  }
  if (total != lines)
    return violation(9, where,
                     formatv("classes for {0}{1} lines, but there are {2}",
                             total > lines ? "at least " : "", total, lines)
                         .str());
  return Error::success();
}

/// I8: regions lie on the fabric, apart from each other. I32: stages divide
/// them.
static Error checkPlaces(const ImageT &image) {
  if (image.regions.empty())
    return violation(8, "image", "has no region");
  const TargetT &target = *image.target;
  for (size_t i = 0; i < image.regions.size(); ++i) {
    const RegionT &r = *image.regions[i];
    std::string where = "regions[" + std::to_string(i) + "]";
    if (r.width == 0 || r.height == 0 ||
        uint64_t(r.x) + r.width > target.width ||
        uint64_t(r.y) + r.height > target.height)
      return violation(8, where,
                       formatv("{0}x{1} PEs at ({2}, {3}) do not lie on the "
                               "fabric of {4}x{5}",
                               r.width, r.height, r.x, r.y, target.width,
                               target.height)
                           .str());
    if (r.stages_x == 0 || r.stages_y == 0 || r.width % r.stages_x ||
        r.height % r.stages_y)
      return violation(32, where,
                       formatv("{0}x{1} stages do not divide {2}x{3} PEs",
                               r.stages_x, r.stages_y, r.width, r.height)
                           .str());
    for (size_t k = 0; k < i; ++k) {
      const RegionT &o = *image.regions[k];
      if (r.x < o.x + o.width && o.x < r.x + r.width && r.y < o.y + o.height &&
          o.y < r.y + r.height)
        return violation(8, where, "overlaps regions[" + Twine(k) + "]");
    }
  }
  return Error::success();
}

bool setsMeet(const RegionT &region, uint32_t a, uint32_t b) {
  if (a == 0 || b == 0)
    return true;
  const std::vector<uint64_t> &x = region.sets[a]->words,
                              &y = region.sets[b]->words;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    if (x[i] & y[i])
      return true;
  return false;
}

/// I10: sets exist. I11: one program per entry.
static Error checkSets(const ImageT &image, const RegionT &region,
                       const std::string &where) {
  if (region.sets.empty() || !region.sets.front()->words.empty())
    return violation(10, where,
                     "sets[0] must be there and empty: it stands "
                     "for every class");
  auto known = [&](uint32_t set) { return set < region.sets.size(); };
  auto refuse = [&](const Twine &what) {
    return violation(10, where,
                     what + " names a set beyond the last, " +
                         Twine(region.sets.size() - 1));
  };
  if (region.programs.size() != image.entries.size())
    return violation(11, where,
                     formatv("has {0} programs for {1} entries",
                             region.programs.size(), image.entries.size())
                         .str());
  auto checkAll = [&](const auto &list) {
    for (const auto &item : list)
      if (!known(item->columns) || !known(item->rows))
        return false;
    return true;
  };
  for (const auto &program : region.programs) {
    if (!checkAll(program->instructions))
      return refuse("an instruction");
    if (!checkAll(program->routes))
      return refuse("a route");
    if (!checkAll(program->inputs) || !checkAll(program->outputs))
      return refuse("a binding of an entry");
  }
  if (!checkAll(region.bindings))
    return refuse("a binding");
  return Error::success();
}

/// I30: memory, code and reserved bytes fit the SRAM of the fullest PE.
static Error checkSram(const ImageT &image, const RegionT &region,
                       ArrayRef<ProgramTable> tables,
                       const std::string &where) {
  const TargetT &target = *image.target;
  uint64_t most = 0;
  for (size_t pair = 0; pair < tables.front().ofPair.size(); ++pair) {
    uint64_t instructions = 0;
    for (const auto &[program, table] : llvm::zip(region.programs, tables))
      instructions +=
          program->shares ? 0 : table.programs[table.ofPair[pair]].size();
    most = std::max(most, instructions);
  }
  uint64_t code = most * target.instruction_bytes;
  uint64_t total = region.memory + code + target.reserved_bytes;
  if (total > target.sram_bytes)
    return violation(
        30, where,
        formatv("{0} bytes of memory, {1} of code and {2} reserved "
                "exceed the {3} bytes of SRAM",
                region.memory, code, target.reserved_bytes, target.sram_bytes)
            .str());
  return Error::success();
}

static std::vector<uint8_t> packed(const InstructionT &instruction) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(Instruction::Pack(builder, &instruction));
  return {builder.GetBufferPointer(),
          builder.GetBufferPointer() + builder.GetSize()};
}

/// I31: what shares another program's code has it, but for the counts of its
/// outermost loops.
static Error checkSharing(const RegionT &region, size_t index,
                          const std::string &where) {
  const ProgramT &program = *region.programs[index];
  if (program.shares == 0)
    return Error::success();
  if (program.shares > index || region.programs[program.shares - 1]->shares)
    return violation(31, where,
                     "shares the code of program " + Twine(program.shares - 1) +
                         ", which is none before it with code of its own");
  const ProgramT &base = *region.programs[program.shares - 1];
  bool same = base.instructions.size() == program.instructions.size();
  for (size_t i = 0, outer = 0; same && i < program.instructions.size(); ++i) {
    InstructionT mine = *program.instructions[i];
    mine.node = base.instructions[i]->node; // a name, not code
    mine.over = base.instructions[i]->over;
    if (i >= outer && isLoop(mine.op)) {
      mine.count = base.instructions[i]->count;
      outer = i + 1 + mine.body;
    }
    same = packed(mine) == packed(*base.instructions[i]);
  }
  return same ? Error::success()
              : violation(31, where,
                          "shares the code of program " +
                              Twine(program.shares - 1) +
                              " but has other instructions");
}

/// I34: few enough pairs of classes differ for all of their programs to be
/// worked out, whatever the number of classes.
static Error checkPairs(const RegionT &region, const ClassPairs &pairs,
                        const std::string &where) {
  uint64_t instructions = 1;
  for (const auto &program : region.programs)
    instructions += program->instructions.size();
  if (pairs.count() <= mostPairs / instructions)
    return Error::success();
  return violation(34, where,
                   formatv("{0} different columns, {1} different rows and {2} "
                           "instructions; their product must be at most {3}",
                           pairs.columns.count(), pairs.rows.count(),
                           instructions - 1, mostPairs)
                       .str());
}

static Error checkRegion(const ImageT &image, const RegionT &region,
                         const std::string &where) {
  if (Error error = checkRuns(region.columns, region.width, where + " columns"))
    return error;
  if (Error error = checkRuns(region.rows, region.height, where + " rows"))
    return error;
  if (Error error = checkSets(image, region, where))
    return error;
  if (region.memory > image.target->sram_bytes)
    return violation(30, where,
                     formatv("{0} bytes of memory exceed the {1} bytes of SRAM",
                             region.memory, image.target->sram_bytes)
                         .str());
  const ClassPairs pairs = instructionPairs(region, classesOf(region));
  if (Error error = checkPairs(region, pairs, where))
    return error;
  std::vector<ProgramTable> tables;
  for (size_t e = 0; e < region.programs.size(); ++e) {
    const ProgramT &program = *region.programs[e];
    std::string at = where + " programs[" + std::to_string(e) + "]";
    if (Error error = checkInstructions(image, region, program, at))
      return error;
    tables.push_back(tabulate(region, pairs, program));
    if (Error error = checkThreads(region, program, tables.back(), at))
      return error;
    if (Error error = checkRoutes(image, region, program, at))
      return error;
    if (Error error = checkSharing(region, e, at))
      return error;
  }
  if (Error error = checkBindings(image, region, where))
    return error;
  return checkSram(image, region, tables, where);
}

Error check(const ImageT &image, uint64_t dataBytes) {
  if (Error error = checkTarget(image))
    return error;
  if (Error error = checkPresence(image))
    return error;
  if (Error error = checkTexts(image))
    return error;
  if (Error error = checkSources(image, dataBytes))
    return error;
  if (Error error = checkEntries(image))
    return error;
  if (Error error = checkPlaces(image))
    return error;
  if (Error error = checkRewrites(image))
    return error;
  for (size_t i = 0; i < image.regions.size(); ++i)
    if (Error error = checkRegion(image, *image.regions[i],
                                  "regions[" + std::to_string(i) + "]"))
      return error;
  return Error::success();
}

Error checkWithoutData(const ImageT &image) {
  return check(image, image.shape_only ? 0 : UINT64_MAX);
}

} // namespace waferloom::image
