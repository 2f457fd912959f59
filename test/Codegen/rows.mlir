// RUN: waferloom-opt %s --convert-fabric-to-core=target=wse3 | FileCheck %s
// RUN: waferloom-opt %s --convert-fabric-to-core="target=wse3 budget=4" | FileCheck --check-prefix=FEW %s
// RUN: waferloom-opt %s --codegen=target=wse3,sram=9900 | FileCheck --check-prefix=FEW %s

// A product of 40 rows is 40 multiply-adds one behind the other, of which the
// first begins the sum. Where memory has no room for their code they are a loop.
// CHECK: core.program "main" {
// CHECK-NOT: core.loop
// CHECK: core.vector fma [64] f32[@[[SUM:[a-zA-Z0-9_]+]]] = f32(0.000000e+00), f16[@w], f16[@x : 0] product
// CHECK-COUNT-39: core.vector fma [64] f32[@[[SUM]]] = f32[@[[SUM]]]
// CHECK-NOT: core.vector fma
// CHECK-NOT: core.loop

// FEW: core.loop 40
// FEW-NEXT: core.vector fma [64]
// FEW-NOT: core.vector fma

#row = affine_map<(j, i) -> (i)>
#all = affine_map<(j, i) -> (i, j)>
#sum = affine_map<(j, i) -> (j)>
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [], output = []>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<40xf16>
  %w = wafer.input "w" {layout = #wafer.layout<[*, *]>} : tensor<40x64xf16>
  %zero = arith.constant dense<0.0> : tensor<64xf32>
  %s = linalg.generic {indexing_maps = [#row, #all, #sum], iterator_types = ["parallel", "reduction"]}
      ins(%x, %w : tensor<40xf16>, tensor<40x64xf16>) outs(%zero : tensor<64xf32>) {
  ^bb0(%a: f16, %b: f16, %o: f32):
    %c = arith.extf %a : f16 to f32
    %d = arith.extf %b : f16 to f32
    %p = arith.mulf %c, %d : f32
    %q = arith.addf %o, %p : f32
    linalg.yield %q : f32
  } -> tensor<64xf32> loc("Product")
  wafer.output "y", %s {layout = #wafer.layout<[*]>} : tensor<64xf32>
  return
}
