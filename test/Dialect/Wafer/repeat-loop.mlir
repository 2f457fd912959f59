// RUN: waferloom-opt --loop-invariant-code-motion %s | FileCheck %s

// To MLIR a repeat is a loop: what no trip changes leaves it, one of several
// weights does not.

wafer.program {
  wafer.entry "layers" of @layers tokens 1
}
wafer.weight @shared : tensor<4xf32>
wafer.weight @w0 : tensor<4xf32>
wafer.weight @w1 : tensor<4xf32>

// CHECK-LABEL: func.func @layers
func.func @layers() {
  %x = wafer.input "x" : tensor<4xf32>
  // CHECK: %[[SHARED:.*]] = wafer.parameter [@shared]
  // CHECK: arith.mulf %[[SHARED]], %[[SHARED]]
  // CHECK: wafer.repeat 2
  // CHECK-NEXT: wafer.parameter [@w0, @w1]
  %shared = wafer.parameter [@shared] : tensor<4xf32>
  %y = wafer.repeat 2 (%in = %x) : tensor<4xf32> {
    %square = arith.mulf %shared, %shared : tensor<4xf32>
    %w = wafer.parameter [@w0, @w1] : tensor<4xf32>
    %sum = arith.addf %w, %square : tensor<4xf32>
    %out = arith.mulf %sum, %in : tensor<4xf32>
    wafer.yield %out : tensor<4xf32>
  }
  wafer.output "y", %y : tensor<4xf32>
  return
}
