// RUN: waferloom-opt %s --split-input-file --verify-diagnostics

func.func @tokens1() {
  return
}
// expected-error @below {{stands behind other ops of its module; it is the first}}
wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
}

// -----

// expected-error @below {{has stages but no region that they are copies of}}
wafer.program stages <3 x 1> {}

// -----

wafer.program {
  // expected-error @below {{runs @tokens2, which is no function of this module}}
  wafer.entry "tokens2" of @tokens2 tokens 2
}

// -----

wafer.program {
  wafer.entry "one" of @f tokens 1
  // expected-error @below {{has the name of another entry}}
  wafer.entry "one" of @g tokens 2
}
func.func @f() { return }
func.func @g() { return }

// -----

wafer.program {
  wafer.entry "one" of @f tokens 1
  // expected-error @below {{runs @f, as another entry does, and has no per_token}}
  wafer.entry "two" of @f tokens 2
}
func.func @f() { return }

// -----

wafer.program context 4 {
  // expected-error @below {{takes 5 tokens but states hold 4}}
  wafer.entry "five" of @f tokens 5
}
func.func @f() { return }

// -----

wafer.program {
  // expected-error @below {{says of 'x' no shape, which is an array<i64: ...>, but 3 : i64}}
  wafer.entry "one" of @f tokens 1 shapes {x = 3}
}
func.func @f() { return }

// -----

wafer.program {
  // expected-error @below {{has the input 'm' of ones, whose type is not that of a tensor but i64}}
  wafer.entry "one" of @f tokens 1 ones {m = i64}
}
func.func @f() { return }

// -----

wafer.program {
  // expected-error @below {{does not say how the host uses its input 'm' but ["twos", tensor<2xi64>]}}
  wafer.entry "one" of @f tokens 1 {host = {m = ["twos", tensor<2xi64>]}}
}
func.func @f() { return }

// -----

wafer.program {
  // expected-error @below {{does not say how the host uses its input 'm' but ["beams", tensor<2x1xi64>]}}
  wafer.entry "one" of @f tokens 1 {host = {m = ["beams", tensor<2x1xi64>]}}
}
func.func @f() { return }

// -----

wafer.program {
  // expected-error @below {{lists inputs for the host as 3}}
  wafer.entry "one" of @f tokens 1 {host = 3 : i64}
}
func.func @f() { return }

// -----

wafer.program {
  wafer.entry "one" of @f tokens 1 shapes {x = array<i64: 1, 1>} {host = {m = ["positions", tensor<1xi64>]}}
  // expected-error @below {{has other inputs for the host}}
  wafer.entry "two" of @f tokens 2 shapes {x = array<i64: 1, 2>} per_token {x = 1} {host = {m = ["position", tensor<2xi64>]}}
}
func.func @f() { return }

// -----

wafer.program {
  wafer.entry "one" of @f tokens 1 shapes {x = array<i64: 1, 1>}
  // expected-error @below {{counts 2 tokens of 'x' by dimension 0 : i64, which its shape does not have}}
  wafer.entry "two" of @f tokens 2 shapes {x = array<i64: 1, 2>} per_token {x = 0}
}
func.func @f() { return }

// -----

wafer.program {
  wafer.entry "one" of @f tokens 1 shapes {x = array<i64: 1, 1>, y = array<i64: 4>}
  // expected-error @below {{streams tokens through @f but has another shape of 'y'}}
  wafer.entry "two" of @f tokens 2 shapes {x = array<i64: 1, 2>, y = array<i64: 5>} per_token {x = 1}
}
func.func @f() { return }

// -----

wafer.program {
  // expected-error @below {{streams tokens through @f, which has no entry of its own}}
  wafer.entry "two" of @f tokens 2 shapes {x = array<i64: 1, 2>} per_token {x = 1}
}
func.func @f() { return }

// -----

// expected-error @below {{attribute 'wafer.tokens' is neither the wafer.target nor the wafer.options of a module}}
func.func @old() attributes {wafer.tokens = 1 : i64} { return }

// -----

// expected-error @below {{scales and zeros lie at an offset of at least 0}}
wafer.weight @w from "m" at 0 blocks <4 by 32 bits 4 size 32 scales f32 from "m" at -64> : tensor<4x32xf32>

// -----

// expected-error @below {{has integers of neither 2, 4 nor 8 bits}}
wafer.weight @w from "m" at 0 blocks <4 by 32 bits 5 size 32 scales f32 from "m" at 64> : tensor<4x32xf32>

// -----

// expected-error @below {{is not of the type of its scales}}
wafer.weight @w from "m" at 0 blocks <4 by 32 bits 4 size 32 scales f16 from "m" at 64> : tensor<4x32xf32>

// -----

// expected-error @below {{is wafer.kept but has no integers in a file}}
wafer.weight @w from "m" at 0 {wafer.kept} : tensor<4x32xf32>

// -----

// expected-error @below {{is packed in blocks but lies in no file}}
wafer.weight @w blocks <4 by 32 bits 4 size 32 scales f32 from "m" at 64> = dense<1.0> : tensor<4x32xf32> : tensor<4x32xf32>

// -----

// expected-error @below {{is rounded but not dense, or has zeros of its own}}
wafer.weight @w from "m" at 0 blocks <4 by 32 bits 4 size 32 rounded f32 scales f16 wide nowhere> : tensor<4x32xf32>

// -----

// expected-error @below {{says of floats more than that they have 8 bits, e2m1 4}}
wafer.weight @w from "m" at 0 blocks <4 by 32 bits 4 size 32 code e4m3fn scales f32 zeros none from "m" at 64> : tensor<4x32xf32>

// -----

// expected-error @below {{has blocks of no rows, or of several and a period}}
wafer.weight @w from "m" at 0 blocks <4 by 32 bits 4 size 32 tall 2 period 2 scales f32 from "m" at 64> : tensor<4x32xf32>

// -----

// expected-error @below {{attribute 'wafer.round' has no value}}
wafer.weight @w from "m" at 0 {wafer.round = 4} : tensor<4x32xf32>

// -----

func.func @f() {
  // expected-error @below {{takes integers from 3, which is above 0 or not below its limit}}
  %0 = wafer.input "ids" {least = 3 : i64} : tensor<1xi32>
  return
}

// -----

// expected-error @below {{has 127 elements and blocks of 4 by 32}}
wafer.weight @w from "m" at 0 blocks <4 by 32 bits 4 size 32 scales f32 from "m" at 64> : tensor<127xf32>

// -----

// expected-error @below {{figure 'sram' of a target is a number, not "much"}}
module attributes {wafer.target = #wafer.target<"grid-2x2", {sram = "much"}>} {}

// -----

wafer.program {
  // expected-error @below {{is for steps from 2 tokens on and until 2, so for none}}
  wafer.entry "one" of @f tokens 1 from 2 until 2
}
func.func @f() { return }
