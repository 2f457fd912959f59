//===- Generics.cpp - Operations over aligned views -----------------------===//
//
// An operation runs over a space of dimensions. Its operands may know the same
// dimension in different parts (a head dimension as one, or as kv x group), so
// they are aligned first: parts that lie side by side are joined, otherwise
// whole dimensions are cut until all operands agree. Every part that some
// operand has becomes a loop; a part that none has is repeated in the result
// and costs nothing.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <limits>
#include <set>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

static int64_t sizeOf(ArrayRef<Factor> dim) {
  int64_t size = 1;
  for (const Factor &factor : dim)
    size *= factor.size;
  return size;
}

//===----------------------------------------------------------------------===//
// Alignment
//===----------------------------------------------------------------------===//

/// Joins the parts of a dimension if they lie side by side in the tensor.
static void joinParts(Lowering &lowering, View &view, size_t dim) {
  auto &parts = view.dims[dim];
  if (parts.size() < 2 || parts[0].base < 0)
    return;
  for (size_t i = 1; i < parts.size(); ++i)
    if (parts[i].base != parts[0].base + static_cast<int>(i))
      return;
  lowering.mergeBases(view, parts[0].base, parts.size());
}

bool Lowering::alignDim(MutableArrayRef<Operand> operands, int dim,
                        int64_t size, SmallVector<int64_t, 1> &factors) {
  SmallVector<std::pair<View *, size_t>> parties;
  for (Operand &operand : operands)
    for (auto [i, to] : llvm::enumerate(operand.to)) {
      auto &parts = operand.view.dims[i];
      if (to != dim || sizeOf(parts) == 1)
        continue;
      llvm::erase_if(parts, [](const Factor &part) { return part.size == 1; });
      parties.push_back({&operand.view, i});
    }
  auto sizes = [](const std::pair<View *, size_t> &party) {
    return SmallVector<int64_t, 1>(
        llvm::map_range(party.first->dims[party.second],
                        [](const Factor &part) { return part.size; }));
  };
  auto agreed = [&] {
    return llvm::all_of(parties, [&](const auto &party) {
      return sizes(party) == sizes(parties.front());
    });
  };
  factors.assign(1, size);
  if (size == 1 || parties.empty())
    return true;
  if (!agreed())
    for (auto &[view, i] : parties)
      joinParts(*this, *view, i);
  if (!agreed()) {
    // Cut everyone at the boundaries of all, counted from the inside.
    std::set<int64_t> boundaries;
    for (const auto &party : parties) {
      int64_t inner = 1;
      SmallVector<int64_t, 1> parts = sizes(party);
      for (int64_t part : llvm::reverse(parts))
        boundaries.insert(inner *= part);
    }
    int64_t inner = 1;
    SmallVector<int64_t> sizes;
    for (int64_t boundary : boundaries) {
      if (boundary % inner)
        return refuse("a dimension of size " + Twine(size) +
                      " is seen in parts that do not nest"),
               false;
      sizes.push_back(boundary / inner);
      inner = boundary;
    }
    std::reverse(sizes.begin(), sizes.end());
    for (auto &[view, i] : parties) {
      size_t next = 0;
      for (size_t part = 0; part < view->dims[i].size(); ++part) {
        Factor factor = view->dims[i][part];
        SmallVector<int64_t> factors;
        for (int64_t product = 1; product < factor.size;)
          product *= factors.emplace_back(sizes[next++]);
        if (factors.size() < 2)
          continue;
        if (factor.base >= 0) {
          splitBase(*view, factor.base, factors);
        } else {
          auto &parts = view->dims[i];
          parts.erase(parts.begin() + part);
          for (auto [k, size] : llvm::enumerate(factors))
            parts.insert(parts.begin() + part + k, Factor{size, -1});
        }
        part += factors.size() - 1;
      }
    }
  }
  factors = sizes(parties.front());
  return refusal.empty();
}

bool Lowering::align(MutableArrayRef<Operand> operands, ArrayRef<int64_t> sizes,
                     Space &space) {
  space.dims.resize(sizes.size());
  for (auto [dim, size] : llvm::enumerate(sizes))
    if (!alignDim(operands, dim, size, space.dims[dim]))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

Value Lowering::dropUnits(Value tensor, ArrayRef<bool> keep) {
  SmallVector<int64_t> shape;
  for (auto [size, kept] : llvm::zip_equal(
           cast<RankedTensorType>(tensor.getType()).getShape(), keep))
    if (kept)
      shape.push_back(size);
  return reshape(tensor, shape);
}

bool Lowering::fits(ArrayRef<int64_t> shape) {
  constexpr int64_t maxElements = int64_t(1) << 33;
  int64_t elements = 1;
  for (int64_t size : shape)
    if (size < 1 || llvm::MulOverflow(elements, size, elements) ||
        elements > maxElements)
      return refuse("a tensor at run time would have no, or more than 2^33, "
                    "elements"),
             false;
  return true;
}

Value Lowering::emitGeneric(ArrayRef<Loop> loops, ArrayRef<Value> tensors,
                            ArrayRef<SmallVector<int>> maps, Type type,
                            std::optional<double> init, BodyFn body) {
  MLIRContext *context = builder.getContext();
  auto dims = [&](ArrayRef<int> map) {
    SmallVector<AffineExpr> exprs;
    for (int loop : map)
      exprs.push_back(getAffineDimExpr(loop, context));
    return AffineMap::get(loops.size(), 0, exprs, context);
  };
  SmallVector<AffineMap> affine;
  for (ArrayRef<int> map : maps)
    affine.push_back(dims(map));
  SmallVector<int64_t> shape;
  SmallVector<int> kept;
  SmallVector<utils::IteratorType> iterators;
  for (auto [i, loop] : llvm::enumerate(loops)) {
    iterators.push_back(loop.reduced ? utils::IteratorType::reduction
                                     : utils::IteratorType::parallel);
    if (loop.reduced)
      continue;
    shape.push_back(loop.size);
    kept.push_back(i);
  }
  affine.push_back(dims(kept));
  if (!fits(shape))
    return nullptr;
  Value into = tensor::EmptyOp::create(builder, loc, shape, type);
  if (init) {
    Value neutral = arith::ConstantOp::create(
        builder, loc,
        isa<FloatType>(type)
            ? TypedAttr(builder.getFloatAttr(type, *init))
            : builder.getIntegerAttr(type, static_cast<int64_t>(*init)));
    into = linalg::FillOp::create(builder, loc, neutral, into).getResult(0);
  }
  auto generic = linalg::GenericOp::create(
      builder, loc, into.getType(), tensors, into, affine, iterators,
      [&](OpBuilder &b, Location at, ValueRange args) {
        ValueRange used = init ? args : args.drop_back();
        linalg::YieldOp::create(b, at, body(b, at, used));
      });
  return generic.getResult(0);
}

std::optional<View> Lowering::emit(MutableArrayRef<Operand> operands,
                                   ArrayRef<int64_t> sizes,
                                   ArrayRef<bool> reduced, Type type,
                                   std::optional<double> init, BodyFn body) {
  Space space;
  if (!align(operands, sizes, space))
    return std::nullopt;

  // Loops, for the parts that some operand has.
  SmallVector<Loop> loops;
  SmallVector<SmallVector<int>> loopOf(sizes.size());
  for (auto [dim, parts] : llvm::enumerate(space.dims))
    for (auto [part, size] : llvm::enumerate(parts)) {
      bool wanted = false;
      for (const Operand &operand : operands)
        for (auto [i, to] : llvm::enumerate(operand.to)) {
          const auto &own = operand.view.dims[i];
          wanted |= to == static_cast<int>(dim) && sizeOf(own) == sizes[dim] &&
                    part < own.size() && own[part].base >= 0;
        }
      if (!wanted && reduced[dim] && size > 1) {
        // Nothing to reduce over but repetition: make it real.
        Operand *repeats = llvm::find_if(
            operands, [&, dim = static_cast<int>(dim)](const Operand &operand) {
              return llvm::any_of(llvm::enumerate(operand.to), [&](auto to) {
                return to.value() == dim &&
                       sizeOf(operand.view.dims[to.index()]) == sizes[dim];
              });
            });
        if (repeats == operands.end())
          return refuse("reduces over " + Twine(sizes[dim]) +
                        " elements that no operand has"),
                 std::nullopt;
        Value whole = copy(repeats->view);
        if (!whole)
          return std::nullopt;
        // A copy has one dimension per part.
        repeats->view.tensor = whole;
        int base = 0;
        for (auto &own : repeats->view.dims)
          for (Factor &factor : own)
            factor.base = base++;
        return emit(operands, sizes, reduced, type, init, body);
      }
      loopOf[dim].push_back(wanted ? static_cast<int>(loops.size()) : -1);
      if (wanted)
        loops.push_back({size, reduced[dim]});
    }

  SmallVector<Value> tensors;
  SmallVector<SmallVector<int>> maps;
  for (const Operand &operand : operands) {
    auto rank = cast<RankedTensorType>(operand.view.tensor.getType()).getRank();
    SmallVector<int> loopOfBase(rank, -1);
    for (auto [i, to] : llvm::enumerate(operand.to)) {
      const auto &own = operand.view.dims[i];
      if (sizeOf(own) != sizes[to])
        continue;
      for (auto [part, factor] : llvm::enumerate(own))
        if (factor.base >= 0 && part < loopOf[to].size())
          loopOfBase[factor.base] = loopOf[to][part];
    }
    SmallVector<bool> keep(
        llvm::map_range(loopOfBase, [](int loop) { return loop >= 0; }));
    Value tensor = dropUnits(operand.view.tensor, keep);
    if (!tensor)
      return std::nullopt;
    tensors.push_back(tensor);
    llvm::erase_if(loopOfBase, [](int loop) { return loop < 0; });
    maps.push_back(loopOfBase);
  }

  View result;
  result.tensor = emitGeneric(loops, tensors, maps, type, init, body);
  if (!result.tensor)
    return std::nullopt;
  int base = 0;
  for (auto [dim, parts] : llvm::enumerate(space.dims)) {
    if (reduced[dim])
      continue;
    auto &factors = result.dims.emplace_back();
    for (auto [part, size] : llvm::enumerate(parts))
      factors.push_back({size, loopOf[dim][part] >= 0 ? base++ : -1});
  }
  return result;
}

Value Lowering::copy(const View &view) {
  // One loop per part, repeated parts included.
  SmallVector<Loop> loops;
  auto rank = cast<RankedTensorType>(view.tensor.getType()).getRank();
  SmallVector<int> loopOfBase(rank, -1);
  for (const auto &dim : view.dims)
    for (const Factor &factor : dim) {
      if (factor.base >= 0)
        loopOfBase[factor.base] = loops.size();
      loops.push_back({factor.size});
    }
  SmallVector<bool> keep(
      llvm::map_range(loopOfBase, [](int loop) { return loop >= 0; }));
  Value tensor = dropUnits(view.tensor, keep);
  llvm::erase_if(loopOfBase, [](int loop) { return loop < 0; });
  return emitGeneric(
      loops, tensor, SmallVector<int>(loopOfBase),
      cast<RankedTensorType>(tensor.getType()).getElementType(), std::nullopt,
      [](OpBuilder &, Location, ValueRange args) { return args[0]; });
}

//===----------------------------------------------------------------------===//
// Operations on symbolic tensors
//===----------------------------------------------------------------------===//

/// A constant that fits into the body of an operation; null otherwise.
static TypedAttr inlineConstant(Lowering &lowering, SymbolicTensor *q) {
  Expr function = lowering.functionOf(q);
  if (!function)
    return nullptr;
  Type type = lowering.runtimeType(q->type);
  if (function->kind == ExprKind::FloatConstant)
    return FloatAttr::get(type, function->floatValue());
  if (function->isTrue() || function->isFalse())
    return IntegerAttr::get(type, function->isTrue());
  auto value = function->isInt() ? function->constant() : std::nullopt;
  if (value && *value == static_cast<int32_t>(*value))
    return IntegerAttr::get(type, *value);
  return nullptr;
}

SymbolicTensor *Lowering::pointwise(ArrayRef<SymbolicTensor *> inputs,
                                    Type type, BodyFn body) {
  auto shape = broadcast(inputs);
  if (!shape)
    return nullptr;
  SmallVector<int64_t> sizes;
  for (Expr size : *shape)
    sizes.push_back(capacity(size));
  SmallVector<Operand> operands;
  SmallVector<TypedAttr> constants;
  for (SymbolicTensor *input : inputs) {
    constants.push_back(inlineConstant(*this, input));
    if (constants.back())
      continue;
    const View *view = viewOf(input);
    if (!view)
      return nullptr;
    Operand operand{*view, {}};
    for (size_t i = 0; i < input->rank(); ++i)
      operand.to.push_back(i + shape->size() - input->rank());
    operands.push_back(std::move(operand));
  }
  SmallVector<bool> reduced(sizes.size(), false);
  auto result =
      emit(operands, sizes, reduced, runtimeType(type), std::nullopt,
           [&](OpBuilder &b, Location at, ValueRange args) {
             SmallVector<Value> all;
             for (TypedAttr constant : constants) {
               if (constant) {
                 all.push_back(arith::ConstantOp::create(b, at, constant));
               } else {
                 all.push_back(args.front());
                 args = args.drop_front();
               }
             }
             return body(b, at, all);
           });
  if (!result)
    return nullptr;
  return fromView(*shape, type, std::move(*result));
}

std::optional<View> Lowering::contract(Operand a, Operand b,
                                       ArrayRef<int64_t> sizes,
                                       ArrayRef<bool> reduced, Type type) {
  Operand operands[] = {std::move(a), std::move(b)};
  return emit(operands, sizes, reduced, type, 0.0,
              [](OpBuilder &b, Location at, ValueRange args) -> Value {
                Value product = arith::MulFOp::create(b, at, args[0], args[1]);
                return arith::AddFOp::create(b, at, args[2], product);
              });
}

static Value combineFloats(OpBuilder &b, Location at, Combiner combiner,
                           ValueRange args) {
  if (combiner == Combiner::Sum)
    return arith::AddFOp::create(b, at, args[1], args[0]);
  if (combiner == Combiner::Max)
    return arith::MaximumFOp::create(b, at, args[1], args[0]);
  return arith::MinimumFOp::create(b, at, args[1], args[0]);
}

static Value combineIntegers(OpBuilder &b, Location at, Combiner combiner,
                             ValueRange args) {
  if (combiner == Combiner::Sum)
    return arith::AddIOp::create(b, at, args[1], args[0]);
  if (combiner == Combiner::Max)
    return arith::MaxSIOp::create(b, at, args[1], args[0]);
  return arith::MinSIOp::create(b, at, args[1], args[0]);
}

SymbolicTensor *Lowering::reduce(SymbolicTensor *q, ArrayRef<int64_t> axes,
                                 Combiner combiner, bool paddingIsNeutral) {
  const View *view = viewOf(q);
  if (!view)
    return nullptr;
  double infinity = std::numeric_limits<double>::infinity();
  if (!q->isFloat())
    infinity = std::numeric_limits<int32_t>::max();
  double neutral = combiner == Combiner::Sum   ? 0
                   : combiner == Combiner::Max ? -infinity
                                               : infinity;
  for (int64_t axis : axes)
    if (isBounded(q->shape[axis]) && !paddingIsNeutral)
      if (!(q = maskPadding(q, axis, neutral)))
        return nullptr;
  Operand operand{*viewOf(q), {}};
  SmallVector<int64_t> sizes;
  SmallVector<bool> reduced;
  for (size_t i = 0; i < q->rank(); ++i) {
    operand.to.push_back(i);
    sizes.push_back(capacity(q->shape[i]));
    reduced.push_back(llvm::is_contained(axes, static_cast<int64_t>(i)));
  }
  auto result = emit(operand, sizes, reduced, runtimeType(q->type), neutral,
                     [&](OpBuilder &b, Location at, ValueRange args) {
                       return q->isFloat()
                                  ? combineFloats(b, at, combiner, args)
                                  : combineIntegers(b, at, combiner, args);
                     });
  if (!result)
    return nullptr;
  Sizes shape = q->shape;
  SmallVector<int64_t> ascending(axes);
  llvm::sort(ascending);
  for (int64_t axis : ascending) {
    shape[axis] = math.constant(1);
    result->dims.insert(result->dims.begin() + axis, {Factor{1, -1}});
  }
  return fromView(std::move(shape), q->type, std::move(*result));
}

SymbolicTensor *Lowering::unary(ScalarOp op, SymbolicTensor *q) {
  if (Expr function = functionOf(q); function && q->isFloat() && !q->view) {
    math.dims = q->shape;
    return fromFunction(q->shape, q->type,
                        math.apply(op, {function}, formatOf(q->type)));
  }
  return pointwise(q, q->type, [&](OpBuilder &b, Location at, ValueRange args) {
    return emitScalar(b, at, op, args);
  });
}

SymbolicTensor *Lowering::binary(ScalarOp op, SymbolicTensor *x,
                                 SymbolicTensor *y) {
  if (x->type != y->type || !x->isFloat())
    return refuse("operands are not floats of one type");
  return pointwise({x, y}, x->type,
                   [&](OpBuilder &b, Location at, ValueRange args) {
                     return emitScalar(b, at, op, args);
                   });
}

SymbolicTensor *Lowering::divide(SymbolicTensor *a, SymbolicTensor *b) {
  Expr constant = functionOf(b);
  if (constant && constant->kind == ExprKind::FloatConstant) {
    Expr one = math.floatConstant(1, constant->format);
    Expr inverse = math.apply(ScalarOp::Div, {one, constant}, constant->format);
    if (std::isnormal(inverse->floatValue()))
      return binary(ScalarOp::Mul, a, fromFunction(b->shape, b->type, inverse));
    return binary(ScalarOp::Div, a, b);
  }
  auto shape = broadcast({a, b});
  if (!shape)
    return nullptr;
  // b lacks a loop of the result where it is 1 or repeats its elements.
  const View *view = viewOf(b);
  if (!view)
    return nullptr;
  int64_t held =
      cast<RankedTensorType>(view->tensor.getType()).getNumElements();
  int64_t all = 1;
  for (Expr size : *shape)
    all *= capacity(size);
  if (held == all)
    return binary(ScalarOp::Div, a, b);
  SymbolicTensor *one = fromFunction({}, b->type, constantOf(1, b->type));
  SymbolicTensor *inverse = binary(ScalarOp::Div, one, b);
  return inverse ? binary(ScalarOp::Mul, a, inverse) : nullptr;
}
