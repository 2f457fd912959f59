//===- Materialize.cpp - Index functions as tensors -----------------------===//
//
// The only way out of the arithmetic: one generic whose loops are the indices
// that the function uses and whose operands are counters (wafer.iota), the
// position, and the tensors it reads. A read at the loops' own indices is an
// operand with a map; any other read becomes a lookup first. Indices that the
// function does not use are repetition and cost nothing.
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"
#include "Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

Value Lowering::position() {
  if (!positionTensor)
    positionTensor = wafer::PositionOp::create(
        builder, loc, RankedTensorType::get({}, builder.getI32Type()));
  return positionTensor;
}

Value Lowering::makeState(onnx::InputOp past, ArrayRef<int64_t> sizes) {
  return wafer::StateOp::create(
      builder, loc,
      RankedTensorType::get(sizes, runtimeType(past.getElementType())),
      builder.getStrArrayAttr({past.getName()}), wafer::LayoutAttr());
}

Value Lowering::iota(int64_t size) {
  Value &known = iotas[size];
  if (!known)
    known = wafer::IotaOp::create(
        builder, loc, RankedTensorType::get({size}, builder.getI32Type()),
        wafer::LayoutAttr());
  return known;
}

Value Lowering::emitScalar(OpBuilder &b, Location at, ScalarOp op,
                           ValueRange args) {
  if (std::optional<scalar::Function> function = import::functionOf(op))
    return scalar::create(b, at, *function, args);
  Value x = args[0];
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(b, at, b.getFloatAttr(x.getType(), value));
  };
  switch (op) {
  case ScalarOp::Reciprocal:
    return arith::DivFOp::create(b, at, constant(1), x);
  case ScalarOp::Sigmoid: {
    Value e = math::ExpOp::create(b, at, arith::NegFOp::create(b, at, x));
    Value sum = arith::AddFOp::create(b, at, e, constant(1));
    return arith::DivFOp::create(b, at, constant(1), sum);
  }
  case ScalarOp::Relu:
    return arith::MaximumFOp::create(b, at, x, constant(0));
  default:
    return x; // Cast
  }
}

namespace waferloom::import {

/// Collects what a function reads, then writes it as the body of a generic.
class BodyWriter {
public:
  BodyWriter(Lowering &lowering, ArrayRef<int> loopOfDim)
      : lowering(lowering), loopOfDim(loopOfDim) {}

  bool collect(Expr e);
  Value write(OpBuilder &b, Location at, Expr e, ValueRange args);

  SmallVector<Value> tensors;
  SmallVector<SmallVector<int>> maps;

private:
  bool collectRead(Expr e);
  bool collectLookup(Expr e);
  Value writePolynomial(OpBuilder &b, Location at, ArrayRef<Term> terms,
                        bool negated, ValueRange args);
  Value towardsZero(OpBuilder &b, Location at, Value x, Value y);
  Value writeAtom(OpBuilder &b, Location at, Expr e, ValueRange args);
  Value writeBool(OpBuilder &b, Location at, Expr e, ValueRange args);
  Value writeFloat(OpBuilder &b, Location at, Expr e, ValueRange args);
  Value integer(OpBuilder &b, Location at, int64_t value) {
    return arith::ConstantOp::create(b, at, b.getI32IntegerAttr(value));
  }
  void add(Expr e, Value tensor, SmallVector<int> map) {
    operandOf[e] = tensors.size();
    tensors.push_back(tensor);
    maps.push_back(std::move(map));
  }

  Lowering &lowering;
  ArrayRef<int> loopOfDim;
  llvm::DenseMap<Expr, unsigned> operandOf;
  llvm::DenseMap<Expr, bool> seen;
  llvm::DenseMap<Expr, Value> written;
};

} // namespace waferloom::import

static bool fits32(int64_t value) {
  return value == static_cast<int32_t>(value);
}

bool BodyWriter::collect(Expr e) {
  if (!seen.try_emplace(e, true).second)
    return true;
  switch (e->kind) {
  case ExprKind::Position:
    add(e, lowering.position(), {});
    return true;
  case ExprKind::Dim:
    add(e, lowering.iota(lowering.capacity(lowering.math.dims[e->payload])),
        {loopOfDim[e->payload]});
    return true;
  case ExprKind::IntRead:
  case ExprKind::BoolRead:
    return collectRead(e);
  default:
    break;
  }
  for (Expr arg : lowering.math.argsInOrder(e))
    if (!collect(arg))
      return false;
  for (const Term &term : e->terms) {
    if (!fits32(term.coefficient)) {
      lowering.refuse("the constant " + Twine(term.coefficient) +
                      " does not fit 32 bits");
      return false;
    }
    for (Expr atom : term.atoms)
      if (!collect(atom))
        return false;
  }
  return true;
}

/// The index variable that an integer expression is, or -1.
static int asDim(Expr e) {
  if (e->terms.size() != 1 || e->terms[0].coefficient != 1 ||
      e->terms[0].atoms.size() != 1 ||
      e->terms[0].atoms[0]->kind != ExprKind::Dim)
    return -1;
  return e->terms[0].atoms[0]->payload;
}

bool BodyWriter::collectRead(Expr e) {
  const ReadTensor &source = lowering.math.reads[e->payload];
  if (!lowering.readSymbolic[e->payload])
    return lowering.refuse("computes with " + source.name +
                           ", which data decides"),
           false;
  SmallVector<int> map;
  SmallVector<int64_t> offsets, sizes;
  for (auto [index, size] : llvm::zip_equal(e->args, source.dims)) {
    int dim = asDim(index);
    auto fixed = index->constant();
    if (fixed && *fixed >= 0 && *fixed < size) {
      offsets.push_back(*fixed);
      sizes.push_back(1);
      continue;
    }
    if (dim < 0 || llvm::is_contained(map, loopOfDim[dim]))
      return collectLookup(e);
    int64_t wanted = lowering.capacity(lowering.math.dims[dim]);
    if (wanted > size)
      return collectLookup(e);
    map.push_back(loopOfDim[dim]);
    offsets.push_back(0);
    sizes.push_back(wanted);
  }
  Sizes dims = lowering.math.dims;
  Value tensor = lowering.plain(lowering.readSymbolic[e->payload]);
  lowering.math.dims = dims;
  if (!tensor)
    return false;
  if (ArrayRef<int64_t>(sizes) != ArrayRef<int64_t>(source.dims)) {
    SmallVector<OpFoldResult> at, length, step;
    for (auto [offset, size] : llvm::zip_equal(offsets, sizes)) {
      at.push_back(lowering.builder.getIndexAttr(offset));
      length.push_back(lowering.builder.getIndexAttr(size));
      step.push_back(lowering.builder.getIndexAttr(1));
    }
    tensor = tensor::ExtractSliceOp::create(lowering.builder, lowering.loc,
                                            tensor, at, length, step);
  }
  SmallVector<int64_t> kept;
  for (auto [index, size] : llvm::zip_equal(e->args, sizes))
    if (asDim(index) >= 0)
      kept.push_back(size);
  tensor = lowering.reshape(tensor, kept);
  if (!tensor)
    return false;
  add(e, tensor, std::move(map));
  return true;
}

/// A read at computed indices: a lookup in the flattened source.
bool BodyWriter::collectLookup(Expr e) {
  Arithmetic &math = lowering.math;
  ReadTensor source = math.reads[e->payload];
  Expr flat = math.constant(0);
  int64_t elements = 1;
  for (auto [index, size] : llvm::zip_equal(e->args, source.dims)) {
    // Beyond the live length the index may mean nothing, but stays in range.
    Expr low = math.constant(0), high = math.constant(size - 1);
    Expr inside = math.max(math.min(index, high), low);
    flat = math.add(math.mul(flat, math.constant(size)), inside);
    elements *= size;
  }
  Sizes dims = math.dims;
  SmallVector<int> map;
  Sizes used, to(dims.size(), math.constant(0));
  llvm::SmallBitVector dimsOfIndex = math.dimsOf(flat);
  for (unsigned k : dimsOfIndex.set_bits()) {
    to[k] = math.dim(used.size());
    used.push_back(math.constant(lowering.capacity(dims[k])));
    map.push_back(loopOfDim[k]);
  }
  math.dims = used;
  flat = math.substitute(flat, to);
  SymbolicTensor *indices =
      lowering.fromFunction(used, lowering.builder.getI64Type(), flat);
  SmallVector<int64_t> sizes;
  for (Expr size : used)
    sizes.push_back(*size->constant());
  Value table = lowering.plain(lowering.readSymbolic[e->payload]);
  // All elements in their order are the source in another shape.
  auto order = valuesOf(flat, sizes);
  if (table && order && static_cast<int64_t>(order->size()) == elements &&
      llvm::equal(*order, llvm::seq<int64_t>(0, elements))) {
    math.dims = dims;
    if (!(table = lowering.reshape(table, sizes)))
      return false;
    add(e, table, std::move(map));
    return true;
  }
  Value at = lowering.plain(indices);
  math.dims = dims;
  if (!at || !table)
    return false;
  table = lowering.reshape(table, {elements});
  auto type = cast<RankedTensorType>(table.getType());
  Value result = wafer::LookupOp::create(
      lowering.builder, lowering.loc,
      type.clone(cast<RankedTensorType>(at.getType()).getShape()), table, at);
  add(e, result, std::move(map));
  return true;
}

Value BodyWriter::writePolynomial(OpBuilder &b, Location at,
                                  ArrayRef<Term> terms, bool negated,
                                  ValueRange args) {
  Value sum;
  for (const Term &term : terms) {
    int64_t coefficient = negated ? -term.coefficient : term.coefficient;
    Value product;
    if (coefficient != 1 || term.atoms.empty())
      product = integer(b, at, coefficient);
    for (Expr atom : term.atoms) {
      Value factor = write(b, at, atom, args);
      product = product ? Value(arith::MulIOp::create(b, at, product, factor))
                        : factor;
    }
    sum = sum ? Value(arith::AddIOp::create(b, at, sum, product)) : product;
  }
  return sum ? sum : integer(b, at, 0);
}

/// The machine divides downwards: a negative quotient that leaves a remainder
/// is one too low.
Value BodyWriter::towardsZero(OpBuilder &b, Location at, Value x, Value y) {
  using P = arith::CmpIPredicate;
  Value down = arith::FloorDivSIOp::create(b, at, x, y);
  Value back = arith::MulIOp::create(b, at, down, y);
  Value negative =
      arith::CmpIOp::create(b, at, P::slt, down, integer(b, at, 0));
  Value uneven = arith::CmpIOp::create(b, at, P::ne, back, x);
  Value up = arith::AddIOp::create(b, at, down, integer(b, at, 1));
  Value both = arith::AndIOp::create(b, at, negative, uneven);
  return arith::SelectOp::create(b, at, both, up, down);
}

Value BodyWriter::writeAtom(OpBuilder &b, Location at, Expr e,
                            ValueRange args) {
  if (e->kind == ExprKind::Polynomial)
    return writePolynomial(b, at, e->terms, /*negated=*/false, args);
  SmallVector<Value> operands;
  for (Expr arg : e->args)
    operands.push_back(write(b, at, arg, args));
  switch (e->kind) {
  case ExprKind::IntWhere:
    return arith::SelectOp::create(b, at, operands[0], operands[1],
                                   operands[2]);
  case ExprKind::Max:
    return arith::MaxSIOp::create(b, at, operands[0], operands[1]);
  case ExprKind::Min:
    return arith::MinSIOp::create(b, at, operands[0], operands[1]);
  case ExprKind::Abs: {
    Value negative =
        arith::SubIOp::create(b, at, integer(b, at, 0), operands[0]);
    return arith::MaxSIOp::create(b, at, operands[0], negative);
  }
  case ExprKind::FloorDiv:
    return arith::FloorDivSIOp::create(b, at, operands[0], operands[1]);
  case ExprKind::Mod: {
    Value quotient =
        arith::FloorDivSIOp::create(b, at, operands[0], operands[1]);
    Value whole = arith::MulIOp::create(b, at, quotient, operands[1]);
    return arith::SubIOp::create(b, at, operands[0], whole);
  }
  case ExprKind::TruncDiv:
    return towardsZero(b, at, operands[0], operands[1]);
  case ExprKind::TruncMod: {
    Value quotient = towardsZero(b, at, operands[0], operands[1]);
    Value whole = arith::MulIOp::create(b, at, quotient, operands[1]);
    return arith::SubIOp::create(b, at, operands[0], whole);
  }
  default: // FloatToInt
    return arith::FPToSIOp::create(b, at, b.getI32Type(), operands[0]);
  }
}

Value BodyWriter::writeBool(OpBuilder &b, Location at, Expr e,
                            ValueRange args) {
  if (e->kind == ExprKind::LessEqualZero || e->kind == ExprKind::EqualZero) {
    // a - b <= 0 reads better, and is cheaper, as a <= b.
    SmallVector<Term> left, right;
    for (const Term &term : e->args[0]->terms)
      (term.coefficient > 0 ? left : right).push_back(term);
    Value x = writePolynomial(b, at, left, /*negated=*/false, args);
    Value y = writePolynomial(b, at, right, /*negated=*/true, args);
    auto predicate = e->kind == ExprKind::EqualZero ? arith::CmpIPredicate::eq
                                                    : arith::CmpIPredicate::sle;
    return arith::CmpIOp::create(b, at, predicate, x, y);
  }
  SmallVector<Value> operands;
  for (Expr arg : lowering.math.argsInOrder(e))
    operands.push_back(write(b, at, arg, args));
  auto boolean = [&](bool value) -> Value {
    return arith::ConstantOp::create(b, at, b.getBoolAttr(value));
  };
  switch (e->kind) {
  case ExprKind::Not:
    return arith::XOrIOp::create(b, at, operands[0], boolean(true));
  case ExprKind::And:
  case ExprKind::Or: {
    Value all = operands[0];
    for (Value operand : ArrayRef<Value>(operands).drop_front())
      all = e->kind == ExprKind::And
                ? Value(arith::AndIOp::create(b, at, all, operand))
                : Value(arith::OrIOp::create(b, at, all, operand));
    return all;
  }
  case ExprKind::FloatCompare: {
    static const arith::CmpFPredicate predicates[] = {
        arith::CmpFPredicate::OEQ, arith::CmpFPredicate::OLT,
        arith::CmpFPredicate::OLE, arith::CmpFPredicate::OGT,
        arith::CmpFPredicate::OGE};
    return arith::CmpFOp::create(b, at, predicates[e->payload], operands[0],
                                 operands[1]);
  }
  case ExprKind::IsNaN:
    return arith::CmpFOp::create(b, at, arith::CmpFPredicate::UNO, operands[0],
                                 operands[0]);
  default:
    return boolean(e->isTrue());
  }
}

Value BodyWriter::writeFloat(OpBuilder &b, Location at, Expr e,
                             ValueRange args) {
  Type type =
      e->format == Format::F16 ? Type(b.getF16Type()) : Type(b.getF32Type());
  if (e->kind == ExprKind::FloatConstant)
    return arith::ConstantOp::create(b, at,
                                     b.getFloatAttr(type, e->floatValue()));
  SmallVector<Value> operands;
  for (Expr arg : e->args)
    operands.push_back(write(b, at, arg, args));
  if (e->kind == ExprKind::FloatWhere)
    return arith::SelectOp::create(b, at, operands[0], operands[1],
                                   operands[2]);
  if (e->kind == ExprKind::IntToFloat)
    return arith::SIToFPOp::create(b, at, type, operands[0]);
  auto op = static_cast<ScalarOp>(e->payload);
  if (op != ScalarOp::Cast)
    return lowering.emitScalar(b, at, op, operands);
  unsigned from = operands[0].getType().getIntOrFloatBitWidth();
  unsigned width = type.getIntOrFloatBitWidth();
  if (from == width)
    return operands[0];
  return from < width ? Value(arith::ExtFOp::create(b, at, type, operands[0]))
                      : arith::TruncFOp::create(b, at, type, operands[0]);
}

Value BodyWriter::write(OpBuilder &b, Location at, Expr e, ValueRange args) {
  if (auto operand = operandOf.find(e); operand != operandOf.end())
    return args[operand->second];
  if (Value known = written.lookup(e))
    return known;
  Value value = e->isInt()    ? writeAtom(b, at, e, args)
                : e->isBool() ? writeBool(b, at, e, args)
                              : writeFloat(b, at, e, args);
  return written[e] = value;
}

/// The tensor whose every element the function reads in its place; or null.
SymbolicTensor *Lowering::readWhole(SymbolicTensor *q, Expr function) {
  Expr read = function;
  if (function->isInt() && function->terms.size() == 1 &&
      function->terms[0].coefficient == 1 &&
      function->terms[0].atoms.size() == 1)
    read = function->terms[0].atoms[0];
  if (read->kind != ExprKind::IntRead && read->kind != ExprKind::BoolRead)
    return nullptr;
  SymbolicTensor *source = readSymbolic[read->payload];
  if (!source || source->rank() != q->rank() ||
      source->isBool() != q->isBool() ||
      (!source->view && source->function == function))
    return nullptr;
  for (auto [k, index] : llvm::enumerate(read->args)) {
    int64_t size = capacity(q->shape[k]);
    bool own = asDim(index) == static_cast<int>(k) ||
               (size == 1 && index == math.constant(0));
    if (!own || math.reads[read->payload].dims[k] != size)
      return nullptr;
  }
  return source == q ? nullptr : source;
}

std::optional<View> Lowering::materialize(SymbolicTensor *q, Expr function) {
  // A dimension of size 1 has the index 0.
  Sizes indices;
  math.dims = q->shape;
  for (auto [k, size] : llvm::enumerate(q->shape))
    indices.push_back(capacity(size) == 1 ? math.constant(0) : math.dim(k));
  function = math.substitute(function, indices);
  llvm::SmallBitVector used = math.dimsOf(function);

  SmallVector<Loop> loops;
  SmallVector<int> loopOfDim(q->rank(), -1);
  View view;
  for (auto [k, size] : llvm::enumerate(q->shape)) {
    bool wanted = k < used.size() && used[k];
    if (wanted) {
      loopOfDim[k] = loops.size();
      loops.push_back({capacity(size)});
    }
    view.dims.push_back({Factor{capacity(size), loopOfDim[k]}});
  }
  if (SymbolicTensor *whole = readWhole(q, function)) {
    const View *read = viewOf(whole);
    return read ? std::optional(*read) : std::nullopt;
  }
  BodyWriter writer(*this, loopOfDim);
  if (!staysIn32Bits(function) || !writer.collect(function))
    return std::nullopt;
  math.dims = q->shape;
  view.tensor = emitGeneric(loops, writer.tensors, writer.maps,
                            runtimeType(q->type), std::nullopt,
                            [&](OpBuilder &b, Location at, ValueRange args) {
                              return writer.write(b, at, function, args);
                            });
  if (!view.tensor)
    return std::nullopt;
  return view;
}

SymbolicTensor *Lowering::lookup(SymbolicTensor *table,
                                 SymbolicTensor *indices) {
  Value rows = plain(table), at = plain(indices);
  if (!rows || !at)
    return nullptr;
  auto type = cast<RankedTensorType>(rows.getType());
  SmallVector<int64_t> shape(cast<RankedTensorType>(at.getType()).getShape());
  llvm::append_range(shape, type.getShape().drop_front());
  if (!fits(shape))
    return nullptr;
  Value result =
      wafer::LookupOp::create(builder, loc, type.clone(shape), rows, at);
  Sizes sizes = indices->shape;
  sizes.append(table->shape.begin() + 1, table->shape.end());
  return fromTensor(sizes, table->type, result);
}
