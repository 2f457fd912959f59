//===- Evaluate.cpp - Index functions at every index ----------------------===//
//
// Bounds of a selection hold for both of its sides, also where the other side
// is taken (the bucket of a distance: a logarithm, but of zero where distances
// are small). Where that proves nothing and the function knows no data, all of
// its values are looked at.
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace waferloom::import;
using llvm::ArrayRef;

namespace {
constexpr int64_t mostPoints = 1 << 20;

/// Evaluates the nodes of one function at one point after the other.
class Evaluator {
public:
  explicit Evaluator(Expr function) {
    collect(function);
    values.resize(nodes.size());
  }

  /// False: it reads a tensor, or has an operator that is not known here.
  bool isKnown() const { return known; }
  bool readsPosition() const { return position; }
  int64_t at(ArrayRef<int64_t> indices, int64_t p) {
    for (size_t i = 0; i < nodes.size(); ++i)
      values[i] = evaluate(nodes[i], indices, p);
    return values.back().whole;
  }

private:
  struct Number {
    int64_t whole = 0; // integers and booleans
    double real = 0;
  };

  void collect(Expr node);
  Number evaluate(Expr node, ArrayRef<int64_t> indices, int64_t p) const;
  Number of(Expr node) const { return values[numbers.lookup(node)]; }

  std::vector<Expr> nodes; // operands first
  llvm::DenseMap<Expr, size_t> numbers;
  std::vector<Number> values;
  bool known = true, position = false;
};
} // namespace

void Evaluator::collect(Expr node) {
  if (numbers.contains(node))
    return;
  for (Expr operand : node->args)
    collect(operand);
  for (const Term &term : node->terms)
    for (Expr atom : term.atoms)
      collect(atom);
  known &= node->kind != ExprKind::IntRead && node->kind != ExprKind::BoolRead;
  position |= node->kind == ExprKind::Position;
  numbers[node] = nodes.size();
  nodes.push_back(node);
}

Evaluator::Number Evaluator::evaluate(Expr node, ArrayRef<int64_t> indices,
                                      int64_t p) const {
  auto arg = [&](unsigned i) { return of(node->args[i]); };
  auto whole = [](int64_t value) { return Number{value, 0}; };
  auto real = [&](double value) {
    return Number{0, rounded(value, node->format)};
  };
  auto isAll = [&](bool wanted) {
    return llvm::all_of(node->args, [&](Expr operand) {
      return (of(operand).whole != 0) == wanted;
    });
  };
  switch (node->kind) {
  case ExprKind::Polynomial: {
    uint64_t sum = 0; // wraps as integers of the file do
    for (const Term &term : node->terms) {
      auto product = static_cast<uint64_t>(term.coefficient);
      for (Expr atom : term.atoms)
        product *= static_cast<uint64_t>(of(atom).whole);
      sum += product;
    }
    return whole(static_cast<int64_t>(sum));
  }
  case ExprKind::Position:
    return whole(p);
  case ExprKind::Dim:
    return whole(indices[node->payload]);
  case ExprKind::IntWhere:
  case ExprKind::FloatWhere:
    return arg(0).whole ? arg(1) : arg(2);
  case ExprKind::Max:
    return whole(std::max(arg(0).whole, arg(1).whole));
  case ExprKind::Min:
    return whole(std::min(arg(0).whole, arg(1).whole));
  case ExprKind::Abs:
    return whole(arg(0).whole < 0 ? -arg(0).whole : arg(0).whole);
  case ExprKind::FloorDiv:
    return whole(llvm::divideFloorSigned(arg(0).whole, arg(1).whole));
  case ExprKind::Mod:
    return whole(arg(0).whole -
                 llvm::divideFloorSigned(arg(0).whole, arg(1).whole) *
                     arg(1).whole);
  case ExprKind::TruncDiv:
    return whole(arg(1).whole ? arg(0).whole / arg(1).whole : 0);
  case ExprKind::TruncMod:
    return whole(arg(1).whole ? arg(0).whole % arg(1).whole : 0);
  case ExprKind::FloatToInt:
    return whole(toInteger(arg(0).real));
  case ExprKind::True:
    return whole(1);
  case ExprKind::LessEqualZero:
    return whole(arg(0).whole <= 0);
  case ExprKind::EqualZero:
    return whole(arg(0).whole == 0);
  case ExprKind::Not:
    return whole(!arg(0).whole);
  case ExprKind::And:
    return whole(isAll(true));
  case ExprKind::Or:
    return whole(!isAll(false));
  case ExprKind::FloatCompare:
    return whole(holds(static_cast<Comparison>(node->payload), arg(0).real,
                       arg(1).real));
  case ExprKind::IsNaN:
    return whole(std::isnan(arg(0).real));
  case ExprKind::FloatConstant:
    return Number{0, node->floatValue()};
  case ExprKind::IntToFloat:
    return real(static_cast<double>(arg(0).whole));
  case ExprKind::FloatApply:
    return real(calculate(static_cast<ScalarOp>(node->payload), arg(0).real,
                          node->args.size() > 1 ? arg(1).real : 0));
  default:
    return whole(0); // False; reads are no part of what is known
  }
}

/// Calls `each` with all indices of `sizes`; false: there are too many.
static bool overAll(ArrayRef<int64_t> sizes,
                    llvm::function_ref<void(ArrayRef<int64_t>)> each) {
  int64_t points = 1;
  for (int64_t size : sizes)
    if (size < 1 || llvm::MulOverflow(points, size, points) ||
        points > mostPoints)
      return false;
  llvm::SmallVector<int64_t> at(sizes.size(), 0);
  for (int64_t left = points; left-- > 0;) {
    each(at);
    for (size_t d = sizes.size(); d-- > 0 && ++at[d] == sizes[d];)
      at[d] = 0;
  }
  return true;
}

std::optional<std::vector<int64_t>>
waferloom::import::valuesOf(Expr function, ArrayRef<int64_t> sizes) {
  Evaluator evaluator(function);
  std::vector<int64_t> values;
  if (!evaluator.isKnown() || evaluator.readsPosition() ||
      !overAll(sizes, [&](ArrayRef<int64_t> at) {
        values.push_back(evaluator.at(at, 0));
      }))
    return std::nullopt;
  return values;
}
