// RUN: waferloom-opt %s --partition-verify --allow-unregistered-dialect --verify-diagnostics --split-input-file
// What enters, leaves and stays; lookups, appends, slices; ops without a rule.

wafer.program region <x = 2 x 2, y = 4> {}
// The promise of padding that no caller gives.
// expected-error @below {{takes tensors as arguments, whose callers promise nothing of layout and padding: read a wafer.input}}
func.func @argument(%x: tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>) {
  wafer.output "x", %x : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
// A partial sum at the boundary of a function.
func.func @returned() -> tensor<8xf32, #wafer.layout<[*] partial<y, sum>>> {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{returns values: what leaves an entry is a wafer.output}}
  return %x : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @state_partial() {
  // expected-error @below {{is partial nowhere and lives everywhere}}
  %s = wafer.state ["s"] : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @state_at_root() {
  // expected-error @below {{is partial nowhere and lives everywhere}}
  %s = wafer.state ["s"] : tensor<8xf32, #wafer.layout<[*] root<y = 1>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
wafer.weight @w : tensor<8xf32>
func.func @weight_partial() {
  // expected-error @below {{is partial nowhere and lives everywhere}}
  %s = wafer.parameter [@w] : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @input_at_root() {
  // expected-error @below {{is partial nowhere and lives everywhere}}
  %s = wafer.input "s" : tensor<8xf32, #wafer.layout<[*] root<y = 1>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @output_at_root() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[*] root<y = 1>>>
  // expected-error @below {{is partial nowhere and lives everywhere}}
  wafer.output "s", %x : tensor<8xf32, #wafer.layout<[*] root<y = 1>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
wafer.weight @w : tensor<7xf32>
func.func @weight_padding() {
  // expected-error @below {{promises 0 in the padding of dimension 0 but its type claims -inf}}
  %s = wafer.parameter [@w] : tensor<8xf32, #wafer.layout<[y live 7 padding -inf]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @iota_padding() {
  // expected-error @below {{promises num in the padding of dimension 0 but its type claims 0}}
  %s = wafer.iota : tensor<8xi32, #wafer.layout<[y live 7 padding 0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @no_layout() {
  // expected-error @below {{without a layout}}
  %s = wafer.input "s" : tensor<8xf32>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
// A state stays as it lies.
func.func @append_relays() {
  %p = wafer.position : tensor<i32, #wafer.layout<[]>>
  %s = wafer.state ["s"] : tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>>
  %u = tensor.empty() : tensor<8xf32, #wafer.layout<[x0]>>
  // expected-error @below {{gives another type than its state has}}
  %r = wafer.append %u into %s at %p : tensor<i32, #wafer.layout<[]>> dim 0 : tensor<8xf32, #wafer.layout<[x0]>> into tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>> -> tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, *]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @append_partial() {
  %p = wafer.position : tensor<i32, #wafer.layout<[]>>
  %s = wafer.state ["s"] : tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>>
  %u = tensor.empty() : tensor<8xf32, #wafer.layout<[x0] partial<x1, sum>>>
  // expected-error @below {{stores a value that is still partial}}
  %r = wafer.append %u into %s at %p : tensor<i32, #wafer.layout<[]>> dim 0 : tensor<8xf32, #wafer.layout<[x0] partial<x1, sum>>> into tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>> -> tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @append_at_root() {
  %p = wafer.position : tensor<i32, #wafer.layout<[]>>
  %s = wafer.state ["s"] : tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>>
  %u = tensor.empty() : tensor<8xf32, #wafer.layout<[x0] root<x1 = 0>>>
  // expected-error @below {{lives at a root}}
  %r = wafer.append %u into %s at %p : tensor<i32, #wafer.layout<[]>> dim 0 : tensor<8xf32, #wafer.layout<[x0] root<x1 = 0>>> into tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>> -> tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @append_other_split() {
  %p = wafer.position : tensor<i32, #wafer.layout<[]>>
  %s = wafer.state ["s"] : tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>>
  %u = tensor.empty() : tensor<8xf32, #wafer.layout<[*]>>
  // expected-error @below {{dimension 1 of the update is split otherwise than that of the state}}
  %r = wafer.append %u into %s at %p : tensor<i32, #wafer.layout<[]>> dim 0 : tensor<8xf32, #wafer.layout<[*]>> into tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>> -> tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @append_split_rows() {
  %p = wafer.position : tensor<i32, #wafer.layout<[]>>
  %s = wafer.state ["s"] : tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>>
  %u = tensor.empty() : tensor<4x8xf32, #wafer.layout<[y, x0]>>
  // expected-error @below {{new rows are whole on every PE: gather them}}
  %r = wafer.append %u into %s at %p : tensor<i32, #wafer.layout<[]>> dim 0 : tensor<4x8xf32, #wafer.layout<[y, x0]>> into tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>> -> tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @append_garbage() {
  %p = wafer.position : tensor<i32, #wafer.layout<[]>>
  %s = wafer.state ["s"] : tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0 live 7 padding num]>>
  %u = tensor.empty() : tensor<8xf32, #wafer.layout<[x0 live 7 padding any]>>
  // expected-error @below {{stores any into the padding of dimension 1, where the state promises num: mask the update}}
  %r = wafer.append %u into %s at %p : tensor<i32, #wafer.layout<[]>> dim 0 : tensor<8xf32, #wafer.layout<[x0 live 7 padding any]>> into tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0 live 7 padding num]>> -> tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0 live 7 padding num]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @append_good() {
  %p = wafer.position : tensor<i32, #wafer.layout<[]>>
  %s = wafer.state ["s"] : tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0 live 7 padding num]>>
  %u = tensor.empty() : tensor<8xf32, #wafer.layout<[x0 live 7 padding 0]>>
  %r = wafer.append %u into %s at %p : tensor<i32, #wafer.layout<[]>> dim 0 : tensor<8xf32, #wafer.layout<[x0 live 7 padding 0]>> into tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0 live 7 padding num]>> -> tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0 live 7 padding num]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @ids_split_along_rows() {
  %t = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y, x0]>>
  %i = tensor.empty() : tensor<4xi32, #wafer.layout<[y]>>
  %n = wafer.iota : tensor<12xi32, #wafer.layout<[y]>>
  // expected-error @below {{ids are split along 'y', which splits the table: gather them first}}
  %r = wafer.lookup %t[%i] rows %n : tensor<12xi32, #wafer.layout<[y]>> : (tensor<12x8xf32, #wafer.layout<[y, x0]>>, tensor<4xi32, #wafer.layout<[y]>>) -> tensor<4x8xf32, #wafer.layout<[y, x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @rows_without_numbers() {
  %t = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y, x0]>>
  %i = tensor.empty() : tensor<4xi32, #wafer.layout<[*]>>
  // expected-error @below {{has a table whose rows are split and needs their numbers in 'rows'}}
  %r = wafer.lookup %t[%i] : (tensor<12x8xf32, #wafer.layout<[y, x0]>>, tensor<4xi32, #wafer.layout<[*]>>) -> tensor<4x8xf32, #wafer.layout<[*, x0] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @rows_numbered_otherwise() {
  %t = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y, x0]>>
  %i = tensor.empty() : tensor<4xi32, #wafer.layout<[*]>>
  %n = wafer.iota : tensor<12xi32, #wafer.layout<[cyclic y]>>
  // expected-error @below {{has rows split otherwise than their numbers}}
  %r = wafer.lookup %t[%i] rows %n : tensor<12xi32, #wafer.layout<[cyclic y]>> : (tensor<12x8xf32, #wafer.layout<[y, x0]>>, tensor<4xi32, #wafer.layout<[*]>>) -> tensor<4x8xf32, #wafer.layout<[*, x0] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @found_on_all() {
  %t = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y, x0]>>
  %i = tensor.empty() : tensor<4xi32, #wafer.layout<[*]>>
  %n = wafer.iota : tensor<12xi32, #wafer.layout<[y]>>
  // expected-error @below {{so its result is partial there}}
  %r = wafer.lookup %t[%i] rows %n : tensor<12xi32, #wafer.layout<[y]>> : (tensor<12x8xf32, #wafer.layout<[y, x0]>>, tensor<4xi32, #wafer.layout<[*]>>) -> tensor<4x8xf32, #wafer.layout<[*, x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @found_max() {
  %t = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y, x0]>>
  %i = tensor.empty() : tensor<4xi32, #wafer.layout<[*]>>
  %n = wafer.iota : tensor<12xi32, #wafer.layout<[y]>>
  // expected-error @below {{its result is a partial sum}}
  %r = wafer.lookup %t[%i] rows %n : tensor<12xi32, #wafer.layout<[y]>> : (tensor<12x8xf32, #wafer.layout<[y, x0]>>, tensor<4xi32, #wafer.layout<[*]>>) -> tensor<4x8xf32, #wafer.layout<[*, x0] partial<y, max>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @lookup_partial() {
  %t = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y, x0]>>
  %i = tensor.empty() : tensor<4xi32, #wafer.layout<[*] partial<x1, sum>>>
  %n = wafer.iota : tensor<12xi32, #wafer.layout<[y]>>
  // expected-error @below {{reads a value that is still partial}}
  %r = wafer.lookup %t[%i] rows %n : tensor<12xi32, #wafer.layout<[y]>> : (tensor<12x8xf32, #wafer.layout<[y, x0]>>, tensor<4xi32, #wafer.layout<[*] partial<x1, sum>>>) -> tensor<4x8xf32, #wafer.layout<[*, x0] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @lookup_width() {
  %t = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y, x0]>>
  %i = tensor.empty() : tensor<4xi32, #wafer.layout<[*]>>
  %n = wafer.iota : tensor<12xi32, #wafer.layout<[y]>>
  // expected-error @below {{gives dimension 1 as}}
  %r = wafer.lookup %t[%i] rows %n : tensor<12xi32, #wafer.layout<[y]>> : (tensor<12x8xf32, #wafer.layout<[y, x0]>>, tensor<4xi32, #wafer.layout<[*]>>) -> tensor<4x8xf32, #wafer.layout<[*, *] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @lookup_padding() {
  %t = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y, x0]>>
  %i = tensor.empty() : tensor<4xi32, #wafer.layout<[x1 live 3 padding num]>>
  %n = wafer.iota : tensor<12xi32, #wafer.layout<[y]>>
  // expected-error @below {{finds anything in the padding of dimension 0 but its result claims num}}
  %r = wafer.lookup %t[%i] rows %n : tensor<12xi32, #wafer.layout<[y]>> : (tensor<12x8xf32, #wafer.layout<[y, x0]>>, tensor<4xi32, #wafer.layout<[x1 live 3 padding num]>>) -> tensor<4x8xf32, #wafer.layout<[x1 live 3 padding num, x0] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @lookup_good() {
  %t = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y, x0]>>
  %i = tensor.empty() : tensor<4xi32, #wafer.layout<[x1 live 3 padding num]>>
  %n = wafer.iota : tensor<12xi32, #wafer.layout<[y]>>
  %r = wafer.lookup %t[%i] rows %n : tensor<12xi32, #wafer.layout<[y]>> : (tensor<12x8xf32, #wafer.layout<[y, x0]>>, tensor<4xi32, #wafer.layout<[x1 live 3 padding num]>>) -> tensor<4x8xf32, #wafer.layout<[x1 live 3 padding any, x0] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_padded() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[* live 5 padding any]>>
  // expected-error @below {{takes elements up to 6 of dimension 0, of which 5 are live}}
  %r = tensor.extract_slice %x[3] [4] [1] : tensor<8xf32, #wafer.layout<[* live 5 padding any]>> to tensor<4xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_relays() {
  %x = tensor.empty() : tensor<8x6xf32, #wafer.layout<[x0, *]>>
  // expected-error @below {{gives dimension 0 as}}
  %r = tensor.extract_slice %x[0, 0] [8, 3] [1, 1] : tensor<8x6xf32, #wafer.layout<[x0, *]>> to tensor<8x3xf32, #wafer.layout<[y, *]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_claims_padding() {
  %x = tensor.empty() : tensor<8x6xf32, #wafer.layout<[x0 live 7 padding any, *]>>
  // expected-error @below {{leaves any in the padding of dimension 0 but its result claims 0}}
  %r = tensor.extract_slice %x[0, 0] [8, 3] [1, 1] : tensor<8x6xf32, #wafer.layout<[x0 live 7 padding any, *]>> to tensor<8x3xf32, #wafer.layout<[x0 live 7 padding 0, *]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_gives_split() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[*]>>
  // expected-error @below {{gives a whole dimension 0 but its result claims}}
  %r = tensor.extract_slice %x[0] [4] [1] : tensor<8xf32, #wafer.layout<[*]>> to tensor<4xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_partial() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{moves a value that is partial or lives at a root: all-reduce it first}}
  %r = tensor.extract_slice %x[0] [4] [1] : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>> to tensor<4xf32, #wafer.layout<[*] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_good() {
  %x = tensor.empty() : tensor<8x6xf32, #wafer.layout<[x0 live 7 padding num, *]>>
  %r = tensor.extract_slice %x[0, 3] [8, 3] [1, 1] : tensor<8x6xf32, #wafer.layout<[x0 live 7 padding num, *]>> to tensor<8x3xf32, #wafer.layout<[x0 live 7 padding num, *]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @concat_of_split() {
  %x = tensor.empty() : tensor<4xf32, #wafer.layout<[y]>>
  // expected-error @below {{cuts dimension 0, which is split: gather it first}}
  %r = tensor.concat dim(0) %x, %x : (tensor<4xf32, #wafer.layout<[y]>>, tensor<4xf32, #wafer.layout<[y]>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @concat_gives_split() {
  %x = tensor.empty() : tensor<4x8xf32, #wafer.layout<[*, y]>>
  // expected-error @below {{gives a whole dimension 0 but its result claims}}
  %r = tensor.concat dim(0) %x, %x : (tensor<4x8xf32, #wafer.layout<[*, y]>>, tensor<4x8xf32, #wafer.layout<[*, y]>>) -> tensor<8x8xf32, #wafer.layout<[x0, y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @concat_relays() {
  %x = tensor.empty() : tensor<4x8xf32, #wafer.layout<[*, y]>>
  // expected-error @below {{gives dimension 1 as}}
  %r = tensor.concat dim(0) %x, %x : (tensor<4x8xf32, #wafer.layout<[*, y]>>, tensor<4x8xf32, #wafer.layout<[*, y]>>) -> tensor<8x8xf32, #wafer.layout<[*, *]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @expand_cuts() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  // expected-error @below {{cuts dimension 0: partition-factor does so before layouts}}
  %r = tensor.expand_shape %x [[0, 1]] output_shape [4, 2] : tensor<8xf32, #wafer.layout<[y]>> into tensor<4x2xf32, #wafer.layout<[y, *]>>
  return
}

// -----

// What is whole on every PE may be factored there.
wafer.program region <x = 2 x 2, y = 4> {}
func.func @expand_whole() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[*]>>
  %r = tensor.expand_shape %x [[0, 1]] output_shape [4, 2] : tensor<8xf32, #wafer.layout<[*]>> into tensor<4x2xf32, #wafer.layout<[*, *]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @constant_shards() {
  // expected-error @below {{is split but no splat, so its local shards differ: make it a weight}}
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @constant_padding() {
  // expected-error @below {{claims another padding than its value}}
  %k = arith.constant dense<1.0> : tensor<4xf32, #wafer.layout<[y live 3 padding 0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
// A collective that some PEs may skip.
func.func @control() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  %t = arith.constant true
  // expected-error @below {{decides whether 'wafer.all_reduce' happens: PEs that disagree wait for ever, so only wafer.repeat holds collectives}}
  "scf.if"(%t) ({
    %r = wafer.all_reduce %x over [y] sum : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[*]>>
    "scf.yield"() : () -> ()
  }) : (i1) -> ()
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
// A call into a function of local types.
func.func private @g(tensor<8xf32, #wafer.layout<[y]>>) -> tensor<8xf32, #wafer.layout<[y]>>
func.func @call() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  // expected-error @below {{has no rule for a value that is not whole on every PE}}
  %r = func.call @g(%x) : (tensor<8xf32, #wafer.layout<[y]>>) -> tensor<8xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @store_partial() {
  %s = wafer.state ["s"] : tensor<12x8xf32, #wafer.layout<[y live 10 padding num, x0]>>
  %u = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y live 10 padding num, x0] partial<x1, sum>>>
  // expected-error @below {{stores a value that is still partial}}
  wafer.store %u into %s : tensor<12x8xf32, #wafer.layout<[y live 10 padding num, x0] partial<x1, sum>>> into tensor<12x8xf32, #wafer.layout<[y live 10 padding num, x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @store_cyclic() {
  %s = wafer.state ["s"] : tensor<12x8xf32, #wafer.layout<[y live 10 padding num, x0]>>
  %u = tensor.empty() : tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>>
  // expected-error @below {{dimension 0 of the update is split otherwise than that of the state}}
  wafer.store %u into %s : tensor<12x8xf32, #wafer.layout<[cyclic y live 10 padding num, x0]>> into tensor<12x8xf32, #wafer.layout<[y live 10 padding num, x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @store_garbage() {
  %s = wafer.state ["s"] : tensor<12x8xf32, #wafer.layout<[y live 10 padding num, x0]>>
  %u = tensor.empty() : tensor<12x8xf32, #wafer.layout<[y live 10 padding any, x0]>>
  // expected-error @below {{stores any into the padding of dimension 0, where the state promises num: mask the update}}
  wafer.store %u into %s : tensor<12x8xf32, #wafer.layout<[y live 10 padding any, x0]>> into tensor<12x8xf32, #wafer.layout<[y live 10 padding num, x0]>>
  return
}
