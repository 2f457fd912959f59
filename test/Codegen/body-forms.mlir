// RUN: waferloom-opt %s --convert-fabric-to-core=target=grid-4x4 --split-input-file | FileCheck %s

// How an op of a body is computed with what only it reads.

#0 = affine_map<(i) -> (i)>
// A product by a constant that is added is one instruction.
// CHECK: core.program "main"
// CHECK: core.vector fma [4] f32[@{{.*}}] = f32(1.000000e+00), f32[@x], f32(5.000000e-01)
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1 shapes {x = array<i64: 4>, y = array<i64: 4>}
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [0], output = [0]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = arith.constant 0.5 : f32
    %one = arith.constant 1.0 : f32
    %r = arith.mulf %c, %a : f32
    %q = arith.addf %r, %one : f32
    linalg.yield %q : f32
  } -> tensor<4xf32>
  wafer.output "y", %s {layout = #wafer.layout<[*]>} : tensor<4xf32>
  return
}

// -----

#0 = affine_map<(i) -> (i)>
// It is not where the product is read twice.
// CHECK: core.program "main"
// CHECK-NOT: core.vector fma
// CHECK: core.vector mul
// CHECK: core.vector add
// CHECK: core.vector mul
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1 shapes {x = array<i64: 4>, y = array<i64: 4>}
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [0], output = [0]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = arith.constant 0.5 : f32
    %one = arith.constant 1.0 : f32
    %r = arith.mulf %c, %a : f32
    %q = arith.addf %r, %one : f32
    %t = arith.mulf %q, %r : f32
    linalg.yield %t : f32
  } -> tensor<4xf32>
  wafer.output "y", %s {layout = #wafer.layout<[*]>} : tensor<4xf32>
  return
}

// -----

#0 = affine_map<(i) -> (i)>
// A sigmoid needs no negation, its divisor no clamps, and an exponent that cannot
// leave its range is added as an integer.
// CHECK: core.program "main"
// CHECK-NOT: core.vector neg
// CHECK: core.vector max [4] f32[@{{.*}}] = f32[@x], f32(-8.600000e+01)
// CHECK-NEXT: core.vector min
// CHECK-NEXT: core.vector fma
// CHECK-SAME: f32(-1.442695
// CHECK-NEXT: core.vector sub
// CHECK-NEXT: core.vector fma
// CHECK-NEXT: core.vector fma
// CHECK-COUNT-2: core.vector mul
// CHECK: core.vector shl
// CHECK-NEXT: core.vector add [4] i32
// CHECK-NEXT: core.vector add [4] f32
// CHECK-NEXT: core.vector sub
// CHECK-NEXT: core.vector mul
// CHECK-NEXT: core.vector fma
// CHECK-NEXT: core.vector mul
// CHECK-NEXT: core.vector mov {{.*}}@y
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1 shapes {x = array<i64: 4>, y = array<i64: 4>}
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [0], output = [0]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %one = arith.constant 1.0 : f32
    %n = arith.negf %a : f32
    %p = math.exp %n fastmath<afn> : f32
    %d = arith.addf %p, %one : f32
    %q = arith.divf %one, %d fastmath<afn> : f32
    linalg.yield %q : f32
  } -> tensor<4xf32>
  wafer.output "y", %s {layout = #wafer.layout<[*]>} : tensor<4xf32>
  return
}

// -----

#0 = affine_map<(i) -> (i)>
// What is never positive is clamped below only.
// CHECK: core.program "main"
// CHECK: core.vector max
// CHECK-NOT: core.vector min
// CHECK: core.vector shl
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1 shapes {x = array<i64: 4>, y = array<i64: 4>}
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [0], output = [0]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %p = math.exp %a fastmath<ninf> : f32
    linalg.yield %p : f32
  } -> tensor<4xf32>
  wafer.output "y", %s {layout = #wafer.layout<[*]>} : tensor<4xf32>
  return
}

// -----

#0 = affine_map<(i) -> (i)>
// A bounded divisor is not clamped at all, and the reciprocal is not moved.
// CHECK: core.program "main"
// CHECK-NOT: core.vector {{min|max|eq|select}}
// CHECK: core.vector sub
// CHECK-NEXT: core.vector mul
// CHECK-NEXT: core.vector fma
// CHECK-NEXT: core.vector mul
// CHECK-NEXT: core.vector add
// CHECK-NEXT: core.vector mul
wafer.program region <x = 1, y = 1> {
  wafer.entry "main" of @main tokens 1 shapes {x = array<i64: 4>, y = array<i64: 4>}
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 1)>,
    fabric.queues = #fabric.queues<input = [0], output = [0]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[*]>} : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %one = arith.constant 1.0 : f32
    %p = arith.divf %one, %a fastmath<ninf> : f32
    linalg.yield %p : f32
  } -> tensor<4xf32>
  wafer.output "y", %s {layout = #wafer.layout<[*]>} : tensor<4xf32>
  return
}
