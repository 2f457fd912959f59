// RUN: waferloom-opt %s --convert-wafer-to-fabric --fabric-place --fabric-route | FileCheck %s
// RUN: waferloom-opt %s --convert-wafer-to-fabric --fabric-place --fabric-route | waferloom-opt | FileCheck %s

// Lines go over all stages, in more segments; what is carried is sent
// behind the repeat, in the highest colors.

module attributes {wafer.target = #wafer.target<"grid-20x9,colors=24">} {
wafer.program region <x = 4, y = 5> stages <3 x 1> {
  wafer.entry "stages" of @stages tokens 1
  wafer.entry "behind" of @behind tokens 1
}
// CHECK-LABEL: func.func @stages
// CHECK-SAME: fabric.place = #fabric.rect<{{.*}}12{{.*}}5
func.func @stages() {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<8xf32>
  // CHECK: wafer.repeat 6
  // CHECK: fabric.reduce %{{.*}} along <x, length = 4, stride = 1, segments = 3>
  // CHECK: fabric.reduce %{{.*}} along <y, length = 5, stride = 1, segments = 1>
  %y = wafer.repeat 6 (%a = %x) : tensor<8xf32> {
    %b = wafer.all_reduce %a over [x] sum : (tensor<8xf32>) -> tensor<8xf32>
    %c = wafer.all_reduce %b over [y] sum : (tensor<8xf32>) -> tensor<8xf32>
    wafer.yield %c : tensor<8xf32>
  }
  // CHECK: %[[OUT:.*]] = fabric.stage_send_recv %{{.*}} color 21 :
  // CHECK: wafer.output "y", %[[OUT]]
  wafer.output "y", %y {layout = #wafer.layout<[*]>} : tensor<8xf32>
  return
}

// Layers are what has a state (or weights) for each trip; other repeats are run
// by stage 0, and nothing of theirs is sent.

// CHECK-LABEL: func.func @behind
func.func @behind() {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<8xf32>
  // CHECK: %[[LAYERS:.*]] = wafer.repeat 4
  %y = wafer.repeat 4 (%a = %x) : tensor<8xf32> {
    %s = wafer.state ["a", "b", "c", "d"] {layout = #wafer.layout<[*]>} : tensor<8xf32>
    wafer.yield %a : tensor<8xf32>
  }
  // CHECK: %[[HANDED:.*]] = fabric.stage_send_recv %[[LAYERS]] color 21 :
  // CHECK: %[[OTHER:.*]] = wafer.repeat 2 (%{{.*}} = %[[HANDED]])
  %z = wafer.repeat 2 (%b = %y) : tensor<8xf32> {
    wafer.yield %b : tensor<8xf32>
  }
  // CHECK-NOT: fabric.stage_send_recv
  // CHECK: wafer.output "y", %[[OTHER]]
  wafer.output "y", %z {layout = #wafer.layout<[*]>} : tensor<8xf32>
  return
}
}
