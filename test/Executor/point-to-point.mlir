// RUN: waferloom-opt --run-core %s | FileCheck %s
// RUN: waferloom-opt --run-core --engine=reference %s | FileCheck %s

// One PE sends four words two PEs east; the router between passes them on.
// 6 cycles to issue, 4 words, 2 hops, 2 ramps of 2 cycles: 16.

core.image "wse2" {
  core.source "x" = dense<[[1.0, 2.0, 3.0, 4.0]]> : tensor<1x4xf32>
  core.entry "main" {
    core.input "x" required
    core.tensor input "x" [1, 4] f32 as f32
    core.tensor output "y" [1, 4] f32 as f32
  }
  core.region at 0, 0 size 3, 1 columns [0, 1, 2] rows [0] memory 16 {
    core.set @first = [0]
    core.set @middle = [1]
    core.set @last = [2]
    core.program "main" {
      core.bind input "x" f32[0] as f32 [1 by 4 (x 1), 4 by 1 (4)] on columns @first
      core.bind output "y" f32[0] as f32 [1 by 4 (1), 4 by 1 (4)] on columns @last
      core.route 5 from ramp to east on columns @first
      core.route 5 from west to east on columns @middle
      core.route 5 from west to ramp on columns @last
      core.send [4] f32[0] to 5 on columns @first
      core.recv [4] f32[0] from 5 on columns @last
    }
  }
}

// CHECK: 16 cycles, last PE (2, 0)
// CHECK-NEXT: y float32
// CHECK-NEXT: 1 2 3 4
