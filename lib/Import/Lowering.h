//===- Lowering.h - One entry of a model, node by node ----------*- C++ -*-===//
//
// The state of lowering one entry: what is known about each value so far, the
// arithmetic, and the function that is being written.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_IMPORT_LOWERING_H
#define WAFERLOOM_LIB_IMPORT_LOWERING_H

#include "States.h"
#include "SymbolicTensor.h"
#include "waferloom/Dialect/Onnx/Onnx.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Import/Import.h"

#include "mlir/IR/Builders.h"

#include <deque>
#include <map>

namespace waferloom::import {

using Sizes = llvm::SmallVector<Expr>;
using BodyFn = llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location,
                                              mlir::ValueRange)>;

/// A view as an operand of a generic: dimension i of it is dimension to[i] of
/// the space of loops.
struct Operand {
  View view;
  llvm::SmallVector<int> to;
};

/// How a generic combines what it reduces.
using wafer::Combiner;

class Lowering {
public:
  Lowering(mlir::OpBuilder &builder, const Options &options,
           const llvm::StringMap<mlir::StringAttr> &weights)
      : builder(builder), options(options), weights(weights) {}

  Arithmetic math;
  mlir::OpBuilder &builder;
  const Options &options;
  const llvm::StringMap<mlir::StringAttr> &weights;
  mlir::Location loc{mlir::UnknownLoc::get(builder.getContext())};

  int64_t context = 0;
  llvm::ArrayRef<State> states;
  llvm::SmallVector<mlir::Value> stateTensors;
  llvm::SmallVector<bool> stateAppended;

  /// Notes that a node cannot be lowered; the first reason counts.
  std::nullptr_t refuse(const llvm::Twine &reason);
  std::string refusal;

  //===--- Symbolic tensors (SymbolicTensors.cpp) -------------------------===//

  SymbolicTensor *fromElements(Sizes elements, bool isScalar, mlir::Type type);
  SymbolicTensor *fromFunction(Sizes shape, mlir::Type type, Expr function);
  SymbolicTensor *fromView(Sizes shape, mlir::Type type, View view);
  SymbolicTensor *fromConstant(mlir::DenseElementsAttr constant,
                               llvm::StringRef name);
  SymbolicTensor *fromInts(llvm::ArrayRef<int64_t> values);
  /// A tensor whose dimensions are those of the value, one by one.
  SymbolicTensor *fromTensor(Sizes shape, mlir::Type type, mlir::Value tensor);
  SymbolicTensor *clone(const SymbolicTensor &tensor);

  /// The value as an index function; null for floats at run time.
  Expr functionOf(SymbolicTensor *q);
  /// Says between which numbers the integers of a run-time tensor lie.
  SymbolicTensor *withRange(SymbolicTensor *q, int64_t low, int64_t high);
  /// The same seen from a shape that it broadcasts to; sets math.dims.
  Expr functionAt(SymbolicTensor *q, llvm::ArrayRef<Expr> shape);
  /// The elements of a small value; null if they are not known.
  const Sizes *elementsOf(SymbolicTensor *q);
  /// Elements that decide a size, an axis or a bound. Refuses data.
  const Sizes *sizesOf(SymbolicTensor *q, llvm::StringRef what);
  std::optional<llvm::SmallVector<int64_t>> constantsOf(SymbolicTensor *q,
                                                        llvm::StringRef what);
  std::optional<Sizes> broadcast(llvm::ArrayRef<SymbolicTensor *> operands);
  std::optional<Sizes> broadcast(llvm::ArrayRef<Expr> a,
                                 llvm::ArrayRef<Expr> b);

  int64_t capacity(Expr size) { return math.highest(size); }
  bool isBounded(Expr size) { return !size->constant(); }
  std::string print(llvm::ArrayRef<Expr> shape);
  Format formatOf(mlir::Type type);
  Expr constantOf(double value, mlir::Type type);

  //===--- Views (Views.cpp) ----------------------------------------------===//

  /// The run-time tensor of a symbolic tensor and its view. Null after a
  /// refusal.
  const View *viewOf(SymbolicTensor *q);
  /// The tensor in the value's own shape at capacity. Null after a refusal.
  mlir::Value plain(SymbolicTensor *q);
  void splitBase(View &view, int base, llvm::ArrayRef<int64_t> sizes);
  void mergeBases(View &view, int first, int count);
  /// A tensor with other boundaries between the same elements in order.
  mlir::Value reshape(mlir::Value tensor, llvm::ArrayRef<int64_t> shape);

  //===--- Generics (Generics.cpp) ----------------------------------------===//

  /// `body` over the broadcast of the operands, which may be any symbolic
  /// tensors.
  SymbolicTensor *pointwise(llvm::ArrayRef<SymbolicTensor *> operands,
                            mlir::Type type, BodyFn body);
  /// Multiplies and adds: operands over a space of `sizes`, summed over the
  /// dims marked in `reduced`; the result has the others in order.
  std::optional<View> contract(Operand a, Operand b,
                               llvm::ArrayRef<int64_t> sizes,
                               llvm::ArrayRef<bool> reduced, mlir::Type type);
  /// Reduces the axes of `q` and keeps them with size 1. Padding is masked
  /// first unless they are known to hold the neutral element.
  SymbolicTensor *reduce(SymbolicTensor *q, llvm::ArrayRef<int64_t> axes,
                         Combiner combiner, bool paddingIsNeutral = false);
  /// `q` where `inside` holds, a function of the indices d0, d1, .. of `axes`
  /// over the whole tensor, and `neutral` elsewhere. All axes that are bounded
  /// must be among them, or their padding stays as it is.
  SymbolicTensor *keepWhere(SymbolicTensor *q, Expr inside,
                            llvm::ArrayRef<int64_t> axes, double neutral);
  /// `q` with `neutral` beyond the live length of `axis`.
  SymbolicTensor *maskPadding(SymbolicTensor *q, int64_t axis, double neutral);
  /// `a / b`, as a product with a reciprocal where b is the smaller one.
  SymbolicTensor *divide(SymbolicTensor *a, SymbolicTensor *b);
  SymbolicTensor *unary(ScalarOp op, SymbolicTensor *q);
  SymbolicTensor *binary(ScalarOp op, SymbolicTensor *a, SymbolicTensor *b);

  /// Refuses a tensor that no step could hold.
  bool fits(llvm::ArrayRef<int64_t> shape);
  /// Type of elements at run time: i64 and other integers are i32, floats that
  /// are not halves f32.
  mlir::Type runtimeType(mlir::Type type);
  mlir::Value emitScalar(mlir::OpBuilder &b, mlir::Location at, ScalarOp op,
                         mlir::ValueRange args);
  /// A copy of a view with one dimension per factor, in logical order.
  mlir::Value copy(const View &view);

  //===--- Index functions (Materialize.cpp) ------------------------------===//

  /// Emits the tensor of a function of `q`'s indices.
  std::optional<View> materialize(SymbolicTensor *q, Expr function);
  /// A lookup of rows; `indices` must be provably in range or is clamped.
  SymbolicTensor *lookup(SymbolicTensor *table, SymbolicTensor *indices);

  /// Whether no integer that writing the function computes leaves 32 bits;
  /// inputs are narrowed to that where it depends on them. False: refused.
  bool staysIn32Bits(Expr function);
  mlir::Value position();
  /// The tensor of a state at capacity.
  mlir::Value makeState(onnx::InputOp past, llvm::ArrayRef<int64_t> sizes);
  mlir::Value iota(int64_t size);

  /// Run-time tensors that index functions read, by number of the source.
  llvm::SmallVector<SymbolicTensor *> readSymbolic;
  /// The inputs of the step, by number of the source.
  std::map<unsigned, wafer::InputOp> inputs;

private:
  struct Loop {
    int64_t size;
    bool reduced = false;
  };
  struct Space {
    llvm::SmallVector<llvm::SmallVector<int64_t, 1>> dims;
  };
  bool align(llvm::MutableArrayRef<Operand> operands,
             llvm::ArrayRef<int64_t> sizes, Space &space);
  bool alignDim(llvm::MutableArrayRef<Operand> operands, int dim, int64_t size,
                llvm::SmallVector<int64_t, 1> &factors);
  std::optional<View> emit(llvm::MutableArrayRef<Operand> operands,
                           llvm::ArrayRef<int64_t> sizes,
                           llvm::ArrayRef<bool> reduced, mlir::Type type,
                           std::optional<double> init, BodyFn body);
  mlir::Value dropUnits(mlir::Value tensor, llvm::ArrayRef<bool> keep);
  mlir::Value emitGeneric(llvm::ArrayRef<Loop> loops,
                          llvm::ArrayRef<mlir::Value> tensors,
                          llvm::ArrayRef<llvm::SmallVector<int>> maps,
                          mlir::Type type, std::optional<double> init,
                          BodyFn body);

  SymbolicTensor *readWhole(SymbolicTensor *q, Expr function);

  friend class BodyWriter;
  std::deque<SymbolicTensor> symbolicTensors;
  std::map<std::pair<void *, std::vector<int64_t>>, mlir::Value> reshapes;
  std::map<int64_t, mlir::Value> iotas;
  /// Where values are kept, by the ids of the predicate and of the sizes.
  std::map<std::vector<unsigned>, SymbolicTensor *> keptMasks;
  mlir::Value positionTensor;
};

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

/// One node as its operator sees it.
struct Call {
  Lowering &lowering;
  Arithmetic &math;
  llvm::StringRef op;
  llvm::StringRef domain;
  int64_t version;
  /// Null for an optional input that is left out.
  llvm::SmallVector<SymbolicTensor *> inputs;
  mlir::DictionaryAttr attributes;
  unsigned resultCount;
  /// Per result, whether anyone reads it.
  llvm::SmallVector<bool> wanted;

  bool wants(unsigned i) const { return i < wanted.size() && wanted[i]; }
  SymbolicTensor *input(unsigned i) const {
    return i < inputs.size() ? inputs[i] : nullptr;
  }
  std::nullptr_t refuse(const llvm::Twine &reason) const {
    return lowering.refuse(reason);
  }
  int64_t integer(llvm::StringRef name, int64_t otherwise) const;
  double real(llvm::StringRef name, double otherwise) const;
  llvm::StringRef text(llvm::StringRef name, llvm::StringRef otherwise) const;
  std::optional<llvm::SmallVector<int64_t>>
  integers(llvm::StringRef name) const;
  bool has(llvm::StringRef name) const { return attributes.contains(name); }
};

/// Results of an operator; empty after a refusal. Absent results are null.
using Results = llvm::SmallVector<SymbolicTensor *, 1>;
using LowerFn = Results (*)(Call &);

struct OperatorEntry {
  llvm::StringRef domain;
  llvm::StringRef name;
  unsigned minInputs, maxInputs;
  LowerFn lower;

  /// The inputs that cannot be left out: of a variadic operator, none can.
  unsigned neededInputs() const {
    return maxInputs == anyNumber ? anyNumber : minInputs;
  }
  static constexpr unsigned anyNumber = 1 << 16;
};

/// The table of all operators, one entry each (Operators.cpp).
llvm::ArrayRef<OperatorEntry> operatorTable();
const OperatorEntry *findOperator(llvm::StringRef domain, llvm::StringRef name);

inline Results one(SymbolicTensor *q) { return q ? Results{q} : Results{}; }

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_LOWERING_H
