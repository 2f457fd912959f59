// Solvers write one program per PE of a segment, which is easy to read. Here
// equal programs become one class, and repeated stretches of classes one run,
// so that what leaves the room does not grow with the line.

#include "Solvers.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <map>
#include <tuple>

using namespace waferloom::collectives;

void Segment::stream(size_t from, size_t to, unsigned color) {
  const Port ahead = to > from ? High : Low, behind = to > from ? Low : High;
  route(from, color, Ramp, ahead);
  for (size_t pe = from; pe != to;) {
    pe = to > from ? pe + 1 : pe - 1;
    route(pe, color, behind, pe == to ? unsigned(Ramp) : unsigned(ahead));
  }
}

/// Longest period a run may have: groups of a two-phase reduce have theirs.
static constexpr size_t maxPeriod = 128;

/// Greedy from the left: the period whose repetitions cover most.
static std::vector<Run> runsOf(const std::vector<unsigned> &classes) {
  std::vector<Run> runs;
  for (size_t begin = 0; begin < classes.size();) {
    size_t bestPeriod = 1, bestCover = 1;
    for (size_t period = 1;
         period <= maxPeriod && begin + 2 * period <= classes.size();
         ++period) {
      size_t end = begin + period;
      while (end < classes.size() && classes[end] == classes[end - period])
        ++end;
      const size_t cover = (end - begin) / period * period;
      if (cover >= 2 * period && cover > bestCover + period)
        bestPeriod = period, bestCover = cover;
    }
    Run run;
    run.pattern.append(classes.begin() + begin,
                       classes.begin() + begin + bestPeriod);
    run.repeats = bestCover / bestPeriod;
    // Single classes in a row are one pattern.
    if (run.repeats == 1 && !runs.empty() && runs.back().repeats == 1)
      runs.back().pattern.append(run.pattern);
    else
      runs.push_back(std::move(run));
    begin += bestCover;
  }
  return runs;
}

CollectivePlan waferloom::collectives::compress(const Line &line,
                                                Segment &&segment) {
  CollectivePlan plan;
  plan.colors = segment.colors;
  std::vector<unsigned> classes;
  classes.reserve(segment.pes.size());
  for (ClassProgram &program : segment.pes) {
    llvm::sort(program.routes, [](const Route &a, const Route &b) {
      return std::tie(a.color, a.outputs) < std::tie(b.color, b.outputs);
    });
    auto known = llvm::find(plan.classes, program);
    classes.push_back(known - plan.classes.begin());
    if (known == plan.classes.end())
      plan.classes.push_back(std::move(program));
  }
  plan.runs = runsOf(classes);
  if (line.segments > 1) {
    if (plan.runs.size() == 1) {
      plan.runs.front().repeats *= line.segments;
    } else {
      Run whole;
      whole.pattern.append(classes.begin(), classes.end());
      whole.repeats = line.segments;
      plan.runs = {std::move(whole)};
    }
  }
  return plan;
}

std::vector<unsigned> CollectivePlan::classPerPosition() const {
  std::vector<unsigned> classes;
  for (const Run &run : runs)
    for (uint64_t i = 0; i < run.repeats; ++i)
      classes.insert(classes.end(), run.pattern.begin(), run.pattern.end());
  return classes;
}

std::vector<Step> CollectivePlan::steps() const {
  std::vector<Step> steps;
  std::vector<llvm::ArrayRef<Transfer>> left; // of each class
  for (const ClassProgram &program : classes)
    left.push_back(program.transfers);
  while (true) {
    // What most can do next together: the first transfer of some class that the
    // fewest others make later.
    const Transfer *next = nullptr;
    size_t fewest = SIZE_MAX;
    for (llvm::ArrayRef<Transfer> own : left) {
      if (own.empty())
        continue;
      const size_t later = llvm::count_if(left, [&](auto other) {
        return !other.empty() && !(other.front() == own.front()) &&
               llvm::is_contained(other, own.front());
      });
      if (later < fewest)
        fewest = later, next = &own.front();
    }
    if (!next)
      return steps;
    Step &step = steps.emplace_back();
    step.transfer = *next;
    for (unsigned id = 0; id < left.size(); ++id)
      if (!left[id].empty() && left[id].front() == step.transfer) {
        step.classes.push_back(id);
        left[id] = left[id].drop_front();
      }
  }
}

std::vector<SharedRoute> CollectivePlan::routes() const {
  std::vector<SharedRoute> all;
  for (unsigned color = 0; color < colors; ++color) {
    const size_t first = all.size(); // of this color
    for (unsigned id = 0; id < classes.size(); ++id)
      for (const Route &route : classes[id].routes) {
        if (route.color != color)
          continue;
        auto known = std::find_if(
            all.begin() + first, all.end(),
            [&](const SharedRoute &other) { return other.route == route; });
        if (known == all.end())
          known = all.insert(known, {route, {}});
        known->classes.push_back(id);
      }
  }
  return all;
}

unsigned CollectivePlan::classAt(uint64_t position) const {
  for (const Run &run : runs) {
    const uint64_t covered = run.pattern.size() * run.repeats;
    if (position < covered)
      return run.pattern[position % run.pattern.size()];
    position -= covered;
  }
  return 0;
}

bool CollectivePlan::hasRoutesOf(const CollectivePlan &other) const {
  if (colors != other.colors)
    return false;
  std::vector<unsigned> mine = classPerPosition();
  std::vector<unsigned> theirs = other.classPerPosition();
  if (mine.size() != theirs.size())
    return false;
  for (size_t i = 0; i < mine.size(); ++i)
    if (!(classes[mine[i]].routes == other.classes[theirs[i]].routes))
      return false;
  return true;
}
