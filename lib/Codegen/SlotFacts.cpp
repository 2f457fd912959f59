#include "SlotFacts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

using core::Window;

static SlotValue join(SlotValue a, SlotValue b) {
  if (a == b)
    return a;
  if (a.kind != b.kind)
    return {};
  switch (a.kind) {
  case SlotValue::AtMost:
  case SlotValue::Before:
    return {a.kind, std::max(a.number, b.number)};
  case SlotValue::Behind:
    return {a.kind, std::min(a.number, b.number)};
  default:
    return {};
  }
}

Fact codegen::join(const Fact &a, const Fact &b) {
  Fact both;
  both.every = ::join(a.every, b.every);
  both.isStale = a.isStale || b.isStale;
  both.origins = a.origins;
  both.origins.insert(b.origins.begin(), b.origins.end());
  if (a.slots == b.slots) {
    both.slots = a.slots;
    both.dead = ::join(a.dead, b.dead);
  } else if (a.isStale != b.isStale) {
    both.slots = (a.isStale ? a : b).slots;
  } // else any of it may be stale, if some is
  return both;
}

Fact Facts::find(const Window &window) const {
  const auto of = known.find(window.buffer.getValue());
  if (of == known.end())
    return {};
  const Pieces &pieces = of->second;
  auto piece = pieces.upper_bound(window.low);
  if (piece != pieces.begin() && std::prev(piece)->second.high > window.low)
    --piece;
  std::optional<Fact> found;
  int64_t end = window.low;
  auto take = [&](const Fact &fact) {
    found = found ? codegen::join(*found, fact) : fact;
  };
  for (; piece != pieces.end() && piece->first < window.high; ++piece) {
    if (piece->first > end)
      take({});
    take(piece->second.fact);
    end = piece->second.high;
  }
  if (end < window.high)
    take({});
  return found.value_or(Fact());
}

void Facts::split(Pieces &pieces, int64_t byte) {
  auto behind = pieces.lower_bound(byte);
  if (behind == pieces.begin())
    return;
  Piece &piece = std::prev(behind)->second;
  if (piece.high <= byte)
    return;
  pieces.emplace_hint(behind, byte, piece);
  piece.high = byte;
}

void Facts::write(const Window &window, const Fact &fact, bool covers) {
  Pieces &pieces = known[window.buffer.getValue()];
  split(pieces, window.low);
  split(pieces, window.high);
  auto piece = pieces.lower_bound(window.low);
  for (int64_t byte = window.low; byte < window.high;) {
    const bool isKnown = piece != pieces.end() && piece->first == byte;
    int64_t end = window.high;
    Fact old;
    if (isKnown) {
      end = piece->second.high;
      old = std::move(piece->second.fact);
      piece = pieces.erase(piece);
    } else if (piece != pieces.end()) {
      end = std::min(end, piece->first);
    }
    Fact now = covers ? fact : codegen::join(old, fact);
    if (!now.isNothing())
      pieces.emplace_hint(piece, byte, Piece{end, std::move(now)});
    byte = end;
  }
}

bool Facts::join(const Facts &other) {
  std::map<StringRef, Pieces> before = known;
  std::set<StringRef> names;
  for (const auto &[name, pieces] : known)
    names.insert(name);
  for (const auto &[name, pieces] : other.known)
    names.insert(name);
  for (StringRef name : names) {
    Pieces &mine = known[name];
    Pieces theirs;
    if (auto of = other.known.find(name); of != other.known.end())
      theirs = of->second;
    std::set<int64_t> bytes;
    for (const Pieces *pieces : {&mine, &theirs})
      for (const auto &[low, piece] : *pieces) {
        bytes.insert(low);
        bytes.insert(piece.high);
      }
    for (int64_t byte : bytes) {
      split(mine, byte);
      split(theirs, byte);
    }
    Pieces both;
    for (int64_t byte : bytes) {
      auto a = mine.find(byte), b = theirs.find(byte);
      if (a == mine.end() && b == theirs.end())
        continue;
      Fact fact = codegen::join(a == mine.end() ? Fact() : a->second.fact,
                                b == theirs.end() ? Fact() : b->second.fact);
      const int64_t high = (a == mine.end() ? b : a)->second.high;
      if (!fact.isNothing())
        both.emplace(byte, Piece{high, std::move(fact)});
    }
    if (both.empty())
      known.erase(name);
    else
      mine = std::move(both);
  }
  return known != before;
}

std::optional<Alignment> codegen::align(core::OperandAttr operand,
                                        const Walk &walk, const Slots &slots) {
  const int64_t period = slots.period();
  auto jumps = [&](int64_t bytes) { return bytes % period != 0; };
  for (size_t i = 1; i < operand.getSteps().size(); i += 2)
    if (jumps(operand.getSteps()[i]))
      return std::nullopt;
  if (jumps(operand.getIndexScale()))
    return std::nullopt;
  const int64_t place = llvm::mod(operand.getBase() - slots.base, period);
  Alignment found{std::nullopt, place / slots.stride};
  // Bytes from the begin of a slot that are touched in it.
  int64_t reach = place % slots.stride + core::bytesOf(operand.getType());
  for (auto [k, extent] : llvm::enumerate(walk.extents)) {
    const int64_t stride = walk.strides[k];
    if (extent == 1 || !jumps(stride))
      continue;
    if (stride == slots.stride && !found.dim) {
      found.dim = k;
      if (found.from + extent > slots.count)
        return std::nullopt;
    } else if (stride > 0 && stride < slots.stride) {
      reach += (extent - 1) * stride;
    } else {
      return std::nullopt;
    }
  }
  if (reach > slots.stride)
    return std::nullopt;
  return found;
}

std::optional<std::pair<unsigned, int64_t>>
codegen::findCut(const Walk &walk, const Slots &slots) {
  for (auto [k, extent] : llvm::enumerate(walk.extents)) {
    const int64_t stride = walk.strides[k];
    int64_t inner = 0;
    if (stride == slots.stride)
      inner = slots.count;
    else if (stride > 0 && stride < slots.stride && slots.stride % stride == 0)
      inner = slots.stride / stride;
    if (inner > 1 && extent > inner && extent % inner == 0)
      return std::pair(static_cast<unsigned>(k), inner);
  }
  return std::nullopt;
}
