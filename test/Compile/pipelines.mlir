// What the compiler runs, phase by phase: each takes the text of the one before.
//
// RUN: waferloom-opt %s --waferloom-prepare="target=grid-4x2" -o %t.prepared
// RUN: FileCheck %s --check-prefix=PREPARED --input-file=%t.prepared
// RUN: waferloom-opt %t.prepared --waferloom-plan="region=4x2" -o %t.layouts
// RUN: FileCheck %s --check-prefix=LAYOUTS --input-file=%t.layouts
// RUN: waferloom-opt %t.layouts --waferloom-per-pe -o %t.shards
// RUN: FileCheck %s --check-prefix=SHARDS --input-file=%t.shards
// RUN: waferloom-opt %t.shards --waferloom-fabric | FileCheck %s --check-prefix=FABRIC
//
// Or all at once, which is the same.
// RUN: waferloom-opt %s --waferloom-prepare="target=grid-4x2" --waferloom-plan="region=4x2" \
// RUN:   --waferloom-per-pe --waferloom-fabric | FileCheck %s --check-prefix=FABRIC
//
// A plan says no with the numbers, and an option that there is not is refused.
// RUN: not waferloom-opt %t.prepared --waferloom-plan="region=1x1 target=grid-4x2,sram=5KiB,reserved=4KiB" 2>&1 \
// RUN:   | FileCheck %s --check-prefix=FULL
// RUN: not waferloom-opt %s --waferloom-prepare="precision=f7" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not waferloom-opt %t.prepared --waferloom-plan="search-plans=0" 2>&1 | FileCheck %s --check-prefix=SEARCH
// RUN: not waferloom-opt %s --waferloom-fabric 2>&1 | FileCheck %s --check-prefix=NOWHERE

// PREPARED: module attributes {wafer.target = #wafer.target<"grid-4x2">}
// PREPARED: wafer.parameter [@w] : tensor<10x30xf32>
// LAYOUTS: wafer.program region <x = {{.*}}>
// LAYOUTS: #wafer.layout<
// SHARDS-NOT: tensor<{{[^>]*}}#wafer.layout
// SHARDS: wafer.reduce {{.*}} to [y] = 1 sum
// FABRIC: fabric.place = #fabric.rect<at = (0, 0), size = (4, 2)>
// FABRIC-SAME: fabric.queues
// FABRIC: fabric.reduce {{.*}} color 0
// SEARCH: plans to search 0
// FULL: error: {{no layout found on 1 x 1 PEs|needs [0-9]+ bytes of SRAM on the fullest PE of 1 x 1}}
// NONE: there is no precision 'f7'; there are model, f32, f16
// NOWHERE: error: says no wafer.target, the machine that it is compiled for

wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1 shapes {x = array<i64: 10>, y = array<i64: 30>}
}
wafer.weight @w : tensor<10x30xf32>
func.func @tokens1() {
  %w = wafer.parameter [@w] : tensor<10x30xf32>
  %x = wafer.input "x" : tensor<10xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<30xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<30xf32>) -> tensor<30xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>],
                       iterator_types = ["parallel", "reduction"]}
      ins(%x, %w : tensor<10xf32>, tensor<10x30xf32>) outs(%f : tensor<30xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<30xf32>
  wafer.output "y", %y : tensor<30xf32>
  return
}
