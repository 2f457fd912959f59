// RUN: waferloom-opt %s -pass-pipeline='builtin.module(sampling-last)' | FileCheck %s

wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
  wafer.entry "tokens3" of @tokens3 tokens 3
  wafer.entry "plain" of @plain tokens 3
}
// What the model has for every token becomes that of the last; what has the same
// size in all entries is no such output.
// CHECK-LABEL: func.func @tokens1
// CHECK-NOT: extract_slice
func.func @tokens1() {
  %k = wafer.state ["k"] : tensor<1x8x4xf32>
  %logits = wafer.input "x" : tensor<2x1x5xf32>
  wafer.output "logits", %logits : tensor<2x1x5xf32>
  %heads = wafer.input "h" : tensor<1x3x5xf32>
  wafer.output "heads", %heads : tensor<1x3x5xf32>
  return
}
// CHECK-LABEL: func.func @tokens3
func.func @tokens3() {
  %k = wafer.state ["k"] : tensor<1x8x4xf32>
  // CHECK: %[[ALL:.*]] = wafer.input "x"
  %logits = wafer.input "x" : tensor<2x3x5xf32>
  // CHECK: %[[LAST:.*]] = tensor.extract_slice %[[ALL]][0, 2, 0] [2, 1, 5] [1, 1, 1]
  // CHECK: wafer.output "logits", %[[LAST]] : tensor<2x1x5xf32>
  wafer.output "logits", %logits : tensor<2x3x5xf32>
  %heads = wafer.input "h" : tensor<1x3x5xf32>
  // CHECK: wafer.output "heads", {{.*}} : tensor<1x3x5xf32>
  wafer.output "heads", %heads : tensor<1x3x5xf32>
  return
}

// Without states nothing follows from a step but its outputs.
// CHECK-LABEL: func.func @plain
// CHECK-NOT: extract_slice
func.func @plain() {
  %logits = wafer.input "x" : tensor<2x3x5xf32>
  wafer.output "logits", %logits : tensor<2x3x5xf32>
  return
}
