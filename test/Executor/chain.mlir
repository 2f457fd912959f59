// RUN: waferloom-opt --run-core %s | FileCheck %s
// RUN: waferloom-opt --run-core --engine=reference %s | FileCheck %s

// A chain: the far end sends, every PE adds its words to those that come by.
// Neighbouring links have different colors, so that no router has one color
// coming in from two sides. 6 to issue, 4 words, 6 cycles per link:
// 2 ramps of 2, a hop, and one cycle to forward.

core.image "wse2" {
  core.source "x" = dense<[[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0], [100.0, 200.0, 300.0, 400.0], [1000.0, 2000.0, 3000.0, 4000.0]]> : tensor<4x4xf32>
  core.entry "main" {
    core.input "x" required
    core.tensor input "x" [4, 4] f32 as f32
    core.tensor output "y" [1, 4] f32 as f32
  }
  core.region at 0, 0 size 4, 1 columns [0, 1, 2, 3] rows [0] memory 16 {
    core.set @root = [0]
    core.set @odd = [1]
    core.set @even = [2]
    core.set @end = [3]
    core.set @sends0 = [1, 3]
    core.set @takes0 = [0, 2]
    core.program "main" {
      core.bind input "x" f32[0] as f32 [4 by 4 (x 4), 4 by 1 (4)]
      core.bind output "y" f32[0] as f32 [1 by 4 (1), 4 by 1 (4)] on columns @root
      core.route 0 from ramp to west on columns @sends0
      core.route 0 from east to ramp on columns @takes0
      core.route 1 from ramp to west on columns @even
      core.route 1 from east to ramp on columns @odd
      core.send [4] f32[0] to 0 on columns @end
      core.recv_fold_send add [4] f32[0] from 0 to 1 on columns @even
      core.recv_fold_send add [4] f32[0] from 1 to 0 on columns @odd
      core.recv_fold add [4] f32[0] from 0 on columns @root
    }
  }
}

// CHECK: 27 cycles, last PE (0, 0)
// CHECK-NEXT: y float32
// CHECK-NEXT: 1111 2222 3333 4444
