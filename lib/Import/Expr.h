//===- Expr.h - Index functions: the integers of a graph --------*- C++ -*-===//
//
// An ONNX graph computes its own shapes, masks and positions. All of that is
// integer arithmetic over a handful of things that are known by name: the
// position p (tokens before the step) and the indices d0, d1, .. of the tensor
// being described. An expression here is what one element of such a tensor is:
//
//   integer   a polynomial with integer coefficients over atoms (p, d0, reads
//             of a tensor at computed indices, selections, minima, quotients)
//   boolean   a polynomial compared with zero, and/or/not, reads, comparisons
//             of floats
//   float     a constant, a selection, an integer as float, an operator. There
//             is no algebra on floats: they keep the rounding of the file.
//
// Nodes are unique (equal expressions are the same pointer) and never change.
// Their ids follow creation order, so that sorting by id is deterministic.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_IMPORT_EXPR_H
#define WAFERLOOM_LIB_IMPORT_EXPR_H

#include "waferloom/Scalar/Functions.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/FoldingSet.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Allocator.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace waferloom::import {

enum class ExprKind : uint8_t {
  // Atoms of polynomials, and polynomials. `args` as noted.
  Polynomial,
  Position,   // p
  Dim,        // d<payload>
  IntRead,    // source <payload> at args
  IntWhere,   // condition, then, else
  Max,        // a, b
  Min,        // a, b
  Abs,        // a
  FloorDiv,   // a, b with b > 0 wherever p lies
  Mod,        // a, b: the remainder of FloorDiv
  TruncDiv,   // a, b: rounds towards zero
  TruncMod,   // a, b: the remainder of TruncDiv
  FloatToInt, // float
  // Booleans.
  True,
  False,
  LessEqualZero, // polynomial
  EqualZero,     // polynomial
  Not,
  And, // any number of args
  Or,
  BoolRead,     // source <payload> at args
  FloatCompare, // <payload> is a Comparison
  IsNaN,
  // Floats; `format` says which.
  FloatConstant, // <payload> holds the bits of a double
  FloatWhere,    // condition, then, else
  IntToFloat,    // polynomial
  FloatApply,    // <payload> is a ScalarOp
};

enum class Format : uint8_t { None, F16, F32, F64 };
enum class Comparison : uint8_t {
  Equal,
  Less,
  LessEqual,
  Greater,
  GreaterEqual
};

/// Pointwise operators on floats, in index functions and at run time: those of
/// Functions.def, and what import makes of them.
enum class ScalarOp : uint8_t {
#define INSTRUCTION(name, onnx, operands, op, opcode, finite, value) name,
#define COMPOSED(name, operands, op, weight, temporaries, finite, value) name,
#define SEQUENCE(name, onnx, op, exact, quick, flags, weight, temporaries,     \
                 finite, value)                                                \
  name,
#include "waferloom/Scalar/Functions.def"
  Reciprocal,
  Sigmoid,
  Relu,
  Cast,
};
/// Those that Functions.def has.
std::optional<scalar::Function> functionOf(ScalarOp op);
const char *name(ScalarOp op);

/// `value` as `format` holds it.
double rounded(double value, Format format);
/// One operator in double precision; rounded by the caller. For +, -, *, / and
/// sqrt of f32 and f16 that is the correctly rounded result.
double calculate(ScalarOp op, double a, double b);
bool holds(Comparison op, double a, double b);
/// Towards zero; what 64 bits do not hold, and NaN, is the least integer, as
/// ONNX Runtime has it.
int64_t toInteger(double value);

class Node;
using Expr = const Node *;

/// One summand: coefficient times a product of atoms, sorted by id.
struct Term {
  llvm::ArrayRef<Expr> atoms;
  int64_t coefficient;
};

class Node : public llvm::FoldingSetNode {
public:
  ExprKind kind;
  Format format = Format::None;
  unsigned id = 0;
  /// Longest way down; walks recurse so deep.
  unsigned depth = 0;
  int64_t payload = 0;
  llvm::ArrayRef<Expr> args;
  llvm::ArrayRef<Term> terms; // of a Polynomial, sorted

  explicit Node(ExprKind kind) : kind(kind) {}
  bool isInt() const { return kind <= ExprKind::FloatToInt; }
  bool isBool() const {
    return kind >= ExprKind::True && kind <= ExprKind::IsNaN;
  }
  bool isFloat() const { return kind >= ExprKind::FloatConstant; }
  bool isTrue() const { return kind == ExprKind::True; }
  bool isFalse() const { return kind == ExprKind::False; }

  /// The value of a polynomial without atoms.
  std::optional<int64_t> constant() const;
  /// The value of a FloatConstant.
  double floatValue() const;
  void Profile(llvm::FoldingSetNodeID &id) const;
};

/// A tensor that index functions read: a constant table, or a tensor that
/// exists at run time. Where the values lie, if that is known.
struct ReadTensor {
  std::string name;
  llvm::SmallVector<int64_t> dims; // at capacity
  std::vector<int64_t> table;      // empty: a run-time tensor
  std::optional<int64_t> low, high;
};

/// Makes and simplifies expressions, under the assumption that
/// 0 <= p <= maxPosition and 0 <= d_k < dims[k].
class Arithmetic {
public:
  Arithmetic();

  int64_t maxPosition = 0;
  /// Sizes of the tensor whose elements are being described.
  llvm::SmallVector<Expr> dims;
  std::vector<ReadTensor> reads;
  /// Set when a coefficient left 64 bits or an expression grew too deep to be
  /// walked; the node at hand must be refused.
  bool overflowed = false;

  // Integers.
  Expr constant(int64_t value);
  Expr position();
  Expr dim(unsigned k);
  Expr add(Expr a, Expr b);
  Expr sub(Expr a, Expr b);
  Expr mul(Expr a, Expr b);
  Expr neg(Expr a);
  Expr add(Expr a, int64_t b) { return add(a, constant(b)); }
  Expr max(Expr a, Expr b);
  Expr min(Expr a, Expr b);
  Expr abs(Expr a);
  /// Division and remainder as ONNX defines them on integers.
  Expr truncDiv(Expr a, Expr b);
  Expr truncMod(Expr a, Expr b);
  Expr floorMod(Expr a, Expr b);
  /// Quotient and remainder, rounding down; b > 0 must be provable.
  std::optional<std::pair<Expr, Expr>> floorDivMod(Expr a, Expr b);
  /// Polynomial division without regard to ranges: a = q * b + r.
  std::pair<Expr, Expr> polynomialDivMod(Expr a, Expr b);
  Expr product(llvm::ArrayRef<Expr> factors);

  // Booleans.
  Expr boolean(bool value) { return value ? trueExpr : falseExpr; }
  Expr lessEqualZero(Expr a);
  Expr lessEqual(Expr a, Expr b) { return lessEqualZero(sub(a, b)); }
  Expr equalZero(Expr a);
  Expr logicalNot(Expr a);
  Expr logicalAnd(Expr a, Expr b) { return associate(ExprKind::And, {a, b}); }
  Expr logicalOr(Expr a, Expr b) { return associate(ExprKind::Or, {a, b}); }

  // Floats.
  Expr floatConstant(double value, Format format);
  Expr apply(ScalarOp op, llvm::ArrayRef<Expr> args, Format format);
  Expr toFloat(Expr integer, Format format);
  Expr toInt(Expr real);
  Expr floatToBool(Expr real);
  Expr compare(Comparison op, Expr a, Expr b);
  Expr isNaN(Expr a);

  /// A selection between two expressions of the same sort.
  Expr where(Expr condition, Expr a, Expr b);
  enum class Sort { Int, Bool };
  Expr read(unsigned source, llvm::ArrayRef<Expr> indices, Sort sort);

  /// `e` with d_k replaced by indices[k], simplified under the present `dims`.
  Expr substitute(Expr e, llvm::ArrayRef<Expr> indices);
  /// Whether `e` reads a tensor that exists at run time only.
  bool readsData(Expr e);
  /// What `e` computes with; of conditions, those without data first. In the
  /// first layer of a model they are made after the values that they meet, in
  /// others before, and layers must come out alike.
  llvm::SmallVector<Expr> argsInOrder(Expr e);
  /// The dims that occur in `e`.
  llvm::SmallBitVector dimsOf(Expr e);

  // What is provable.
  bool dependsOnPositionOnly(Expr polynomial);
  /// Smallest and largest value of a polynomial in p over all positions.
  int64_t lowest(Expr polynomialInP);
  int64_t highest(Expr polynomialInP);
  /// Bounds as polynomials in p; null where unknown.
  std::pair<Expr, Expr> bounds(Expr integer);
  bool provablyNonNegative(Expr integer);
  bool provablyNonPositive(Expr integer);
  /// To be called when the range of a source became known.
  void forgetBounds() { knownBounds.clear(); }

  std::string print(Expr e);

private:
  using Memo = llvm::DenseMap<Expr, Expr>;
  struct Monomial {
    llvm::SmallVector<Expr, 4> atoms;
    int64_t coefficient;
  };
  /// Coefficients (polynomials in p) of each product of other atoms.
  struct Group {
    llvm::SmallVector<Expr, 4> atoms;
    Expr coefficient;
  };

  Expr intern(ExprKind kind, int64_t payload, llvm::ArrayRef<Expr> args,
              Format format = Format::None);
  Expr internPolynomial(llvm::SmallVectorImpl<Monomial> &monomials);
  Expr asPolynomial(Expr atom);
  Expr associate(ExprKind kind, llvm::ArrayRef<Expr> args);
  Expr selectBool(Expr condition, Expr a, Expr b);
  Expr decideSelection(Expr polynomial, bool equality);
  llvm::SmallVector<Group> groupByAtoms(Expr polynomial);
  int64_t evaluate(Expr polynomialInP, int64_t p);
  std::pair<Expr, Expr> atomBounds(Expr atom);
  std::pair<Expr, Expr> computeBounds(Expr integer);
  Expr pick(Expr a, Expr b, bool smaller);
  Expr substitute(Expr e, llvm::ArrayRef<Expr> indices, Memo &memo);
  Expr substituteAtom(Expr atom, llvm::ArrayRef<Expr> indices, Memo &memo);
  void collectDims(Expr e, llvm::SmallBitVector &found,
                   llvm::DenseMap<Expr, bool> &seen);
  std::string printPolynomial(Expr e);

  void noteDepth(Node &node);

  /// Bounds that were asked for under `knownDims`; shared expressions would
  /// take exponential time otherwise.
  llvm::DenseMap<Expr, std::pair<Expr, Expr>> knownBounds;
  llvm::SmallVector<Expr> knownDims;
  unsigned selectionDepth = 0, printDepth = 0;

  llvm::BumpPtrAllocator arena;
  llvm::FoldingSet<Node> nodes;
  unsigned nextId = 0;
  Expr trueExpr, falseExpr;
};

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_EXPR_H
