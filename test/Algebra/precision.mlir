// Halves are stored and multiplied; between ops everything is single.

// RUN: waferloom-opt %s --algebra-precision=precision=f16 | FileCheck %s --check-prefixes=F16,ALL
// RUN: waferloom-opt %s --algebra-precision | FileCheck %s --check-prefixes=MODEL,ALL
// RUN: waferloom-opt %s --algebra-precision=precision=f32 | FileCheck %s --check-prefixes=F32
// RUN: not waferloom-opt %s --algebra-precision=precision=f8 2>&1 | FileCheck %s --check-prefix=BAD

// BAD: there is no precision 'f8'; there are model, f32 and f16

wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
}
#row = affine_map<(d0, d1) -> (d1)>
#both = affine_map<(d0, d1) -> (d0, d1)>
#out = affine_map<(d0, d1) -> (d0)>
#vector = affine_map<(d0) -> (d0)>

wafer.weight @large from "w" at 0 : tensor<70x7xf32>
wafer.weight @table from "w" at 0 : tensor<50x7xf32>
wafer.weight @angles from "w" at 0 : tensor<2x7xf32>
wafer.weight @gain from "w" at 0 : tensor<70xf32>
wafer.weight @half from "w" at 0 : tensor<70x70xf16>

// ALL-LABEL: func.func @tokens1
// F32-LABEL: func.func @tokens1
func.func @tokens1() {
  %ids = wafer.input "ids" : tensor<1xi32>
  // The large table is narrow, its rows are not; the small one stays.
  // F16: wafer.parameter [@table] : tensor<50x7xf16>
  // MODEL: wafer.parameter [@table] : tensor<50x7xf32>
  %table = wafer.parameter [@table] : tensor<50x7xf32>
  // F16: wafer.lookup {{.*}} : (tensor<50x7xf16>, tensor<1xi32>) -> tensor<1x7xf32>
  %row = wafer.lookup %table[%ids] : (tensor<50x7xf32>, tensor<1xi32>) -> tensor<1x7xf32>
  // F16: wafer.parameter [@angles] : tensor<2x7xf32>
  %angles = wafer.parameter [@angles] : tensor<2x7xf32>
  %turn = wafer.lookup %angles[%ids] : (tensor<2x7xf32>, tensor<1xi32>) -> tensor<1x7xf32>
  wafer.output "turn", %turn : tensor<1x7xf32>
  %x = tensor.collapse_shape %row [[0, 1]] : tensor<1x7xf32> into tensor<7xf32>

  // F16: wafer.parameter [@large] : tensor<70x7xf16>
  // MODEL: wafer.parameter [@large] : tensor<70x7xf32>
  %w = wafer.parameter [@large] : tensor<70x7xf32>
  %empty = tensor.empty() : tensor<70xf32>
  %zero = arith.constant 0.0 : f32
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<70xf32>) -> tensor<70xf32>
  // F16: ^bb0(%[[X:.*]]: f32, %[[W:.*]]: f16, %[[SUM:.*]]: f32):
  // F16-NEXT: %[[WIDE:.*]] = arith.extf %[[W]] : f16 to f32
  // F16-NEXT: %[[ROUND:.*]] = arith.truncf %[[X]] : f32 to f16
  // F16-NEXT: %[[BACK:.*]] = arith.extf %[[ROUND]] : f16 to f32
  // F16-NEXT: %[[P:.*]] = arith.mulf %[[BACK]], %[[WIDE]] : f32
  // F16-NEXT: arith.addf %[[SUM]], %[[P]] : f32
  // MODEL: ^bb0(%[[X:.*]]: f32, %[[W:.*]]: f32, %[[SUM:.*]]: f32):
  // MODEL-NEXT: arith.mulf %[[X]], %[[W]] : f32
  %y = linalg.generic {indexing_maps = [#row, #both, #out], iterator_types = ["parallel", "reduction"]}
      ins(%x, %w : tensor<7xf32>, tensor<70x7xf32>) outs(%init : tensor<70xf32>) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %sum, %p : f32
    linalg.yield %s : f32
  } -> tensor<70xf32>

  // What only elementwise ops read stays as it is.
  // F16: wafer.parameter [@gain] : tensor<70xf32>
  %gain = wafer.parameter [@gain] : tensor<70xf32>
  // A file's own halves stay where they are stored; arithmetic is single.
  // ALL: wafer.parameter [@half] : tensor<70x70xf16>
  // F32: wafer.parameter [@half] : tensor<70x70xf32>
  %half = wafer.parameter [@half] : tensor<70x70xf16>
  %empty16 = tensor.empty() : tensor<70xf16>
  %zero16 = arith.constant 0.0 : f16
  %init16 = linalg.fill ins(%zero16 : f16) outs(%empty16 : tensor<70xf16>) -> tensor<70xf16>
  // ALL: linalg.generic
  // ALL-NEXT: ^bb0(%[[A:.*]]: f32, %[[G:.*]]: f32, %{{.*}}: f32):
  // ALL-NEXT: %[[M:.*]] = arith.mulf %[[A]], %[[G]] : f32
  // ALL-NEXT: linalg.yield %[[M]] : f32
  %scaled = linalg.generic {indexing_maps = [#vector, #vector, #vector], iterator_types = ["parallel"]}
      ins(%y, %gain : tensor<70xf32>, tensor<70xf32>) outs(%empty16 : tensor<70xf16>) {
  ^bb0(%a: f32, %b: f32, %o: f16):
    %p = arith.mulf %a, %b : f32
    %t = arith.truncf %p : f32 to f16
    linalg.yield %t : f16
  } -> tensor<70xf16>
  // ALL: ^bb0(%{{.*}}: f32, %{{.*}}: f16, %{{.*}}: f32):
  // ALL: arith.addf {{.*}} : f32
  // F32-NOT: f16
  %z = linalg.generic {indexing_maps = [#row, #both, #out], iterator_types = ["parallel", "reduction"]}
      ins(%scaled, %half : tensor<70xf16>, tensor<70x70xf16>) outs(%init16 : tensor<70xf16>) {
  ^bb0(%a: f16, %b: f16, %sum: f16):
    %p = arith.mulf %a, %b : f16
    %s = arith.addf %sum, %p : f16
    linalg.yield %s : f16
  } -> tensor<70xf16>

  %p = wafer.position : tensor<i32>
  // F16: wafer.state ["k"] : tensor<4x70xf16>
  // MODEL: wafer.state ["k"] : tensor<4x70xf32>
  %k = wafer.state ["k"] : tensor<4x70xf32>
  %new = tensor.expand_shape %y [[0, 1]] output_shape [1, 70] : tensor<70xf32> into tensor<1x70xf32>
  // F16: wafer.append {{.*}} : tensor<1x70xf32> into tensor<4x70xf16> -> tensor<4x70xf16>
  %held = wafer.append %new into %k at %p : tensor<i32> dim 0 : tensor<1x70xf32> into tensor<4x70xf32> -> tensor<4x70xf32>
  %e4 = tensor.empty() : tensor<4xf32>
  %i4 = linalg.fill ins(%zero : f32) outs(%e4 : tensor<4xf32>) -> tensor<4xf32>
  %scores = linalg.generic {indexing_maps = [#row, #both, #out], iterator_types = ["parallel", "reduction"]}
      ins(%y, %held : tensor<70xf32>, tensor<4x70xf32>) outs(%i4 : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %q = arith.mulf %a, %b : f32
    %s = arith.addf %sum, %q : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  // Beside halves functions need not be exact, but where angles come from.
  // ALL: math.exp %{{.*}} fastmath<afn> : f32
  // F32: math.exp %{{[a-z0-9_]*}} : f32
  %weights = linalg.generic {indexing_maps = [#vector, #vector], iterator_types = ["parallel"]}
      ins(%scores : tensor<4xf32>) outs(%e4 : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = math.exp %a : f32
    linalg.yield %q : f32
  } -> tensor<4xf32>
  wafer.output "weights", %weights : tensor<4xf32>
  // ALL: math.exp %{{[a-z0-9_]*}} : f32
  %speeds = linalg.generic {indexing_maps = [#vector, #vector], iterator_types = ["parallel"]}
      ins(%scores : tensor<4xf32>) outs(%e4 : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = math.exp %a : f32
    linalg.yield %q : f32
  } -> tensor<4xf32>
  %angles4 = linalg.generic {indexing_maps = [#vector, #vector], iterator_types = ["parallel"]}
      ins(%speeds : tensor<4xf32>) outs(%e4 : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = math.cos %a : f32
    linalg.yield %q : f32
  } -> tensor<4xf32>
  wafer.output "cosines", %angles4 : tensor<4xf32>
  // ALL: wafer.output "z", %{{.*}} : tensor<70xf32>
  wafer.output "z", %z : tensor<70xf16>
  return
}
