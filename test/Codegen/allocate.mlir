// RUN: waferloom-opt %s --core-share --core-allocate --split-input-file | FileCheck %s

// Buffers that never live at the same time share bytes.

// CHECK: core.region {{.*}} memory 64 {
core.image "grid-4x4" {
  core.entry "a"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "a" {
      // CHECK: core.buffer output @y bytes 16 at 0
      core.buffer output @y bytes 16
      // CHECK: core.buffer scratch @one bytes 16 at 16
      core.buffer scratch @one bytes 16
      // CHECK: core.buffer scratch @two bytes 32 at 32
      core.buffer scratch @two bytes 32
      // CHECK: core.buffer scratch @three bytes 16 at 16
      core.buffer scratch @three bytes 16
      // Nobody names it.
      // CHECK: core.buffer scratch @four bytes 16 at 16
      core.buffer scratch @four bytes 16
      core.vector mov [4] f32[@one] = f32(1.0)
      core.vector mov [4] f32[@two] = f32[@one]
      core.vector mov [4] f32[@three] = f32[@two]
      core.vector mov [4] f32[@y] = f32[@three]
    }
  }
}

// -----

// In a loop the next trip may read what the last one wrote, so what lives across
// its end lives through all of it; an index is a read as well, and so is a
// predicate.

// CHECK: core.region {{.*}} memory 60 {
core.image "grid-4x4" {
  core.entry "a"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "a" {
      // CHECK: core.buffer scratch @kept bytes 16 at 0
      core.buffer scratch @kept bytes 16
      // CHECK: core.buffer scratch @inside bytes 16 at 24
      core.buffer scratch @inside bytes 16
      // CHECK: core.buffer scratch @index bytes 4 at 16
      core.buffer scratch @index bytes 4
      // CHECK: core.buffer scratch @owned bytes 4 at 20
      core.buffer scratch @owned bytes 4
      // CHECK: core.buffer scratch @behind bytes 60 at 0
      core.buffer scratch @behind bytes 60
      core.vector mov [4] f32[@kept] = f32(1.0)
      core.vector mov [] i32[@index] = i32(0)
      core.vector mov [] i32[@owned] = i32(1)
      core.loop 3 {
        core.vector mov [2] f32[@inside] = f32[@kept + i32[@index] * 8 of 2] if i32[@owned : 0]
        core.vector mov [2] f32[@kept] = f32[@inside]
      }
      core.vector mov [15] f32[@behind] = f32(0.0)
    }
  }
}

// -----

// A start is kept, modulo the banks; what was placed by hand stays.

core.image "grid-4x4,banks=2,bank-bytes=64" {
  core.entry "a"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 200 {
    core.program "a" {
      // CHECK: core.buffer scratch @given bytes 16 at 240
      core.buffer scratch @given bytes 16 at 240
      // CHECK: core.buffer scratch @x bytes 16 start 12 at 268
      core.buffer scratch @x bytes 16 start 12
      core.vector mov [4] f32[@x] = f32[@given]
    }
  }
}
