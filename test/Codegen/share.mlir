// RUN: waferloom-opt %s --core-share --split-input-file | FileCheck %s

// What stays in memory has the same address in every program: first what all
// PEs have; then what only some have, at the same bytes where no PE has both;
// then inputs and outputs, each program's own. Scratch comes later.

core.image "grid-8x4" {
  core.entry "a"
  core.entry "b"
  core.region at 0, 0 size 4, 1 columns [0, 1, 2, 3] rows [0] {
    core.set @first = [0]
    core.set @others = [1, 2, 3]
    core.set @last = [3]
    // CHECK: core.buffer parameter @head bytes 100 at 44 on columns @first
    core.buffer parameter @head bytes 100 on columns @first
    // CHECK: core.buffer parameter @layers bytes 200 at 44 on columns @others
    core.buffer parameter @layers bytes 200 on columns @others
    // CHECK: core.buffer index @where bytes 42 at 0
    core.buffer index @where bytes 42
    // It stands on a PE that has @layers, too.
    // CHECK: core.buffer state @tail bytes 8 at 264 on columns @last
    core.buffer state @tail bytes 8 on columns @last
    // CHECK: core.buffer state @cache bytes 20 at 244 on columns @others
    core.buffer state @cache bytes 20 on columns @others
    core.program "a" {
      // CHECK: core.buffer input @x bytes 16 at 272
      core.buffer input @x bytes 16
      // CHECK: core.buffer scratch @s bytes 16{{$}}
      core.buffer scratch @s bytes 16
      // CHECK: core.buffer output @y bytes 16 at 288
      core.buffer output @y bytes 16
    }
    core.program "b" {
      // CHECK: core.buffer input @x bytes 4 at 272
      core.buffer input @x bytes 4
    }
  }
}

// -----

// What lies by hand stays, and so do bytes that are taken.
core.image "grid-8x4" {
  core.entry "a"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    // CHECK: core.buffer parameter @one bytes 8 at 128
    core.buffer parameter @one bytes 8 at 128
    // CHECK: core.buffer parameter @two bytes 8 at 136
    core.buffer parameter @two bytes 8
    core.program "a" {
      // CHECK: core.buffer output @y bytes 4 at 200
      core.buffer output @y bytes 4 at 200
      // CHECK: core.buffer output @z bytes 4 at 204
      core.buffer output @z bytes 4
    }
  }
}
