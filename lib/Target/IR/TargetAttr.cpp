// Figures go into the IR and come back by the list that they are.

#include "waferloom/Target/TargetAttr.h"
#include "../Scalars.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::target;

static Attribute attributeOf(Builder &builder, uint32_t value) {
  return builder.getI64IntegerAttr(value);
}
static Attribute attributeOf(Builder &builder, double value) {
  return builder.getF64FloatAttr(value);
}

/// Whether `attribute` is a value of the type of a figure.
static bool assign(Figure<uint32_t> &figure, Attribute attribute) {
  auto number = dyn_cast<IntegerAttr>(attribute);
  if (!number || number.getValue().getSignificantBits() > 33 ||
      number.getValue().isNegative())
    return false;
  figure = {static_cast<uint32_t>(number.getValue().getZExtValue()),
            "given in the IR", Confidence::Unverified};
  return true;
}
static bool assign(Figure<double> &figure, Attribute attribute) {
  auto number = dyn_cast<FloatAttr>(attribute);
  if (!number || !std::isfinite(number.getValueAsDouble()) ||
      number.getValueAsDouble() < 0)
    return false;
  figure = {number.getValueAsDouble(), "given in the IR",
            Confidence::Unverified};
  return true;
}

wafer::TargetAttr target::toAttr(MLIRContext *context, const Target &target) {
  Builder builder(context);
  NamedAttrList figures;
  std::optional<Target> base;
  if (isBuiltIn(target.name)) {
    if (llvm::Expected<Target> named = parse(target.name))
      base = std::move(*named);
    else
      llvm::consumeError(named.takeError());
  }
#define FIGURE(type, member, key, unit, meaning)                               \
  if (!base || base->member.value != target.member.value)                      \
    figures.set(key, attributeOf(builder, target.member.value));
#include "waferloom/Target/Figures.def"
  if (!target.defects.empty()) {
    SmallVector<int64_t> numbers;
    for (const Rectangle &defect : target.defects)
      llvm::append_values(numbers, int64_t(defect.x), int64_t(defect.y),
                          int64_t(defect.width), int64_t(defect.height));
    figures.set("defects", builder.getDenseI64ArrayAttr(numbers));
  }
  return wafer::TargetAttr::get(
      context, builder.getStringAttr(target.name),
      figures.empty() ? DictionaryAttr() : figures.getDictionary(context));
}

llvm::Expected<Target> target::fromAttr(wafer::TargetAttr attribute) {
  const StringRef name = attribute.getName();
  Target target;
  const bool builtIn = isBuiltIn(name);
  if (builtIn) {
    llvm::Expected<Target> named = parse(name);
    if (!named)
      return named;
    target = std::move(*named);
  }
  target.name = name.str();
  DictionaryAttr figures = attribute.getFigures();
  auto refuse = [&](StringRef what) {
    return llvm::createStringError("target '" + name + "': " + what);
  };
  size_t known = 0;
#define FIGURE(type, member, key, unit, meaning)                               \
  if (Attribute value = figures ? figures.get(key) : Attribute()) {            \
    ++known;                                                                   \
    if (!assign(target.member, value))                                         \
      return refuse("figure '" key "' is out of range");                       \
  } else if (!builtIn && !isInformation(key)) {                                \
    return refuse("is no preset and leaves out '" key "'");                    \
  }
#include "waferloom/Target/Figures.def"
  if (Attribute value = figures ? figures.get("defects") : Attribute()) {
    ++known;
    auto numbers = dyn_cast<DenseI64ArrayAttr>(value);
    if (!numbers || numbers.size() % 4 ||
        llvm::any_of(numbers.asArrayRef(),
                     [](int64_t n) { return n < 0 || n > UINT32_MAX; }))
      return refuse("'defects' are x, y, width and height of each");
    target.defects.clear();
    auto at = [&](int64_t i) { return static_cast<uint32_t>(numbers[i]); };
    for (int64_t i = 0; i < numbers.size(); i += 4)
      target.defects.push_back({at(i), at(i + 1), at(i + 2), at(i + 3)});
  }
  if (figures && known != figures.size())
    return refuse("has a figure that does not exist; the keys are " +
                  joinedKeys());
  if (llvm::Error error = verify(target))
    return std::move(error);
  return target;
}

FailureOr<Target> target::getTarget(Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  wafer::TargetAttr attribute = wafer::getTarget(module);
  if (!attribute)
    return module.emitError()
           << "says no " << wafer::WaferDialect::targetName
           << ", the machine that it is compiled for: #wafer.target<\"wse3\">, "
              "say";
  llvm::Expected<Target> target = fromAttr(attribute);
  if (!target)
    return module.emitError() << llvm::toString(target.takeError());
  return std::move(*target);
}

void target::setTarget(ModuleOp module, const Target &target) {
  module->setAttr(wafer::WaferDialect::targetName,
                  toAttr(module.getContext(), target));
}
