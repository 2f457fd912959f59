// RUN: split-file %s %t
// RUN: not waferloom-opt --run-core %t/words.mlir 2>&1 | FileCheck --check-prefix=WORDS %s
// RUN: not waferloom-opt --run-core %t/route.mlir 2>&1 | FileCheck --check-prefix=ROUTE %s
// RUN: not waferloom-opt --run-core %t/edge.mlir 2>&1 | FileCheck --check-prefix=EDGE %s
// RUN: not waferloom-opt --run-core %t/memory.mlir 2>&1 | FileCheck --check-prefix=MEMORY %s
// RUN: not waferloom-opt --run-core %t/wide.mlir 2>&1 | FileCheck --check-prefix=WIDE %s
// RUN: not waferloom-opt --run-core %t/low.mlir 2>&1 | FileCheck --check-prefix=LOW %s

// Programs that do not fit their routes or their machine are refused before the
// first cycle.

// WORDS: error: {{.*}}color 0 at PE (1, 0): 4 words come from PE (0, 0) but the program takes 3
// ROUTE: error: {{.*}}color 0 at PE (1, 0): words of PE (0, 0) come from west, but there is no route
// EDGE: error: {{.*}}PE (1, 0) leaves the program's PEs
// WIDE: error: {{.*}}a region of 5 x 1 PEs at (746, 0) is too wide for programs of 'wse2': user-width is 750; the largest region is 750 x 994
// LOW: error: {{.*}}a region of 1 x 2 PEs at (0, 2) is too high for programs of 'grid-3x4,user-height=3': user-height is 3
// MEMORY: error: {{.*}}(mov): dst reaches from 4 to 20 in a memory of 16 bytes

//--- words.mlir
core.image "wse2" {
  core.entry "main"
  core.region at 0, 0 size 2, 1 columns [0, 1] rows [0] memory 16 {
    core.set @west = [0]
    core.set @east = [1]
    core.program "main" {
      core.route 0 from ramp to east on columns @west
      core.route 0 from west to ramp on columns @east
      core.send [4] f32[0] to 0 on columns @west
      core.recv [3] f32[0] from 0 on columns @east
    }
  }
}
//--- route.mlir
core.image "wse2" {
  core.entry "main"
  core.region at 0, 0 size 2, 1 columns [0, 1] rows [0] memory 16 {
    core.set @west = [0]
    core.set @east = [1]
    core.program "main" {
      core.route 0 from ramp to east on columns @west
      core.send [4] f32[0] to 0 on columns @west
      core.recv [4] f32[0] from 0 on columns @east
    }
  }
}
//--- edge.mlir
core.image "wse2" {
  core.entry "main"
  core.region at 0, 0 size 2, 1 columns [0, 1] rows [0] memory 16 {
    core.set @west = [0]
    core.set @east = [1]
    core.program "main" {
      core.route 0 from ramp to east on columns @west
      core.route 0 from west to east, ramp on columns @east
      core.send [4] f32[0] to 0 on columns @west
      core.recv [4] f32[0] from 0 on columns @east
    }
  }
}
//--- memory.mlir
core.image "wse2" {
  core.entry "main"
  core.region at 0, 0 size 1, 1 columns [0] rows [0] memory 16 {
    core.program "main" {
      core.vector mov [4] f32[4] = f32(1.0)
    }
  }
}
//--- wide.mlir
core.image "wse2" {
  core.entry "main"
  core.region at 746, 0 size 5, 1 columns [0 x 5] rows [0] memory 16 {
    core.program "main" {
    }
  }
}
//--- low.mlir
core.image "grid-3x4,user-height=3" {
  core.entry "main"
  core.region at 0, 2 size 1, 2 columns [0] rows [0 x 2] memory 16 {
    core.program "main" {
    }
  }
}
