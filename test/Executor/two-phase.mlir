// RUN: waferloom-opt --run-core %s | FileCheck %s
// RUN: waferloom-opt --run-core --engine=reference %s | FileCheck %s

// Three groups of two reduce to their first PE, all at once; then the leaders
// form a chain, two hops apart. The last leader passes on while it receives.

core.image "wse2" {
  core.source "x" = dense<[[1.0, 1.0], [2.0, 10.0], [4.0, 100.0], [8.0, 1000.0], [16.0, 10000.0], [32.0, 100000.0]]> : tensor<6x2xf32>
  core.entry "main" {
    core.input "x" required
    core.tensor input "x" [6, 2] f32 as f32
    core.tensor output "y" [1, 2] f32 as f32
  }
  core.region at 0, 0 size 6, 1 columns [0, 1, 2, 3, 4, 5] rows [0] memory 8 {
    core.set @root = [0]
    core.set @leader = [2]
    core.set @last = [4]
    core.set @leaders = [0, 2]
    core.set @takes = [0, 2, 4]
    core.set @members = [1, 3, 5]
    core.set @passes2 = [1]
    core.set @passes3 = [3]
    core.program "main" {
      core.bind input "x" f32[0] as f32 [6 by 2 (x 6), 2 by 1 (2)]
      core.bind output "y" f32[0] as f32 [1 by 2 (1), 2 by 1 (2)] on columns @root
      // Inside the groups.
      core.route 1 from ramp to west on columns @members
      core.route 1 from east to ramp on columns @takes
      // Between the leaders: colors 2 and 3 in turn.
      core.route 3 from ramp to west on columns @last
      core.route 3 from east to west on columns @passes3
      core.route 3 from east to ramp on columns @leader
      core.route 2 from ramp to west on columns @leader
      core.route 2 from east to west on columns @passes2
      core.route 2 from east to ramp on columns @root

      core.send [2] f32[0] to 1 on columns @members
      core.recv_fold_send add [2] f32[0] from 1 to 3 on columns @last
      core.recv_fold add [2] f32[0] from 1 on columns @leaders
      core.rewrite on columns @leaders
      core.recv_fold_send add [2] f32[0] from 3 to 2 on columns @leader
      core.recv_fold add [2] f32[0] from 2 on columns @root
    }
  }
}

// CHECK: cycles, last PE (0, 0)
// CHECK-NEXT: y float32
// CHECK-NEXT: 63 111111
