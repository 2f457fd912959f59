// RUN: waferloom-opt %s | waferloom-opt | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: fabric.place = #fabric.rect<at = (2, 0), size = (8, 6)>
// CHECK-SAME: fabric.queues = #fabric.queues<input = [0, 1, -1], output = [0, -1, 0]>
func.func @main(%q: tensor<8xf32>, %k: tensor<4xf32>) attributes {
    fabric.place = #fabric.rect<at = (2, 0), size = (8, 6)>,
    fabric.queues = #fabric.queues<input = [0, 1, -1], output = [0, -1, 0]>} {

  // Several values travel in one message.
  // CHECK: fabric.all_reduce %{{.*}}, %{{.*}} sum along <x, length = 8, stride = 1, segments = 1>
  // CHECK-SAME: by two_phase group 3 root 4 color 0
  // CHECK-SAME: (tensor<8xf32>, tensor<4xf32>) -> (tensor<8xf32>, tensor<4xf32>)
  %0:2 = fabric.all_reduce %q, %k sum along <x, length = 8, stride = 1, segments = 1>
      by two_phase group 3 root 4 color 0
      : (tensor<8xf32>, tensor<4xf32>) -> (tensor<8xf32>, tensor<4xf32>)

  // Before routing there is no color.
  // CHECK: fabric.all_reduce %{{.*}} max along <y, length = 2, stride = 3, segments = 1>
  // CHECK-SAME: by chain root 1 : (tensor<4xf32>) -> tensor<4xf32>
  %1 = fabric.all_reduce %0#1 max along <y, length = 2, stride = 3, segments = 1>
      by chain root 1 : (tensor<4xf32>) -> tensor<4xf32>

  // CHECK: fabric.reduce %{{.*}} min along <y, length = 6, stride = 1, segments = 1>
  // CHECK-SAME: by tree root 0 color 5
  %2 = fabric.reduce %1 min along <y, length = 6, stride = 1, segments = 1>
      by tree root 0 color 5 : (tensor<4xf32>) -> tensor<4xf32>

  // CHECK: fabric.reduce %{{.*}} sum along <y, length = 6, stride = 1, segments = 1>
  // CHECK-SAME: by grown group 4 levels 2 root 3 color 8
  %5 = fabric.reduce %1 sum along <y, length = 6, stride = 1, segments = 1>
      by grown group 4 levels 2 root 3 color 8 : (tensor<4xf32>) -> tensor<4xf32>

  // CHECK: fabric.broadcast %{{.*}} along <x, length = 4, stride = 1, segments = 2> root 2 color 9
  %3 = fabric.broadcast %2 along <x, length = 4, stride = 1, segments = 2>
      root 2 color 9 : (tensor<4xf32>) -> tensor<4xf32>

  // CHECK: fabric.put %{{.*}} dim 0 over [#fabric.axis<x, extent = 4, stride = 2>] cyclic : (tensor<4xf32>) -> tensor<16xf32>
  %4 = fabric.put %3 dim 0 over [#fabric.axis<x, extent = 4, stride = 2>] cyclic : (tensor<4xf32>) -> tensor<16xf32>

  // Straight on, and around a turn.
  // CHECK: fabric.stage_send_recv %{{.*}} color 21 : (tensor<4xf32>) -> tensor<4xf32>
  %straight = fabric.stage_send_recv %3 color 21 : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: fabric.stage_send_recv %{{.*}} leave {
  // CHECK: fabric.to_lanes %{{.*}} from y 2 to x 4 : (tensor<3xf32>) -> tensor<2xf32>
  // CHECK: fabric.yield %{{.*}} : tensor<2xf32>
  // CHECK: } enter {
  // CHECK: fabric.from_lanes %{{.*}} from x 4 to y 2 : (tensor<2xf32>) -> tensor<4xf32>
  // CHECK: } : (tensor<3xf32>) -> tensor<3xf32>
  %carried = tensor.empty() : tensor<3xf32>
  %turned = fabric.stage_send_recv %carried leave {
  ^bb0(%a: tensor<3xf32>):
    %l = fabric.to_lanes %a from y 2 to x 4 : (tensor<3xf32>) -> tensor<2xf32>
    fabric.yield %l : tensor<2xf32>
  } enter {
  ^bb0(%l: tensor<2xf32>):
    %a = fabric.from_lanes %l from x 4 to y 2 : (tensor<2xf32>) -> tensor<4xf32>
    %s = tensor.extract_slice %a[0] [3] [1] : tensor<4xf32> to tensor<3xf32>
    fabric.yield %s : tensor<3xf32>
  } : (tensor<3xf32>) -> tensor<3xf32>
  return
}

// One PE has nobody to talk to.
// CHECK-LABEL: func.func @alone
// CHECK-SAME: fabric.queues = #fabric.queues<input = [], output = []>
func.func @alone() attributes {fabric.queues = #fabric.queues<input = [], output = []>} {
  return
}
