// RUN: waferloom-opt %s --core-fit=target=grid-4x4 | FileCheck %s
// RUN: waferloom-opt %s --core-fit=target=grid-4x4,sram=8200 | FileCheck --check-prefix=TIGHT %s
// RUN: not waferloom-opt %s --core-fit=target=grid-4x4,sram=5KiB 2>&1 | FileCheck --check-prefix=FULL %s
// RUN: not waferloom-opt %s --core-fit=target=nowhere 2>&1 | FileCheck --check-prefix=TARGET %s
// RUN: not waferloom-opt %s --convert-fabric-to-core="target=grid-4x4 budget=14" 2>&1 | FileCheck --check-prefix=BUDGET %s

// The sum of 512 products has a temporary as long as they are, if there is room.
// CHECK: core.buffer scratch @{{.*}} bytes 2048

// With less room it does without.
// TIGHT-NOT: core.buffer scratch @{{.*}} bytes 2048

// FULL: error: needs {{[0-9]+}} bytes of SRAM on the fullest PE of 1 by 1 but 'grid-4x4,sram=5KiB' has 5120
// FULL: note: weights 0, states 0, tables 0, buffers {{[0-9]+}}, code {{[0-9]+}}, reserved 4096 bytes

// TARGET: error: unknown target 'nowhere'
// BUDGET: error: there is no budget 14, the last is 13

#id = affine_map<(i) -> (i)>
#one = affine_map<(i) -> ()>
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [], output = []>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<512xf32>
  %zero = arith.constant dense<0.0> : tensor<f32>
  %s = linalg.generic {indexing_maps = [#id, #one], iterator_types = ["reduction"]}
      ins(%x : tensor<512xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %p = arith.mulf %a, %a : f32
    %q = arith.addf %o, %p : f32
    linalg.yield %q : f32
  } -> tensor<f32> loc("Squares")
  wafer.output "y", %s {layout = #wafer.layout<[]>} : tensor<f32>
  return
}
