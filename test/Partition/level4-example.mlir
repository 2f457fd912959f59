// RUN: waferloom-opt %s | waferloom-opt | FileCheck %s
//
// What partitioning hands on, written by hand: a row of an embedding, a norm, an
// attention over a small cache and a head, on 4 columns (x) and 2 rows (y).
//
//   D = 10 along y, padded to 12 so that each row holds 6 (5 would do here)
//   2 KV heads along x0, head_dim 4 whole; x1 replicates; cache of 7 slots
//   cyclic along y, padded to 8; vocabulary 23 along x0 x1, padded to 24

wafer.program region <x = 2 x 2, y = 2> {
  wafer.entry "tokens1" of @tokens1 tokens 1
}
#id = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>

// CHECK: wafer.program region <x = 2 x 2, y = 2>
wafer.weight @embed : tensor<23x10xf32>
wafer.weight @gain : tensor<10xf32>
wafer.weight @wk : tensor<10x8xf32>
wafer.weight @wo : tensor<8x10xf32>

func.func @tokens1() {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %p = wafer.position : tensor<i32>
  %ids = wafer.input "input_ids" {fallback = "required", limit = 23 : i64, host_type = i64,
                                  layout = #wafer.layout<[]>} : tensor<i32>

  // Each PE owns the rows `%rows` of the table; the others of its row of PEs
  // have the rest. Rows that are not here read as zeros, so a sum finds them.
  %table = wafer.parameter [@embed] {layout = #wafer.layout<[x0 x1 live 23 padding 0, y live 10 padding 0]>} : tensor<6x6xf32>
  %rows = wafer.iota {layout = #wafer.layout<[x0 x1 live 23 padding num]>} : tensor<6xi32>
  // CHECK: wafer.lookup %{{.*}}[%{{.*}}] rows %{{.*}} : tensor<6xi32> : (tensor<6x6xf32>, tensor<i32>) -> tensor<6xf32>
  %x0 = wafer.lookup %table[%ids] rows %rows : tensor<6xi32> : (tensor<6x6xf32>, tensor<i32>) -> tensor<6xf32>
  // CHECK: wafer.all_reduce %{{.*}} over [x0, x1] sum : (tensor<6xf32>) -> tensor<6xf32>
  %x = wafer.all_reduce %x0 over [x0, x1] sum : (tensor<6xf32>) -> tensor<6xf32>

  // Sum of squares and product travel together.
  %g = wafer.parameter [@gain] {layout = #wafer.layout<[y live 10 padding 0]>} : tensor<6xf32>
  %e0 = tensor.empty() : tensor<f32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %ss0 = linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
      ins(%x : tensor<6xf32>) outs(%f0 : tensor<f32>) {
  ^bb0(%a: f32, %c: f32):
    %0 = arith.mulf %a, %a : f32
    %1 = arith.addf %c, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %e1 = tensor.empty() : tensor<6xf32>
  %xg = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x, %g : tensor<6xf32>, tensor<6xf32>) outs(%e1 : tensor<6xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %0 = arith.mulf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<6xf32>
  %wk = wafer.parameter [@wk] {layout = #wafer.layout<[y live 10 padding 0, x0, *]>} : tensor<6x1x4xf32>
  %e2 = tensor.empty() : tensor<1x4xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<1x4xf32>) -> tensor<1x4xf32>
  %k0 = linalg.generic {indexing_maps = [affine_map<(h, e, d) -> (d)>, affine_map<(h, e, d) -> (d, h, e)>, affine_map<(h, e, d) -> (h, e)>],
                        iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%xg, %wk : tensor<6xf32>, tensor<6x1x4xf32>) outs(%f2 : tensor<1x4xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %c, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<1x4xf32>
  // CHECK: %{{.*}}:2 = wafer.all_reduce %{{.*}}, %{{.*}} over [y] sum : (tensor<f32>, tensor<1x4xf32>) -> (tensor<f32>, tensor<1x4xf32>)
  %fused:2 = wafer.all_reduce %ss0, %k0 over [y] sum : (tensor<f32>, tensor<1x4xf32>) -> (tensor<f32>, tensor<1x4xf32>)

  // Position p lies at row p mod 2 of the PEs, slot p / 2: only that row stores.
  // The update of one token leaves the position's dimension out.
  %s = wafer.state ["past_key_values.0.key"] {layout = #wafer.layout<[x0, cyclic y live 7 padding num, *]>} : tensor<1x4x4xf32>
  %cache = wafer.append %fused#1 into %s at %p : tensor<i32> dim 1 {layout = #wafer.layout<[x0, cyclic y live 7 padding num, *]>}
      : tensor<1x4xf32> into tensor<1x4x4xf32> -> tensor<1x4x4xf32>
  %e3 = tensor.empty() : tensor<1x4xf32>
  %f3 = linalg.fill ins(%zero : f32) outs(%e3 : tensor<1x4xf32>) -> tensor<1x4xf32>
  %s0 = linalg.generic {indexing_maps = [affine_map<(h, s, e) -> (h, e)>, affine_map<(h, s, e) -> (h, s, e)>, affine_map<(h, s, e) -> (h, s)>],
                        iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%fused#1, %cache : tensor<1x4xf32>, tensor<1x4x4xf32>) outs(%f3 : tensor<1x4xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %c, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<1x4xf32>

  // The causal mask is the model's; the slots of the padding (index 7) are cut
  // by the same select, because an iota knows the global indices of the local shard.
  %slots = wafer.iota {layout = #wafer.layout<[cyclic y live 7 padding num]>} : tensor<4xi32>
  %e4 = tensor.empty() : tensor<1x4xf32>
  %s1 = linalg.generic {indexing_maps = [affine_map<(h, s) -> (h, s)>, affine_map<(h, s) -> (s)>, affine_map<(h, s) -> ()>, affine_map<(h, s) -> (h, s)>],
                        iterator_types = ["parallel", "parallel"]}
      ins(%s0, %slots, %p : tensor<1x4xf32>, tensor<4xi32>, tensor<i32>) outs(%e4 : tensor<1x4xf32>) {
  ^bb0(%a: f32, %k: i32, %n: i32, %c: f32):
    %0 = arith.cmpi sle, %k, %n : i32
    %1 = arith.select %0, %a, %low : f32
    linalg.yield %1 : f32
  } -> tensor<1x4xf32>
  %e5 = tensor.empty() : tensor<1xf32>
  %f5 = linalg.fill ins(%low : f32) outs(%e5 : tensor<1xf32>) -> tensor<1xf32>
  %m0 = linalg.generic {indexing_maps = [affine_map<(h, s) -> (h, s)>, affine_map<(h, s) -> (h)>],
                        iterator_types = ["parallel", "reduction"]}
      ins(%s1 : tensor<1x4xf32>) outs(%f5 : tensor<1xf32>) {
  ^bb0(%a: f32, %c: f32):
    %0 = arith.maximumf %c, %a : f32
    linalg.yield %0 : f32
  } -> tensor<1xf32>
  // CHECK: wafer.all_reduce %{{.*}} over [y] max
  %m = wafer.all_reduce %m0 over [y] max : (tensor<1xf32>) -> tensor<1xf32>

  // A value that is whole on every PE: each keeps its share, without a word sent.
  // CHECK: wafer.slice %{{.*}} dim 0 over [x1]
  %whole = tensor.empty() : tensor<4xf32>
  %mine = wafer.slice %whole dim 0 over [x1] : (tensor<4xf32>) -> tensor<2xf32>
  // CHECK: wafer.gather %{{.*}} dim 0 over [x1]
  %again = wafer.gather %mine dim 0 over [x1] : (tensor<2xf32>) -> tensor<4xf32>

  // CHECK: wafer.repeat 2 (%{{.*}} = %{{.*}}) : tensor<6xf32>
  %y = wafer.repeat 2 (%r = %x) : tensor<6xf32> {
    %w = wafer.parameter [@gain, @gain] {layout = #wafer.layout<[y live 10 padding 0]>} : tensor<6xf32>
    wafer.yield %w : tensor<6xf32>
  }
  // CHECK: wafer.output "hidden", %{{.*}} {layout = #wafer.layout<[y live 10 padding 0]>} : tensor<6xf32>
  wafer.output "hidden", %y {layout = #wafer.layout<[y live 10 padding 0]>} : tensor<6xf32>
  return
}
