// A tree of neighbours, grown to the line's length, the message's words and the
// machine's latencies. A PE has at most two children: it folds the sum of the
// PEs right behind it into its own vector, and then folds the sum of the PEs
// behind those as it passes through. So an arm is a chain of leaders, each with
// a group right behind it, whose members are a chain of leaders in turn, and so
// on for as many levels as are allowed. One level is a chain, two are two
// phases with groups that get larger toward the root, since what is nearer has
// more time to fold.
//
// Which shape: let put(l, p) be the cycle at which the nearest of p neighbours
// in l levels puts the first word of their sum, and held(l, p) the one at which
// it has their sum in its buffer instead. With S cycles for a message to pass,
//
//   take(c, s, q) = max(c + issue, put(l, q) + 2 ramp + s hop)   from a child s
//                                                           away, of q PEs
//   held(l, 1 + q) = max(issue, put(l - 1, q) + 2 ramp + hop) + S
//   put(l, s + q) = min over s of take(held(l, s), s, q) + forward
//
// filled in for p = 2, 3, ..: quadratic in the length. Routes do not count
// words, so a shape that was grown for some number of words serves all; `group`
// of a request is that number.
//
// Colors: two per level, by turns along each of its chains. What a router does
// then follows from the PE's place in its own chain and from the parities of
// the links over it, one per outer level: classes do not grow with the line.
// Inner levels have the lower ones: on a link those words go first (E33) that
// are folded first.

#include "Algorithms.h"

#include "llvm/ADT/STLExtras.h"

#include <map>
#include <memory>
#include <mutex>
#include <tuple>

using namespace waferloom::collectives;

namespace {

/// Of a stretch of neighbours in so many levels: when the nearest one puts the
/// first word of their sum, and how many of them, itself included, come before
/// the child that it passes on.
struct Level {
  std::vector<uint64_t> put = {0, 0};
  std::vector<unsigned> before = {0, 1};
  std::vector<uint64_t> held = {0, 0};
};

/// The levels for stretches up to some length; longer ones are added when they
/// are asked for.
struct Growth {
  Growth(uint64_t passing, const Costs &costs)
      : passing(passing), costs(costs), levels(mostLevels) {
    for (Level &level : levels)
      level.put[1] = costs.issue;
  }
  void extend(unsigned length);
  /// Adds a stretch of `p` PEs to level `l`.
  void add(unsigned l, unsigned p);

  /// More levels gain nothing on lines as long as wafers are wide.
  static constexpr unsigned mostLevels = 5;
  uint64_t passing; // cycles of a message
  Costs costs;
  std::vector<Level> levels; // the chain first
};

/// A tree over the PEs of a line.
struct Shape {
  struct Node {
    unsigned parent = 0;
    unsigned color = 0;                      ///< of the stream to the parent
    llvm::SmallVector<unsigned, 2> children; ///< in the order they are taken
  };
  std::vector<Node> nodes;
  /// Children come before their parents.
  std::vector<unsigned> order;
  unsigned colors = 0;
};

} // namespace

/// When a PE whose clock is `clock` takes the first word of what was put
/// `distance` PEs away at `put`.
static uint64_t take(const Costs &costs, uint64_t clock, uint64_t put,
                     unsigned distance) {
  return std::max(clock + costs.issue, put + costs.getTravel(distance));
}

void Growth::add(unsigned l, unsigned p) {
  Level &level = levels[l];
  uint64_t held = 0, best = UINT64_MAX;
  unsigned before = 1;
  if (l > 0)
    held = take(costs, 0, levels[l - 1].put[p - 1], 1) + passing;
  for (unsigned near = 1; near < (l > 0 ? p : 2); ++near) {
    const uint64_t put =
        take(costs, level.held[near], level.put[p - near], near);
    if (put < best)
      best = put, before = near;
  }
  level.put.push_back(best + costs.forward);
  level.before.push_back(before);
  level.held.push_back(held);
}

void Growth::extend(unsigned length) {
  for (unsigned p = unsigned(levels[0].put.size()); p <= length; ++p)
    for (unsigned l = 0; l < mostLevels; ++l)
      add(l, p);
}

/// The tree over the `members` PEs beside the root in a direction, in so many
/// levels.
static void plant(Shape &shape, const Growth &growth, unsigned root,
                  int direction, unsigned members, unsigned levels) {
  struct Stretch {
    unsigned at, members, parent, level, index; // in its chain
  };
  llvm::SmallVector<Stretch> open = {
      {unsigned(int(root) + direction), members, root, levels - 1, 1}};
  while (!open.empty()) {
    const auto [at, members, parent, level, index] = open.pop_back_val();
    shape.order.push_back(at);
    shape.nodes[at].parent = parent;
    // The arms meet at the root, so one of them begins with the other color.
    const unsigned parity = (index + (direction > 0)) % 2;
    shape.nodes[at].color = 2 * level + parity;
    if (members == 1)
      continue;
    const unsigned near = growth.levels[level].before[members];
    auto add = [&, at = at](unsigned distance, unsigned its, unsigned level,
                            unsigned index) {
      const unsigned to = unsigned(int(at) + direction * int(distance));
      shape.nodes[at].children.push_back(to);
      open.push_back({to, its, at, level, index});
    };
    if (near > 1)
      add(1, near - 1, level - 1, 1);
    add(near, members - near, level, index + 1);
  }
}

/// Leaves out the colors that no stream has.
static void numberColors(Shape &shape, unsigned root, unsigned levels) {
  std::vector<unsigned> numbers(2 * levels, UINT_MAX);
  for (unsigned pe = 0; pe < shape.nodes.size(); ++pe)
    if (pe != root)
      numbers[shape.nodes[pe].color] = 0;
  for (unsigned &number : numbers)
    if (number == 0)
      number = shape.colors++;
  for (unsigned pe = 0; pe < shape.nodes.size(); ++pe)
    if (pe != root)
      shape.nodes[pe].color = numbers[shape.nodes[pe].color];
}

static Shape shapeFor(unsigned length, unsigned root, unsigned levels,
                      const Growth &growth) {
  Shape shape;
  shape.nodes.resize(length);
  const unsigned low = root, high = length - 1 - root;
  // The arm that is done first is taken first.
  llvm::SmallVector<std::pair<uint64_t, unsigned>, 2> arms;
  for (auto [direction, members] : {std::pair(-1, low), std::pair(+1, high)}) {
    if (!members)
      continue;
    plant(shape, growth, root, direction, members, levels);
    arms.emplace_back(growth.levels[levels - 1].put[members],
                      unsigned(int(root) + direction));
  }
  llvm::sort(arms);
  for (auto [put, child] : arms)
    shape.nodes[root].children.push_back(child);
  std::reverse(shape.order.begin(), shape.order.end());
  shape.order.push_back(root);
  numberColors(shape, root, levels);
  return shape;
}

/// Plays the tree with `words`.
static uint64_t play(const Shape &shape, unsigned root, uint64_t words,
                     const Costs &costs) {
  std::vector<uint64_t> put(shape.nodes.size());
  uint64_t clock = 0;
  for (unsigned pe : shape.order) {
    const Shape::Node &node = shape.nodes[pe];
    clock = 0;
    for (unsigned child : node.children) {
      const unsigned distance = std::max(pe, child) - std::min(pe, child);
      clock = take(costs, clock, put[child], distance);
      if (child != node.children.back() || pe == root)
        clock += costs.getPassing(words);
    }
    put[pe] = node.children.empty() ? costs.issue : clock + costs.forward;
  }
  return clock;
}

uint64_t waferloom::collectives::grownBoundCycles(const Line &line,
                                                  const Request &request,
                                                  const Costs &costs) {
  if (line.length < 2)
    return 0;
  const unsigned low = request.root, high = line.length - 1 - request.root;
  const uint64_t passing = costs.getPassing(request.words);
  const uint64_t multicast =
      costs.issue + passing + costs.getTravel(std::max(low, high));
  if (request.kind == Kind::Broadcast)
    return multicast;
  // As `Growth`, but what is behind a leader is a tree of the same kind.
  std::vector<uint64_t> put = {0, costs.issue}, held = {0, 0};
  for (unsigned p = 2; p <= std::max(low, high); ++p) {
    held.push_back(take(costs, 0, put[p - 1], 1) + passing);
    uint64_t best = UINT64_MAX;
    for (unsigned near = 1; near < p; ++near)
      best = std::min(best, take(costs, held[near], put[p - near], near));
    put.push_back(best + costs.forward);
  }
  uint64_t clock = 0;
  for (unsigned arm : {std::min(low, high), std::max(low, high)})
    if (arm)
      clock = take(costs, clock, put[arm], 1) + passing;
  return clock + (request.kind == Kind::AllReduce ? multicast : 0);
}

namespace {
/// What was grown so far, and the last shape: every plan that is considered
/// asks for the same few, and for each with several numbers of words.
class Nursery {
public:
  std::shared_ptr<const Shape> get(const Line &line, const Request &request,
                                   const Costs &costs);

private:
  using Latencies =
      std::tuple<uint64_t, unsigned, unsigned, unsigned, unsigned>;

  std::mutex mutex;
  std::map<Latencies, Growth> grown;
  std::tuple<Latencies, unsigned, unsigned, unsigned> lastKey;
  std::shared_ptr<const Shape> last;
};
} // namespace

std::shared_ptr<const Shape>
Nursery::get(const Line &line, const Request &request, const Costs &costs) {
  const uint64_t passing = costs.getPassing(request.group);
  const Latencies latencies = {passing, costs.issue, costs.ramp, costs.hop,
                               costs.forward};
  const auto key =
      std::tuple(latencies, line.length, request.root, request.levels);
  std::lock_guard<std::mutex> lock(mutex);
  if (last && key == lastKey)
    return last;
  Growth &growth = grown.try_emplace(latencies, passing, costs).first->second;
  growth.extend(std::max({request.root, line.length - 1 - request.root, 1u}));
  last = std::make_shared<Shape>(
      shapeFor(line.length, request.root, request.levels, growth));
  lastKey = key;
  return last;
}

/// The shape of a request that has its group and its levels.
static std::shared_ptr<const Shape>
shapeOf(const Line &line, const Request &request, const Costs &costs) {
  static Nursery nursery;
  return nursery.get(line, request, costs);
}

static void reduceByGrownTree(Segment &segment, const Request &request,
                              const Costs &costs) {
  if (segment.length == 1)
    return;
  const Line line = {segment.length, segment.stride, 1};
  const std::shared_ptr<const Shape> grown = shapeOf(line, request, costs);
  const Shape &shape = *grown;
  const unsigned base = segment.newColors(shape.colors);
  for (unsigned pe : shape.order) {
    const Shape::Node &node = shape.nodes[pe];
    auto from = [&](unsigned child) { return base + shape.nodes[child].color; };
    const bool isRoot = pe == segment.root;
    const bool passes = !isRoot && !node.children.empty();
    for (unsigned child :
         llvm::ArrayRef(node.children).drop_back(passes ? 1 : 0))
      segment.transfer(pe, Transfer::Kind::ReceiveFold, from(child));
    if (isRoot)
      continue;
    segment.stream(pe, node.parent, base + node.color);
    if (passes)
      segment.transfer(pe, Transfer::Kind::ReceiveFoldSend,
                       from(node.children.back()), base + node.color);
    else
      segment.transfer(pe, Transfer::Kind::Send, 0, base + node.color);
  }
}

/// A shape for just these words, in as many levels as pay and as the colors
/// that are left allow beside those of a multicast.
static void fillIn(const Line &line, Request &request, const Costs &costs) {
  if (!request.group)
    request.group = unsigned(request.words);
  if (request.levels)
    return;
  uint64_t least = UINT64_MAX;
  Request tried = request;
  for (unsigned levels = 1; levels <= Growth::mostLevels; ++levels) {
    tried.levels = levels;
    const auto shape = shapeOf(line, tried, costs);
    const uint64_t cycles = play(*shape, request.root, request.words, costs);
    if (levels > 1 && (cycles >= least || shape->colors + 1 > costs.colors))
      continue;
    least = cycles;
    request.levels = levels;
  }
}

static Request filledIn(const Line &line, Request request, const Costs &costs) {
  fillIn(line, request, costs);
  return request;
}

const Rules waferloom::collectives::grownRules = {
    .name = "grown",
    .neighboursOnly = true,
    .group = Rules::Group::Words,
    .mostLevels = Growth::mostLevels,
    .colors =
        [](const Line &line, const Request &request, const Costs &costs) {
          return shapeOf(line, filledIn(line, request, costs), costs)->colors;
        },
    .solve = reduceByGrownTree,
    .fillIn = fillIn,
    .cycles =
        [](const Line &line, const Request &request, const Costs &costs) {
          return play(*shapeOf(line, filledIn(line, request, costs), costs),
                      request.root, request.words, costs);
        },
};
