// RUN: waferloom-opt %s --codegen=target=wse3 --split-input-file | FileCheck %s

// Two products of 2 outputs with the same factor of 12, and one. A product alone
// is multiplied whole and folded; both together are quicker row by row, for
// core-merge makes common rows of them.

#w = affine_map<(n, k) -> (k, n)>
#x = affine_map<(n, k) -> (k)>
#y = affine_map<(n, k) -> (n)>
#id = affine_map<(n) -> (n)>

// CHECK-LABEL: core.program "main"
// CHECK-COUNT-12: core.vector fma [2, 2] f32
// CHECK-NOT: core.vector mul
// CHECK: core.vector max
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1
}
wafer.weight @a0 : tensor<12x2xf16>
wafer.weight @a1 : tensor<12x2xf16>
wafer.weight @b0 : tensor<12x2xf16>
wafer.weight @b1 : tensor<12x2xf16>
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [], output = []>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<12xf32>
  %t = wafer.input "t" {layout = #wafer.layout<[*]>} : tensor<2xf32>
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2xf32>
  %i = linalg.fill ins(%z : f32) outs(%e : tensor<2xf32>) -> tensor<2xf32>
  %r = wafer.repeat 2 (%s = %t) : tensor<2xf32> {
    %a = wafer.parameter [@a0, @a1] {layout = #wafer.layout<[*, *]>} : tensor<12x2xf16>
    %b = wafer.parameter [@b0, @b1] {layout = #wafer.layout<[*, *]>} : tensor<12x2xf16>
    %p = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
        ins(%x, %a : tensor<12xf32>, tensor<12x2xf16>) outs(%i : tensor<2xf32>) {
    ^bb0(%0: f32, %1: f16, %o: f32):
      %2 = arith.truncf %0 : f32 to f16
      %3 = arith.extf %2 : f16 to f32
      %4 = arith.extf %1 : f16 to f32
      %5 = arith.mulf %3, %4 : f32
      %6 = arith.addf %o, %5 : f32
      linalg.yield %6 : f32
    } -> tensor<2xf32>
    %q = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
        ins(%x, %b : tensor<12xf32>, tensor<12x2xf16>) outs(%i : tensor<2xf32>) {
    ^bb0(%0: f32, %1: f16, %o: f32):
      %2 = arith.truncf %0 : f32 to f16
      %3 = arith.extf %2 : f16 to f32
      %4 = arith.extf %1 : f16 to f32
      %5 = arith.mulf %3, %4 : f32
      %6 = arith.addf %o, %5 : f32
      linalg.yield %6 : f32
    } -> tensor<2xf32>
    %m = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel"]}
        ins(%s, %p, %q : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) outs(%e : tensor<2xf32>) {
    ^bb0(%0: f32, %1: f32, %2: f32, %o: f32):
      %3 = arith.maximumf %0, %1 : f32
      %4 = arith.maximumf %3, %2 : f32
      linalg.yield %4 : f32
    } -> tensor<2xf32>
    wafer.yield %m : tensor<2xf32>
  }
  wafer.output "y", %r {layout = #wafer.layout<[*]>} : tensor<2xf32>
  return
}

// -----

#w = affine_map<(n, k) -> (k, n)>
#x = affine_map<(n, k) -> (k)>
#y = affine_map<(n, k) -> (n)>
#id = affine_map<(n) -> (n)>

// CHECK-LABEL: core.program "main"
// CHECK: core.vector mul [2, 12] f32
// CHECK-NOT: core.vector fma
// CHECK: core.vector max
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1
}
wafer.weight @a0 : tensor<12x2xf16>
wafer.weight @a1 : tensor<12x2xf16>
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [], output = []>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<12xf32>
  %t = wafer.input "t" {layout = #wafer.layout<[*]>} : tensor<2xf32>
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2xf32>
  %i = linalg.fill ins(%z : f32) outs(%e : tensor<2xf32>) -> tensor<2xf32>
  %r = wafer.repeat 2 (%s = %t) : tensor<2xf32> {
    %a = wafer.parameter [@a0, @a1] {layout = #wafer.layout<[*, *]>} : tensor<12x2xf16>
    %p = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
        ins(%x, %a : tensor<12xf32>, tensor<12x2xf16>) outs(%i : tensor<2xf32>) {
    ^bb0(%0: f32, %1: f16, %o: f32):
      %2 = arith.truncf %0 : f32 to f16
      %3 = arith.extf %2 : f16 to f32
      %4 = arith.extf %1 : f16 to f32
      %5 = arith.mulf %3, %4 : f32
      %6 = arith.addf %o, %5 : f32
      linalg.yield %6 : f32
    } -> tensor<2xf32>
    %m = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
        ins(%s, %p : tensor<2xf32>, tensor<2xf32>) outs(%e : tensor<2xf32>) {
    ^bb0(%0: f32, %1: f32, %o: f32):
      %3 = arith.maximumf %0, %1 : f32
      linalg.yield %3 : f32
    } -> tensor<2xf32>
    wafer.yield %m : tensor<2xf32>
  }
  wafer.output "y", %r {layout = #wafer.layout<[*]>} : tensor<2xf32>
  return
}

// -----

// A sum of 32 by halves. 16 and 16 begin in the same bank, 14 and 18 do not;
// down to one element no step takes twice as long but the last small ones.

#w = affine_map<(n, k) -> (k, n)>
#x = affine_map<(n, k) -> (k)>
#y = affine_map<(n, k) -> (n)>

// CHECK-LABEL: core.program "main"
// CHECK: core.vector mul [8, 32] f32[@[[ALL:[a-z0-9_]+]]]
// CHECK-NEXT: core.vector add [8, 14] f32[@[[ALL]] : 32, 1] = f32[@[[ALL]] : 32, 1], f32[@[[ALL]] + 72 : 32, 1]
// CHECK-NEXT: core.vector add [8, 8] f32[@[[ALL]] : 32, 1] = f32[@[[ALL]] : 32, 1], f32[@[[ALL]] + 40 : 32, 1]
// CHECK-NEXT: core.vector add [8, 4] f32[@[[ALL]] : 32, 1] = f32[@[[ALL]] : 32, 1], f32[@[[ALL]] + 24 : 32, 1]
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [], output = []>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<32xf32>
  %v = wafer.input "v" {layout = #wafer.layout<[*, *]>} : tensor<32x8xf32>
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %i = linalg.fill ins(%z : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %p = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
      ins(%x, %v : tensor<32xf32>, tensor<32x8xf32>) outs(%i : tensor<8xf32>) {
  ^bb0(%0: f32, %1: f32, %o: f32):
    %5 = arith.mulf %0, %1 : f32
    %6 = arith.addf %o, %5 : f32
    linalg.yield %6 : f32
  } -> tensor<8xf32>
  wafer.output "p", %p {layout = #wafer.layout<[*]>} : tensor<8xf32>
  return
}
