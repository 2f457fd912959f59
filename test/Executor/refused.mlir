// RUN: split-file %s %t
// RUN: not waferloom-opt --run-core %t/words.mlir 2>&1 | FileCheck --check-prefix=WORDS %s
// RUN: not waferloom-opt --run-core %t/route.mlir 2>&1 | FileCheck --check-prefix=ROUTE %s
// RUN: not waferloom-opt --run-core %t/edge.mlir 2>&1 | FileCheck --check-prefix=EDGE %s
// RUN: not waferloom-opt --run-core %t/memory.mlir 2>&1 | FileCheck --check-prefix=MEMORY %s

// Programs that do not fit their routes or their machine are refused before the
// first cycle.

// WORDS: error: {{.*}}color 0 at PE (1, 0): 4 words come from PE (0, 0) but the program takes 3
// ROUTE: error: {{.*}}color 0 at PE (1, 0): words of PE (0, 0) come from west, but there is no route
// EDGE: error: {{.*}}PE (1, 0) leaves the program's PEs
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
