// RUN: waferloom-opt %s --partition-to-per-pe --verify-diagnostics --split-input-file
// What has no local shard.

// expected-error @below {{is in no program with a region: plan it first}}
func.func @unplanned() {
  return
}

// -----

wafer.program region <x = 2, y = 4> {}
// expected-error @below {{takes arguments with layouts: read a wafer.input}}
func.func @argument(%x: tensor<8xf32, #wafer.layout<[y]>>) {
  return
}

// -----

wafer.program region <x = 2, y = 4> {}
func.func @constant() {
  // expected-error @below {{a constant with a layout that is no splat: make it a weight (partition-factor)}}
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32, #wafer.layout<[y]>>
  return
}
