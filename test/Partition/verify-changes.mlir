// RUN: waferloom-opt %s --partition-verify --verify-diagnostics --split-input-file
// Changes of layout that do otherwise than they say. Each op compares the states
// of the axes before and after; what passes is at the end.

wafer.program region <x = 2 x 2, y = 4> {}
func.func @sum_into_max() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{computes a max but its operand is a partial sum}}
  %r = wafer.all_reduce %v over [y] max : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @nothing_partial() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*]>>
  // expected-error @below {{reduces along 'y', along which its operand is not partial}}
  %r = wafer.all_reduce %v over [y] sum : (tensor<8xf32, #wafer.layout<[*]>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @left_unsaid() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<x0 y, sum>>>
  // expected-error @below {{gives a value with another partial reduction than what is left of its operand's}}
  %r = wafer.all_reduce %v over [x0] sum : (tensor<8xf32, #wafer.layout<[*] partial<x0 y, sum>>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @all_reduce_splits() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.all_reduce %v over [y] sum : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @all_reduce_forgets_padding() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[* live 7 padding any] partial<y, sum>>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.all_reduce %v over [y] sum : (tensor<8xf32, #wafer.layout<[* live 7 padding any] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[* live 7 padding 0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @all_reduce_moves_root() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{moves a root: only reduce and broadcast do}}
  %r = wafer.all_reduce %v over [y] sum : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[*] root<x0 = 1>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @all_reduce_resizes() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{another shape or element type}}
  %r = wafer.all_reduce %v over [y] sum : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<12xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @all_reduce_unknown_axis() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{is along 'x', which region #wafer.region<x = 2 x 2, y = 4> does not have}}
  %r = wafer.all_reduce %v over [x] sum : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @all_reduce_twice() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{names axis 'y' twice}}
  %r = wafer.all_reduce %v over [y, y] sum : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @reduce_everywhere() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{is about the root 3 but turns}}
  %r = wafer.reduce %v to [y] = 3 sum : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @reduce_elsewhere() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{is about the root 3 but turns}}
  %r = wafer.reduce %v to [y] = 3 sum : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[*] root<y = 2>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @reduce_outside() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{root coordinate 4 is outside axis 'y' of size 4}}
  %r = wafer.reduce %v to [y] = 4 sum : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[*] root<y = 3>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @broadcast_elsewhere() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] root<y = 2>>>
  // expected-error @below {{is about the root 1 but turns}}
  %r = wafer.broadcast %v from [y] = 1 : (tensor<8xf32, #wafer.layout<[*] root<y = 2>>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @broadcast_what_is_everywhere() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*]>>
  // expected-error @below {{is about the root 1 but turns}}
  %r = wafer.broadcast %v from [y] = 1 : (tensor<8xf32, #wafer.layout<[*]>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @broadcast_partial() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<x0, sum> root<y = 1>>>
  // expected-error @below {{broadcasts a value that is still partial: all-reduce it first}}
  %r = wafer.broadcast %v from [y] = 1 : (tensor<8xf32, #wafer.layout<[*] partial<x0, sum> root<y = 1>>>) -> tensor<8xf32, #wafer.layout<[*] partial<x0, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_resizes() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*]>>
  // expected-error @below {{padded size of dimension 0 differs between source (8) and target (12)}}
  %r = wafer.slice %v dim 0 over [y] : (tensor<8xf32, #wafer.layout<[*]>>) -> tensor<12xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_of_split() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[x0]>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.slice %v dim 0 over [y] : (tensor<8xf32, #wafer.layout<[x0]>>) -> tensor<8xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_other_axis() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*]>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.slice %v dim 0 over [y] : (tensor<8xf32, #wafer.layout<[*]>>) -> tensor<8xf32, #wafer.layout<[x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_forgets_padding() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[* live 7 padding any]>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.slice %v dim 0 over [y] : (tensor<8xf32, #wafer.layout<[* live 7 padding any]>>) -> tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_of_partial() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{moves a value that is partial or lives at a root: all-reduce it first}}
  %r = wafer.slice %v dim 0 over [x0] : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[x0] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_beyond_rank() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*]>>
  // expected-error @below {{names dimension 1 of a tensor of rank 1}}
  %r = wafer.slice %v dim 1 over [y] : (tensor<8xf32, #wafer.layout<[*]>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @gather_cyclic_as_block() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[cyclic y]>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.gather %v dim 0 over [y] : (tensor<8xf32, #wafer.layout<[cyclic y]>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @gather_part() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[x0 x1]>>
  // expected-error @below {{changes dimension 0 otherwise than it says}}
  %r = wafer.gather %v dim 0 over [x1] : (tensor<8xf32, #wafer.layout<[x0 x1]>>) -> tensor<8xf32, #wafer.layout<[x0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @gather_other_dimension() {
  %v = tensor.empty() : tensor<8x8xf32, #wafer.layout<[x0, y]>>
  // expected-error @below {{changes dimension 1 otherwise than it says}}
  %r = wafer.gather %v dim 0 over [x0] : (tensor<8x8xf32, #wafer.layout<[x0, y]>>) -> tensor<8x8xf32, #wafer.layout<[*, *]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @mask_of_partial() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[* live 7 padding any] partial<y, sum>>>
  // expected-error @below {{masks a value that is still partial}}
  %r = wafer.mask %v dim 0 fill 0.0 : f32 : (tensor<8xf32, #wafer.layout<[* live 7 padding any] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[* live 7 padding 0] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @mask_other_fill() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding any]>>
  // expected-error @below {{leaves 1 in the padding of dimension 0 but its result claims 0}}
  %r = wafer.mask %v dim 0 fill 1.0 : f32 : (tensor<8xf32, #wafer.layout<[y live 7 padding any]>>) -> tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @mask_type() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding any]>>
  // expected-error @below {{a tensor of 'f32'}}
  %r = wafer.mask %v dim 0 fill 0 : i32 : (tensor<8xf32, #wafer.layout<[y live 7 padding any]>>) -> tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @differs_along_the_line() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  %w = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  %r = wafer.reduce_apply_broadcast %v over [y] sum {
  ^bb0(%s: tensor<8xf32, #wafer.layout<[*]>>):
    // expected-error @below {{is computed at one place along 'y', but 'tensor<8xf32, #wafer.layout<[y]>>' differs there: compute it behind the broadcast}}
    wafer.yield %w : tensor<8xf32, #wafer.layout<[y]>>
  } : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @message_between_two_ways() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<x0 y, sum>>>
  %r = wafer.reduce_apply_broadcast %v over [y] sum {
  ^bb0(%s: tensor<8xf32, #wafer.layout<[*] partial<x0, sum>>>):
    // expected-error @below {{is a collective between the two ways of another: only local ops are}}
    %a = wafer.all_reduce %s over [x0] sum : (tensor<8xf32, #wafer.layout<[*] partial<x0, sum>>>) -> tensor<8xf32, #wafer.layout<[*]>>
    wafer.yield %a : tensor<8xf32, #wafer.layout<[*]>>
  } : (tensor<8xf32, #wafer.layout<[*] partial<x0 y, sum>>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

func.func @of_the_root_and_its_neighbor(%p: tensor<8xf32>) {
  %e = tensor.empty() : tensor<8xf32>
  %r = wafer.reduce_apply_broadcast %p over [y] sum {
  ^bb0(%s: tensor<8xf32>):
    %n = wafer.to_neighbor %s : (tensor<8xf32>) -> tensor<8xf32>
    // expected-error @below {{reads values of the root and of its neighbor: a PE has those of one of them}}
    %a = linalg.add ins(%s, %n : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
    wafer.yield %a : tensor<8xf32>
  } : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @another_type_for_the_neighbor(%p: tensor<8xf32>) {
  %r = wafer.reduce_apply_broadcast %p over [y] sum {
  ^bb0(%s: tensor<8xf32>):
    // expected-error @below {{gives other types than it has}}
    %n = wafer.to_neighbor %s : (tensor<8xf32>) -> tensor<4xf32>
    wafer.yield %n : tensor<4xf32>
  } : (tensor<8xf32>) -> tensor<4xf32>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @yields_something_else() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{does not yield what it gives}}
  %r = wafer.reduce_apply_broadcast %v over [y] sum {
  ^bb0(%s: tensor<8xf32, #wafer.layout<[*]>>):
    wafer.yield %s : tensor<8xf32, #wafer.layout<[*]>>
  } : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf16, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @still_partial_in_the_body() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{gives a value with another partial reduction than what is left of its operand's}}
  %r = wafer.reduce_apply_broadcast %v over [y] sum {
  ^bb0(%s: tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>):
    wafer.yield %s : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  } : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @one_value_too_few() {
  %v = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{reduces 1 values into 2}}
  %r = wafer.reduce_apply_broadcast %v over [y] sum {
  ^bb0(%s: tensor<8xf32, #wafer.layout<[*]>>, %t: tensor<8xf32, #wafer.layout<[*]>>):
    wafer.yield %s : tensor<8xf32, #wafer.layout<[*]>>
  } : (tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @good() {
  %p = tensor.empty() : tensor<8xf32, #wafer.layout<[* live 7 padding num] partial<x0 y, sum>>>
  %a = wafer.all_reduce %p over [x0] sum : (tensor<8xf32, #wafer.layout<[* live 7 padding num] partial<x0 y, sum>>>) -> tensor<8xf32, #wafer.layout<[* live 7 padding num] partial<y, sum>>>
  %b = wafer.reduce %a to [y] = 3 sum : (tensor<8xf32, #wafer.layout<[* live 7 padding num] partial<y, sum>>>) -> tensor<8xf32, #wafer.layout<[* live 7 padding num] root<y = 3>>>
  %c = wafer.broadcast %b from [y] = 3 : (tensor<8xf32, #wafer.layout<[* live 7 padding num] root<y = 3>>>) -> tensor<8xf32, #wafer.layout<[* live 7 padding num]>>
  %d = wafer.slice %c dim 0 over [y] cyclic : (tensor<8xf32, #wafer.layout<[* live 7 padding num]>>) -> tensor<8xf32, #wafer.layout<[cyclic y live 7 padding num]>>
  %e = wafer.mask %d dim 0 fill 0.0 : f32 : (tensor<8xf32, #wafer.layout<[cyclic y live 7 padding num]>>) -> tensor<8xf32, #wafer.layout<[cyclic y live 7 padding 0]>>
  %f = wafer.gather %e dim 0 over [y] cyclic : (tensor<8xf32, #wafer.layout<[cyclic y live 7 padding 0]>>) -> tensor<8xf32, #wafer.layout<[* live 7 padding 0]>>
  %h:2 = wafer.reduce_apply_broadcast %a over [y] sum {
  ^bb0(%s: tensor<8xf32, #wafer.layout<[* live 7 padding num]>>):
    wafer.yield %s, %c : tensor<8xf32, #wafer.layout<[* live 7 padding num]>>, tensor<8xf32, #wafer.layout<[* live 7 padding num]>>
  } : (tensor<8xf32, #wafer.layout<[* live 7 padding num] partial<y, sum>>>) -> (tensor<8xf32, #wafer.layout<[* live 7 padding num]>>, tensor<8xf32, #wafer.layout<[* live 7 padding num]>>)
  %q = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<x0 x1, max>>>
  %g = wafer.reduce %q to [x0, x1] = 2 max : (tensor<8xf32, #wafer.layout<[*] partial<x0 x1, max>>>) -> tensor<8xf32, #wafer.layout<[*] root<x0 = 1, x1 = 0>>>
  return
}
