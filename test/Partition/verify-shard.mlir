// RUN: waferloom-opt %s --partition-verify --verify-diagnostics --split-input-file
// Programs that the shard dialect of MLIR 22 partitions without a word although the
// result is wrong, or that crash it, said in layouts. None passes.

wafer.program region <x = 4, y = 4> {}
// k split along y in one operand, along x in the other, and y splits n too: a local product, a wrong all-reduce.
func.func @contraction_in_conflict() {
  %v0 = tensor.empty() : tensor<32xf32, #wafer.layout<[y]>>
  %v1 = tensor.empty() : tensor<32x32xf32, #wafer.layout<[x, y]>>
  %e = tensor.empty() : tensor<32xf32, #wafer.layout<[y]>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<32xf32, #wafer.layout<[y]>>) -> tensor<32xf32, #wafer.layout<[y]>>
  // expected-error @below {{loop d1 is split as [y] by operand 0 but as [x] by operand 1}}
  %r = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0, %v1 : tensor<32xf32, #wafer.layout<[y]>>, tensor<32x32xf32, #wafer.layout<[x, y]>>) outs(%f : tensor<32xf32, #wafer.layout<[y]>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %p = arith.mulf %a0, %a1 : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<32xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
// A local sum of elements that do not belong together.
func.func @rows_for_columns() {
  %v0 = tensor.empty() : tensor<16xf32, #wafer.layout<[y]>>
  %v1 = tensor.empty() : tensor<16xf32, #wafer.layout<[x]>>
  %e = tensor.empty() : tensor<16xf32, #wafer.layout<[y]>>
  // expected-error @below {{loop d0 is split as [y] by operand 0 but as [x] by operand 1}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<16xf32, #wafer.layout<[y]>>, tensor<16xf32, #wafer.layout<[x]>>) outs(%e : tensor<16xf32, #wafer.layout<[y]>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %s = arith.addf %a0, %a1 : f32
    linalg.yield %s : f32
  } -> tensor<16xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
// A soft conflict is not resolved behind anybody's back.
func.func @unannotated() {
  %v0 = tensor.empty() : tensor<16xf32, #wafer.layout<[*]>>
  %v1 = tensor.empty() : tensor<16x32xf32, #wafer.layout<[y, x]>>
  %e = tensor.empty() : tensor<32xf32, #wafer.layout<[x] partial<y, sum>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<32xf32, #wafer.layout<[x] partial<y, sum>>>) -> tensor<32xf32, #wafer.layout<[x] partial<y, sum>>>
  // expected-error @below {{loop d1 is [y] in operand 1 but whole in operand 0: slice operand 0 along it first}}
  %r = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0, %v1 : tensor<16xf32, #wafer.layout<[*]>>, tensor<16x32xf32, #wafer.layout<[y, x]>>) outs(%f : tensor<32xf32, #wafer.layout<[x] partial<y, sum>>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %p = arith.mulf %a0, %a1 : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<32xf32, #wafer.layout<[x] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 6, y = 8> {}
// 64 elements over 6 PEs: four of them lost.
func.func @uneven() {
  // expected-error @below {{dimension 0 holds 64 elements, which 6 does not divide}}
  %e = tensor.empty() : tensor<64xf32, #wafer.layout<[x]>>
  return
}

// -----

wafer.program region <x = 6, y = 8> {}
// Local shards of 11 and of 10 elements: sizes that differ from PE to PE do not exist.
func.func @offsets() {
  // expected-error @below {{dimension 0 holds 66 elements, which 72 does not divide}}
  %e = tensor.empty() : tensor<66xf32, #wafer.layout<[x 12 live 64 padding 0]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
// A constant with other values on every PE.
func.func @constant() {
  // expected-error @below {{is split but no splat, so its local shards differ: make it a weight}}
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
// Every PE would count from 0.
func.func @local_index() {
  %e = tensor.empty() : tensor<16xi32, #wafer.layout<[y]>>
  // expected-error @below {{reads linalg.index, which is local: read an iota}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      outs(%e : tensor<16xi32, #wafer.layout<[y]>>) {
  ^bb0(%o: i32):
    %i = linalg.index 0 : index
    %z = arith.index_cast %i : index to i32
    linalg.yield %z : i32
  } -> tensor<16xi32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
// Element 9 of a local shard of 4.
func.func @element() {
  %x = tensor.empty() : tensor<16xf32, #wafer.layout<[y]>>
  %c = arith.constant 9 : index
  // expected-error @below {{has no rule for a value that is not whole on every PE}}
  %r = tensor.extract %x[%c] : tensor<16xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @without_a_rule() {
  %x = tensor.empty() : tensor<16xf32, #wafer.layout<[y]>>
  // expected-error @below {{has no rule for a value that is not whole on every PE}}
  %r = arith.addf %x, %x : tensor<16xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @constant_in_a_map() {
  %v0 = tensor.empty() : tensor<16x16xf32, #wafer.layout<[*, x]>>
  %e = tensor.empty() : tensor<16xf32, #wafer.layout<[y] partial<x, max>>>
  %c = arith.constant 0xFF800000 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<16xf32, #wafer.layout<[y] partial<x, max>>>) -> tensor<16xf32, #wafer.layout<[y] partial<x, max>>>
  // expected-error @below {{is no projected permutation}}
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (0, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0 : tensor<16x16xf32, #wafer.layout<[*, x]>>) outs(%f : tensor<16xf32, #wafer.layout<[y] partial<x, max>>>) {
  ^bb0(%a0: f32, %o: f32):
    %z = arith.maximumf %a0, %o : f32
    linalg.yield %z : f32
  } -> tensor<16xf32, #wafer.layout<[y] partial<x, max>>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @two_results() {
  %x = tensor.empty() : tensor<16x16xf32, #wafer.layout<[y, x]>>
  %e = tensor.empty() : tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>
  // expected-error @below {{has 2 results: split it into one op per result}}
  %r:2 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<16x16xf32, #wafer.layout<[y, x]>>) outs(%e, %e : tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>, tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %z = arith.addf %a, %b : f32
    %y = arith.maximumf %a, %c : f32
    linalg.yield %z, %y : f32, f32
  } -> (tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>, tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>)
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
// A sum in a wider type than the result is not one combiner: widen the result instead.
func.func @widened() {
  %v0 = tensor.empty() : tensor<16x16xf32, #wafer.layout<[y, x]>>
  %e = tensor.empty() : tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>) -> tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>
  // expected-error @below {{reduction loop d1 is split along 'x' but its body is no sum, max or min of one value}}
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0 : tensor<16x16xf32, #wafer.layout<[y, x]>>) outs(%f : tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>) {
  ^bb0(%a0: f32, %o: f32):
    %q = arith.extf %o : f32 to f64
    %w = arith.extf %a0 : f32 to f64
    %z = arith.addf %q, %w : f64
    %t = arith.truncf %z : f64 to f32
    linalg.yield %t : f32
  } -> tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @difference() {
  %v0 = tensor.empty() : tensor<16x16xf32, #wafer.layout<[y, x]>>
  %e = tensor.empty() : tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>) -> tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>
  // expected-error @below {{reduction loop d1 is split along 'x' but its body is no sum, max or min of one value}}
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0 : tensor<16x16xf32, #wafer.layout<[y, x]>>) outs(%f : tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>) {
  ^bb0(%a0: f32, %o: f32):
    %z = arith.subf %a0, %o : f32
    linalg.yield %z : f32
  } -> tensor<16xf32, #wafer.layout<[y] partial<x, sum>>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @narrow_sum() {
  %v0 = tensor.empty() : tensor<16xf16, #wafer.layout<[y]>>
  %v1 = tensor.empty() : tensor<16x32xf16, #wafer.layout<[y, x]>>
  %e = tensor.empty() : tensor<32xf16, #wafer.layout<[x] partial<y, sum>>>
  %c = arith.constant 0.0 : f16
  %f = linalg.fill ins(%c : f16) outs(%e : tensor<32xf16, #wafer.layout<[x] partial<y, sum>>>) -> tensor<32xf16, #wafer.layout<[x] partial<y, sum>>>
  // expected-error @below {{reduction loop d1 is split along 'y' but its body is no sum, max or min of one value}}
  %r = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0, %v1 : tensor<16xf16, #wafer.layout<[y]>>, tensor<16x32xf16, #wafer.layout<[y, x]>>) outs(%f : tensor<32xf16, #wafer.layout<[x] partial<y, sum>>>) {
  ^bb0(%a0: f16, %a1: f16, %o: f16):
    %a2 = arith.extf %a0 : f16 to f32
    %b2 = arith.extf %a1 : f16 to f32
    %c2 = arith.extf %o : f16 to f32
    %m = arith.mulf %a2, %b2 : f32
    %s = arith.addf %c2, %m : f32
    %t = arith.truncf %s : f32 to f16
    linalg.yield %t : f16
  } -> tensor<32xf16, #wafer.layout<[x] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
// Mixed precision only through the type of the result.
func.func @mixed_precision_good() {
  %v0 = tensor.empty() : tensor<16xf16, #wafer.layout<[y]>>
  %v1 = tensor.empty() : tensor<16x32xf16, #wafer.layout<[y, x]>>
  %e = tensor.empty() : tensor<32xf32, #wafer.layout<[x] partial<y, sum>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<32xf32, #wafer.layout<[x] partial<y, sum>>>) -> tensor<32xf32, #wafer.layout<[x] partial<y, sum>>>
  %r = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0, %v1 : tensor<16xf16, #wafer.layout<[y]>>, tensor<16x32xf16, #wafer.layout<[y, x]>>) outs(%f : tensor<32xf32, #wafer.layout<[x] partial<y, sum>>>) {
  ^bb0(%a0: f16, %a1: f16, %o: f32):
    %a2 = arith.extf %a0 : f16 to f32
    %b2 = arith.extf %a1 : f16 to f32
    %m = arith.mulf %a2, %b2 : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<32xf32, #wafer.layout<[x] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
// The start of upstream's softmax.
func.func @maxnum_from_nan() {
  %v0 = tensor.empty() : tensor<16x16xf32, #wafer.layout<[y, x]>>
  %e = tensor.empty() : tensor<16xf32, #wafer.layout<[y] partial<x, max>>>
  %c = arith.constant 0x7FC00000 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<16xf32, #wafer.layout<[y] partial<x, max>>>) -> tensor<16xf32, #wafer.layout<[y] partial<x, max>>>
  // expected-error @below {{a split reduction starts from the neutral element -inf}}
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%v0 : tensor<16x16xf32, #wafer.layout<[y, x]>>) outs(%f : tensor<16xf32, #wafer.layout<[y] partial<x, max>>>) {
  ^bb0(%a0: f32, %o: f32):
    %z = arith.maxnumf %a0, %o : f32
    linalg.yield %z : f32
  } -> tensor<16xf32, #wafer.layout<[y] partial<x, max>>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @rows_to_columns() {
  %x = tensor.empty() : tensor<16x16xf32, #wafer.layout<[x, *]>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.slice %x dim 0 over [y] : (tensor<16x16xf32, #wafer.layout<[x, *]>>) -> tensor<16x16xf32, #wafer.layout<[y, *]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @other_dimension() {
  %x = tensor.empty() : tensor<16x16xf32, #wafer.layout<[x, *]>>
  // expected-error @below {{changes dimension 1 otherwise than it says}}
  %r = wafer.gather %x dim 0 over [x] : (tensor<16x16xf32, #wafer.layout<[x, *]>>) -> tensor<16x16xf32, #wafer.layout<[*, x]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @both_gathered() {
  %x = tensor.empty() : tensor<16x16xf32, #wafer.layout<[x, y]>>
  // expected-error @below {{changes dimension 1 otherwise than it says}}
  %r = wafer.gather %x dim 0 over [x] : (tensor<16x16xf32, #wafer.layout<[x, y]>>) -> tensor<16x16xf32, #wafer.layout<[*, *]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @transposed() {
  %x = tensor.empty() : tensor<16x16xf32, #wafer.layout<[x, y]>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.gather %x dim 0 over [x] : (tensor<16x16xf32, #wafer.layout<[x, y]>>) -> tensor<16x16xf32, #wafer.layout<[y, x]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @order_of_axes() {
  %x = tensor.empty() : tensor<16x16xf32, #wafer.layout<[x y, *]>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.slice %x dim 0 over [y, x] : (tensor<16x16xf32, #wafer.layout<[x y, *]>>) -> tensor<16x16xf32, #wafer.layout<[y x, *]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
func.func @one_of_two() {
  %x = tensor.empty() : tensor<16x16xf32, #wafer.layout<[x y, *]>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.gather %x dim 0 over [y] : (tensor<16x16xf32, #wafer.layout<[x y, *]>>) -> tensor<16x16xf32, #wafer.layout<[x, y]>>
  return
}

// -----

wafer.program region <x = 2, y = 4 x 2> {}
// Two regions: what one function calls y, another does not have.
func.func @other_region() {
  // expected-error @below {{dimension 0 is split along 'y', which region #wafer.region<x = 2, y = 4 x 2> does not have}}
  %x = tensor.empty() : tensor<16xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 4, y = 4> {}
// A loop whose carried value is split in one trip and whole in the next.
func.func @carried() {
  %x = tensor.empty() : tensor<16xf32, #wafer.layout<[y]>>
  // expected-error @below {{carries a value whose type changes from trip to trip}}
  %r = wafer.repeat 4 (%a = %x) : tensor<16xf32, #wafer.layout<[y]>> {
    %q = wafer.gather %a dim 0 over [y] : (tensor<16xf32, #wafer.layout<[y]>>) -> tensor<16xf32, #wafer.layout<[*]>>
    wafer.yield %q : tensor<16xf32, #wafer.layout<[*]>>
  }
  return
}
