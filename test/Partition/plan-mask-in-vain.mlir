// RUN: waferloom-opt %s --partition-plan="width=2 height=2" | FileCheck %s

// A mask of what the differences are made of does not help their sum: 0 - x is
// no zero. It is left out again, and so is the change of layout that was made of
// it while the masked body was looked at (a sanitizer build sees whether any of
// it is touched later).

// CHECK-LABEL: func.func @tokens1
// CHECK: %[[T:.*]] = linalg.generic
// CHECK: %[[ALL:.*]] = wafer.gather %[[T]]
// CHECK: %[[OTHER:.*]] = wafer.slice %[[ALL]]
// CHECK-NOT: wafer.gather
// CHECK: %[[C:.*]] = linalg.generic {{.*}} ins(%[[T]], %[[OTHER]]
// CHECK: %[[MASKED:.*]] = wafer.mask %[[C]] dim 0 fill 0
// CHECK-NOT: wafer.mask
// CHECK: linalg.generic {{.*}} ins(%[[MASKED]]
module attributes {wafer.target = #wafer.target<"grid-2x2">} {
wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
}
func.func @tokens1() {
  %x = wafer.input "x" : tensor<51xf32>
  %e = tensor.empty() : tensor<51xf32>
  %t = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<51xf32>) outs(%e : tensor<51xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = math.exp %a : f32
    linalg.yield %0 : f32
  } -> tensor<51xf32>
  %e2 = tensor.empty() : tensor<51x51xf32>
  %c = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%t, %t : tensor<51xf32>, tensor<51xf32>) outs(%e2 : tensor<51x51xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.subf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<51x51xf32>
  %zero = arith.constant 0.0 : f32
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<51xf32>) -> tensor<51xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>], iterator_types = ["reduction", "parallel"]}
      ins(%c : tensor<51x51xf32>) outs(%f : tensor<51xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.addf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<51xf32>
  wafer.output "t", %t : tensor<51xf32>
  wafer.output "s", %s : tensor<51xf32>
  return
}
}
