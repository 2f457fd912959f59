// Which algorithm: the cheapest by closed form among those whose colors fit.

#include "Algorithms.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/ErrorHandling.h"

#include <utility>

using namespace waferloom::collectives;
using llvm::Error;
using llvm::Expected;

static constexpr std::pair<Kind, llvm::StringLiteral> kindNames[] = {
    {Kind::Reduce, "reduce"},
    {Kind::AllReduce, "all-reduce"},
    {Kind::Broadcast, "broadcast"}};
static constexpr std::pair<Combiner, llvm::StringLiteral> combinerNames[] = {
#define COMBINER(name, text, opcode) {Combiner::name, text},
#include "waferloom/Collectives/Combiners.def"
};

template <typename Table, typename Value>
static llvm::StringRef nameIn(const Table &table, Value value) {
  for (const auto &[known, name] : table)
    if (known == value)
      return name;
  return "?";
}

template <typename Value, typename Table>
static std::optional<Value> valueIn(const Table &table, llvm::StringRef name) {
  for (const auto &[value, known] : table)
    if (known == name)
      return value;
  return std::nullopt;
}

llvm::StringRef waferloom::collectives::nameOf(Kind kind) {
  return nameIn(kindNames, kind);
}
llvm::StringRef waferloom::collectives::nameOf(Combiner combiner) {
  return nameIn(combinerNames, combiner);
}
waferloom::image::Opcode waferloom::collectives::opcodeOf(Combiner combiner) {
  switch (combiner) {
#define COMBINER(name, text, opcode)                                           \
  case Combiner::name:                                                         \
    return image::Opcode::opcode;
#include "waferloom/Collectives/Combiners.def"
  }
  llvm_unreachable("every combiner is in the list");
}
std::optional<Kind> waferloom::collectives::parseKind(llvm::StringRef name) {
  return valueIn<Kind>(kindNames, name);
}
static constexpr unsigned longestLine = 8192;

template <typename... Values>
static Error refuse(const char *format, Values... values) {
  return llvm::createStringError(std::errc::invalid_argument, format,
                                 values...);
}

unsigned waferloom::collectives::colors(const Line &line,
                                        const Request &request,
                                        const Costs &costs) {
  if (line.length < 2)
    return 0;
  if (request.kind == Kind::Broadcast)
    return line.stride;
  const Rules &rules = rulesOf(request.algorithm);
  const bool multicast =
      request.kind == Kind::AllReduce && !rules.wholeAllReduce;
  return rules.colors(line, request, costs) + (multicast ? line.stride : 0);
}

Error waferloom::collectives::check(const Line &line, const Request &request,
                                    const Costs &costs) {
  if (!line.length || !line.stride || !line.segments)
    return refuse("a line of %u PEs, stride %u, %u segments has no PE",
                  line.length, line.stride, line.segments);
  if (line.extent() > longestLine)
    return refuse("a line of %llu PEs is longer than any wafer (limit %u)",
                  static_cast<unsigned long long>(line.extent()), longestLine);
  if (request.root >= line.length)
    return refuse("root %u is outside a line of %u PEs", request.root,
                  line.length);
  if (request.words == 0)
    return refuse("a collective of 0 words: give it at least 1");
  if (request.kind == Kind::Broadcast && request.algorithm != Algorithm::Auto &&
      request.algorithm != Algorithm::Chain)
    return refuse("a %s is one multicast and has no algorithm '%s': use "
                  "auto",
                  nameOf(request.kind).data(),
                  nameOf(request.algorithm).data());
  if (request.algorithm != Algorithm::Auto &&
      rulesOf(request.algorithm).neighboursOnly && line.stride > 1)
    return refuse("'%s' needs neighbouring PEs but these are %u apart: use "
                  "chain or star",
                  nameOf(request.algorithm).data(), line.stride);
  if (request.group && !hasGroups(request.algorithm))
    return refuse("'%s' has no groups: leave out the group size %u",
                  nameOf(request.algorithm).data(), request.group);
  if (hasGroups(request.algorithm) &&
      rulesOf(request.algorithm).group == Rules::Group::Pes &&
      request.group > line.length)
    return refuse("groups of %u PEs do not fit a line of %u", request.group,
                  line.length);
  const unsigned mostLevels = levelsOf(request.algorithm);
  if (request.levels > mostLevels)
    return mostLevels
               ? refuse("'%s' has at most %u levels, not %u",
                        nameOf(request.algorithm).data(), mostLevels,
                        request.levels)
               : refuse("'%s' has no levels: leave out the %u",
                        nameOf(request.algorithm).data(), request.levels);
  if (request.algorithm != Algorithm::Auto &&
      rulesOf(request.algorithm).wholeAllReduce &&
      (request.kind != Kind::AllReduce || line.length < 3))
    return refuse("'%s' does an all-reduce of at least 3 PEs, but this is %s "
                  "of %u: use chain",
                  nameOf(request.algorithm).data(), nameOf(request.kind).data(),
                  line.length);
  Request least = request;
  if (least.algorithm == Algorithm::Auto)
    least.algorithm = Algorithm::Chain;
  if (unsigned needed = colors(line, least, costs); needed > costs.colors)
    return refuse("'%s' over PEs %u apart needs %u colors of %u that are left: "
                  "make this the minor factor of its axis",
                  nameOf(least.algorithm).data(), line.stride, needed,
                  costs.colors);
  return Error::success();
}

/// `auto` becomes the cheapest; ties go to the first.
static Request chosen(const Line &line, Request request, const Costs &costs) {
  if (request.kind == Kind::Broadcast)
    request.algorithm = Algorithm::Chain;
  if (request.algorithm != Algorithm::Auto)
    return request;
  Request best = request;
  best.algorithm = Algorithm::Chain;
  for (Algorithm algorithm : candidates(line)) {
    Request other = request;
    other.algorithm = algorithm;
    if (colors(line, other, costs) <= costs.colors &&
        cycles(line, other, costs) < cycles(line, best, costs))
      best = other;
  }
  return best;
}

Expected<CollectivePlan> waferloom::collectives::solve(const Line &line,
                                                       const Request &asked,
                                                       const Costs &costs) {
  if (Error error = check(line, asked, costs))
    return std::move(error);
  Request request = chosen(line, asked, costs);
  Segment segment(line, request);
  const Rules &rules = rulesOf(request.algorithm);
  const bool reduces = request.kind != Kind::Broadcast;
  if (reduces && rules.fillIn)
    rules.fillIn(line, request, costs);
  if (reduces)
    rules.solve(segment, request, costs);
  if (request.kind == Kind::Broadcast ||
      (request.kind == Kind::AllReduce && !rules.wholeAllReduce))
    multicast(segment);
  CollectivePlan plan = compress(line, std::move(segment));
  plan.algorithm = request.algorithm;
  plan.group = reduces ? request.group : 0;
  plan.levels = reduces ? request.levels : 0;
  plan.routesCountWords = reduces && rules.countsWords;
  if (Error error = verify(line, request, plan))
    return std::move(error);
  return plan;
}
