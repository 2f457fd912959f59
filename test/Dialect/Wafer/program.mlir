// RUN: waferloom-opt %s | waferloom-opt | FileCheck %s
// Programs, entries, targets and packed weights print as they are written.

// CHECK: module attributes {wafer.options = {context = 64 : i64}, wafer.target = #wafer.target<"grid-8x8,sram=64KiB">}
module attributes {wafer.options = {context = 64}, wafer.target = #wafer.target<"grid-8x8,sram=64KiB">} {
  // CHECK-NEXT: wafer.program context 64 region <x = 2 x 4, y = 8> stages <3 x 1>
  // CHECK-SAME: inputs [#wafer.model_tensor<"ids", i64, ["batch", "sequence"]>]
  // CHECK-SAME: outputs [#wafer.model_tensor<"logits", f32, [1, "sequence", 512]>]
  // CHECK-SAME: states [#wafer.model_state<"past", "present", 2>] {
  // CHECK-NEXT: wafer.entry "tokens1" of @tokens1 tokens 1 shapes {ids = array<i64: 1, 1>} ones {mask = tensor<1x64xi64>}
  // CHECK-NEXT: wafer.entry "tokens4" of @tokens1 tokens 4 shapes {ids = array<i64: 1, 4>} ones {mask = tensor<1x64xi64>} per_token {ids = 1 : i64}
  wafer.program context 64 region <x = 2 x 4, y = 8> stages <3 x 1>
      inputs [#wafer.model_tensor<"ids", i64, ["batch", "sequence"]>]
      outputs [#wafer.model_tensor<"logits", f32, [1, "sequence", 512]>]
      states [#wafer.model_state<"past", "present", 2>] {
    wafer.entry "tokens1" of @tokens1 tokens 1 shapes {ids = array<i64: 1, 1>} ones {mask = tensor<1x64xi64>}
    wafer.entry "tokens4" of @tokens1 tokens 4 shapes {ids = array<i64: 1, 4>} ones {mask = tensor<1x64xi64>}
        per_token {ids = 1}
  }
  // CHECK: wafer.weight @w from "m" at 4 blocks <4 by 32 bits 4 size 32 scales f32 from "m" at 64> : tensor<4x32xf32>
  wafer.weight @w from "m" at 4 blocks <4 by 32 bits 4 size 32 scales f32 from "m" at 64> : tensor<4x32xf32>
  // CHECK: blocks <4 by 32 bits 2 size 16 scales f16 zeros packed from "s" at 64, "z" at 8> : tensor<4x32xf16>
  wafer.weight @v from "m" at 4 blocks <4 by 32 bits 2 size 16 scales f16 zeros packed from "s" at 64, "z" at 8> : tensor<4x32xf16>
  // CHECK: blocks <24 by 5 bits 8 size 5 signed period 3 scales f32 zeros none from "s" at 64> : tensor<8x3x5xf32>
  wafer.weight @u from "m" at 4 blocks <24 by 5 bits 8 size 5 signed period 3 scales f32 zeros none from "s" at 64> : tensor<8x3x5xf32>
  func.func @tokens1() {
    // CHECK: wafer.input "offsets" {least = -7 : i64, limit = 8 : i64} : tensor<1xi32>
    %0 = wafer.input "offsets" {least = -7, limit = 8} : tensor<1xi32>
    return
  }
}
