// RUN: waferloom-level2 %s --emit=onnx > %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: waferloom-level2 %t.mlir --emit=onnx | diff %t.mlir -
//
// Level 1 reads and prints itself.

// CHECK: onnx.graph "main"
onnx.graph "main" {
  // CHECK: onnx.input "x" : f32 ["batch", 4]
  %x = onnx.input "x" : f32 ["batch", 4]
  // CHECK: onnx.weight "w" from "model.onnx" at 1234 : tensor<4x8xf32>
  %w = onnx.weight "w" from "model.onnx" at 1234 : tensor<4x8xf32>
  // CHECK: onnx.weight "shape_only" : tensor<8xf32>
  %b = onnx.weight "shape_only" : tensor<8xf32>
  // CHECK: onnx.constant "c" dense<3> : tensor<i64>
  %c = onnx.constant "c" dense<3> : tensor<i64>
  // CHECK: onnx.absent
  %n = onnx.absent
  // CHECK: onnx.node "Gemm"({{.*}}) domain "" version 17 {alpha = 2.000000e+00 : f32} -> ["y"]
  %y = onnx.node "Gemm"(%x, %w, %b) domain "" version 17 {alpha = 2.0 : f32} -> ["y"]
     : (!onnx.value, !onnx.value, !onnx.value) -> !onnx.value
  // CHECK: onnx.loop "Loop"({{.*}}) version 21 {} -> ["z"]
  %z = onnx.loop "Loop"(%c, %n, %y) version 21 {} -> ["z"]
     : (!onnx.value, !onnx.value, !onnx.value) -> !onnx.value {
  ^bb0(%trip: !onnx.value, %goes: !onnx.value, %carried: !onnx.value):
    // CHECK: onnx.yield
    onnx.yield %goes, %carried : !onnx.value, !onnx.value
  }
  // CHECK: onnx.output "y", %{{.*}} : f32 ["batch", 8]
  onnx.output "y", %y : f32 ["batch", 8]
}
