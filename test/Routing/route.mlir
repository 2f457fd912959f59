// RUN: waferloom-opt %s --fabric-route --split-input-file | FileCheck %s
// RUN: waferloom-opt %s --fabric-route --fabric-verify-routes --split-input-file

// Equal routes share their colors, in all entries, however many words they
// carry. A color has one route for all of them.

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=24">} {
// CHECK: func.func @tokens1
// A PE puts words of one color of a chain only, but takes words of any two.
// CHECK-SAME: fabric.queues = #fabric.queues<input = [0, 1, 2, 3, 4, 5, 6], output = [0, 0, 0, 1, 1, 1, 2]>
func.func @tokens1(%a: tensor<8xf32>) attributes {
    fabric.place = #fabric.rect<at = (1, 2), size = (6, 5)>} {
  // CHECK: fabric.all_reduce %{{.*}} along <x, {{.*}} root 3 color 0
  %0 = fabric.all_reduce %a sum along <x, length = 6, stride = 1, segments = 1> by chain root 3
      : (tensor<8xf32>) -> tensor<8xf32>
  // CHECK: fabric.all_reduce %{{.*}} along <y, {{.*}} root 2 color 3
  %1 = fabric.all_reduce %0 sum along <y, length = 5, stride = 1, segments = 1> by chain root 2
      : (tensor<8xf32>) -> tensor<8xf32>
  // CHECK: fabric.all_reduce %{{.*}} max along <x, {{.*}} root 3 color 0
  %2 = fabric.all_reduce %1 max along <x, length = 6, stride = 1, segments = 1> by chain root 3
      : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// CHECK: func.func @tokens16
func.func @tokens16(%a: tensor<128xf32>) attributes {
    fabric.place = #fabric.rect<at = (1, 2), size = (6, 5)>} {
  // CHECK: fabric.all_reduce %{{.*}} along <x, {{.*}} root 3 color 0
  %0 = fabric.all_reduce %a sum along <x, length = 6, stride = 1, segments = 1> by chain root 3
      : (tensor<128xf32>) -> tensor<128xf32>
  // CHECK: fabric.broadcast %{{.*}} along <x, {{.*}} root 3 color 6
  %1 = fabric.broadcast %0 along <x, length = 6, stride = 1, segments = 1> root 3
      : (tensor<128xf32>) -> tensor<128xf32>
  return
}
}

// -----

// On two PEs a sum to one and a broadcast from the other have equal routes, but not
// the same instructions.

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=24">} {
// CHECK: func.func @two
func.func @two(%a: tensor<8xf32>) attributes {
    fabric.place = #fabric.rect<at = (0, 0), size = (1, 2)>} {
  // CHECK: fabric.reduce %{{.*}} along <y, {{.*}} root 1 color 0
  %0 = fabric.reduce %a sum along <y, length = 2, stride = 1, segments = 1> by grown group 1 levels 1 root 1
      : (tensor<8xf32>) -> tensor<8xf32>
  // CHECK: fabric.broadcast %{{.*}} along <y, {{.*}} root 0 color 1
  %1 = fabric.broadcast %0 along <y, length = 2, stride = 1, segments = 1> root 0
      : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}
