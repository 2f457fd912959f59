// RUN: waferloom-opt %s --convert-fabric-to-core=target=wse3 | FileCheck %s
// RUN: waferloom-opt %s --convert-fabric-to-core="target=wse3 budget=1" | FileCheck --check-prefix=PLAIN %s
// RUN: waferloom-opt %s --codegen=target=wse3 | FileCheck --check-prefix=HIDDEN %s

// Weights of a trip are copied once, since each reader would pay a rewrite. What
// is read behind the message is copied in the trip, what is read in front of it in
// the trip before and at first in front of the loop: room behind the last trip's
// weights is what the last trip copies.

// CHECK: core.buffer parameter @layers bytes 176
// CHECK: core.vector mov [12] i32[@[[COPY:[a-z0-9_]+]]] = i32[@layers]
// CHECK: core.loop 2
// CHECK-NEXT: core.vector mov [4] i32[@[[COPY]] + 48] = i32[@layers + 48 step 0 by 64]
// CHECK-NEXT: core.vector mul [4] {{.*}} f32[@[[COPY]]]
// CHECK: core.recv_fold
// CHECK: core.vector mov [12] i32[@[[COPY]]] = i32[@layers + 64 step 0 by 64]

// Without a schedule all of them are copied at once.
// PLAIN: core.buffer parameter @layers bytes 128
// PLAIN: core.loop 2
// PLAIN-NEXT: core.vector mov [16] i32[@{{.*}}] = i32[@layers step 0 by 64]

// Both wait for no answer.
// HIDDEN: core.loop 2
// HIDDEN-NEXT: core.vector mul [4]
// HIDDEN: core.recv_fold
// HIDDEN: core.vector mov [{{[0-9]+}}] i32[{{.*}}] = i32[@layers
// HIDDEN: core.vector mov [{{[0-9]+}}] i32[{{.*}}] = i32[@layers
// HIDDEN: core.recv [4]

#id = affine_map<(i) -> (i)>
wafer.program region <x = 128, y = 1> {
  wafer.entry "main" of @main tokens 1
}
wafer.weight @a0 : tensor<4xf32>
wafer.weight @a1 : tensor<4xf32>
wafer.weight @b0 : tensor<4xf32>
wafer.weight @b1 : tensor<4xf32>
wafer.weight @c0 : tensor<4xf32>
wafer.weight @c1 : tensor<4xf32>
wafer.weight @d0 : tensor<4xf32>
wafer.weight @d1 : tensor<4xf32>
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (128, 1)>,
    fabric.queues = #fabric.queues<input = [0, 1, 0], output = [0, 0, 0]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<4xf32>
  %y = wafer.repeat 2 (%t = %x) : tensor<4xf32> {
    %a = wafer.parameter [@a0, @a1] {layout = #wafer.layout<[*]>} : tensor<4xf32>
    %b = wafer.parameter [@b0, @b1] {layout = #wafer.layout<[*]>} : tensor<4xf32>
    %c = wafer.parameter [@c0, @c1] {layout = #wafer.layout<[*]>} : tensor<4xf32>
    %d = wafer.parameter [@d0, @d1] {layout = #wafer.layout<[*]>} : tensor<4xf32>
    %e = tensor.empty() : tensor<4xf32>
    %s = linalg.generic {indexing_maps = [#id, #id, #id, #id, #id], iterator_types = ["parallel"]}
        ins(%t, %a, %b, %c : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%0: f32, %1: f32, %2: f32, %3: f32, %o: f32):
      %4 = arith.mulf %0, %1 : f32
      %5 = arith.mulf %4, %2 : f32
      %6 = arith.mulf %5, %3 : f32
      linalg.yield %6 : f32
    } -> tensor<4xf32>
    %m = fabric.all_reduce %s sum along <x, length = 128, stride = 1, segments = 1> by chain root 64 color 0
        : (tensor<4xf32>) -> tensor<4xf32>
    %n = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
        ins(%m, %d : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%0: f32, %1: f32, %o: f32):
      %4 = arith.mulf %0, %1 : f32
      linalg.yield %4 : f32
    } -> tensor<4xf32>
    wafer.yield %n : tensor<4xf32>
  }
  wafer.output "y", %y {layout = #wafer.layout<[*]>} : tensor<4xf32>
  return
}
