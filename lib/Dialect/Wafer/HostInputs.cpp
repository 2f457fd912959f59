//===- HostInputs.cpp - Inputs that no PE reads ---------------------------===//

#include "waferloom/Dialect/Wafer/HostInputs.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::wafer;

static constexpr llvm::StringLiteral hostName = "host", onesName = "ones";

/// What `host` says of one input; without a type: nothing that makes sense.
static HostInput readHostInput(NamedAttribute input) {
  HostInput read{input.getName(), "", nullptr};
  auto facts = dyn_cast<ArrayAttr>(input.getValue());
  if (!facts || facts.size() != 2)
    return read;
  auto use = dyn_cast<StringAttr>(facts[0]);
  auto type = dyn_cast<TypeAttr>(facts[1]);
  if (!use || !type ||
      !llvm::is_contained({"position", "positions", "beams", "no", "yes"},
                          use.getValue()))
    return read;
  read.use = use.getValue();
  read.type = dyn_cast<RankedTensorType>(type.getValue());
  return read;
}

SmallVector<HostInput> wafer::getHostInputs(EntryOp entry) {
  SmallVector<HostInput> inputs;
  if (DictionaryAttr ones = entry.getOnesAttr())
    for (NamedAttribute input : ones)
      inputs.push_back({input.getName(), onesName,
                        cast<RankedTensorType>(
                            cast<TypeAttr>(input.getValue()).getValue())});
  if (auto host = entry->getAttrOfType<DictionaryAttr>(hostName))
    for (NamedAttribute input : host)
      inputs.push_back(readHostInput(input));
  return inputs;
}

void wafer::addHostInput(EntryOp entry, StringRef name, StringRef use,
                         RankedTensorType type) {
  Builder b(entry.getContext());
  const bool isOnes = use == onesName;
  NamedAttrList inputs;
  if (auto known =
          entry->getAttrOfType<DictionaryAttr>(isOnes ? onesName : hostName))
    inputs = known;
  if (isOnes)
    inputs.set(name, TypeAttr::get(type));
  else
    inputs.set(name,
               b.getArrayAttr({b.getStringAttr(use), TypeAttr::get(type)}));
  entry->setAttr(isOnes ? onesName : hostName,
                 inputs.getDictionary(entry.getContext()));
}

bool wafer::shareHostInputs(EntryOp a, EntryOp b) {
  SmallVector<HostInput> mine = getHostInputs(a), theirs = getHostInputs(b);
  return a.getOnesAttr() == b.getOnesAttr() && mine.size() == theirs.size() &&
         llvm::all_of(llvm::zip(mine, theirs), [](auto pair) {
           auto &[x, y] = pair;
           return x.name == y.name && x.use == y.use;
         });
}

LogicalResult wafer::verifyHostInputs(EntryOp entry) {
  Attribute host = entry->getAttr(hostName);
  auto inputs = dyn_cast_or_null<DictionaryAttr>(host);
  if (host && !inputs)
    return entry.emitOpError() << "lists inputs for the host as " << host;
  for (NamedAttribute input :
       inputs ? inputs.getValue() : ArrayRef<NamedAttribute>())
    if (HostInput read = readHostInput(input);
        !read.type || !read.type.hasStaticShape() ||
        (read.use == "beams" && read.type.getRank() != 1))
      return entry.emitOpError()
             << "does not say how the host uses its input '"
             << input.getName().getValue() << "' but " << input.getValue();
  return success();
}
