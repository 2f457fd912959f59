// RUN: waferloom-opt --run-core %s | FileCheck %s
// RUN: waferloom-opt --run-core --engine=reference %s | FileCheck %s

// An index in memory selects a row of a table; a predicate stores only where it
// is not 0; a loop moves its operands. One PE, no streams.

core.image "wse2" {
  core.source "table" = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  core.source "ids" = dense<[2, 0]> : tensor<2xi32>
  core.source "keep" = dense<[1, 0]> : tensor<2xi32>
  core.entry "main" {
    core.input "ids" required below 3
    core.input "keep" required
    core.tensor input "ids" [2] i32 as i32
    core.tensor input "keep" [2] i32 as i32
    core.tensor output "rows" [2, 2] f32 as f32
    core.tensor output "kept" [2] f32 as f32
  }
  core.region at 0, 0 size 1, 1 columns [0] rows [0] memory 64 {
    core.bind parameter "table" f32[0] as f32 [3 by 2 (3), 2 by 1 (2)] source 0
    core.program "main" {
      core.bind input "ids" i32[24] as i32 [2 by 1 (2)]
      core.bind input "keep" i32[32] as i32 [2 by 1 (2)]
      core.bind output "rows" f32[40] as f32 [2 by 2 (2), 2 by 1 (2)]
      core.bind output "kept" f32[56] as f32 [2 by 1 (2)]
      core.loop 2 {
        core.vector mov [2] f32[40 step 0 by 8] = f32[0 + i32[24 step 0 by 4] * 8 of 3]
      }
      core.vector mov [2] f32[56] = f32(9.0) if i32[32]
    }
  }
}

// CHECK: cycles, last PE (0, 0)
// CHECK-NEXT: rows float32
// CHECK-NEXT: 5 6
// CHECK-NEXT: 1 2
// CHECK-NEXT: kept float32
// CHECK-NEXT: 9 0
