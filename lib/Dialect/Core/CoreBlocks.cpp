// What can be wrong with bytes of the data section and with how they are
// packed.

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Format/Packing.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::core;

LogicalResult
BlocksAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                   BlockFormat format, StringAttr, int64_t scalesAt,
                   StringAttr zerosFile, int64_t zerosAt) {
  if (const char *fault = format.fault(static_cast<bool>(zerosFile)))
    return emitError() << fault;
  if (scalesAt < 0 || zerosAt < 0)
    return emitError() << "has scales or zeros at a negative offset";
  return success();
}

LogicalResult
PackingAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                    PackedPart part, ArrayRef<int64_t> groups,
                    BlockFormat format) {
  if (const char *fault = format.fault(hasZeros(format)))
    return emitError() << fault;
  if (!canStayPacked(format))
    return emitError() << "is of a format that PEs do not unpack";
  if (part == PackedPart::zeros && !hasZeros(format))
    return emitError() << "has no zeros";
  if (llvm::any_of(groups, [](int64_t group) { return group < 1; }))
    return emitError() << "has a group without elements";
  return success();
}

LogicalResult SourceOp::verify() {
  if (getValue().has_value() == getBytes().has_value())
    return emitOpError("has either elements or a number of bytes");
  if (!getBytes() && (getFile() || getNarrowed() || getBlocks()))
    return emitOpError("has its elements here and in a file");
  if (!getFile() && (getNarrowed() || getBlocks()))
    return emitOpError("is made of bytes of a file but names none");
  if (getPart() && !getBlocks())
    return emitOpError("is a part of blocks but has none");
  if (BlocksAttr blocks = getBlocksAttr();
      blocks && !blocks.getScalesFile() &&
      blocks.getFormat().rounded == BlockFormat::Rounded::none &&
      !blocks.getFormat().isBFloat16)
    return emitOpError("has blocks whose scales lie in no file");
  for (std::optional<uint64_t> number : {getBytes(), getOffset()})
    if (number && static_cast<int64_t>(*number) < 0)
      return emitOpError() << "has the number "
                           << static_cast<int64_t>(*number);
  if (std::optional<ElementsAttr> value = getValue()) {
    Type type = value->getElementType();
    if (!isElement(type))
      return emitOpError() << "holds " << type
                           << ", the data section has f32, f16 and i32";
  }
  return success();
}
