// Entries of several tokens as many trips of the entry of one. They share its
// code, and stages work on several tokens at a time; blocks of tokens have
// programs of their own, which combine more per message and take more memory.

#include "Phases.h"

#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace waferloom;

static int64_t tokensOf(func::FuncOp entry) {
  auto tokens = entry->getAttrOfType<IntegerAttr>("wafer.tokens");
  return tokens ? tokens.getInt() : 0;
}

static llvm::StringMap<wafer::InputOp> inputsOf(func::FuncOp entry) {
  llvm::StringMap<wafer::InputOp> inputs;
  entry.walk([&](wafer::InputOp op) { inputs[op.getName()] = op; });
  return inputs;
}

/// The dimension that counts tokens of each input that has one, if `several` is
/// `one` but for that; else null.
static DictionaryAttr perToken(func::FuncOp one, func::FuncOp several) {
  auto a = one->getAttrOfType<DictionaryAttr>("wafer.shapes");
  auto b = several->getAttrOfType<DictionaryAttr>("wafer.shapes");
  auto inputs = inputsOf(one), others = inputsOf(several);
  if (!a || !b || a.size() != b.size() || inputs.size() != others.size() ||
      one->getAttr("wafer.ones") != several->getAttr("wafer.ones"))
    return {};
  NamedAttrList dims;
  for (NamedAttribute entry : a) {
    auto mine = cast<DenseI64ArrayAttr>(entry.getValue()).asArrayRef();
    auto other = b.getAs<DenseI64ArrayAttr>(entry.getName());
    if (!other || other.size() != static_cast<int64_t>(mine.size()))
      return {};
    for (auto [i, sizes] :
         llvm::enumerate(llvm::zip_equal(mine, other.asArrayRef()))) {
      auto [x, y] = sizes;
      if (x == y)
        continue;
      // Outputs are those of the last token, or this is another program.
      if (!inputs.count(entry.getName()) || x != 1 || y != tokensOf(several) ||
          dims.get(entry.getName()))
        return {};
      dims.set(entry.getName(),
               IntegerAttr::get(IntegerType::get(one.getContext(), 64),
                                static_cast<int64_t>(i)));
    }
  }
  return dims.getDictionary(one.getContext());
}

OwningOpRef<ModuleOp> waferloom::streamTokens(ModuleOp module) {
  OwningOpRef<ModuleOp> copy = module.clone();
  func::FuncOp one;
  SmallVector<func::FuncOp> several;
  for (auto entry : copy->getOps<func::FuncOp>())
    if (tokensOf(entry) == 1)
      one = entry;
    else if (tokensOf(entry) > 1)
      several.push_back(entry);
  // What runs once per step, for the last token, stands behind the layers.
  if (!one || several.empty() || !wafer::getLayersRepeat(one))
    return nullptr;
  SmallVector<Attribute> streamed;
  DictionaryAttr dims;
  for (func::FuncOp entry : several) {
    DictionaryAttr mine = perToken(one, entry);
    if (!mine || (dims && dims != mine))
      return nullptr;
    dims = mine;
    NamedAttrList facts;
    facts.set("name", StringAttr::get(module.getContext(), entry.getName()));
    facts.set("tokens", entry->getAttr("wafer.tokens"));
    facts.set("shapes", entry->getAttr("wafer.shapes"));
    streamed.push_back(facts.getDictionary(module.getContext()));
    entry.erase();
  }
  one->setAttr("wafer.streamed", ArrayAttr::get(module.getContext(), streamed));
  one->setAttr("wafer.per_token", dims);
  return copy;
}

LogicalResult waferloom::planEntries(OwningOpRef<ModuleOp> &module,
                                     const CompileOptions &options,
                                     const target::Target &target,
                                     partition::Planned &planned) {
  OwningOpRef<ModuleOp> streamed;
  if (options.prefill != "block")
    streamed = streamTokens(*module);
  if (!streamed)
    return plan(*module, options, target, planned);
  if (failed(plan(*streamed, options, target, planned)))
    return failure();
  if (options.prefill == "auto" && planned.stages == 1) {
    // Decoding comes first: blocks are taken where they fit beside it. Stages
    // are busy with several tokens at a time anyway.
    CompileOptions same = options;
    same.region = {planned.width, planned.height};
    same.stages = planned.stages;
    partition::Planned blocks;
    if (succeeded(plan(*module, same, target, blocks))) {
      planned = std::move(blocks);
      return success();
    }
  }
  module = std::move(streamed);
  return success();
}
