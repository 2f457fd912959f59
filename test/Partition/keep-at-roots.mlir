// RUN: waferloom-opt %s --partition-keep-at-roots --split-input-file | FileCheck %s

// What only the host reads stays in the middle of its line.

#each = affine_map<(i) -> (i)>
module attributes {wafer.target = #wafer.target<"grid-4x9">} {
wafer.program region <x = 4, y = 3 x 3> {
  wafer.entry "host" of @host tokens 1
}
// CHECK-LABEL: func.func @host
// CHECK: %[[R:.*]] = wafer.reduce %{{.*}} to [y0, y1] = 4 sum
// CHECK: %[[M:.*]] = linalg.generic {{.*}} ins(%[[R]]
// CHECK: wafer.output "logits", %[[M]] {layout = #wafer.layout<[x] root<y0 = 1, y1 = 1>>}
func.func @host(%p: tensor<20xf32>) {
  %e = tensor.empty() : tensor<20xf32>
  %s = wafer.all_reduce %p over [y0, y1] sum : (tensor<20xf32>) -> tensor<20xf32>
  %n = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel"]}
      ins(%s : tensor<20xf32>) outs(%e : tensor<20xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.negf %a : f32
    linalg.yield %0 : f32
  } -> tensor<20xf32>
  wafer.output "logits", %n {layout = #wafer.layout<[x]>} : tensor<20xf32>
  return
}
}

// -----

// The maximum of all is needed everywhere, once it is known: one word instead of twenty.

#each = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
module attributes {wafer.target = #wafer.target<"grid-5x3">} {
wafer.program region <x = 5, y = 3> {
  wafer.entry "most" of @most tokens 1
}
// CHECK-LABEL: func.func @most
// CHECK: %[[R:.*]] = wafer.reduce %{{.*}} to [x] = 2 sum
// CHECK: wafer.output "logits", %[[R]] {layout = #wafer.layout<[y] root<x = 2>>}
// CHECK: %[[OWN:.*]] = linalg.generic {{.*}} ins(%[[R]]
// CHECK: %[[MOST:.*]] = wafer.all_reduce %[[OWN]] over [y] max
// CHECK: %[[ALL:.*]] = wafer.broadcast %[[MOST]] from [x] = 2
// CHECK: wafer.output "most", %[[ALL]] feeds "x"
func.func @most(%p: tensor<20xf32>) {
  %minus = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<f32>
  %f = linalg.fill ins(%minus : f32) outs(%e : tensor<f32>) -> tensor<f32>
  %s = wafer.all_reduce %p over [x] sum : (tensor<20xf32>) -> tensor<20xf32>
  wafer.output "logits", %s {layout = #wafer.layout<[y]>} : tensor<20xf32>
  %own = linalg.generic {indexing_maps = [#each, #none], iterator_types = ["reduction"]}
      ins(%s : tensor<20xf32>) outs(%f : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.maximumf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %m = wafer.all_reduce %own over [y] max : (tensor<f32>) -> tensor<f32>
  wafer.output "most", %m feeds "x" {layout = #wafer.layout<[]>} : tensor<f32>
  return
}
}

// -----

// What others read as a whole is sent to all, and so is what a sum along the same line is made of.

#each = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
module attributes {wafer.target = #wafer.target<"grid-5x3">} {
wafer.program region <x = 5, y = 3> {
  wafer.entry "read" of @read tokens 1
}
// CHECK-LABEL: func.func @read
// CHECK-COUNT-2: wafer.all_reduce
// CHECK-NOT: root
func.func @read(%p: tensor<20xf32>) {
  %zero = arith.constant 0.0 : f32
  %s = wafer.all_reduce %p over [x] sum : (tensor<20xf32>) -> tensor<20xf32>
  wafer.output "sums", %s {layout = #wafer.layout<[y]>} : tensor<20xf32>
  %t = wafer.all_reduce %s over [x, y] max : (tensor<20xf32>) -> tensor<20xf32>
  wafer.output "state", %t feeds "x" {layout = #wafer.layout<[*]>} : tensor<20xf32>
  return
}
}
