// With half precision weights and caches are stored as f16, and the factors of
// products are rounded to it; all other values are f32. That saves memory and
// makes products faster, while sums and norms stay accurate, and no f16
// travels between PEs:
//
//   storage   parameters, states, and slices and reshapes of them
//   factors   body: extf(w) * extf(truncf(x)), added up in f32; one instruction
//             of the machine multiplies halves and adds to singles
//   the rest  f32; conversions that the model writes have nothing to do
//
// Ops are visited once, in order: what a value is read as is known before its
// readers are.

#include "waferloom/Algebra/Elementwise.h"
#include "waferloom/Algebra/Passes.h"
#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Dialect/Wafer/Packed.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace waferloom::algebra {
#define GEN_PASS_DEF_ALGEBRAPRECISION
#include "waferloom/Algebra/Passes.h.inc"
} // namespace waferloom::algebra

using namespace mlir;
using namespace waferloom;
using namespace waferloom::algebra;
using wafer::PrecisionOpInterface;

static bool isHalf(Value value) {
  return getElementTypeOrSelf(value.getType()).isF16();
}

static void setElementType(Value value, Type element) {
  if (auto shaped = dyn_cast<ShapedType>(value.getType()))
    value.setType(shaped.clone(element));
  else
    value.setType(element);
}

/// The operand of `op` whose numbers its result holds as they are stored.
static std::optional<unsigned> getForwarded(Operation *op) {
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return isCopy(generic) ? std::optional(0u) : std::nullopt;
  auto known = dyn_cast<PrecisionOpInterface>(op);
  return known ? known.getForwardedOperand() : std::nullopt;
}

/// Looks through conversions to the argument of the body that is a factor.
static BlockArgument factorOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<arith::ExtFOp, arith::TruncFOp>(op))
      return nullptr;
    value = op->getOperand(0);
  }
  return cast<BlockArgument>(value);
}

/// The product that `op` adds up, if it is a sum of products of two inputs.
static arith::MulFOp productOf(linalg::GenericOp op) {
  Value term;
  if (getFold(op, term) != Fold::Sum)
    return nullptr;
  auto product = term.getDefiningOp<arith::MulFOp>();
  if (!product)
    return nullptr;
  BlockArgument a = factorOf(product.getLhs()), b = factorOf(product.getRhs());
  Value sum = op.getBody()->getArguments().back();
  return a && b && a != b && a != sum && b != sum ? product : nullptr;
}

namespace {
struct AlgebraPrecision
    : algebra::impl::AlgebraPrecisionBase<AlgebraPrecision> {
  using AlgebraPrecisionBase::AlgebraPrecisionBase;

  void runOnOperation() override;

private:
  void chooseStorage();
  bool isFactor(Value stored);
  bool isTable(Value stored);
  Type storedAs(wafer::StoredOpInterface op);
  bool areHalves(wafer::StoredOpInterface op);
  LogicalResult visit(Operation *op);
  void visitGeneric(linalg::GenericOp op);
  void visitBody(linalg::GenericOp op);
  void roundFactors(linalg::GenericOp op);
  void visitConstant(arith::ConstantOp op);
  void approximate();
  Value widened(OpBuilder &builder, Value value);

  llvm::DenseSet<Attribute> narrow; // names of what becomes f16
  llvm::DenseSet<Attribute> halves; // and of what is whatever is asked
  llvm::DenseMap<Attribute, Attribute> wholes; // names of parts of weights

  /// A weight and its parts are stored one way.
  Attribute wholeOf(Attribute name) const {
    auto whole = wholes.find(name);
    return whole == wholes.end() ? name : whole->second;
  }
};
} // namespace

/// Does a product read `stored`, as it is or through what hands it on?
bool AlgebraPrecision::isFactor(Value stored) {
  SmallVector<Value> worklist{stored};
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    for (OpOperand &use : value.getUses()) {
      Operation *user = use.getOwner();
      if (getForwarded(user) == use.getOperandNumber()) {
        worklist.push_back(user->getResult(0));
        continue;
      }
      auto generic = dyn_cast<linalg::GenericOp>(user);
      if (!generic)
        continue;
      Value argument = generic.getMatchingBlockArgument(&use);
      if (arith::MulFOp product = productOf(generic))
        if (factorOf(product.getLhs()) == argument ||
            factorOf(product.getRhs()) == argument)
          return true;
    }
  }
  return false;
}

bool AlgebraPrecision::isTable(Value stored) {
  return llvm::any_of(stored.getUses(), [](OpOperand &use) {
    auto known = dyn_cast<PrecisionOpInterface>(use.getOwner());
    return known && known.isTable(use);
  });
}

/// A weight is stored one way, whatever its readers in all entries: narrow if a
/// product reads it, or if it is a table of rows that is worth it. Tables of
/// cosines and sines are not.
void AlgebraPrecision::chooseStorage() {
  constexpr int64_t smallShare = 64;
  int64_t all = 0;
  for (auto weight : getOperation().getOps<wafer::WeightOp>()) {
    if (weight->hasAttr(wafer::halvesName))
      halves.insert(FlatSymbolRefAttr::get(weight));
    if (wafer::PartAttr part = weight.getPartAttr())
      wholes[FlatSymbolRefAttr::get(weight)] = part.getOf();
    else
      all += cast<ShapedType>(weight.getType()).getNumElements();
  }
  getOperation().walk([&](wafer::StoredOpInterface op) {
    Value value = op->getResult(0);
    auto type = cast<ShapedType>(value.getType());
    bool isLarge = type.getNumElements() > all / smallShare;
    if (isa<FloatType>(type.getElementType()) &&
        (isFactor(value) || (isLarge && isTable(value))))
      for (Attribute name : op.getStoredNames())
        narrow.insert(wholeOf(name));
  });
}

/// Whether products read it as halves whatever the precision is.
bool AlgebraPrecision::areHalves(wafer::StoredOpInterface op) {
  return llvm::all_of(op.getStoredNames(), [&](Attribute name) {
    return halves.contains(wholeOf(name)) && narrow.contains(wholeOf(name));
  });
}

/// The element type of what is stored under the precision asked for.
Type AlgebraPrecision::storedAs(wafer::StoredOpInterface op) {
  Builder builder(op->getContext());
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  if (!isa<FloatType>(element))
    return element;
  if (areHalves(op))
    return builder.getF16Type();
  if (precision == "model")
    return element;
  if (precision == "f32")
    return builder.getF32Type();
  bool isNarrow = llvm::all_of(op.getStoredNames(), [&](Attribute name) {
    return narrow.contains(wholeOf(name));
  });
  return isNarrow ? builder.getF16Type() : element;
}

/// A copy of stored halves as f32.
Value AlgebraPrecision::widened(OpBuilder &builder, Value value) {
  return isHalf(value) ? convertFloats(builder, value, builder.getF32Type())
                       : value;
}

void AlgebraPrecision::visitConstant(arith::ConstantOp op) {
  Type wide = Float32Type::get(op.getContext());
  if (auto scalar = dyn_cast<FloatAttr>(op.getValue()))
    op.setValueAttr(FloatAttr::get(wide, scalar.getValueAsDouble()));
  else if (auto dense = dyn_cast<DenseFPElementsAttr>(op.getValue()))
    op.setValueAttr(dense.mapValues(wide, [](const APFloat &value) {
      APFloat single = value;
      bool loses;
      single.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                     &loses);
      return single.bitcastToAPInt();
    }));
  setElementType(op.getResult(), wide);
}

/// Inputs that are stored halves are widened first; everything else is f32, and
/// what converted between the two has nothing to do.
void AlgebraPrecision::visitBody(linalg::GenericOp op) {
  Block *body = op.getBody();
  OpBuilder builder = OpBuilder::atBlockBegin(body);
  Type wide = builder.getF32Type();
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(&operand);
    Type element = getElementTypeOrSelf(operand.get().getType());
    if (!isa<FloatType>(element))
      continue;
    argument.setType(element);
    if (!element.isF16() || argument.use_empty())
      continue;
    auto single = arith::ExtFOp::create(builder, op.getLoc(), wide, argument);
    argument.replaceAllUsesExcept(single.getResult(), single);
  }
  for (Operation &inner : llvm::make_early_inc_range(*body)) {
    if (auto constant = dyn_cast<arith::ConstantOp>(inner)) {
      if (isHalf(constant.getResult()))
        visitConstant(constant);
      continue;
    }
    ScalarKind kind = getKind(&inner);
    bool isConversion = kind == ScalarKind::Widen || kind == ScalarKind::Narrow;
    if (isConversion && !isHalf(inner.getOperand(0))) {
      inner.getResult(0).replaceAllUsesWith(inner.getOperand(0));
      inner.erase();
      continue;
    }
    for (Value result : inner.getResults())
      if (isHalf(result))
        setElementType(result, wide);
  }
}

/// If one factor of a product is stored in half precision, the other is rounded
/// to it.
void AlgebraPrecision::roundFactors(linalg::GenericOp op) {
  arith::MulFOp product = productOf(op);
  if (!product)
    return;
  BlockArgument factors[] = {factorOf(product.getLhs()),
                             factorOf(product.getRhs())};
  if (isHalf(factors[0]) == isHalf(factors[1]))
    return;
  OpBuilder builder(product);
  for (auto [i, factor] : llvm::enumerate(factors)) {
    if (isHalf(factor))
      continue;
    Value half = arith::TruncFOp::create(builder, op.getLoc(),
                                         builder.getF16Type(), factor);
    product->setOperand(i, arith::ExtFOp::create(builder, op.getLoc(),
                                                 builder.getF32Type(), half));
  }
}

void AlgebraPrecision::visitGeneric(linalg::GenericOp op) {
  OpBuilder builder(op);
  bool isCopied = isCopy(op);
  Type element = getElementTypeOrSelf(op.getResult(0).getType());
  Type wanted = isCopied ? getElementTypeOrSelf(op.getInputs()[0].getType())
                : element.isF16() ? builder.getF32Type()
                                  : element;
  Value init = op.getDpsInits()[0];
  if (getElementTypeOrSelf(init.getType()) != wanted) {
    // An init that nobody reads may be of any type.
    auto type = cast<RankedTensorType>(init.getType());
    if (init.getDefiningOp<tensor::EmptyOp>() ||
        op.getBody()->getArguments().back().use_empty())
      init = tensor::EmptyOp::create(builder, op.getLoc(), type.getShape(),
                                     wanted);
    else
      init = widened(builder, init);
    op.getDpsInitsMutable().assign(init);
  }
  setElementType(op.getResult(0), wanted);
  if (isCopied) {
    for (BlockArgument argument : op.getBody()->getArguments())
      argument.setType(wanted);
    return;
  }
  visitBody(op);
  roundFactors(op);
}

LogicalResult AlgebraPrecision::visit(Operation *op) {
  OpBuilder builder(op);
  Type wide = builder.getF32Type();
  if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
    if (op->getNumResults() == 1)
      visitGeneric(generic);
    return success();
  }
  if (auto stored = dyn_cast<wafer::StoredOpInterface>(op)) {
    setElementType(op->getResult(0), storedAs(stored));
    // It is in no loop with weights that are rounded.
    if (areHalves(stored))
      op->setAttr(wafer::halvesName, builder.getUnitAttr());
    return success();
  }
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    if (isHalf(constant.getResult()))
      visitConstant(constant);
    return success();
  }
  if (std::optional<unsigned> from = getForwarded(op)) {
    setElementType(op->getResult(0),
                   getElementTypeOrSelf(op->getOperand(*from).getType()));
    return success();
  }
  auto known = dyn_cast<PrecisionOpInterface>(op);
  if (known && known.readsSingles())
    for (OpOperand &operand : op->getOpOperands())
      operand.set(widened(builder, operand.get()));
  for (Value result : op->getResults())
    if (isHalf(result))
      setElementType(result, wide);
  if (isa<linalg::LinalgOp>(op)) {
    for (BlockArgument argument : op->getRegion(0).getArguments())
      if (isHalf(argument))
        argument.setType(wide);
    return success();
  }
  auto loop = dyn_cast<LoopLikeOpInterface>(op);
  if (loop && llvm::none_of(op->getOperands(), isHalf)) {
    for (Region *body : loop.getLoopRegions())
      for (Operation &inner : llvm::make_early_inc_range(body->front()))
        if (failed(visit(&inner)))
          return failure();
    return success();
  }
  if (op->getNumRegions())
    return op->emitOpError("is not an op whose precision can be chosen");
  return success();
}

/// Where products round their factors to f16, functions need not be exact to
/// the last bit of f32: exponentials, roots and quotients are marked `afn`.
/// What an angle is computed from is not: it is multiplied by positions.
void AlgebraPrecision::approximate() {
  llvm::SmallPtrSet<Operation *, 16> exact;
  SmallVector<Operation *> open;
  getOperation().walk([&](Operation *op) {
    if (has(op, OfAngle))
      open.push_back(op->getParentOp());
  });
  while (!open.empty()) {
    Operation *op = open.pop_back_val();
    if (!exact.insert(op).second)
      continue;
    for (Value operand : op->getOperands())
      if (Operation *producer = operand.getDefiningOp())
        open.push_back(producer);
  }
  getOperation().walk([&](arith::ArithFastMathInterface op) {
    if (has(op, Approximates) && !exact.contains(op->getParentOp()))
      op->setAttr(op.getFastMathAttrName(),
                  arith::FastMathFlagsAttr::get(
                      &getContext(), op.getFastMathFlagsAttr().getValue() |
                                         arith::FastMathFlags::afn));
  });
}

void AlgebraPrecision::runOnOperation() {
  if (precision != "model" && precision != "f16" && precision != "f32") {
    getOperation().emitError()
        << "there is no precision '" << precision << "'; there are model, f32 "
        << "and f16";
    return signalPassFailure();
  }
  if (precision == "f16")
    chooseStorage();
  for (auto function : getOperation().getOps<func::FuncOp>())
    for (Operation &op : llvm::make_early_inc_range(function.getBody().front()))
      if (failed(visit(&op)))
        return signalPassFailure();
  bool isHalved = false;
  getOperation().walk(
      [&](wafer::ParameterOp op) { isHalved |= isHalf(op.getResult()); });
  if (isHalved)
    approximate();
}
