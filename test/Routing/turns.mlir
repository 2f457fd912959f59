// RUN: waferloom-opt %s --convert-wafer-to-fabric --fabric-place --fabric-route --split-input-file | FileCheck %s
// RUN: waferloom-opt %s --convert-wafer-to-fabric --fabric-place --fabric-route --split-input-file | waferloom-opt --fabric-verify-routes --split-input-file | FileCheck %s

// Where strips of stages turn around, words change lanes: what a row of PEs has
// goes down columns to the next stage, and back into rows there.

module attributes {wafer.target = #wafer.target<"grid-20x20,colors=24">} {
wafer.program region <x = 4, y = 2> stages <2 x 2> {
  wafer.entry "rows" of @rows tokens 1
}
// CHECK-LABEL: func.func @rows
// CHECK-SAME: fabric.place = #fabric.rect<{{.*}}8{{.*}}4
func.func @rows() {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<7xf32>
  %y = wafer.repeat 6 (%a = %x) : tensor<7xf32> {
    wafer.yield %a : tensor<7xf32>
  }
  // Two columns share a row of 7 words: 4 each, 8 with what fills them up.
  // CHECK: fabric.stage_send_recv %{{.*}} color 21 leave {
  // CHECK: fabric.to_lanes %{{.*}} from y 2 to x 4 : (tensor<7xf32>) -> tensor<4xf32>
  // CHECK: fabric.reduce %{{.*}} sum along <y, length = 2, stride = 1, segments = 2> {{.*}} root 1
  // CHECK: fabric.broadcast %{{.*}} along <y, length = 2, stride = 1, segments = 2> root 1
  // CHECK: } enter {
  // CHECK: fabric.from_lanes %{{.*}} from x 4 to y 2 : (tensor<4xf32>) -> tensor<8xf32>
  // CHECK: fabric.reduce %{{.*}} sum along <x, length = 4, stride = 1, segments = 2>
  // CHECK: tensor.extract_slice %{{.*}}[0] [7] [1]
  wafer.output "y", %y {layout = #wafer.layout<[*]>} : tensor<7xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-20x20,colors=24">} {
wafer.program region <x = 5, y = 2> stages <2 x 2 in columns> {
  wafer.entry "columns" of @columns tokens 1
}
// CHECK-LABEL: func.func @columns
func.func @columns() {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<7xf32>
  %y = wafer.repeat 6 (%a = %x) : tensor<7xf32> {
    wafer.yield %a : tensor<7xf32>
  }
  // A row carries three of five columns.
  // CHECK: fabric.to_lanes %{{.*}} from x 5 to y 2 : (tensor<7xf32>) -> tensor<21xf32>
  // The middle is the root, as of a layer's sums, and gives the sum to the end.
  // CHECK: fabric.reduce %{{.*}} sum along <x, length = 5, stride = 1, segments = 2> {{.*}} root 2
  // CHECK: fabric.broadcast %{{.*}} along <x, length = 5, stride = 1, segments = 2> root 2
  // CHECK: fabric.from_lanes %{{.*}} from y 2 to x 5 : (tensor<21xf32>) -> tensor<7xf32>
  // CHECK: fabric.reduce %{{.*}} sum along <y, length = 2, stride = 1, segments = 2>
  // CHECK-NOT: tensor.extract_slice
  wafer.output "y", %y {layout = #wafer.layout<[*]>} : tensor<7xf32>
  return
}
}
