//===- waferloom-opt.cpp - Run passes on textual IR -----------------------===//
//
// The test driver: everything it can do is a registered pass or pipeline.
//
//===----------------------------------------------------------------------===//

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                  mlir::linalg::LinalgDialect, mlir::math::MathDialect,
                  mlir::tensor::TensorDialect, waferloom::core::CoreDialect,
                  waferloom::wafer::WaferDialect>();
  mlir::registerTransformsPasses();

  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "waferloom pass driver\n", registry));
}
