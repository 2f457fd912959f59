// RUN: waferloom-opt %s --partition-reroll | FileCheck %s

// Each of two layers makes for itself what depends on the inputs alone: it is
// the same for both, stands in front of the loop, and does not keep their ops
// from following each other. Rows of a table that no other layer reads
// are its own.

wafer.weight @a0 : tensor<4xf32>
wafer.weight @a1 : tensor<4xf32>
wafer.weight @b0 : tensor<3x4xf32>
wafer.weight @b1 : tensor<3x4xf32>
wafer.weight @c0 : tensor<4xf32>
wafer.weight @c1 : tensor<4xf32>
wafer.weight @c2 : tensor<4xf32>
wafer.weight @c3 : tensor<4xf32>
wafer.weight @h0 : tensor<4xf16>
wafer.weight @h1 : tensor<4xf16>
wafer.weight @h2 : tensor<4xf16>
wafer.weight @h3 : tensor<4xf16>

#id = affine_map<(i) -> (i)>
// CHECK-LABEL: @shared
func.func @shared() {
  // CHECK: %[[X:.*]] = wafer.input "x"
  // CHECK: %[[MASK:.*]] = wafer.input "mask"
  // CHECK: %[[K:.*]] = linalg.generic {{.*}} ins(%[[MASK]] : tensor<4xi32>)
  // CHECK: wafer.repeat 2 (%[[R:.*]] = %[[X]]) : tensor<4xf32> {
  // CHECK: wafer.parameter [@a0, @a1] : tensor<4xf32>
  // CHECK: %[[M:.*]] = linalg.generic {{.*}} ins(%[[R]], %{{.*}} : tensor<4xf32>, tensor<4xf32>)
  // CHECK: linalg.generic {{.*}} ins(%[[M]], %[[K]] : tensor<4xf32>, tensor<4xf32>)
  // CHECK: %[[B:.*]] = wafer.parameter [@b0, @b1] : tensor<3x4xf32>
  // CHECK: wafer.lookup %[[B]][
  // CHECK: wafer.yield
  // CHECK-NOT: linalg.generic
  %x = wafer.input "x" : tensor<4xf32>
  %mask = wafer.input "mask" : tensor<4xi32>
  %at = wafer.input "at" {limit = 3 : i64} : tensor<i32>
  %e = tensor.empty() : tensor<4xf32>
  %b0 = wafer.parameter [@b0] : tensor<3x4xf32>
  %b1 = wafer.parameter [@b1] : tensor<3x4xf32>
  %a0 = wafer.parameter [@a0] : tensor<4xf32>
  %m0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %a0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %k0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%mask : tensor<4xi32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: i32, %o: f32):
    %r = arith.sitofp %u : i32 to f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %n0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m0, %k0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.addf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %i0 = wafer.lookup %b0[%at] : (tensor<3x4xf32>, tensor<i32>) -> tensor<4xf32>
  %g0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%n0, %i0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
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
  %k1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%mask : tensor<4xi32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: i32, %o: f32):
    %r = arith.sitofp %u : i32 to f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %n1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m1, %k1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.addf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %i1 = wafer.lookup %b1[%at] : (tensor<3x4xf32>, tensor<i32>) -> tensor<4xf32>
  %g1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%n1, %i1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.subf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%g1 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  // CHECK: wafer.output "y"
  wafer.output "y", %h1 : tensor<4xf32>
  return
}

// Layers read rows of two tables in turn, each looked up where the first layer
// needs it: they are taken for shared, as more layers follow each other then.

// CHECK-LABEL: @tables
func.func @tables() {
  // CHECK: %[[B0:.*]] = wafer.lookup
  // CHECK: %[[B1:.*]] = wafer.lookup
  // CHECK: wafer.repeat 4 (%{{.*}} = %{{.*}}, %{{.*}} = %[[B0]], %{{.*}} = %[[B1]])
  // CHECK: wafer.parameter [@c0, @c1, @c2, @c3]
  // CHECK-NOT: wafer.lookup
  // CHECK: return
  %x = wafer.input "x" : tensor<4xf32>
  %at = wafer.input "at" {limit = 3 : i64} : tensor<i32>
  %e = tensor.empty() : tensor<4xf32>
  %b0 = wafer.parameter [@b0] : tensor<3x4xf32>
  %b1 = wafer.parameter [@b1] : tensor<3x4xf32>
  %c0 = wafer.parameter [@c0] : tensor<4xf32>
  %m0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %c0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %i0 = wafer.lookup %b0[%at] : (tensor<3x4xf32>, tensor<i32>) -> tensor<4xf32>
  %n0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m0, %i0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.subf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n0 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.exp %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%g0 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %c1 = wafer.parameter [@c1] : tensor<4xf32>
  %m1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%h0, %c1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %i1 = wafer.lookup %b1[%at] : (tensor<3x4xf32>, tensor<i32>) -> tensor<4xf32>
  %n1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m1, %i1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.subf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n1 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.exp %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%g1 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %c2 = wafer.parameter [@c2] : tensor<4xf32>
  %m2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%h1, %c2 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %n2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m2, %i0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.subf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n2 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.exp %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%g2 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %c3 = wafer.parameter [@c3] : tensor<4xf32>
  %m3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%h2, %c3 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %n3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m3, %i1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.subf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %g3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n3 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.exp %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%g3 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  wafer.output "y", %h3 : tensor<4xf32>
  return
}

// The same where each layer widens a gain of its own: what is made of a weight
// alone is its layer's, and only rows that the step says are of all.

// CHECK-LABEL: @gains
func.func @gains() {
  // CHECK: %[[B0:.*]] = wafer.lookup
  // CHECK: %[[B1:.*]] = wafer.lookup
  // CHECK: wafer.repeat 4 (%{{.*}} = %{{.*}}, %{{.*}} = %[[B0]], %{{.*}} = %[[B1]])
  // CHECK: %[[H:.*]] = wafer.parameter [@h0, @h1, @h2, @h3]
  // CHECK: linalg.generic {{.*}} ins(%[[H]] : tensor<4xf16>)
  // CHECK-NOT: wafer.lookup
  // CHECK: return
  %x = wafer.input "x" : tensor<4xf32>
  %at = wafer.input "at" {limit = 3 : i64} : tensor<i32>
  %e = tensor.empty() : tensor<4xf32>
  %b0 = wafer.parameter [@b0] : tensor<3x4xf32>
  %b1 = wafer.parameter [@b1] : tensor<3x4xf32>
  %h0 = wafer.parameter [@h0] : tensor<4xf16>
  %w0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%h0 : tensor<4xf16>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f16, %o: f32):
    %r = arith.extf %u : f16 to f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %m0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %w0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %i0 = wafer.lookup %b0[%at] : (tensor<3x4xf32>, tensor<i32>) -> tensor<4xf32>
  %n0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m0, %i0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.addf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %t0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n0 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h1 = wafer.parameter [@h1] : tensor<4xf16>
  %w1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%h1 : tensor<4xf16>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f16, %o: f32):
    %r = arith.extf %u : f16 to f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %m1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%t0, %w1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %i1 = wafer.lookup %b1[%at] : (tensor<3x4xf32>, tensor<i32>) -> tensor<4xf32>
  %n1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m1, %i1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.addf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %t1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n1 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h2 = wafer.parameter [@h2] : tensor<4xf16>
  %w2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%h2 : tensor<4xf16>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f16, %o: f32):
    %r = arith.extf %u : f16 to f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %m2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%t1, %w2 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %n2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m2, %i0 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.addf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %t2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n2 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %h3 = wafer.parameter [@h3] : tensor<4xf16>
  %w3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%h3 : tensor<4xf16>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f16, %o: f32):
    %r = arith.extf %u : f16 to f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %m3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%t2, %w3 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.mulf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %n3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%m3, %i1 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %r = arith.addf %u, %v : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %t3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%n3 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.tanh %u : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  wafer.output "y", %t3 : tensor<4xf32>
  return
}
