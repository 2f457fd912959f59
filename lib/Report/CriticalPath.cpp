#include "waferloom/Report/CriticalPath.h"
#include "waferloom/Image/Programs.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>
#include <tuple>

using namespace llvm;

namespace waferloom::report {

using executor::PathCycles;
using executor::PathKind;

static void addTo(PathCycles &to, const PathCycles &from) {
  for (size_t kind = 0; kind < to.size(); ++kind)
    to[kind] += from[kind];
}

namespace {
/// Sums a path.
class Tabulator {
public:
  Tabulator(const executor::CriticalPath &path, const image::ImageT &image)
      : path(path), image(image) {}

  PathTable run() {
    makeParts();
    sumAccounts();
    sumPassages();
    llvm::sort(table.items, [](const PathItem &a, const PathItem &b) {
      return rank(a) < rank(b);
    });
    return std::move(table);
  }

private:
  void makeParts();
  void sumAccounts();
  void sumPassages();
  /// What no layer or token repeats is one item, whatever loops it has.
  static uint32_t loopOf(uint32_t loop, image::LoopOver over) {
    return over == image::LoopOver::nothing ? 0 : loop;
  }
  PathItem &add(uint32_t node, uint32_t loop, image::LoopOver over);
  PathPart &partOf(image::LoopOver over) {
    return *llvm::find_if(table.parts, [&](const PathPart &part) {
      return part.over == over || part.over == image::LoopOver::nothing;
    });
  }
  static std::tuple<int64_t, StringRef, size_t, uint32_t, StringRef>
  rank(const PathItem &item) {
    return {-executor::total(item.cycles), item.node, item.part, item.words,
            item.along};
  }

  const executor::CriticalPath &path;
  const image::ImageT &image;
  PathTable table;
  std::map<uint32_t, uint32_t> tripsOf; // by loop
};
} // namespace

void Tabulator::makeParts() {
  for (image::LoopOver over : {image::LoopOver::layers, image::LoopOver::tokens,
                               image::LoopOver::nothing}) {
    PathPart part;
    part.over = over;
    for (const executor::PathTrip &trip : path.trips)
      if (trip.over == over)
        part.trips.push_back(trip);
    part.repeats =
        static_cast<uint32_t>(std::max<size_t>(1, part.trips.size()));
    if (!part.trips.empty() || over == image::LoopOver::nothing)
      table.parts.push_back(std::move(part));
  }
  for (const executor::PathTrip &trip : path.trips)
    ++tripsOf[trip.loop];
}

PathItem &Tabulator::add(uint32_t node, uint32_t loop, image::LoopOver over) {
  PathItem &item = table.items.emplace_back();
  item.node = image.names[node];
  item.part = static_cast<size_t>(&partOf(over) - table.parts.data());
  if (over != image::LoopOver::nothing)
    item.repeats = std::max(1u, tripsOf[loop]);
  return item;
}

void Tabulator::sumAccounts() {
  std::map<std::pair<uint32_t, uint32_t>, size_t> known; // loop, node
  for (const executor::PathAccount &account : path.accounts) {
    if (account.times == 0 && executor::total(account.cycles) == 0)
      continue;
    PathPart &part = partOf(account.over);
    part.instructions += account.times;
    addTo(part.cycles, account.cycles);
    addTo(table.cycles, account.cycles);
    if (image::isStream(account.op))
      continue;
    uint32_t loop = loopOf(account.loop, account.over);
    auto [it, fresh] =
        known.try_emplace({loop, account.node}, table.items.size());
    if (fresh)
      add(account.node, loop, account.over);
    table.items[it->second].times += account.times;
    addTo(table.items[it->second].cycles, account.cycles);
  }
}

/// Passages of one node that a reader takes for the same are one: cores of
/// different classes have them from different instructions.
void Tabulator::sumPassages() {
  std::map<std::tuple<uint32_t, uint32_t, StringRef, uint32_t, StringRef>,
           size_t>
      known;
  for (const executor::PathPassage &passage : passagesOf(path)) {
    StringRef what = !passage.reduces  ? "message"
                     : passage.spreads ? "all-reduce"
                                       : "reduce";
    StringRef along = passage.alongX && passage.alongY ? "x and y"
                      : passage.alongX                 ? "x"
                      : passage.alongY                 ? "y"
                                                       : "";
    uint32_t loop = loopOf(passage.loop, passage.over);
    auto [it, fresh] = known.try_emplace(
        {loop, passage.node, what, passage.words, along}, table.items.size());
    if (fresh) {
      PathItem &item = add(passage.node, loop, passage.over);
      item.isCollective = true;
      item.what = what;
      item.words = passage.words;
      item.along = along;
    }
    table.items[it->second].times += passage.times;
    addTo(table.items[it->second].cycles, passage.cycles);
  }
}

PathTable tabulate(const executor::CriticalPath &path,
                   const image::ImageT &image) {
  return Tabulator(path, image).run();
}

Expected<executor::StepResult>
countWithPath(std::shared_ptr<const image::Loaded> image, size_t entry,
              const executor::RunOptions &options, executor::EngineKind engine,
              executor::CriticalPath &path) {
  executor::RunOptions walked = options;
  walked.critical = &path;
  auto result = executor::countStep(image, entry, walked, engine);
  if (result)
    return result;
  consumeError(result.takeError()); // which another reason gives once more
  path = executor::CriticalPath();
  return executor::countStep(std::move(image), entry, options, engine);
}

std::string titleOf(const PathItem &item) {
  std::string node = item.node.empty() ? "(of no node)" : item.node;
  if (!item.isCollective)
    return node;
  return formatv("{0}: {1} of {2} word{3}{4}{5}", node, item.what, item.words,
                 item.words == 1 ? "" : "s",
                 item.along.empty() ? "" : " along ", item.along);
}

static std::string shortName(const PathPart &part) {
  StringRef trip = executor::tripOf(part.over);
  return trip.empty() ? "outside"
         : part.repeats == 1
             ? formatv("one {0}", trip).str()
             : formatv("one of {0} {1}s", part.repeats, trip).str();
}

/// Of one trip, rounded.
static int64_t ofOne(int64_t cycles, uint32_t repeats) {
  return (cycles + repeats / 2) / repeats;
}

static void printKinds(raw_ostream &os, const PathTable &table) {
  constexpr size_t first = 16, column = 18;
  os << std::string(first, ' ');
  for (const PathPart &part : table.parts)
    os << right_justify(shortName(part), column);
  os << right_justify("of all", 12) << "\n";
  const double all =
      std::max<double>(1, static_cast<double>(executor::total(table.cycles)));
  for (PathKind kind : executor::allPathKinds()) {
    int64_t sum = table.cycles[size_t(kind)];
    if (sum == 0)
      continue;
    os << left_justify(nameOf(kind), first);
    for (const PathPart &part : table.parts)
      os << right_justify(
          formatv("{0:N}", ofOne(part.cycles[size_t(kind)], part.repeats))
              .str(),
          column);
    double share = static_cast<double>(sum) / all;
    os << right_justify(formatv("{0:P1}", share).str(), 12);
    if (share > 0)
      if (auto marks = static_cast<size_t>(40 * share + 0.5))
        os << "  " << std::string(marks, '#');
    os << "\n";
  }
  os << left_justify("cycles", first);
  for (const PathPart &part : table.parts)
    os << right_justify(
        formatv("{0:N}", ofOne(executor::total(part.cycles), part.repeats))
            .str(),
        column);
  os << right_justify(formatv("{0:N}", executor::total(table.cycles)).str(), 12)
     << "\n";
  uint64_t instructions = 0;
  os << left_justify("instructions", first);
  for (const PathPart &part : table.parts) {
    instructions += part.instructions;
    os << right_justify(
        formatv("{0:N}",
                ofOne(static_cast<int64_t>(part.instructions), part.repeats))
            .str(),
        column);
  }
  os << right_justify(formatv("{0:N}", instructions).str(), 12) << "\n";
}

std::string describe(const PathCycles &cycles) {
  std::vector<PathKind> kinds;
  for (PathKind kind : executor::allPathKinds())
    if (cycles[size_t(kind)] != 0)
      kinds.push_back(kind);
  llvm::sort(kinds, [&](PathKind a, PathKind b) {
    return std::tuple(-cycles[size_t(a)], a) <
           std::tuple(-cycles[size_t(b)], b);
  });
  std::string text;
  for (PathKind kind : kinds)
    text += (text.empty() ? "" : ", ") +
            formatv("{0} {1:N}", nameOf(kind), cycles[size_t(kind)]).str();
  return text;
}

/// Every layer or token of a part, in the order of the path.
static void printTrips(raw_ostream &os, const PathPart &part) {
  constexpr size_t inLine = 10;
  os << formatv("the {0}s of the path, one after the other:\n",
                executor::tripOf(part.over));
  for (auto [i, trip] : enumerate(part.trips)) {
    os << right_justify(formatv("{0:N}", executor::total(trip.cycles)).str(),
                        10);
    if (i % inLine == inLine - 1 || i + 1 == part.trips.size())
      os << "\n";
  }
}

void printPath(raw_ostream &os, const executor::CriticalPath &path,
               const image::ImageT &image, size_t most) {
  PathTable table = tabulate(path, image);
  os << "critical path, by what was waited for:\n";
  printKinds(os, table);
  const double all =
      std::max<double>(1, static_cast<double>(executor::total(table.cycles)));
  const bool isShort = most != 0 && most < table.items.size();
  os << (isShort ? formatv("the {0} nodes and collectives with the most cycles "
                           "on it:\n",
                           most)
                       .str()
                 : "nodes and collectives on it:\n");
  size_t count = isShort ? most : table.items.size();
  for (const PathItem &item : ArrayRef(table.items).take_front(count)) {
    int64_t cycles = executor::total(item.cycles);
    std::string trips = formatv("{0:N}", cycles);
    if (item.repeats > 1)
      trips = formatv("{0} x {1:N}", item.repeats, ofOne(cycles, item.repeats));
    os << formatv(
        "{0}{1}  {2}\n", right_justify(trips, 14),
        right_justify(
            formatv("{0:P1}", static_cast<double>(cycles) / all).str(), 8),
        titleOf(item));
    if (most == 0)
      os << std::string(24, ' ') << describe(item.cycles) << "\n";
  }
  for (const PathPart &part : table.parts)
    if (most == 0 && part.trips.size() > 1)
      printTrips(os, part);
  if (path.launch)
    os << formatv("launch{0,10:N}\n", path.launch);
}

static json::Object toJson(const PathCycles &cycles) {
  json::Object object;
  for (PathKind kind : executor::allPathKinds())
    object[nameOf(kind)] = cycles[size_t(kind)];
  return object;
}

json::Object toJson(const executor::CriticalPath &path,
                    const image::ImageT &image, bool withSteps) {
  PathTable table = tabulate(path, image);
  json::Array parts, items;
  for (const PathPart &part : table.parts) {
    StringRef name = executor::tripOf(part.over);
    json::Object object{{"name", name.empty() ? "outside" : name},
                        {"repeats", part.repeats},
                        {"instructions", part.instructions},
                        {"cycles", toJson(part.cycles)}};
    json::Array trips;
    for (const executor::PathTrip &trip : part.trips)
      trips.push_back(json::Object{{"stage", trip.stage},
                                   {"trip", trip.trip},
                                   {"cycles", toJson(trip.cycles)}});
    if (withSteps)
      object["trips"] = std::move(trips);
    parts.push_back(std::move(object));
  }
  for (const PathItem &item : table.items) {
    json::Object object{{"node", json::fixUTF8(item.node)},
                        {"part", static_cast<int64_t>(item.part)},
                        {"repeats", item.repeats},
                        {"times", item.times},
                        {"collective", item.isCollective},
                        {"total", executor::total(item.cycles)},
                        {"cycles", toJson(item.cycles)}};
    if (item.isCollective) {
      object["what"] = item.what;
      object["words"] = item.words;
      object["along"] = item.along;
    }
    items.push_back(std::move(object));
  }
  json::Object object{{"cycles", path.total()},
                      {"launch", path.launch},
                      {"kinds", toJson(table.cycles)},
                      {"parts", std::move(parts)},
                      {"items", std::move(items)}};
  if (!withSteps)
    return object;
  json::Array steps;
  for (const executor::PathStep &step : path.steps) {
    const executor::PathAccount &account = path.accounts[step.account];
    json::Object told{{"begin", step.begin},
                      {"cycles", step.cycles},
                      {"kind", nameOf(step.kind)},
                      {"x", step.x},
                      {"y", step.y},
                      {"region", step.region},
                      {"instruction", step.instruction},
                      {"op", image::EnumNameOpcode(account.op)},
                      {"node", json::fixUTF8(image.names[account.node])}};
    if (step.trip < path.trips.size()) {
      told["stage"] = path.trips[step.trip].stage;
      told["trip"] = path.trips[step.trip].trip;
    }
    steps.push_back(std::move(told));
  }
  object["path"] = std::move(steps);
  return object;
}

} // namespace waferloom::report
