// RUN: waferloom-opt %s --partition-plan="width=4 height=2" --partition-compute-at-roots --partition-verify | FileCheck %s
// RUN: waferloom-opt %s --partition-plan="width=4 height=2" --partition-compute-at-roots --partition-verify --partition-to-per-pe --convert-wafer-to-fabric | FileCheck %s --check-prefix=FABRIC

#vector = affine_map<(n, k) -> (k)>
#matrix = affine_map<(n, k) -> (k, n)>
#result = affine_map<(n, k) -> (n)>
#each = affine_map<(i) -> (i)>
module attributes {wafer.target = #wafer.target<"grid-4x2">} {
wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
}
wafer.weight @gate : tensor<10x32xf32>
wafer.weight @up : tensor<10x32xf32>
wafer.weight @down : tensor<32x10xf16>

// Gate and up come to one value, and its only reader rounds it: one word comes back
// for two that were sent, half of it. The reader finds halves. Of the sum behind it
// all is read as it is: what is added to it stays where it was. A constant that the body
// of an op at the root reads is there before.

// CHECK-LABEL: func.func @tokens1
// CHECK: arith.constant 2.0
// CHECK: %[[H:.*]] = wafer.reduce_apply_broadcast %{{.*}}, %{{.*}} over [{{.*}}] sum {
// CHECK-NEXT: ^bb0(%[[G:.*]]: tensor<32xf32, {{.*}}>, %[[U:.*]]: tensor<32xf32, {{.*}}>):
// CHECK: %[[P:.*]] = linalg.generic {{.*}} ins(%[[G]], %[[U]] :
// CHECK: %[[T:.*]] = linalg.generic {{.*}} ins(%[[P]] :
// CHECK: arith.truncf
// CHECK: wafer.yield %[[T]] : tensor<32xf16
// CHECK: linalg.generic {{.*}} ins(%[[H]], %{{.*}} : tensor<32xf16
// CHECK-NEXT: ^bb0(%[[A:.*]]: f16, %{{.*}}: f16, %{{.*}}: f32):
// CHECK-NOT: arith.truncf
// CHECK: arith.extf %[[A]]
// CHECK: wafer.all_reduce
// CHECK: arith.addf
// CHECK: wafer.output "y"

// FABRIC: %[[S:.*]]:2 = fabric.reduce %{{.*}}, %{{.*}} sum along
// FABRIC: linalg.generic {{.*}} ins(%[[S]]#0, %[[S]]#1
// FABRIC: %[[T:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<8xf16>)
// FABRIC: fabric.broadcast %[[T]] along {{.*}} : (tensor<8xf16>)
func.func @tokens1() {
  %x = wafer.input "x" : tensor<10xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<32xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<32xf32>) -> tensor<32xf32>
  %wg = wafer.parameter [@gate] : tensor<10x32xf32>
  %g = linalg.generic {indexing_maps = [#vector, #matrix, #result], iterator_types = ["parallel", "reduction"]}
      ins(%x, %wg : tensor<10xf32>, tensor<10x32xf32>) outs(%f : tensor<32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<32xf32>
  %wu = wafer.parameter [@up] : tensor<10x32xf32>
  %u = linalg.generic {indexing_maps = [#vector, #matrix, #result], iterator_types = ["parallel", "reduction"]}
      ins(%x, %wu : tensor<10xf32>, tensor<10x32xf32>) outs(%f : tensor<32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<32xf32>
  %two = arith.constant 2.0 : f32
  %h = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
      ins(%g, %u : tensor<32xf32>, tensor<32xf32>) outs(%e : tensor<32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.maximumf %0, %two : f32
    linalg.yield %1 : f32
  } -> tensor<32xf32>
  %e2 = tensor.empty() : tensor<10xf32>
  %f2 = linalg.fill ins(%c : f32) outs(%e2 : tensor<10xf32>) -> tensor<10xf32>
  %wd = wafer.parameter [@down] : tensor<32x10xf16>
  %d = linalg.generic {indexing_maps = [#vector, #matrix, #result], iterator_types = ["parallel", "reduction"]}
      ins(%h, %wd : tensor<32xf32>, tensor<32x10xf16>) outs(%f2 : tensor<10xf32>) {
  ^bb0(%a: f32, %b: f16, %o: f32):
    %0 = arith.truncf %a : f32 to f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.extf %b : f16 to f32
    %3 = arith.mulf %1, %2 : f32
    %4 = arith.addf %o, %3 : f32
    linalg.yield %4 : f32
  } -> tensor<10xf32>
  %y = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
      ins(%x, %d : tensor<10xf32>, tensor<10xf32>) outs(%e2 : tensor<10xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<10xf32>
  wafer.output "y", %y : tensor<10xf32>
  return
}
}
