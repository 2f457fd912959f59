// RUN: waferloom-opt --core-through-image %s > %t.once
// RUN: waferloom-opt --core-through-image %t.once > %t.twice
// RUN: diff %t.once %t.twice
// RUN: FileCheck %s < %t.once

// Text becomes an image and comes back: sets are called by their index, buffers are addresses, data is given by its size, an instruction keeps its ONNX node or gets its line.

// CHECK: core.image "grid-8x4" attributes {capacity = 64 : i64, parameters = 60 : i64} {
core.image "grid-8x4" attributes {capacity = 64 : i64, parameters = 60 : i64} {
  // CHECK: core.source "w" bytes 240
  core.source "w" = dense<1.0> : tensor<60xf32>
  // CHECK: core.source "h" bytes 6
  core.source "h" = dense<[1.0, 2.0, 3.0]> : tensor<3xf16>
  // CHECK: core.entry "tokens16" tokens 16 {
  core.entry "tokens16" tokens 16 {
    // CHECK: core.input "ids" required below 512
    core.input "ids" required below 512
    // CHECK: core.tensor input "ids" [1, 1] i32 as i64
    core.tensor input "ids" [1, 1] i32 as i64
  }
  // CHECK: core.entry "again"
  core.entry "again"
  // CHECK: core.region at 1, 2 size 6, 2 columns [0, (1, 2) x 2, 3] rows [0 x 2] memory 4096 stages [2, 1] {
  core.region at 1, 2 size 6, 2 columns [0, (1, 2) x 2, 3] rows [0 x 2] memory 4096 stages [2, 1] {
    // CHECK: core.set @set1 = [0, 3]
    core.set @ends = [0, 3]
    // CHECK: core.set @set2 = [70]
    core.set @none = [70]
    core.buffer parameter @weights bytes 32 at 0
    // CHECK-NOT: core.buffer
    // CHECK: core.bind parameter "w" f32[0] as f32 [15 by 1 (x 4, 4), 2 by 15 (y 2 every 3)] source 0 offset 4
    core.bind parameter "w" f32[@weights] as f32 [15 by 1 (x 4, 4), 2 by 15 (y 2 every 3)] source 0 offset 4
    // CHECK: core.bind index "k" i32[64] as i32 [64 by 1 (32, x 2)] on columns @set1 rows @set2
    core.bind index "k" i32[64] as i32 [64 by 1 (32, x 2)] on columns @ends rows @none
    // The programs come in the order of the entries.
    core.program "again" {
      core.end
    }
    // CHECK: core.program "tokens16" {
    core.program "tokens16" {
      // CHECK: core.bind input "ids" i32[128] as i64 [1 by 1 (1)] padding 4294967295
      core.bind input "ids" i32[128] as i64 [1 by 1 (1)] padding -1
      // CHECK: core.route 1 from ramp 8, east 24 to south, west on rows @set2
      core.route 1 from ramp 8, east 24 to south, west on rows @none
      // CHECK: core.vector add [2, 4] f32[256] = f32[0], f32[128] loc([[TEXT:#.*]])
      core.vector add [2, 4] f32[256 : 4, 1] = f32[0], f32[128]
      core.buffer scratch @sum bytes 64 at 1024
      // CHECK: core.vector mov [4] f32[1040] = f32[0 + i32[1028] * 4 of 4]
      core.vector mov [4] f32[@sum + 16] = f32[@weights + i32[@sum + 4] * 4 of 4]
      // CHECK: core.vector fma [4, 8] f32[0 : 0, 1] = f32[0 : 0, 1], f32[64], f32(5.000000e-01) product on columns @set1 loc([[NODE:#.*]])
      core.vector fma [4, 8] f32[0 : 0, 1] = f32[0 : 0, 1], f32[64], f32(0.5) product on columns @ends loc("layer0/MatMul")
      // CHECK: core.vector mov [2] f32[0] = f32(0xFF800000) if i32[64] thread 3
      core.vector mov [2] f32[0] = f32(0xFF800000) if i32[64] thread 3
      // CHECK: core.wait 3
      core.wait 3
      // CHECK: core.loop 4 on rows @set2 {
      core.loop 4 on rows @none {
        // CHECK: core.vector neg [1] i32[0] = i32[0]
        core.vector neg [1] i32[0] = i32[0]
        // CHECK: core.loop 2 {
        core.loop 2 {
          // CHECK: core.vector mov [8] f32[64 step 0 by 32, 1 by -4] = f32[0 + i32[64 step 1 by 4] * 128 of 512]
          core.vector mov [8] f32[64 : 1 step 0 by 32, 1 by -4] = f32[0 + i32[64 step 1 by 4] * 128 of 512]
        }
        // CHECK: core.vector abs
        core.vector abs [1] i32[0] = i32[0]
      }
      // CHECK: core.send [8] f32[0] to 3 queue 1 on columns @set1 thread 0
      core.send [8] f32[0] to 3 queue 1 on columns @ends thread 0
      // CHECK: core.recv [8] f32[0] from 3 queue 4
      core.recv [8] f32[0] from 3 queue 4
      // CHECK: core.recv_fold max [8] f32[0] from 3 queue 2
      core.recv_fold max [8] f32[0] from 3 queue 2
      // CHECK: core.recv_fold_send min [8] f32[0] from 3 to 4 queue 5
      core.recv_fold_send min [8] f32[0] from 3 to 4 queue 5
      // CHECK: core.rewrite
      core.rewrite
    }
    // CHECK: core.program "again" {
    // CHECK-NEXT: core.end
  }
}
// CHECK-DAG: [[TEXT]] = loc("round-trip.mlir:{{[0-9]+}}")
// CHECK-DAG: [[NODE]] = loc("layer0/MatMul")
