// Proves that the collectives of a region do not disturb each other. The routes
// of all collectives of a direction go into one table of colors per position;
// two that use a color at a position must have the same route there. Then every
// send of every PE is followed through that table, not through its own plan,
// and must arrive where its plan takes the words, and nowhere else.
//
// Rows are alike, and so are columns: a table per position stands for the whole
// region. A color that is routed in some column and in some row meets itself on
// the PE where they cross.

#include "waferloom/Routing/Routing.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"

#include <map>
#include <set>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::routing;
using collectives::Port;

static StringRef placeName(Direction direction) {
  return direction == Direction::X ? "column " : "row ";
}

LogicalResult routing::check(const Problem &problem) {
  for (const Collective &c : problem.collectives) {
    bool along = c.direction == Direction::X;
    int64_t extent = along ? problem.width : problem.height;
    if (static_cast<int64_t>(c.line.extent()) != extent)
      return emitError(c.loc) << "has lines over " << c.line.extent()
                              << (along ? " columns" : " rows")
                              << " but the region has " << extent;
    if (c.plan >= problem.plans.size())
      return emitError(c.loc)
             << "has plan " << c.plan << " of " << problem.plans.size();
    unsigned colors = problem.plans[c.plan].colors;
    if (colors > problem.colorsLeft()) {
      InFlightDiagnostic diag = emitError(c.loc)
                                << "takes " << colors
                                << " colors but the target has "
                                << problem.colorsLeft() << " for it";
      diag.attachNote() << "a chain takes the fewest: twice the stride of its "
                           "line, and one";
      return diag;
    }
  }
  return success();
}

namespace {

struct Entry {
  const collectives::Route *route;
  const Collective *owner;
};

/// What the routers at one position do, by color.
using Table = std::map<unsigned, Entry>;

class Overlay {
public:
  Overlay(const Problem &problem, const Solution &solution)
      : problem(problem), solution(solution) {
    tables[0].resize(problem.width);
    tables[1].resize(problem.height);
  }

  LogicalResult run();

private:
  LogicalResult add(const Collective &collective, unsigned first);
  LogicalResult checkCrossings() const;
  LogicalResult checkStreams(const Collective &collective,
                             unsigned first) const;
  FailureOr<std::set<int64_t>> follow(const Collective &collective,
                                      unsigned color, int64_t sender) const;
  LogicalResult checkQueues(const Collective &collective, unsigned first) const;
  LogicalResult checkQueue(mlir::Location loc, unsigned color,
                           ArrayRef<int64_t> queues, unsigned limit,
                           StringRef verb) const;
  const std::vector<Table> &tablesOf(Direction direction) const {
    return tables[direction == Direction::X ? 0 : 1];
  }
  const collectives::CollectivePlan &
  planOf(const Collective &collective) const {
    return problem.plans[collective.plan];
  }

  const Problem &problem;
  const Solution &solution;
  std::vector<Table> tables[2];
};

} // namespace

LogicalResult Overlay::add(const Collective &collective, unsigned first) {
  const collectives::CollectivePlan &plan = planOf(collective);
  std::vector<Table> &line =
      tables[collective.direction == Direction::X ? 0 : 1];
  for (auto [position, id] : llvm::enumerate(plan.classPerPosition()))
    for (const collectives::Route &route : plan.classes[id].routes) {
      unsigned color = first + route.color;
      auto [known, isNew] =
          line[position].try_emplace(color, Entry{&route, &collective});
      const collectives::Route &other = *known->second.route;
      if (isNew ||
          (other.inputs == route.inputs && other.outputs == route.outputs))
        continue;
      InFlightDiagnostic diag = emitError(collective.loc)
                                << "routes color " << color << " in "
                                << placeName(collective.direction)
                                << static_cast<int64_t>(position)
                                << " otherwise than another collective does";
      diag.attachNote(known->second.owner->loc)
          << "the other collective is here; give it colors of its own";
      return diag;
    }
  return success();
}

LogicalResult Overlay::checkCrossings() const {
  std::map<unsigned, const Collective *> along;
  for (const Table &table : tables[0])
    for (const auto &[color, entry] : table)
      along.try_emplace(color, entry.owner);
  for (const Table &table : tables[1])
    for (const auto &[color, entry] : table)
      if (auto other = along.find(color); other != along.end()) {
        InFlightDiagnostic diag = emitError(entry.owner->loc)
                                  << "routes color " << color
                                  << " along y, where another collective "
                                     "routes it along x";
        diag.attachNote(other->second->loc)
            << "the other collective is here; give it colors of its own";
        return diag;
      }
  return success();
}

/// Positions whose PE is given the words that `sender` puts.
FailureOr<std::set<int64_t>> Overlay::follow(const Collective &collective,
                                             unsigned color,
                                             int64_t sender) const {
  const std::vector<Table> &line = tablesOf(collective.direction);
  auto lost = [&](int64_t at) {
    return emitError(collective.loc)
           << "sends words of color " << color << " from "
           << placeName(collective.direction) << sender << " to "
           << placeName(collective.direction) << at
           << ", which has no route for them";
  };
  std::set<int64_t> receivers;
  std::set<std::pair<int64_t, Port>> passed;
  SmallVector<std::pair<int64_t, Port>> open = {{sender, Port::Ramp}};
  while (!open.empty()) {
    auto [at, from] = open.pop_back_val();
    if (at < 0 || at >= static_cast<int64_t>(line.size()))
      return lost(at);
    auto known = line[at].find(color);
    if (known == line[at].end() ||
        llvm::none_of(known->second.route->inputs,
                      [from = from](const collectives::Turn &turn) {
                        return turn.from == from;
                      }))
      return lost(at);
    if (!passed.insert({at, from}).second)
      continue;
    uint8_t outputs = known->second.route->outputs;
    if (outputs & Port::Ramp)
      receivers.insert(at);
    if (outputs & Port::Low)
      open.push_back({at - 1, Port::High});
    if (outputs & Port::High)
      open.push_back({at + 1, Port::Low});
  }
  return receivers;
}

LogicalResult Overlay::checkStreams(const Collective &collective,
                                    unsigned first) const {
  const collectives::CollectivePlan &plan = planOf(collective);
  std::vector<unsigned> classes = plan.classPerPosition();
  std::map<unsigned, std::set<int64_t>> wanted, reached;
  for (auto [position, id] : llvm::enumerate(classes)) {
    std::set<unsigned> sent;
    for (const collectives::Transfer &transfer : plan.classes[id].transfers) {
      if (transfer.receives())
        wanted[first + transfer.in].insert(static_cast<int64_t>(position));
      if (!transfer.sends() || !sent.insert(transfer.out).second)
        continue;
      auto receivers = follow(collective, first + transfer.out,
                              static_cast<int64_t>(position));
      if (failed(receivers))
        return failure();
      reached[first + transfer.out].insert(receivers->begin(),
                                           receivers->end());
    }
  }
  for (const auto &[color, positions] : reached)
    for (int64_t position : positions)
      if (!wanted[color].count(position))
        return emitError(collective.loc)
               << "gives words of color " << color << " to "
               << placeName(collective.direction) << position
               << ", which takes none";
  for (const auto &[color, positions] : wanted)
    for (int64_t position : positions)
      if (!reached[color].count(position))
        return emitError(collective.loc)
               << placeName(collective.direction) << position
               << " waits for words of color " << color
               << " that nobody sends there";
  return success();
}

LogicalResult Overlay::checkQueue(Location loc, unsigned color,
                                  ArrayRef<int64_t> queues, unsigned limit,
                                  StringRef verb) const {
  int64_t queue = color < queues.size() ? queues[color] : -1;
  if (queue < 0)
    return emitError(loc) << verb << " words of color " << color
                          << ", to which no queue is given; name one of "
                          << limit;
  if (queue >= static_cast<int64_t>(limit))
    return emitError(loc) << verb << " words of color " << color << " by queue "
                          << queue << " but the target has " << limit;
  return success();
}

LogicalResult Overlay::checkQueues(const Collective &collective,
                                   unsigned first) const {
  for (const collectives::ClassProgram &program : planOf(collective).classes)
    for (const collectives::Transfer &transfer : program.transfers)
      if ((transfer.receives() &&
           failed(checkQueue(collective.loc, first + transfer.in,
                             solution.inputQueues, problem.limits.inputQueues,
                             "takes"))) ||
          (transfer.sends() &&
           failed(checkQueue(collective.loc, first + transfer.out,
                             solution.outputQueues, problem.limits.outputQueues,
                             "puts"))))
        return failure();
  return success();
}

LogicalResult Overlay::run() {
  // Equal plans in equal colors need one look.
  std::set<std::tuple<Direction, size_t, unsigned>> seen;
  SmallVector<std::pair<const Collective *, unsigned>> distinct;
  std::set<size_t> plans;
  for (auto [c, first] :
       llvm::zip_equal(problem.collectives, solution.firstColors)) {
    if (!seen.insert({c.direction, c.plan, first}).second)
      continue;
    distinct.emplace_back(&c, first);
    unsigned last = first + planOf(c).colors;
    if (last > problem.limits.colors)
      return emitError(c.loc) << "takes colors " << first << " to " << last - 1
                              << " but the target has " << problem.limits.colors
                              << ", 0 to " << problem.limits.colors - 1;
    if (last > problem.colorsLeft())
      return emitError(c.loc) << "takes colors " << first << " to " << last - 1
                              << " but those from " << problem.colorsLeft()
                              << " on are of streams between stages";
    if (plans.insert(c.plan).second)
      if (llvm::Error error = collectives::verify(c.line, c.request, planOf(c)))
        return emitError(c.loc) << llvm::toString(std::move(error));
    if (failed(add(c, first)))
      return failure();
  }
  if (failed(checkCrossings()))
    return failure();
  for (auto [c, first] : distinct)
    if (failed(checkStreams(*c, first)) || failed(checkQueues(*c, first)))
      return failure();
  for (unsigned color = problem.colorsLeft(); color < problem.limits.colors;
       ++color)
    if (failed(checkQueue(problem.loc, color, solution.inputQueues,
                          problem.limits.inputQueues, "takes")) ||
        failed(checkQueue(problem.loc, color, solution.outputQueues,
                          problem.limits.outputQueues, "puts")))
      return failure();
  return success();
}

LogicalResult routing::verify(const Problem &problem,
                              const Solution &solution) {
  if (failed(check(problem)))
    return failure();
  if (solution.firstColors.size() != problem.collectives.size())
    return emitError(problem.loc)
           << "has colors for " << solution.firstColors.size()
           << " collectives but there are " << problem.collectives.size();
  return Overlay(problem, solution).run();
}
