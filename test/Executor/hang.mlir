// RUN: not waferloom-opt --run-core %s 2>&1 | FileCheck %s
// RUN: not waferloom-opt --run-core --engine=reference %s 2>&1 | FileCheck %s

// Two PEs send each other 64 words before they receive any: neither gets
// through, and both are named.

core.image "wse2" {
  core.entry "main"
  core.region at 0, 0 size 2, 1 columns [0, 1] rows [0] memory 512 {
    core.set @west = [0]
    core.set @east = [1]
    core.program "main" {
      core.route 0 from ramp to east on columns @west
      core.route 0 from west to ramp on columns @east
      core.route 1 from ramp to west on columns @east
      core.route 1 from east to ramp on columns @west
      core.send [64] f32[0] to 0 on columns @west loc("west sends")
      core.send [64] f32[0] to 1 on columns @east loc("east sends")
      core.recv [64] f32[256] from 1 on columns @west
      core.recv [64] f32[256] from 0 on columns @east
    }
  }
}

// CHECK: error:
// CHECK-DAG: (0, 0)
// CHECK-DAG: (1, 0)
// CHECK-DAG: west sends
// CHECK-DAG: east sends
