//===- Views.cpp - Tensors and the shapes they are seen in ----------------===//
//
// Reshapes of what exists are expand_shape and collapse_shape, which move no
// data; of a weight, a parameter of another shape. A copy is made only where an
// operation needs a tensor in exactly the value's shape and the order of its
// dimensions is another one.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

static ArrayRef<int64_t> shapeOf(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getShape();
}

Type Lowering::runtimeType(Type type) {
  if (type.isF16() || type.isInteger(1))
    return type;
  return isa<FloatType>(type) ? Type(builder.getF32Type())
                              : Type(builder.getI32Type());
}

//===----------------------------------------------------------------------===//
// Boundaries between dimensions
//===----------------------------------------------------------------------===//

/// Pairs the smallest groups of dimensions with equal products. Units join the
/// group before them. Empty if the shapes do not nest.
static std::optional<SmallVector<ReassociationIndices>>
groupsOf(ArrayRef<int64_t> coarse, ArrayRef<int64_t> fine) {
  SmallVector<ReassociationIndices> groups;
  size_t at = 0;
  for (int64_t size : coarse) {
    ReassociationIndices group;
    int64_t product = 1;
    while (at < fine.size() && (group.empty() || product < size)) {
      product *= fine[at];
      group.push_back(at++);
    }
    if (product != size || group.empty())
      return std::nullopt;
    groups.push_back(group);
  }
  for (; at < fine.size(); ++at) {
    if (fine[at] != 1 || groups.empty())
      return std::nullopt;
    groups.back().push_back(at);
  }
  return groups;
}

Value Lowering::reshape(Value tensor, ArrayRef<int64_t> shape) {
  if (!tensor)
    return nullptr;
  ArrayRef<int64_t> from = shapeOf(tensor);
  if (from == shape)
    return tensor;
  std::pair<void *, std::vector<int64_t>> key(tensor.getAsOpaquePointer(),
                                              shape.vec());
  if (auto known = reshapes.find(key); known != reshapes.end())
    return known->second;
  auto type = cast<RankedTensorType>(tensor.getType()).clone(shape);
  Value result;
  if (auto parameter = tensor.getDefiningOp<wafer::ParameterOp>()) {
    result =
        wafer::ParameterOp::create(builder, parameter.getLoc(), type,
                                   parameter.getWeights(), wafer::LayoutAttr());
  } else if (auto constant = tensor.getDefiningOp<arith::ConstantOp>()) {
    result = arith::ConstantOp::create(
        builder, constant.getLoc(),
        cast<DenseElementsAttr>(constant.getValue()).reshape(type));
  } else if (shape.empty() || from.empty()) {
    SmallVector<ReassociationIndices> none;
    if (shape.empty())
      result =
          tensor::CollapseShapeOp::create(builder, loc, type, tensor, none);
    else
      result = tensor::ExpandShapeOp::create(builder, loc, type, tensor, none);
  } else if (auto groups = shape.size() <= from.size() ? groupsOf(shape, from)
                                                       : std::nullopt) {
    result =
        tensor::CollapseShapeOp::create(builder, loc, type, tensor, *groups);
  } else if (auto groups = groupsOf(from, shape);
             groups && shape.size() >= from.size()) {
    result = tensor::ExpandShapeOp::create(builder, loc, type, tensor, *groups);
  } else {
    // Through the dimensions that both shapes share, without units.
    SmallVector<int64_t> common;
    size_t a = 0, b = 0;
    while (a < from.size() || b < shape.size()) {
      int64_t x = 1, y = 1;
      if (a < from.size())
        x = from[a++];
      if (b < shape.size())
        y = shape[b++];
      while (x != y) {
        if (x < y && a < from.size())
          x *= from[a++];
        else if (y < x && b < shape.size())
          y *= shape[b++];
        else
          return refuse("shapes of a reshape do not nest"), Value();
      }
      if (x != 1)
        common.push_back(x);
    }
    if (ArrayRef<int64_t>(common) == from || ArrayRef<int64_t>(common) == shape)
      return refuse("shapes of a reshape do not nest"), Value();
    Value middle = reshape(tensor, common);
    result = middle ? reshape(middle, shape) : Value();
  }
  return reshapes[key] = result;
}

void Lowering::splitBase(View &view, int base, ArrayRef<int64_t> sizes) {
  SmallVector<int64_t> shape(shapeOf(view.tensor));
  shape.erase(shape.begin() + base);
  shape.insert(shape.begin() + base, sizes.begin(), sizes.end());
  view.tensor = reshape(view.tensor, shape);
  int grown = static_cast<int>(sizes.size()) - 1;
  for (auto &dim : view.dims) {
    SmallVector<Factor, 1> factors;
    for (Factor factor : dim) {
      if (factor.base != base) {
        if (factor.base > base)
          factor.base += grown;
        factors.push_back(factor);
        continue;
      }
      for (auto [i, size] : llvm::enumerate(sizes))
        factors.push_back({size, base + static_cast<int>(i)});
    }
    dim = std::move(factors);
  }
}

void Lowering::mergeBases(View &view, int first, int count) {
  SmallVector<int64_t> shape(shapeOf(view.tensor));
  int64_t size = 1;
  for (int i = 0; i < count; ++i)
    size *= shape[first + i];
  shape.erase(shape.begin() + first + 1, shape.begin() + first + count);
  shape[first] = size;
  view.tensor = reshape(view.tensor, shape);
  for (auto &dim : view.dims) {
    SmallVector<Factor, 1> factors;
    for (Factor factor : dim) {
      if (factor.base == first)
        factor.size = size;
      else if (factor.base > first && factor.base < first + count)
        continue;
      else if (factor.base >= first + count)
        factor.base -= count - 1;
      factors.push_back(factor);
    }
    dim = std::move(factors);
  }
}

//===----------------------------------------------------------------------===//
// From symbolic tensors to tensors
//===----------------------------------------------------------------------===//

const View *Lowering::viewOf(SymbolicTensor *q) {
  if (q->past >= 0)
    return refuse("reads the state '" +
                  onnx::InputOp(states[q->past].past).getName() +
                  "' other than by appending to it");
  if (q->view)
    return &*q->view;
  if (!q->parts.empty())
    return refuse("takes what is joined behind a live length");
  SmallVector<int64_t> shape;
  for (Expr size : q->shape) {
    shape.push_back(capacity(size));
    if (shape.back() <= 0)
      return refuse("a tensor of shape " + print(q->shape) +
                    " has no elements at run time");
  }
  auto type = RankedTensorType::get(shape, runtimeType(q->type));
  Value tensor;
  if (q->weight) {
    auto symbol = FlatSymbolRefAttr::get(q->weight);
    tensor = wafer::ParameterOp::create(builder, loc, type,
                                        builder.getArrayAttr({symbol}),
                                        wafer::LayoutAttr());
  } else if (Expr function = functionOf(q);
             function && !(q->constant && !q->constant.isSplat())) {
    q->view = materialize(q, function);
    return q->view ? &*q->view : nullptr;
  } else if (q->constant) {
    DenseElementsAttr values = q->constant;
    if (q->isInt()) {
      SmallVector<int32_t> narrow;
      for (const APInt &value : values.getValues<APInt>()) {
        int64_t wide = q->type.isUnsignedInteger() ? value.getZExtValue()
                                                   : value.getSExtValue();
        if (wide != static_cast<int32_t>(wide))
          return refuse("the constant " + Twine(wide) +
                        " does not fit 32 bits");
        narrow.push_back(wide);
      }
      values = DenseElementsAttr::get(type, ArrayRef<int32_t>(narrow));
    }
    tensor = arith::ConstantOp::create(builder, loc, values);
  } else {
    return refuse("a value without elements is used at run time");
  }
  View view;
  view.tensor = tensor;
  for (auto [i, size] : llvm::enumerate(shape))
    view.dims.push_back({Factor{size, static_cast<int>(i)}});
  q->view = std::move(view);
  return &*q->view;
}

Value Lowering::plain(SymbolicTensor *q) {
  const View *view = viewOf(q);
  if (!view)
    return nullptr;
  SmallVector<int64_t> wanted, factors;
  bool ordered = true;
  int last = -1;
  for (const auto &dim : view->dims) {
    int64_t size = 1;
    for (const Factor &factor : dim) {
      size *= factor.size;
      if (factor.size == 1)
        continue;
      factors.push_back(factor.size);
      ordered &= factor.base > last;
      last = std::max(last, factor.base);
    }
    wanted.push_back(size);
  }
  return reshape(ordered ? view->tensor : copy(*view), wanted);
}
