// linalg.generic: everything that computes. Its maps are its loops; the rules
// of its layouts are in Rules.cpp, those of padding in Padding.cpp.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Rules.h"
#include "../Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using linalg::GenericOp;
using wafer::LayoutAttr;
using wafer::Padding;
using wafer::RegionAttr;

static SmallVector<int> getLoops(AffineMap map) {
  SmallVector<int> loops;
  for (AffineExpr expr : map.getResults())
    loops.push_back(static_cast<int>(cast<AffineDimExpr>(expr).getPosition()));
  return loops;
}

static SmallVector<RankedTensorType> getTypes(ArrayRef<Value> values) {
  SmallVector<RankedTensorType> types;
  for (Value value : values)
    types.push_back(dyn_cast<RankedTensorType>(value.getType()));
  return types;
}

//===----------------------------------------------------------------------===//
// Dimensions
//===----------------------------------------------------------------------===//

namespace {
struct GenericDimensions
    : DimensionOpInterface::ExternalModel<GenericDimensions, GenericOp> {
  IterationSpace getIterationSpace(Operation *self) const {
    auto op = cast<GenericOp>(self);
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    IterationSpace space;
    for (unsigned i = 0; i < op.getNumDpsInputs(); ++i)
      if (isa<ShapedType>(op->getOperand(i).getType()))
        space.operands.push_back({i, getLoops(maps[i])});
    space.result = getLoops(maps.back());
    SmallVector<unsigned> reductions;
    op.getReductionDims(reductions);
    llvm::append_range(space.reductions, reductions);
    // A reduction that is no sum, max or min has no reduction over PEs.
    Value term;
    if (algebra::getFold(op, term) == algebra::Fold::None)
      space.whole = space.reductions;
    return space;
  }

  LogicalResult relateDimensions(Operation *self,
                                 Boundaries &boundaries) const {
    auto op = cast<GenericOp>(self);
    for (AffineMap map : op.getIndexingMapsArray())
      if (!map.isProjectedPermutation())
        return op->emitError() << "map " << AffineMapAttr::get(map)
                               << " is no projected permutation";
    if (op->getNumResults() != 1)
      return op->emitError() << "has " << op->getNumResults()
                             << " results but partitioning takes 1: split it";
    relateLoops(op, boundaries);
    boundaries.joinAll(op.getDpsInits().front(), op.getResult(0));
    return success();
  }

  /// The loops are replaced by those of their factors, in order: bodies and
  /// row-major orders stay as they are.
  LogicalResult factorDims(Operation *self, Factorizer &factorizer) const {
    auto op = cast<GenericOp>(self);
    MLIRContext *context = op.getContext();
    SmallVector<AffineMap> oldMaps = op.getIndexingMapsArray();
    // The factors of each loop, from an operand that has it.
    SmallVector<SmallVector<int64_t>> factors(op.getNumLoops());
    for (auto [operand, oldMap] : llvm::zip(op->getOperands(), oldMaps))
      for (auto [d, loop] : llvm::enumerate(getLoops(oldMap)))
        factors[loop] = factorizer.getFactors(operand, d);

    SmallVector<SmallVector<AffineExpr>> newLoops;
    SmallVector<utils::IteratorType> iterators;
    for (auto [loop, parts] : llvm::enumerate(factors)) {
      newLoops.emplace_back();
      for (size_t i = 0; i < parts.size(); ++i) {
        newLoops.back().push_back(getAffineDimExpr(iterators.size(), context));
        iterators.push_back(op.getIteratorTypesArray()[loop]);
      }
    }
    SmallVector<AffineMap> maps;
    for (AffineMap oldMap : oldMaps) {
      SmallVector<AffineExpr> exprs;
      for (int loop : getLoops(oldMap))
        llvm::append_range(exprs, newLoops[loop]);
      maps.push_back(AffineMap::get(iterators.size(), 0, exprs, context));
    }
    SmallVector<Value> inputs, inits;
    for (Value value : op.getInputs())
      inputs.push_back(factorizer.getOrSame(value));
    for (Value value : op.getOutputs())
      inits.push_back(factorizer.getOrSame(value));
    auto copy = GenericOp::create(factorizer.getBuilder(), op.getLoc(),
                                  factorizer.getType(op.getResult(0)), inputs,
                                  inits, maps, iterators);
    IRMapping body(factorizer.getMap());
    op.getRegion().cloneInto(&copy.getRegion(), body);
    factorizer.bind(op.getResult(0), copy.getResult(0));
    return success();
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

namespace {
/// Rule G8: masks an operand where a reduction would read garbage.
class Mender {
public:
  Mender(GenericOp op, SmallVectorImpl<Value> &inputs, Writer &writer)
      : op(op), inputs(inputs), writer(writer) {}

  LogicalResult run();

private:
  void maskInput(size_t i, const PaddingFault &fault);
  bool mends(size_t i, const PaddingFault &fault);
  bool mendsBefore(size_t i, const PaddingFault &fault);
  LogicalResult maskAll(const PaddingFault &fault, bool last);

  GenericOp op;
  SmallVectorImpl<Value> &inputs;
  Writer &writer;
};
} // namespace

void Mender::maskInput(size_t i, const PaddingFault &fault) {
  for (auto [d, loop] : llvm::enumerate(getLoops(op.getIndexingMapsArray()[i])))
    if (llvm::is_contained(fault.loops, static_cast<unsigned>(loop)) &&
        wafer::getLayout(inputs[i].getType()).getDim(d).isPadded())
      inputs[i] = writer.mask(inputs[i], d, fault.needed);
}

/// A mask mends the fault if the body is neutral with it. One that does not is
/// read by nobody, or by changes of layout that nobody reads: all are erased at
/// the end.
bool Mender::mends(size_t i, const PaddingFault &fault) {
  if (!isa<RankedTensorType>(inputs[i].getType()))
    return false;
  Value before = inputs[i];
  maskInput(i, fault);
  if (inputs[i] != before && getBodyPadding(op, getTypes(inputs), fault.loops)
                                 .isConstant(fault.needed))
    return true;
  inputs[i] = before;
  return false;
}

/// A mask of what input `i` is made of mends the fault, and others read that,
/// too: squares and the product of a norm are both of x. One mask is enough for
/// all then.
bool Mender::mendsBefore(size_t i, const PaddingFault &fault) {
  Value old = op.getInputs()[i];
  auto made = old.getDefiningOp<GenericOp>();
  if (!made || writer.isChanged(op, i) || !old.hasOneUse() ||
      made->getBlock() != op->getBlock() || made.getNumReductionLoops())
    return false;
  Value before = inputs[i];
  if (!mends(i, fault))
    return false;
  inputs[i] = before;
  AffineMap map = op.getIndexingMapsArray()[i],
            result = made.getIndexingMapsArray().back();
  SmallVector<unsigned> loops; // of the fault, as `made` has them
  for (unsigned loop : fault.loops)
    for (auto [d, expr] : llvm::enumerate(map.getResults()))
      if (cast<AffineDimExpr>(expr).getPosition() == loop)
        loops.push_back(cast<AffineDimExpr>(result.getResult(d)).getPosition());
  for (unsigned k = 0; k < made.getNumDpsInputs(); ++k) {
    Value source = made.getInputs()[k], written = writer.get(source);
    if (writer.isChanged(made, k) || isStored(written) ||
        written.getParentBlock() != writer.getBuilder().getInsertionBlock() ||
        llvm::all_of(source.getUsers(),
                     [&](Operation *user) { return user == made; }))
      continue;
    Value masked = written;
    for (auto [d, loop] :
         llvm::enumerate(getLoops(made.getIndexingMapsArray()[k])))
      if (llvm::is_contained(loops, static_cast<unsigned>(loop)) &&
          wafer::getLayout(masked.getType()).getDim(d).isPadded())
        masked = writer.mask(masked, d, fault.needed);
    writer.bind(source, masked);
    SmallVector<Value> now;
    for (unsigned each = 0; each < made.getNumDpsInputs(); ++each)
      now.push_back(writer.getOperand(made, each));
    if (masked != written &&
        getBodyPadding(made, getTypes(now), loops).isConstant(fault.needed) &&
        succeeded(cast<LayoutOpInterface>(made.getOperation())
                      .writeLayouts(writer))) {
      inputs[i] = writer.get(old);
      return true;
    }
    writer.bind(source, written);
  }
  return false;
}

/// One operand is not enough (0 x garbage is not 0).
LogicalResult Mender::maskAll(const PaddingFault &fault, bool last) {
  bool any = false;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (isa<RankedTensorType>(inputs[i].getType())) {
      Value before = inputs[i];
      maskInput(i, fault);
      any |= inputs[i] != before;
    }
  if (any && !last)
    return success();
  return op.emitError() << "the padding of reduction loop d"
                        << fault.loops.front() << " is " << fault.found.str()
                        << " where " << Padding::constant(fault.needed).str()
                        << " is needed, and no mask of an operand mends it: "
                           "choose a grid that divides the dimension";
}

LogicalResult Mender::run() {
  constexpr int rounds = 16;
  for (int round = 0; round < rounds; ++round) {
    std::optional<PaddingFault> fault = findPaddingFault(op, getTypes(inputs));
    if (!fault)
      return success();
    // Values that are computed are masked before weights.
    bool mended = false;
    for (size_t i = 0; i < inputs.size() && !mended; ++i)
      mended =
          isa<RankedTensorType>(inputs[i].getType()) && mendsBefore(i, *fault);
    for (bool weights : {false, true})
      for (size_t i = 0; i < inputs.size() && !mended; ++i)
        mended = isStored(inputs[i]) == weights && mends(i, *fault);
    if (!mended && failed(maskAll(*fault, round + 1 == rounds)))
      return failure();
    // Later readers in this block see the masked value.
    for (auto [i, input] : llvm::enumerate(inputs)) {
      Value old = op.getInputs()[i], written = writer.get(old);
      if (!writer.isChanged(op, i) && input != written &&
          written.getParentBlock() == writer.getBuilder().getInsertionBlock())
        writer.bind(old, input);
    }
  }
  return op.emitError("padding cannot be masked");
}

namespace {
struct GenericLayouts
    : LayoutOpInterface::ExternalModel<GenericLayouts, GenericOp> {
  LocalWork getLocalWork(Operation *self) const {
    auto op = cast<GenericOp>(self);
    LocalWork work;
    Value term;
    work.fold = algebra::getFold(op, term);
    double cycles = 0;
    bool product = false;
    int halves = 0;
    for (Operation &inner : op.getBody()->without_terminator()) {
      cycles += algebra::getVectorCycles(&inner);
      if (auto mul = dyn_cast<arith::MulFOp>(inner)) {
        product = true;
        halves = llvm::count_if(mul->getOperands(), [](Value factor) {
          return isa_and_nonnull<arith::ExtFOp>(factor.getDefiningOp());
        });
      }
    }
    if (work.fold == algebra::Fold::Sum && product) {
      cycles -= 1; // multiply and add are one instruction
      work.halves = halves;
      for (unsigned i = 0; i < op.getNumDpsInputs(); ++i)
        if (isa<ShapedType>(op->getOperand(i).getType()))
          work.factors.push_back(i);
    }
    work.cyclesPerElement = std::max(cycles, 1.0);
    return work;
  }

  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<GenericOp>(self);
    OpBuilder &builder = writer.getBuilder();
    Location loc = op.getLoc();
    SmallVector<Value> inputs;
    for (unsigned i = 0; i < op.getNumDpsInputs(); ++i)
      inputs.push_back(writer.getOperand(op, i));
    if (failed(Mender(op, inputs, writer).run()))
      return failure();
    RankedTensorType wanted = writer.getType(op.getResult(0), Padding::any());
    FailureOr<LayoutAttr> layout =
        inferGeneric(op, getTypes(inputs), wanted, writer.getRegion(),
                     [&] { return op.emitError(); });
    if (failed(layout))
      return failure();
    RankedTensorType type = withLayout(wanted, *layout);
    Value init = tensor::EmptyOp::create(builder, loc, type.getShape(),
                                         type.getElementType(), *layout);
    if (op.getNumReductionLoops()) {
      std::optional<double> start =
          algebra::getNumber(op.getDpsInits().front());
      if (!start)
        return op.emitError("a reduction starts from a constant "
                            "(algebra-fold)");
      Value number = arith::ConstantOp::create(
          builder, loc, algebra::getAttribute(type.getElementType(), *start));
      init = linalg::FillOp::create(builder, loc, number, init).getResult(0);
    }
    auto copy = GenericOp::create(builder, loc, type, inputs, init,
                                  op.getIndexingMapsArray(),
                                  op.getIteratorTypesArray());
    IRMapping body(writer.getMap());
    op.getRegion().cloneInto(&copy.getRegion(), body);
    writer.bind(op.getResult(0), writer.allReduce(copy.getResult(0)));
    return success();
  }

  LogicalResult verifyLayouts(Operation *self, RegionAttr region) const {
    auto op = cast<GenericOp>(self);
    SmallVector<Value> inputs(op.getInputs());
    auto type = dyn_cast<RankedTensorType>(op.getResult(0).getType());
    FailureOr<LayoutAttr> given = inferGeneric(
        op, getTypes(inputs), type, region, [&] { return op.emitOpError(); });
    return failed(given) ? failure() : checkClaim(op, *given, type, region);
  }

  bool rounds(Operation *self, unsigned index) const {
    auto op = cast<GenericOp>(self);
    if (index >= op.getNumDpsInputs())
      return false;
    BlockArgument read = op.getBody()->getArgument(index);
    return !read.use_empty() &&
           llvm::all_of(read.getUsers(), [](Operation *user) {
             return isa<arith::TruncFOp>(user) &&
                    user->getResult(0).getType().isF16();
           });
  }

  void readHalves(Operation *self, unsigned index, Value halves) const {
    BlockArgument read = cast<GenericOp>(self).getBody()->getArgument(index);
    read.setType(getElementTypeOrSelf(halves.getType()));
    for (Operation *rounding : llvm::make_early_inc_range(read.getUsers())) {
      rounding->replaceAllUsesWith(ValueRange{read});
      rounding->erase();
    }
    self->setOperand(index, halves);
  }
};
} // namespace

void partition::addGenericModels(MLIRContext &context) {
  GenericOp::attachInterface<GenericDimensions, GenericLayouts>(context);
}
