// RUN: waferloom-opt %s --algebra-fold --split-input-file | FileCheck %s

// A transpose goes into the map of its reader, a splat into its body.
// CHECK: #[[$T:.*]] = affine_map<(d0, d1) -> (d1, d0)>
// CHECK-LABEL: @transpose
func.func @transpose() {
  // CHECK: %[[X:.*]] = wafer.input "x"
  %x = wafer.input "x" : tensor<3x5xf32>
  %e = tensor.empty() : tensor<5x3xf32>
  %t = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x5xf32>) outs(%e : tensor<5x3xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<5x3xf32>
  %two = arith.constant dense<2.0> : tensor<f32>
  // CHECK: linalg.generic {indexing_maps = [#[[$T]], #{{.*}}], {{.*}}ins(%[[X]] : tensor<3x5xf32>)
  // CHECK: arith.constant 2.0
  // CHECK: arith.mulf
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> ()>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%t, %two : tensor<5x3xf32>, tensor<f32>) outs(%e : tensor<5x3xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x3xf32>
  // CHECK-NOT: linalg.generic
  wafer.output "y", %y : tensor<5x3xf32>
  return
}

// -----

// A sum that starts from a bias would count it once per PE.
// CHECK-LABEL: @bias
func.func @bias() {
  %x = wafer.input "x" : tensor<4xf32>
  // CHECK: %[[B:.*]] = wafer.input "b"
  %b = wafer.input "b" : tensor<f32>
  // CHECK: %[[Z:.*]] = linalg.fill
  // CHECK: %[[S:.*]] = linalg.generic {{.*}}["reduction"]{{.*}} outs(%[[Z]] : tensor<f32>)
  // CHECK: linalg.generic {{.*}}ins(%[[S]], %[[B]] : tensor<f32>, tensor<f32>)
  // CHECK: arith.addf
  %s = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%b : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.addf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  wafer.output "s", %s : tensor<f32>
  return
}

// -----

// A broadcast whose loop no other operand has stays: the loop would have no
// extent without it.
// CHECK-LABEL: @broadcast_alone
func.func @broadcast_alone() {
  %x = wafer.input "x" : tensor<3xf32>
  %e = tensor.empty() : tensor<3x5xf32>
  // CHECK: %[[W:.*]] = linalg.generic
  %b = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3xf32>) outs(%e : tensor<3x5xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<3x5xf32>
  %c = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<3xf32>
  %f = linalg.fill ins(%c : f32) outs(%e1 : tensor<3xf32>) -> tensor<3xf32>
  // CHECK: linalg.generic {{.*}}ins(%[[W]] : tensor<3x5xf32>)
  %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%b : tensor<3x5xf32>) outs(%f : tensor<3xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.addf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  wafer.output "s", %s : tensor<3xf32>
  return
}

// -----

// A cast is no copy.
// CHECK-LABEL: @cast
func.func @cast() {
  %x = wafer.input "x" : tensor<3xf16>
  %e = tensor.empty() : tensor<3xf32>
  // CHECK: arith.extf
  %b = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<3xf16>) outs(%e : tensor<3xf32>) {
  ^bb0(%a: f16, %o: f32):
    %0 = arith.extf %a : f16 to f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  wafer.output "s", %b : tensor<3xf32>
  return
}
