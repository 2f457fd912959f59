// Which weights of numbers become codes of few bits, and in which blocks.
// Nothing is rounded here: the image's writer does that, from the model's file.

#include "Phases.h"

#include "waferloom/Dialect/Onnx/Onnx.h"
#include "waferloom/Dialect/Wafer/Packed.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/GlobPattern.h"

using namespace mlir;
using namespace waferloom;

/// Whether a node that reads `value`, or what only moves it on, has a name that
/// matches.
static bool isReadBy(Value value, const llvm::GlobPattern &pattern) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    auto node = dyn_cast<onnx::NodeOp>(user);
    if (!node)
      return false;
    if (auto name = dyn_cast<NameLoc>(node.getLoc());
        name && pattern.match(name.getName().getValue()))
      return true;
    const bool moves =
        llvm::StringSwitch<bool>(node.getOperatorType())
            .Cases({"Transpose", "Reshape", "Cast", "Identity"}, true)
            .Default(false);
    return moves && isReadBy(node->getResult(0), pattern);
  });
}

FailureOr<llvm::StringSet<>>
waferloom::findExcepted(ModuleOp onnx, const CompileOptions &options) {
  llvm::StringSet<> excepted;
  for (const auto &[text, type] : options.keep) {
    llvm::Expected<llvm::GlobPattern> pattern = llvm::GlobPattern::create(text);
    if (!pattern)
      return onnx.emitError() << llvm::toString(pattern.takeError());
    bool matches = false;
    size_t weights = 0;
    onnx.walk([&](onnx::WeightOp weight) {
      ++weights;
      if (!pattern->match(weight.getName()) &&
          !isReadBy(weight.getResult(), *pattern))
        return;
      matches = true;
      excepted.insert(weight.getName());
    });
    if (!matches)
      return onnx.emitError() << "--keep " << text << "=" << type
                              << " matches none of " << weights
                              << " weights, nor a node that reads one: "
                                 "`waferloom inspect` lists "
                                 "weights, and * stands for any letters";
  }
  return excepted;
}

void waferloom::markRounded(ModuleOp module,
                            const llvm::StringSet<> &excepted) {
  for (auto weight : module.getOps<wafer::WeightOp>()) {
    Type element = getElementTypeOrSelf(weight.getType());
    wafer::BlocksAttr blocks = weight.getBlocksAttr();
    if ((!element.isF32() && !element.isF16()) || weight.getValue() ||
        weight.getPart() || (blocks && !blocks.getFormat().isBFloat16))
      continue;
    weight->setAttr(excepted.contains(weight.getSymName()) ? wafer::halvesName
                                                           : wafer::roundName,
                    UnitAttr::get(module.getContext()));
  }
}

namespace {
/// What products sum over, in elements of the weight.
struct Summed {
  int64_t stride = 0; ///< from one to the next; 0: not known
  int64_t count = 1;  ///< of them, one stride apart
};
} // namespace

/// What a product that reads `op` sums over.
static Summed summedOf(wafer::ParameterOp op, wafer::PartAttr part) {
  Value value = op.getResult();
  SmallVector<std::pair<int64_t, int64_t>> dims; // stride, size
  for (OpOperand &use : value.getUses()) {
    auto generic = dyn_cast<linalg::GenericOp>(use.getOwner());
    if (!generic)
      continue;
    AffineMap map = generic.getMatchingIndexingMap(&use);
    ArrayRef<int64_t> shape = cast<ShapedType>(value.getType()).getShape();
    SmallVector<utils::IteratorType> loops = generic.getIteratorTypesArray();
    int64_t stride = 1;
    for (size_t d = shape.size(); d-- > 0; stride *= shape[d]) {
      auto loop = dyn_cast<AffineDimExpr>(map.getResult(d));
      if (loop && shape[d] > 1 &&
          loops[loop.getPosition()] == utils::IteratorType::reduction)
        dims.emplace_back(part ? part.getStride(stride) : stride, shape[d]);
    }
    break;
  }
  llvm::sort(dims);
  Summed summed;
  for (auto [stride, size] : dims) {
    if (summed.stride == 0)
      summed.stride = stride;
    if (stride == summed.stride * summed.count)
      summed.count *= size;
  }
  return summed;
}

/// The largest divisor of `count` up to `most`, or all where it has none worth
/// a scale.
static int64_t dividingBlock(int64_t count, int64_t most) {
  constexpr int64_t least = 8;
  for (int64_t block = std::min(count, most); block >= least; --block)
    if (count % block == 0)
      return block;
  return count;
}

/// The codes, and of the blocks how long they are; 0: as long as what is
/// summed.
static BlockFormat codesOf(const CompileOptions &options, int64_t &block) {
  block = 32;
  if (options.block == "channel")
    block = 0;
  else if (!options.block.empty())
    block = std::stoll(options.block);
  BlockFormat format;
  format.bits = options.storage == "int8" || options.storage == "fp8" ? 8 : 4;
  format.isDense = format.halfScales = true;
  format.leastSquares = options.scales == "mse";
  if (options.storage == "fp8")
    format.code = BlockFormat::Code::e4m3fn;
  if (options.storage == "mxfp4") {
    format.code = BlockFormat::Code::e2m1;
    format.isPower = true;
  }
  if (format.code != BlockFormat::Code::integer)
    format.zeros = BlockFormat::Zeros::none;
  return format;
}

/// Sets blocks along what is summed; false where that is not worth a scale.
static bool setBlocks(BlockFormat &format, int64_t elements, Summed summed,
                      int64_t block) {
  constexpr int64_t least = 4; // numbers of a scale
  if (summed.count < least)
    return false;
  if (block == 0)
    block = summed.count;
  if (summed.stride == 1) {
    format.columns = summed.count;
    format.rows = elements / summed.count;
    format.size = std::min(block, summed.count);
    return true;
  }
  format.columns = summed.stride;
  format.rows = elements / summed.stride;
  format.size = 1;
  // Blocks do not go on in the next of several matrices.
  format.tall = static_cast<int64_t>(format.rows) > summed.count
                    ? dividingBlock(summed.count, block)
                    : std::min(block, summed.count);
  return true;
}

void waferloom::roundMarked(ModuleOp module, const CompileOptions &options) {
  SymbolTable symbols(module);
  llvm::DenseMap<wafer::WeightOp, Summed> summed;
  module.walk([&](wafer::ParameterOp op) {
    for (auto name : op.getWeights().getAsRange<FlatSymbolRefAttr>()) {
      auto weight = symbols.lookup<wafer::WeightOp>(name.getValue());
      summed.try_emplace(wafer::getWhole(symbols, name),
                         summedOf(op, weight.getPartAttr()));
    }
  });
  bool rounds = false;
  for (auto [weight, bytes] : wafer::getKeepable(module)) {
    if (!weight->removeAttr(wafer::roundName))
      continue;
    auto type = cast<ShapedType>(weight.getType());
    int64_t block;
    BlockFormat format = codesOf(options, block);
    if (!setBlocks(format, type.getNumElements(), summed.lookup(weight), block))
      continue;
    const bool isHalf = type.getElementType().isF16();
    format.isWide = !isHalf;
    format.rounded = isHalf               ? BlockFormat::Rounded::f16
                     : weight.getBlocks() ? BlockFormat::Rounded::bfloat16
                                          : BlockFormat::Rounded::f32;
    weight.setBlocksAttr(wafer::BlocksAttr::get(
        module.getContext(), format, StringAttr(), 0, StringAttr(), 0));
    weight->setAttr(wafer::keptName, UnitAttr::get(module.getContext()));
    rounds = true;
  }
  if (!rounds)
    module.emitWarning() << "--weights " << options.storage
                         << " rounds nothing: no weight of numbers in a file "
                            "is read by sums of products alone";
}
