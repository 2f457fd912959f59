// RUN: waferloom-opt %s --codegen=target=wse2 | FileCheck %s

// A layer's weights of 3 rows of 40: three fmas that each rewrite a descriptor
// take less than a copy of the weights and three that rewrite none, and less
// than all products and their fold.

#w = affine_map<(n, k) -> (k, n)>
#x = affine_map<(n, k) -> (k)>
#y = affine_map<(n, k) -> (n)>
#id = affine_map<(n) -> (n)>

// CHECK-LABEL: core.program "main"
// CHECK: core.loop 2
// CHECK-NOT: core.vector mov
// CHECK: core.vector fma [40] f32[[SUM:.*]] = f32(0.000000e+00), f32[@layers step 0 by 480], f32[@x : 0] product
// CHECK: core.vector fma [40] f32{{.*}} = f32{{.*}}, f32[@layers + 160 step 0 by 480], f32[@x + 4 : 0] product
// CHECK: core.vector fma [40] f32{{.*}} = f32{{.*}}, f32[@layers + 320 step 0 by 480], f32[@x + 8 : 0] product
// CHECK: core.vector max
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1
}
wafer.weight @w0 : tensor<3x40xf32>
wafer.weight @w1 : tensor<3x40xf32>
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [], output = []>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<3xf32>
  %t = wafer.input "t" {layout = #wafer.layout<[*]>} : tensor<40xf32>
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<40xf32>
  %i = linalg.fill ins(%z : f32) outs(%e : tensor<40xf32>) -> tensor<40xf32>
  %r = wafer.repeat 2 (%s = %t) : tensor<40xf32> {
    %w = wafer.parameter [@w0, @w1] {layout = #wafer.layout<[*, *]>} : tensor<3x40xf32>
    %p = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
        ins(%x, %w : tensor<3xf32>, tensor<3x40xf32>) outs(%i : tensor<40xf32>) {
    ^bb0(%0: f32, %1: f32, %o: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %o, %2 : f32
      linalg.yield %3 : f32
    } -> tensor<40xf32>
    %m = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
        ins(%s, %p : tensor<40xf32>, tensor<40xf32>) outs(%e : tensor<40xf32>) {
    ^bb0(%0: f32, %1: f32, %o: f32):
      %2 = arith.maximumf %0, %1 : f32
      linalg.yield %2 : f32
    } -> tensor<40xf32>
    wafer.yield %m : tensor<40xf32>
  }
  wafer.output "y", %r {layout = #wafer.layout<[*]>} : tensor<40xf32>
  return
}
