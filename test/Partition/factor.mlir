// RUN: waferloom-opt %s --partition-factor --split-input-file | FileCheck %s

wafer.program {
  wafer.entry "heads" of @heads tokens 1
}
// Heads become dimensions and unit dimensions vanish: the reshape is nothing.
// CHECK-LABEL: func.func @heads
func.func @heads() {
  // CHECK: %[[W:.*]] = wafer.parameter [@w] : tensor<10x4x6xf32>
  %w = wafer.parameter [@w] : tensor<10x24xf32>
  // CHECK: wafer.input "x" : tensor<10xf32>
  %x = wafer.input "x" : tensor<1x10xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x24xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x24xf32>) -> tensor<1x24xf32>
  // CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]
  // CHECK-SAME: outs(%{{.*}} : tensor<4x6xf32>)
  %y = linalg.generic {indexing_maps = [affine_map<(m, o, d) -> (m, d)>, affine_map<(m, o, d) -> (d, o)>, affine_map<(m, o, d) -> (m, o)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<1x10xf32>, tensor<10x24xf32>) outs(%f : tensor<1x24xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<1x24xf32>
  // CHECK-NOT: expand_shape
  %h = tensor.expand_shape %y [[0], [1, 2]] output_shape [1, 4, 6] : tensor<1x24xf32> into tensor<1x4x6xf32>
  // CHECK: wafer.output "h", %{{.*}} : tensor<4x6xf32>
  wafer.output "h", %h : tensor<1x4x6xf32>
  return
}
wafer.weight @w : tensor<10x24xf32>

// -----

wafer.program {
  wafer.entry "halves" of @halves tokens 1
}
// Halves are an index of a dimension of two, and so are every other element.
// CHECK-LABEL: func.func @halves
func.func @halves() {
  // CHECK: wafer.input "x" : tensor<5x2x3xf32>
  %x = wafer.input "x" : tensor<5x6xf32>
  // CHECK: tensor.extract_slice %{{.*}}[0, 0, 0] [5, 1, 3] [1, 1, 1] : tensor<5x2x3xf32> to tensor<5x3xf32>
  %lo = tensor.extract_slice %x[0, 0] [5, 3] [1, 1] : tensor<5x6xf32> to tensor<5x3xf32>
  // CHECK: tensor.extract_slice %{{.*}}[0, 1, 0] [5, 1, 3] [1, 1, 1] : tensor<5x2x3xf32> to tensor<5x3xf32>
  %hi = tensor.extract_slice %x[0, 3] [5, 3] [1, 1] : tensor<5x6xf32> to tensor<5x3xf32>
  // CHECK: tensor.concat dim(1) {{.*}} : (tensor<5x1x3xf32>, tensor<5x1x3xf32>) -> tensor<5x2x3xf32>
  %r = tensor.concat dim(1) %hi, %lo : (tensor<5x3xf32>, tensor<5x3xf32>) -> tensor<5x6xf32>
  wafer.output "r", %r : tensor<5x6xf32>
  // CHECK: wafer.input "z" : tensor<5x2xf32>
  %z = wafer.input "z" : tensor<10xf32>
  // CHECK: tensor.extract_slice %{{.*}}[0, 1] [5, 1] [1, 1] : tensor<5x2xf32> to tensor<5xf32>
  %odd = tensor.extract_slice %z[1] [5] [2] : tensor<10xf32> to tensor<5xf32>
  wafer.output "odd", %odd : tensor<5xf32>
  return
}

// -----

wafer.program {
  wafer.entry "sources" of @sources tokens 1
}
// A constant that differs from element to element is distributed as a weight;
// a count over a factored dimension is put together from counts over its factors.
// CHECK: wafer.weight @constant = dense<[1.0{{.*}}, 5.0{{.*}}]>
// CHECK-LABEL: func.func @sources
func.func @sources() {
  // CHECK: wafer.parameter [@constant] : tensor<2xf32>
  %c = arith.constant dense<[1.0, 0.5]> : tensor<2xf32>
  wafer.output "c", %c : tensor<2xf32>
  // CHECK: wafer.iota : tensor<3xi32>
  // CHECK: wafer.iota : tensor<4xi32>
  // CHECK: arith.muli
  %i = wafer.iota : tensor<12xi32>
  %r = tensor.expand_shape %i [[0, 1]] output_shape [3, 4] : tensor<12xi32> into tensor<3x4xi32>
  wafer.output "r", %r : tensor<3x4xi32>
  return
}

// -----

wafer.program {
  wafer.entry "not_nested" of @not_nested tokens 1
}
// Boundaries that do not nest: reshapes stay, and go through one dimension.
// CHECK-LABEL: func.func @not_nested
func.func @not_nested() {
  // CHECK: %[[X:.*]] = wafer.input "x" : tensor<6x4xf32>
  %x = wafer.input "x" : tensor<6x4xf32>
  // CHECK: %[[ALL:.*]] = tensor.collapse_shape %[[X]] {{.*}} into tensor<24xf32>
  %y = tensor.collapse_shape %x [[0, 1]] : tensor<6x4xf32> into tensor<24xf32>
  %b = tensor.expand_shape %y [[0, 1]] output_shape [4, 6] : tensor<24xf32> into tensor<4x6xf32>
  // CHECK: %[[B:.*]] = tensor.expand_shape %[[ALL]] {{.*}} into tensor<4x6xf32>
  // CHECK: wafer.output "b", %[[B]]
  wafer.output "b", %b : tensor<4x6xf32>
  return
}

// -----

wafer.program {
  wafer.entry "turned" of @turned tokens 1
}
// 12 of 16 elements rotated by halves: what cuts and joins shares pieces of 2,
// the greatest that all cuts leave whole, and only the pieces are one dimension.
// CHECK-LABEL: func.func @turned
func.func @turned() {
  // CHECK: %[[X:.*]] = wafer.input "x" : tensor<4x2x2xf32>
  %x = wafer.input "x" : tensor<16xf32>
  // CHECK: %[[PIECES:.*]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1], [2]] : tensor<4x2x2xf32> into tensor<8x2xf32>
  // CHECK: %[[LOW:.*]] = tensor.extract_slice %[[PIECES]][0, 0] [3, 2] [1, 1]
  %a = tensor.extract_slice %x[0] [6] [1] : tensor<16xf32> to tensor<6xf32>
  // CHECK: %[[HIGH:.*]] = tensor.extract_slice %{{.*}}[3, 0] [3, 2] [1, 1]
  %b = tensor.extract_slice %x[6] [6] [1] : tensor<16xf32> to tensor<6xf32>
  // CHECK: %[[REST:.*]] = tensor.extract_slice %[[X]][3, 0, 0] [1, 2, 2] [1, 1, 1]
  %c = tensor.extract_slice %x[12] [4] [1] : tensor<16xf32> to tensor<4xf32>
  // CHECK: tensor.concat dim(0) %[[HIGH]], %[[LOW]], %[[REST]] : (tensor<3x2xf32>, tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<8x2xf32>
  %y = tensor.concat dim(0) %b, %a, %c : (tensor<6xf32>, tensor<6xf32>, tensor<4xf32>) -> tensor<16xf32>
  wafer.output "y", %y : tensor<16xf32>
  return
}

// -----

wafer.program {
  wafer.entry "turned_twice" of @turned_twice tokens 1
}
// The same in two steps: 12 as 3 x 4 for the first, as 2 x 6 for the second,
// which do not nest, but as 6 x 2 they do. The weight keeps its dimensions.
// CHECK-LABEL: func.func @turned_twice
func.func @turned_twice() {
  %x = wafer.input "x" : tensor<16xf32>
  %r = tensor.extract_slice %x[0] [12] [1] : tensor<16xf32> to tensor<12xf32>
  // CHECK: %[[R:.*]] = tensor.extract_slice %{{.*}}[0, 0] [6, 2] [1, 1] : tensor<8x2xf32> to tensor<6x2xf32>
  // CHECK: tensor.extract_slice %[[R]][0, 0] [3, 2] [1, 1] : tensor<6x2xf32> to tensor<3x2xf32>
  %a = tensor.extract_slice %r[0] [6] [1] : tensor<12xf32> to tensor<6xf32>
  // CHECK: wafer.parameter [@table] : tensor<5x3x2xf32>
  %t = wafer.parameter [@table] : tensor<5x6xf32>
  %e = tensor.empty() : tensor<5x6xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(r, d) -> (d)>, affine_map<(r, d) -> (r, d)>, affine_map<(r, d) -> (r, d)>], iterator_types = ["parallel", "parallel"]}
      ins(%a, %t : tensor<6xf32>, tensor<5x6xf32>) outs(%e : tensor<5x6xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %0 = arith.mulf %u, %v : f32
    linalg.yield %0 : f32
  } -> tensor<5x6xf32>
  %c = tensor.extract_slice %x[12] [4] [1] : tensor<16xf32> to tensor<4xf32>
  wafer.output "p", %p : tensor<5x6xf32>
  wafer.output "c", %c : tensor<4xf32>
  return
}
wafer.weight @table : tensor<5x6xf32>

// -----

wafer.program {
  wafer.entry "lookup" of @lookup tokens 1
}
// Rows that are factored elsewhere are one dimension for who looks them up.
// CHECK-LABEL: func.func @lookup
func.func @lookup() {
  // CHECK: %[[I:.*]] = wafer.input "i"
  %i = wafer.input "i" : tensor<5xi32>
  // CHECK: %[[X:.*]] = wafer.input "x" : tensor<2x3x4xf32>
  %x = wafer.input "x" : tensor<6x4xf32>
  %y = tensor.expand_shape %x [[0, 1], [2]] output_shape [2, 3, 4] : tensor<6x4xf32> into tensor<2x3x4xf32>
  // CHECK: %[[ALL:.*]] = tensor.collapse_shape %[[X]] {{.*}} into tensor<6x4xf32>
  // CHECK: wafer.lookup %[[ALL]][%[[I]]]
  %rows = wafer.lookup %x[%i] : (tensor<6x4xf32>, tensor<5xi32>) -> tensor<5x4xf32>
  wafer.output "y", %y : tensor<2x3x4xf32>
  wafer.output "rows", %rows : tensor<5x4xf32>
  return
}

// -----

wafer.program {
  wafer.entry "one_row" of @one_row tokens 1
}
// CHECK-LABEL: func.func @one_row
func.func @one_row() {
  %i = wafer.input "i" : tensor<5xi32>
  // CHECK: %[[X:.*]] = wafer.input "x" : tensor<4xf32>
  %x = wafer.input "x" : tensor<1x4xf32>
  // CHECK: %[[ROW:.*]] = tensor.expand_shape %[[X]] {{.*}} into tensor<1x4xf32>
  // CHECK: wafer.lookup %[[ROW]]
  %rows = wafer.lookup %x[%i] : (tensor<1x4xf32>, tensor<5xi32>) -> tensor<5x4xf32>
  wafer.output "rows", %rows : tensor<5x4xf32>
  return
}

// -----

wafer.program {
  wafer.entry "readers" of @readers tokens 1
}
wafer.weight @w from "w" at 0 : tensor<6x3xf32>
// Readers of a weight whose shapes do not nest each see it as one dimension.
// CHECK-LABEL: func.func @readers
func.func @readers() {
  // CHECK: %[[A:.*]] = wafer.parameter [@w] : tensor<18xf32>
  // CHECK: tensor.expand_shape %[[A]] {{.*}} into tensor<6x3xf32>
  %a = wafer.parameter [@w] : tensor<6x3xf32>
  // CHECK: %[[B:.*]] = wafer.parameter [@w] : tensor<18xf32>
  // CHECK: tensor.expand_shape %[[B]] {{.*}} into tensor<9x2xf32>
  %b = wafer.parameter [@w] : tensor<9x2xf32>
  wafer.output "a", %a : tensor<6x3xf32>
  wafer.output "b", %b : tensor<9x2xf32>
  return
}

// -----

wafer.program {
  wafer.entry "strided" of @strided tokens 1
}
// A slice with a step that is no index of a minor factor shares no boundaries.
// CHECK-LABEL: func.func @strided
func.func @strided() {
  // CHECK: %[[X:.*]] = wafer.input "x" : tensor<6xf32>
  %x = wafer.input "x" : tensor<6xf32>
  // CHECK: tensor.extract_slice %[[X]][2] [2] [2] : tensor<6xf32> to tensor<2xf32>
  %y = tensor.extract_slice %x[2] [2] [2] : tensor<6xf32> to tensor<2xf32>
  wafer.output "y", %y : tensor<2xf32>
  return
}
