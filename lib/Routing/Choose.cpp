// Which algorithm, for all collectives of a region at once. Alone, each would
// take its cheapest. Together they compete for colors: collectives share them
// when their routes are equal, so an algorithm that nobody else uses costs
// colors, and a two-phase group that nobody else uses makes the classes of the
// line multiply (the patterns of groups of 7 and of 9 repeat after 63 PEs).
//
// So every line has one group size, the one that costs least in all, and each
// collective takes the cheapest of what is left. While that needs more colors
// than there are, all collectives of one option move to another option of their
// line, the move that costs the least cycles per color it frees. Every move
// frees colors, so this ends.

#include "waferloom/Routing/Routing.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <map>
#include <optional>
#include <tuple>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::routing;
using collectives::Algorithm;
using collectives::Kind;

namespace {

/// Collectives that can share routes: direction, line, root, kind.
using Bucket = std::tuple<Direction, unsigned, unsigned, unsigned, unsigned,
                          collectives::Kind>;
/// Algorithm, group, and words where routes count them.
using Option = std::tuple<Algorithm, unsigned, uint64_t>;

struct Choice {
  MutableArrayRef<Collective> collectives;
  const collectives::Costs &costs;
  /// Members of each bucket, and the group size of its two-phase option.
  std::map<Bucket, SmallVector<Collective *>> buckets;
  std::map<std::pair<Bucket, Option>, unsigned> known; // colors

  void chooseFor(ArrayRef<Collective *> members);
  uint64_t cycles(const Collective &collective, Algorithm algorithm,
                  unsigned group) const;
  uint64_t cycles(ArrayRef<Collective *> members, Algorithm algorithm,
                  unsigned group) const;
  unsigned bestGroup(ArrayRef<Collective *> members, Algorithm algorithm) const;
  unsigned colorsOf(const Collective &collective);
  bool giveUpColors();
};

} // namespace

static Bucket bucketOf(const Collective &c) {
  return {c.direction,     c.line.length,  c.line.stride,
          c.line.segments, c.request.root, c.request.kind};
}

static Option optionOf(const Collective &c) {
  return {c.request.algorithm, c.request.group,
          collectives::countsWords(c.request.algorithm) ? c.request.words : 0};
}

/// Cycles per step, or the maximum where the algorithm cannot be used.
uint64_t Choice::cycles(const Collective &collective, Algorithm algorithm,
                        unsigned group) const {
  collectives::Request request = collective.request;
  request.algorithm = algorithm;
  request.group = group;
  bool possible =
      llvm::is_contained(collectives::candidates(collective.line), algorithm) &&
      !llvm::errorToBool(collectives::check(collective.line, request, costs));
  return possible ? collective.times *
                        collectives::cycles(collective.line, request, costs)
                  : UINT64_MAX;
}

/// The same of all members, which are on one line.
uint64_t Choice::cycles(ArrayRef<Collective *> members, Algorithm algorithm,
                        unsigned group) const {
  uint64_t total = 0;
  for (const Collective *c : members)
    total = llvm::SaturatingAdd(total, cycles(*c, algorithm, group));
  return total;
}

/// The group size with which members of one line cost least in all.
unsigned Choice::bestGroup(ArrayRef<Collective *> members,
                           Algorithm algorithm) const {
  if (!collectives::hasGroups(algorithm))
    return 0;
  unsigned best = 2;
  uint64_t least = UINT64_MAX;
  for (unsigned group = 2; group < members.front()->line.length; ++group)
    if (uint64_t total = cycles(members, algorithm, group); total < least)
      std::tie(least, best) = std::pair(total, group);
  return best;
}

/// Cheapest of all for each, with the group that is cheapest for all.
void Choice::chooseFor(ArrayRef<Collective *> members) {
  auto best = [&](const Collective &c, unsigned group) {
    std::tuple<uint64_t, Algorithm> least = {UINT64_MAX, Algorithm::Chain};
    for (Algorithm algorithm : collectives::candidates(c.line)) {
      const bool groups = collectives::hasGroups(algorithm);
      if (groups && !group)
        continue;
      uint64_t cost = cycles(c, algorithm, groups ? group : 0);
      if (cost < std::get<0>(least))
        least = {cost, algorithm};
    }
    return least;
  };
  unsigned chosen = 0;
  uint64_t least = UINT64_MAX;
  unsigned length = members.front()->line.length;
  for (unsigned group = 0; group < length; ++group) {
    if (group == 1)
      continue;
    uint64_t total = 0;
    for (const Collective *c : members) {
      uint64_t cost = std::get<0>(best(*c, group));
      total = cost > UINT64_MAX - total ? UINT64_MAX : total + cost;
    }
    if (total < least)
      std::tie(least, chosen) = std::pair(total, group);
  }
  for (Collective *c : members) {
    c->request.algorithm = std::get<1>(best(*c, chosen));
    c->request.group =
        collectives::hasGroups(c->request.algorithm) ? chosen : 0;
  }
}

unsigned Choice::colorsOf(const Collective &collective) {
  auto [it, isNew] =
      known.try_emplace({bucketOf(collective), optionOf(collective)});
  if (isNew) {
    auto plan = collectives::solve(collective.line, collective.request, costs);
    if (plan)
      it->second = plan->colors;
    else
      llvm::consumeError(plan.takeError()); // `plan` reports it
  }
  return it->second;
}

/// Makes the best move, if the colors do not suffice. False: nothing to do.
bool Choice::giveUpColors() {
  std::map<std::pair<Bucket, Option>, SmallVector<Collective *>> used;
  unsigned total = 0;
  for (Collective &c : collectives) {
    SmallVector<Collective *> &users = used[{bucketOf(c), optionOf(c)}];
    if (users.empty())
      total += colorsOf(c);
    users.push_back(&c);
  }
  if (total <= costs.colors)
    return false;

  std::optional<double> leastPrice;
  ArrayRef<Collective *> moving;
  Algorithm target = Algorithm::Chain;
  unsigned targetGroup = 0;
  for (auto &[key, users] : used) {
    // Where to: what another option of this bucket is, or any algorithm that
    // the bucket has no option of yet.
    SmallVector<std::pair<Algorithm, unsigned>> others;
    for (auto &[other, members] : used)
      if (other.first == key.first &&
          !collectives::countsWords(std::get<0>(other.second)))
        others.emplace_back(std::get<0>(other.second),
                            std::get<1>(other.second));
    for (Algorithm algorithm : collectives::candidates(users.front()->line))
      if (!collectives::countsWords(algorithm) &&
          llvm::none_of(others, [algorithm](auto other) {
            return other.first == algorithm;
          }))
        others.emplace_back(algorithm, bestGroup(users, algorithm));
    for (auto [algorithm, group] : others) {
      Collective moved = *users.front();
      moved.request.algorithm = algorithm;
      moved.request.group = group;
      if (optionOf(moved) == key.second)
        continue;
      bool there = used.count({bucketOf(moved), optionOf(moved)});
      unsigned freed = colorsOf(*users.front());
      unsigned taken = there ? 0 : colorsOf(moved);
      if (taken >= freed)
        continue;
      const collectives::Request &now = users.front()->request;
      double more =
          static_cast<double>(cycles(users, algorithm, group)) -
          static_cast<double>(cycles(users, now.algorithm, now.group));
      double price = more / (freed - taken);
      if (leastPrice && price >= *leastPrice)
        continue;
      leastPrice = price;
      moving = users;
      std::tie(target, targetGroup) = std::pair(algorithm, group);
    }
  }
  for (Collective *c : moving) {
    c->request.algorithm = target;
    c->request.group = targetGroup;
  }
  return leastPrice.has_value();
}

LogicalResult routing::choose(MutableArrayRef<Collective> collectives,
                              const collectives::Costs &costs) {
  Choice choice{collectives, costs, {}, {}};
  bool open = false;
  for (Collective &c : collectives) {
    // What no algorithm can do is said here, with its own reason.
    if (llvm::Error error = collectives::check(c.line, c.request, costs))
      return emitError(c.loc) << llvm::toString(std::move(error));
    if (c.request.kind == Kind::Broadcast ||
        c.request.kind == Kind::StageSendRecv) {
      c.request.algorithm = Algorithm::Chain;
      continue;
    }
    if (c.request.algorithm == Algorithm::Auto) {
      choice.buckets[bucketOf(c)].push_back(&c);
      open = true;
    }
  }
  for (auto &[bucket, members] : choice.buckets)
    choice.chooseFor(members);
  while (open && choice.giveUpColors())
    ;
  return success();
}
