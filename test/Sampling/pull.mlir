// RUN: waferloom-opt %s -pass-pipeline='builtin.module(func.func(sampling-pull),cse)' | FileCheck %s

wafer.program {
  wafer.entry "tokens3" of @tokens3 tokens 3
  wafer.entry "tokens2" of @tokens2 tokens 2
}
// The head of a chunk of three tokens: norm and product keep the last row only. The
// hidden state is needed as a whole by the append, so the slice stops there.
wafer.weight @head : tensor<4x5xf32>
// CHECK-LABEL: func.func @tokens3
func.func @tokens3() {
  %zero = arith.constant 0.0 : f32
  %p = wafer.position : tensor<i32>
  %k = wafer.state ["k"] : tensor<8x4xf32>
  // CHECK: %[[X:.*]] = wafer.input "x"
  %x = wafer.input "x" : tensor<3x4xf32>
  %new = wafer.append %x into %k at %p : tensor<i32> dim 0 : tensor<3x4xf32> into tensor<8x4xf32> -> tensor<8x4xf32>
  // CHECK: %[[ROW:.*]] = tensor.extract_slice %[[X]][2, 0] [1, 4] [1, 1] : tensor<3x4xf32> to tensor<4xf32>
  // CHECK-NOT: extract_slice
  %e1 = tensor.empty() : tensor<3xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<3xf32>) -> tensor<3xf32>
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}}["reduction"]} ins(%[[ROW]] : tensor<4xf32>) outs({{.*}} : tensor<f32>)
  %sum = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%x : tensor<3x4xf32>) outs(%f1 : tensor<3xf32>) {
  ^bb0(%a: f32, %s: f32):
    %m = arith.mulf %a, %a : f32
    %r = arith.addf %s, %m : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %e2 = tensor.empty() : tensor<3x5xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<3x5xf32>) -> tensor<3x5xf32>
  %w = wafer.parameter [@head] : tensor<4x5xf32>
  // CHECK: %[[LOGITS:.*]] = linalg.generic {{.*}} ins(%[[ROW]], {{.*}} : tensor<4xf32>, tensor<4x5xf32>) outs({{.*}} : tensor<5xf32>)
  %y = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>,
                                        affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<3x4xf32>, tensor<4x5xf32>)
      outs(%f2 : tensor<3x5xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %s, %m : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %e3 = tensor.empty() : tensor<3x5xf32>
  // CHECK: %[[SCALED:.*]] = linalg.generic {{.*}} ins(%[[LOGITS]], %[[SUM]] : tensor<5xf32>, tensor<f32>)
  %z = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>,
                                        affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%y, %sum : tensor<3x5xf32>, tensor<3xf32>)
      outs(%e3 : tensor<3x5xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %m = arith.mulf %a, %b : f32
    linalg.yield %m : f32
  } -> tensor<3x5xf32>
  %last = tensor.extract_slice %z[2, 0] [1, 5] [1, 1] : tensor<3x5xf32> to tensor<5xf32>
  // CHECK: wafer.output "logits", %[[SCALED]]
  wafer.output "logits", %last : tensor<5xf32>
  return
}

// A reduction over the dimension itself needs all of it, and so does another
// element: nothing moves.
// CHECK-LABEL: func.func @tokens2
func.func @tokens2() {
  %k = wafer.state ["k"] : tensor<8x4xf32>
  %x = wafer.input "x" : tensor<2x4xf32>
  %e = tensor.empty() : tensor<2x4xf32>
  // CHECK: %[[Y:.*]] = linalg.generic {{.*}} outs({{.*}} : tensor<2x4xf32>)
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : tensor<2x4xf32>) outs(%e : tensor<2x4xf32>) {
  ^bb0(%a: f32, %s: f32):
    %m = arith.mulf %a, %a : f32
    linalg.yield %m : f32
  } -> tensor<2x4xf32>
  // CHECK: tensor.extract_slice %[[Y]][0, 0]
  %first = tensor.extract_slice %y[0, 0] [1, 4] [1, 1] : tensor<2x4xf32> to tensor<4xf32>
  // CHECK: tensor.extract_slice %[[Y]][1, 0]
  %last = tensor.extract_slice %y[1, 0] [1, 4] [1, 1] : tensor<2x4xf32> to tensor<4xf32>
  wafer.output "first", %first : tensor<4xf32>
  wafer.output "last", %last : tensor<4xf32>
  return
}
