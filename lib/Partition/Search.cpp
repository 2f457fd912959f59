// Chooses one split per class of dimensions: nothing, all of one direction, or
// one factor of it.
//
// For each factorisation of the region, classes are decided depth first, the
// heaviest in weights first. A branch ends when an axis would serve two classes
// of one loop nest, when the bytes decided so far exceed the memory, or when
// the additive cost (local cycles and each op's own collective) exceeds that of
// the 40 best leaves. Those are ranked by full cost, with collectives packed.
// The number of branches depends on the number of classes, not on the grid;
// ties fall to what was enumerated first, so the answer is always the same.

#include "Cost.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

using namespace waferloom;
using namespace waferloom::partition;
using llvm::ArrayRef;
using llvm::SmallVector;
using wafer::Axis;

static constexpr size_t leavesToRank = 40;
/// Branches looked at per factorisation, once there is a plan. Graphs of few
/// classes never come near it; those of many (layers that differ, batches) get
/// the best of what was enumerated, splits first.
static constexpr int branchBudget = 4000;
static constexpr int branchesPerQuestion = 64; // whether to go on

namespace {
/// The search on one factorisation.
class Branches {
public:
  /// Gives up without a leaf after `patience` branches.
  Branches(const Problem &problem, const Factors &factors, double bound,
           int64_t patience);

  void run() { descend(0, 0); }
  int64_t getVisited() const { return visited; }
  bool wasInterrupted() const { return interrupted; }
  /// Adds the leaves, by full cost.
  void addPlans(std::vector<LayoutPlan> &plans) const;
  double getLeastCost() const {
    return leaves.empty() ? std::numeric_limits<double>::infinity()
                          : leaves.begin()->first;
  }

private:
  void descend(size_t group, double cost);
  std::vector<SmallVector<Axis>> getOptions(size_t group) const;
  std::vector<SmallVector<Axis>> resolve(ArrayRef<Axis> pinned) const;
  bool isFree(size_t group, ArrayRef<Axis> axes) const;

  const Problem &problem;
  Factors factors;
  Costs costs;
  double bound;
  std::vector<SmallVector<int>> groups;     // classes that are split alike
  std::vector<std::set<int>> apart;         // groups
  std::vector<SmallVector<int>> worksAfter; // works decided by each group
  std::vector<SmallVector<Axis>> chosen;    // per group
  Assignment assignment;
  // By cost, then by the order of enumeration.
  std::map<std::pair<double, int>, Assignment> ordered;
  std::multimap<double, int> leaves;
  int count = 0;
  int64_t visited = 0, patience;
  bool interrupted = false;
};
} // namespace

Branches::Branches(const Problem &problem, const Factors &factors, double bound,
                   int64_t patience)
    : problem(problem), factors(factors), costs(problem, factors), bound(bound),
      assignment(problem.classes.size()), patience(patience) {
  std::map<std::string, SmallVector<int>> alike;
  auto numClasses = static_cast<int>(problem.classes.size());
  for (int i = 0; i < numClasses; ++i) {
    const DimClass &entry = problem.classes[i];
    if (entry.whole || entry.size <= 1) {
      assignment[i].emplace();
      continue;
    }
    std::string pins;
    if (entry.pinned)
      for (Axis axis : *entry.pinned)
        pins += axis.str();
    alike[std::to_string(entry.size) + (entry.cyclic ? "c" : "") +
          (entry.exact ? "e" : "") + (entry.pinned ? "p" + pins : "") +
          entry.role]
        .push_back(i);
  }
  for (auto &entry : alike) {
    const SmallVector<int> &members = entry.second;
    // Classes of one loop nest cannot share axes: decide them one by one.
    bool independent = llvm::none_of(members, [&](int i) {
      return llvm::any_of(members, [&](int j) {
        return problem.classes[i].apart.count(j) != 0;
      });
    });
    if (independent)
      groups.push_back(members);
    else
      for (int member : members)
        groups.push_back({member});
  }
  auto weigh = [&](const SmallVector<int> &group) {
    int64_t weight = 0;
    for (int i : group)
      weight += problem.classes[i].weight;
    return std::tuple(-weight, -problem.classes[group.front()].size,
                      group.front());
  };
  llvm::sort(groups, [&](const SmallVector<int> &a, const SmallVector<int> &b) {
    return weigh(a) < weigh(b);
  });

  std::vector<int> groupOf(problem.classes.size(), -1);
  for (auto [g, members] : llvm::enumerate(groups))
    for (int i : members)
      groupOf[i] = static_cast<int>(g);
  apart.resize(groups.size());
  for (auto [g, members] : llvm::enumerate(groups))
    for (int i : members)
      for (int other : problem.classes[i].apart)
        if (groupOf[other] >= 0)
          apart[g].insert(groupOf[other]);
  worksAfter.resize(groups.size() + 1);
  for (auto [w, work] : llvm::enumerate(problem.works)) {
    int last = -1;
    for (const auto &list : {work.parallel, work.reduction})
      for (int i : list)
        last = std::max(last, groupOf[i]);
    for (const TensorShape &shape : work.buffers)
      for (int i : shape.classes)
        last = std::max(last, groupOf[i]);
    if (work.change)
      last = std::max(
          {last, groupOf[work.change->first], groupOf[work.change->second]});
    worksAfter[last + 1].push_back(static_cast<int>(w));
  }
  chosen.resize(groups.size());
}

/// What is pinned, on this factorisation; nothing if it lacks an axis.
std::vector<SmallVector<Axis>> Branches::resolve(ArrayRef<Axis> pinned) const {
  SmallVector<Axis> axes;
  for (Axis wanted : pinned) {
    bool found = false;
    for (Axis axis : costs.getAxes().all())
      if (axis.direction == wanted.direction &&
          (wanted.number == Axis::whole || wanted.number == axis.number)) {
        found = true;
        if (costs.getAxes().getSize(axis) > 1)
          axes.push_back(axis);
      }
    if (!found)
      return {};
  }
  return {axes};
}

std::vector<SmallVector<Axis>> Branches::getOptions(size_t group) const {
  std::vector<SmallVector<Axis>> options;
  const DimClass &entry = problem.classes[groups[group].front()];
  if (entry.pinned)
    return resolve(*entry.pinned);
  auto offer = [&](ArrayRef<Axis> axes) {
    int64_t shards = costs.getAxes().getSize(axes);
    if (shards == 1 || shards > 2 * entry.size ||
        (entry.exact && entry.size % shards != 0))
      return;
    options.emplace_back(axes.begin(), axes.end());
  };
  const bool isCarried = llvm::any_of(
      groups[group], [&](int i) { return problem.carried.count(i) != 0; });
  for (auto direction : {Axis::X, Axis::Y}) {
    if (isCarried && problem.stagesAlong == direction)
      continue;
    SmallVector<Axis> all;
    for (Axis axis : costs.getAxes().all())
      if (axis.direction == direction && costs.getAxes().getSize(axis) > 1)
        all.push_back(axis);
    offer(all);
    if (all.size() > 1)
      for (Axis axis : all)
        offer(axis);
  }
  options.push_back({});
  return options;
}

bool Branches::isFree(size_t group, ArrayRef<Axis> axes) const {
  for (int other : apart[group]) {
    if (static_cast<size_t>(other) == group && !axes.empty())
      return false;
    if (static_cast<size_t>(other) < group)
      for (Axis axis : chosen[other])
        if (llvm::is_contained(axes, axis))
          return false;
  }
  return true;
}

void Branches::descend(size_t group, double cost) {
  if (interrupted || visited >= (leaves.empty() ? patience : branchBudget))
    return;
  if (visited++ % branchesPerQuestion == 0 && problem.interrupted)
    interrupted = problem.interrupted();
  std::vector<int64_t> padded = costs.getPadded(assignment);
  for (int w : worksAfter[group]) {
    const Work &work = problem.works[w];
    Costs::WorkCost part = costs.getCost(work, assignment, padded);
    cost += (part.cycles + part.collective) * work.tripCount;
  }
  if (cost > bound || cost >= impossibleCycles ||
      (leaves.size() >= leavesToRank && cost > leaves.rbegin()->first))
    return;
  if (costs.getBytes(assignment, padded) > problem.bytesPerPe)
    return;
  if (group == groups.size()) {
    leaves.emplace(cost, count);
    ordered.emplace(std::pair(cost, count++), assignment);
    if (leaves.size() > leavesToRank) {
      leaves.erase(std::prev(leaves.end()));
      ordered.erase(std::prev(ordered.end()));
    }
    return;
  }
  for (const SmallVector<Axis> &axes : getOptions(group)) {
    if (!isFree(group, axes))
      continue;
    chosen[group] = axes;
    for (int i : groups[group])
      assignment[i] = axes;
    descend(group + 1, cost);
    for (int i : groups[group])
      assignment[i].reset();
  }
}

void Branches::addPlans(std::vector<LayoutPlan> &plans) const {
  for (const auto &[key, candidate] : ordered) {
    LayoutPlan plan;
    plan.factors = factors;
    costs.rank(candidate, plan);
    // Behind its equals: costs that differ by rounding only stay in the order
    // of enumeration.
    auto at = llvm::upper_bound(
        plans, plan, [](const LayoutPlan &a, const LayoutPlan &b) {
          return std::floor(a.cycles * 1024) < std::floor(b.cycles * 1024);
        });
    plans.insert(at, std::move(plan));
  }
}

/// Parts of a direction that is longer than any dimension can use: the rest of
/// it holds replicas, which cost nothing but their memory. The longest first.
static SmallVector<SmallVector<int64_t>> listParts(const Problem &problem,
                                                   int64_t size) {
  constexpr size_t most = 4;
  int64_t longest = 1;
  for (const DimClass &entry : problem.classes)
    if (!entry.whole)
      longest = std::max(longest, entry.size);
  SmallVector<SmallVector<int64_t>> parts;
  if (size <= longest)
    return parts;
  for (int64_t k = longest; k > 1 && parts.size() < most; --k)
    if (size % k == 0)
      parts.push_back({size / k, k});
  return parts;
}

/// Adds the factorisations of regions that are too large for the model.
static void offerParts(const Problem &problem, std::vector<Factors> &all) {
  auto choices = [&](int64_t size) {
    SmallVector<SmallVector<int64_t>> parts = listParts(problem, size);
    parts.push_back({size});
    return parts;
  };
  for (const auto &x : choices(problem.width))
    for (const auto &y : choices(problem.height))
      if (x.size() > 1 || y.size() > 1)
        all.push_back({x, y});
}

/// The divisors of `size` that are closest to `wanted`: itself, or those on
/// both sides of it.
static SmallVector<int64_t> nearestDivisors(int64_t size, int64_t wanted) {
  if (size % wanted == 0)
    return {wanted};
  SmallVector<int64_t> nearest;
  int64_t below = wanted, above = wanted;
  while (size % below != 0)
    --below;
  while (above < size && size % above != 0)
    ++above;
  if (below > 1)
    nearest.push_back(below);
  if (above < size)
    nearest.push_back(above);
  return nearest;
}

/// Factorisations worth trying: none; k x rest for a divisor k of a small
/// class; j x k x rest for two small classes that share a direction, or what
/// is nearest to them where the direction has no such factors.
static std::vector<Factors> listFactors(const Problem &problem) {
  std::set<int64_t> divisors, small;
  for (const DimClass &entry : problem.classes) {
    if (entry.whole || entry.size <= 1 || entry.size > 64)
      continue;
    for (int64_t k = 2; k <= entry.size; ++k)
      if (entry.size % k == 0)
        divisors.insert(k);
    if (entry.size <= 16)
      small.insert(entry.size);
  }
  std::vector<Factors> all{{{problem.width}, {problem.height}}};
  auto offer = [&](ArrayRef<int64_t> lead, bool alongX) {
    int64_t size = alongX ? problem.width : problem.height, product = 1;
    for (int64_t k : lead)
      product *= k;
    if (size % product != 0 || size / product <= 1)
      return;
    SmallVector<int64_t> factors(lead);
    factors.push_back(size / product);
    Factors next;
    next.x = alongX ? factors : SmallVector<int64_t>{problem.width};
    next.y = alongX ? SmallVector<int64_t>{problem.height} : factors;
    for (const Factors &known : all)
      if (known.x == next.x && known.y == next.y)
        return;
    all.push_back(next);
  };
  for (int64_t k : divisors)
    for (bool alongX : {true, false})
      offer(k, alongX);
  for (int64_t k : small)
    for (int64_t j : small)
      for (bool alongX : {true, false}) {
        offer({k, j}, alongX);
        offer({k, j + j % 2}, alongX);
        int64_t size = alongX ? problem.width : problem.height;
        for (int64_t first : nearestDivisors(size, k))
          for (int64_t second : nearestDivisors(size / first, j))
            offer({first, second}, alongX);
      }
  offerParts(problem, all);
  // A mapping says how: the others only differ in the other direction.
  std::vector<Factors> pinned;
  for (Factors factors : all) {
    if (!problem.pinnedX.empty())
      factors.x = problem.pinnedX;
    if (!problem.pinnedY.empty())
      factors.y = problem.pinnedY;
    if (llvm::none_of(pinned, [&](const Factors &known) {
          return known.x == factors.x && known.y == factors.y;
        }))
      pinned.push_back(factors);
  }
  return pinned;
}

std::vector<LayoutPlan> partition::search(const Problem &problem, size_t most,
                                          int64_t *looked) {
  std::vector<LayoutPlan> plans;
  int64_t visited = 0;
  double least = std::numeric_limits<double>::infinity();
  for (const Factors &factors : listFactors(problem)) {
    // A plan far behind the best by additive cost is not caught up by packing.
    // Before the first plan the whole search shares one limit; behind it, a
    // factorisation that gives none is left soon.
    Branches branches(problem, factors, 1.4 * least,
                      plans.empty() ? problem.mostBranches - visited
                                    : int64_t(4) * branchBudget);
    branches.run();
    if (branches.wasInterrupted())
      return {};
    visited += branches.getVisited();
    least = std::min(least, branches.getLeastCost());
    branches.addPlans(plans);
    if (plans.size() > most)
      plans.resize(most);
  }
  if (looked)
    *looked = visited;
  return plans;
}

std::string partition::tellWhetherGaveUp(const Problem &problem,
                                         int64_t looked) {
  if (looked < problem.mostBranches)
    return "";
  return "gave up after looking at " + std::to_string(looked) +
         " ways to split " + std::to_string(problem.classes.size()) +
         " classes of dimensions without finding one that fits in " +
         std::to_string(problem.bytesPerPe) +
         " bytes per PE: give it a larger region or more memory per PE";
}
