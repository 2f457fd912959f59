// RUN: waferloom-opt %s --partition-reroll --split-input-file | FileCheck %s
// What looks like layers but is none stays as it is.

wafer.weight @a0 : tensor<4xf32>
wafer.weight @a1 : tensor<4xf32>

#id = affine_map<(i) -> (i)>
// The second layer takes a sine where the first takes a hyperbolic tangent.
// CHECK-LABEL: @other_body
// CHECK-NOT: wafer.repeat
func.func @other_body() {
  %x = wafer.input "x" : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %a0 = wafer.parameter [@a0] : tensor<4xf32>
  %m0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %a0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    %s = math.tanh %r : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  %a1 = wafer.parameter [@a1] : tensor<4xf32>
  %m1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m0, %a1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    %s = math.sin %r : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  wafer.output "y", %m1 : tensor<4xf32>
  return
}

// -----

wafer.weight @a0 : tensor<4xf32>
wafer.weight @a1 : tensor<4xf32>

#id = affine_map<(i) -> (i)>
// Somebody reads the first layer's result from outside.
// CHECK-LABEL: @read_between
// CHECK-NOT: wafer.repeat
func.func @read_between() {
  %x = wafer.input "x" : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %a0 = wafer.parameter [@a0] : tensor<4xf32>
  %m0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %a0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %a1 = wafer.parameter [@a1] : tensor<4xf32>
  %m1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m0, %a1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  wafer.output "first", %m0 : tensor<4xf32>
  wafer.output "y", %m1 : tensor<4xf32>
  return
}
