// RUN: waferloom-opt %s --core-needs --split-input-file | FileCheck %s

// What the root alone sends, and what that is made of, only the root computes:
// the takes of the others write over theirs. @mask is read by all behind that.
// What the others read of @twice is the root's; @twice is not needed but there.

// CHECK-LABEL: core.program "main"
core.image "grid-64x64" {
  core.entry "main"
  core.region at 0, 0 size 48, 1 columns [0 x 23, 1, 0 x 24] rows [0] {
    core.set @leaves = [0]
    core.set @root = [1]
    core.buffer parameter @w bytes 64
    core.buffer state @kept bytes 64
    core.program "main" {
      core.buffer scratch @sum bytes 16
      core.buffer scratch @twice bytes 16
      core.buffer scratch @mask bytes 16
      core.buffer scratch @way bytes 16
      core.buffer scratch @part bytes 16
      core.buffer scratch @next bytes 16
      // CHECK: core.loop 3
      core.loop 3 {
        // CHECK: core.vector mov [4] f32[@sum] = f32[@w]{{$}}
        // CHECK-NEXT: core.send [4] f32[@sum] to 0
        // CHECK-NEXT: core.recv_fold
        core.vector mov [4] f32[@sum] = f32[@w]
        core.send [4] f32[@sum] to 0 on columns @leaves
        core.recv_fold add [47, 4] f32[@sum : 0, 1] from 0 on columns @root
        // CHECK-NEXT: core.vector le [4] i32[@mask] = i32[@sum], i32(7){{$}}
        // CHECK-NEXT: core.vector add [4] f32[@twice] = f32[@sum], f32[@sum] on columns @root
        // CHECK-NEXT: core.vector mul [4] f32[@way] = f32[@twice], f32[@w] on columns @root
        core.vector le [4] i32[@mask] = i32[@sum], i32(7)
        core.vector add [4] f32[@twice] = f32[@sum], f32[@sum]
        core.vector mul [4] f32[@way] = f32[@twice], f32[@w]
        core.send [4] f32[@way] to 1 on columns @root
        core.recv [4] f32[@way] from 1 on columns @leaves
        // What a take does not write over as a whole is everybody's, and so are
        // states, and what the next trip reads.
        // CHECK: core.vector neg [4] f32[@part] = f32[@w]{{$}}
        core.vector neg [4] f32[@part] = f32[@w]
        core.send [2] f32[@part] to 1 on columns @root
        core.recv [2] f32[@part] from 1 on columns @leaves
        // CHECK: core.vector select [4] f32[@kept] = i32[@mask], f32[@way], f32[@part]{{$}}
        // CHECK-NEXT: core.vector add [4] f32[@w] = f32[@next], f32[@way]{{$}}
        // CHECK-NEXT: core.vector neg [4] f32[@next] = f32[@way]{{$}}
        core.vector select [4] f32[@kept] = i32[@mask], f32[@way], f32[@part]
        core.vector add [4] f32[@w] = f32[@next], f32[@way]
        core.vector neg [4] f32[@next] = f32[@way]
      }
    }
  }
}

// -----

// A take that depends writes over nothing for sure: what was there before is
// needed. What it depends on is needed by those that take.

// CHECK-LABEL: core.program "some"
core.image "grid-64x64" {
  core.entry "some"
  core.region at 0, 0 size 48, 1 columns [0 x 23, 1, 0 x 24] rows [0] {
    core.set @leaves = [0]
    core.set @root = [1]
    core.buffer parameter @w bytes 64
    core.buffer state @kept bytes 64
    core.program "some" {
      core.buffer scratch @flag bytes 4
      core.buffer scratch @way bytes 16
      // CHECK: core.vector lt [] i32[@flag] = i32[@w], i32(0) on columns @leaves
      // CHECK-NEXT: core.vector mov [4] f32[@way] = f32[@w]{{$}}
      core.vector lt [] i32[@flag] = i32[@w], i32(0)
      core.vector mov [4] f32[@way] = f32[@w]
      core.send [4] f32[@way] to 1 on columns @root
      core.recv [4] f32[@way] from 1 on columns @leaves if i32[@flag : 0]
      core.vector mov [4] f32[@kept] = f32[@way]
    }
  }
}
