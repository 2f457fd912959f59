//===- Simplify.cpp - Selections, quotients and predicates ----------------===//
//
// Every comparison of integers becomes "polynomial <= 0" or "polynomial == 0",
// so the masks of all exporters meet in one form. A test is decided only when
// it is always or never true; everything else keeps its atom.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

#include "llvm/ADT/STLExtras.h"

using namespace waferloom::import;
using llvm::ArrayRef;
using llvm::SmallVector;

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

// Constants first: their difference may leave 64 bits.
Expr Arithmetic::max(Expr a, Expr b) {
  if (auto x = a->constant(), y = b->constant(); x && y)
    return *x >= *y ? a : b;
  if (provablyNonNegative(sub(a, b)))
    return a;
  if (provablyNonNegative(sub(b, a)))
    return b;
  return asPolynomial(intern(ExprKind::Max, 0, {a, b}));
}

Expr Arithmetic::min(Expr a, Expr b) {
  if (auto x = a->constant(), y = b->constant(); x && y)
    return *x <= *y ? a : b;
  if (provablyNonNegative(sub(b, a)))
    return a;
  if (provablyNonNegative(sub(a, b)))
    return b;
  return asPolynomial(intern(ExprKind::Min, 0, {a, b}));
}

Expr Arithmetic::abs(Expr a) {
  if (provablyNonNegative(a))
    return a;
  if (provablyNonPositive(a))
    return neg(a);
  return asPolynomial(intern(ExprKind::Abs, 0, {a}));
}

std::optional<std::pair<Expr, Expr>> Arithmetic::floorDivMod(Expr a, Expr b) {
  if (!dependsOnPositionOnly(b) || lowest(b) <= 0)
    return std::nullopt;
  if (b == constant(1))
    return std::pair(a, constant(0));
  auto [q, r] = polynomialDivMod(a, b);
  if (provablyNonNegative(r) && provablyNonNegative(sub(add(b, -1), r)))
    return std::pair(q, r);
  if (provablyNonNegative(add(r, b)) && provablyNonPositive(add(r, 1)))
    return std::pair(add(q, -1), add(r, b));
  Expr quotient = asPolynomial(intern(ExprKind::FloorDiv, 0, {r, b}));
  return std::pair(add(q, quotient),
                   asPolynomial(intern(ExprKind::Mod, 0, {r, b})));
}

Expr Arithmetic::truncDiv(Expr a, Expr b) {
  if (auto [x, y] = std::pair(a->constant(), b->constant());
      x && y && *y != 0 && !(*x == INT64_MIN && *y == -1))
    return constant(*x / *y);
  // Rounding towards zero and rounding down agree from zero on.
  if (provablyNonNegative(a))
    if (auto both = floorDivMod(a, b))
      return both->first;
  return asPolynomial(intern(ExprKind::TruncDiv, 0, {a, b}));
}

Expr Arithmetic::floorMod(Expr a, Expr b) {
  if (auto both = floorDivMod(a, b))
    return both->second;
  // -(-a mod -b) turns a negative divisor into a positive one.
  if (auto both = floorDivMod(neg(a), neg(b)))
    return neg(both->second);
  return asPolynomial(intern(ExprKind::Mod, 0, {a, b}));
}

Expr Arithmetic::truncMod(Expr a, Expr b) {
  if (provablyNonNegative(a))
    if (auto both = floorDivMod(a, b))
      return both->second;
  if (auto [x, y] = std::pair(a->constant(), b->constant());
      x && y && *y != 0 && !(*x == INT64_MIN && *y == -1))
    return constant(*x % *y);
  return asPolynomial(intern(ExprKind::TruncMod, 0, {a, b}));
}

//===----------------------------------------------------------------------===//
// Booleans
//===----------------------------------------------------------------------===//

/// Compares a polynomial that holds one selection by comparing its branches,
/// if that decides one of them. Null otherwise.
Expr Arithmetic::decideSelection(Expr a, bool equality) {
  // Selections of selections: two levels serve, and every level doubles.
  constexpr unsigned maxLevels = 4;
  if (selectionDepth == maxLevels)
    return nullptr;
  const Term *selection = nullptr;
  for (const Term &term : a->terms)
    if (term.atoms.size() == 1 && term.atoms[0]->kind == ExprKind::IntWhere) {
      if (selection)
        return nullptr;
      selection = &term;
    }
  if (!selection)
    return nullptr;
  Expr where = selection->atoms[0], factor = constant(selection->coefficient);
  Expr rest = sub(a, mul(asPolynomial(where), factor));
  auto test = [&](Expr branch) {
    Expr value = add(rest, mul(branch, factor));
    return equality ? equalZero(value) : lessEqualZero(value);
  };
  ++selectionDepth;
  Expr then = test(where->args[1]), otherwise = test(where->args[2]);
  --selectionDepth;
  auto decided = [](Expr e) { return e->isTrue() || e->isFalse(); };
  if (!decided(then) && !decided(otherwise))
    return nullptr;
  return selectBool(where->args[0], then, otherwise);
}

Expr Arithmetic::lessEqualZero(Expr a) {
  if (provablyNonPositive(a))
    return trueExpr;
  if (provablyNonNegative(add(a, -1)))
    return falseExpr;
  if (Expr decided = decideSelection(a, /*equality=*/false))
    return decided;
  return intern(ExprKind::LessEqualZero, 0, {a});
}

Expr Arithmetic::equalZero(Expr a) {
  if (auto value = a->constant())
    return boolean(*value == 0);
  if (provablyNonNegative(add(a, -1)) || provablyNonPositive(add(a, 1)))
    return falseExpr;
  if (Expr decided = decideSelection(a, /*equality=*/true))
    return decided;
  // a == 0 and -a == 0 are one predicate.
  Expr negated = neg(a);
  return intern(ExprKind::EqualZero, 0, {negated->id < a->id ? negated : a});
}

Expr Arithmetic::logicalNot(Expr a) {
  switch (a->kind) {
  case ExprKind::True:
    return falseExpr;
  case ExprKind::False:
    return trueExpr;
  case ExprKind::Not:
    return a->args[0];
  case ExprKind::LessEqualZero:
    return lessEqualZero(sub(constant(1), a->args[0]));
  default:
    return intern(ExprKind::Not, 0, {a});
  }
}

/// And or Or of any number of arguments: flat, without doubles, sorted.
Expr Arithmetic::associate(ExprKind kind, ArrayRef<Expr> args) {
  Expr unit = boolean(kind == ExprKind::And);
  Expr zero = boolean(kind == ExprKind::Or);
  SmallVector<Expr> kept;
  for (Expr arg : args)
    for (Expr part : arg->kind == kind ? arg->args : ArrayRef<Expr>(arg)) {
      if (part == zero)
        return zero;
      if (part != unit && !llvm::is_contained(kept, part))
        kept.push_back(part);
    }
  for (Expr part : kept)
    if (llvm::is_contained(kept, logicalNot(part)))
      return zero;

  // k < q or k == q is k <= q: some exporters write GreaterOrEqual so.
  if (kind == ExprKind::Or)
    for (size_t i = 0; i < kept.size(); ++i) {
      if (kept[i]->kind != ExprKind::EqualZero)
        continue;
      Expr equal = kept[i]->args[0];
      for (Expr side : {equal, neg(equal)}) {
        Expr strict = lessEqualZero(add(side, 1));
        auto *found = llvm::find(kept, strict);
        if (found == kept.end())
          continue;
        *found = lessEqualZero(side);
        kept.erase(kept.begin() + i);
        return associate(kind, kept);
      }
    }
  if (kept.empty())
    return unit;
  if (kept.size() == 1)
    return kept[0];
  llvm::sort(kept, [](Expr a, Expr b) { return a->id < b->id; });
  return intern(kind, 0, kept);
}

Expr Arithmetic::selectBool(Expr condition, Expr a, Expr b) {
  if (condition->isTrue() || a == b)
    return a;
  if (condition->isFalse())
    return b;
  if (a->isTrue())
    return logicalOr(condition, b);
  if (a->isFalse())
    return logicalAnd(logicalNot(condition), b);
  if (b->isFalse())
    return logicalAnd(condition, a);
  if (b->isTrue())
    return logicalOr(logicalNot(condition), a);
  return logicalOr(logicalAnd(condition, a),
                   logicalAnd(logicalNot(condition), b));
}

Expr Arithmetic::where(Expr condition, Expr a, Expr b) {
  if (condition->isTrue() || a == b)
    return a;
  if (condition->isFalse())
    return b;
  if (a->isBool())
    return selectBool(condition, a, b);
  if (a->isFloat())
    return intern(ExprKind::FloatWhere, 0, {condition, a, b}, a->format);
  return asPolynomial(intern(ExprKind::IntWhere, 0, {condition, a, b}));
}

Expr Arithmetic::read(unsigned source, ArrayRef<Expr> indices, Sort sort) {
  const ReadTensor &from = reads[source];
  if (!from.table.empty()) {
    int64_t flat = 0;
    bool known = true;
    for (auto [index, size] : llvm::zip_equal(indices, from.dims)) {
      auto value = index->constant();
      known &= value && *value >= 0 && *value < size;
      if (known)
        flat = flat * size + *value;
    }
    if (known)
      return sort == Sort::Bool ? boolean(from.table[flat] != 0)
                                : constant(from.table[flat]);
  }
  if (sort == Sort::Bool)
    return intern(ExprKind::BoolRead, source, indices);
  return asPolynomial(intern(ExprKind::IntRead, source, indices));
}
