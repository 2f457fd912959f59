// RUN: waferloom-opt %s --partition-reroll | FileCheck %s

// Three layers that differ in their weights and caches are one body. What comes
// in front of them and behind stays.

wafer.weight @a0 : tensor<4xf32>
wafer.weight @a1 : tensor<4xf32>
wafer.weight @a2 : tensor<4xf32>

#id = affine_map<(i) -> (i)>
// CHECK-LABEL: @layers
func.func @layers() {
  // CHECK: %[[X:.*]] = wafer.input "x"
  %x = wafer.input "x" : tensor<4xf32>
  %p = wafer.position : tensor<i32>
  // CHECK: %[[Y:.*]] = wafer.repeat 3 (%[[R:.*]] = %[[X]]) : tensor<4xf32> {
  // CHECK: wafer.parameter [@a0, @a1, @a2] : tensor<4xf32>
  // CHECK: linalg.generic {{.*}} ins(%[[R]], %{{.*}} : tensor<4xf32>, tensor<4xf32>)
  // CHECK: wafer.state ["s0", "s1", "s2"] : tensor<7x4xf32>
  // CHECK: wafer.append
  // CHECK: wafer.yield
  %a0 = wafer.parameter [@a0] : tensor<4xf32>
  %e0 = tensor.empty() : tensor<4xf32>
  %m0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %a0 : tensor<4xf32>, tensor<4xf32>) outs(%e0 : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %s0 = wafer.state ["s0"] : tensor<7x4xf32>
  %t0 = wafer.append %m0 into %s0 at %p : tensor<i32> dim 0 : tensor<4xf32> into tensor<7x4xf32> -> tensor<7x4xf32>
  %n0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %m0 : tensor<4xf32>, tensor<4xf32>) outs(%e0 : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.addf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n0 : tensor<4xf32>) outs(%e0 : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %a1 = wafer.parameter [@a1] : tensor<4xf32>
  %m1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%g0, %a1 : tensor<4xf32>, tensor<4xf32>) outs(%e0 : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %s1 = wafer.state ["s1"] : tensor<7x4xf32>
  %t1 = wafer.append %m1 into %s1 at %p : tensor<i32> dim 0 : tensor<4xf32> into tensor<7x4xf32> -> tensor<7x4xf32>
  %n1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%g0, %m1 : tensor<4xf32>, tensor<4xf32>) outs(%e0 : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.addf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n1 : tensor<4xf32>) outs(%e0 : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %a2 = wafer.parameter [@a2] : tensor<4xf32>
  %m2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%g1, %a2 : tensor<4xf32>, tensor<4xf32>) outs(%e0 : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %s2 = wafer.state ["s2"] : tensor<7x4xf32>
  %t2 = wafer.append %m2 into %s2 at %p : tensor<i32> dim 0 : tensor<4xf32> into tensor<7x4xf32> -> tensor<7x4xf32>
  %n2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%g1, %m2 : tensor<4xf32>, tensor<4xf32>) outs(%e0 : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.addf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n2 : tensor<4xf32>) outs(%e0 : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  // CHECK: wafer.output "y", %[[Y]]
  wafer.output "y", %g2 : tensor<4xf32>
  return
}
