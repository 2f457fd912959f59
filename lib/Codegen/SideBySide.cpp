#include "SideBySide.h"

#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using codegen::SideBySide;

SideBySide::SideBySide(core::ProgramOp program) : program(program) {
  llvm::DenseSet<Attribute> bound;
  program.walk([&](core::BindOp bind) { bound.insert(bind.getBufferAttr()); });
  auto found = std::make_shared<Movable>();
  for (auto buffer : program.getBody().getOps<core::BufferOp>()) {
    Attribute name = FlatSymbolRefAttr::get(buffer.getSymNameAttr());
    if (buffer.getUse() != core::Use::scratch || buffer.getAddress() ||
        bound.contains(name))
      continue;
    const auto id = static_cast<unsigned>(found->buffers.size());
    found->byName[name] = id;
    found->buffers.push_back(buffer);
    found->bytes.push_back(static_cast<int64_t>(buffer.getBytes()));
    places.push_back({id, 0});
  }
  movable = std::move(found);
}

std::optional<unsigned> SideBySide::find(FlatSymbolRefAttr name) const {
  auto known = movable->byName.find(name);
  return known == movable->byName.end() ? std::nullopt
                                        : std::optional(known->second);
}

std::pair<int64_t, int64_t> SideBySide::rangeOf(unsigned group) const {
  int64_t begin = std::numeric_limits<int64_t>::max(), end = -begin;
  for (auto [place, bytes] : llvm::zip_equal(places, movable->bytes))
    if (place.group == group) {
      begin = std::min(begin, place.at);
      end = std::max(end, place.at + bytes);
    }
  return {begin, end};
}

std::optional<int64_t> SideBySide::distance(FlatSymbolRefAttr a,
                                            FlatSymbolRefAttr b) const {
  if (a == b)
    return 0;
  std::optional<unsigned> from = find(a), to = find(b);
  if (!from || !to || places[*from].group != places[*to].group)
    return std::nullopt;
  return places[*to].at - places[*from].at;
}

std::optional<int64_t> SideBySide::leastDistance(FlatSymbolRefAttr a,
                                                 FlatSymbolRefAttr b) const {
  std::optional<unsigned> from = find(a), to = find(b);
  if (!from || !to || places[*from].group == places[*to].group)
    return std::nullopt;
  return rangeOf(places[*from].group).second - places[*from].at +
         places[*to].at - rangeOf(places[*to].group).first;
}

bool SideBySide::settle(FlatSymbolRefAttr a, FlatSymbolRefAttr b,
                        int64_t distance) {
  std::optional<unsigned> from = find(a), to = find(b);
  if (!from || !to || distance % 4 != 0)
    return false;
  const Place first = places[*from], second = places[*to];
  if (first.group == second.group)
    return false;
  const int64_t shift = first.at + distance - second.at;
  for (auto [i, mine] : llvm::enumerate(places))
    for (auto [k, other] : llvm::enumerate(places)) {
      if (mine.group != first.group || other.group != second.group)
        continue;
      const int64_t begin = other.at + shift;
      if (begin < mine.at + movable->bytes[i] &&
          mine.at < begin + movable->bytes[k])
        return false;
    }
  for (Place &place : places)
    if (place.group == second.group)
      place = {first.group, place.at + shift};
  return true;
}

void SideBySide::apply() const {
  // By group: the buffer that lies first.
  llvm::DenseMap<unsigned, unsigned> lowest;
  for (auto [id, place] : llvm::enumerate(places)) {
    auto [known, isNew] = lowest.try_emplace(place.group, id);
    if (!isNew && place.at < places[known->second].at)
      known->second = static_cast<unsigned>(id);
  }
  // Names of all that go into another one, and how far behind its begin.
  llvm::DenseMap<Attribute, std::pair<FlatSymbolRefAttr, int64_t>> moved;
  for (auto [id, place] : llvm::enumerate(places)) {
    const unsigned into = lowest.lookup(place.group);
    core::BufferOp buffer = movable->buffers[id],
                   whole = movable->buffers[into];
    if (into == id)
      continue;
    const int64_t offset = place.at - places[into].at;
    moved[FlatSymbolRefAttr::get(buffer.getSymNameAttr())] = {
        FlatSymbolRefAttr::get(whole.getSymNameAttr()), offset};
    const auto [begin, end] = rangeOf(place.group);
    whole.setBytes(static_cast<uint64_t>(end - begin));
  }
  if (moved.empty())
    return;
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](core::OperandAttr operand) {
    auto [buffer, base] =
        moved.lookup_or(operand.getBuffer(), {operand.getBuffer(), 0});
    auto [index, at] = moved.lookup_or(operand.getIndexBuffer(),
                                       {operand.getIndexBuffer(), 0});
    return std::pair(Attribute(core::OperandAttr::get(
                         operand.getContext(), operand.getType(), buffer,
                         operand.getBase() + base, operand.getDense(),
                         operand.getStrides(), operand.getSteps(), index,
                         operand.getIndexAt() + at, operand.getIndexSteps(),
                         operand.getIndexScale(), operand.getIndexCount(),
                         operand.getImmediate(), operand.getBits())),
                     WalkResult::skip());
  });
  core::ProgramOp all = program;
  replacer.recursivelyReplaceElementsIn(all);
  for (auto [id, place] : llvm::enumerate(places))
    if (lowest.lookup(place.group) != id)
      core::BufferOp(movable->buffers[id]).erase();
}
