// Entries of several tokens as many trips of the entry of one. They share its
// code, and stages work on several tokens at a time; blocks of tokens have
// programs of their own, which combine more per message and take more memory.

#include "Phases.h"

#include "waferloom/Dialect/Wafer/HostInputs.h"
#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace waferloom;

static llvm::StringMap<wafer::InputOp> inputsOf(func::FuncOp entry) {
  llvm::StringMap<wafer::InputOp> inputs;
  entry.walk([&](wafer::InputOp op) { inputs[op.getName()] = op; });
  return inputs;
}

/// The dimension that counts tokens of each input that has one, if `several` is
/// `one` but for that; else null.
static DictionaryAttr perToken(wafer::EntryOp one, func::FuncOp function,
                               wafer::EntryOp several, func::FuncOp other) {
  DictionaryAttr a = one.getShapesAttr(), b = several.getShapesAttr();
  auto inputs = inputsOf(function);
  if (!a || !b || a.size() != b.size() ||
      inputs.size() != inputsOf(other).size() ||
      !wafer::shareHostInputs(one, several))
    return {};
  NamedAttrList dims;
  for (NamedAttribute entry : a) {
    auto mine = one.getShape(entry.getName()),
         theirs = several.getShape(entry.getName());
    if (!theirs || theirs->size() != mine->size())
      return {};
    for (auto [i, sizes] : llvm::enumerate(llvm::zip_equal(*mine, *theirs))) {
      auto [x, y] = sizes;
      if (x == y)
        continue;
      // Outputs are those of the last token, or this is another program.
      if (!inputs.count(entry.getName()) || x != 1 ||
          y != static_cast<int64_t>(several.getTokens()) ||
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
  wafer::EntryOp one;
  SmallVector<wafer::EntryOp> several;
  for (wafer::EntryOp entry : wafer::getProgram(*copy).getEntries())
    if (entry.getTokens() == 1)
      one = entry;
    else
      several.push_back(entry);
  auto functionOf = [&](wafer::EntryOp entry) {
    return copy->lookupSymbol<func::FuncOp>(entry.getFunction());
  };
  // What runs once per step, for the last token, stands behind the layers.
  if (!one || several.empty() || !wafer::getLayersRepeat(functionOf(one)))
    return nullptr;
  DictionaryAttr dims;
  for (wafer::EntryOp entry : several) {
    DictionaryAttr mine =
        perToken(one, functionOf(one), entry, functionOf(entry));
    if (!mine || (dims && dims != mine))
      return nullptr;
    dims = mine;
  }
  for (wafer::EntryOp entry : several) {
    functionOf(entry).erase();
    entry.setFunctionAttr(one.getFunctionAttr());
    entry.setPerTokenAttr(dims);
  }
  return copy;
}

LogicalResult waferloom::planEntries(ModuleOp module,
                                     const CompileOptions &options,
                                     partition::Planned &planned) {
  OwningOpRef<ModuleOp> streamed;
  if (options.prefill != "block")
    streamed = streamTokens(module);
  if (!streamed)
    return plan(module, options, planned);
  if (failed(plan(*streamed, options, planned)))
    return failure();
  if (options.prefill == "auto" && planned.stages == 1) {
    // Decoding comes first: blocks are taken where they fit beside it. Stages
    // are busy with several tokens at a time anyway.
    CompileOptions same = options;
    same.region = {planned.width, planned.height};
    same.stages = planned.stages;
    partition::Planned blocks;
    if (succeeded(plan(module, same, blocks))) {
      blocks.considered = std::move(planned.considered);
      planned = std::move(blocks);
      return success();
    }
  }
  planned.streams = true;
  module.getBodyRegion().takeBody(streamed->getBodyRegion());
  return success();
}
