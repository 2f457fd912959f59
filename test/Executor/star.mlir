// RUN: waferloom-opt --run-core %s | FileCheck %s
// RUN: waferloom-opt --run-core --engine=reference %s | FileCheck %s

// Three PEs send two words each to the first. They share one color: each router
// lets its own PE's words go first, then those from farther out. The root folds
// all three vectors in one instruction: dimension 0 has stride 0.

core.image "wse2" {
  core.source "x" = dense<[[1.0, 2.0], [10.0, 20.0], [100.0, 200.0], [1000.0, 2000.0]]> : tensor<4x2xf32>
  core.entry "main" {
    core.input "x" required
    core.tensor input "x" [4, 2] f32 as f32
    core.tensor output "y" [1, 2] f32 as f32
  }
  core.region at 0, 0 size 4, 1 columns [0, 1, 2, 3] rows [0] memory 8 {
    core.set @root = [0]
    core.set @near = [1]
    core.set @far = [2]
    core.set @end = [3]
    core.set @senders = [1, 2, 3]
    core.program "main" {
      core.bind input "x" f32[0] as f32 [4 by 2 (x 4), 2 by 1 (2)]
      core.bind output "y" f32[0] as f32 [1 by 2 (1), 2 by 1 (2)] on columns @root
      core.route 0 from east to ramp on columns @root
      core.route 0 from ramp 2, east 4 to west on columns @near
      core.route 0 from ramp 2, east 2 to west on columns @far
      core.route 0 from ramp to west on columns @end
      core.send [2] f32[0] to 0 on columns @senders
      core.recv_fold add [3, 2] f32[0 : 0, 1] from 0 on columns @root
    }
  }
}

// CHECK: cycles, last PE (0, 0)
// CHECK-NEXT: y float32
// CHECK-NEXT: 1111 2222
