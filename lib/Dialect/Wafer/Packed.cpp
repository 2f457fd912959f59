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

/// Whether `user` is a sum of products, or gives another shape to such.
static bool isMultipliedBy(Operation *user) {
  if (isa<tensor::ExtractSliceOp, tensor::ExpandShapeOp,
          tensor::CollapseShapeOp>(user))
    return isMultiplied(user->getResult(0));
  auto generic = dyn_cast<linalg::GenericOp>(user);
  return generic && generic.getNumReductionLoops() > 0;
}

bool wafer::isMultiplied(Value value) {
  return llvm::all_of(value.getUsers(), isMultipliedBy);
}

/// Numbers that the readers of `value` make of it where it is kept: all, or
/// those of the rows that they look up. None if one of them wants it as it is.
static std::optional<int64_t> countNumbers(Value value) {
  int64_t most = 0;
  for (Operation *user : value.getUsers()) {
    auto lookup = dyn_cast<LookupOp>(user);
    const bool takesRows = lookup && lookup.getTable() == value;
    if (!takesRows && !isMultipliedBy(user))
      return std::nullopt;
    const Value made = takesRows ? lookup.getResult() : value;
    most = std::max(most, cast<ShapedType>(made.getType()).getNumElements());
  }
  return most;
}

namespace {
/// A weight that could be kept, in bytes over all PEs; `scratch`: of numbers
/// that are made of it at once.
struct Candidate {
  WeightOp weight;
  StringRef name;
  int64_t scratch, numbers, packed;
};
} // namespace

/// Drops the weights whose numbers take more scratch than keeping saves.
static void keepLeastBytes(SmallVectorImpl<Candidate> &candidates) {
  llvm::sort(candidates, [](const Candidate &a, const Candidate &b) {
    return std::tuple(a.scratch, a.name) < std::tuple(b.scratch, b.name);
  });
  int64_t saved = 0, most = 0; // of the first ones, less their scratch
  size_t kept = 0;
  for (auto [i, candidate] : llvm::enumerate(candidates)) {
    saved += candidate.numbers - candidate.packed;
    if (saved - candidate.scratch > most) {
      most = saved - candidate.scratch;
      kept = i + 1;
    }
  }
  candidates.truncate(kept);
}

namespace {
/// What reads a weight.
struct Readers {
  int64_t elementBytes = 0; ///< of a number
  int64_t numbers = 0;      ///< most that are made of it at once
  bool others = false;      ///< some that want it as it is
  bool lookups = false;     ///< some that look up its rows
};
} // namespace

static llvm::MapVector<WeightOp, Readers> findReaders(ModuleOp module) {
  SymbolTable symbols(module);
  llvm::MapVector<WeightOp, Readers> found;
  module.walk([&](ParameterOp op) {
    const std::optional<int64_t> made = countNumbers(op.getResult());
    for (auto name : op.getWeights().getAsRange<FlatSymbolRefAttr>()) {
      Readers &readers = found[getWhole(symbols, name)];
      readers.elementBytes =
          cast<ShapedType>(op.getType()).getElementTypeBitWidth() / 8;
      readers.numbers = std::max(readers.numbers, made.value_or(0));
      readers.others |= !made;
      readers.lookups |= !isMultiplied(op.getResult());
    }
  });
  return found;
}

llvm::MapVector<WeightOp, int64_t> wafer::getKeepable(ModuleOp module) {
  llvm::MapVector<WeightOp, int64_t> elementBytes;
  for (auto &[weight, readers] : findReaders(module))
    if (!readers.others && !readers.lookups)
      elementBytes[weight] = readers.elementBytes;
  return elementBytes;
}

/// Rows that are looked up are integers, a scale is of one row.
static bool hasRows(const BlockFormat &format) {
  return format.code == BlockFormat::Code::integer && format.tall == 1;
}

bool wafer::keepPacked(ModuleOp module, Keeping which) {
  SmallVector<Candidate> candidates;
  for (auto &[weight, readers] : findReaders(module)) {
    if (readers.others || !weight || !weight.getBlocks())
      continue;
    const BlockFormat &format = weight.getBlocksAttr().getFormat();
    if (!canStayPacked(format) || (readers.lookups && !hasRows(format)))
      continue;
    candidates.push_back({weight, weight.getSymName(),
                          readers.numbers * readers.elementBytes,
                          cast<ShapedType>(weight.getType()).getNumElements() *
                              readers.elementBytes,
                          static_cast<int64_t>(format.bytes())});
  }
  if (which == Keeping::LeastBytes)
    keepLeastBytes(candidates);
  for (Candidate &candidate : candidates)
    candidate.weight->setAttr(keptName, UnitAttr::get(module.getContext()));
  return !candidates.empty();
}
