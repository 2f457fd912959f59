// RUN: waferloom-opt --canonicalize --cse %s | FileCheck %s

// An append writes its state: it stays though nothing reads its result, and two
// of them are two; so does a store. A repeat without effects that nothing reads is gone.

wafer.program {
  wafer.entry "step" of @step tokens 1
}
// CHECK-LABEL: func.func @step
func.func @step() {
  %p = wafer.position : tensor<i32>
  %x = wafer.input "x" : tensor<1x4xf32>
  %k = wafer.state ["k"] : tensor<8x4xf32>
  // CHECK: wafer.append
  // CHECK: wafer.append
  %1 = wafer.append %x into %k at %p : tensor<i32> dim 0 : tensor<1x4xf32> into tensor<8x4xf32> -> tensor<8x4xf32>
  %2 = wafer.append %x into %k at %p : tensor<i32> dim 0 : tensor<1x4xf32> into tensor<8x4xf32> -> tensor<8x4xf32>
  // CHECK: wafer.store
  wafer.store %k into %k : tensor<8x4xf32> into tensor<8x4xf32>
  // CHECK-NOT: wafer.repeat
  %dead = wafer.repeat 2 (%in = %x) : tensor<1x4xf32> {
    %out = arith.mulf %in, %in : tensor<1x4xf32>
    wafer.yield %out : tensor<1x4xf32>
  }
  // CHECK: wafer.repeat 3
  wafer.repeat 3 () {
    %s = wafer.state ["a", "b", "c"] : tensor<8x4xf32>
    %n = wafer.append %x into %s at %p : tensor<i32> dim 0 : tensor<1x4xf32> into tensor<8x4xf32> -> tensor<8x4xf32>
    wafer.yield
  }
  return
}
