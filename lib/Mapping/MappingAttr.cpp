// Where the IR keeps a mapping, and how errors find its lines.

#include "waferloom/Mapping/MappingAttr.h"
#include "waferloom/Dialect/Wafer/Stages.h"

#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace waferloom;

FailureOr<mapping::Mapping> mapping::getMapping(Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  auto options =
      module->getAttrOfType<DictionaryAttr>(wafer::WaferDialect::optionsName);
  auto kept = options ? options.getAs<ArrayAttr>("mapping") : ArrayAttr();
  if (!kept)
    return Mapping();
  auto texts = llvm::to_vector(kept.getAsRange<StringAttr>());
  if (texts.size() != 2)
    return module.emitError("wafer.options: a mapping is a name and a text");
  StringRef name = texts[0].getValue();
  llvm::Expected<Mapping> read = parse(texts[1].getValue(), name);
  if (!read)
    return emitError(FileLineColLoc::get(op->getContext(), name, 0, 0))
           << llvm::toString(read.takeError());
  if (std::optional<wafer::Kind> kind = wafer::getKind(module))
    return read->ofKind(kind == wafer::Kind::Ends);
  return std::move(*read);
}

Location mapping::locate(MLIRContext *context, const Mapping &mapping,
                         unsigned line) {
  return FileLineColLoc::get(context, mapping.name, line, 1);
}

StringRef mapping::nodeOf(Location location) {
  auto named = location->findInstanceOf<NameLoc>();
  return named ? named.getName().getValue() : StringRef();
}
