// Colors: plans whose routes are the same at every router are one set of
// routes, and each set gets the next colors that are free. Sharing is safe
// because equal routes make one stream out of every sender's messages, in the
// order of the program, and every receiver takes them in that order.
//
// Queues: two colors that some PE takes want different queues. Each color gets
// the first queue that no such color has; when there is none, the one that
// fewest of them have. A PE binds a queue to the color that its instruction
// names, and words of other colors wait in the router meanwhile.

#include "waferloom/Routing/Routing.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"

#include <map>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::routing;

LogicalResult routing::plan(Problem &problem) {
  using Key = std::tuple<unsigned, unsigned, unsigned, collectives::Kind,
                         collectives::Algorithm, unsigned, unsigned, unsigned,
                         uint64_t>;
  std::map<Key, size_t> known;
  problem.plans.clear();
  for (Collective &c : problem.collectives) {
    Key key = {c.line.length,    c.line.stride,       c.line.segments,
               c.request.kind,   c.request.algorithm, c.request.group,
               c.request.levels, c.request.root,      c.request.words};
    auto [it, isNew] = known.try_emplace(key, problem.plans.size());
    c.plan = it->second;
    if (!isNew)
      continue;
    Limits limits = problem.limits;
    limits.colors = problem.colorsLeft();
    auto solved = collectives::solve(c.line, c.request, limits);
    if (!solved)
      return emitError(c.loc) << llvm::toString(solved.takeError());
    problem.plans.push_back(std::move(*solved));
  }
  return success();
}

namespace {
/// A set of routes and its colors. On two PEs a sum to one and a broadcast from
/// the other have equal routes, but PEs do not do the same with the words.
struct Routes {
  Direction direction;
  collectives::Kind kind;
  const collectives::CollectivePlan *plan;
  unsigned firstColor;
};
/// Which PEs along which direction take (or put) words of a color.
struct Users {
  Direction direction;
  llvm::BitVector positions;
};
} // namespace

static Users usersOf(const Routes &routes, unsigned color, bool takes) {
  std::vector<unsigned> classes = routes.plan->classPerPosition();
  Users users{routes.direction, llvm::BitVector(classes.size())};
  for (auto [position, id] : llvm::enumerate(classes))
    for (const collectives::Transfer &transfer :
         routes.plan->classes[id].transfers)
      if (takes ? transfer.receives() && transfer.in == color
                : transfer.sends() && transfer.out == color)
        users.positions.set(static_cast<unsigned>(position));
  return users;
}

/// Every column meets every row on some PE.
static bool meet(const Users &a, const Users &b) {
  if (a.direction != b.direction)
    return a.positions.any() && b.positions.any();
  return a.positions.anyCommon(b.positions);
}

static SmallVector<int64_t> giveQueues(ArrayRef<Users> users,
                                       unsigned available) {
  SmallVector<int64_t> queues;
  for (auto [color, mine] : llvm::enumerate(users)) {
    if (mine.positions.none()) {
      queues.push_back(-1);
      continue;
    }
    SmallVector<unsigned> rivals(std::max(available, 1u), 0);
    for (size_t other = 0; other < color; ++other)
      if (queues[other] >= 0 && meet(mine, users[other]))
        ++rivals[queues[other]];
    queues.push_back(llvm::min_element(rivals) - rivals.begin());
  }
  return queues;
}

namespace {
/// Gives sets of routes their colors.
class Coloring {
public:
  explicit Coloring(const Problem &problem)
      : problem(problem), taken(problem.colorsLeft()) {}

  /// The first color of `c`, which may share those of a set; reports when there
  /// is none.
  FailureOr<unsigned> color(const Collective &c);
  ArrayRef<Routes> getSets() const { return sets; }

private:
  FailureOr<unsigned> take(const Collective &c, unsigned count);
  LogicalResult refuseColor(const Collective &c, unsigned count) const;

  const Problem &problem;
  SmallVector<Routes> sets;
  llvm::BitVector taken;
};
} // namespace

LogicalResult Coloring::refuseColor(const Collective &c, unsigned count) const {
  InFlightDiagnostic diag = emitError(c.colorFrom.value_or(c.loc));
  diag << "a collective of " << count << " colors cannot begin at color "
       << *c.color << ": ";
  if (*c.color + count > problem.colorsLeft())
    diag << "there are " << problem.colorsLeft() << " for collectives";
  else
    diag << "some of its colors are those of a collective with other routes";
  diag << "; say auto, or another color";
  return diag;
}

/// The lowest `count` colors behind each other that are free, or those that
/// somebody has chosen.
FailureOr<unsigned> Coloring::take(const Collective &c, unsigned count) {
  auto isFree = [&](unsigned first) {
    return uint64_t(first) + count <= taken.size() &&
           (!count || taken.find_first_in(first, first + count) < 0);
  };
  unsigned first = c.color.value_or(0);
  if (c.color && !isFree(first))
    return refuseColor(c, count);
  while (!isFree(first) && first < taken.size())
    ++first;
  if (!isFree(first)) {
    InFlightDiagnostic diag = emitError(c.loc)
                              << "collectives up to this one need "
                              << taken.count() + count
                              << " colors but the target has "
                              << problem.limits.colors;
    if (problem.borderColors)
      diag << ", " << problem.borderColors
           << " of them for streams between stages";
    diag.attachNote() << "collectives of one line, root and algorithm "
                         "share their colors; regions whose axes have "
                         "fewer factors have fewer lines";
    return diag;
  }
  taken.set(first, first + count);
  return first;
}

FailureOr<unsigned> Coloring::color(const Collective &c) {
  const collectives::CollectivePlan &plan = problem.plans[c.plan];
  auto same = llvm::find_if(sets, [&](const Routes &set) {
    return set.direction == c.direction && set.kind == c.request.kind &&
           (!c.color || *c.color == set.firstColor) &&
           (set.plan == &plan || set.plan->hasRoutesOf(plan));
  });
  if (same != sets.end())
    return same->firstColor;
  FailureOr<unsigned> first = take(c, plan.colors);
  if (succeeded(first))
    sets.push_back({c.direction, c.request.kind, &plan, *first});
  return first;
}

FailureOr<Solution> routing::route(const Problem &problem) {
  Solution solution;
  Coloring coloring(problem);
  solution.firstColors.resize(problem.collectives.size());
  // The others find their way around those that somebody has chosen.
  for (bool given : {true, false})
    for (auto [c, color] :
         llvm::zip_equal(problem.collectives, solution.firstColors)) {
      if (c.color.has_value() != given)
        continue;
      FailureOr<unsigned> first = coloring.color(c);
      if (failed(first))
        return failure();
      color = *first;
    }
  SmallVector<Users> takers, putters;
  for (const Routes &set : coloring.getSets())
    for (unsigned color = 0; color < set.plan->colors; ++color) {
      const unsigned at = set.firstColor + color;
      for (auto *users : {&takers, &putters}) {
        if (users->size() <= at)
          users->resize(at + 1, Users{Direction::X, {}});
        (*users)[at] = usersOf(set, color, /*takes=*/users == &takers);
      }
    }
  if (problem.borderColors) {
    const Users nobody{Direction::X, {}};
    const Users all{
        Direction::X,
        llvm::BitVector(static_cast<unsigned>(problem.width), true)};
    for (auto *users : {&takers, &putters}) {
      users->resize(problem.colorsLeft(), nobody);
      users->append(problem.borderColors, all);
    }
  }
  solution.inputQueues = giveQueues(takers, problem.limits.inputQueues);
  solution.outputQueues = giveQueues(putters, problem.limits.outputQueues);
  return solution;
}
