// RUN: waferloom-opt %s --partition-reroll | FileCheck %s

// Every other of four layers sees by another mask: the masks are carried around,
// as numbers, since truths do not travel between stages.

wafer.weight @a0 : tensor<4xf32>
wafer.weight @a1 : tensor<4xf32>
wafer.weight @a2 : tensor<4xf32>
wafer.weight @a3 : tensor<4xf32>

#id = affine_map<(i) -> (i)>
// CHECK-LABEL: @turns
func.func @turns() {
  // CHECK: %[[X:.*]] = wafer.input "x"
  // CHECK: %[[NEAR:.*]] = linalg.generic {{.*}} ins(%{{.*}} : tensor<4xi32>)
  // CHECK: %[[ALL:.*]] = linalg.generic {{.*}} ins(%{{.*}} : tensor<4xi32>)
  // CHECK: %[[N:.*]] = linalg.generic {{.*}} ins(%[[NEAR]] : tensor<4xi1>)
  // CHECK: %[[A:.*]] = linalg.generic {{.*}} ins(%[[ALL]] : tensor<4xi1>)
  // CHECK: wafer.repeat 4 (%[[R:.*]] = %[[X]], %[[U:.*]] = %[[N]], %[[V:.*]] = %[[A]])
  // CHECK: wafer.parameter [@a0, @a1, @a2, @a3] : tensor<4xf32>
  // CHECK: %[[C:.*]] = linalg.generic {{.*}} ins(%[[U]] : tensor<4xf32>)
  // CHECK: linalg.generic {{.*}} ins(%[[C]], %{{.*}}, %[[R]] : tensor<4xi1>, tensor<4xf32>, tensor<4xf32>)
  // CHECK: wafer.yield %{{.*}}, %[[V]], %[[U]]
  %x = wafer.input "x" : tensor<4xf32>
  %mask = wafer.input "mask" : tensor<4xi32>
  %one = arith.constant 1 : i32
  %e = tensor.empty() : tensor<4xf32>
  %t = tensor.empty() : tensor<4xi1>
  %near = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%mask : tensor<4xi32>) outs(%t : tensor<4xi1>) {
  ^bb0(%u: i32, %o: i1):
    %r = arith.cmpi sle, %u, %one : i32
    linalg.yield %r : i1
  } -> tensor<4xi1>
  %all = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%mask : tensor<4xi32>) outs(%t : tensor<4xi1>) {
  ^bb0(%u: i32, %o: i1):
    %r = arith.cmpi sge, %u, %one : i32
    linalg.yield %r : i1
  } -> tensor<4xi1>
  %a0 = wafer.parameter [@a0] : tensor<4xf32>
  %m0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %a0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %n0 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel"]} ins(%near, %m0, %x : tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%c: i1, %u: f32, %v: f32, %o: f32):
    %r = arith.select %c, %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%n0, %m0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.subf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%g0 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %a1 = wafer.parameter [@a1] : tensor<4xf32>
  %m1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%h0, %a1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %n1 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel"]} ins(%all, %m1, %h0 : tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%c: i1, %u: f32, %v: f32, %o: f32):
    %r = arith.select %c, %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%n1, %m1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.subf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%g1 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %a2 = wafer.parameter [@a2] : tensor<4xf32>
  %m2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%h1, %a2 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %n2 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel"]} ins(%near, %m2, %h1 : tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%c: i1, %u: f32, %v: f32, %o: f32):
    %r = arith.select %c, %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%n2, %m2 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.subf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%g2 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %a3 = wafer.parameter [@a3] : tensor<4xf32>
  %m3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%h2, %a3 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %n3 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel"]} ins(%all, %m3, %h2 : tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%c: i1, %u: f32, %v: f32, %o: f32):
    %r = arith.select %c, %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%n3, %m3 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.subf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%g3 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  // CHECK: wafer.output "y"
  wafer.output "y", %h3 : tensor<4xf32>
  return
}
