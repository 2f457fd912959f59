// RUN: waferloom-opt %s --core-share --core-assign-banks | FileCheck %s
// RUN: waferloom-opt %s --core-share --core-assign-banks=target=grid-4x4,banks=1 \
// RUN:   | FileCheck --check-prefix=ONE %s

// Two operands of one instruction begin in different banks: the weight has its
// place, so the scratch that is read with it gets a start that is not the same.
// A buffer that is read alone lies where there is room. On a memory of
// one bank nothing is to be had.

core.image "grid-4x4" {
  core.entry "a"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.buffer parameter @w bytes 256
    core.program "a" {
      // CHECK: core.buffer scratch @x bytes 256 start [[START:[1-9][0-9]*]]{{$}}
      // ONE: core.buffer scratch @x bytes 256{{$}}
      core.buffer scratch @x bytes 256
      // CHECK: core.buffer scratch @sum bytes 256{{$}}
      core.buffer scratch @sum bytes 256
      core.vector add [64] f32[@sum] = f32[@w], f32[@x]
    }
  }
}
