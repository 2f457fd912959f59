// RUN: waferloom-opt %s --algebra-gates-first --canonicalize | FileCheck %s

#w = affine_map<(j, o, i) -> (j, o, i)>
#a = affine_map<(j, o, i) -> (j, i)>
#jo = affine_map<(j, o, i) -> (j, o)>
#id = affine_map<(j, o) -> (j, o)>
#j = affine_map<(j, o) -> (j)>
#o = affine_map<(j, o) -> (o)>

// The gates go in front of the product, which then sums over experts, too.
// CHECK-LABEL: @gates
// CHECK-DAG: %[[A:.*]] = wafer.input "a"
// CHECK-DAG: %[[G:.*]] = wafer.input "g"
// CHECK: %[[GATED:.*]] = linalg.generic {{.*}}["parallel", "parallel"]{{.*}} ins(%[[A]], %[[G]]
// CHECK: arith.mulf
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}}["reduction", "parallel", "reduction"]{{.*}} ins(%{{.*}}, %[[GATED]]
// CHECK: wafer.output "y", %[[SUM]]
func.func @gates() {
  %w = wafer.input "w" : tensor<2x5x3xf32>
  %a = wafer.input "a" : tensor<2x3xf32>
  %g = wafer.input "g" : tensor<2xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x5xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x5xf32>) -> tensor<2x5xf32>
  %p = linalg.generic {indexing_maps = [#w, #a, #jo], iterator_types = ["parallel", "parallel", "reduction"]} ins(%w, %a : tensor<2x5x3xf32>, tensor<2x3xf32>) outs(%f : tensor<2x5xf32>) {
  ^bb0(%u: f32, %v: f32, %s: f32):
    %m = arith.mulf %u, %v : f32
    %r = arith.addf %s, %m : f32
    linalg.yield %r : f32
  } -> tensor<2x5xf32>
  %q = linalg.generic {indexing_maps = [#id, #j, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %g : tensor<2x5xf32>, tensor<2xf32>) outs(%e : tensor<2x5xf32>) {
  ^bb0(%u: f32, %v: f32, %s: f32):
    %m = arith.mulf %u, %v : f32
    linalg.yield %m : f32
  } -> tensor<2x5xf32>
  %e1 = tensor.empty() : tensor<5xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<5xf32>) -> tensor<5xf32>
  %y = linalg.generic {indexing_maps = [#id, #o], iterator_types = ["reduction", "parallel"]} ins(%q : tensor<2x5xf32>) outs(%f1 : tensor<5xf32>) {
  ^bb0(%u: f32, %s: f32):
    %r = arith.addf %s, %u : f32
    linalg.yield %r : f32
  } -> tensor<5xf32>
  wafer.output "y", %y : tensor<5xf32>
  return
}

// Biases are added up by themselves; where the product is read twice, all stays.
// CHECK-LABEL: @biases
// CHECK: linalg.generic {{.*}}["reduction", "parallel", "reduction"]
// CHECK: linalg.generic {{.*}}["reduction", "parallel"]
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK: linalg.generic {{.*}}["parallel"]
// CHECK: arith.addf
func.func @biases() {
  %w = wafer.input "w" : tensor<2x5x3xf32>
  %a = wafer.input "a" : tensor<2x3xf32>
  %b = wafer.input "b" : tensor<2x5xf32>
  %g = wafer.input "g" : tensor<2xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x5xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x5xf32>) -> tensor<2x5xf32>
  %p = linalg.generic {indexing_maps = [#w, #a, #jo], iterator_types = ["parallel", "parallel", "reduction"]} ins(%w, %a : tensor<2x5x3xf32>, tensor<2x3xf32>) outs(%f : tensor<2x5xf32>) {
  ^bb0(%u: f32, %v: f32, %s: f32):
    %m = arith.mulf %u, %v : f32
    %r = arith.addf %s, %m : f32
    linalg.yield %r : f32
  } -> tensor<2x5xf32>
  %t = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<2x5xf32>, tensor<2x5xf32>) outs(%e : tensor<2x5xf32>) {
  ^bb0(%u: f32, %v: f32, %s: f32):
    %m = arith.addf %u, %v : f32
    linalg.yield %m : f32
  } -> tensor<2x5xf32>
  %q = linalg.generic {indexing_maps = [#id, #j, #id], iterator_types = ["parallel", "parallel"]} ins(%t, %g : tensor<2x5xf32>, tensor<2xf32>) outs(%e : tensor<2x5xf32>) {
  ^bb0(%u: f32, %v: f32, %s: f32):
    %m = arith.mulf %u, %v : f32
    linalg.yield %m : f32
  } -> tensor<2x5xf32>
  %e1 = tensor.empty() : tensor<5xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<5xf32>) -> tensor<5xf32>
  %y = linalg.generic {indexing_maps = [#id, #o], iterator_types = ["reduction", "parallel"]} ins(%q : tensor<2x5xf32>) outs(%f1 : tensor<5xf32>) {
  ^bb0(%u: f32, %s: f32):
    %r = arith.addf %s, %u : f32
    linalg.yield %r : f32
  } -> tensor<5xf32>
  wafer.output "y", %y : tensor<5xf32>
  return
}

// CHECK-LABEL: @read_twice
// CHECK: linalg.generic {{.*}}["parallel", "parallel", "reduction"]
// CHECK: linalg.generic {{.*}}["reduction", "parallel"]
func.func @read_twice() {
  %w = wafer.input "w" : tensor<2x5x3xf32>
  %a = wafer.input "a" : tensor<2x3xf32>
  %g = wafer.input "g" : tensor<2xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x5xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x5xf32>) -> tensor<2x5xf32>
  %p = linalg.generic {indexing_maps = [#w, #a, #jo], iterator_types = ["parallel", "parallel", "reduction"]} ins(%w, %a : tensor<2x5x3xf32>, tensor<2x3xf32>) outs(%f : tensor<2x5xf32>) {
  ^bb0(%u: f32, %v: f32, %s: f32):
    %m = arith.mulf %u, %v : f32
    %r = arith.addf %s, %m : f32
    linalg.yield %r : f32
  } -> tensor<2x5xf32>
  %q = linalg.generic {indexing_maps = [#id, #j, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %g : tensor<2x5xf32>, tensor<2xf32>) outs(%e : tensor<2x5xf32>) {
  ^bb0(%u: f32, %v: f32, %s: f32):
    %m = arith.mulf %u, %v : f32
    linalg.yield %m : f32
  } -> tensor<2x5xf32>
  %e1 = tensor.empty() : tensor<5xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<5xf32>) -> tensor<5xf32>
  %y = linalg.generic {indexing_maps = [#id, #o], iterator_types = ["reduction", "parallel"]} ins(%q : tensor<2x5xf32>) outs(%f1 : tensor<5xf32>) {
  ^bb0(%u: f32, %s: f32):
    %r = arith.addf %s, %u : f32
    linalg.yield %r : f32
  } -> tensor<5xf32>
  wafer.output "y", %y : tensor<5xf32>
  wafer.output "p", %p : tensor<2x5xf32>
  return
}
