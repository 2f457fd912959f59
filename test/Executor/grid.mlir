// RUN: waferloom-opt --run-core %s | FileCheck %s
// RUN: waferloom-opt --run-core --engine=reference %s | FileCheck %s

// A sum over a grid: along the rows first, then down the first column. Rows and
// columns have classes of their own; an instruction may ask for both.

core.image "grid-3x2" {
  core.source "x" = dense<[[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]> : tensor<2x3xf32>
  core.entry "main" {
    core.input "x" required
    core.tensor input "x" [2, 3] f32 as f32
    core.tensor output "y" [1] f32 as f32
  }
  core.region at 0, 0 size 3, 2 columns [0, 1, 2] rows [0, 1] memory 4 {
    core.set @first = [0]
    core.set @second = [1]
    core.set @last = [2]
    core.program "main" {
      core.bind input "x" f32[0] as f32 [2 by 3 (y 2), 3 by 1 (x 3)]
      core.bind output "y" f32[0] as f32 [1 by 1 (1)] on columns @first rows @first
      core.route 0 from ramp to west on columns @last
      core.route 0 from east to ramp on columns @second
      core.route 1 from ramp to west on columns @second
      core.route 1 from east to ramp on columns @first
      core.route 2 from ramp to north on columns @first rows @second
      core.route 2 from south to ramp on columns @first rows @first

      core.send [1] f32[0] to 0 on columns @last
      core.recv_fold_send add [1] f32[0] from 0 to 1 on columns @second
      core.recv_fold add [1] f32[0] from 1 on columns @first
      core.send [1] f32[0] to 2 on columns @first rows @second
      core.recv_fold add [1] f32[0] from 2 on columns @first rows @first
    }
  }
}

// CHECK: cycles, last PE (0, 0)
// CHECK-NEXT: y float32
// CHECK-NEXT: 66
