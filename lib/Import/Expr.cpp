//===- Expr.cpp - Unique nodes and polynomials ----------------------------===//
//
// Polynomials are sorted lists of monomials; a monomial is a sorted list of
// atoms with repetition. Sums and products of the sizes that real graphs have
// are a few terms long, so plain vectors serve.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

using namespace waferloom::import;
using llvm::ArrayRef;
using llvm::SmallVector;
using llvm::SmallVectorImpl;

std::optional<int64_t> Node::constant() const {
  if (kind != ExprKind::Polynomial)
    return std::nullopt;
  if (terms.empty())
    return 0;
  if (terms.size() == 1 && terms[0].atoms.empty())
    return terms[0].coefficient;
  return std::nullopt;
}

double Node::floatValue() const { return llvm::bit_cast<double>(payload); }

static void profile(llvm::FoldingSetNodeID &id, ExprKind kind, Format format,
                    int64_t payload, ArrayRef<Expr> args) {
  id.AddInteger(static_cast<unsigned>(kind));
  id.AddInteger(static_cast<unsigned>(format));
  id.AddInteger(payload);
  for (Expr arg : args)
    id.AddInteger(arg->id);
}

template <typename Monomials>
static void profileTerms(llvm::FoldingSetNodeID &id, const Monomials &terms) {
  for (const auto &term : terms) {
    id.AddInteger(term.coefficient);
    id.AddInteger(static_cast<unsigned>(term.atoms.size()));
    for (Expr atom : term.atoms)
      id.AddInteger(atom->id);
  }
}

void Node::Profile(llvm::FoldingSetNodeID &profileId) const {
  profile(profileId, kind, format, payload, args);
  profileTerms(profileId, terms);
}

void Arithmetic::noteDepth(Node &node) {
  constexpr unsigned maxDepth = 1000;
  for (Expr arg : node.args)
    node.depth = std::max(node.depth, arg->depth + 1);
  for (const Term &term : node.terms)
    for (Expr atom : term.atoms)
      node.depth = std::max(node.depth, atom->depth + 1);
  overflowed |= node.depth > maxDepth;
}

Arithmetic::Arithmetic() {
  trueExpr = intern(ExprKind::True, 0, {});
  falseExpr = intern(ExprKind::False, 0, {});
}

Expr Arithmetic::intern(ExprKind kind, int64_t payload, ArrayRef<Expr> args,
                        Format format) {
  llvm::FoldingSetNodeID id;
  profile(id, kind, format, payload, args);
  void *where = nullptr;
  if (Node *found = nodes.FindNodeOrInsertPos(id, where))
    return found;
  Node *node = new (arena) Node(kind);
  node->format = format;
  node->payload = payload;
  node->args = args.copy(arena);
  noteDepth(*node);
  node->id = nextId++;
  nodes.InsertNode(node, where);
  return node;
}

static bool atomsLess(ArrayRef<Expr> a, ArrayRef<Expr> b) {
  return std::lexicographical_compare(
      a.begin(), a.end(), b.begin(), b.end(),
      [](Expr x, Expr y) { return x->id < y->id; });
}

Expr Arithmetic::internPolynomial(SmallVectorImpl<Monomial> &monomials) {
  llvm::sort(monomials, [](const Monomial &a, const Monomial &b) {
    return atomsLess(a.atoms, b.atoms);
  });
  SmallVector<Monomial> terms;
  for (Monomial &m : monomials) {
    if (!terms.empty() && terms.back().atoms == m.atoms)
      overflowed |= llvm::AddOverflow(terms.back().coefficient, m.coefficient,
                                      terms.back().coefficient);
    else
      terms.push_back(m);
    if (terms.back().coefficient == 0)
      terms.pop_back();
  }

  llvm::FoldingSetNodeID id;
  profile(id, ExprKind::Polynomial, Format::None, 0, {});
  profileTerms(id, terms);
  void *where = nullptr;
  if (Node *found = nodes.FindNodeOrInsertPos(id, where))
    return found;
  Node *node = new (arena) Node(ExprKind::Polynomial);
  SmallVector<Term> kept;
  for (const Monomial &m : terms)
    kept.push_back({ArrayRef<Expr>(m.atoms).copy(arena), m.coefficient});
  node->terms = ArrayRef<Term>(kept).copy(arena);
  noteDepth(*node);
  node->id = nextId++;
  nodes.InsertNode(node, where);
  return node;
}

Expr Arithmetic::constant(int64_t value) {
  SmallVector<Monomial> terms;
  if (value != 0)
    terms.push_back({{}, value});
  return internPolynomial(terms);
}

Expr Arithmetic::asPolynomial(Expr atom) {
  if (atom->kind == ExprKind::Polynomial)
    return atom;
  SmallVector<Monomial> terms{{{atom}, 1}};
  return internPolynomial(terms);
}

Expr Arithmetic::position() {
  if (maxPosition == 0)
    return constant(0);
  return asPolynomial(intern(ExprKind::Position, 0, {}));
}

Expr Arithmetic::dim(unsigned k) {
  return asPolynomial(intern(ExprKind::Dim, k, {}));
}

Expr Arithmetic::add(Expr a, Expr b) {
  SmallVector<Monomial> sum;
  for (Expr side : {a, b})
    for (const Term &term : side->terms)
      sum.push_back({SmallVector<Expr, 4>(term.atoms), term.coefficient});
  return internPolynomial(sum);
}

Expr Arithmetic::neg(Expr a) { return mul(a, constant(-1)); }
Expr Arithmetic::sub(Expr a, Expr b) { return add(a, neg(b)); }

Expr Arithmetic::mul(Expr a, Expr b) {
  constexpr size_t maxTerms = 1 << 12, maxAtoms = 32;
  auto degree = [](Expr e) {
    size_t atoms = 0;
    for (const Term &term : e->terms)
      atoms = std::max(atoms, term.atoms.size());
    return atoms;
  };
  if (a->terms.size() * b->terms.size() > maxTerms ||
      degree(a) + degree(b) > maxAtoms) {
    overflowed = true;
    return constant(0);
  }
  SmallVector<Monomial> result;
  for (const Term &x : a->terms)
    for (const Term &y : b->terms) {
      Monomial m{SmallVector<Expr, 4>(x.atoms), 0};
      llvm::append_range(m.atoms, y.atoms);
      llvm::sort(m.atoms, [](Expr l, Expr r) { return l->id < r->id; });
      overflowed |=
          llvm::MulOverflow(x.coefficient, y.coefficient, m.coefficient);
      result.push_back(std::move(m));
    }
  return internPolynomial(result);
}

Expr Arithmetic::product(ArrayRef<Expr> factors) {
  Expr result = constant(1);
  for (Expr factor : factors)
    result = mul(result, factor);
  return result;
}

SmallVector<Arithmetic::Group> Arithmetic::groupByAtoms(Expr polynomial) {
  SmallVector<std::pair<SmallVector<Expr, 4>, SmallVector<Monomial>>> split;
  for (const Term &term : polynomial->terms) {
    SmallVector<Expr, 4> others, powers;
    for (Expr atom : term.atoms)
      (atom->kind == ExprKind::Position ? powers : others).push_back(atom);
    auto *found = llvm::find_if(
        split, [&](const auto &entry) { return entry.first == others; });
    if (found == split.end()) {
      split.push_back({others, {}});
      found = &split.back();
    }
    found->second.push_back({powers, term.coefficient});
  }
  SmallVector<Group> groups;
  for (auto &[atoms, monomials] : split)
    groups.push_back({atoms, internPolynomial(monomials)});
  return groups;
}

std::pair<Expr, Expr> Arithmetic::polynomialDivMod(Expr a, Expr b) {
  // Coefficients of b by power of p; b has no other atoms (callers check).
  SmallVector<int64_t> divisor;
  for (const Term &term : b->terms) {
    if (divisor.size() <= term.atoms.size())
      divisor.resize(term.atoms.size() + 1);
    divisor[term.atoms.size()] = term.coefficient;
  }
  Expr quotient = constant(0), rest = constant(0);
  if (divisor.empty())
    return {quotient, a};
  Expr p = position();
  for (Group &group : groupByAtoms(a)) {
    SmallVector<int64_t> left;
    for (const Term &term : group.coefficient->terms) {
      if (left.size() <= term.atoms.size())
        left.resize(term.atoms.size() + 1);
      left[term.atoms.size()] = term.coefficient;
    }
    Expr q = constant(0), r = constant(0);
    auto power = [&](size_t exponent, int64_t coefficient) {
      Expr e = constant(coefficient);
      for (size_t i = 0; i < exponent; ++i)
        e = mul(e, p);
      return e;
    };
    for (int64_t e = left.size() - 1, top = divisor.size() - 1; e >= top; --e) {
      // Round down, so that remainders of constants are not negative.
      int64_t factor = llvm::divideFloorSigned(left[e], divisor[top]);
      if (factor == 0)
        continue;
      q = add(q, power(e - top, factor));
      for (auto [i, c] : llvm::enumerate(divisor)) {
        int64_t change;
        overflowed |= llvm::MulOverflow(factor, c, change);
        overflowed |=
            llvm::SubOverflow(left[e - top + i], change, left[e - top + i]);
      }
    }
    for (auto [e, c] : llvm::enumerate(left))
      r = add(r, power(e, c));
    Expr atoms = constant(1);
    for (Expr atom : group.atoms)
      atoms = mul(atoms, asPolynomial(atom));
    quotient = add(quotient, mul(q, atoms));
    rest = add(rest, mul(r, atoms));
  }
  return {quotient, rest};
}

bool Arithmetic::dependsOnPositionOnly(Expr polynomial) {
  return polynomial->kind == ExprKind::Polynomial &&
         llvm::all_of(polynomial->terms, [](const Term &term) {
           return llvm::all_of(term.atoms, [](Expr atom) {
             return atom->kind == ExprKind::Position;
           });
         });
}
