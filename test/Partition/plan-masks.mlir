// RUN: waferloom-opt %s --partition-plan="width=4 height=1" --partition-verify | FileCheck %s

// Squares and a product are both made of %e, whose padding is anything: %e is masked, once, not
// what is made of it. The weight's padding is 0 by itself.

#each = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
module attributes {wafer.target = #wafer.target<"grid-4x1">} {
wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
}
wafer.weight @gain : tensor<30xf32>
wafer.weight @w : tensor<30x3xf32>

// CHECK: %[[E:.*]] = linalg.generic
// CHECK: math.exp
// CHECK-NOT: wafer.mask
// CHECK: %[[M:.*]] = wafer.mask %[[E]] dim 0 fill 0.0
// CHECK-NOT: wafer.mask
// CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%[[M]], %[[M]] :
// CHECK-NOT: wafer.mask
// CHECK: linalg.generic {{.*}} ins(%[[M]], %{{.*}} :
// CHECK-NOT: wafer.mask
// CHECK: return
func.func @tokens1() {
  %x = wafer.input "x" : tensor<30xf32>
  %g = wafer.parameter [@gain] : tensor<30xf32>
  %w = wafer.parameter [@w] : tensor<30x3xf32>
  %c = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<30xf32>
  %e1 = tensor.empty() : tensor<f32>
  %e2 = tensor.empty() : tensor<3xf32>
  %f1 = linalg.fill ins(%c : f32) outs(%e1 : tensor<f32>) -> tensor<f32>
  %f2 = linalg.fill ins(%c : f32) outs(%e2 : tensor<3xf32>) -> tensor<3xf32>
  %e = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel"]}
      ins(%x : tensor<30xf32>) outs(%e0 : tensor<30xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = math.exp %a : f32
    linalg.yield %0 : f32
  } -> tensor<30xf32>
  %squares = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
      ins(%e, %e : tensor<30xf32>, tensor<30xf32>) outs(%e0 : tensor<30xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<30xf32>
  %sum = linalg.generic {indexing_maps = [#each, #none], iterator_types = ["reduction"]}
      ins(%squares : tensor<30xf32>) outs(%f1 : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.addf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %scaled = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
      ins(%e, %g : tensor<30xf32>, tensor<30xf32>) outs(%e0 : tensor<30xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<30xf32>
  %product = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%scaled, %w : tensor<30xf32>, tensor<30x3xf32>) outs(%f2 : tensor<3xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<3xf32>
  wafer.output "sum", %sum : tensor<f32>
  wafer.output "product", %product : tensor<3xf32>
  return
}
}
