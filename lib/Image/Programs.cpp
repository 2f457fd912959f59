#include "waferloom/Image/Programs.h"
#include "Check.h"

#include "llvm/ADT/StringMap.h"
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

ClassGroups::ClassGroups(const std::vector<uint32_t> &classes) {
  uint32_t most = *std::max_element(classes.begin(), classes.end());
  groups.assign(size_t(most) + 1, UINT32_MAX);
  sizes.push_back(0);
  for (uint32_t id : classes)
    if (groups[id] == UINT32_MAX) {
      groups[id] = 0;
      ++sizes[0];
    }
}

void ClassGroups::split(const ClassSetT &set) {
  auto forEach = [&](auto callee) {
    for (size_t word = 0; word < set.words.size(); ++word) {
      if (word * 64 >= groups.size())
        return;
      for (uint64_t left = set.words[word]; left != 0; left &= left - 1) {
        size_t id = word * 64 + static_cast<size_t>(__builtin_ctzll(left));
        if (id < groups.size() && groups[id] != UINT32_MAX)
          callee(groups[id]);
      }
    }
  };
  std::map<uint32_t, uint32_t> held; // group -> how many of its classes
  forEach([&](uint32_t group) { ++held[group]; });
  std::map<uint32_t, uint32_t> parts; // group -> its part in the set
  for (auto [group, count] : held)
    if (count < sizes[group]) {
      parts[group] = static_cast<uint32_t>(sizes.size());
      sizes[group] -= count;
      sizes.push_back(count);
    }
  if (!parts.empty())
    forEach([&](uint32_t &group) {
      if (auto it = parts.find(group); it != parts.end())
        group = it->second;
    });
}

void ClassGroups::number() {
  std::vector<uint32_t> numbers(sizes.size(), UINT32_MAX);
  firsts.clear();
  for (uint32_t id = 0; id < groups.size(); ++id) {
    if (groups[id] == UINT32_MAX)
      continue;
    uint32_t &number = numbers[groups[id]];
    if (number == UINT32_MAX) {
      number = static_cast<uint32_t>(firsts.size());
      firsts.push_back(id);
    }
    groups[id] = number;
  }
}

namespace {
/// Parts classes by the sets that the items of lists name.
class Parter {
public:
  Parter(const RegionT &region, const Classes &classes)
      : region(region),
        pairs{ClassGroups(classes.columns), ClassGroups(classes.rows)} {}

  template <typename List>
  void part(const List &list) {
    for (const auto &item : list) {
      if (item->columns != 0 && columns.insert(item->columns).second)
        pairs.columns.split(*region.sets[item->columns]);
      if (item->rows != 0 && rows.insert(item->rows).second)
        pairs.rows.split(*region.sets[item->rows]);
    }
  }
  ClassPairs finish() {
    pairs.columns.number();
    pairs.rows.number();
    return std::move(pairs);
  }

private:
  const RegionT &region;
  ClassPairs pairs;
  std::set<uint32_t> columns, rows; // the sets that have been asked
};
} // namespace

ClassPairs instructionPairs(const RegionT &region, const Classes &classes) {
  Parter parter(region, classes);
  for (const auto &program : region.programs)
    parter.part(program->instructions);
  return parter.finish();
}

ClassPairs routePairs(const RegionT &region, const Classes &classes,
                      const ProgramT &program) {
  Parter parter(region, classes);
  parter.part(program.routes);
  return parter.finish();
}

ProgramTable tabulate(const RegionT &region, const ClassPairs &pairs,
                      const ProgramT &program) {
  ProgramTable table;
  // By their bytes: hashes of long lists are cheaper than an order of them.
  llvm::StringMap<uint32_t> known;
  for (uint32_t column = 0; column < pairs.columns.count(); ++column)
    for (uint32_t row = 0; row < pairs.rows.count(); ++row) {
      std::vector<uint32_t> own = programOf(
          region, program, pairs.columns.first(column), pairs.rows.first(row));
      llvm::StringRef bytes(reinterpret_cast<const char *>(own.data()),
                            own.size() * sizeof own[0]);
      auto [it, fresh] = known.try_emplace(
          bytes, static_cast<uint32_t>(table.programs.size()));
      table.ofPair.push_back(it->second);
      if (fresh)
        table.programs.push_back(std::move(own));
    }
  return table;
}

uint64_t codeBytes(const RegionT &region, const TargetT &target) {
  const ClassPairs pairs = instructionPairs(region, classesOf(region));
  std::vector<uint64_t> instructions(pairs.count(), 0);
  for (const auto &program : region.programs) {
    if (program->shares)
      continue;
    ProgramTable table = tabulate(region, pairs, *program);
    for (size_t pair = 0; pair < instructions.size(); ++pair)
      instructions[pair] += table.programs[table.ofPair[pair]].size();
  }
  return *std::max_element(instructions.begin(), instructions.end()) *
         target.instruction_bytes;
}

Usage usageOf(const RegionT &region, const TargetT &target) {
  // By the sets of classes that hold them: few, since stages are few.
  std::map<std::pair<uint32_t, uint32_t>, Usage> bySets;
  for (const auto &binding : region.bindings) {
    const uint64_t bytes =
        (shardBytes(*binding, uint64_t(UINT32_MAX) + 1) + 3) / 4 * 4;
    Usage &usage = bySets[{binding->columns, binding->rows}];
    (binding->role == Role::parameter ? usage.weights
     : binding->role == Role::state   ? usage.states
                                      : usage.tables) += bytes;
  }
  Parter parter(region, classesOf(region));
  parter.part(region.bindings);
  const ClassPairs pairs = parter.finish();
  Usage usage;
  for (uint32_t column = 0; column < pairs.columns.count(); ++column)
    for (uint32_t row = 0; row < pairs.rows.count(); ++row) {
      Usage here;
      for (const auto &[sets, held] : bySets)
        if (contains(region, sets.first, pairs.columns.first(column)) &&
            contains(region, sets.second, pairs.rows.first(row))) {
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
