// RUN: waferloom-opt %s --partition-plan="width=4 height=2" --partition-verify | FileCheck %s --check-prefix=PLAN
// RUN: waferloom-opt %s --partition-plan="width=4 height=2" --partition-to-per-pe | FileCheck %s --check-prefix=SHARD
// RUN: sed 's/"grid-4x2"/"grid-4x2,sram=700,reserved=100"/' %s > %t
// RUN: not waferloom-opt %t --partition-plan="width=2 height=1" 2>&1 | FileCheck %s --check-prefix=FULL

// RUN: not waferloom-opt %t --partition-plan="width=2 height=1 branches=3" 2>&1 | FileCheck %s --check-prefix=SOON
// RUN: waferloom-opt %s --partition-plan="width=4 height=2 branches=3" | FileCheck %s --check-prefix=ENOUGH

// A search that finds nothing ends; one that has found a plan goes on from there.
// SOON: error: gave up after looking at 3 ways to split {{[0-9]+}} classes of dimensions without finding one that fits in 600 bytes per PE: give it a larger region or more memory per PE
// ENOUGH: wafer.program region <x = 4, y = 2>

// FULL: error: no layout found that fits: weights and states take 600 bytes per PE when divided evenly over 2 x 1 PEs
// FULL: note: choose a larger grid

module attributes {wafer.target = #wafer.target<"grid-4x2">} {
wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
}
// One direction splits the contracted dimension, the other the result's, padded
// from 30 to 32. The sum is partial along the first and all-reduced behind the product.
wafer.weight @w : tensor<10x30xf32>

// PLAN: wafer.program region <x = 4, y = 2>
// SHARD: wafer.program region <x = 4, y = 2>
func.func @tokens1() {
  %w = wafer.parameter [@w] : tensor<10x30xf32>
  // PLAN: wafer.input "x" : tensor<10xf32, #wafer.layout<[y]>>
  // SHARD: wafer.input "x" {layout = #wafer.layout<[y]>} : tensor<5xf32>
  %x = wafer.input "x" : tensor<10xf32>
  // PLAN: wafer.parameter [@w] : tensor<10x32xf32, #wafer.layout<[y, x live 30 padding 0]>>
  // SHARD: wafer.parameter [@w] {layout = #wafer.layout<[y, x live 30 padding 0]>} : tensor<5x8xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<30xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<30xf32>) -> tensor<30xf32>
  // PLAN: linalg.generic {{.*}} outs(%{{.*}} : tensor<32xf32, #wafer.layout<[x live 30 padding 0] partial<y, sum>>>)
  %y = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%x, %w : tensor<10xf32>, tensor<10x30xf32>) outs(%f : tensor<30xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<30xf32>
  // PLAN: wafer.all_reduce %{{.*}} over [y] sum
  // SHARD: wafer.all_reduce %{{.*}} over [y] sum : (tensor<8xf32>) -> tensor<8xf32>
  // SHARD: wafer.output "y", %{{.*}} {layout = #wafer.layout<[x live 30 padding 0]>} : tensor<8xf32>
  wafer.output "y", %y : tensor<30xf32>
  return
}
}
