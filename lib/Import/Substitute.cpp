//===- Substitute.cpp - Index functions at other indices ------------------===//
//
// Moving data (Transpose, Slice, Gather, Reshape, ..) is substitution of the
// index variables. Expressions are DAGs: the memo keeps a bucket expression
// that is used twice at every level from being walked exponentially often.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace waferloom::import;
using llvm::ArrayRef;
using llvm::SmallVector;

Expr Arithmetic::substitute(Expr e, ArrayRef<Expr> indices) {
  Memo memo;
  return substitute(e, indices, memo);
}

Expr Arithmetic::substituteAtom(Expr atom, ArrayRef<Expr> indices, Memo &memo) {
  if (atom->kind == ExprKind::Position)
    return position();
  if (atom->kind == ExprKind::Dim)
    return indices[atom->payload];
  SmallVector<Expr> args;
  for (Expr arg : atom->args)
    args.push_back(substitute(arg, indices, memo));
  switch (atom->kind) {
  case ExprKind::IntRead:
    return read(atom->payload, args, Sort::Int);
  case ExprKind::IntWhere:
    return where(args[0], args[1], args[2]);
  case ExprKind::Max:
    return max(args[0], args[1]);
  case ExprKind::Min:
    return min(args[0], args[1]);
  case ExprKind::Abs:
    return abs(args[0]);
  case ExprKind::FloorDiv:
    if (auto both = floorDivMod(args[0], args[1]))
      return both->first;
    return asPolynomial(intern(ExprKind::FloorDiv, 0, args));
  case ExprKind::Mod:
    return floorMod(args[0], args[1]);
  case ExprKind::TruncDiv:
    return truncDiv(args[0], args[1]);
  case ExprKind::TruncMod:
    return truncMod(args[0], args[1]);
  default:
    return toInt(args[0]);
  }
}

Expr Arithmetic::substitute(Expr e, ArrayRef<Expr> indices, Memo &memo) {
  if (Expr known = memo.lookup(e))
    return known;
  Expr result = e;
  SmallVector<Expr> args;
  if (e->kind != ExprKind::Polynomial)
    for (Expr arg : e->args)
      args.push_back(substitute(arg, indices, memo));
  switch (e->kind) {
  case ExprKind::Polynomial: {
    result = constant(0);
    for (const Term &term : e->terms) {
      Expr product = constant(term.coefficient);
      for (Expr atom : term.atoms) {
        Expr &known = memo[atom];
        Expr value = known;
        if (!value)
          value = substituteAtom(atom, indices, memo);
        memo[atom] = value; // `known` may dangle after the recursion
        product = mul(product, value);
      }
      result = add(result, product);
    }
    break;
  }
  case ExprKind::LessEqualZero:
    result = lessEqualZero(args[0]);
    break;
  case ExprKind::EqualZero:
    result = equalZero(args[0]);
    break;
  case ExprKind::Not:
    result = logicalNot(args[0]);
    break;
  case ExprKind::And:
  case ExprKind::Or:
    result = associate(e->kind, args);
    break;
  case ExprKind::BoolRead:
    result = read(e->payload, args, Sort::Bool);
    break;
  case ExprKind::FloatCompare:
    result = compare(static_cast<Comparison>(e->payload), args[0], args[1]);
    break;
  case ExprKind::IsNaN:
    result = isNaN(args[0]);
    break;
  case ExprKind::FloatWhere:
    result = where(args[0], args[1], args[2]);
    break;
  case ExprKind::IntToFloat:
    result = toFloat(args[0], e->format);
    break;
  case ExprKind::FloatApply:
    result = apply(static_cast<ScalarOp>(e->payload), args, e->format);
    break;
  default:
    break;
  }
  memo[e] = result;
  return result;
}

void Arithmetic::collectDims(Expr e, llvm::SmallBitVector &found,
                             llvm::DenseMap<Expr, bool> &seen) {
  if (!seen.try_emplace(e, true).second)
    return;
  if (e->kind == ExprKind::Dim) {
    if (found.size() <= static_cast<size_t>(e->payload))
      found.resize(e->payload + 1);
    found.set(e->payload);
  }
  for (Expr arg : e->args)
    collectDims(arg, found, seen);
  for (const Term &term : e->terms)
    for (Expr atom : term.atoms)
      collectDims(atom, found, seen);
}

bool Arithmetic::readsData(Expr e) {
  llvm::SmallVector<Expr> todo{e};
  llvm::DenseMap<Expr, bool> seen;
  while (!todo.empty()) {
    Expr next = todo.pop_back_val();
    if (!seen.try_emplace(next, true).second)
      continue;
    bool isRead =
        next->kind == ExprKind::IntRead || next->kind == ExprKind::BoolRead;
    if (isRead && reads[next->payload].table.empty())
      return true;
    llvm::append_range(todo, next->args);
    for (const Term &term : next->terms)
      llvm::append_range(todo, term.atoms);
  }
  return false;
}

llvm::SmallVector<Expr> Arithmetic::argsInOrder(Expr e) {
  if (e->kind != ExprKind::And && e->kind != ExprKind::Or)
    return llvm::SmallVector<Expr>(e->args);
  llvm::SmallVector<Expr> args, withData;
  for (Expr arg : e->args)
    (readsData(arg) ? withData : args).push_back(arg);
  llvm::append_range(args, withData);
  return args;
}

llvm::SmallBitVector Arithmetic::dimsOf(Expr e) {
  llvm::SmallBitVector found(dims.size());
  llvm::DenseMap<Expr, bool> seen;
  collectDims(e, found, seen);
  return found;
}

//===----------------------------------------------------------------------===//
// For messages
//===----------------------------------------------------------------------===//

std::string Arithmetic::printPolynomial(Expr e) {
  if (e->terms.empty())
    return "0";
  std::string text;
  // The constant sorts first; last reads better: p + 3.
  SmallVector<Term> order(e->terms);
  if (order.front().atoms.empty())
    std::rotate(order.begin(), order.begin() + 1, order.end());
  for (const Term &term : order) {
    int64_t c = term.coefficient;
    if (!text.empty())
      text += c < 0 ? " - " : " + ";
    else if (c < 0)
      text += "-";
    uint64_t size = c < 0 ? -static_cast<uint64_t>(c) : c;
    std::string product;
    if (size != 1 || term.atoms.empty())
      product = llvm::utostr(size);
    for (Expr atom : term.atoms)
      product += (product.empty() ? "" : "*") + print(atom);
    text += product;
  }
  return text;
}

std::string Arithmetic::print(Expr e) {
  constexpr unsigned maxDepth = 8;
  if (e->kind == ExprKind::Polynomial)
    return printPolynomial(e);
  if (printDepth == maxDepth)
    return "..";
  ++printDepth;
  std::string args;
  for (Expr arg : e->args) {
    args += (args.empty() ? "" : ", ") + print(arg);
    if (args.size() > 200) {
      args += "..";
      break;
    }
  }
  --printDepth;
  auto call = [&](const char *function) {
    return std::string(function) + "(" + args + ")";
  };
  switch (e->kind) {
  case ExprKind::Position:
    return "p";
  case ExprKind::Dim:
    return "d" + llvm::itostr(e->payload);
  case ExprKind::IntRead:
  case ExprKind::BoolRead:
    return reads[e->payload].name + "[" + args + "]";
  case ExprKind::IntWhere:
  case ExprKind::FloatWhere:
    return call("where");
  case ExprKind::Max:
    return call("max");
  case ExprKind::Min:
    return call("min");
  case ExprKind::Abs:
    return call("abs");
  case ExprKind::FloorDiv:
    return call("floordiv");
  case ExprKind::Mod:
    return call("mod");
  case ExprKind::TruncDiv:
    return call("div");
  case ExprKind::TruncMod:
    return call("rem");
  case ExprKind::FloatToInt:
    return call("int");
  case ExprKind::True:
    return "true";
  case ExprKind::False:
    return "false";
  case ExprKind::LessEqualZero:
    return args + " <= 0";
  case ExprKind::EqualZero:
    return args + " == 0";
  case ExprKind::Not:
    return call("not");
  case ExprKind::And:
    return call("and");
  case ExprKind::Or:
    return call("or");
  case ExprKind::FloatCompare:
    return call("compare");
  case ExprKind::IsNaN:
    return call("isnan");
  case ExprKind::FloatConstant: {
    std::string text;
    llvm::raw_string_ostream(text) << e->floatValue();
    return text;
  }
  case ExprKind::IntToFloat:
    return call("float");
  case ExprKind::FloatApply:
    return call(name(static_cast<ScalarOp>(e->payload)));
  default:
    return "?";
  }
}
