// A tree of neighbours, grown to the line's length, the message's words and the
// machine's latencies. A PE has at most two children: it folds the sum of the
// PEs right behind it into its own vector, and then folds the sum of the PEs
// behind those as it passes through. These are the two transfers of a two-phase
// reduce, in another shape.
//
// Which shape: let put(p) be the cycle at which the nearest of p neighbours
// puts the first word of their sum, and held(p) the one at which it has their
// sum in its buffer instead. With S cycles for a message to pass,
//
//   take(c, s, q) = max(c + issue, put(q) + 2 ramp + s hop)   from a child s
//   held(1 + q) = take(0, 1, q) + S                           away, of q PEs
//   put(s + q) = min over s of take(held(s), s, q) + forward
//
// filled in for p = 2, 3, ..: quadratic in the length. Routes do not count
// words, so a shape that was grown for some number of words serves all; `group`
// of a request is that number.
//
// Colors: a stream occupies the routers from child to parent, an interval of
// the line. Taking the lowest free color from west to east needs the fewest.

#include "Algorithms.h"

#include "llvm/ADT/STLExtras.h"

#include <map>
#include <mutex>
#include <tuple>

using namespace waferloom::collectives;

namespace {

/// Of a stretch of neighbours: when the nearest one puts the first word of
/// their sum, and how many of them, itself included, come before the child that
/// it passes on.
struct Growth {
  std::vector<uint64_t> put;
  std::vector<unsigned> before;
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

static Growth grow(unsigned length, uint64_t words, const Costs &costs) {
  Growth growth{std::vector<uint64_t>(length + 1, UINT64_MAX),
                std::vector<unsigned>(length + 1)};
  std::vector<uint64_t> held(length + 1, 0);
  growth.put[1] = costs.issue;
  for (unsigned p = 2; p <= length; ++p) {
    held[p] = take(costs, 0, growth.put[p - 1], 1) + words;
    for (unsigned near = 1; near < p; ++near) {
      const uint64_t put =
          take(costs, held[near], growth.put[p - near], near) + costs.forward;
      if (put < growth.put[p])
        growth.put[p] = put, growth.before[p] = near;
    }
  }
  return growth;
}

/// The tree over the `members` PEs beside the root in a direction.
static void plant(Shape &shape, const Growth &growth, unsigned root,
                  int direction, unsigned members) {
  struct Stretch {
    unsigned at, members, parent;
  };
  llvm::SmallVector<Stretch> open = {
      {unsigned(int(root) + direction), members, root}};
  while (!open.empty()) {
    const Stretch stretch = open.pop_back_val();
    const unsigned at = stretch.at;
    shape.order.push_back(at);
    shape.nodes[at].parent = stretch.parent;
    if (stretch.members == 1)
      continue;
    const unsigned near = growth.before[stretch.members];
    auto child = [&](unsigned distance, unsigned its) {
      const unsigned to = unsigned(int(at) + direction * int(distance));
      shape.nodes[at].children.push_back(to);
      open.push_back({to, its, at});
    };
    if (near > 1)
      child(1, near - 1);
    child(near, stretch.members - near);
  }
}

static void color(Shape &shape, unsigned root) {
  std::vector<std::pair<unsigned, unsigned>> streams; // first router, PE
  for (unsigned pe = 0; pe < shape.nodes.size(); ++pe)
    if (pe != root)
      streams.emplace_back(std::min(pe, shape.nodes[pe].parent), pe);
  llvm::sort(streams);
  std::vector<unsigned> ends; // last router of each color
  for (auto [from, pe] : streams) {
    const unsigned first = from;
    const unsigned last = std::max(pe, shape.nodes[pe].parent);
    const size_t free =
        llvm::find_if(ends, [first](unsigned end) { return end < first; }) -
        ends.begin();
    if (free == ends.size())
      ends.push_back(last);
    ends[free] = last;
    shape.nodes[pe].color = unsigned(free);
  }
  shape.colors = unsigned(ends.size());
}

static Shape shapeFor(unsigned length, unsigned root, uint64_t words,
                      const Costs &costs) {
  Shape shape;
  shape.nodes.resize(length);
  const unsigned low = root, high = length - 1 - root;
  const Growth growth = grow(std::max({low, high, 1u}), words, costs);
  if (low)
    plant(shape, growth, root, -1, low);
  if (high)
    plant(shape, growth, root, +1, high);
  // The arm that is done first is taken first.
  llvm::SmallVector<std::pair<uint64_t, unsigned>, 2> arms;
  if (low)
    arms.emplace_back(growth.put[low], root - 1);
  if (high)
    arms.emplace_back(growth.put[high], root + 1);
  llvm::sort(arms);
  for (auto [put, child] : arms)
    shape.nodes[root].children.push_back(child);
  std::reverse(shape.order.begin(), shape.order.end());
  shape.order.push_back(root);
  color(shape, root);
  return shape;
}

/// Grown once: every plan that is considered asks for the same few.
static const Shape &knownShape(unsigned length, unsigned root, uint64_t words,
                               const Costs &costs) {
  using Key = std::tuple<unsigned, unsigned, uint64_t, unsigned, unsigned,
                         unsigned, unsigned>;
  static std::mutex mutex;
  static std::map<Key, Shape> shapes;
  std::lock_guard<std::mutex> lock(mutex);
  auto [it, isNew] = shapes.try_emplace(Key{
      length, root, words, costs.issue, costs.ramp, costs.hop, costs.forward});
  if (isNew)
    it->second = shapeFor(length, root, words, costs);
  return it->second; // nodes of a map stay where they are
}

static const Shape &shapeOf(const Line &line, const Request &request,
                            const Costs &costs) {
  return knownShape(line.length, request.root,
                    request.group ? request.group : request.words, costs);
}

static void reduceByGrownTree(Segment &segment, const Request &request,
                              const Costs &costs) {
  if (segment.length == 1)
    return;
  const Line line = {segment.length, segment.stride, 1};
  const Shape &shape = shapeOf(line, request, costs);
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

/// Plays the tree with the words of the request.
static uint64_t cyclesOfGrownTree(const Line &line, const Request &request,
                                  const Costs &costs) {
  const Shape &shape = shapeOf(line, request, costs);
  std::vector<uint64_t> put(line.length);
  uint64_t clock = 0;
  for (unsigned pe : shape.order) {
    const Shape::Node &node = shape.nodes[pe];
    clock = 0;
    for (unsigned child : node.children) {
      const unsigned distance = std::max(pe, child) - std::min(pe, child);
      clock = take(costs, clock, put[child], distance);
      if (child != node.children.back() || pe == request.root)
        clock += request.words;
    }
    put[pe] = node.children.empty() ? costs.issue : clock + costs.forward;
  }
  return clock;
}

const Rules waferloom::collectives::grownRules = {
    .name = "grown",
    .neighboursOnly = true,
    .group = Rules::Group::Words,
    .longest = 0, // images have a class for nearly every PE of its line
    .colors =
        [](const Line &line, const Request &request, const Costs &costs) {
          return shapeOf(line, request, costs).colors;
        },
    .solve = reduceByGrownTree,
    .chooseGroup = [](const Line &, const Request &request,
                      const Costs &) { return unsigned(request.words); },
    .cycles = cyclesOfGrownTree,
};
