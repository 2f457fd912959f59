// RUN: waferloom-opt %s --codegen=target=grid-3x4 | FileCheck %s

// Of a sum along y that column 1 gives to its row, and of which only row 2 is read
// there, other columns have no part, and other rows none in what is given: the sum
// need not go back either.

#scalar = affine_map<() -> ()>
module attributes {wafer.target = #wafer.target<"grid-3x4">} {
wafer.program region <x = 3, y = 4> {
  wafer.entry "norm" of @norm tokens 1
}
// CHECK: core.set @root_columns = [1]
// CHECK-LABEL: core.program "norm"
// CHECK: core.vector mul
// CHECK-NEXT: core.send [1] {{.*}} to 0 on columns @root_columns rows @send_0
// CHECK-NEXT: core.recv_fold_send add [1] {{.*}} on columns @root_columns rows @pass_0_to_1
// CHECK-NEXT: core.recv_fold add [1] {{.*}} on columns @root_columns rows @fold_0
// CHECK-NEXT: core.recv_fold add [1] {{.*}} on columns @root_columns rows @fold_0
// CHECK-NEXT: core.vector neg
// CHECK-NEXT: core.send [1] {{.*}} to 3 queue 3 on columns @send_3 rows @fold_0
// CHECK: core.recv [1] {{.*}} from 3 queue 3 on columns @recv_3 rows @fold_0
// CHECK-NEXT: core.send [2] {{.*}} to 0 on rows @send_0
func.func @norm() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (3, 4)>,
    fabric.queues = #fabric.queues<input = [0, 1, 2, 3, 4, 5], output = [0, 1, 2, 3, 4, 5]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<2xf32>
  %s = wafer.input "s" {layout = #wafer.layout<[]>} : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %m = linalg.generic {indexing_maps = [#scalar, #scalar], iterator_types = []}
      ins(%s : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.mulf %a, %a : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %sum = fabric.reduce %m sum along <y, length = 4, stride = 1, segments = 1> by chain root 2 color 0
      : (tensor<f32>) -> tensor<f32>
  %back = fabric.broadcast %sum along <y, length = 4, stride = 1, segments = 1> root 2 color 2
      : (tensor<f32>) -> tensor<f32>
  %n = linalg.generic {indexing_maps = [#scalar, #scalar], iterator_types = []}
      ins(%back : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.negf %a : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %f = fabric.broadcast %n along <x, length = 3, stride = 1, segments = 1> root 1 color 3
      : (tensor<f32>) -> tensor<f32>
  %y = fabric.reduce %x sum along <y, length = 4, stride = 1, segments = 1> by chain root 2 color 0
      : (tensor<2xf32>) -> tensor<2xf32>
  %e2 = tensor.empty() : tensor<2xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%y, %f : tensor<2xf32>, tensor<f32>) outs(%e2 : tensor<2xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<2xf32>
  %h = fabric.broadcast %p along <y, length = 4, stride = 1, segments = 1> root 2 color 2
      : (tensor<2xf32>) -> tensor<2xf32>
  wafer.output "h", %h {layout = #wafer.layout<[*]>} : tensor<2xf32>
  return
}
}
