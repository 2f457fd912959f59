// Products of a slice instead of slices of a product.
//
// Exporters pack queries, keys and values into one product and cut its result.
// The parts have boundaries of their own (6 heads as 2 x 3 and 2 as 2), which
// need not nest, and a dimension that is cut is whole on every PE. Where all
// that reads a value are slices of one dimension, and that dimension comes from
// weights and constants alone, each slice computes its part by itself, with the
// same part of the weights. Nothing is computed twice, and parts of weights are
// read from the whole when the image is written.

#include "waferloom/Partition/Passes.h"

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/InterleavedRange.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONSLICEPRODUCTS
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

namespace {
/// Elements start, start + step, .. of one dimension.
struct Part {
  int64_t dim, start, size, step;
};

class Slicer {
public:
  explicit Slicer(ModuleOp module)
      : symbols(module), builder(module.getContext()) {}

  /// Whether the part of `value` can be made of parts of weights and constants
  /// along that dimension. `depth` bounds how far it looks.
  bool isFree(Value value, Part part, int depth);
  /// That part, in front of `before`.
  Value slice(Value value, Part part, Operation *before);

private:
  bool isFreeParameter(Operation *op, Part part, int depth);
  bool isFreeConstant(Operation *op, Part part, int depth);
  bool isFreeFill(Operation *op, Part part, int depth) { return true; }
  bool isFreeReshape(Operation *op, Part part, int depth);
  bool isFreeGeneric(Operation *op, Part part, int depth);
  Value sliceParameter(Operation *op, Part part, Operation *before);
  Value sliceConstant(Operation *op, Part part, Operation *before);
  Value sliceEmpty(Operation *op, Part part, Operation *before);
  Value sliceFill(Operation *op, Part part, Operation *before);
  Value sliceReshape(Operation *op, Part part, Operation *before);
  Value sliceGeneric(Operation *op, Part part, Operation *before);
  wafer::WeightOp weightOf(wafer::ParameterOp op);
  FlatSymbolRefAttr nameOf(wafer::WeightOp whole, ArrayRef<int64_t> shape,
                           Part part);

  /// How a part of the result of one kind of op is made.
  struct Model {
    bool (*isOne)(Operation *op);
    bool (Slicer::*isFree)(Operation *op, Part part, int depth);
    Value (Slicer::*slice)(Operation *op, Part part, Operation *before);
  };
  static const Model models[];
  static const Model *findModel(Operation *op);

  SymbolTable symbols;
  OpBuilder builder;
};

template <typename... Ops>
bool isOne(Operation *op) {
  return isa<Ops...>(op);
}
} // namespace

// One line per op that can be cut.
const Slicer::Model Slicer::models[] = {
    {isOne<wafer::ParameterOp>, &Slicer::isFreeParameter,
     &Slicer::sliceParameter},
    {isOne<arith::ConstantOp>, &Slicer::isFreeConstant, &Slicer::sliceConstant},
    {isOne<tensor::EmptyOp>, &Slicer::isFreeFill, &Slicer::sliceEmpty},
    {isOne<linalg::FillOp>, &Slicer::isFreeFill, &Slicer::sliceFill},
    {isOne<tensor::ExpandShapeOp, tensor::CollapseShapeOp>,
     &Slicer::isFreeReshape, &Slicer::sliceReshape},
    {isOne<linalg::GenericOp>, &Slicer::isFreeGeneric, &Slicer::sliceGeneric},
};

const Slicer::Model *Slicer::findModel(Operation *op) {
  for (const Model &model : models)
    if (op && model.isOne(op))
      return &model;
  return nullptr;
}

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static RankedTensorType typeOfPart(Value value, Part part) {
  SmallVector<int64_t> shape(typeOf(value).getShape());
  shape[part.dim] = part.size;
  return typeOf(value).clone(shape);
}

/// The stride of each dimension of `shape` in the elements of the weight that
/// holds the bytes; nothing if a dimension of `shape` crosses two of a part.
static std::optional<SmallVector<int64_t>> stridesOf(wafer::WeightOp weight,
                                                     ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size());
  wafer::PartAttr part = weight.getPartAttr();
  int64_t inner = 1;
  for (size_t d = shape.size(); d-- > 0; inner *= shape[d]) {
    strides[d] = part ? part.getStride(inner) : inner;
    if (part && shape[d] > 1 &&
        part.getStride(inner * (shape[d] - 1)) != strides[d] * (shape[d] - 1))
      return std::nullopt;
  }
  return strides;
}

/// The part of the operand of a reshape, where the dimension is the outermost
/// of its group in the larger shape.
static std::optional<Part> throughReshape(Operation *op, Part part) {
  auto expand = dyn_cast<tensor::ExpandShapeOp>(op);
  auto groups =
      expand ? expand.getReassociationIndices()
             : cast<tensor::CollapseShapeOp>(op).getReassociationIndices();
  ArrayRef<int64_t> larger =
      (expand ? expand.getResultType()
              : cast<tensor::CollapseShapeOp>(op).getSrcType())
          .getShape();
  for (auto [d, group] : llvm::enumerate(groups)) {
    auto outer =
        llvm::find_if(group, [&](int64_t e) { return larger[e] != 1; });
    if (outer == group.end())
      continue;
    int64_t inner = 1;
    for (auto e = std::next(outer); e != group.end(); ++e)
      inner *= larger[*e];
    auto whole = static_cast<int64_t>(d);
    if (expand && *outer == part.dim) {
      if (part.step != 1 && inner != 1)
        return std::nullopt;
      return Part{whole, part.start * inner, part.size * inner, part.step};
    }
    if (!expand && whole == part.dim) {
      if (inner == 1)
        return Part{*outer, part.start, part.size, part.step};
      if (part.step != 1 || part.start % inner || part.size % inner)
        return std::nullopt;
      return Part{*outer, part.start / inner, part.size / inner, 1};
    }
  }
  return std::nullopt;
}

/// The dimension of an operand that is loop `loop`; -1 if it has none.
static int64_t dimOf(AffineMap map, int64_t loop) {
  for (auto [d, result] : llvm::enumerate(map.getResults()))
    if (cast<AffineDimExpr>(result).getPosition() == loop)
      return static_cast<int64_t>(d);
  return -1;
}

static int64_t loopOf(linalg::GenericOp op, int64_t dim) {
  return cast<AffineDimExpr>(op.getIndexingMapsArray().back().getResult(dim))
      .getPosition();
}

/// Does only one op read `value`, or do slices alone?
static bool isReadOnce(Value value) {
  return value.hasOneUse() || llvm::all_of(value.getUsers(), [](Operation *op) {
           return isa<tensor::ExtractSliceOp>(op);
         });
}

bool Slicer::isFree(Value value, Part part, int depth) {
  const Model *model = findModel(value.getDefiningOp());
  return model && depth > 0 &&
         (this->*model->isFree)(value.getDefiningOp(), part, depth - 1);
}

Value Slicer::slice(Value value, Part part, Operation *before) {
  Operation *op = value.getDefiningOp();
  return (this->*findModel(op)->slice)(op, part, before);
}

wafer::WeightOp Slicer::weightOf(wafer::ParameterOp op) {
  return symbols.lookup<wafer::WeightOp>(
      cast<FlatSymbolRefAttr>(op.getWeights()[0]).getValue());
}

bool Slicer::isFreeParameter(Operation *self, Part, int) {
  auto op = cast<wafer::ParameterOp>(self);
  wafer::WeightOp weight = weightOf(op);
  return op.getWeights().size() == 1 && weight && !weight.getValue() &&
         stridesOf(weight, typeOf(op).getShape());
}

bool Slicer::isFreeConstant(Operation *op, Part, int) {
  return isa<DenseElementsAttr>(cast<arith::ConstantOp>(op).getValue());
}

bool Slicer::isFreeReshape(Operation *op, Part part, int depth) {
  auto source = throughReshape(op, part);
  return source && isReadOnce(op->getResult(0)) &&
         isFree(op->getOperand(0), *source, depth);
}

bool Slicer::isFreeGeneric(Operation *self, Part part, int depth) {
  auto op = cast<linalg::GenericOp>(self);
  if (op->getNumResults() != 1 || op.hasIndexSemantics() ||
      !isReadOnce(op.getResult(0)))
    return false;
  int64_t loop = loopOf(op, part.dim);
  bool any = false;
  for (OpOperand &operand : op->getOpOperands()) {
    int64_t dim = dimOf(op.getMatchingIndexingMap(&operand), loop);
    if (dim < 0)
      continue;
    if (!isFree(operand.get(), {dim, part.start, part.size, part.step}, depth))
      return false;
    any |= op.isDpsInput(&operand);
  }
  return any;
}

FlatSymbolRefAttr Slicer::nameOf(wafer::WeightOp whole, ArrayRef<int64_t> shape,
                                 Part part) {
  SmallVector<int64_t> sizes(shape), strides = *stridesOf(whole, shape);
  wafer::PartAttr outer = whole.getPartAttr();
  int64_t at = (outer ? outer.getAt() : 0) + part.start * strides[part.dim];
  sizes[part.dim] = part.size;
  strides[part.dim] *= part.step;
  auto of = outer ? outer.getOf() : FlatSymbolRefAttr::get(whole);
  auto attribute =
      wafer::PartAttr::get(whole.getContext(), of, at, sizes, strides);
  std::string name = (of.getValue() + "[" + llvm::Twine(at) + ":").str();
  llvm::raw_string_ostream(name) << llvm::interleaved(sizes, "x") << "]";
  if (auto known = symbols.lookup<wafer::WeightOp>(name);
      known && known.getPartAttr() == attribute)
    return FlatSymbolRefAttr::get(known);
  OpBuilder b(whole.getContext());
  auto made = wafer::WeightOp::create(
      b, whole.getLoc(), b.getStringAttr(name), StringAttr(),
      b.getI64IntegerAttr(0), ElementsAttr(), wafer::BlocksAttr(), attribute,
      TypeAttr::get(RankedTensorType::get(
          sizes, cast<ShapedType>(whole.getType()).getElementType())));
  return FlatSymbolRefAttr::get(
      symbols.insert(made, std::next(whole->getIterator())));
}

Value Slicer::sliceParameter(Operation *self, Part part, Operation *before) {
  auto op = cast<wafer::ParameterOp>(self);
  FlatSymbolRefAttr name = nameOf(weightOf(op), typeOf(op).getShape(), part);
  builder.setInsertionPoint(before);
  return wafer::ParameterOp::create(builder, op.getLoc(), typeOfPart(op, part),
                                    builder.getArrayAttr(name),
                                    wafer::LayoutAttr());
}

Value Slicer::sliceConstant(Operation *self, Part part, Operation *before) {
  auto op = cast<arith::ConstantOp>(self);
  auto dense = cast<DenseElementsAttr>(op.getValue());
  RankedTensorType type = typeOfPart(op, part);
  builder.setInsertionPoint(before);
  if (dense.isSplat())
    return arith::ConstantOp::create(builder, op.getLoc(),
                                     dense.resizeSplat(type));
  int64_t inner = 1, size = typeOf(op).getDimSize(part.dim);
  for (int64_t d = part.dim + 1; d < type.getRank(); ++d)
    inner *= type.getDimSize(d);
  SmallVector<Attribute> all(dense.getValues<Attribute>()), kept;
  for (size_t row = 0; row < all.size(); row += size * inner)
    for (int64_t i = 0; i < part.size; ++i)
      for (int64_t j = 0; j < inner; ++j)
        kept.push_back(all[row + (part.start + i * part.step) * inner + j]);
  return arith::ConstantOp::create(builder, op.getLoc(),
                                   DenseElementsAttr::get(type, kept));
}

Value Slicer::sliceEmpty(Operation *op, Part part, Operation *before) {
  RankedTensorType type = typeOfPart(op->getResult(0), part);
  builder.setInsertionPoint(before);
  return tensor::EmptyOp::create(builder, op->getLoc(), type.getShape(),
                                 type.getElementType());
}

Value Slicer::sliceFill(Operation *op, Part part, Operation *before) {
  Value empty = sliceEmpty(op, part, before);
  return linalg::FillOp::create(builder, op->getLoc(),
                                cast<linalg::FillOp>(op).getInputs(), empty)
      .getResult(0);
}

Value Slicer::sliceReshape(Operation *op, Part part, Operation *before) {
  Value source = slice(op->getOperand(0), *throughReshape(op, part), before);
  builder.setInsertionPoint(before);
  RankedTensorType type = typeOfPart(op->getResult(0), part);
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return tensor::ExpandShapeOp::create(builder, op->getLoc(), type, source,
                                         expand.getReassociationIndices());
  return tensor::CollapseShapeOp::create(
      builder, op->getLoc(), type, source,
      cast<tensor::CollapseShapeOp>(op).getReassociationIndices());
}

Value Slicer::sliceGeneric(Operation *self, Part part, Operation *before) {
  auto op = cast<linalg::GenericOp>(self);
  int64_t loop = loopOf(op, part.dim);
  SmallVector<Value> operands;
  for (OpOperand &operand : op->getOpOperands()) {
    int64_t dim = dimOf(op.getMatchingIndexingMap(&operand), loop);
    operands.push_back(dim < 0 ? operand.get()
                               : slice(operand.get(),
                                       {dim, part.start, part.size, part.step},
                                       before));
  }
  builder.setInsertionPoint(before);
  return clone(builder, self, typeOfPart(op.getResult(0), part), operands)
      ->getResult(0);
}

/// The dimension that a slice cuts, if it is one alone.
static std::optional<Part> partOf(tensor::ExtractSliceOp op) {
  std::optional<Part> part;
  if (ShapedType::isDynamicShape(op.getStaticOffsets()) ||
      op.getSourceType().getRank() != op.getResultType().getRank())
    return std::nullopt;
  for (int64_t d = 0; d < op.getSourceType().getRank(); ++d) {
    if (op.getStaticSize(d) == op.getSourceType().getDimSize(d))
      continue;
    if (part)
      return std::nullopt;
    part = Part{d, op.getStaticOffset(d), op.getStaticSize(d),
                op.getStaticStride(d)};
  }
  return part;
}

/// The slices that read `value`, if nothing else does, all cut one dimension
/// and no element is wanted twice.
static SmallVector<std::pair<tensor::ExtractSliceOp, Part>>
slicesOf(Value value) {
  int64_t wanted = 0;
  SmallVector<std::pair<tensor::ExtractSliceOp, Part>> slices;
  for (Operation *user : value.getUsers()) {
    auto op = dyn_cast<tensor::ExtractSliceOp>(user);
    auto part = op ? partOf(op) : std::nullopt;
    if (!part || (!slices.empty() && slices.front().second.dim != part->dim))
      return {};
    slices.emplace_back(op, *part);
    wanted += part->size;
    if (wanted > typeOf(value).getDimSize(part->dim))
      return {};
  }
  return slices;
}

namespace {
struct PartitionSliceProducts
    : partition::impl::PartitionSliceProductsBase<PartitionSliceProducts> {
  void runOnOperation() override {
    constexpr int farthest = 16;
    Slicer slicer(getOperation());
    for (auto entry : getOperation().getOps<func::FuncOp>()) {
      llvm::SetVector<Value> found;
      entry.walk(
          [&](tensor::ExtractSliceOp op) { found.insert(op.getSource()); });
      SmallVector<Value> sources = found.takeVector();
      for (size_t i = 0; i < sources.size(); ++i) {
        Value source = sources[i];
        auto slices = slicesOf(source);
        if (slices.empty() || !llvm::all_of(slices, [&](auto &slice) {
              return slicer.isFree(source, slice.second, farthest);
            }))
          continue;
        for (auto [op, part] : slices) {
          Value fresh = slicer.slice(source, part, op);
          std::replace(sources.begin(), sources.end(), Value(op.getResult()),
                       fresh); // cut once more
          op.replaceAllUsesWith(fresh);
          op.erase();
        }
      }
      for (Operation &op :
           llvm::make_early_inc_range(llvm::reverse(entry.getBody().front())))
        if (isOpTriviallyDead(&op))
          op.erase();
    }
  }
};
} // namespace
