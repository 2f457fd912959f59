// An entry of a mapping whose name has a star speaks of many collectives: what
// it says of algorithms and roots is for those that have one to choose. One
// that names a collective is honoured or refused.

#include "Pins.h"

#include "waferloom/Mapping/MappingAttr.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::routing;
using collectives::Algorithm;
using collectives::Kind;

FailureOr<Pins> Pins::of(ModuleOp module) {
  FailureOr<mapping::Mapping> mapping = mapping::getMapping(module);
  if (failed(mapping))
    return failure();
  Pins pins;
  pins.mapping = std::move(*mapping);
  return pins;
}

const mapping::Collective *Pins::find(StringRef function, const Collective &c) {
  if (mapping.collectives.empty())
    return nullptr;
  const bool alongX = c.direction == Direction::X;
  name = names.next(function, mapping::nodeOf(c.loc), alongX);
  return mapping::find(mapping.collectives, name, alongX);
}

InFlightDiagnostic Pins::refuse(const Collective &c, unsigned line,
                                StringRef name) {
  InFlightDiagnostic diag =
      emitError(mapping::locate(c.loc.getContext(), mapping, line));
  diag << "the collective at '" << name << "' along "
       << (c.direction == Direction::X ? "x" : "y") << " ";
  return diag;
}

LogicalResult Pins::setRoot(const mapping::Collective &entry, Collective &c,
                            StringRef name) {
  if (!entry.root)
    return success();
  const int64_t root = *entry.root;
  if (root >= int64_t(c.line.length))
    return refuse(c, entry.root.line, name)
           << "is over " << c.line.length << " PEs and has no PE " << root
           << " to be its root: say 0 to " << c.line.length - 1 << ", or auto";
  if (c.freeRoot)
    c.request.root = static_cast<unsigned>(root);
  else if (root != int64_t(c.request.root) &&
           !StringRef(*entry.at).contains('*'))
    return refuse(c, entry.root.line, name)
           << "ends where its value is needed, at PE " << c.request.root
           << ", not " << root << ": say auto";
  return success();
}

LogicalResult Pins::refuseAlgorithm(const mapping::Collective &entry,
                                    const Collective &c, StringRef name,
                                    StringRef algorithm) {
  SmallVector<StringRef> known;
  for (Algorithm each : collectives::algorithms())
    if (each != Algorithm::Ring)
      known.push_back(collectives::nameOf(each));
  return refuse(c, entry.algorithm.line, name)
         << "cannot go by '" << algorithm << "'; there are "
         << llvm::join(known, ", ") << ", auto";
}

LogicalResult Pins::setAlgorithm(const mapping::Collective &entry,
                                 Collective &c, StringRef name,
                                 const collectives::Costs &costs) {
  if (!entry.algorithm) {
    for (const auto *field : {&entry.group, &entry.levels})
      if (*field)
        return refuse(c, field->line, name)
               << "has groups or levels of no algorithm: say algorithm, too";
    return success();
  }
  const bool isPattern = StringRef(*entry.at).contains('*');
  if (c.request.kind == Kind::Broadcast && isPattern)
    return success();
  std::string why;
  for (const std::string &each : *entry.algorithm) {
    auto algorithm = collectives::parseAlgorithm(each);
    if (!algorithm || *algorithm == Algorithm::Auto ||
        *algorithm == Algorithm::Ring)
      return refuseAlgorithm(entry, c, name, each);
    collectives::Request request = c.request;
    request.algorithm = *algorithm;
    auto sizeOf = [](const mapping::Field<int64_t> &field) {
      return static_cast<unsigned>(
          std::min<int64_t>(field.value.value_or(0), INT32_MAX));
    };
    // Of several, each takes what it has.
    const bool isOne = entry.algorithm->size() == 1;
    if (isOne || collectives::hasGroups(*algorithm))
      request.group = sizeOf(entry.group);
    if (isOne || collectives::levelsOf(*algorithm))
      request.levels = sizeOf(entry.levels);
    llvm::Expected<collectives::CollectivePlan> solved =
        collectives::solve(c.line, request, costs);
    if (!solved) {
      why = llvm::toString(solved.takeError());
      continue;
    }
    c.request.algorithm = *algorithm;
    c.request.group = solved->group;
    c.request.levels = solved->levels;
    return success();
  }
  return refuse(c, entry.algorithm.line, name)
         << "over " << c.line.length << " PEs cannot go so: " << why;
}

LogicalResult Pins::choose(StringRef function, Collective &c,
                           const collectives::Costs &costs) {
  const mapping::Collective *entry = find(function, c);
  if (!entry)
    return success();
  if (entry->words && *entry->words != int64_t(c.request.words))
    return refuse(c, entry->words.line, name)
           << "has " << c.request.words << " words, not " << *entry->words
           << ": layouts or rewrites are others than those it was written for";
  if (failed(setRoot(*entry, c, name)))
    return failure();
  return setAlgorithm(*entry, c, name, costs);
}

void Pins::color(StringRef function, Collective &c) {
  const mapping::Collective *entry = find(function, c);
  if (!entry || !entry->color)
    return;
  c.color = static_cast<unsigned>(std::min<int64_t>(*entry->color, INT32_MAX));
  c.colorFrom = mapping::locate(c.loc.getContext(), mapping, entry->color.line);
}
