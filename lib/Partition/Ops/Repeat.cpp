// wafer.repeat and yield: what is carried lies the same way at the end of a
// trip as at its beginning, and as much is known of its padding.

#include "Ops.h"

#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Rules.h"
#include "../Writer.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::Padding;
using wafer::RepeatOp;
using wafer::YieldOp;

/// A repeat of `op`'s trips that carries `inits`, with an empty body.
static RepeatOp createRepeat(OpBuilder &builder, RepeatOp op,
                             ArrayRef<Value> inits) {
  SmallVector<Type> types;
  for (Value init : inits)
    types.push_back(init.getType());
  SmallVector<Location> locs(inits.size(), op.getLoc());
  auto copy = RepeatOp::create(builder, op.getLoc(), types,
                               op.getTripCountAttr(), inits);
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&copy.getBody(), {}, types, locs);
  return copy;
}

namespace {
struct RepeatDimensions
    : DimensionOpInterface::ExternalModel<RepeatDimensions, RepeatOp> {
  LogicalResult relateDimensions(Operation *self,
                                 Boundaries &boundaries) const {
    auto op = cast<RepeatOp>(self);
    for (auto [i, init] : llvm::enumerate(op.getInits())) {
      boundaries.joinAll(init, op.getBodyBlock()->getArgument(i));
      boundaries.joinAll(init, op.getResult(i));
      boundaries.joinAll(init, op.getYield().getValues()[i]);
    }
    return success();
  }

  LogicalResult factorDims(Operation *self, Factorizer &factorizer) const {
    auto op = cast<RepeatOp>(self);
    SmallVector<Value> inits;
    for (Value init : op.getInits())
      inits.push_back(factorizer.get(init));
    OpBuilder &builder = factorizer.getBuilder();
    RepeatOp copy = createRepeat(builder, op, inits);
    Block *body = copy.getBodyBlock();
    for (auto [from, to] :
         llvm::zip(op.getBodyBlock()->getArguments(), body->getArguments()))
      factorizer.bind(from, to);
    builder.setInsertionPointToEnd(body);
    if (failed(factorizer.factorBlock(*op.getBodyBlock())))
      return failure();
    factorizer.clone(op.getYield());
    builder.setInsertionPointAfter(copy);
    for (auto [from, to] : llvm::zip(op.getResults(), copy.getResults()))
      factorizer.bind(from, to);
    return success();
  }

  Rerolling getRerolling(Operation *) const { return Rerolling::Never; }
};

struct RepeatLayouts
    : LayoutOpInterface::ExternalModel<RepeatLayouts, RepeatOp> {
  LogicalResult readClasses(Operation *self, ClassReader &reader) const {
    auto op = cast<RepeatOp>(self);
    Block *body = op.getBodyBlock();
    for (auto [init, argument, result] :
         llvm::zip(op.getInits(), body->getArguments(), op.getResults())) {
      reader.joinAll(init, argument);
      reader.joinAll(argument, result);
      reader.rename(init, argument);
    }
    ClassReader::Trips tripCount(reader,
                                 static_cast<int64_t>(op.getTripCount()));
    if (failed(reader.readBlock(*body)))
      return failure();
    // A trip ends with what the next begins with: a value whose dimensions play
    // other roles by then is changed at the end of the trip.
    for (auto [i, value] : llvm::enumerate(op.getYield().getValues())) {
      Ids begins = reader.getIds(body->getArgument(i)),
          ends = reader.getIds(value);
      for (auto [d, id] : llvm::enumerate(begins))
        if (!reader.join(id, ends[d]))
          reader.join(id, reader.addChange(op.getYield(), i, ends, d));
      reader.rename(value, op.getResult(i));
    }
    return success();
  }

  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<RepeatOp>(self);
    SmallVector<Value> inits;
    for (Value init : op.getInits())
      inits.push_back(writer.get(init));
    // The types of carried values hold in every trip. If a trip ends with less
    // known of a padding than it began with, the value is masked at its end; if
    // it began with less, before the first trip, and the body is written again.
    OpBuilder &builder = writer.getBuilder();
    for (int attempt = 0; attempt < 8; ++attempt) {
      RepeatOp copy = createRepeat(builder, op, inits);
      Block *body = copy.getBodyBlock();
      for (auto [from, to] :
           llvm::zip(op.getBodyBlock()->getArguments(), body->getArguments()))
        writer.bind(from, to);
      builder.setInsertionPointToEnd(body);
      if (failed(writer.writeBlock(*op.getBodyBlock())))
        return failure();
      bool settled = writeYield(op, copy, inits, writer);
      builder.setInsertionPointAfter(copy);
      if (!settled) {
        copy.erase();
        continue;
      }
      for (auto [from, to] : llvm::zip(op.getResults(), copy.getResults()))
        writer.bind(from, to);
      return success();
    }
    return op.emitError("the padding of carried values does not settle");
  }

  /// False: an initial value is masked now, and the body must be written again.
  static bool writeYield(RepeatOp op, RepeatOp copy,
                         SmallVectorImpl<Value> &inits, Writer &writer) {
    OpBuilder &builder = writer.getBuilder();
    SmallVector<Value> yielded = writer.getOperands(op.getYield());
    bool settled = true;
    for (auto [value, init] : llvm::zip(yielded, inits)) {
      if (!isa<RankedTensorType>(value.getType()))
        continue;
      LayoutAttr begins = wafer::getLayout(init.getType());
      for (auto [d, dim] : llvm::enumerate(begins.getDims())) {
        Padding ends = wafer::getLayout(value.getType()).getDim(d).getPadding();
        if (!dim.isPadded() || dim.getPadding() == ends)
          continue;
        if (dim.getPadding().kind == Padding::Constant) {
          value = writer.mask(value, d, dim.getPadding().value);
          continue;
        }
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPoint(copy);
        init = writer.mask(init, d,
                           ends.kind == Padding::Constant ? ends.value : 0);
        settled = false;
      }
    }
    YieldOp::create(builder, op.getLoc(), yielded);
    return settled;
  }
};

struct YieldDimensions
    : DimensionOpInterface::ExternalModel<YieldDimensions, YieldOp> {};
struct YieldLayouts : LayoutOpInterface::ExternalModel<YieldLayouts, YieldOp> {
};
} // namespace

void partition::addRepeatModels(MLIRContext &context) {
  RepeatOp::attachInterface<RepeatDimensions, RepeatLayouts>(context);
  YieldOp::attachInterface<YieldDimensions, YieldLayouts>(context);
}
