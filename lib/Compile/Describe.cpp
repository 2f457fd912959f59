// What a model file says: level 1, read off without lowering it.

#include "waferloom/Compile/Compile.h"
#include "waferloom/Dialect/Onnx/Onnx.h"
#include "waferloom/Format/HostType.h"
#include "waferloom/Image/Utf8.h"
#include "waferloom/Import/Import.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/raw_ostream.h"

#include <map>

using namespace mlir;
using namespace waferloom;

/// NumPy's name of an element type.
static std::string nameOf(Type type) {
  if (type.isInteger(1))
    return "bool";
  if (StringRef name = hostNameOf(type); !name.empty())
    return name.str();
  return (isa<FloatType>(type) ? "float" : "int") +
         std::to_string(type.getIntOrFloatBitWidth());
}

template <typename Op>
static ModelTensor describe(Op op) {
  ModelTensor tensor{op.getName().str(), nameOf(op.getElementType()), {}};
  for (Attribute size : op.getShape()) {
    auto name = dyn_cast<StringAttr>(size);
    tensor.shape.push_back(
        name ? (name.empty() ? "?" : name.getValue().str())
             : std::to_string(cast<IntegerAttr>(size).getInt()));
  }
  return tensor;
}

llvm::Expected<ModelFacts> waferloom::describeModel(StringRef path) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  import::loadDialects(context);
  std::string reason;
  ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &found) {
    if (reason.empty() && found.getSeverity() == DiagnosticSeverity::Error)
      reason = found.str();
  });
  OwningOpRef<ModuleOp> module =
      import::importOnnx(path, &context, /*withWeights=*/false);
  if (!module)
    return llvm::createStringError(image::escapeToUtf8(reason));
  ModelFacts facts;
  std::map<std::string, int64_t> operators;
  module->walk([&](Operation *op) {
    if (auto input = dyn_cast<onnx::InputOp>(op)) {
      facts.inputs.push_back(describe(input));
    } else if (auto output = dyn_cast<onnx::OutputOp>(op)) {
      facts.outputs.push_back(describe(output));
    } else if (auto weight = dyn_cast<onnx::WeightOp>(op)) {
      auto type = cast<ShapedType>(weight.getType());
      facts.parameters += type.getNumElements();
      int64_t bits = type.getNumElements() * type.getElementTypeBitWidth();
      facts.weights.push_back({weight.getName().str(), (bits + 7) / 8});
    } else if (auto node = dyn_cast<onnx::NodeOp>(op)) {
      std::string domain = node.getDomain().str();
      ++operators[image::escapeToUtf8((domain.empty() ? "" : domain + ".") +
                                      node.getOperatorType().str())];
    }
  });
  for (const std::string &node : import::unsupportedNodes(*module))
    facts.unsupported.push_back(image::escapeToUtf8(node));
  facts.operators.assign(operators.begin(), operators.end());
  return facts;
}
