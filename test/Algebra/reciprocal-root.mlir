// RUN: waferloom-opt %s --algebra-reciprocal-root | FileCheck %s

#0 = affine_map<() -> ()>
// CHECK-LABEL: @good
// CHECK: %[[A:.*]] = linalg.generic
// CHECK: arith.addf
// CHECK: linalg.generic {{.*}}ins(%[[A]] : tensor<f32>)
// CHECK: math.rsqrt
// CHECK-NOT: math.sqrt
// CHECK-NOT: arith.divf
func.func @good() {
  %x = wafer.input "x" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %a = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 1.0e-5 : f32
    %r = arith.addf %u, %c : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%a : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.sqrt %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%s : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 1.0 : f32
    %r = arith.divf %c, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}

// Nothing keeps the argument from 0, where the quotient is infinite.
// CHECK-LABEL: @may_be_zero
// CHECK: math.sqrt
// CHECK: arith.divf
func.func @may_be_zero() {
  %x = wafer.input "x" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.sqrt %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%s : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 1.0 : f32
    %r = arith.divf %c, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}

// Two over a root is another number.
// CHECK-LABEL: @other_numerator
// CHECK: math.sqrt
// CHECK: arith.divf
func.func @other_numerator() {
  %x = wafer.input "x" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %a = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 1.0e-5 : f32
    %r = arith.addf %u, %c : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%a : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.sqrt %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%s : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 2.0 : f32
    %r = arith.divf %c, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}
