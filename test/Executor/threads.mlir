// RUN: waferloom-opt --run-core %s | FileCheck %s
// RUN: waferloom-opt --run-core --engine=reference %s | FileCheck %s

// Two PEs send each other 64 words at once. Neither could, one after the other
// (hang.mlir); as a thread each send runs beside the receive.

core.image "wse2" {
  core.source "x" = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  core.entry "main" {
    core.input "x" required
    core.tensor input "x" [2, 2] f32 as f32
    core.tensor output "y" [2, 2] f32 as f32
  }
  core.region at 0, 0 size 2, 1 columns [0, 1] rows [0] memory 512 {
    core.set @west = [0]
    core.set @east = [1]
    core.program "main" {
      core.bind input "x" f32[0] as f32 [2 by 2 (x 2), 2 by 1 (2)]
      core.bind output "y" f32[256] as f32 [2 by 2 (x 2), 2 by 1 (2)]
      core.route 0 from ramp to east on columns @west
      core.route 0 from west to ramp on columns @east
      core.route 1 from ramp to west on columns @east
      core.route 1 from east to ramp on columns @west
      core.send [64] f32[0] to 0 on columns @west thread 0
      core.send [64] f32[0] to 1 on columns @east thread 0
      core.recv [64] f32[256] from 1 on columns @west
      core.recv [64] f32[256] from 0 on columns @east
      core.wait 0
    }
  }
}

// CHECK: cycles, last PE
// CHECK-NEXT: y float32
// CHECK-NEXT: 3 4
// CHECK-NEXT: 1 2
