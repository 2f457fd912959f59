// RUN: waferloom-opt %s --convert-wafer-to-fabric | FileCheck %s
// RUN: waferloom-opt %s --convert-wafer-to-fabric=middle-roots=false | FileCheck %s --check-prefix=ENDS

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=24">} {
wafer.program region <x = 2 x 3 x 2 x 1, y = 5> {
  wafer.entry "lines" of @lines tokens 1
  wafer.entry "at_root" of @at_root tokens 2
  wafer.entry "alone" of @alone tokens 3
}
// CHECK-LABEL: func.func @lines
func.func @lines() {
  %a = tensor.empty() : tensor<8xf32>
  %b = tensor.empty() : tensor<4xf32>
  %i = tensor.empty() : tensor<2xi32>

  // Neighbouring factors are one line; what they part is done one after the
  // other, over the same values, inward and then outward. Roots are in the
  // middle.
  // CHECK: %[[X:.*]]:2 = fabric.reduce %[[A:.*]], %[[B:.*]] sum along <x, length = 6, stride = 1, segments = 2>
  // CHECK-SAME: root 3 :
  // ENDS: fabric.reduce {{.*}} sum along <x, length = 6, stride = 1, segments = 2> {{.*}} root 0 :
  // ENDS: fabric.reduce {{.*}} sum along <y, length = 5, stride = 1, segments = 1> {{.*}} root 0 :
  // CHECK: %[[XY:.*]]:2 = fabric.reduce %[[X]]#0, %[[X]]#1 sum along <y, length = 5, stride = 1, segments = 1>
  // CHECK-SAME: root 2 :
  // CHECK: %[[OUT:.*]]:2 = fabric.broadcast %[[XY]]#0, %[[XY]]#1 along <y, length = 5, stride = 1, segments = 1> root 2 :
  // CHECK: %[[ALL:.*]]:2 = fabric.broadcast %[[OUT]]#0, %[[OUT]]#1 along <x, length = 6, stride = 1, segments = 2> root 3 :
  %0:2 = wafer.all_reduce %a, %b over [x1, y, x2] sum
      : (tensor<8xf32>, tensor<4xf32>) -> (tensor<8xf32>, tensor<4xf32>)
  // CHECK: fabric.reduce %[[ALL]]#0 max along <x, length = 2, stride = 6, segments = 1>
  // CHECK: fabric.reduce %{{.*}} max along <x, length = 2, stride = 1, segments = 6>
  // CHECK: fabric.broadcast %{{.*}} along <x, length = 2, stride = 1, segments = 6>
  // CHECK: fabric.broadcast %{{.*}} along <x, length = 2, stride = 6, segments = 1>
  %1 = wafer.all_reduce %0#0 over [x0, x2] max : (tensor<8xf32>) -> tensor<8xf32>

  // One message has one element type.
  // CHECK: fabric.reduce %{{.*}}, %[[ALL]]#1 min along <y, {{.*}} : (tensor<8xf32>, tensor<4xf32>) ->
  // CHECK: fabric.reduce %{{.*}} min along <y, {{.*}} : (tensor<2xi32>) ->
  %2:3 = wafer.all_reduce %1, %i, %0#1 over [y] min
      : (tensor<8xf32>, tensor<2xi32>, tensor<4xf32>) -> (tensor<8xf32>, tensor<2xi32>, tensor<4xf32>)

  // A gather is the sum of everybody's share.
  // CHECK: %[[PUT:.*]] = fabric.put %{{.*}} dim 0 over [#fabric.axis<x, extent = 3, stride = 2>] cyclic
  // CHECK: fabric.reduce %[[PUT]] sum along <x, length = 3, stride = 2, segments = 2>
  %3 = wafer.gather %2#2 dim 0 over [x1] cyclic : (tensor<4xf32>) -> tensor<12xf32>

  // Neighbouring axes are one line, with one root; on the way out y is done
  // before x.
  // CHECK: fabric.reduce %{{.*}} sum along <x, length = 6, stride = 1, segments = 2> {{.*}} root 4
  // ENDS: fabric.reduce %{{.*}} sum along <x, length = 6, stride = 1, segments = 2> {{.*}} root 4
  %4 = wafer.reduce %3 to [x1, x2] = 4 sum : (tensor<12xf32>) -> tensor<12xf32>
  // CHECK: fabric.broadcast %{{.*}} along <y, length = 5, stride = 1, segments = 1> root 1
  // CHECK: fabric.broadcast %{{.*}} along <x, length = 2, stride = 1, segments = 6> root 1
  %5 = wafer.broadcast %4 from [y, x2] = 3 : (tensor<12xf32>) -> tensor<12xf32>
  wafer.output "out", %5 : tensor<12xf32>
  return
}

// What is computed between the two ways: every PE does, and the root's counts. Halves
// go back two to a word; a message has one element type.

// CHECK-LABEL: func.func @at_root
// CHECK: %[[SUM:.*]] = fabric.reduce %{{.*}} sum along <y, length = 5, stride = 1, segments = 1> {{.*}} root 2 :
// CHECK: %[[HALF:.*]] = linalg.generic {{.*}} ins(%[[SUM]] : tensor<7xf32>)
// CHECK: %[[BACK:.*]] = fabric.broadcast %[[HALF]] along <y, length = 5, stride = 1, segments = 1> root 2 : (tensor<7xf16>) ->
// CHECK: %[[SAME:.*]] = fabric.broadcast %[[SUM]] along <y, length = 5, stride = 1, segments = 1> root 2 : (tensor<7xf32>) ->
// CHECK: wafer.output "half", %[[BACK]]
// CHECK: wafer.output "same", %[[SAME]]
func.func @at_root() {
  %a = tensor.empty() : tensor<7xf32>
  %0:2 = wafer.reduce_apply_broadcast %a over [y] sum {
  ^bb0(%s: tensor<7xf32>):
    %e = tensor.empty() : tensor<7xf16>
    %h = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
        ins(%s : tensor<7xf32>) outs(%e : tensor<7xf16>) {
    ^bb0(%in: f32, %out: f16):
      %1 = arith.truncf %in : f32 to f16
      linalg.yield %1 : f16
    } -> tensor<7xf16>
    wafer.yield %h, %s : tensor<7xf16>, tensor<7xf32>
  } : (tensor<7xf32>) -> (tensor<7xf16>, tensor<7xf32>)
  wafer.output "half", %0#0 : tensor<7xf16>
  wafer.output "same", %0#1 : tensor<7xf32>
  return
}

// An axis of one PE has nobody to combine with.

// CHECK-LABEL: func.func @alone
// CHECK-NOT: fabric.reduce
// CHECK-NOT: fabric.broadcast
// CHECK: wafer.output "out", %[[A:.*]] :
func.func @alone() {
  %a = tensor.empty() : tensor<8xf32>
  %0 = wafer.all_reduce %a over [x3] sum : (tensor<8xf32>) -> tensor<8xf32>
  wafer.output "out", %0 : tensor<8xf32>
  return
}
}
