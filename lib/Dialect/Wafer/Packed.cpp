#include "waferloom/Dialect/Wafer/Packed.h"

#include "waferloom/Format/Packing.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::wafer;

WeightOp wafer::getWhole(const SymbolTable &symbols, FlatSymbolRefAttr name) {
  auto weight = symbols.lookup<WeightOp>(name.getValue());
  if (weight && weight.getPart())
    return symbols.lookup<WeightOp>(weight.getPartAttr().getOf().getValue());
  return weight;
}

std::optional<BlockFormat> wafer::getKept(const SymbolTable &symbols,
                                          ParameterOp op) {
  std::optional<BlockFormat> format;
  for (auto name : op.getWeights().getAsRange<FlatSymbolRefAttr>()) {
    WeightOp weight = getWhole(symbols, name);
    if (!weight || !weight->hasAttr(keptName) || !weight.getBlocks())
      return std::nullopt;
    if (format && !(*format == weight.getBlocksAttr().getFormat()))
      return std::nullopt;
    format = weight.getBlocksAttr().getFormat();
  }
  return format;
}

/// Whether all that read `value` are sums of products.
static bool isMultiplied(Value value) {
  return llvm::all_of(value.getUsers(), [](Operation *user) {
    if (isa<tensor::ExtractSliceOp, tensor::ExpandShapeOp,
            tensor::CollapseShapeOp>(user))
      return isMultiplied(user->getResult(0));
    auto generic = dyn_cast<linalg::GenericOp>(user);
    return generic && generic.getNumReductionLoops() > 0;
  });
}

namespace {
/// A weight that could be kept, in bytes over all PEs.
struct Candidate {
  WeightOp weight;
  StringRef name;
  int64_t numbers, packed;
};
} // namespace

/// Drops the weights whose numbers alone take more scratch than keeping saves.
static void keepLeastBytes(SmallVectorImpl<Candidate> &candidates) {
  llvm::sort(candidates, [](const Candidate &a, const Candidate &b) {
    return std::tuple(a.numbers, a.name) < std::tuple(b.numbers, b.name);
  });
  int64_t saved = 0, most = 0; // of the first ones, less their scratch
  size_t kept = 0;
  for (auto [i, candidate] : llvm::enumerate(candidates)) {
    saved += candidate.numbers - candidate.packed;
    if (saved - candidate.numbers > most) {
      most = saved - candidate.numbers;
      kept = i + 1;
    }
  }
  candidates.truncate(kept);
}

llvm::MapVector<WeightOp, int64_t> wafer::getKeepable(ModuleOp module) {
  SymbolTable symbols(module);
  llvm::MapVector<WeightOp, int64_t> elementBytes;
  DenseSet<WeightOp> others;
  module.walk([&](ParameterOp op) {
    const bool multiplied = isMultiplied(op.getResult());
    for (auto name : op.getWeights().getAsRange<FlatSymbolRefAttr>()) {
      WeightOp whole = getWhole(symbols, name);
      elementBytes[whole] =
          cast<ShapedType>(op.getType()).getElementTypeBitWidth() / 8;
      if (!multiplied)
        others.insert(whole);
    }
  });
  elementBytes.remove_if(
      [&](const auto &entry) { return others.contains(entry.first); });
  return elementBytes;
}

bool wafer::keepPacked(ModuleOp module, Keeping which) {
  SmallVector<Candidate> candidates;
  for (auto [weight, elementBytes] : getKeepable(module)) {
    if (!weight.getBlocks())
      continue;
    const BlockFormat &format = weight.getBlocksAttr().getFormat();
    if (!canStayPacked(format))
      continue;
    candidates.push_back(
        {weight, weight.getSymName(),
         cast<ShapedType>(weight.getType()).getNumElements() * elementBytes,
         static_cast<int64_t>(format.bytes())});
  }
  if (which == Keeping::LeastBytes)
    keepLeastBytes(candidates);
  for (Candidate &candidate : candidates)
    candidate.weight->setAttr(keptName, UnitAttr::get(module.getContext()));
  return !candidates.empty();
}
