#include "waferloom/Dialect/Wafer/Blocks.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::wafer;

static constexpr const char *attributeName = "wafer.blocks";

void wafer::setBlocks(WeightOp weight, const Blocks &blocks) {
  Builder b(weight.getContext());
  NamedAttrList list;
  list.set("bits", b.getI64IntegerAttr(blocks.bits));
  list.set("size", b.getI64IntegerAttr(blocks.size));
  list.set("scales_file", b.getStringAttr(blocks.scales.file));
  list.set("scales_at", b.getI64IntegerAttr(blocks.scales.offset));
  using Zeros = Blocks::Zeros;
  if (blocks.zeros != Zeros::Middle) {
    list.set("zeros", b.getStringAttr(
                          blocks.zeros == Zeros::Packed ? "packed" : "scaled"));
    list.set("zeros_file", b.getStringAttr(blocks.zerosAt.file));
    list.set("zeros_at", b.getI64IntegerAttr(blocks.zerosAt.offset));
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
  blocks.bits = static_cast<unsigned>(number("bits"));
  blocks.size = static_cast<unsigned>(number("size"));
  std::string zeros = text("zeros");
  blocks.zeros = zeros == "packed"   ? Blocks::Zeros::Packed
                 : zeros == "scaled" ? Blocks::Zeros::Scaled
                                     : Blocks::Zeros::Middle;
  blocks.scales = {text("scales_file"), number("scales_at")};
  blocks.zerosAt = {text("zeros_file"), number("zeros_at")};
  unsigned bits = blocks.bits;
  if ((bits != 2 && bits != 4 && bits != 8) || blocks.size < 8)
    return std::nullopt;
  return blocks;
}
