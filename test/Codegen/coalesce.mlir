// RUN: waferloom-opt %s --core-coalesce --split-input-file | FileCheck %s

// Halves of a concatenation are made in place, one of them by more than one
// instruction; so is what has gaps, if one instruction makes it. What a loop
// carries is written by the last instruction of the trip.

// CHECK-LABEL: core.program "in place"
core.image "grid-4x4" {
  core.entry "in place"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.buffer parameter @w bytes 64
    core.program "in place" {
      // CHECK-NOT: core.buffer scratch @one
      core.buffer scratch @one bytes 8
      core.buffer scratch @two bytes 8
      core.buffer scratch @three bytes 8
      // CHECK: core.buffer scratch @both bytes 16
      core.buffer scratch @both bytes 16
      core.buffer scratch @apart bytes 16
      core.buffer scratch @carried bytes 16
      core.buffer scratch @next bytes 16
      // CHECK: core.vector mul [2] f32[@both] = f32[@w], f32(2.000000e+00)
      // CHECK-NEXT: core.vector add [2] f32[@both] = f32[@both], f32[@w + 4 : 0]
      // CHECK-NEXT: core.vector neg [2] f32[@both + 8] = f32[@w]
      // CHECK-NEXT: core.vector abs [2] f32[@apart + 4 : 2] = f32[@w]
      // CHECK-NEXT: core.loop 2
      // CHECK-NEXT: core.vector add [4] f32[@carried] = f32[@w], f32[@both]
      // CHECK-NEXT: }
      core.vector mul [2] f32[@one] = f32[@w], f32(2.0)
      core.vector add [2] f32[@one] = f32[@one], f32[@w + 4 : 0]
      core.vector neg [2] f32[@two] = f32[@w]
      core.vector mov [2] f32[@both] = f32[@one]
      core.vector mov [2] f32[@both + 8] = f32[@two]
      core.vector abs [2] f32[@three] = f32[@w]
      core.vector mov [2] f32[@apart + 4 : 2] = f32[@three]
      core.loop 2 {
        core.vector add [4] f32[@next] = f32[@w], f32[@both]
        core.vector mov [4] f32[@carried] = f32[@next]
      }
    }
  }
}

// -----

// These stay: @later is read behind its mov, @part is not all that is made,
// @old is read where it is moved to, @index chooses, @some PEs only, @moving
// would cost a rewrite, @grown begins with what it was, and so does @folded on
// the PEs that do not make it.

// CHECK-LABEL: core.program "stays"
core.image "grid-4x4" {
  core.entry "stays"
  core.region at 0, 0 size 4, 1 columns [0, 1 x 3] rows [0] {
    core.set @first = [0]
    core.set @others = [1]
    core.buffer parameter @w bytes 64
    core.buffer state @state bytes 64
    core.program "stays" {
      core.buffer scratch @later bytes 8
      core.buffer scratch @part bytes 16
      core.buffer scratch @old bytes 8
      core.buffer scratch @index bytes 4
      core.buffer scratch @some bytes 8
      core.buffer scratch @folded bytes 8
      core.buffer scratch @moving bytes 8
      core.buffer scratch @grown bytes 8
      core.buffer scratch @to bytes 256
      // CHECK-COUNT-8: core.vector mov
      core.vector neg [2] f32[@later] = f32[@w]
      core.vector mov [2] f32[@to] = f32[@later]
      core.vector abs [2] f32[@to + 64] = f32[@later]
      core.vector neg [4] f32[@part] = f32[@w]
      core.vector mov [2] f32[@to + 8] = f32[@part]
      core.vector neg [2] f32[@old] = f32[@w]
      core.vector add [2] f32[@to + 72] = f32[@to + 16], f32[@old]
      core.vector mov [2] f32[@to + 16] = f32[@old]
      core.vector convert [] i32[@index] = f32[@w]
      core.vector neg [2] f32[@to + 80] = f32[@w + i32[@index] * 8 of 4]
      core.vector mov [] i32[@to + 24] = i32[@index]
      core.vector neg [2] f32[@some] = f32[@w] on columns @first
      core.vector mov [2] f32[@to + 32] = f32[@some]
      core.vector neg [2] f32[@folded] = f32[@w] on columns @first
      core.send [2] f32[@folded] to 0 on columns @first
      core.recv_fold add [2] f32[@folded] from 0 on columns @others
      core.vector mov [2] f32[@to + 40] = f32[@folded]
      core.loop 2 {
        core.vector neg [2] f32[@moving] = f32[@w]
        core.vector mov [2] f32[@state step 0 by 8] = f32[@moving]
        core.vector add [2] f32[@grown] = f32[@grown], f32[@w]
        core.vector mov [2] f32[@to + 48] = f32[@grown]
      }
    }
  }
}

// -----

// What is made as one row may be moved in several: whoever makes it takes the shape of the mov, if its
// operands are rows, too, or a number. Of @apart only every other one is read.

// CHECK-LABEL: core.program "reshaped"
core.image "grid-4x4" {
  core.entry "reshaped"
  core.region at 0, 0 size 4, 1 columns [0, 1 x 3] rows [0] {
    core.buffer parameter @w bytes 64
    core.program "reshaped" {
      // CHECK-NOT: core.buffer scratch @row
      core.buffer scratch @row bytes 24
      // CHECK: core.buffer scratch @apart
      core.buffer scratch @apart bytes 24
      core.buffer output @to bytes 128
      // CHECK: core.vector fma [3, 2] f32[@to : 4, 1] = f32[@w + 4], f32[@w + 32], f32[@w : 0, 0]
      // CHECK-NEXT: core.vector neg [6] f32[@apart] = f32[@w : 2]
      // CHECK-NEXT: core.vector mov [3, 2] f32[@to + 64 : 4, 1] = f32[@apart]
      core.vector fma [6] f32[@row] = f32[@w + 4], f32[@w + 32], f32[@w : 0]
      core.vector mov [3, 2] f32[@to : 4, 1] = f32[@row]
      core.vector neg [6] f32[@apart] = f32[@w : 2]
      core.vector mov [3, 2] f32[@to + 64 : 4, 1] = f32[@apart]
    }
  }
}

// -----

// A root makes half of what all others take, and all of them the other half.

// CHECK-LABEL: core.program "travels"
core.image "grid-4x4" {
  core.entry "travels"
  core.region at 0, 0 size 4, 1 columns [0, 1 x 3] rows [0] {
    core.set @root = [0]
    core.set @others = [1]
    core.buffer parameter @w bytes 64
    core.program "travels" {
      // CHECK-NOT: core.buffer scratch @sums
      core.buffer scratch @sums bytes 16
      core.buffer output @both bytes 16
      // CHECK: core.vector neg [2] f32[@both] = f32[@w] on columns @root
      // CHECK-NEXT: core.send [2] f32[@both] to 0 on columns @root
      // CHECK-NEXT: core.recv [2] f32[@both] from 0 on columns @others
      // CHECK-NEXT: core.vector abs [2] f32[@both + 8] = f32[@w]
      // CHECK-NEXT: }
      core.vector neg [2] f32[@sums] = f32[@w] on columns @root
      core.send [2] f32[@sums] to 0 on columns @root
      core.recv [2] f32[@sums] from 0 on columns @others
      core.vector abs [2] f32[@sums + 8] = f32[@w]
      core.vector mov [2] f32[@both] = f32[@sums]
      core.vector mov [2] f32[@both + 8] = f32[@sums + 8]
    }
  }
}
