// RUN: waferloom-opt %s --partition-factor --verify-diagnostics --split-input-file

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
