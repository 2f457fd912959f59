#include "waferloom/Dialect/Wafer/Blocks.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::wafer;

static constexpr const char *attributeName = "wafer.blocks";

void wafer::setBlocks(WeightOp weight, const Blocks &blocks) {
  Builder b(weight.getContext());
  NamedAttrList list;
  list.set("bits", b.getI64IntegerAttr(blocks.format.bits));
  list.set("size", b.getI64IntegerAttr(blocks.format.size));
  list.set("scales_file", b.getStringAttr(blocks.scales.file));
  list.set("scales_at", b.getI64IntegerAttr(blocks.scales.offset));
  using Zeros = image::BlockFormat::Zeros;
  if (blocks.format.zeros != Zeros::middle) {
    list.set("zeros",
             b.getStringAttr(blocks.format.zeros == Zeros::packed ? "packed"
                                                                  : "scaled"));
    list.set("zeros_file", b.getStringAttr(blocks.zeros.file));
    list.set("zeros_at", b.getI64IntegerAttr(blocks.zeros.offset));
  }
  weight->setAttr(attributeName, list.getDictionary(weight.getContext()));
}

std::optional<Blocks> wafer::getBlocks(WeightOp weight) {
  auto list = weight->getAttrOfType<DictionaryAttr>(attributeName);
  auto type = cast<ShapedType>(weight.getType());
  if (!list || type.getRank() != 2)
    return std::nullopt;
  auto number = [&](StringRef name) {
    auto value = list.getAs<IntegerAttr>(name);
    return value ? value.getInt() : 0;
  };
  auto text = [&](StringRef name) {
    auto value = list.getAs<StringAttr>(name);
    return value ? value.str() : std::string();
  };
  Blocks blocks;
  blocks.format.rows = static_cast<uint64_t>(type.getDimSize(0));
  blocks.format.columns = static_cast<uint64_t>(type.getDimSize(1));
  blocks.format.bits = static_cast<unsigned>(number("bits"));
  blocks.format.size = static_cast<unsigned>(number("size"));
  blocks.format.halfScales = type.getElementType().isF16();
  std::string zeros = text("zeros");
  blocks.format.zeros = zeros == "packed"   ? image::BlockFormat::Zeros::packed
                        : zeros == "scaled" ? image::BlockFormat::Zeros::scaled
                                            : image::BlockFormat::Zeros::middle;
  blocks.scales = {text("scales_file"), number("scales_at")};
  blocks.zeros = {text("zeros_file"), number("zeros_at")};
  unsigned bits = blocks.format.bits;
  if ((bits != 2 && bits != 4 && bits != 8) || blocks.format.size < 8)
    return std::nullopt;
  return blocks;
}
