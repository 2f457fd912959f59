#include "waferloom/Image/Programs.h"

#include <algorithm>
#include <set>

namespace waferloom::image {

static std::vector<uint32_t>
expand(const std::vector<std::unique_ptr<RunT>> &runs) {
  std::vector<uint32_t> classes;
  for (const auto &run : runs)
    for (uint32_t i = 0; i < run->repeats; ++i)
      classes.insert(classes.end(), run->classes.begin(), run->classes.end());
  return classes;
}

Classes classesOf(const RegionT &region) {
  return {expand(region.columns), expand(region.rows)};
}

bool contains(const RegionT &region, uint32_t set, uint32_t id) {
  if (set == 0)
    return true;
  const std::vector<uint64_t> &words = region.sets[set]->words;
  return id / 64 < words.size() && ((words[id / 64] >> (id % 64)) & 1);
}

std::vector<uint32_t> programOf(const RegionT &region, const ProgramT &program,
                                uint32_t column, uint32_t row) {
  std::vector<uint32_t> own;
  for (uint32_t i = 0; i < program.instructions.size(); ++i) {
    const InstructionT &instruction = *program.instructions[i];
    if (contains(region, instruction.columns, column) &&
        contains(region, instruction.rows, row))
      own.push_back(i);
    else if (isLoop(instruction.op))
      i += instruction.body;
  }
  return own;
}

ProgramTable tabulate(const RegionT &region, const Classes &classes,
                      const ProgramT &program) {
  // Only classes that occur, each once.
  std::map<uint32_t, bool> columns, rows;
  for (uint32_t id : classes.columns)
    columns[id] = true;
  for (uint32_t id : classes.rows)
    rows[id] = true;
  ProgramTable table;
  std::map<std::vector<uint32_t>, uint32_t> known;
  for (auto &column : columns)
    for (auto &row : rows) {
      std::vector<uint32_t> own =
          programOf(region, program, column.first, row.first);
      auto [it, fresh] =
          known.try_emplace(own, static_cast<uint32_t>(table.programs.size()));
      if (fresh)
        table.programs.push_back(std::move(own));
      table.ofClasses[{column.first, row.first}] = it->second;
    }
  return table;
}

uint64_t codeBytes(const RegionT &region, const TargetT &target) {
  const Classes classes = classesOf(region);
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> instructions;
  for (const auto &program : region.programs) {
    if (program->shares)
      continue;
    ProgramTable table = tabulate(region, classes, *program);
    for (const auto &entry : table.ofClasses)
      instructions[entry.first] += table.programs[entry.second].size();
  }
  uint64_t most = 0;
  for (const auto &entry : instructions)
    most = std::max(most, entry.second);
  return most * target.instruction_bytes;
}

Usage usageOf(const RegionT &region, const TargetT &target) {
  // By the sets of classes that hold them: few, since stages are few.
  std::map<std::pair<uint32_t, uint32_t>, Usage> bySets;
  for (const auto &binding : region.bindings) {
    uint64_t bytes = bytesOf(binding->type);
    for (const auto &dim : binding->dims)
      for (const Digit &digit : dim->digits)
        if (digit.axis() == Axis::none)
          bytes *= digit.extent();
    bytes = (bytes + 3) / 4 * 4;
    Usage &usage = bySets[{binding->columns, binding->rows}];
    (binding->role == Role::parameter ? usage.weights
     : binding->role == Role::state   ? usage.states
                                      : usage.tables) += bytes;
  }
  const Classes classes = classesOf(region);
  const std::set<uint32_t> columns(classes.columns.begin(),
                                   classes.columns.end());
  const std::set<uint32_t> rows(classes.rows.begin(), classes.rows.end());
  Usage usage;
  for (uint32_t column : columns)
    for (uint32_t row : rows) {
      Usage here;
      for (const auto &[sets, held] : bySets)
        if (contains(region, sets.first, column) &&
            contains(region, sets.second, row)) {
          here.weights += held.weights;
          here.states += held.states;
          here.tables += held.tables;
        }
      if (here.weights + here.states + here.tables >
          usage.weights + usage.states + usage.tables)
        usage = here;
    }
  usage.buffers = region.memory - usage.weights - usage.states - usage.tables;
  usage.code = codeBytes(region, target);
  usage.reserved = target.reserved_bytes;
  return usage;
}

} // namespace waferloom::image
