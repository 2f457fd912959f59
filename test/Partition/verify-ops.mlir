// RUN: waferloom-opt %s --partition-verify --verify-diagnostics --split-input-file

wafer.program region <x = 2 x 2, y = 4> {}
func.func @sum_over_finite() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding num]>>
  %e = tensor.empty() : tensor<f32, #wafer.layout<[] partial<y, sum>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<f32, #wafer.layout<[] partial<y, sum>>>) -> tensor<f32, #wafer.layout<[] partial<y, sum>>>
  // expected-error @below {{the padding of reduction loop d0 (padded to 8, live 7) is num; sum needs 0}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%v0 : tensor<8xf32, #wafer.layout<[y live 7 padding num]>>) outs(%f : tensor<f32, #wafer.layout<[] partial<y, sum>>>) {
  ^bb0(%a0: f32, %o: f32):
    %y = arith.addf %o, %a0 : f32
    linalg.yield %y : f32
  } -> tensor<f32, #wafer.layout<[] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @max_over_zero() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  %e = tensor.empty() : tensor<f32, #wafer.layout<[] partial<y, max>>>
  %c = arith.constant 0xFF800000 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<f32, #wafer.layout<[] partial<y, max>>>) -> tensor<f32, #wafer.layout<[] partial<y, max>>>
  // expected-error @below {{the padding of reduction loop d0 (padded to 8, live 7) is 0; max needs -inf}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%v0 : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>) outs(%f : tensor<f32, #wafer.layout<[] partial<y, max>>>) {
  ^bb0(%a0: f32, %o: f32):
    %y = arith.maximumf %o, %a0 : f32
    linalg.yield %y : f32
  } -> tensor<f32, #wafer.layout<[] partial<y, max>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @zero_times_any() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding any]>>
  %e = tensor.empty() : tensor<f32, #wafer.layout<[] partial<y, sum>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<f32, #wafer.layout<[] partial<y, sum>>>) -> tensor<f32, #wafer.layout<[] partial<y, sum>>>
  // expected-error @below {{is any; sum needs 0}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>, tensor<8xf32, #wafer.layout<[y live 7 padding any]>>) outs(%f : tensor<f32, #wafer.layout<[] partial<y, sum>>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %p = arith.mulf %a0, %a1 : f32
    %y = arith.addf %o, %p : f32
    linalg.yield %y : f32
  } -> tensor<f32, #wafer.layout<[] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @zero_times_finite() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding num]>>
  %e = tensor.empty() : tensor<f32, #wafer.layout<[] partial<y, sum>>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<f32, #wafer.layout<[] partial<y, sum>>>) -> tensor<f32, #wafer.layout<[] partial<y, sum>>>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>, tensor<8xf32, #wafer.layout<[y live 7 padding num]>>) outs(%f : tensor<f32, #wafer.layout<[] partial<y, sum>>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %p = arith.mulf %a0, %a1 : f32
    %y = arith.addf %o, %p : f32
    linalg.yield %y : f32
  } -> tensor<f32, #wafer.layout<[] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @two_roots() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] root<y = 1>>>
  %v1 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] root<y = 2>>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[*] root<y = 1>>>
  // expected-error @below {{operands live at y = 1 and y = 2}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[*] root<y = 1>>>, tensor<8xf32, #wafer.layout<[*] root<y = 2>>>) outs(%e : tensor<8xf32, #wafer.layout<[*] root<y = 1>>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.addf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[*] root<y = 1>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @root_on_a_loop() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  %v1 = tensor.empty() : tensor<f32, #wafer.layout<[] root<y = 1>>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  // expected-error @below {{operand 1 lives at one coordinate of 'y', which splits loop d0}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[y]>>, tensor<f32, #wafer.layout<[] root<y = 1>>>) outs(%e : tensor<8xf32, #wafer.layout<[y]>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.mulf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @start_not_neutral() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  %e = tensor.empty() : tensor<f32, #wafer.layout<[] partial<y, sum>>>
  %c = arith.constant 1.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<f32, #wafer.layout<[] partial<y, sum>>>) -> tensor<f32, #wafer.layout<[] partial<y, sum>>>
  // expected-error @below {{a split reduction starts from the neutral element 0}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%v0 : tensor<8xf32, #wafer.layout<[y]>>) outs(%f : tensor<f32, #wafer.layout<[] partial<y, sum>>>) {
  ^bb0(%a0: f32, %o: f32):
    %y = arith.addf %o, %a0 : f32
    linalg.yield %y : f32
  } -> tensor<f32, #wafer.layout<[] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @partial_not_said() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  %e = tensor.empty() : tensor<f32, #wafer.layout<[]>>
  %c = arith.constant 0.0 : f32
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<f32, #wafer.layout<[]>>) -> tensor<f32, #wafer.layout<[]>>
  // expected-error @below {{gives #wafer.layout<[] partial<y, sum>> but its result claims #wafer.layout<[]>}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%v0 : tensor<8xf32, #wafer.layout<[y]>>) outs(%f : tensor<f32, #wafer.layout<[]>>) {
  ^bb0(%a0: f32, %o: f32):
    %y = arith.addf %o, %a0 : f32
    linalg.yield %y : f32
  } -> tensor<f32, #wafer.layout<[]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @padding_claimed() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  %v1 = tensor.empty() : tensor<f32, #wafer.layout<[]>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  // expected-error @below {{leaves num in the padding of dimension 0 but its result claims 0}}
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0, %v1 : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>, tensor<f32, #wafer.layout<[]>>) outs(%e : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %y = arith.addf %a0, %a1 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @negated_partial() {
  %v0 = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  %e = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%v0 : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) outs(%e : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>) {
  ^bb0(%a0: f32, %o: f32):
    %y = arith.negf %a0 : f32
    linalg.yield %y : f32
  } -> tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @output_partial() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  // expected-error @below {{is partial nowhere and lives everywhere}}
  wafer.output "x", %x : tensor<8xf32, #wafer.layout<[*] partial<y, sum>>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @slice_of_split() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  // expected-error @below {{cuts dimension 0, which is split: gather it first}}
  %r = tensor.extract_slice %x[0] [4] [1] : tensor<8xf32, #wafer.layout<[y]>> to tensor<4xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @concat_of_padded() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[* live 7 padding 0]>>
  // expected-error @below {{joins along dimension 0, which is padded}}
  %r = tensor.concat dim(0) %x, %x : (tensor<8xf32, #wafer.layout<[* live 7 padding 0]>>, tensor<8xf32, #wafer.layout<[* live 7 padding 0]>>) -> tensor<16xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @no_rule() {
  %x = tensor.empty() : tensor<8xf32, #wafer.layout<[y]>>
  // expected-error @below {{has no rule for a value that is not whole on every PE}}
  %r = math.exp %x : tensor<8xf32, #wafer.layout<[y]>>
  return
}

// -----

wafer.program region <x = 2 x 2, y = 4> {}
func.func @state_promises() {
  // expected-error @below {{promises num in the padding of dimension 0 but its type claims 0}}
  %s = wafer.state ["s"] : tensor<8xf32, #wafer.layout<[y live 7 padding 0]>>
  return
}
