// RUN: waferloom-opt %s --convert-wafer-to-fabric --split-input-file --verify-diagnostics

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6">} {
wafer.program region <x = 4, y = 5> {
  wafer.entry "half" of @half tokens 1
}
func.func @half() {
  %a = tensor.empty() : tensor<8xf16>
  // expected-error @below {{combines 'f16' values; words of the fabric carry f32 or i32 when they are combined}}
  %0 = wafer.all_reduce %a over [y] sum : (tensor<8xf16>) -> tensor<8xf16>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6">} {
wafer.program region <x = 4, y = 5> {
  wafer.entry "wide" of @wide tokens 1
}
func.func @wide() {
  %a = tensor.empty() : tensor<8xbf16>
  // expected-error @below {{broadcasts 'bf16' values; words of the fabric carry f32 or i32, or two f16}}
  %0 = wafer.broadcast %a from [y] = 1 : (tensor<8xbf16>) -> tensor<8xbf16>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6">} {
wafer.program region <x = 2 x 4, y = 5> {
  wafer.entry "far" of @far tokens 1
}
func.func @far() {
  %a = tensor.empty() : tensor<8xf32>
  // expected-error @below {{'chain' over PEs 4 apart needs 9 colors of 6 that are left: make this the minor factor of its axis}}
  %0 = wafer.all_reduce %a over [x0] sum : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6">} {
func.func @nowhere() {
  %a = tensor.empty() : tensor<8xf32>
  // expected-error @below {{is in no program with a region}}
  %0 = wafer.all_reduce %a over [x] sum : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}
