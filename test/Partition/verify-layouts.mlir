// RUN: waferloom-opt %s --partition-verify --verify-diagnostics --split-input-file
//
// Layouts and generics that are refused, each with its message:
//
//   a layout that no tensor has    axis_twice, unknown_axis, below_live, split_and_partial, root_outside, uneven;
//                                  padding without padding, partial without a combiner: Dialect/Wafer/errors.mlir
//   G1, G2, G3                     contraction_split_in_one, contraction_split_otherwise, axis_on_two_loops,
//                                  split_otherwise, block_and_cyclic, order_of_axes, live_sizes
//   G6                             exp_of_partial, product_of_partials, bias_added_often, sum_and_max, scaled_max,
//                                  sum_of_max, partial_on_a_loop
//   G7, G8                         verify-ops.mlir: roots, padding, starts that are not neutral, claims of results
//   changes of layout              verify-changes.mlir
//   entries, states, moves         verify-entries.mlir
//   what shard does silently       verify-shard.mlir

wafer.program region <x = 2 x 2, y = 4> {}
func.func @axis_twice() {
  // expected-error @below {{axis 'y' splits dimensions 0 and 1 of one tensor}}
  %x = tensor.empty() : tensor<8x8xf32, #wafer.layout<[y, y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @unknown_axis() {
  // expected-error @below {{dimension 0 is split along 'x', which region #wafer.region<x = 2 x 2, y = 4> does not have}}
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[x]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @below_live() {
  // expected-error @below {{dimension 0 holds 8 elements, fewer than its live size 9}}
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 9 padding 0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @split_and_partial() {
  // expected-error @below {{axis 'y' both splits dimension 0 and is partial}}
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[y] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @root_outside() {
  // expected-error @below {{root coordinate 4 is outside axis 'y' of size 4}}
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[*] root<y = 4>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @uneven() {
  // expected-error @below {{dimension 0 holds 10 elements, which 4 does not divide}}
  %x = tensor.empty() : tensor<10xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @contraction_split_in_one() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[*]>>
  %v1 = tensor.empty() : tensor<8x12xf32, #wafer.layout<[y, x0 x1]>>
  %e = tensor.empty() : tensor<12xf32, #wafer.layout<[x0 x1] partial<y, sum>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<12xf32, #wafer.layout<[x0 x1] partial<y, sum>>>) -> tensor<12xf32, #wafer.layout<[x0 x1] partial<y, sum>>>
  // expected-error @below {{loop d1 is [y] in operand 1 but whole in operand 0: slice operand 0 along it first}}
  %r = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[*]>>, tensor<8x12xf32, #wafer.layout<[y, x0 x1]>>) outs(%f : tensor<12xf32, #wafer.layout<[x0 x1] partial<y, sum>>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %p = arith.mulf %a0, %a1 : f32
    %y = arith.addf %o, %p : f32
    linalg.yield %y : f32
  } -> tensor<12xf32, #wafer.layout<[x0 x1] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @contraction_split_otherwise() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[x0]>>
  %v1 = tensor.empty() : tensor<8x12xf32, #wafer.layout<[y, x0 x1]>>
  %e = tensor.empty() : tensor<12xf32, #wafer.layout<[x0 x1] partial<y, sum>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<12xf32, #wafer.layout<[x0 x1] partial<y, sum>>>) -> tensor<12xf32, #wafer.layout<[x0 x1] partial<y, sum>>>
  // expected-error @below {{loop d1 is split as [x0] by operand 0 but as [y] by operand 1}}
  %r = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[x0]>>, tensor<8x12xf32, #wafer.layout<[y, x0 x1]>>) outs(%f : tensor<12xf32, #wafer.layout<[x0 x1] partial<y, sum>>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %p = arith.mulf %a0, %a1 : f32
    %y = arith.addf %o, %p : f32
    linalg.yield %y : f32
  } -> tensor<12xf32, #wafer.layout<[x0 x1] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @axis_on_two_loops() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<8xf32, #wafer.layout<[y]>>) -> tensor<8xf32, #wafer.layout<[y]>>
  // expected-error @below {{axis 'y' splits loops d0 and d1 of one operation}}
  %r = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[y]>>, tensor<8xf32, #wafer.layout<[y]>>) outs(%f : tensor<8xf32, #wafer.layout<[y]>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %p = arith.mulf %a0, %a1 : f32
    %y = arith.addf %o, %p : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @split_otherwise() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[x0]>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  // expected-error @below {{loop d0 is split as [y] by operand 0 but as [x0] by operand 1}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[y]>>, tensor<8xf32, #wafer.layout<[x0]>>) outs(%e : tensor<8xf32, #wafer.layout<[y]>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.addf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @block_and_cyclic() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[cyclic y]>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  // expected-error @below {{loop d0 is split as [y] by operand 0 but as [cyclic y] by operand 1}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[y]>>, tensor<8xf32, #wafer.layout<[cyclic y]>>) outs(%e : tensor<8xf32, #wafer.layout<[y]>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.addf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @order_of_axes() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[x0 x1]>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[x1 x0]>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[x0 x1]>>
  // expected-error @below {{loop d0 is split as [x0 x1] by operand 0 but as [x1 x0] by operand 1}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[x0 x1]>>, tensor<8xf32, #wafer.layout<[x1 x0]>>) outs(%e : tensor<8xf32, #wafer.layout<[x0 x1]>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.addf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[x0 x1]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @exp_of_partial() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{'exp' does not commute with the sum that operand 0 still has partial along 'y': all-reduce it first}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0 : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) outs(%e : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) {
  ^bb0(%a0: f32, %o: f32):
    %y = math.exp %a0 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @product_of_partials() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{'mulf' does not commute with the sum that operand 0 still has partial along 'y'}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>, tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) outs(%e : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.mulf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @bias_added_often() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[*]>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{'addf' of a replicated value to a sum still partial along 'y' would add it 4 times}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>, tensor<8xf32, #wafer.layout<[*]>>) outs(%e : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.addf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @sum_and_max() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<x0, max>>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{operands are a partial sum and a partial max}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>, tensor<8xf32, #wafer.layout<[*] partial<x0, max>>>) outs(%e : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.addf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @scaled_max() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, max>>>
  %v1 = tensor.empty() : tensor<f32, #wafer.layout<[]>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, max>>>
  // expected-error @below {{'mulf' does not commute with the max that operand 0 still has partial along 'y'}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[*] partial<y, max>>>, tensor<f32, #wafer.layout<[]>>) outs(%e : tensor<8xf32, #wafer.layout<[*] partial<y, max>>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.mulf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[*] partial<y, max>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @sum_of_max() {
  %c2 = arith.constant 0.0 : f32
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, max>>>
  %e = tensor.empty() : tensor<f32, #wafer.layout<[] partial<y, max>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<f32, #wafer.layout<[] partial<y, max>>>) -> tensor<f32, #wafer.layout<[] partial<y, max>>>
  // expected-error @below {{a sum over a value that is still a partial max along 'y'}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%v0 : tensor<8xf32, #wafer.layout<[*] partial<y, max>>>) outs(%f : tensor<f32, #wafer.layout<[] partial<y, max>>>) {
  ^bb0(%a0: f32, %o: f32):
    %p = arith.addf %a0, %c2 : f32
    %y = arith.addf %o, %p : f32
    linalg.yield %y : f32
  } -> tensor<f32, #wafer.layout<[] partial<y, max>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @partial_on_a_loop() {
  %v0 = tensor.empty() : tensor<f32, #wafer.layout<[] partial<y, sum>>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  // expected-error @below {{operand 0 is partial along 'y', which splits loop d0: all-reduce it first}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> ()>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<f32, #wafer.layout<[] partial<y, sum>>>, tensor<8xf32, #wafer.layout<[y]>>) outs(%e : tensor<8xf32, #wafer.layout<[y]>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.mulf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @sum_over_any() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding any]>>
  %e = tensor.empty() : tensor<f32, #wafer.layout<[] partial<y, sum>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<f32, #wafer.layout<[] partial<y, sum>>>) -> tensor<f32, #wafer.layout<[] partial<y, sum>>>
  // expected-error @below {{the padding of reduction loop d0 (padded to 8, live 7) is any; sum needs 0: mask an operand}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%v0 : tensor<8xf32, #wafer.layout<[y live 7 padding any]>>) outs(%f : tensor<f32, #wafer.layout<[] partial<y, sum>>>) {
  ^bb0(%a0: f32, %o: f32):
    %y = arith.addf %o, %a0 : f32
    linalg.yield %y : f32
  } -> tensor<f32, #wafer.layout<[] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @live_sizes() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 6 padding 0]>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  // expected-error @below {{loop d0 has live size 7 in operand 0 but 6 in operand 1}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>, tensor<8xf32, #wafer.layout<[y live 6 padding 0]>>) outs(%e : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.addf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  return
}
