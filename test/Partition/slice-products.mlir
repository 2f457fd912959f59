// RUN: waferloom-opt %s --partition-slice-products --split-input-file | FileCheck %s

wafer.program {
  wafer.entry "cut" of @cut tokens 1
}
// A product of 10 columns cut into 6 and 4: two products of parts of the weight.
// CHECK-LABEL: func.func @cut
func.func @cut() {
  // CHECK: %[[X:.*]] = wafer.input "x"
  %x = wafer.input "x" : tensor<2x3xf32>
  %w = wafer.parameter [@w] : tensor<3x10xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x10xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<2x10xf32>) -> tensor<2x10xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, o, d) -> (m, d)>, affine_map<(m, o, d) -> (d, o)>, affine_map<(m, o, d) -> (m, o)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<2x3xf32>, tensor<3x10xf32>) outs(%f : tensor<2x10xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<2x10xf32>
  // CHECK: %[[P:.*]] = wafer.parameter [@"w[0:3x6]"] : tensor<3x6xf32>
  // CHECK: linalg.generic {{.*}} ins(%[[X]], %[[P]] : tensor<2x3xf32>, tensor<3x6xf32>)
  // CHECK: wafer.parameter [@"w[6:3x4]"] : tensor<3x4xf32>
  // CHECK-NOT: extract_slice
  %l = tensor.extract_slice %y[0, 0] [2, 6] [1, 1] : tensor<2x10xf32> to tensor<2x6xf32>
  %r = tensor.extract_slice %y[0, 6] [2, 4] [1, 1] : tensor<2x10xf32> to tensor<2x4xf32>
  wafer.output "l", %l : tensor<2x6xf32>
  wafer.output "r", %r : tensor<2x4xf32>
  return
}
// CHECK-DAG: wafer.weight @"w[0:3x6]" part <of @w at 0 sizes[3, 6] strides[10, 1]> : tensor<3x6xf32>
// CHECK-DAG: wafer.weight @"w[6:3x4]" part <of @w at 6 sizes[3, 4] strides[10, 1]> : tensor<3x4xf32>
wafer.weight @w from "model.onnx" at 64 : tensor<3x10xf32>

// -----

wafer.program {
  wafer.entry "whole" of @whole tokens 1
}
// Somebody reads the whole as well: nothing is computed twice.
// CHECK-LABEL: func.func @whole
func.func @whole() {
  %x = wafer.input "x" : tensor<2x10xf32>
  %w = wafer.parameter [@w] : tensor<10xf32>
  %e = tensor.empty() : tensor<2x10xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, o) -> (o)>, affine_map<(m, o) -> (m, o)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<10xf32>) outs(%e : tensor<2x10xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<2x10xf32>
  // CHECK: tensor.extract_slice
  %l = tensor.extract_slice %y[0, 0] [2, 6] [1, 1] : tensor<2x10xf32> to tensor<2x6xf32>
  wafer.output "l", %l : tensor<2x6xf32>
  wafer.output "y", %y : tensor<2x10xf32>
  return
}
wafer.weight @w : tensor<10xf32>
