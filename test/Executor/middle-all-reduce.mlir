// RUN: waferloom-opt --run-core %s | FileCheck %s
// RUN: waferloom-opt --run-core --engine=reference %s | FileCheck %s

// Both arms reduce toward the middle, where they arrive on different colors; the
// middle sends the sum to everybody on a third.

core.image "wse2" {
  core.source "x" = dense<[[1.0, 5.0], [10.0, 4.0], [100.0, 3.0], [1000.0, 2.0], [10000.0, 1.0]]> : tensor<5x2xf32>
  core.entry "main" {
    core.input "x" required
    core.tensor input "x" [5, 2] f32 as f32
    core.tensor output "y" [5, 2] f32 as f32
  }
  core.region at 0, 0 size 5, 1 columns [0, 1, 2, 3, 4] rows [0] memory 8 {
    core.set @west_end = [0]
    core.set @west = [1]
    core.set @root = [2]
    core.set @east = [3]
    core.set @east_end = [4]
    core.set @others = [0, 1, 3, 4]
    core.program "main" {
      core.bind input "x" f32[0] as f32 [5 by 2 (x 5), 2 by 1 (2)]
      core.bind output "y" f32[0] as f32 [5 by 2 (x 5), 2 by 1 (2)]
      // West arm: color 0, then 1 into the root. East arm: 1, then 0.
      core.route 0 from ramp to east on columns @west_end
      core.route 0 from west to ramp on columns @west
      core.route 1 from ramp to east on columns @west
      core.route 1 from west to ramp on columns @root
      core.route 1 from ramp to west on columns @east_end
      core.route 1 from east to ramp on columns @east
      core.route 0 from ramp to west on columns @east
      core.route 0 from east to ramp on columns @root
      core.route 2 from ramp to west, east on columns @root
      core.route 2 from east to west, ramp on columns @west
      core.route 2 from east to ramp on columns @west_end
      core.route 2 from west to east, ramp on columns @east
      core.route 2 from west to ramp on columns @east_end

      core.send [2] f32[0] to 0 on columns @west_end
      core.send [2] f32[0] to 1 on columns @east_end
      core.recv_fold_send add [2] f32[0] from 0 to 1 on columns @west
      core.recv_fold_send add [2] f32[0] from 1 to 0 on columns @east
      core.recv_fold add [2] f32[0] from 1 on columns @root
      core.recv_fold add [2] f32[0] from 0 on columns @root
      core.send [2] f32[0] to 2 on columns @root
      core.recv [2] f32[0] from 2 on columns @others
    }
  }
}

// CHECK: cycles, last PE
// CHECK-NEXT: y float32
// CHECK-COUNT-5: 11111 15
