// RUN: waferloom-opt %s | waferloom-opt | FileCheck %s
// RUN: waferloom-opt --mlir-print-op-generic %s | waferloom-opt | FileCheck %s

// Every op in every form that its text has.

// CHECK: core.image "grid-8x4" attributes {capacity = 64 : i64, parameters = 60 : i64} {
core.image "grid-8x4" attributes {capacity = 64 : i64, parameters = 60 : i64} {
  // CHECK: core.source "w" = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
  core.source "w" = dense<[1.0, 2.0]> : tensor<2xf32>
  // CHECK: core.source "embed" bytes 1024 in "model.onnx" at 4096
  core.source "embed" bytes 1024 in "model.onnx" at 4096
  // CHECK: core.source "head" bytes 512 in "model.onnx" at 8192 narrowed
  core.source "head" bytes 512 in "model.onnx" at 8192 narrowed
  // CHECK: core.source "down" bytes 32768 in "m.data" at 0 blocks <128 by 64 bits 4 size 32 scales f32 from "m.data" at 4096>
  core.source "down" bytes 32768 in "m.data" at 0 blocks <128 by 64 bits 4 size 32 scales f32 from "m.data" at 4096>
  // CHECK: core.source "wide" bytes 48 in "m.data" at 0 blocks <1 by 12 bits 16 size 12 bfloat16 from "m.data" at 0>
  core.source "wide" bytes 48 in "m.data" at 0 blocks <1 by 12 bits 16 size 12 bfloat16 from "m.data" at 0>
  // CHECK: core.source "up" bytes 64 in "m.data" at 0 blocks <2 by 16 bits 8 size 16 scales f16 zeros packed from "m.data" at 64, "m.data" at 96>
  core.source "up" bytes 64 in "m.data" at 0 blocks <2 by 16 bits 8 size 16 scales f16 zeros packed from "m.data" at 64, "m.data" at 96>
  // CHECK: core.source "out.codes" bytes 16 in "m.data" at 0 blocks <4 by 8 bits 4 size 1 tall 2 dense code e2m1 rounded f32 mse scales e8m0 wide zeros none nowhere> part codes
  core.source "out.codes" bytes 16 in "m.data" at 0 blocks <4 by 8 bits 4 size 1 tall 2 dense code e2m1 rounded f32 mse scales e8m0 wide zeros none nowhere> part codes
  // CHECK: core.source "gate" bytes 240 in "m.data" at 0 blocks <12 by 5 bits 8 size 5 signed period 3 scales f32 zeros none from "m.data" at 64>
  core.source "gate" bytes 240 in "m.data" at 0 blocks <12 by 5 bits 8 size 5 signed period 3 scales f32 zeros none from "m.data" at 64>
  // CHECK: core.source "nowhere" bytes 16
  core.source "nowhere" bytes 16
  // CHECK: core.entry "tokens16" tokens 16 from 1 {
  core.entry "tokens16" tokens 16 from 1 {
    // CHECK: core.input "ids" required below 512
    core.input "ids" required below 512
    // CHECK: core.input "mask" ones
    core.input "mask" ones
    // CHECK: core.tensor output "logits" [1, 1, 512] f32 as f32
    core.tensor output "logits" [1, 1, 512] f32 as f32
    // CHECK: core.tensor input "ids" [1, 1] i32 as i64
    core.tensor input "ids" [1, 1] i32 as i64
    // CHECK: core.tensor output "bytes" [4] i32 as ui8
    core.tensor output "bytes" [4] i32 as ui8
    // CHECK: core.tensor output "small" [4] f32 as f8E5M2
    core.tensor output "small" [4] f32 as f8E5M2
    // CHECK: core.bounds wires 90 hard 200 products 40 pace 41 layers 5 wires 16 hard 38 products 8 floor 230, 44
    core.bounds wires 90 hard 200 products 40 pace 41 layers 5 wires 16 hard 38 products 8 floor 230, 44
  }
  // CHECK: core.entry "again" until 1
  core.entry "again" until 1
  // CHECK: core.region at 1, 2 size 6, 2 columns [0, (1, 2) x 2, 3] rows [0 x 2] memory 4096 {
  core.region at 1, 2 size 6, 2 columns [0, (1, 2) x 2, 3] rows [0 x 2]
      memory 4096 {
    // CHECK: core.set @ends = [0, 3]
    core.set @ends = [0, 3]
    // CHECK: core.set @top = [0]
    core.set @top = [0]
    // CHECK: core.bind parameter "w" f32[0] as f32 [15 by 1 (x 4, 4), 2 by 15 (y 2 every 3)] source 0 offset 4
    core.bind parameter "w" f32[0] as f32 [15 by 1 (x 4, 4), 2 by 15 (y 2 every 3)] source 0 offset 4
    // CHECK: core.bind parameter "p" f16[0] as f16 [8 by 4 (8), 4 by 1 (4)] source 3 packed <codes groups[1, 4] of 8 by 4 bits 8 size 4 scales f32 zeros none>
    core.bind parameter "p" f16[0] as f16 [8 by 4 (8), 4 by 1 (4)] source 3 packed <codes groups [1, 4] of 8 by 4 bits 8 size 4 scales f32 zeros none>
    // CHECK: core.buffer parameter @wq bytes 60 at 512 on columns @ends rows @top
    core.buffer parameter @wq bytes 60 at 512 on columns @ends rows @top
    // CHECK: core.buffer state @cache bytes 128
    core.buffer state @cache bytes 128
    // CHECK: core.bind state "k.0" f32[@cache] as f32 [4 by 1 (4)]
    core.bind state "k.0" f32[@cache] as f32 [4 by 1 (4)]
    // CHECK: core.bind state "k.1" f32[@cache + 64] as f32 [4 by 1 (4)]
    core.bind state "k.1" f32[@cache + 64] as f32 [4 by 1 (4)]
    // CHECK: core.bind index "k" i32[64] as i32 [64 by 1 (32, x 2)] on columns @ends rows @top
    core.bind index "k" i32[64] as i32 [64 by 1 (32, x 2)] on columns @ends rows @top
    // CHECK: core.program "tokens16" {
    core.program "tokens16" {
      // CHECK: core.bind input "ids" i32[128] as i64 [1 by 1 (1)] padding -1
      core.bind input "ids" i32[128] as i64 [1 by 1 (1)] padding -1
      // CHECK: core.bind output "logits" f32[132] as f32 [512 by 1 (x 4, 128)] on rows @top
      core.bind output "logits" f32[132] as f32 [512 by 1 (x 4, 128)] on rows @top
      // CHECK: core.route 0 from ramp to east, west on columns @ends
      core.route 0 from ramp to west, east on columns @ends
      // CHECK: core.route 1 from ramp 8, east 24 to west
      core.route 1 from ramp 8, east 24 to west
      // CHECK: core.vector add [8] f32[256] = f32[0], f32[128]
      core.vector add [8] f32[256] = f32[0], f32[128]
      // CHECK: core.vector fma [4, 8] f32[0 : 0, 1] = f32[0 : 0, 1], f16[64], f16(5.000000e-01) product on columns @ends
      core.vector fma [4, 8] f32[0 : 0, 1] = f32[0 : 0, 1], f16[64], f16(0.5) product on columns @ends
      // CHECK: core.vector mov [] f32[0] = f32(0xFF800000) if i32[64] thread 3
      core.vector mov [] f32[0] = f32(0xFF800000) if i32[64] thread 3
      // CHECK: core.wait 3
      core.wait 3
      // CHECK: core.vector convert [2] i32[0] = f32[8] on rows @top if i32[64 : 1]
      core.vector convert [2] i32[0] = f32[8] on rows @top if i32[64 : 1]
      // CHECK: core.vector add [2] i32[0] = i32[0], i32(-3)
      core.vector add [2] i32[0] = i32[0], i32(-3)
      // CHECK: core.loop 4 over layers on rows @top {
      core.loop 4 over layers on rows @top {
        // CHECK: core.loop 2 {
        core.loop 2 {
          // CHECK: core.vector mov [8] f32[64 : 1 step 0 by 32, 1 by -4] = f32[0 + i32[64 step 1 by 4] * 128 of 512]
          core.vector mov [8] f32[64 : 1 step 0 by 32, 1 by -4] = f32[0 + i32[64 step 1 by 4] * 128 of 512]
        }
      }
      // CHECK: core.send [8] f32[0] to 3 queue 1 on columns @ends thread 0
      core.send [8] f32[0] to 3 queue 1 on columns @ends thread 0
      // CHECK: core.recv [8] f32[0] from 3
      core.recv [8] f32[0] from 3 loc("layer0/attn/MatMul")
      // CHECK: core.recv_fold max [8] f32[0] from 3 queue 2
      core.recv_fold max [8] f32[0] from 3 queue 2
      // CHECK: core.recv_fold_send add [8] f32[0] from 3 to 4 queue 5 on columns @ends
      core.recv_fold_send add [8] f32[0] from 3 to 4 queue 5 on columns @ends
      // CHECK: core.rewrite on columns @ends
      core.rewrite on columns @ends
      // CHECK: core.buffer input @ids bytes 16
      core.buffer input @ids bytes 16
      // CHECK: core.buffer scratch @scores bytes 64 start 12 at 1036
      core.buffer scratch @scores bytes 64 start 12 at 1036
      // CHECK: core.vector mov [4] f32[@scores] = f32[@wq + 12]
      core.vector mov [4] f32[@scores] = f32[@wq + 12]
      // CHECK: core.vector mov [2, 4] f32[@scores + 16 : 4, 2] = f32[@cache : 1, 2]
      core.vector mov [2, 4] f32[@scores + 16 : 4, 2] = f32[@cache : 1, 2]
      // CHECK: core.loop 3 per_entry over tokens on rows @top {
      core.loop 3 per_entry over tokens on rows @top {
        // CHECK: core.vector mov [4] f32[@scores step 0 by 16] = f32[@cache + 8 + i32[@ids + 4 step 0 by 4] * 4 of 24] if i32[@ids : 0]
        core.vector mov [4] f32[@scores step 0 by 16] = f32[@cache + 8 + i32[@ids + 4 step 0 by 4] * 4 of 24] if i32[@ids : 0]
        // CHECK: core.vector mov [4] f32[@scores] = f32[@cache + i32[@ids] * 16 of 8 : 1]
        core.vector mov [4] f32[@scores] = f32[@cache + i32[@ids] * 16 of 8 : 1]
      }
      // CHECK: core.end
      core.end
    }
    // CHECK: core.program "again" {
    core.program "again" {
      // The names of programs are their own.
      // CHECK: core.buffer output @scores bytes 4
      core.buffer output @scores bytes 4
    }
  }
  // CHECK: core.region at 0, 0 size 1, 2 columns [0] rows [0, 1] stages [1, 2] {
  core.region at 0, 0 size 1, 2 columns [0] rows [0, 1] stages [1, 2] {
    core.program "tokens16" {
    }
    core.program "again" shares "tokens16" {
    }
  }
}
