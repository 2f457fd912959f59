// RUN: waferloom-opt %s --core-schedule --split-input-file | FileCheck %s

// PEs send their share to one of them, which sends the sum back; for as long as
// that takes, they do what needs no sum: @b, which the next message is made of,
// first, then the mask, which nobody has asked for yet. @c reads the sum. What
// takes more than there is time for stays where it is asked for: @long.

// CHECK-LABEL: core.program "hides"
core.image "grid-64x64" {
  core.entry "hides"
  core.region at 0, 0 size 48, 1 columns [0 x 23, 1, 0 x 24] rows [0] {
    core.set @leaves = [0]
    core.set @root = [1]
    core.buffer parameter @w bytes 512
    core.program "hides" {
      core.buffer scratch @sum bytes 16
      core.buffer scratch @mask bytes 16
      core.buffer scratch @b bytes 16
      core.buffer scratch @c bytes 16
      core.buffer scratch @long bytes 512
      // CHECK: core.vector mov [4] f32[@sum] = f32[@w]
      // CHECK-NEXT: core.send [4] f32[@sum] to 0 on columns @leaves
      // CHECK-NEXT: core.recv_fold add [47, 4] f32[@sum : 0, 1] from 0 on columns @root
      // CHECK-NEXT: core.send [4] f32[@sum] to 1 on columns @root
      // CHECK-NEXT: core.vector mov [4] f32[@b]
      // CHECK-NEXT: core.vector le [4] i32[@mask]
      // CHECK-NEXT: core.recv [4] f32[@sum] from 1 on columns @leaves
      // CHECK-NEXT: core.vector add [4] f32[@c] = f32[@sum], f32[@b]
      // CHECK-NEXT: core.send [4] f32[@c] to 0 on columns @leaves
      // CHECK-NEXT: core.recv_fold add [47, 4] f32[@c : 0, 1] from 0 on columns @root
      // CHECK-NEXT: core.vector neg [128] f32[@long]
      core.vector le [4] i32[@mask] = i32[@w + 32], i32(7)
      core.vector neg [128] f32[@long] = f32[@w]
      core.vector mov [4] f32[@sum] = f32[@w]
      core.send [4] f32[@sum] to 0 on columns @leaves
      core.recv [4] f32[@sum] from 1 on columns @leaves
      core.recv_fold add [47, 4] f32[@sum : 0, 1] from 0 on columns @root
      core.send [4] f32[@sum] to 1 on columns @root
      core.vector mov [4] f32[@b] = f32[@w + 16]
      core.vector add [4] f32[@c] = f32[@sum], f32[@b]
      core.send [4] f32[@c] to 0 on columns @leaves
      core.recv_fold add [47, 4] f32[@c : 0, 1] from 0 on columns @root
    }
  }
}

// -----

// What reads or writes bytes of a message keeps its place to each instruction
// that does: @before is a share, which the fold changes; @index chooses where a
// store goes and @owner allows it. Only the second half of @x can come first. In a
// loop all trips count: @state is read where another trip writes.

// CHECK-LABEL: core.program "depends"
core.image "grid-64x64" {
  core.entry "depends"
  core.region at 0, 0 size 48, 1 columns [0 x 23, 1, 0 x 24] rows [0] {
    core.set @leaves = [0]
    core.set @root = [1]
    core.buffer parameter @w bytes 512
    core.buffer state @state bytes 64
    core.program "depends" {
      core.buffer scratch @sum bytes 16
      core.buffer scratch @before bytes 16
      core.buffer scratch @index bytes 4
      core.buffer scratch @owner bytes 4
      core.buffer scratch @x bytes 16
      core.loop 2 {
        // CHECK: core.vector mov [4] f32[@sum]
        // CHECK-NEXT: core.vector mov [4] f32[@before] = f32[@sum]
        // CHECK-NEXT: core.send [4] f32[@sum] to 0
        // CHECK-NEXT: core.recv_fold add
        // CHECK-NEXT: core.send [4] f32[@sum] to 1
        // CHECK-NEXT: core.vector mov [2] f32[@x + 8] = f32[@w]
        // CHECK-NEXT: core.recv [4] f32[@sum] from 1
        // CHECK-NEXT: core.vector convert [] i32[@index] = f32[@sum]
        // CHECK-NEXT: core.vector convert [] i32[@owner] = f32[@sum + 4]
        // CHECK-NEXT: core.vector mov [2] f32[@state + i32[@index] * 8 of 4 step 0 by 32] = f32[@x + 8] if i32[@owner : 0]
        // CHECK-NEXT: core.vector mov [2] f32[@x] = f32[@state + 32]
        // CHECK-NEXT: core.vector mov [2] f32[@x + 8] = f32[@sum]
        core.vector mov [4] f32[@sum] = f32[@w]
        core.vector mov [4] f32[@before] = f32[@sum]
        core.send [4] f32[@sum] to 0 on columns @leaves
        core.recv [4] f32[@sum] from 1 on columns @leaves
        core.recv_fold add [47, 4] f32[@sum : 0, 1] from 0 on columns @root
        core.send [4] f32[@sum] to 1 on columns @root
        core.vector convert [] i32[@index] = f32[@sum]
        core.vector convert [] i32[@owner] = f32[@sum + 4]
        core.vector mov [2] f32[@x + 8] = f32[@w]
        core.vector mov [2] f32[@state + i32[@index] * 8 of 4 step 0 by 32] = f32[@x + 8] if i32[@owner : 0]
        core.vector mov [2] f32[@x] = f32[@state + 32]
        core.vector mov [2] f32[@x + 8] = f32[@sum]
      }
    }
  }
}

// -----

// Streams of a PE keep their order: what is taken before the next send is not
// late. A message of more words than are on the way at once holds up its root,
// so nothing may take twice as long as the words to come back: not @b. What takes
// a little longer may, since it would stand behind the take as a whole: @c.

// CHECK-LABEL: core.program "orders"
core.image "grid-64x64" {
  core.entry "orders"
  core.region at 0, 0 size 48, 1 columns [0 x 23, 1, 0 x 24] rows [0] {
    core.set @leaves = [0]
    core.set @root = [1]
    core.buffer parameter @w bytes 512
    core.program "orders" {
      core.buffer scratch @sum bytes 64
      core.buffer scratch @b bytes 512
      core.buffer scratch @c bytes 256
      // CHECK: core.vector mov [16] f32[@sum]
      // CHECK-NEXT: core.send [16] f32[@sum] to 0 on columns @leaves
      // CHECK-NEXT: core.recv [16] f32[@sum] from 1 on columns @leaves
      // CHECK-NEXT: core.send [16] f32[@sum] to 0 on columns @leaves
      // CHECK-NEXT: core.recv_fold add [94, 16] f32[@sum : 0, 1] from 0 on columns @root
      // CHECK-NEXT: core.send [16] f32[@sum] to 1 on columns @root
      // CHECK-NEXT: core.vector mov [64] f32[@c]
      // CHECK-NEXT: core.recv [16] f32[@sum] from 1 on columns @leaves
      // CHECK-NEXT: core.vector mov [128] f32[@b]
      core.vector mov [16] f32[@sum] = f32[@w]
      core.send [16] f32[@sum] to 0 on columns @leaves
      core.recv [16] f32[@sum] from 1 on columns @leaves
      core.send [16] f32[@sum] to 0 on columns @leaves
      core.recv [16] f32[@sum] from 1 on columns @leaves
      core.recv_fold add [94, 16] f32[@sum : 0, 1] from 0 on columns @root
      core.send [16] f32[@sum] to 1 on columns @root
      core.vector mov [128] f32[@b] = f32[@w]
      core.vector mov [64] f32[@c] = f32[@w]
    }
  }
}

// -----

// Copies that stand behind each other are one where nothing hides the second.
// The third goes behind the message.

// CHECK-LABEL: core.program "copies"
core.image "grid-64x64" {
  core.entry "copies"
  core.region at 0, 0 size 48, 1 columns [0 x 23, 1, 0 x 24] rows [0] {
    core.set @leaves = [0]
    core.set @root = [1]
    core.buffer parameter @w bytes 512
    core.program "copies" {
      core.buffer scratch @c bytes 256
      core.buffer scratch @sum bytes 16
      core.loop 2 {
        // CHECK: core.vector mov [12] i32[@c] = i32[@w step 0 by 256]
        // CHECK-NEXT: core.vector add [4] f32[@sum] = f32[@c], f32[@c + 16]
        // CHECK-NEXT: core.send
        // CHECK-NEXT: core.recv_fold
        // CHECK-NEXT: core.send
        // CHECK-NEXT: core.vector mov [8] i32[@c + 48] = i32[@w + 48 step 0 by 256]
        // CHECK-NEXT: core.recv
        core.vector mov [4] i32[@c] = i32[@w step 0 by 256]
        core.vector mov [8] i32[@c + 16] = i32[@w + 16 step 0 by 256]
        core.vector mov [8] i32[@c + 48] = i32[@w + 48 step 0 by 256]
        core.vector add [4] f32[@sum] = f32[@c], f32[@c + 16]
        core.send [4] f32[@sum] to 0 on columns @leaves
        core.recv [4] f32[@sum] from 1 on columns @leaves
        core.recv_fold add [47, 4] f32[@sum : 0, 1] from 0 on columns @root
        core.send [4] f32[@sum] to 1 on columns @root
        core.vector add [8] f32[@c + 48] = f32[@c + 48], f32[@sum : 0]
      }
    }
  }
}

// -----

// Scratch with addresses may share bytes: nothing moves.

// CHECK-LABEL: core.program "placed"
core.image "grid-64x64" {
  core.entry "placed"
  core.region at 0, 0 size 48, 1 columns [0 x 23, 1, 0 x 24] rows [0] {
    core.set @leaves = [0]
    core.set @root = [1]
    core.program "placed" {
      core.buffer scratch @sum bytes 16 at 0
      core.buffer scratch @b bytes 16 at 16
      // CHECK: core.recv [4] f32[@sum]
      // CHECK-NEXT: core.recv_fold
      // CHECK-NEXT: core.send
      // CHECK-NEXT: core.vector mov [4] f32[@b]
      core.send [4] f32[@sum] to 0 on columns @leaves
      core.recv [4] f32[@sum] from 1 on columns @leaves
      core.recv_fold add [47, 4] f32[@sum : 0, 1] from 0 on columns @root
      core.send [4] f32[@sum] to 1 on columns @root
      core.vector mov [4] f32[@b] = f32(1.0)
    }
  }
}

// -----

// What another one sends first may be long in coming: what stood in front of its
// take stays there.

// CHECK-LABEL: core.program "handed over"
core.image "grid-64x64" {
  core.entry "handed over"
  core.region at 0, 0 size 48, 1 columns [0 x 23, 1, 0 x 24] rows [0] {
    core.set @leaves = [0]
    core.set @root = [1]
    core.program "handed over" {
      core.buffer scratch @sum bytes 16
      core.buffer scratch @b bytes 16
      // CHECK: core.send [4] f32[@sum]
      // CHECK-NEXT: core.vector mov [4] f32[@b]
      // CHECK-NEXT: core.recv [4] f32[@sum]
      core.vector mov [4] f32[@sum] = f32(2.0)
      core.send [4] f32[@sum] to 1 on columns @root
      core.vector mov [4] f32[@b] = f32(1.0)
      core.recv [4] f32[@sum] from 1 on columns @leaves
      core.vector mov [4] f32[@b] = f32[@sum]
    }
  }
}
