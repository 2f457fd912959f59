// RUN: waferloom-opt %s --algebra-local --canonicalize --cse --split-input-file | FileCheck %s

#row = affine_map<(d0, d1) -> (d1)>
#all = affine_map<(d0, d1) -> (d0, d1)>

// Scores of two heads over three slots: scaled, masked by a value, by the
// position and by the padding. The scale goes into the sum; both conditions are
// one, made in front of the loop; a select is left.

// CHECK: #[[$ALL:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK: #[[$ROW:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @masks
// CHECK: linalg.generic
// CHECK: arith.cmpi slt
// CHECK: } -> tensor<3xi1>
// CHECK: %[[BOTH:.*]] = linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<3xi1>, tensor<3xi1>)
// CHECK: arith.andi
// CHECK: wafer.repeat 2
// CHECK: %[[SUM:.*]] = linalg.generic {indexing_maps = [#[[$ALL]], #[[$ROW]], #[[$ALL]]]
// CHECK: arith.mulf %{{.*}}, %{{.*}} : f32
// CHECK: arith.addf
// CHECK: %[[MASKED:.*]] = linalg.generic {indexing_maps = [#[[$ALL]], #[[$ROW]], #[[$ALL]]]
// CHECK-SAME: ins(%[[SUM]], %[[BOTH]] : tensor<2x3xf32>, tensor<3xi1>)
// CHECK: arith.select
// CHECK: wafer.yield %[[MASKED]]
func.func @masks(%scores: tensor<2x3xf32>, %mask: tensor<3xf32>, %live: tensor<3xi1>,
                 %slots: tensor<3xi32>) -> tensor<2x3xf32> {
  %0 = wafer.repeat 2 (%x = %scores) : tensor<2x3xf32> {
    %init = tensor.empty() : tensor<2x3xf32>
    %1 = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
        ins(%x : tensor<2x3xf32>) outs(%init : tensor<2x3xf32>) {
    ^bb0(%a: f32, %o: f32):
      %c = arith.constant 0.125 : f32
      %v = arith.mulf %a, %c : f32
      linalg.yield %v : f32
    } -> tensor<2x3xf32>
    %2 = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
        ins(%1, %mask : tensor<2x3xf32>, tensor<3xf32>) outs(%init : tensor<2x3xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %v = arith.addf %a, %b : f32
      linalg.yield %v : f32
    } -> tensor<2x3xf32>
    %3 = linalg.generic {indexing_maps = [#row, #all, #all], iterator_types = ["parallel", "parallel"]}
        ins(%live, %2 : tensor<3xi1>, tensor<2x3xf32>) outs(%init : tensor<2x3xf32>) {
    ^bb0(%a: i1, %b: f32, %o: f32):
      %c = arith.constant 0xFF800000 : f32
      %v = arith.select %a, %b, %c : f32
      linalg.yield %v : f32
    } -> tensor<2x3xf32>
    %4 = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
        ins(%3, %slots : tensor<2x3xf32>, tensor<3xi32>) outs(%init : tensor<2x3xf32>) {
    ^bb0(%a: f32, %b: i32, %o: f32):
      %c = arith.constant 0xFF800000 : f32
      %n = arith.constant 256 : i32
      %t = arith.cmpi slt, %b, %n : i32
      %v = arith.select %t, %a, %c : f32
      linalg.yield %v : f32
    } -> tensor<2x3xf32>
    wafer.yield %4 : tensor<2x3xf32>
  }
  return %0 : tensor<2x3xf32>
}

// -----

#all = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#head = affine_map<(d0, d1, d2) -> (d0)>
#element = affine_map<(d0, d1, d2) -> (d2)>

// Masks of heads and of their elements are one of both.

// CHECK: #[[$LEFT:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK: #[[$RIGHT:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK: #[[$WHOLE:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK: #[[$SIDES:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK: #[[$ALL:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-LABEL: func.func @sides
// CHECK-SAME: (%[[X:.*]]: tensor<3x2x4xf32>, %[[HEADS:.*]]: tensor<3xi1>, %[[ELEMENTS:.*]]: tensor<4xi1>)
// CHECK: %[[BOTH:.*]] = linalg.generic {indexing_maps = [#[[$LEFT]], #[[$RIGHT]], #[[$WHOLE]]]
// CHECK-SAME: ins(%[[HEADS]], %[[ELEMENTS]] : tensor<3xi1>, tensor<4xi1>)
// CHECK: arith.andi
// CHECK: wafer.repeat 2 (%[[ARG:.*]] = %[[X]])
// CHECK: linalg.generic {indexing_maps = [#[[$SIDES]], #[[$ALL]], #[[$ALL]]]
// CHECK-SAME: ins(%[[BOTH]], %[[ARG]] : tensor<3x4xi1>, tensor<3x2x4xf32>)
// CHECK: arith.select
// CHECK-NOT: arith.select
// CHECK: wafer.yield
func.func @sides(%x: tensor<3x2x4xf32>, %heads: tensor<3xi1>, %elements: tensor<4xi1>) -> tensor<3x2x4xf32> {
  %0 = wafer.repeat 2 (%a = %x) : tensor<3x2x4xf32> {
    %init = tensor.empty() : tensor<3x2x4xf32>
    %1 = linalg.generic {indexing_maps = [#all, #head, #all], iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%a, %heads : tensor<3x2x4xf32>, tensor<3xi1>) outs(%init : tensor<3x2x4xf32>) {
    ^bb0(%v: f32, %m: i1, %o: f32):
      %c = arith.constant 0.0 : f32
      %s = arith.select %m, %v, %c : f32
      linalg.yield %s : f32
    } -> tensor<3x2x4xf32>
    %2 = linalg.generic {indexing_maps = [#element, #all, #all], iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%elements, %1 : tensor<4xi1>, tensor<3x2x4xf32>) outs(%init : tensor<3x2x4xf32>) {
    ^bb0(%m: i1, %v: f32, %o: f32):
      %c = arith.constant 0.0 : f32
      %s = arith.select %m, %v, %c : f32
      linalg.yield %s : f32
    } -> tensor<3x2x4xf32>
    wafer.yield %2 : tensor<3x2x4xf32>
  }
  return %0 : tensor<3x2x4xf32>
}

// -----

#all = affine_map<(d0) -> (d0)>

// These stay: masks with other values behind them, a mask that each trip makes,
// a product that others read too, messages, and weights of the trips.

// CHECK-LABEL: func.func @stays
// CHECK-NOT: linalg.generic
// CHECK: wafer.repeat 2
// CHECK-COUNT-2: arith.select
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK: arith.addf
// CHECK: wafer.all_reduce
// CHECK: wafer.parameter
wafer.weight @a from "a.bin" at 0 : tensor<3xf32>
wafer.weight @b from "b.bin" at 0 : tensor<3xf32>
func.func @stays(%given: tensor<3xf32>, %live: tensor<3xi1>) -> tensor<3xf32> {
  %0 = wafer.repeat 2 (%x = %given) : tensor<3xf32> {
    %init = tensor.empty() : tensor<3xf32>
    %1 = linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel"]}
        ins(%live, %x : tensor<3xi1>, tensor<3xf32>) outs(%init : tensor<3xf32>) {
    ^bb0(%a: i1, %b: f32, %o: f32):
      %c = arith.constant 0xFF800000 : f32
      %v = arith.select %a, %b, %c : f32
      linalg.yield %v : f32
    } -> tensor<3xf32>
    %2 = linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel"]}
        ins(%live, %1 : tensor<3xi1>, tensor<3xf32>) outs(%init : tensor<3xf32>) {
    ^bb0(%a: i1, %b: f32, %o: f32):
      %c = arith.constant 0.0 : f32
      %v = arith.select %a, %b, %c : f32
      linalg.yield %v : f32
    } -> tensor<3xf32>
    %3 = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel"]}
        ins(%2 : tensor<3xf32>) outs(%init : tensor<3xf32>) {
    ^bb0(%a: f32, %o: f32):
      %c = arith.constant 0.125 : f32
      %v = arith.mulf %a, %c : f32
      linalg.yield %v : f32
    } -> tensor<3xf32>
    %4 = linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel"]}
        ins(%3, %x : tensor<3xf32>, tensor<3xf32>) outs(%init : tensor<3xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %v = arith.addf %a, %b : f32
      linalg.yield %v : f32
    } -> tensor<3xf32>
    %5 = linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel"]}
        ins(%3, %4 : tensor<3xf32>, tensor<3xf32>) outs(%init : tensor<3xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %v = arith.addf %a, %b : f32
      linalg.yield %v : f32
    } -> tensor<3xf32>
    %6 = wafer.all_reduce %given over [x] sum : (tensor<3xf32>) -> tensor<3xf32>
    %7 = wafer.parameter [@a, @b] : tensor<3xf32>
    %8 = linalg.generic {indexing_maps = [#all, #all, #all, #all], iterator_types = ["parallel"]}
        ins(%5, %6, %7 : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) outs(%init : tensor<3xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
      %v = arith.maximumf %a, %b : f32
      %w = arith.maximumf %v, %c : f32
      linalg.yield %w : f32
    } -> tensor<3xf32>
    wafer.yield %8 : tensor<3xf32>
  }
  return %0 : tensor<3xf32>
}

// -----

#row = affine_map<(d0) -> (d0)>

// What is computed at a root is in the loop, too.

// CHECK-LABEL: func.func @at_roots
// CHECK: arith.cmpi slt
// CHECK: wafer.repeat 2
// CHECK: wafer.reduce_apply_broadcast
// CHECK-NOT: arith.cmpi
// CHECK: arith.select
// CHECK: wafer.yield
func.func @at_roots(%given: tensor<3xf32>, %slots: tensor<3xi32>) -> tensor<3xf32> {
  %0 = wafer.repeat 2 (%x = %given) : tensor<3xf32> {
    %1 = wafer.reduce_apply_broadcast %x over [y] sum {
    ^bb0(%s: tensor<3xf32>):
      %init = tensor.empty() : tensor<3xf32>
      %2 = linalg.generic {indexing_maps = [#row, #row, #row], iterator_types = ["parallel"]}
          ins(%s, %slots : tensor<3xf32>, tensor<3xi32>) outs(%init : tensor<3xf32>) {
      ^bb0(%a: f32, %b: i32, %o: f32):
        %c = arith.constant 0.0 : f32
        %n = arith.constant 2 : i32
        %t = arith.cmpi slt, %b, %n : i32
        %v = arith.select %t, %a, %c : f32
        linalg.yield %v : f32
      } -> tensor<3xf32>
      wafer.yield %2 : tensor<3xf32>
    } : (tensor<3xf32>) -> tensor<3xf32>
    wafer.yield %1 : tensor<3xf32>
  }
  return %0 : tensor<3xf32>
}
