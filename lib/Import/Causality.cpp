//===- Causality.cpp - Whether tokens see those behind them ---------------===//
//
// A step of several tokens may be cut, and then no token sees those of a later
// part. That is what the file computes if it hides later tokens, as a decoder
// does by a mask. So an entry is walked once at one position, with what is
// known of each element: whether the last token has a part in it, and its
// number where that is known, as of masks. A score beside -inf, or a number
// that is as good as that, is hidden: its exponential is 0, and so is what that
// is multiplied with.
//
// Elements that are alike along a dimension are one: what remains are tokens
// and slots of caches, which are few in an entry that is lowered for this.
//
//===----------------------------------------------------------------------===//

#include "Causality.h"
#include "Reach.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

namespace {
class Walk {
public:
  Walk(StringRef tokenInput, int64_t tokens, int64_t position)
      : tokenInput(tokenInput), tokens(tokens), position(position) {}

  /// False: an earlier token depends on the last one, or may.
  bool run(func::FuncOp entry);

private:
  Field &get(Value value) { return fields.find(value)->second; }
  static Index shapeOf(Value value) {
    return Index(cast<ShapedType>(value.getType()).getShape());
  }
  Field constant(arith::ConstantOp op);
  Field input(wafer::InputOp op);
  Field lookup(wafer::LookupOp op);
  Field append(wafer::AppendOp op);
  Field slice(tensor::ExtractSliceOp op);
  Field concat(tensor::ConcatOp op);
  Field reshape(Operation *op);
  Field generic(linalg::GenericOp op);
  Element runBody(Block &body, ArrayRef<Element> arguments);
  std::optional<Field> fieldOf(Operation *op);
  /// Whether rows in front of the last, of as many as tokens, have no part of
  /// that.
  bool isFree(Value value, size_t dim);

  StringRef tokenInput;
  const int64_t tokens, position;
  llvm::DenseMap<Value, Field> fields;
};
} // namespace

Field Walk::constant(arith::ConstantOp op) {
  constexpr int64_t most = 4096;
  auto dense = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!dense)
    return Field::alike(0, numberOf(op.getValue()));
  const auto rank = static_cast<size_t>(dense.getType().getRank());
  if (dense.isSplat())
    return Field::alike(rank, numberOf(dense.getSplatValue<Attribute>()));
  if (dense.getNumElements() > most)
    return Field::alike(rank, {});
  Field field(shapeOf(op.getResult()));
  for (auto [i, value] : llvm::enumerate(dense.getValues<Attribute>()))
    field.elements[i] = numberOf(value);
  return field;
}

/// What the host fills in is known.
Field Walk::input(wafer::InputOp op) {
  Index extents(cast<ShapedType>(op.getType()).getRank(), 1);
  const StringRef fallback = op.getFallback();
  if (fallback == "ones" || fallback == "position" || fallback == "length")
    return Field::alike(
        extents.size(),
        {false, double(fallback == "ones"       ? 1
                       : fallback == "position" ? position
                                                : position + tokens)});
  if (fallback == "positions" && !extents.empty()) {
    extents.back() = shapeOf(op.getResult()).back();
    Field field(extents);
    for (auto [i, element] : llvm::enumerate(field.elements))
      element.number = double(position) + double(i);
    return field;
  }
  if (op.getName() != tokenInput || extents.size() < 2)
    return Field::alike(extents.size(), {});
  extents[1] = tokens;
  Field field(extents);
  field.elements.back().depends = true;
  return field;
}

Field Walk::lookup(wafer::LookupOp op) {
  Field &table = get(op.getTable()), &indices = get(op.getIndices());
  const size_t taken = indices.extents.size();
  Index extents = indices.extents;
  llvm::append_range(extents, ArrayRef(table.extents).drop_front());
  Field field(extents);
  forEach(extents, [&](ArrayRef<int64_t> index) {
    const Element &at = indices.at(index.take_front(taken));
    Index row{0};
    llvm::append_range(row, index.drop_front(taken));
    Element &found = field.at(index);
    for (int64_t i = 0; i < table.extents[0]; ++i) {
      if (at.number && table.extents[0] > 1 && *at.number != double(i))
        continue;
      row[0] = i;
      const Element &one = table.at(row);
      found.depends |= one.depends;
      if (at.number)
        found.number = one.number;
    }
    found.depends |= at.depends;
  });
  return field;
}

Field Walk::append(wafer::AppendOp op) {
  Field &update = get(op.getUpdate());
  const auto dim = static_cast<size_t>(op.getDim());
  Index extents = update.extents;
  extents[dim] = shapeOf(op.getState())[dim];
  Field field(extents);
  forEach(extents, [&](ArrayRef<int64_t> index) {
    const int64_t row = index[dim] - position;
    Index from(index);
    from[dim] = row;
    if (row >= 0 && row < shapeOf(op.getUpdate())[dim])
      field.at(index) = update.at(from);
  });
  return field;
}

Field Walk::slice(tensor::ExtractSliceOp op) {
  Field &from = get(op.getSource());
  const Index sizes(op.getStaticSizes());
  Index extents;
  for (auto [size, extent] : llvm::zip_equal(sizes, from.extents))
    extents.push_back(extent == 1 ? 1 : size);
  Field whole(extents);
  forEach(extents, [&](ArrayRef<int64_t> index) {
    Index source;
    for (auto [i, at] : llvm::enumerate(index))
      source.push_back(op.getStaticOffset(i) + at * op.getStaticStride(i));
    whole.at(index) = from.at(source);
  });
  Index kept;
  auto dropped = op.getDroppedDims();
  for (auto [i, extent] : llvm::enumerate(extents))
    if (!dropped.test(i))
      kept.push_back(extent);
  whole.extents = kept;
  return whole;
}

Field Walk::concat(tensor::ConcatOp op) {
  const size_t dim = op.getDim();
  Index extents(shapeOf(op.getResult()).size(), 1);
  for (Value part : op.getInputs())
    for (auto [mine, extent] : llvm::zip_equal(extents, get(part).extents))
      mine = std::max(mine, extent);
  extents[dim] = shapeOf(op.getResult())[dim];
  Field field(extents);
  int64_t begin = 0;
  for (Value part : op.getInputs()) {
    const int64_t size = shapeOf(part)[dim];
    Index window = extents;
    window[dim] = size;
    forEach(window, [&](ArrayRef<int64_t> index) {
      Index to(index);
      to[dim] += begin;
      field.at(to) = get(part).at(index);
    });
    begin += size;
  }
  return field;
}

/// Groups of dimensions are cut or joined: those of a group with a dimension
/// along which elements differ are all written out.
Field Walk::reshape(Operation *op) {
  const bool isExpanded = isa<tensor::ExpandShapeOp>(op);
  auto groups =
      isExpanded ? cast<tensor::ExpandShapeOp>(op).getReassociationIndices()
                 : cast<tensor::CollapseShapeOp>(op).getReassociationIndices();
  Field &from = get(op->getOperand(0));
  const Index fromShape = shapeOf(op->getOperand(0)),
              toShape = shapeOf(op->getResult(0));
  Index extents(toShape.size(), 1);
  for (auto [one, group] : llvm::enumerate(groups)) {
    bool differs = false;
    if (isExpanded)
      differs = from.extents[one] > 1;
    else
      for (int64_t dim : group)
        differs |= from.extents[dim] > 1;
    if (!differs)
      continue;
    if (!isExpanded)
      extents[one] = toShape[one];
    else
      for (int64_t dim : group)
        extents[dim] = toShape[dim];
  }
  Field field(extents);
  forEach(extents, [&](ArrayRef<int64_t> index) {
    Index source(fromShape.size(), 0);
    for (auto [one, group] : llvm::enumerate(groups)) {
      if (isExpanded) {
        for (int64_t dim : group)
          source[one] = source[one] * toShape[dim] + index[dim];
        continue;
      }
      int64_t rest = index[one];
      for (int64_t dim : llvm::reverse(group)) {
        source[dim] = rest % fromShape[dim];
        rest /= fromShape[dim];
      }
    }
    field.at(index) = from.at(source);
  });
  return field;
}

Element Walk::runBody(Block &body, ArrayRef<Element> arguments) {
  llvm::DenseMap<Value, Element> known;
  auto find = [&](Value value) {
    if (auto argument = dyn_cast<BlockArgument>(value))
      return arguments[argument.getArgNumber()];
    if (auto constant = value.getDefiningOp<arith::ConstantOp>())
      return numberOf(constant.getValue());
    return known.lookup(value);
  };
  for (Operation &op : body.without_terminator())
    if (op.getNumResults() == 1)
      known[op.getResult(0)] =
          apply(&op, llvm::map_to_vector(op.getOperands(), find));
  return find(body.getTerminator()->getOperand(0));
}

Field Walk::generic(linalg::GenericOp op) {
  const Index sizes = op.getStaticLoopRanges();
  const auto maps = op.getIndexingMapsArray();
  const auto iterators = op.getIteratorTypesArray();
  auto dimsOf = [&](AffineMap map) {
    Index dims; // -1: a constant
    for (AffineExpr expr : map.getResults()) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      dims.push_back(dim ? int64_t(dim.getPosition()) : -1);
    }
    return dims;
  };
  Index loops(sizes.size(), 1);
  for (OpOperand &operand : op->getOpOperands())
    for (auto [dim, extent] :
         llvm::zip_equal(dimsOf(maps[operand.getOperandNumber()]),
                         get(operand.get()).extents))
      if (dim >= 0)
        loops[dim] = std::max(loops[dim], extent);
  Index results = dimsOf(maps.back()), extents;
  for (int64_t dim : results)
    extents.push_back(dim < 0 ? 1 : loops[dim]);
  // A sum of so many that are alike is not known, unless they are nothing.
  bool isRepeated = false;
  for (auto [i, iterator] : llvm::enumerate(iterators))
    isRepeated |= iterator == utils::IteratorType::reduction && loops[i] == 1 &&
                  sizes[i] > 1;
  Field field(extents);
  auto indexOf = [](ArrayRef<int64_t> dims, ArrayRef<int64_t> loop) {
    return llvm::map_to_vector(
        dims, [&](int64_t dim) { return dim < 0 ? int64_t(0) : loop[dim]; });
  };
  llvm::DenseMap<int64_t, bool> begun;
  forEach(loops, [&](ArrayRef<int64_t> loop) {
    const Index at = indexOf(results, loop);
    int64_t offset = 0;
    for (auto [i, extent] : llvm::zip_equal(at, extents))
      offset = offset * extent + i;
    SmallVector<Element> arguments;
    for (OpOperand &operand : op->getOpOperands())
      arguments.push_back(
          get(operand.get())
              .at(indexOf(dimsOf(maps[operand.getOperandNumber()]), loop)));
    Element &result = field.elements[offset];
    if (!begun.try_emplace(offset, true).second)
      arguments.back() = result;
    result = runBody(*op.getBody(), arguments);
  });
  if (isRepeated)
    for (Element &element : field.elements)
      if (!element.isZero() && !element.isHidden())
        element.number.reset();
  return field;
}

/// None: an op that is not followed.
std::optional<Field> Walk::fieldOf(Operation *op) {
  using Result = std::optional<Field>;
  auto unknown = [&]() -> Field {
    return Field::alike(shapeOf(op->getResult(0)).size(), {});
  };
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([&](arith::ConstantOp typed) { return constant(typed); })
      .Case([&](wafer::InputOp typed) { return input(typed); })
      .Case([&](wafer::LookupOp typed) { return lookup(typed); })
      .Case([&](wafer::AppendOp typed) { return append(typed); })
      .Case([&](tensor::ExtractSliceOp typed) { return slice(typed); })
      .Case([&](tensor::ConcatOp typed) { return concat(typed); })
      .Case([&](linalg::GenericOp typed) { return generic(typed); })
      .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(
          [&](auto) { return reshape(op); })
      .Case<wafer::ParameterOp, wafer::StateOp, tensor::EmptyOp>(
          [&](auto) { return unknown(); })
      .Case([&](wafer::PositionOp) {
        return Field::alike(0, {false, double(position)});
      })
      .Case([&](wafer::IotaOp) {
        Field field(shapeOf(op->getResult(0)));
        for (auto [i, element] : llvm::enumerate(field.elements))
          element.number = double(i);
        return field;
      })
      .Case([&](linalg::FillOp fill) {
        Attribute value;
        matchPattern(fill.getInputs()[0], m_Constant(&value));
        return Field::alike(shapeOf(fill.getResult(0)).size(),
                            value ? numberOf(value) : Element());
      })
      .Default([](Operation *) { return Result(); });
}

/// One element along the dimension stands for all.
bool Walk::isFree(Value value, size_t dim) {
  if (shapeOf(value).size() <= dim || shapeOf(value)[dim] != tokens)
    return true;
  Field &field = get(value);
  bool isFree = true;
  forEach(field.extents, [&](ArrayRef<int64_t> index) {
    isFree &= index[dim] == tokens - 1 || !field.at(index).depends;
  });
  return isFree;
}

bool Walk::run(func::FuncOp entry) {
  for (Operation &op : entry.getBody().front()) {
    if (auto output = dyn_cast<wafer::OutputOp>(op))
      for (size_t dim = 0; dim < shapeOf(output.getValue()).size(); ++dim)
        if (!isFree(output.getValue(), dim))
          return false;
    if (auto append = dyn_cast<wafer::AppendOp>(op))
      if (!isFree(append.getUpdate(), append.getDim()))
        return false;
    if (op.getNumResults() != 1)
      continue;
    std::optional<Field> field = fieldOf(&op);
    if (!field)
      return false;
    field->shrink();
    fields[op.getResult(0)] = std::move(*field);
  }
  return true;
}

bool import::hidesLastToken(func::FuncOp entry, StringRef tokenInput,
                            int64_t tokens, int64_t position) {
  return Walk(tokenInput, tokens, position).run(entry);
}
