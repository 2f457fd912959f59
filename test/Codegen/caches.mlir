// RUN: waferloom-opt %s --convert-fabric-to-core=target=wse3 --split-input-file | FileCheck %s
// RUN: waferloom-opt %s --convert-fabric-to-core="target=wse3 budget=3" --split-input-file | FileCheck --check-prefix=PLAIN %s

// Each element of a query meets the keys of all slots, so slots shall lie
// innermost. Here the copy that a trip makes of its keys brings them into that
// order at no cost. A new row is selected into the copy, where the position
// says; it is stored behind that, when nobody waits for it.

// CHECK-LABEL: core.image
// CHECK: core.bind state "k1" {{.*}} [256 by 4 (3, x 96), 4 by 1 (4)]
// CHECK: core.bind index "" i32[@slots] as i32 [288 by 1 (3, x 96)]
// CHECK: core.vector eq [3] i32[@[[HOT:[a-z0-9_]+]]] = i32[@slots], i32[@wafer.position : 0]
// CHECK: core.loop 2
// CHECK: core.vector mov [3, 4] f16[@[[COPY:[a-z0-9_]+]] : 1, 3] = f16[@k0 step 0 by 24]
// CHECK-NEXT: core.vector convert [4] f16[@[[ROW:[a-z0-9_]+]]] = f32
// CHECK-NEXT: core.vector select [4, 3] f16[@[[COPY]]] = i32[@[[HOT]] : 0, 1], f16[@[[ROW]] : 1, 0], f16[@[[COPY]]]
// CHECK-NEXT: core.vector mov [4] f16[@k0 + i32[@{{.*}}] * 8 of 3 step 0 by 24] = f16[@[[ROW]]] if
// CHECK: core.vector fma [3] f32[@{{.*}}] = f32(0.000000e+00), f16[@[[COPY]]], f16
// CHECK-NEXT: core.vector fma [3] f32[@{{.*}}] = f32[@{{.*}}], f16[@[[COPY]] + 6], f16

// Where programs are not scheduled a row is stored, then the state copied.
// PLAIN-LABEL: core.image
// PLAIN-NOT: @slots
// PLAIN: core.loop 2
// PLAIN-NOT: core.vector select
// PLAIN: core.vector convert [4] f16[@k0 + i32
// PLAIN: core.vector mov [3, 4] {{.*}} = f16[@k0 step 0 by 24]
// PLAIN: core.vector fma [3]

#slots = affine_map<(s, d) -> (s, d)>
#query = affine_map<(s, d) -> (d)>
#scores = affine_map<(s, d) -> (s)>
wafer.program context 256 region <x = 96, y = 1> {
  wafer.entry "main" of @main tokens 1
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (96, 1)>,
    fabric.queues = #fabric.queues<input = [0, 1, 0], output = [0, 0, 0]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<4xf32>
  %p = wafer.position : tensor<i32>
  %y = wafer.repeat 2 (%t = %x) : tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %m = fabric.all_reduce %t sum along <x, length = 96, stride = 1, segments = 1> by chain root 48 color 0 : (tensor<4xf32>) -> tensor<4xf32>
    %s = wafer.state ["k0", "k1"] {layout = #wafer.layout<[cyclic x live 256 padding num, *]>} : tensor<3x4xf16>
    %a = wafer.append %m into %s at %p : tensor<i32> dim 0 {layout = #wafer.layout<[cyclic x live 256 padding num, *]>} : tensor<4xf32> into tensor<3x4xf16> -> tensor<3x4xf16>
    %z = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<3xf32>
    %i = linalg.fill ins(%z : f32) outs(%f : tensor<3xf32>) -> tensor<3xf32>
    %q = linalg.generic {indexing_maps = [#query, #slots, #scores], iterator_types = ["parallel", "reduction"]}
        ins(%m, %a : tensor<4xf32>, tensor<3x4xf16>) outs(%i : tensor<3xf32>) {
    ^bb0(%0: f32, %1: f16, %o: f32):
      %2 = arith.truncf %0 : f32 to f16
      %3 = arith.extf %2 : f16 to f32
      %4 = arith.extf %1 : f16 to f32
      %5 = arith.mulf %3, %4 : f32
      %6 = arith.addf %o, %5 : f32
      linalg.yield %6 : f32
    } -> tensor<3xf32>
    %w = fabric.all_reduce %q sum along <x, length = 96, stride = 1, segments = 1> by chain root 48 color 0 : (tensor<3xf32>) -> tensor<3xf32>
    %v = linalg.generic {indexing_maps = [#query, #scores, #query], iterator_types = ["reduction", "parallel"]}
        ins(%t, %w : tensor<4xf32>, tensor<3xf32>) outs(%t : tensor<4xf32>) {
    ^bb0(%0: f32, %1: f32, %o: f32):
      %2 = arith.maximumf %o, %1 : f32
      linalg.yield %2 : f32
    } -> tensor<4xf32>
    wafer.yield %v : tensor<4xf32>
  }
  wafer.output "y", %y {layout = #wafer.layout<[*]>} : tensor<4xf32>
  return
}

// -----

// With 8 slots a copy into another order would take an element per cycle: the
// state itself lies so. The host's array is as the model has it.

// CHECK-LABEL: core.image
// CHECK: core.bind state "k0" f16[@k0] as f16 [4 by 1 (4), 256 by 4 (8, x 32)]
// CHECK: core.vector mov [32] f16[@[[COPY:[a-z0-9_]+]]] = f16[@k0 step 0 by 64]
// CHECK: core.vector fma [8] f32[@{{.*}}] = f32[@{{.*}}], f16[@[[COPY]] + 16], f16
// PLAIN-LABEL: core.image
// PLAIN: core.bind state "k0" f16[@k0] as f16 [4 by 1 (4), 256 by 4 (8, x 32)]
// PLAIN: core.vector convert [4] f16[@k0 + i32[@{{.*}}] * 2 of 8 : 8 step 0 by 64]

#slots = affine_map<(s, d) -> (s, d)>
#query = affine_map<(s, d) -> (d)>
#scores = affine_map<(s, d) -> (s)>
wafer.program context 256 region <x = 32, y = 1> {
  wafer.entry "main" of @main tokens 1
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (32, 1)>,
    fabric.queues = #fabric.queues<input = [0, 1, 0], output = [0, 0, 0]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<4xf32>
  %p = wafer.position : tensor<i32>
  %y = wafer.repeat 2 (%t = %x) : tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %m = fabric.all_reduce %t sum along <x, length = 32, stride = 1, segments = 1> by chain root 16 color 0 : (tensor<4xf32>) -> tensor<4xf32>
    %s = wafer.state ["k0", "k1"] {layout = #wafer.layout<[cyclic x live 256 padding num, *]>} : tensor<8x4xf16>
    %a = wafer.append %m into %s at %p : tensor<i32> dim 0 {layout = #wafer.layout<[cyclic x live 256 padding num, *]>} : tensor<4xf32> into tensor<8x4xf16> -> tensor<8x4xf16>
    %z = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<8xf32>
    %i = linalg.fill ins(%z : f32) outs(%f : tensor<8xf32>) -> tensor<8xf32>
    %q = linalg.generic {indexing_maps = [#query, #slots, #scores], iterator_types = ["parallel", "reduction"]}
        ins(%m, %a : tensor<4xf32>, tensor<8x4xf16>) outs(%i : tensor<8xf32>) {
    ^bb0(%0: f32, %1: f16, %o: f32):
      %2 = arith.truncf %0 : f32 to f16
      %3 = arith.extf %2 : f16 to f32
      %4 = arith.extf %1 : f16 to f32
      %5 = arith.mulf %3, %4 : f32
      %6 = arith.addf %o, %5 : f32
      linalg.yield %6 : f32
    } -> tensor<8xf32>
    %w = fabric.all_reduce %q sum along <x, length = 32, stride = 1, segments = 1> by chain root 16 color 0 : (tensor<8xf32>) -> tensor<8xf32>
    %v = linalg.generic {indexing_maps = [#query, #scores, #query], iterator_types = ["reduction", "parallel"]}
        ins(%t, %w : tensor<4xf32>, tensor<8xf32>) outs(%t : tensor<4xf32>) {
    ^bb0(%0: f32, %1: f32, %o: f32):
      %2 = arith.maximumf %o, %1 : f32
      linalg.yield %2 : f32
    } -> tensor<4xf32>
    wafer.yield %v : tensor<4xf32>
  }
  wafer.output "y", %y {layout = #wafer.layout<[*]>} : tensor<4xf32>
  return
}
