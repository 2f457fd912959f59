// RUN: waferloom-opt %s --partition-factor --verify-diagnostics --split-input-file

wafer.program {
  wafer.entry "not_nested" of @not_nested tokens 1
}
func.func @not_nested() {
  // expected-error @below {{a dimension of 24 is factored at boundaries that do not nest: 1, 4, 6, 24}}
  %x = wafer.input "x" : tensor<24xf32>
  %a = tensor.expand_shape %x [[0, 1]] output_shape [6, 4] : tensor<24xf32> into tensor<6x4xf32>
  wafer.output "a", %a : tensor<6x4xf32>
  %b = tensor.expand_shape %x [[0, 1]] output_shape [4, 6] : tensor<24xf32> into tensor<4x6xf32>
  wafer.output "b", %b : tensor<4x6xf32>
  return
}

// -----

wafer.program {
  wafer.entry "no_rule" of @no_rule tokens 1
}
func.func @no_rule() {
  %x = wafer.input "x" : tensor<4xf32>
  // expected-error @below {{'math.exp' has no rule for factoring its dimensions}}
  %y = math.exp %x : tensor<4xf32>
  wafer.output "y", %y : tensor<4xf32>
  return
}
