// Which algorithm, for all collectives of a region at once. Alone, each would
// take its cheapest. Together they compete for colors: collectives share them
// when their routes are equal, so an algorithm that nobody else uses costs
// colors, and a second shape on a line multiplies the classes of the line (the
// patterns of groups of 7 and of 9 repeat after 63 PEs).
//
// A bucket are collectives that can share routes. Its members go by one shape
// (two-phase groups of one size, or a tree grown for some number of words in so
// many levels) or by algorithms that have none, each by the cheapest of a
// menu. Every menu is a pair of colors and cycles; of the menus of a bucket
// only those count that no other beats in both. What is left is a knapsack:
// colors are few, so the best of all combinations is found bucket by bucket,
// for every number of colors.

#include "waferloom/Routing/Routing.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <map>
#include <optional>
#include <set>
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
/// Algorithm, group, levels.
using Option = std::tuple<Algorithm, unsigned, unsigned>;

/// What the members of a bucket go by, what it costs per step.
struct Menu {
  unsigned colors = 0;
  uint64_t cycles = 0;
  SmallVector<Option> options; // one per member
};

/// The menus of one bucket.
class Chooser {
public:
  Chooser(ArrayRef<Collective *> members, const collectives::Costs &costs)
      : members(members), line(members.front()->line), costs(costs) {}

  /// Those that no other beats, by colors.
  SmallVector<Menu> menus();

private:
  /// An option and the cycles per step of every member, the maximum where it
  /// cannot go so.
  struct Priced {
    Option option;
    SmallVector<uint64_t> cycles;
    unsigned colors = 0; ///< of one set of routes, whatever it carries
  };

  Priced price(const Option &option) const;
  SmallVector<Priced> shapes() const;
  Menu menuOf(ArrayRef<const Priced *> options) const;
  /// Colors of an option for the members that take it.
  unsigned colorsOf(const Priced &priced, const Menu &menu) const;

  ArrayRef<Collective *> members;
  const collectives::Line &line;
  const collectives::Costs &costs;
};

} // namespace

static Bucket bucketOf(const Collective &c) {
  return {c.direction,     c.line.length,  c.line.stride,
          c.line.segments, c.request.root, c.request.kind};
}

static collectives::Request with(collectives::Request request,
                                 const Option &option) {
  std::tie(request.algorithm, request.group, request.levels) = option;
  return request;
}

/// Cycles that nobody waits for only choose between what is as good otherwise.
static uint64_t weightOf(const Collective &c) {
  constexpr uint64_t waitedFor = 1 << 12;
  return llvm::SaturatingMultiply(c.times, c.isAside ? 1 : waitedFor);
}

Chooser::Priced Chooser::price(const Option &option) const {
  Priced priced{option, {}, 0};
  for (const Collective *c : members) {
    const collectives::Request request = with(c->request, option);
    const bool possible =
        !llvm::errorToBool(collectives::check(line, request, costs));
    priced.cycles.push_back(
        possible ? llvm::SaturatingMultiply(
                       weightOf(*c), collectives::cycles(line, request, costs))
                 : UINT64_MAX);
  }
  // Here, where what was grown for the option is the last that was grown.
  priced.colors =
      collectives::colors(line, with(members.front()->request, option), costs);
  return priced;
}

/// About two per octave: shapes that are grown for one of them are nearly as
/// good for those around it.
static unsigned roundedWords(uint64_t words) {
  const uint64_t unit = std::max<uint64_t>(llvm::bit_floor(words) / 2, 1);
  return static_cast<unsigned>(
      std::min<uint64_t>(llvm::alignTo(words, unit), INT32_MAX));
}

SmallVector<Chooser::Priced> Chooser::shapes() const {
  std::set<unsigned> groups;
  for (const Collective *c : members)
    groups.insert(roundedWords(c->request.words));
  SmallVector<Priced> shapes;
  for (Algorithm algorithm : collectives::candidates(line))
    for (unsigned level = 1; level <= collectives::levelsOf(algorithm); ++level)
      for (unsigned group : groups)
        shapes.push_back(price({algorithm, group, level}));
  return shapes;
}

unsigned Chooser::colorsOf(const Priced &priced, const Menu &menu) const {
  const bool countsWords = collectives::countsWords(std::get<0>(priced.option));
  std::set<uint64_t> sets; // of routes, by what they depend on
  for (auto [c, its] : llvm::zip_equal(members, menu.options))
    if (its == priced.option)
      sets.insert(countsWords ? c->request.words : 0);
  return unsigned(sets.size()) * priced.colors;
}

/// Each member takes the cheapest of `options`, the first of equally cheap
/// ones.
Menu Chooser::menuOf(ArrayRef<const Priced *> options) const {
  Menu menu;
  for (size_t member = 0; member < members.size(); ++member) {
    const Priced *cheapest = options.front();
    for (const Priced *option : options)
      if (option->cycles[member] < cheapest->cycles[member])
        cheapest = option;
    menu.options.push_back(cheapest->option);
    menu.cycles = llvm::SaturatingAdd(menu.cycles, cheapest->cycles[member]);
  }
  for (const Priced *option : options)
    menu.colors += colorsOf(*option, menu);
  return menu;
}

SmallVector<Menu> Chooser::menus() {
  SmallVector<Priced> plain, shaped = shapes();
  for (Algorithm algorithm : collectives::candidates(line))
    if (!collectives::levelsOf(algorithm))
      plain.push_back(price({algorithm, 0, 0}));
  std::map<unsigned, Menu> cheapest; // by colors
  auto offer = [&](ArrayRef<const Priced *> options) {
    Menu menu = menuOf(options);
    auto [it, isNew] = cheapest.try_emplace(menu.colors, menu);
    if (!isNew && menu.cycles < it->second.cycles)
      it->second = std::move(menu);
  };
  for (unsigned mask = 0; mask < 1u << plain.size(); ++mask) {
    SmallVector<const Priced *> options;
    for (size_t i = 0; i < plain.size(); ++i)
      if (mask >> i & 1)
        options.push_back(&plain[i]);
    if (!options.empty())
      offer(options);
    options.push_back(nullptr);
    for (const Priced &shape : shaped) {
      options.back() = &shape;
      offer(options);
    }
  }
  SmallVector<Menu> best;
  for (auto &[colors, menu] : cheapest)
    if (best.empty() || menu.cycles < best.back().cycles)
      best.push_back(std::move(menu));
  return best;
}

/// One menu of each bucket, the cheapest in all that takes at most `colors`; if
/// none does, those of the fewest colors.
static SmallVector<size_t> choose(ArrayRef<SmallVector<Menu>> buckets,
                                  unsigned colors) {
  struct Best {
    uint64_t cycles = 0;
    SmallVector<size_t> menus;
  };
  // By the colors that are taken.
  std::vector<std::optional<Best>> best(colors + 1);
  best[0].emplace();
  for (const SmallVector<Menu> &menus : buckets) {
    std::vector<std::optional<Best>> next(colors + 1);
    for (unsigned taken = 0; taken <= colors; ++taken)
      for (auto [index, menu] : llvm::enumerate(menus)) {
        if (!best[taken] || taken + menu.colors > colors)
          continue;
        std::optional<Best> &to = next[taken + menu.colors];
        const uint64_t cycles =
            llvm::SaturatingAdd(best[taken]->cycles, menu.cycles);
        if (to && to->cycles <= cycles)
          continue;
        to = Best{cycles, best[taken]->menus};
        to->menus.push_back(index);
      }
    best = std::move(next);
  }
  const Best *least = nullptr;
  for (const std::optional<Best> &some : best)
    if (some && (!least || some->cycles < least->cycles))
      least = &*some;
  return least ? least->menus : SmallVector<size_t>(buckets.size(), 0);
}

LogicalResult routing::choose(MutableArrayRef<Collective> collectives,
                              const collectives::Costs &costs) {
  std::map<Bucket, SmallVector<Collective *>> open;
  std::map<std::tuple<Bucket, Option, uint64_t>, unsigned> given; // colors
  for (Collective &c : collectives) {
    // What no algorithm can do is said here, with its own reason.
    if (llvm::Error error = collectives::check(c.line, c.request, costs))
      return emitError(c.loc) << llvm::toString(std::move(error));
    if (c.request.kind == Kind::Broadcast)
      c.request.algorithm = Algorithm::Chain;
    const auto &[kind, combiner, algorithm, root, words, group, levels] =
        c.request;
    if (algorithm == Algorithm::Auto)
      open[bucketOf(c)].push_back(&c);
    else
      given[{bucketOf(c),
             {algorithm, group, levels},
             collectives::countsWords(algorithm) ? words : 0}] =
          collectives::colors(c.line, c.request, costs);
  }
  unsigned colors = costs.colors;
  for (auto &[which, taken] : given)
    colors -= std::min(colors, taken);
  SmallVector<SmallVector<Menu>> menus;
  for (auto &[bucket, members] : open)
    menus.push_back(Chooser(members, costs).menus());
  const SmallVector<size_t> chosen = ::choose(menus, colors);
  for (auto [which, bucket] : llvm::enumerate(open))
    for (auto [c, option] :
         llvm::zip_equal(bucket.second, menus[which][chosen[which]].options))
      c->request = with(c->request, option);
  return success();
}
