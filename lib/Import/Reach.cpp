//===- Reach.cpp - What the last token has a part in ----------------------===//

#include "Reach.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

void import::forEach(ArrayRef<int64_t> extents,
                     llvm::function_ref<void(ArrayRef<int64_t>)> visit) {
  Index index(extents.size(), 0);
  if (llvm::is_contained(extents, 0))
    return;
  while (true) {
    visit(index);
    size_t d = extents.size();
    while (d > 0 && ++index[d - 1] == extents[d - 1])
      index[--d] = 0;
    if (d == 0)
      return;
  }
}

void Field::shrink() {
  for (size_t dim = 0; dim < extents.size(); ++dim) {
    if (extents[dim] == 1)
      continue;
    bool isAlike = true;
    forEach(extents, [&](ArrayRef<int64_t> index) {
      Index first(index);
      first[dim] = 0;
      isAlike &= at(index) == at(first);
    });
    if (!isAlike)
      continue;
    Index fewer = extents;
    fewer[dim] = 1;
    Field shrunk(fewer);
    forEach(fewer,
            [&](ArrayRef<int64_t> index) { shrunk.at(index) = at(index); });
    *this = std::move(shrunk);
  }
}

static Element either(const Element &a, const Element &b) {
  Element result{a.depends || b.depends, std::nullopt};
  if (a.number && b.number && *a.number == *b.number)
    result.number = a.number;
  return result;
}

static bool holds(arith::CmpIPredicate predicate, double a, double b) {
  using Predicate = arith::CmpIPredicate;
  switch (predicate) {
  case Predicate::eq:
    return a == b;
  case Predicate::ne:
    return a != b;
  case Predicate::slt:
  case Predicate::ult:
    return a < b;
  case Predicate::sle:
  case Predicate::ule:
    return a <= b;
  case Predicate::sgt:
  case Predicate::ugt:
    return a > b;
  case Predicate::sge:
  case Predicate::uge:
    return a >= b;
  }
  return false;
}

/// The number that an op makes of numbers; none: not followed.
static std::optional<double> compute(Operation *op, ArrayRef<double> x) {
  using Number = std::optional<double>;
  return llvm::TypeSwitch<Operation *, Number>(op)
      .Case<arith::AddIOp, arith::AddFOp>([&](auto) { return x[0] + x[1]; })
      .Case<arith::SubIOp, arith::SubFOp>([&](auto) { return x[0] - x[1]; })
      .Case<arith::MulIOp, arith::MulFOp>([&](auto) { return x[0] * x[1]; })
      .Case<arith::FloorDivSIOp>([&](auto) {
        return x[1] == 0 ? Number() : Number(std::floor(x[0] / x[1]));
      })
      .Case<arith::AndIOp>([&](auto) { return Number(x[0] && x[1]); })
      .Case<arith::OrIOp>([&](auto) { return Number(x[0] || x[1]); })
      .Case<arith::MinSIOp, arith::MinimumFOp>(
          [&](auto) { return std::min(x[0], x[1]); })
      .Case<arith::MaxSIOp, arith::MaximumFOp>(
          [&](auto) { return std::max(x[0], x[1]); })
      .Case<arith::CmpIOp>([&](arith::CmpIOp compare) {
        return Number(holds(compare.getPredicate(), x[0], x[1]));
      })
      .Case<arith::SIToFPOp, arith::UIToFPOp, arith::ExtFOp, arith::TruncFOp,
            arith::ExtUIOp>([&](auto) { return x[0]; })
      .Case<arith::NegFOp>([&](auto) { return -x[0]; })
      .Case<math::ExpOp>([&](auto) { return std::exp(x[0]); })
      .Default([](Operation *) { return Number(); });
}

/// What one operand decides alone; none: nothing.
static std::optional<Element> decide(Operation *op, ArrayRef<Element> x) {
  const auto absorbs = [&](auto test, double number) -> std::optional<Element> {
    for (const Element &element : x)
      if (test(element))
        return Element{false, number};
    return std::nullopt;
  };
  const auto isZero = [](const Element &e) { return e.isZero(); };
  const auto isHidden = [](const Element &e) { return e.isHidden(); };
  constexpr double hidden = -HUGE_VAL;
  if (isa<arith::MulFOp, arith::MulIOp, arith::AndIOp>(op))
    return absorbs(isZero, 0);
  if (isa<arith::AddFOp>(op))
    return absorbs(isHidden, hidden);
  if (isa<arith::SubFOp, arith::DivFOp>(op) && x[0].isHidden())
    return Element{false, hidden};
  if (isa<arith::DivFOp>(op) && x[0].isZero())
    return x[0];
  if (isa<arith::OrIOp>(op))
    return absorbs([](const Element &e) { return e.number && !e.isZero(); }, 1);
  if (isa<arith::MaximumFOp, arith::MaxNumFOp>(op) &&
      x[0].isHidden() != x[1].isHidden())
    return x[0].isHidden() ? x[1] : x[0];
  return std::nullopt;
}

Element import::apply(Operation *op, ArrayRef<Element> x) {
  if (isa<arith::SelectOp>(op)) {
    if (x[0].number)
      return x[0].isZero() ? x[2] : x[1];
    Element both = either(x[1], x[2]);
    both.depends |= x[0].depends;
    return both;
  }
  if (std::optional<Element> decided = decide(op, x))
    return *decided;
  Element result;
  SmallVector<double> numbers;
  for (const Element &element : x) {
    result.depends |= element.depends;
    if (element.number)
      numbers.push_back(*element.number);
  }
  if (numbers.size() == x.size() && !x.empty())
    result.number = compute(op, numbers);
  return result;
}

Element import::numberOf(Attribute value) {
  if (auto real = dyn_cast<FloatAttr>(value))
    return {false, real.getValueAsDouble()};
  if (auto integer = dyn_cast<IntegerAttr>(value))
    return {false, integer.getType().isInteger(1)
                       ? double(integer.getValue().getZExtValue())
                       : double(integer.getInt())};
  return {};
}
