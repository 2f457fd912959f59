// RUN: waferloom-opt %s --convert-wafer-to-fabric="colors=6" --split-input-file --verify-diagnostics

func.func @half() attributes {wafer.tokens = 1 : i64, wafer.region = #wafer.region<x = 4, y = 5>} {
  %a = tensor.empty() : tensor<8xf16>
  // expected-error @below {{combines 'f16' values; words of the fabric carry f32 or i32 for now}}
  %0 = wafer.all_reduce %a over [y] sum : (tensor<8xf16>) -> tensor<8xf16>
  return
}

// -----

func.func @far() attributes {wafer.tokens = 1 : i64, wafer.region = #wafer.region<x = 2 x 4, y = 5>} {
  %a = tensor.empty() : tensor<8xf32>
  // expected-error @below {{'chain' over PEs 4 apart needs 9 colors of 6 that are left: make this the minor factor of its axis}}
  %0 = wafer.all_reduce %a over [x0] sum : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @nowhere() {
  %a = tensor.empty() : tensor<8xf32>
  // expected-error @below {{is in no function with a wafer.region}}
  %0 = wafer.all_reduce %a over [x] sum : (tensor<8xf32>) -> tensor<8xf32>
  return
}
