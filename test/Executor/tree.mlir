// RUN: waferloom-opt --run-core %s | FileCheck %s
// RUN: waferloom-opt --run-core --engine=reference %s | FileCheck %s

// Pairs, then pairs of pairs. The second round passes the router between.

core.image "wse2" {
  core.source "x" = dense<[[1.0], [10.0], [100.0], [1000.0]]> : tensor<4x1xf32>
  core.entry "main" {
    core.input "x" required
    core.tensor input "x" [4, 1] f32 as f32
    core.tensor output "y" [1, 1] f32 as f32
  }
  core.region at 0, 0 size 4, 1 columns [0, 1, 2, 3] rows [0] memory 4 {
    core.set @root = [0]
    core.set @between = [1]
    core.set @two = [2]
    core.set @odd = [1, 3]
    core.set @even = [0, 2]
    core.program "main" {
      core.bind input "x" f32[0] as f32 [4 by 1 (x 4), 1 by 1 (1)]
      core.bind output "y" f32[0] as f32 [1 by 1 (1), 1 by 1 (1)] on columns @root
      core.route 0 from ramp to west on columns @odd
      core.route 0 from east to ramp on columns @even
      core.route 1 from ramp to west on columns @two
      core.route 1 from east to west on columns @between
      core.route 1 from east to ramp on columns @root
      core.send [1] f32[0] to 0 on columns @odd
      core.recv_fold add [1] f32[0] from 0 on columns @even
      core.send [1] f32[0] to 1 on columns @two
      core.recv_fold add [1] f32[0] from 1 on columns @root
    }
  }
}

// Per round 6 to issue, 1 word, 4 for the ramps, and the hops: 12 + 13.
// CHECK: 25 cycles, last PE (0, 0)
// CHECK-NEXT: y float32
// CHECK-NEXT: 1111
