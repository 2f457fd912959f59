// RUN: waferloom-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(sampling-choose))' | FileCheck %s

wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
}
// The arg-max is a maximum, then the least of the indices that reach it.
wafer.weight @embed : tensor<5x4xf32>
// CHECK-LABEL: func.func @tokens1
func.func @tokens1() {
  %ids = wafer.input "input_ids" {limit = 5 : i64} : tensor<1x1xi32>
  %table = wafer.parameter [@embed] : tensor<5x4xf32>
  %x = wafer.lookup %table[%ids] : (tensor<5x4xf32>, tensor<1x1xi32>) -> tensor<1x1x4xf32>
  wafer.output "hidden", %x : tensor<1x1x4xf32>
  %logits = arith.constant dense<[[[1.0, 3.0, 3.0, 0.0, 2.0]]]> : tensor<1x1x5xf32>
  // CHECK: wafer.output "logits", %[[LOGITS:.*]] : tensor<1x1x5xf32>
  wafer.output "logits", %logits : tensor<1x1x5xf32>
  // CHECK: %[[BEST:.*]] = linalg.generic {{.*}}"reduction"]} ins(%[[LOGITS]]
  // CHECK: arith.maximumf
  // CHECK: %[[IOTA:.*]] = wafer.iota : tensor<5xi32>
  // CHECK: linalg.generic {{.*}} ins(%[[LOGITS]], %[[BEST]], %[[IOTA]]
  // CHECK: arith.cmpf oeq
  // CHECK: arith.minsi
  // CHECK: %[[TOKEN:.*]] = linalg.generic {{.*}} outs({{.*}} : tensor<1x1xi32>)
  // CHECK: wafer.output "wafer.next_token", %[[TOKEN]] feeds "input_ids" : tensor<1x1xi32>
  return
}

// -----

wafer.program {
  wafer.entry "tokens2" of @tokens2 tokens 2
}
// A chunk picks after its last token, and its token feeds nothing: the next step
// is of another entry.
wafer.weight @embed : tensor<5x4xf32>
// CHECK-LABEL: func.func @tokens2
func.func @tokens2() {
  %k = wafer.state ["k"] : tensor<1x8x4xf32>
  %ids = wafer.input "input_ids" {limit = 5 : i64} : tensor<1x2xi32>
  %table = wafer.parameter [@embed] : tensor<5x4xf32>
  %x = wafer.lookup %table[%ids] : (tensor<5x4xf32>, tensor<1x2xi32>) -> tensor<1x2x4xf32>
  // CHECK: wafer.output "logits", %[[LOGITS:.*]] : tensor<1x2x4xf32>
  wafer.output "logits", %x : tensor<1x2x4xf32>
  // CHECK: %[[ROW:.*]] = tensor.extract_slice %[[LOGITS]][0, 1, 0] [1, 1, 4]
  // CHECK: linalg.generic {{.*}}"reduction"]} ins(%[[ROW]]
  // CHECK: wafer.output "wafer.next_token", %{{[^ ]*}} : tensor<1x1xi32>
  return
}

// -----

wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
}
// More numbers than the vocabulary has tokens: an index would not be a token.
wafer.weight @embed : tensor<5x4xf32>
// CHECK-LABEL: func.func @tokens1
// CHECK-NOT: next_token
func.func @tokens1() {
  %ids = wafer.input "input_ids" {limit = 5 : i64} : tensor<1x1xi32>
  %table = wafer.parameter [@embed] : tensor<5x4xf32>
  %x = wafer.lookup %table[%ids] : (tensor<5x4xf32>, tensor<1x1xi32>) -> tensor<1x1x4xf32>
  wafer.output "hidden", %x : tensor<1x1x4xf32>
  %v = arith.constant dense<0.0> : tensor<1x1x6xf32>
  wafer.output "logits", %v : tensor<1x1x6xf32>
  return
}

// -----

wafer.program {
  wafer.entry "tokens1" of @tokens1 tokens 1
}
// An encoder takes no required token that picks a row.
// CHECK-LABEL: func.func @tokens1
// CHECK-NOT: next_token
func.func @tokens1() {
  %x = wafer.input "x" : tensor<1x1x6xf32>
  wafer.output "logits", %x : tensor<1x1x6xf32>
  return
}
