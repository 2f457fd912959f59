// RUN: waferloom-opt %s --core-merge --split-input-file | FileCheck %s

// Rows of two products with the same factor; then what reads their results,
// into buffers for which nothing is said: they are laid side by side. Steps of
// two rotations, one behind the other, become common ones. What has other
// shapes stays.

// CHECK-LABEL: core.program "merged"
core.image "wse3" {
  core.entry "merged"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.buffer parameter @w bytes 256
    core.program "merged" {
      core.buffer scratch @x bytes 8
      core.buffer scratch @sums bytes 32
      core.buffer scratch @r bytes 4
      // CHECK: core.buffer scratch @q bytes 32
      // CHECK-NOT: core.buffer scratch @k
      core.buffer scratch @q bytes 16
      core.buffer scratch @k bytes 16
      core.buffer scratch @table bytes 16
      // CHECK: core.buffer scratch @q1 bytes 32
      core.buffer scratch @q1 bytes 8
      core.buffer scratch @q2 bytes 8
      core.buffer scratch @k1 bytes 8
      core.buffer scratch @k2 bytes 8
      // CHECK: core.buffer scratch @to bytes 32
      core.buffer scratch @to bytes 16
      core.buffer scratch @to_k bytes 16
      // CHECK: core.vector fma [2, 4] f32[@sums] = f32(0.000000e+00), f16[@w : 8, 1], f16[@x : 0, 0] product
      // CHECK-NEXT: core.vector fma [2, 4] f32[@sums] = f32[@sums], f16[@w + 8 : 8, 1], f16[@x + 2 : 0, 0] product
      // CHECK-NEXT: core.vector mul [8] f32[@q] = f32[@sums], f32[@r : 0]
      // CHECK-NEXT: core.vector mul [4, 2] f32[@q1] = f32[@q], f32[@table : 0, 1]
      // CHECK-NEXT: core.vector sub [2, 2] f32[@to : 4, 1] = f32[@q1 : 4, 1], f32[@q1 + 8 : 4, 1]
      // CHECK-NEXT: core.vector convert [2] i32[@to + 8] = f32[@w]
      core.vector fma [4] f32[@sums] = f32(0.0), f16[@w], f16[@x : 0] product
      core.vector fma [4] f32[@sums] = f32[@sums], f16[@w + 8], f16[@x + 2 : 0] product
      core.vector fma [4] f32[@sums + 16] = f32(0.0), f16[@w + 16], f16[@x : 0] product
      core.vector fma [4] f32[@sums + 16] = f32[@sums + 16], f16[@w + 24], f16[@x + 2 : 0] product
      core.vector mul [4] f32[@q] = f32[@sums], f32[@r : 0]
      core.vector mul [4] f32[@k] = f32[@sums + 16], f32[@r : 0]
      core.vector mul [2] f32[@q1] = f32[@q], f32[@table]
      core.vector mul [2] f32[@q2] = f32[@q + 8], f32[@table]
      core.vector sub [2] f32[@to] = f32[@q1], f32[@q2]
      core.vector convert [2] i32[@to + 8] = f32[@w]
      core.vector mul [2] f32[@k1] = f32[@k], f32[@table]
      core.vector mul [2] f32[@k2] = f32[@k + 8], f32[@table]
      core.vector sub [2] f32[@to_k] = f32[@k1], f32[@k2]
      // CHECK-NEXT: core.vector neg [2] f32[@x] = f32[@w]
      // CHECK-NEXT: core.vector neg [3] f32[@table] = f32[@w + 8]
      core.vector neg [2] f32[@x] = f32[@w]
      core.vector neg [3] f32[@table] = f32[@w + 8]
    }
  }
}

// -----

// Three at one distance. The last one has none that fits: its buffer has its
// place by then.

// CHECK-LABEL: core.program "three"
core.image "wse3" {
  core.entry "three"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.buffer parameter @w bytes 256
    core.program "three" {
      // CHECK: core.buffer scratch @a bytes 48
      core.buffer scratch @a bytes 16
      core.buffer scratch @b bytes 16
      core.buffer scratch @c bytes 16
      // CHECK: core.vector neg [3, 2] f32[@a : 4, 1] = f32[@w : 16, 1]
      // CHECK-NEXT: core.vector abs [4] f32[@a] = f32[@w]
      // CHECK-NEXT: core.vector neg [2] f32[@a + 40] = f32[@w + 128]
      core.vector neg [2] f32[@a] = f32[@w]
      core.vector neg [2] f32[@b] = f32[@w + 64]
      core.vector neg [2] f32[@c] = f32[@w + 128]
      core.vector abs [4] f32[@a] = f32[@w]
      core.vector neg [2] f32[@c + 8] = f32[@w + 128]
    }
  }
}

// -----

// Two of two each, then one of both: no single distance leads through all four.

// CHECK-LABEL: core.program "again"
core.image "wse3" {
  core.entry "again"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.buffer parameter @w bytes 256
    core.program "again" {
      core.buffer scratch @a bytes 8
      core.buffer scratch @b bytes 8
      core.buffer scratch @c bytes 8
      core.buffer scratch @d bytes 8
      // CHECK: core.vector max [2, 2, 2] f32[@a] = f32[@w : 8, 2, 1], f32[@w + 132 : 0, 5, 1]
      // CHECK-NOT: core.vector
      core.vector max [2] f32[@a] = f32[@w], f32[@w + 132]
      core.vector max [2] f32[@b] = f32[@w + 8], f32[@w + 152]
      core.vector max [2] f32[@c] = f32[@w + 32], f32[@w + 132]
      core.vector max [2] f32[@d] = f32[@w + 40], f32[@w + 152]
    }
  }
}

// -----

// These stay as they are: the second reads or writes what something in between
// writes, or writes what that reads; one side of a stream, or of a loop with
// one; other PEs, a predicate, an index; two scalars of one fma; addresses.

// CHECK-LABEL: core.program "stays"
core.image "wse3" {
  core.entry "stays"
  core.entry "placed"
  core.region at 0, 0 size 4, 1 columns [0, 1 x 3] rows [0] {
    core.set @first = [0]
    core.buffer parameter @w bytes 256
    core.program "stays" {
      core.buffer scratch @a bytes 64
      core.buffer scratch @b bytes 64
      core.buffer scratch @c bytes 64
      // CHECK-COUNT-20: core.vector {{[a-z]+}} [2]
      core.vector neg [2] f32[@a] = f32[@w]
      core.vector neg [2] f32[@b] = f32[@a]
      core.vector abs [2] f32[@a + 8] = f32[@w]
      core.vector sub [2] f32[@b + 8] = f32[@b], f32[@w]
      core.vector abs [2] f32[@b] = f32[@w + 16]
      core.vector add [2] f32[@c] = f32[@w], f32[@w + 64]
      core.send [2] f32[@c] to 0 on columns @first
      core.vector add [2] f32[@c + 8] = f32[@w + 8], f32[@w + 72]
      core.vector max [2] f32[@c + 16] = f32[@w], f32[@b]
      core.loop 2 {
        core.vector min [2] f32[@c + 24] = f32[@w], f32[@b]
        core.send [2] f32[@c] to 0 on columns @first
        core.vector min [2] f32[@c + 32] = f32[@w + 8], f32[@b]
      }
      core.vector max [2] f32[@c + 40] = f32[@w + 8], f32[@b]
      core.vector mul [2] f32[@c + 40] = f32[@w], f32[@b]
      core.vector mul [2] f32[@c + 48] = f32[@w + 8], f32[@b] on columns @first
      core.vector mov [2] f32[@a] = f32[@w] if i32[@b : 0]
      core.vector mov [2] f32[@a + 8] = f32[@w + 8] if i32[@b : 0]
      core.vector mov [2] f32[@a + 16] = f32[@w + i32[@b] * 8 of 4]
      core.vector mov [2] f32[@a + 24] = f32[@w + i32[@b] * 8 of 4]
      core.vector fma [2] f32[@a + 32] = f32[@w], f32[@w + 8], f32[@b : 0]
      core.vector fma [2] f32[@a + 40] = f32[@w + 16], f32[@w + 24], f32[@b + 4 : 0]
      core.vector shl [2] i32[@a + 48] = i32[@w], i32(1)
      core.vector shl [2] i32[@a + 56] = i32[@w + 8], i32(2)
    }
    // CHECK-LABEL: core.program "placed"
    core.program "placed" {
      core.buffer scratch @placed bytes 64 at 512
      // CHECK-COUNT-2: core.vector neg [2]
      core.vector neg [2] f32[@placed] = f32[@w]
      core.vector neg [2] f32[@placed + 8] = f32[@w + 8]
    }
  }
}
