//===- Ranges.cpp - What is provable for every position -------------------===//
//
// Signs are decided for all 0 <= p <= maxPosition at once, from the places
// where a polynomial in p can be smallest or largest. Bounds of an expression
// are polynomials in p again, so that "d1 <= p + n - 1" is known as such and
// not only at the largest p.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <limits>

using namespace waferloom::import;

/// The value at one p, saturating at the ends of 64 bits.
int64_t Arithmetic::evaluate(Expr polynomial, int64_t p) {
  constexpr __int128 limit = std::numeric_limits<int64_t>::max();
  __int128 sum = 0;
  for (const Term &term : polynomial->terms) {
    __int128 value = term.coefficient;
    for (size_t i = 0; i < term.atoms.size(); ++i) {
      value *= p;
      value = std::min(std::max(value, -limit), limit);
    }
    sum += value;
  }
  return static_cast<int64_t>(std::min(std::max(sum, -limit), limit));
}

/// Positions at which a polynomial can be smallest or largest: the ends, and
/// both sides of the vertex of a square. Empty for higher powers.
static llvm::SmallVector<int64_t, 4> extremes(Expr polynomial,
                                              int64_t maxPosition) {
  int64_t linear = 0, square = 0;
  for (const Term &term : polynomial->terms) {
    if (term.atoms.size() > 2)
      return {};
    if (term.atoms.size() == 2)
      square = term.coefficient;
    if (term.atoms.size() == 1)
      linear = term.coefficient;
  }
  llvm::SmallVector<int64_t, 4> points{0, maxPosition};
  if (square != 0) {
    double vertex = -static_cast<double>(linear) / (2.0 * square);
    for (double side : {std::floor(vertex), std::ceil(vertex)})
      if (side > 0 && side < static_cast<double>(maxPosition))
        points.push_back(static_cast<int64_t>(side));
  }
  return points;
}

/// The sum of what each term is at least (at most): a bound for any power, and
/// exact where all coefficients have one sign.
static int64_t boundByTerms(Expr polynomial, int64_t maxPosition, bool lowest) {
  constexpr __int128 limit = std::numeric_limits<int64_t>::max();
  __int128 sum = 0;
  for (const Term &term : polynomial->terms) {
    __int128 value = term.coefficient;
    for (size_t i = 0; i < term.atoms.size(); ++i)
      value = std::min(std::max(value * maxPosition, -limit), limit);
    bool atZero = !term.atoms.empty() && (value < 0) != lowest;
    sum += atZero ? 0 : value;
  }
  return static_cast<int64_t>(std::min(std::max(sum, -limit), limit));
}

int64_t Arithmetic::lowest(Expr polynomial) {
  auto points = extremes(polynomial, maxPosition);
  if (points.empty())
    return boundByTerms(polynomial, maxPosition, /*lowest=*/true);
  int64_t result = std::numeric_limits<int64_t>::max();
  for (int64_t p : points)
    result = std::min(result, evaluate(polynomial, p));
  return result;
}

int64_t Arithmetic::highest(Expr polynomial) {
  auto points = extremes(polynomial, maxPosition);
  if (points.empty())
    return boundByTerms(polynomial, maxPosition, /*lowest=*/false);
  int64_t result = std::numeric_limits<int64_t>::min();
  for (int64_t p : points)
    result = std::max(result, evaluate(polynomial, p));
  return result;
}

/// The smaller (larger) of two polynomials in p, if one is so for every p.
Expr Arithmetic::pick(Expr a, Expr b, bool smaller) {
  if (!a || !b)
    return nullptr;
  Expr difference = sub(a, b);
  if (lowest(difference) >= 0)
    return smaller ? b : a;
  if (highest(difference) <= 0)
    return smaller ? a : b;
  return nullptr;
}

std::pair<Expr, Expr> Arithmetic::atomBounds(Expr atom) {
  switch (atom->kind) {
  case ExprKind::Dim:
    if (static_cast<size_t>(atom->payload) < dims.size())
      return {constant(0), add(dims[atom->payload], -1)};
    return {constant(0), nullptr};
  case ExprKind::Mod:
    if (dependsOnPositionOnly(atom->args[1]) && lowest(atom->args[1]) > 0)
      return {constant(0), add(atom->args[1], -1)};
    return {nullptr, nullptr};
  case ExprKind::FloorDiv: {
    auto [low, high] = bounds(atom->args[0]);
    auto by = [&](Expr bound) -> Expr {
      auto parts = bound ? floorDivMod(bound, atom->args[1]) : std::nullopt;
      return parts ? parts->first : nullptr;
    };
    return atom->args[1]->constant() ? std::pair(by(low), by(high))
                                     : std::pair<Expr, Expr>();
  }
  case ExprKind::IntWhere: {
    auto a = bounds(atom->args[1]), b = bounds(atom->args[2]);
    return {pick(a.first, b.first, true), pick(a.second, b.second, false)};
  }
  case ExprKind::Max: {
    auto a = bounds(atom->args[0]), b = bounds(atom->args[1]);
    Expr low = a.first && b.first ? pick(a.first, b.first, false)
               : a.first          ? a.first
                                  : b.first;
    return {low, pick(a.second, b.second, false)};
  }
  case ExprKind::Min: {
    auto a = bounds(atom->args[0]), b = bounds(atom->args[1]);
    Expr high = a.second && b.second ? pick(a.second, b.second, true)
                : a.second           ? a.second
                                     : b.second;
    return {pick(a.first, b.first, true), high};
  }
  case ExprKind::Abs:
    return {constant(0), nullptr};
  case ExprKind::IntRead: {
    const ReadTensor &source = reads[atom->payload];
    return {source.low ? constant(*source.low) : nullptr,
            source.high ? constant(*source.high) : nullptr};
  }
  default:
    return {nullptr, nullptr};
  }
}

std::pair<Expr, Expr> Arithmetic::bounds(Expr integer) {
  if (knownDims != dims) {
    knownDims = dims;
    knownBounds.clear();
  }
  auto known = knownBounds.find(integer);
  if (known != knownBounds.end())
    return known->second;
  auto result = computeBounds(integer);
  knownBounds[integer] = result;
  return result;
}

std::pair<Expr, Expr> Arithmetic::computeBounds(Expr integer) {
  Expr low = constant(0), high = constant(0);
  for (const Group &group : groupByAtoms(integer)) {
    Expr c = group.coefficient;
    if (group.atoms.empty()) {
      low = low ? add(low, c) : nullptr;
      high = high ? add(high, c) : nullptr;
      continue;
    }
    Expr groupLow = constant(1), groupHigh = constant(1);
    for (Expr atom : group.atoms) {
      auto [l, h] = atomBounds(atom);
      // The bounds of a product need factors that are not negative.
      if (group.atoms.size() > 1 && (!l || lowest(l) < 0))
        l = h = nullptr;
      groupLow = groupLow && l ? mul(groupLow, l) : nullptr;
      groupHigh = groupHigh && h ? mul(groupHigh, h) : nullptr;
    }
    if (lowest(c) < 0) {
      std::swap(groupLow, groupHigh);
      if (highest(c) > 0)
        groupLow = groupHigh = nullptr;
    }
    low = low && groupLow ? add(low, mul(c, groupLow)) : nullptr;
    high = high && groupHigh ? add(high, mul(c, groupHigh)) : nullptr;
  }
  return {low, high};
}

bool Arithmetic::provablyNonNegative(Expr integer) {
  Expr low = bounds(integer).first;
  return low && lowest(low) >= 0;
}

bool Arithmetic::provablyNonPositive(Expr integer) {
  Expr high = bounds(integer).second;
  return high && highest(high) <= 0;
}
