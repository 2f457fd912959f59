//===- waferloom-opt.cpp - Run passes on textual IR -----------------------===//
//
// The test driver: everything it can do is a registered pass or pipeline.
//
//===----------------------------------------------------------------------===//

#include "RunCore.h"

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Codegen/CoreTranslations.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Compile/Pipelines.h"
#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Onnx/Onnx.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Import/Import.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Placement/Passes.h"
#include "waferloom/Routing/Passes.h"
#include "waferloom/Sampling/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

/// Models and images are not IR: what makes, reads or runs one is a
/// translation, and a run of the tool with its flag first is a translator's.
static bool translates(int argc, char **argv) {
  llvm::StringRef flag = argc > 1 ? argv[1] : "";
  return flag.consume_front("--") &&
         llvm::is_contained({"core-through-image", "core-to-image",
                             "image-to-core", "import-onnx", "run-core"},
                            flag);
}

static void registerImport() {
  static mlir::TranslateToMLIRRegistration registration(
      "import-onnx", "read an ONNX model: level 1",
      [](llvm::SourceMgr &sources,
         mlir::MLIRContext *context) -> mlir::OwningOpRef<mlir::Operation *> {
        const llvm::MemoryBuffer *model =
            sources.getMemoryBuffer(sources.getMainFileID());
        return waferloom::import::importOnnxBytes(
            model->getBuffer(), model->getBufferIdentifier(), context);
      },
      waferloom::import::registerDialects);
}

/// Runs the translator. What it writes takes its place at the end: it may be
/// written over the image that the text names for its weights.
static int translate(std::vector<char *> args) {
  std::string path, part;
  for (size_t i = 1; i + 1 < args.size(); ++i)
    if (llvm::StringRef(args[i]) == "-o" &&
        llvm::StringRef(args[i + 1]) != "-") {
      path = args[i + 1];
      part = path + ".part";
      args[i + 1] = part.data();
    }
  int code = mlir::asMainReturnCode(mlir::mlirTranslateMain(
      static_cast<int>(args.size()), args.data(), "waferloom translator\n"));
  if (part.empty())
    return code;
  if (code == 0)
    if (std::error_code error = llvm::sys::fs::rename(part, path)) {
      llvm::errs() << "cannot write '" << path << "': " << error.message()
                   << "\n";
      code = 1;
    }
  if (code != 0)
    llvm::sys::fs::remove(part);
  return code;
}

int main(int argc, char **argv) {
  if (translates(argc, argv)) {
    waferloom::codegen::registerCoreTranslations();
    waferloom::tool::registerRunCore();
    registerImport();
    return translate({argv, argv + argc});
  }
  mlir::DialectRegistry registry;
  registry
      .insert<mlir::arith::ArithDialect, mlir::func::FuncDialect,
              mlir::linalg::LinalgDialect, mlir::math::MathDialect,
              mlir::tensor::TensorDialect, waferloom::core::CoreDialect,
              waferloom::fabric::FabricDialect, waferloom::onnx::OnnxDialect,
              waferloom::wafer::WaferDialect>();
  waferloom::algebra::registerOpModels(registry);
  waferloom::partition::registerOpModels(registry);
  mlir::registerTransformsPasses();
  waferloom::algebra::registerAlgebraPasses();
  waferloom::partition::registerPartitionPasses();
  waferloom::registerPipelines();
  waferloom::codegen::registerCodegenPasses();
  waferloom::codegen::registerPipeline();
  waferloom::placement::registerPlacementPasses();
  waferloom::routing::registerRoutingPasses();
  waferloom::sampling::registerSamplingPasses();

  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "waferloom pass driver\n", registry));
}
