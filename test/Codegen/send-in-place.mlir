// RUN: waferloom-opt %s --core-send-in-place --split-input-file | FileCheck %s

// A root gathers parts of two sums for its neighbor: they are sent from where they are, in the order
// of the words, and the neighbor takes them as before.

// CHECK-LABEL: core.program "gathered"
core.image "grid-4x4" {
  core.entry "gathered"
  core.region at 0, 0 size 4, 1 columns [0, 1, 2 x 2] rows [0] {
    core.set @root = [0]
    core.set @neighbor = [1]
    core.buffer parameter @w bytes 64
    core.program "gathered" {
      core.buffer output @to bytes 64
      core.buffer scratch @sums bytes 64
      core.buffer scratch @part bytes 28
      // CHECK: core.vector neg [16] f32[@sums]
      // CHECK-NOT: mov
      // CHECK: core.vector abs [4] f32[@to] = f32[@w]
      // CHECK-NEXT: core.send [] f32[@sums] to 3 queue 1 on columns @root
      // CHECK-NEXT: core.send [2, 3] f32[@sums + 16 : 6, 1] to 3 queue 1 on columns @root
      // CHECK-NEXT: core.recv [7] f32[@part] from 3 on columns @neighbor
      core.vector neg [16] f32[@sums] = f32[@w] on columns @root
      core.vector mov [2, 3] f32[@part + 4] = f32[@sums + 16 : 6, 1] on columns @root
      core.vector mov [] f32[@part] = f32[@sums] on columns @root
      core.vector abs [4] f32[@to] = f32[@w]
      core.send [7] f32[@part] to 3 queue 1 on columns @root
      core.recv [7] f32[@part] from 3 on columns @neighbor
      core.vector neg [7] f32[@to + 16] = f32[@part] on columns @neighbor
    }
  }
}

// -----

// These stay: @changed is written before it is sent, @gap has a word that nobody gathers, @read is read
// by those who send it, @halves go in pairs, @others are gathered on more PEs than send them, @strided
// is no message as it lies.

// CHECK-LABEL: core.program "stays"
core.image "grid-4x4" {
  core.entry "stays"
  core.region at 0, 0 size 4, 1 columns [0, 1, 2 x 2] rows [0] {
    core.set @root = [0]
    core.buffer parameter @w bytes 64
    core.program "stays" {
      core.buffer output @to bytes 64
      core.buffer scratch @sums bytes 16
      core.buffer scratch @changed bytes 8
      core.buffer scratch @gap bytes 12
      core.buffer scratch @read bytes 8
      core.buffer scratch @halves bytes 4
      core.buffer scratch @others bytes 8
      core.buffer scratch @strided bytes 16
      // CHECK-COUNT-7: core.vector mov
      core.vector mov [2] f32[@changed] = f32[@sums] on columns @root
      core.vector neg [2] f32[@sums] = f32[@w] on columns @root
      core.send [2] f32[@changed] to 3 on columns @root
      core.vector mov [] f32[@gap] = f32[@sums] on columns @root
      core.vector mov [] f32[@gap + 8] = f32[@sums + 4] on columns @root
      core.send [3] f32[@gap] to 3 on columns @root
      core.vector mov [2] f32[@read] = f32[@sums] on columns @root
      core.send [2] f32[@read] to 3 on columns @root
      core.vector neg [2] f32[@to] = f32[@read] on columns @root
      core.vector mov [2] f16[@halves] = f16[@sums] on columns @root
      core.send [2] f16[@halves] to 3 on columns @root
      core.vector mov [2] f32[@others] = f32[@sums]
      core.send [2] f32[@others] to 3 on columns @root
      core.vector mov [2] f32[@strided : 2] = f32[@sums] on columns @root
      core.send [2] f32[@strided : 2] to 3 on columns @root
    }
  }
}
