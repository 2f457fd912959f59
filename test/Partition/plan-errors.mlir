// RUN: waferloom-opt %s --partition-plan="width=4 height=2" --verify-diagnostics --split-input-file
// Modules that have no plan. (What does not fit is in plan.mlir.)

module attributes {wafer.target = #wafer.target<"grid-4x2">} {
wafer.program {
  wafer.entry "no_rule" of @no_rule tokens 1
}
func.func @no_rule() {
  %x = wafer.input "x" : tensor<4xf32>
  // expected-error @below {{'math.exp' has no rule for partitioning: express it by linalg.generic}}
  %y = math.exp %x : tensor<4xf32>
  wafer.output "y", %y : tensor<4xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-4x2">} {
wafer.program {
  wafer.entry "a" of @a tokens 1
  wafer.entry "b" of @b tokens 2
}
// A weight that two entries read in shapes which have nothing in common.
wafer.weight @w : tensor<12xf32>
func.func @a() {
  %w = wafer.parameter [@w] : tensor<3x4xf32>
  wafer.output "w", %w : tensor<3x4xf32>
  return
}
func.func @b() {
  // expected-error @below {{reads @w as 'tensor<4x3xf32>' but another entry as 'tensor<3x4xf32>'}}
  %w = wafer.parameter [@w] : tensor<4x3xf32>
  wafer.output "w", %w : tensor<4x3xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-4x2">} {
wafer.program {
  wafer.entry "start" of @start tokens 1
}
// A sum that starts from a tensor, which algebra-fold takes apart.
func.func @start() {
  %x = wafer.input "x" : tensor<4xf32>
  %b = wafer.input "b" : tensor<f32>
  // expected-error @below {{a reduction starts from a constant (algebra-fold)}}
  %s = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%b : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.addf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  wafer.output "s", %s : tensor<f32>
  return
}
}
