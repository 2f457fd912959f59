// RUN: waferloom-opt %s --partition-plan="width=4 height=2" --partition-verify | FileCheck %s
// RUN: waferloom-opt %s --partition-plan="width=4 height=2 fused-collectives=false" --partition-verify | FileCheck %s --check-prefix=APART

module attributes {wafer.target = #wafer.target<"grid-4x2">} {
wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
}
// Two products of one vector leave sums partial along the same axis: one message carries
// both, unless each value is to have its own.
wafer.weight @q : tensor<10x32xf32>
wafer.weight @k : tensor<10x32xf32>

// CHECK-LABEL: func.func @tokens1
// CHECK: wafer.all_reduce %{{.*}}, %{{.*}} over [y] sum
// CHECK-NOT: wafer.all_reduce
// APART-LABEL: func.func @tokens1
// APART: wafer.all_reduce %{{[^,]*}} over [y] sum
// APART: wafer.all_reduce %{{[^,]*}} over [y] sum
// APART-NOT: wafer.all_reduce
func.func @tokens1() {
  %x = wafer.input "x" : tensor<10xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<32xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<32xf32>) -> tensor<32xf32>
  %wq = wafer.parameter [@q] : tensor<10x32xf32>
  %q = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%x, %wq : tensor<10xf32>, tensor<10x32xf32>) outs(%f : tensor<32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<32xf32>
  %wk = wafer.parameter [@k] : tensor<10x32xf32>
  %k = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%x, %wk : tensor<10xf32>, tensor<10x32xf32>) outs(%f : tensor<32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<32xf32>
  wafer.output "q", %q : tensor<32xf32>
  wafer.output "k", %k : tensor<32xf32>
  return
}
}
