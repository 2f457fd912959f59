// Nodes have one name in all programs of a model. Collectives are taken for the
// same by node and direction: their words and their number depend on layouts.

#include "waferloom/Report/Compare.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <map>

using namespace llvm;

namespace waferloom::report {

static std::string shortTitle(const PathItem &item) {
  std::string title = item.node.empty() ? "(of no node)" : item.node;
  if (!item.isCollective)
    return title;
  title += ": sums";
  return item.along.empty() ? title : title + " along " + item.along;
}

std::vector<Difference> compare(const PathTable &one, const PathTable &other) {
  std::map<std::string, Difference> byTitle;
  const PathTable *tables[] = {&one, &other};
  for (auto [side, table] : enumerate(tables))
    for (const PathItem &item : table->items) {
      std::string title = shortTitle(item);
      Difference &difference = byTitle[title];
      difference.title = title;
      difference.cycles[side] += executor::total(item.cycles);
    }
  std::vector<Difference> all;
  for (auto &[title, difference] : byTitle)
    all.push_back(std::move(difference));
  auto rank = [](const Difference &d) {
    return std::pair(-std::abs(d.cycles[1] - d.cycles[0]), StringRef(d.title));
  };
  llvm::sort(all, [&](const Difference &a, const Difference &b) {
    return rank(a) < rank(b);
  });
  return all;
}

static void printRow(raw_ostream &os, StringRef title, int64_t one,
                     int64_t other) {
  const int64_t more = other - one;
  os << formatv(
      "{0,14:N} {1,14:N} {2}  {3}\n", one, other,
      right_justify(formatv("{0}{1:N}", more > 0 ? "+" : "", more).str(), 12),
      title);
}

void printComparison(raw_ostream &os, StringRef oneName, const PathTable &one,
                     StringRef otherName, const PathTable &other, size_t most) {
  os << right_justify(oneName, 14) << " " << right_justify(otherName, 14) << " "
     << right_justify("more", 12) << "  cycles of a step\n";
  printRow(os, "counted", executor::total(one.cycles),
           executor::total(other.cycles));
  for (executor::PathKind kind : executor::allPathKinds()) {
    const int64_t a = one.cycles[size_t(kind)], b = other.cycles[size_t(kind)];
    if (a || b)
      printRow(os, ("  " + executor::nameOf(kind)).str(), a, b);
  }
  os << "where they differ most, on their critical paths:\n";
  const std::vector<Difference> all = compare(one, other);
  for (const Difference &difference : ArrayRef(all).take_front(most))
    if (difference.cycles[0] != difference.cycles[1])
      printRow(os, difference.title, difference.cycles[0],
               difference.cycles[1]);
}

json::Array toJson(ArrayRef<Difference> differences) {
  json::Array list;
  for (const Difference &difference : differences)
    list.push_back(json::Object{
        {"what", json::fixUTF8(difference.title)},
        {"cycles", json::Array{difference.cycles[0], difference.cycles[1]}}});
  return list;
}

} // namespace waferloom::report
