//===- SymbolicTensors.cpp - Making and reading what is known -------------===//
//
// Constants become index functions where they are one (splat, affine,
// triangle): the arange and causal buffers that exporters leave in the file
// then meet the arithmetic that other exporters write out in nodes.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

std::nullptr_t Lowering::refuse(const Twine &reason) {
  if (refusal.empty())
    refusal = reason.str();
  return nullptr;
}

SymbolicTensor *Lowering::clone(const SymbolicTensor &tensor) {
  symbolicTensors.push_back(tensor);
  return &symbolicTensors.back();
}

SymbolicTensor *Lowering::fromElements(Sizes elements, bool isScalar,
                                       Type type) {
  SymbolicTensor q;
  if (!isScalar)
    q.shape.push_back(math.constant(elements.size()));
  q.type = type;
  q.elements = std::move(elements);
  return clone(q);
}

SymbolicTensor *Lowering::fromInts(ArrayRef<int64_t> values) {
  Sizes elements;
  for (int64_t value : values)
    elements.push_back(math.constant(value));
  return fromElements(elements, false, builder.getI64Type());
}

SymbolicTensor *Lowering::fromFunction(Sizes shape, Type type, Expr function) {
  SymbolicTensor q;
  q.shape = std::move(shape);
  q.type = type;
  q.function = function;
  return clone(q);
}

SymbolicTensor *Lowering::fromView(Sizes shape, Type type, View view) {
  SymbolicTensor q;
  q.shape = std::move(shape);
  q.type = type;
  q.view = std::move(view);
  SymbolicTensor *made = clone(q);
  if (q.isFloat())
    return made;
  // Integers and booleans stay symbolic: this tensor read at its own indices.
  ReadTensor source;
  source.name = "a value";
  Sizes indices;
  for (auto [i, size] : llvm::enumerate(q.shape)) {
    source.dims.push_back(capacity(size));
    indices.push_back(math.dim(i));
  }
  math.reads.push_back(source);
  readSymbolic.resize(math.reads.size());
  readSymbolic.back() = made;
  math.dims = q.shape;
  made->function =
      math.read(math.reads.size() - 1, indices,
                q.isBool() ? Arithmetic::Sort::Bool : Arithmetic::Sort::Int);
  return made;
}

SymbolicTensor *Lowering::fromTensor(Sizes shape, Type type, Value tensor) {
  View view;
  view.tensor = tensor;
  for (auto [i, size] :
       llvm::enumerate(cast<RankedTensorType>(tensor.getType()).getShape()))
    view.dims.push_back({Factor{size, static_cast<int>(i)}});
  return fromView(std::move(shape), type, std::move(view));
}

Format Lowering::formatOf(Type type) {
  return type.isF16() ? Format::F16 : type.isF64() ? Format::F64 : Format::F32;
}

Expr Lowering::constantOf(double value, Type type) {
  if (type.isInteger(1))
    return math.boolean(value != 0);
  if (isa<FloatType>(type))
    return math.floatConstant(value, formatOf(type));
  return math.constant(static_cast<int64_t>(value));
}

//===----------------------------------------------------------------------===//
// Constants of the file
//===----------------------------------------------------------------------===//

static std::vector<int64_t> integersOf(DenseElementsAttr constant) {
  bool isUnsigned = constant.getElementType().isUnsignedInteger() ||
                    constant.getElementType().isInteger(1);
  std::vector<int64_t> values;
  for (const APInt &value : constant.getValues<APInt>())
    values.push_back(isUnsigned ? static_cast<int64_t>(value.getZExtValue())
                                : value.getSExtValue());
  return values;
}

/// base + sum of step_k * d_k, if all elements are that.
static Expr recognizeAffine(Arithmetic &math, ArrayRef<int64_t> values,
                            ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1), steps(shape.size(), 0);
  for (int64_t k = static_cast<int64_t>(shape.size()) - 2; k >= 0; --k)
    strides[k] = strides[k + 1] * shape[k + 1];
  for (auto [k, size] : llvm::enumerate(shape))
    if (size > 1)
      steps[k] =
          static_cast<int64_t>(static_cast<uint64_t>(values[strides[k]]) -
                               static_cast<uint64_t>(values[0]));
  for (auto [flat, value] : llvm::enumerate(values)) {
    uint64_t expected = values[0];
    for (size_t k = 0; k < shape.size(); ++k)
      expected +=
          static_cast<uint64_t>(steps[k]) * (flat / strides[k] % shape[k]);
    if (expected != static_cast<uint64_t>(value))
      return nullptr;
  }
  Expr result = math.constant(values[0]);
  for (auto [k, step] : llvm::enumerate(steps))
    result = math.add(result, math.mul(math.constant(step), math.dim(k)));
  return result;
}

/// "column <= row + offset" or "column >= row + offset" on the last two dims.
static Expr recognizeTriangle(Arithmetic &math, ArrayRef<int64_t> values,
                              ArrayRef<int64_t> shape) {
  if (shape.size() < 2)
    return nullptr;
  int64_t columns = shape.back(), rows = shape[shape.size() - 2];
  Expr q = math.dim(shape.size() - 2), k = math.dim(shape.size() - 1);
  for (int64_t offset : {0, -1, 1})
    for (bool lower : {true, false}) {
      bool all = llvm::all_of(llvm::enumerate(values), [&](auto element) {
        int64_t flat = element.index();
        int64_t column = flat % columns, row = flat / columns % rows;
        bool inside = lower ? column <= row + offset : column >= row + offset;
        return element.value() == (inside ? 1 : 0);
      });
      if (all) {
        Expr distance = math.add(math.sub(k, q), -offset);
        return math.lessEqualZero(lower ? distance : math.neg(distance));
      }
    }
  return nullptr;
}

SymbolicTensor *Lowering::fromConstant(DenseElementsAttr constant,
                                       StringRef name) {
  ArrayRef<int64_t> dims = constant.getType().getShape();
  int64_t count = constant.getNumElements();
  SymbolicTensor q;
  q.type = constant.getElementType();
  for (int64_t size : dims)
    q.shape.push_back(math.constant(size));
  math.dims = q.shape;

  q.given = constant;
  if (q.isFloat()) {
    if (count > 0 && constant.isSplat()) {
      APFloat value = constant.getSplatValue<APFloat>();
      bool lost;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
      q.function =
          math.floatConstant(value.convertToDouble(), formatOf(q.type));
    }
    q.constant = q.type.isF16() ? constant : asSingles(constant);
    return clone(q);
  }

  std::vector<int64_t> values = integersOf(constant);
  auto element = [&](int64_t value) {
    return q.isBool() ? math.boolean(value != 0) : math.constant(value);
  };
  if (dims.size() <= 1 && count <= 32) {
    q.elements = Sizes(llvm::map_range(values, element));
    return clone(q);
  }
  if (count == 0)
    return clone(q);
  if (llvm::all_equal(values)) {
    q.function = element(values[0]);
    return clone(q);
  }
  if (q.isInt())
    q.function = recognizeAffine(math, values, dims);
  if (!q.function)
    if (Expr triangle = recognizeTriangle(math, values, dims))
      q.function =
          q.isBool() ? triangle
                     : math.where(triangle, math.constant(1), math.constant(0));
  if (q.function)
    return clone(q);

  ReadTensor table;
  table.name = name.str();
  table.dims.assign(dims.begin(), dims.end());
  table.low = *llvm::min_element(values);
  table.high = *llvm::max_element(values);
  table.table = std::move(values);
  Sizes indices;
  for (size_t k = 0; k < dims.size(); ++k)
    indices.push_back(math.dim(k));
  math.reads.push_back(std::move(table));
  q.constant = constant;
  SymbolicTensor *made = clone(q);
  readSymbolic.resize(math.reads.size());
  readSymbolic.back() = made;
  made->function =
      math.read(math.reads.size() - 1, indices,
                q.isBool() ? Arithmetic::Sort::Bool : Arithmetic::Sort::Int);
  return made;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

Expr Lowering::functionOf(SymbolicTensor *q) {
  if (q->function || !q->elements || q->elements->empty())
    return q->function;
  const Sizes &elements = *q->elements;
  if (q->shape.empty() || llvm::all_equal(elements))
    return elements[0];
  if (q->isInt()) {
    Expr step = math.sub(elements[1], elements[0]);
    bool affine = llvm::all_of(llvm::enumerate(elements), [&](auto e) {
      return e.value() ==
             math.add(elements[0], math.mul(step, math.constant(e.index())));
    });
    if (affine)
      return q->function = math.add(elements[0], math.mul(step, math.dim(0)));
  }
  math.dims = q->shape;
  Expr result = elements.back();
  for (size_t i = elements.size() - 1; i-- > 0;)
    result = math.where(math.lessEqual(math.dim(0), math.constant(i)),
                        elements[i], result);
  return q->function = result;
}

Expr Lowering::functionAt(SymbolicTensor *q, ArrayRef<Expr> shape) {
  Expr function = functionOf(q);
  math.dims.assign(shape.begin(), shape.end());
  if (!function)
    return nullptr;
  size_t offset = shape.size() - q->rank();
  Sizes indices;
  Expr unit = math.constant(1);
  for (auto [k, size] : llvm::enumerate(q->shape))
    indices.push_back(size == unit ? math.constant(0) : math.dim(k + offset));
  return math.substitute(function, indices);
}

SymbolicTensor *Lowering::withRange(SymbolicTensor *q, int64_t low,
                                    int64_t high) {
  for (auto [source, read] : llvm::zip(readSymbolic, math.reads))
    if (q && source == q) {
      read.low = low;
      read.high = high;
      math.forgetBounds();
    }
  return q;
}

const Sizes *Lowering::elementsOf(SymbolicTensor *q) {
  if (q->elements)
    return &*q->elements;
  // What depends on data decides nothing, and reads best as one function.
  if (!q->function || q->rank() > 1 || math.readsData(q->function))
    return nullptr;
  std::optional<int64_t> count = q->rank() ? q->shape[0]->constant() : 1;
  if (!count || *count > 32)
    return nullptr;
  math.dims.clear();
  Sizes elements;
  for (int64_t i = 0; i < *count; ++i)
    elements.push_back(math.substitute(q->function, {math.constant(i)}));
  q->elements = std::move(elements);
  return &*q->elements;
}

const Sizes *Lowering::sizesOf(SymbolicTensor *q, StringRef what) {
  const Sizes *elements = elementsOf(q);
  if (!elements) {
    if (q->function)
      return refuse(what + " depends on data: " + math.print(q->function));
    return refuse(what + " is computed at run time");
  }
  for (Expr element : *elements)
    if (!element->isInt() || !math.dependsOnPositionOnly(element))
      return refuse(what + " depends on data: " + math.print(element));
  return elements;
}

std::optional<SmallVector<int64_t>> Lowering::constantsOf(SymbolicTensor *q,
                                                          StringRef what) {
  const Sizes *elements = sizesOf(q, what);
  if (!elements)
    return std::nullopt;
  SmallVector<int64_t> values;
  for (Expr element : *elements) {
    auto value = element->constant();
    if (!value) {
      refuse(what + " changes with the position: " + math.print(element));
      return std::nullopt;
    }
    values.push_back(*value);
  }
  return values;
}

std::optional<Sizes> Lowering::broadcast(ArrayRef<Expr> a, ArrayRef<Expr> b) {
  Expr unit = math.constant(1);
  size_t rank = std::max(a.size(), b.size());
  Sizes shape(rank, unit);
  for (ArrayRef<Expr> side : {a, b})
    for (auto [i, size] : llvm::enumerate(side)) {
      Expr &into = shape[rank - side.size() + i];
      if (size == unit || size == into)
        continue;
      if (into != unit) {
        refuse("sizes " + math.print(into) + " and " + math.print(size) +
               " differ");
        return std::nullopt;
      }
      into = size;
    }
  return shape;
}

std::optional<Sizes> Lowering::broadcast(ArrayRef<SymbolicTensor *> operands) {
  Sizes shape;
  for (SymbolicTensor *operand : operands) {
    auto wider = broadcast(ArrayRef<Expr>(shape), operand->shape);
    if (!wider)
      return std::nullopt;
    shape = std::move(*wider);
  }
  return shape;
}

std::string Lowering::print(ArrayRef<Expr> shape) {
  return "[" +
         llvm::join(llvm::map_range(
                        shape, [&](Expr size) { return math.print(size); }),
                    ", ") +
         "]";
}
