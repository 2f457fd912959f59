// RUN: waferloom-opt --run-core %s | FileCheck %s
// RUN: waferloom-opt --run-core --engine=reference %s | FileCheck %s

// The middle of a row sends once; routers copy every word to their own PE and
// pass it on, in both directions. The ends are 3 and 2 hops away:
// 6 to issue, 2 words, 3 hops, 4 for the ramps.

core.image "wse2" {
  core.source "x" = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0], [11.0, 12.0]]> : tensor<6x2xf32>
  core.entry "main" {
    core.input "x" required
    core.tensor input "x" [6, 2] f32 as f32
    core.tensor output "y" [6, 2] f32 as f32
  }
  core.region at 0, 0 size 6, 1 columns [0, 1 x 2, 2, 3, 4] rows [0] memory 8 {
    core.set @west_end = [0]
    core.set @west = [1]
    core.set @root = [2]
    core.set @east = [3]
    core.set @east_end = [4]
    core.set @others = [0, 1, 3, 4]
    core.program "main" {
      core.bind input "x" f32[0] as f32 [6 by 2 (x 6), 2 by 1 (2)]
      core.bind output "y" f32[0] as f32 [6 by 2 (x 6), 2 by 1 (2)]
      core.route 0 from ramp to west, east on columns @root
      core.route 0 from east to west, ramp on columns @west
      core.route 0 from east to ramp on columns @west_end
      core.route 0 from west to east, ramp on columns @east
      core.route 0 from west to ramp on columns @east_end
      core.send [2] f32[0] to 0 on columns @root
      core.recv [2] f32[0] from 0 on columns @others
    }
  }
}

// CHECK: 15 cycles, last PE (0, 0)
// CHECK-NEXT: y float32
// CHECK-COUNT-6: 7 8
