// RUN: waferloom-opt %s --convert-fabric-to-core=target=grid-4x4 --mlir-print-debuginfo --mlir-print-local-scope \
// RUN:   | FileCheck %s
// RUN: waferloom-opt %s --codegen=target=grid-4x4 | FileCheck --check-prefix=PLACED %s
// RUN: waferloom-opt %s --codegen=target=grid-4x4 > %t.placed.mlir
// RUN: waferloom-opt --core-through-image %t.placed.mlir | grep -v loc > %t.placed
// RUN: waferloom-opt %s --convert-fabric-to-core=target=grid-4x4 --core-coalesce > %t.symbolic.mlir
// RUN: waferloom-opt --core-through-image %t.symbolic.mlir | grep -v loc > %t.symbolic
// RUN: diff %t.placed %t.symbolic

// A share of a vector on each of three PEs, scaled and summed. What is computed
// for the sum is computed into the buffer that travels. Instructions say which
// node they are for, and by name which PEs have them.

#id = affine_map<(i) -> (i)>
// CHECK-NOT: func.func
// CHECK: core.image "grid-4x4" {
// CHECK: core.entry "main" {
// CHECK-NEXT: core.input "x" required
// CHECK-NEXT: core.tensor input "x" [12] f32 as f32
// CHECK-NEXT: core.tensor output "y" [4] f32 as f32
// CHECK: core.region at 0, 0 size 3, 1 columns [0, 1, 2] rows [0] {
// CHECK-NEXT: core.set @[[LEFT:send_1]] = [0]
// CHECK-NEXT: core.set @[[ROOT:fold_1]] = [1]
// CHECK-NEXT: core.set @[[RIGHT:send_0]] = [2]
// CHECK-NEXT: core.set @[[ENDS:recv_2]] = [0, 2]
// CHECK-NEXT: core.program "main" {
// CHECK-NEXT: core.buffer scratch @[[SUM:[a-z]+]] bytes 16
// CHECK-NEXT: core.buffer input @x bytes 16
// CHECK-NEXT: core.bind input "x" f32[@x] as f32 [12 by 1 (x 3, 4)]
// CHECK-NEXT: core.buffer scratch @Scale bytes 16 loc("/model/Scale")
// CHECK-NEXT: core.buffer output @y bytes 16
// CHECK-NEXT: core.bind output "y" f32[@y] as f32 [4 by 1 (4)]
// CHECK: core.route 0 from ramp to west on columns @[[RIGHT]]
// CHECK: core.vector mul [4] f32[@Scale] = f32[@x], f32(2.000000e+00) loc("/model/Scale")
// CHECK-NEXT: core.vector sub [4] f32[@[[SUM]]] = f32[@Scale], f32[@x] loc("/model/Scale")
// CHECK-NEXT: core.send [4] f32[@[[SUM]]] to 1 on columns @[[LEFT]] loc("/model/Sum")
// CHECK-NEXT: core.recv_fold add [4] f32[@[[SUM]]] from 1 queue 1 on columns @[[ROOT]] loc("/model/Sum")
// CHECK: core.recv [4] f32[@[[SUM]]] from 2 on columns @[[ENDS]] loc("/model/Sum")
// CHECK: core.vector mov [4] f32[@y] = f32[@[[SUM]]]

// The scaled share is read with @x, so it begins in another bank: at 8, modulo 32.
// The sum is made where the output lies.
// PLACED: core.region {{.*}} memory 56 {
// PLACED: core.buffer input @x bytes 16 at 0
// PLACED: core.buffer scratch @Scale bytes 16 start 8 at 40
// PLACED: core.buffer output @y bytes 16 at 16
wafer.program region <x = 3, y = 1> {
  wafer.entry "main" of @main tokens 1 shapes {x = array<i64: 12>, y = array<i64: 4>}
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (3, 1)>,
    fabric.queues = #fabric.queues<input = [0, 1, 0], output = [0, 0, 0]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[x]>} : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %s = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = arith.constant 2.0 : f32
    %r = arith.mulf %a, %c : f32
    %q = arith.subf %r, %a : f32
    linalg.yield %q : f32
  } -> tensor<4xf32> loc("/model/Scale")
  %t = fabric.all_reduce %s sum along <x, length = 3, stride = 1, segments = 1> by chain root 1 color 0
      : (tensor<4xf32>) -> tensor<4xf32> loc("/model/Sum")
  wafer.output "y", %t {layout = #wafer.layout<[*]>} : tensor<4xf32>
  return
}
