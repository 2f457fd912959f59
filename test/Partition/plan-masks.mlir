// RUN: waferloom-opt %s --partition-plan="width=4 height=1" --partition-verify --split-input-file | FileCheck %s

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

// -----

// A product of halves: columns of the weight's padding are 0 where the halves are numbers, and where
// one of them is not, neither is any other column. Nothing is masked in front of the second product.

#row = affine_map<(n, k) -> (k)>
#weight = affine_map<(n, k) -> (k, n)>
#column = affine_map<(n, k) -> (n)>
module attributes {wafer.target = #wafer.target<"grid-4x1">} {
wafer.program {
  wafer.entry "tokens1" of @halves tokens 1
}
wafer.weight @up : tensor<4x30xf16>
wafer.weight @down : tensor<30x8xf16>

// CHECK-LABEL: func.func @halves
// CHECK-NOT: wafer.mask
// CHECK: return
func.func @halves() {
  %x = wafer.input "x" : tensor<4xf32>
  %u = wafer.parameter [@up] : tensor<4x30xf16>
  %d = wafer.parameter [@down] : tensor<30x8xf16>
  %c = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<30xf32>
  %e2 = tensor.empty() : tensor<8xf32>
  %f1 = linalg.fill ins(%c : f32) outs(%e1 : tensor<30xf32>) -> tensor<30xf32>
  %f2 = linalg.fill ins(%c : f32) outs(%e2 : tensor<8xf32>) -> tensor<8xf32>
  %y = linalg.generic {indexing_maps = [#row, #weight, #column], iterator_types = ["parallel", "reduction"]}
      ins(%x, %u : tensor<4xf32>, tensor<4x30xf16>) outs(%f1 : tensor<30xf32>) {
  ^bb0(%a: f32, %b: f16, %o: f32):
    %0 = arith.truncf %a : f32 to f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.extf %b : f16 to f32
    %3 = arith.mulf %1, %2 : f32
    %4 = arith.addf %o, %3 : f32
    linalg.yield %4 : f32
  } -> tensor<30xf32>
  %z = linalg.generic {indexing_maps = [#row, #weight, #column], iterator_types = ["parallel", "reduction"]}
      ins(%y, %d : tensor<30xf32>, tensor<30x8xf16>) outs(%f2 : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f16, %o: f32):
    %0 = arith.truncf %a : f32 to f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.extf %b : f16 to f32
    %3 = arith.mulf %1, %2 : f32
    %4 = arith.addf %o, %3 : f32
    linalg.yield %4 : f32
  } -> tensor<8xf32>
  wafer.output "z", %z : tensor<8xf32>
  return
}
}
