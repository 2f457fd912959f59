// RUN: waferloom-opt %s --waferloom-fabric | FileCheck %s
// RUN: waferloom-opt %s --waferloom-fabric | waferloom-opt | FileCheck %s

// Each kind has lines of its own region; both stand in one place, beside each
// other, and give each other values in the highest colors.

module attributes {wafer.target = #wafer.target<"grid-20x9,colors=24">} {
// CHECK: module @ends
module @ends attributes {wafer.target = #wafer.target<"grid-20x9,colors=24">} {
wafer.program region <x = 3, y = 5> stages <3 x 1> kind ends {
  wafer.entry "one" of @one tokens 1
}
// CHECK: func.func @one
// CHECK-SAME: fabric.place = #fabric.rect<at = (0, 0), size = (3, 5)>
func.func @one() {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<8xf32>
  // CHECK: fabric.reduce %{{.*}} along <x, length = 3, stride = 1, segments = 1>
  %a = wafer.all_reduce %x over [x] sum : (tensor<8xf32>) -> tensor<8xf32>
  // CHECK: fabric.stage_send_recv %{{.*}} color 21 :
  %y = wafer.send_recv %a : (tensor<8xf32>) -> tensor<8xf32>
  wafer.output "y", %y {layout = #wafer.layout<[*]>} : tensor<8xf32>
  return
}
}
// CHECK: module @layers
module @layers attributes {wafer.target = #wafer.target<"grid-20x9,colors=24">} {
wafer.program region <x = 4, y = 5> stages <3 x 1> kind layers {
  wafer.entry "one" of @one tokens 1
}
// CHECK: func.func @one
// CHECK-SAME: fabric.place = #fabric.rect<at = (3, 0), size = (8, 5)>
func.func @one() {
  // CHECK: %[[IN:.*]] = fabric.stage_recv color 21 :
  %x = wafer.recv : tensor<8xf32>
  // CHECK: wafer.repeat 6 (%{{.*}} = %[[IN]])
  // CHECK: fabric.reduce %{{.*}} along <x, length = 4, stride = 1, segments = 2>
  %y = wafer.repeat 6 (%a = %x) : tensor<8xf32> {
    %b = wafer.all_reduce %a over [x] sum : (tensor<8xf32>) -> tensor<8xf32>
    wafer.yield %b : tensor<8xf32>
  }
  // CHECK: fabric.stage_send %{{.*}} color 21 :
  wafer.send %y : tensor<8xf32>
  return
}
}
}
