// Accounts of a step, summed for readers. The image says which loops are over
// layers or tokens; other loops walk over the elements of one node.

#include "waferloom/Report/Cycles.h"
#include "waferloom/Image/Programs.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>
#include <numeric>

using namespace llvm;

namespace waferloom::report {

constexpr size_t waits = kinds.size() - 1;

uint64_t total(const ByKind &cycles) {
  return std::accumulate(cycles.begin(), cycles.end(), uint64_t(0));
}

static size_t kindOf(const executor::Account &account) {
  return image::isStream(account.op) ? 2 : account.product ? 0 : 1;
}

std::vector<Part> partsOf(ArrayRef<executor::Account> accounts) {
  std::map<uint32_t, image::LoopOver> loops;
  for (const executor::Account &account : accounts)
    if (account.over != image::LoopOver::nothing)
      loops[account.loop] = account.over;
  std::map<uint32_t, size_t> partOf;
  std::vector<Part> parts;
  for (auto [loop, over] : loops) {
    partOf[loop] = parts.size();
    parts.emplace_back().over = over;
  }
  const size_t outside = parts.size();
  parts.emplace_back();
  std::vector<MapVector<StringRef, ByKind>> byNode(parts.size());
  for (const executor::Account &account : accounts) {
    auto it = partOf.find(account.loop);
    size_t index = it == partOf.end() ? outside : it->second;
    if (index != outside)
      parts[index].repeats = account.repeats;
    ByKind &node = byNode[index][account.node];
    for (ByKind *sum : {&parts[index].cycles, &node}) {
      (*sum)[kindOf(account)] += account.busy;
      (*sum)[waits] += account.wait;
    }
  }
  for (auto [part, list] : zip_equal(parts, byNode))
    for (auto &[name, cycles] : list)
      part.nodes.emplace_back(name.str(), cycles);
  return parts;
}

static uint64_t busyOf(const executor::StageResult &stage) {
  uint64_t busy = 0;
  for (const executor::Account &account : stage.accounts)
    busy += account.busy;
  return busy;
}

std::vector<size_t> stagesToShow(ArrayRef<executor::StageResult> stages) {
  if (stages.size() < 2)
    return std::vector<size_t>(stages.size());
  size_t busiest = 1;
  for (size_t i = 2; i < stages.size(); ++i)
    if (busyOf(stages[i]) > busyOf(stages[busiest]))
      busiest = i;
  return {0, busiest};
}

std::string titleOf(size_t stage, size_t count) {
  if (count < 2)
    return "";
  return formatv("stage {0} of 0 to {1}", stage, count - 1);
}

StringRef tripOf(const Part &part) { return executor::tripOf(part.over); }

std::string outsideOf(ArrayRef<Part> parts) {
  std::string over;
  for (const Part &part : parts)
    if (StringRef trip = tripOf(part);
        !trip.empty() && !StringRef(over).contains(trip))
      over += (over.empty() ? "" : " and ") + trip.str() + "s";
  return "outside of " + (over.empty() ? "layers" : over);
}

static std::string nameOf(const Part &part, ArrayRef<Part> parts) {
  StringRef trip = tripOf(part);
  return trip.empty() ? outsideOf(parts)
                      : formatv("one of {0} {1}s", part.repeats, trip).str();
}

/// Of one trip, rounded.
static uint64_t ofOne(uint64_t cycles, const Part &part) {
  return (cycles + part.repeats / 2) / part.repeats;
}

static void printStage(raw_ostream &os, const executor::StageResult &stage) {
  std::vector<Part> parts = partsOf(stage.accounts);
  ByKind all = {};
  os << std::string(18, ' ');
  for (const Part &part : parts) {
    os << right_justify(nameOf(part, parts), 20);
    for (size_t kind = 0; kind < kinds.size(); ++kind)
      all[kind] += part.cycles[kind];
  }
  os << right_justify("of all", 14) << "\n";
  const double sum = std::max<double>(1, static_cast<double>(total(all)));
  for (size_t kind = 0; kind < kinds.size(); ++kind) {
    os << left_justify(kinds[kind], 18);
    for (const Part &part : parts)
      os << right_justify(
          formatv("{0:N}", ofOne(part.cycles[kind], part)).str(), 20);
    double share = static_cast<double>(all[kind]) / sum;
    os << right_justify(formatv("{0:P1}", share).str(), 14);
    if (auto marks = static_cast<size_t>(40 * share + 0.5))
      os << "  " << std::string(marks, '#');
    os << "\n";
  }
  os << left_justify("cycles", 18);
  for (const Part &part : parts)
    os << right_justify(formatv("{0:N}", ofOne(total(part.cycles), part)).str(),
                        20);
  os << right_justify(formatv("{0:N}", total(all)).str(), 14) << "\n";
}

void printCycles(raw_ostream &os, ArrayRef<executor::StageResult> stages) {
  for (size_t index : stagesToShow(stages)) {
    const executor::StageResult &stage = stages[index];
    if (stages.size() > 1)
      os << formatv("{0}{1}, at the core that ends last, ({2}, {3}):\n",
                    titleOf(index, stages.size()),
                    index ? ", the busiest but 0" : "", stage.x, stage.y);
    printStage(os, stage);
  }
}

json::Array toJson(ArrayRef<executor::StageResult> stages) {
  json::Array list;
  for (const executor::StageResult &stage : stages) {
    json::Array parts;
    for (const Part &part : partsOf(stage.accounts)) {
      json::Object cycles;
      for (size_t kind = 0; kind < kinds.size(); ++kind)
        cycles[kinds[kind]] = part.cycles[kind];
      parts.push_back(json::Object{
          {"name", tripOf(part).empty() ? "outside" : tripOf(part)},
          {"repeats", part.repeats},
          {"cycles", std::move(cycles)}});
    }
    list.push_back(json::Object{{"x", stage.x},
                                {"y", stage.y},
                                {"cycles", stage.cycles},
                                {"parts", std::move(parts)}});
  }
  return list;
}

static std::string worthOf(const image::RewriteT &rewrite,
                           std::optional<uint64_t> step) {
  switch (rewrite.worth) {
  case image::Worth::unused:
    return "0 cycles: it changes nothing here";
  case image::Worth::unfit:
    return "not known: without it the programs do not fit the region";
  case image::Worth::left_out:
    return "left out";
  case image::Worth::measured:
    break;
  }
  std::string text = formatv("{0:N} cycles", rewrite.cycles);
  double without = static_cast<double>(step.value_or(0)) +
                   static_cast<double>(rewrite.cycles);
  if (step && without > 0)
    text += formatv(", {0:P1} of a step without it",
                    static_cast<double>(rewrite.cycles) / without);
  return text;
}

std::string describe(const executor::SharedLinks &links) {
  auto name = [](const std::string &node) {
    return node.empty() ? std::string("a router") : "'" + node + "'";
  };
  return formatv("colors {0} and {1}, words of {2} and {3}, {4} links from "
                 "({5}, {6}) {7}",
                 unsigned(links.colors[0]), unsigned(links.colors[1]),
                 name(links.nodes[0]), name(links.nodes[1]), links.links,
                 links.x, links.y, image::EnumNameSide(links.side))
      .str();
}

void printSharedLinks(raw_ostream &os, const executor::StepResult &step,
                      size_t most) {
  if (!step.sharedLinkCycles) {
    os << "shared link cycles: not known, too many words to write down; none "
          "waits for a link\n";
    return;
  }
  os << formatv("{0:N} shared link cycles{1}\n", *step.sharedLinkCycles,
                *step.sharedLinkCycles == 0 ? ""
                : step.linksArbitrated
                    ? ", the words that wait are counted with"
                    : ", no word waits for those of another exchange group");
  ArrayRef<executor::SharedLinks> pairs = step.sharedLinks;
  for (const executor::SharedLinks &links : pairs.take_front(most))
    os << formatv("  {0,12:N}  {1}\n", links.cycles, describe(links));
  if (pairs.size() > most)
    os << formatv("  ({0} more)\n", pairs.size() - most);
}

json::Value sharedLinksToJson(const executor::StepResult &step) {
  if (!step.sharedLinkCycles)
    return nullptr;
  json::Array pairs;
  for (const executor::SharedLinks &links : step.sharedLinks)
    pairs.push_back(
        json::Object{{"colors", json::Array{links.colors[0], links.colors[1]}},
                     {"nodes", json::Array{links.nodes[0], links.nodes[1]}},
                     {"cycles", links.cycles},
                     {"links", links.links},
                     {"x", links.x},
                     {"y", links.y},
                     {"side", image::EnumNameSide(links.side)}});
  return json::Object{{"cycles", *step.sharedLinkCycles},
                      {"arbitrated", step.linksArbitrated},
                      {"pairs", std::move(pairs)}};
}

std::vector<std::string> rewriteLines(const image::ImageT &image,
                                      std::optional<uint64_t> step) {
  if (image.rewrites.empty())
    return {"rewrites: 'waferloom compile --measure-rewrites' tells what each "
            "saves"};
  std::vector<std::string> lines = {
      formatv("rewrites, and what each saves in a step of {0}:",
              image.entries.front()->name)};
  for (const auto &rewrite : image.rewrites)
    lines.push_back(
        formatv("  {0,-18}{1}", rewrite->name, worthOf(*rewrite, step)));
  return lines;
}

json::Array rewritesToJson(const image::ImageT &image) {
  json::Array list;
  for (const auto &rewrite : image.rewrites)
    list.push_back(json::Object{{"name", rewrite->name},
                                {"worth", image::EnumNameWorth(rewrite->worth)},
                                {"cycles", rewrite->cycles}});
  return list;
}

} // namespace waferloom::report
