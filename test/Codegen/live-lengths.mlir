// RUN: waferloom-opt %s --core-live-lengths=target=wse3 --split-input-file | FileCheck %s

// Scores of one query, their maximum, and the values that they choose: 64 slots on
// each of 8 rows. The mask is 0 in dead slots, so scores become -inf there, their
// factors 0, and nothing of them is in a sum.

// CHECK-LABEL: core.program "main"
core.image "wse3" attributes {capacity = 512 : i64} {
  core.entry "main"
  core.region at 0, 0 size 1, 8 columns [0] rows [0 x 8] {
    core.buffer state @keys bytes 1024
    core.bind state "k" f32[@keys] as f32 [512 by 4 (64, y 8), 4 by 1 (4)]
    core.buffer state @values bytes 1024
    core.bind state "v" f32[@values] as f32 [512 by 4 (64, y 8), 4 by 1 (4)]
    core.buffer index @iota bytes 256
    core.bind index "" i32[@iota] as i32 [512 by 1 (64, y 8)]
    core.program "main" {
      core.buffer input @wafer.position bytes 4
      core.bind input "wafer.position" i32[@wafer.position] as i32 []
      core.buffer output @y bytes 16
      core.bind output "y" f32[@y] as f32 [4 by 1 (4)]
      core.buffer scratch @slot bytes 4
      core.buffer scratch @mask bytes 256
      core.buffer scratch @scores bytes 256
      core.buffer scratch @masked bytes 256
      core.buffer scratch @low bytes 256
      core.buffer scratch @top bytes 4
      core.buffer scratch @factors bytes 256
      core.buffer scratch @product bytes 1024
      core.buffer scratch @new bytes 16
      // Descriptors of the twelve below are rewritten once per step.
      // CHECK: core.loop 12 {
      // CHECK-NEXT: core.rewrite
      // CHECK-NEXT: }
      // The mask may as well be whole.
      // CHECK: core.vector le [64] i32[@mask] = i32[@iota], i32[@wafer.position : 0]{{$}}
      core.vector floor_div [] i32[@slot] = i32[@wafer.position], i32(8)
      core.vector le [64] i32[@mask] = i32[@iota], i32[@wafer.position : 0]
      core.loop 9 {
        core.vector mov [4] f32[@keys + i32[@slot] * 16 of 64] = f32[@new]
        core.vector mov [4] f32[@values + i32[@slot] * 16 of 64] = f32[@new]
        // CHECK: core.vector fma [64] f32[@scores] = f32(0.000000e+00), f32[@keys : 4], f32[@new : 0] live <0 over 8>
        core.vector fma [64] f32[@scores] = f32(0.0), f32[@keys : 4], f32[@new : 0]
        // CHECK: core.vector select [64] f32[@masked] = i32[@mask], f32[@scores], f32(0xFF800000) live <0 over 8>
        core.vector select [64] f32[@masked] = i32[@mask], f32[@scores], f32(0xFF800000)
        core.vector mov [] f32[@top] = f32(-1000.0)
        // CHECK: core.vector max [64] f32[@top : 0] = f32[@top : 0], f32[@masked] live <0 over 8>
        core.vector max [64] f32[@top : 0] = f32[@top : 0], f32[@masked]
        // CHECK: core.vector sub [64] f32[@low] = f32[@masked], f32[@top : 0] live <0 over 8>
        core.vector sub [64] f32[@low] = f32[@masked], f32[@top : 0]
        // CHECK: core.vector max [64] f32[@factors] = f32[@low], f32(0.000000e+00) live <0 over 8>
        core.vector max [64] f32[@factors] = f32[@low], f32(0.0)
        // CHECK: core.vector mul [4, 64] f32[@product] = f32[@factors : 0, 1], f32[@values : 1, 4] live <1 over 8>
        core.vector mul [4, 64] f32[@product] = f32[@factors : 0, 1], f32[@values : 1, 4]
        // The upper slots are added to the lower ones only as far as they are live.
        // CHECK: core.vector add [4, 30] f32[@product : 64, 1] = {{.*}} live <1 over 8 from 34>
        // CHECK: core.vector add [4, 16] f32[@product : 64, 1] = {{.*}} live <1 over 8 from 18>
        // CHECK: core.vector add [4, 8] f32[@product : 64, 1] = {{.*}} live <1 over 8 from 10>
        // CHECK: core.vector add [4, 4] f32[@product : 64, 1] = {{.*}} live <1 over 8 from 6>
        // CHECK: core.vector add [4, 2] f32[@product : 64, 1] = {{.*}} live <1 over 8 from 4>
        // CHECK: core.vector add [4, 2] f32[@product : 64, 1] = {{.*}} live <1 over 8 from 2>
        core.vector add [4, 30] f32[@product : 64, 1] = f32[@product : 64, 1], f32[@product + 136 : 64, 1]
        core.vector add [4, 16] f32[@product : 64, 1] = f32[@product : 64, 1], f32[@product + 72 : 64, 1]
        core.vector add [4, 8] f32[@product : 64, 1] = f32[@product : 64, 1], f32[@product + 40 : 64, 1]
        core.vector add [4, 4] f32[@product : 64, 1] = f32[@product : 64, 1], f32[@product + 24 : 64, 1]
        core.vector add [4, 2] f32[@product : 64, 1] = f32[@product : 64, 1], f32[@product + 16 : 64, 1]
        core.vector add [4, 2] f32[@product : 64, 1] = f32[@product : 64, 1], f32[@product + 8 : 64, 1]
        // The first two always are.
        // CHECK: core.vector add [4] f32[@y] = f32[@product : 64], f32[@product + 4 : 64]{{$}}
        core.vector add [4] f32[@y] = f32[@product : 64], f32[@product + 4 : 64]
      }
    }
  }
}

// -----

// The same without a softmax: a mask of 0 is enough for a sum.

// CHECK-LABEL: core.program "main"
// CHECK: core.loop 3 {
// CHECK-NEXT: core.rewrite
core.image "wse3" attributes {capacity = 512 : i64} {
  core.entry "main"
  core.region at 0, 0 size 1, 8 columns [0] rows [0 x 8] {
    core.buffer state @keys bytes 256
    core.bind state "k" f32[@keys] as f32 [512 by 1 (64, y 8)]
    core.buffer index @iota bytes 256
    core.bind index "" i32[@iota] as i32 [512 by 1 (64, y 8)]
    core.program "main" {
      core.buffer input @wafer.position bytes 4
      core.bind input "wafer.position" i32[@wafer.position] as i32 []
      core.buffer output @y bytes 4
      core.bind output "y" f32[@y] as f32 [1 by 1 (1)]
      core.buffer scratch @slot bytes 4
      core.buffer scratch @mask bytes 256
      core.buffer scratch @scores bytes 256
      core.buffer scratch @masked bytes 256
      core.buffer scratch @new bytes 4

      core.vector floor_div [] i32[@slot] = i32[@wafer.position], i32(8)
      core.vector le [64] i32[@mask] = i32[@iota], i32[@wafer.position : 0]
      core.loop 9 {
        core.vector mov [] f32[@keys + i32[@slot] * 4 of 64] = f32[@new]
        // CHECK: core.vector mul [64] {{.*}} live <0 over 8>
        // CHECK: core.vector select [64] {{.*}} live <0 over 8>
        // CHECK: core.vector add [64] {{.*}} live <0 over 8>
        core.vector mul [64] f32[@scores] = f32[@keys], f32[@new : 0]
        core.vector select [64] f32[@masked] = i32[@mask], f32[@scores], f32(0.0)
        core.vector add [64] f32[@y : 0] = f32[@y : 0], f32[@masked]
      }
    }
  }
}

// -----

// The number of a token is not where it is appended: who knows what dead slots hold,
// but the mask still makes nothing of them.

// CHECK-LABEL: core.program "main"
// CHECK-NOT: live
core.image "wse3" attributes {capacity = 512 : i64} {
  core.entry "main"
  core.region at 0, 0 size 1, 8 columns [0] rows [0 x 8] {
    core.buffer state @keys bytes 256
    core.bind state "k" f32[@keys] as f32 [512 by 1 (64, y 8)]
    core.buffer index @iota bytes 256
    core.bind index "" i32[@iota] as i32 [512 by 1 (64, y 8)]
    core.program "main" {
      core.buffer input @wafer.position bytes 4
      core.bind input "wafer.position" i32[@wafer.position] as i32 []
      core.buffer output @y bytes 4
      core.bind output "y" f32[@y] as f32 [1 by 1 (1)]
      core.buffer scratch @slot bytes 4
      core.buffer scratch @mask bytes 256
      core.buffer scratch @scores bytes 256
      core.buffer scratch @masked bytes 256
      core.buffer scratch @new bytes 4

      core.vector floor_div [] i32[@slot] = i32[@wafer.position], i32(7)
      core.vector le [64] i32[@mask] = i32[@iota], i32[@wafer.position : 0]
      core.loop 9 {
        core.vector mov [] f32[@keys + i32[@slot] * 4 of 64] = f32[@new]
        core.vector mul [64] f32[@scores] = f32[@keys], f32[@new : 0]
        core.vector select [64] f32[@masked] = i32[@mask], f32[@scores], f32(0.0)
        core.vector add [64] f32[@y : 0] = f32[@y : 0], f32[@masked]
      }
    }
  }
}

// -----

// Tokens that lie in blocks: the first PEs are full, the others empty.

// CHECK-LABEL: core.program "main"
// CHECK-NOT: live
core.image "wse3" attributes {capacity = 512 : i64} {
  core.entry "main"
  core.region at 0, 0 size 1, 8 columns [0] rows [0 x 8] {
    core.buffer state @keys bytes 256
    core.bind state "k" f32[@keys] as f32 [512 by 1 (y 8, 64)]
    core.buffer index @iota bytes 256
    core.bind index "" i32[@iota] as i32 [512 by 1 (y 8, 64)]
    core.program "main" {
      core.buffer input @wafer.position bytes 4
      core.bind input "wafer.position" i32[@wafer.position] as i32 []
      core.buffer output @y bytes 4
      core.bind output "y" f32[@y] as f32 [1 by 1 (1)]
      core.buffer scratch @slot bytes 4
      core.buffer scratch @mask bytes 256
      core.buffer scratch @scores bytes 256
      core.buffer scratch @masked bytes 256
      core.buffer scratch @new bytes 4

      core.vector floor_div [] i32[@slot] = i32[@wafer.position], i32(8)
      core.vector le [64] i32[@mask] = i32[@iota], i32[@wafer.position : 0]
      core.loop 9 {
        core.vector mov [] f32[@keys + i32[@slot] * 4 of 64] = f32[@new]
        core.vector mul [64] f32[@scores] = f32[@keys], f32[@new : 0]
        core.vector select [64] f32[@masked] = i32[@mask], f32[@scores], f32(0.0)
        core.vector add [64] f32[@y : 0] = f32[@y : 0], f32[@masked]
      }
    }
  }
}

// -----

// All scores are sent: they are there for all slots. What is made of them is not.

// CHECK-LABEL: core.program "main"
// CHECK: core.loop 2 {
core.image "wse3" attributes {capacity = 512 : i64} {
  core.entry "main"
  core.region at 0, 0 size 1, 8 columns [0] rows [0 x 8] {
    core.buffer state @keys bytes 256
    core.bind state "k" f32[@keys] as f32 [512 by 1 (64, y 8)]
    core.buffer index @iota bytes 256
    core.bind index "" i32[@iota] as i32 [512 by 1 (64, y 8)]
    core.program "main" {
      core.buffer input @wafer.position bytes 4
      core.bind input "wafer.position" i32[@wafer.position] as i32 []
      core.buffer output @y bytes 4
      core.bind output "y" f32[@y] as f32 [1 by 1 (1)]
      core.buffer scratch @slot bytes 4
      core.buffer scratch @mask bytes 256
      core.buffer scratch @scores bytes 256
      core.buffer scratch @masked bytes 256
      core.buffer scratch @new bytes 4

      core.vector floor_div [] i32[@slot] = i32[@wafer.position], i32(8)
      core.vector le [64] i32[@mask] = i32[@iota], i32[@wafer.position : 0]
      core.loop 9 {
        core.vector mov [] f32[@keys + i32[@slot] * 4 of 64] = f32[@new]
        // CHECK: core.vector mul [64] f32[@scores] = f32[@keys], f32[@new : 0]{{$}}
        // CHECK: core.vector select [64] {{.*}} live <0 over 8>
        // CHECK: core.vector add [64] {{.*}} live <0 over 8>
        core.vector mul [64] f32[@scores] = f32[@keys], f32[@new : 0]
        core.send [64] f32[@scores] to 0
        core.vector select [64] f32[@masked] = i32[@mask], f32[@scores], f32(0.0)
        core.vector add [64] f32[@y : 0] = f32[@y : 0], f32[@masked]
      }
    }
  }
}

// -----

// The host reads them.

// CHECK-LABEL: core.program "main"
// CHECK-NOT: live
core.image "wse3" attributes {capacity = 512 : i64} {
  core.entry "main"
  core.region at 0, 0 size 1, 8 columns [0] rows [0 x 8] {
    core.buffer state @keys bytes 256
    core.bind state "k" f32[@keys] as f32 [512 by 1 (64, y 8)]
    core.buffer index @iota bytes 256
    core.bind index "" i32[@iota] as i32 [512 by 1 (64, y 8)]
    core.program "main" {
      core.buffer input @wafer.position bytes 4
      core.bind input "wafer.position" i32[@wafer.position] as i32 []
      core.buffer output @y bytes 256
      core.bind output "y" f32[@y] as f32 [64 by 1 (64)]
      core.buffer scratch @slot bytes 4
      core.buffer scratch @mask bytes 256
      core.buffer scratch @scores bytes 256
      core.buffer scratch @masked bytes 256
      core.buffer scratch @new bytes 4

      core.vector floor_div [] i32[@slot] = i32[@wafer.position], i32(8)
      core.vector le [64] i32[@mask] = i32[@iota], i32[@wafer.position : 0]
      core.loop 9 {
        core.vector mov [] f32[@keys + i32[@slot] * 4 of 64] = f32[@new]
        core.vector mul [64] f32[@scores] = f32[@keys], f32[@new : 0]
        core.vector select [64] f32[@masked] = i32[@mask], f32[@scores], f32(0.0)
        core.vector add [64] f32[@y] = f32[@masked], f32(1.0)
      }
    }
  }
}

// -----

// Slots in another order, and without the mask.

// CHECK-LABEL: core.program "main"
// CHECK-NOT: live
core.image "wse3" attributes {capacity = 512 : i64} {
  core.entry "main"
  core.region at 0, 0 size 1, 8 columns [0] rows [0 x 8] {
    core.buffer state @keys bytes 256
    core.bind state "k" f32[@keys] as f32 [512 by 1 (64, y 8)]
    core.buffer index @iota bytes 256
    core.bind index "" i32[@iota] as i32 [512 by 1 (64, y 8)]
    core.program "main" {
      core.buffer input @wafer.position bytes 4
      core.bind input "wafer.position" i32[@wafer.position] as i32 []
      core.buffer output @y bytes 4
      core.bind output "y" f32[@y] as f32 [1 by 1 (1)]
      core.buffer scratch @slot bytes 4
      core.buffer scratch @mask bytes 256
      core.buffer scratch @scores bytes 256
      core.buffer scratch @masked bytes 256
      core.buffer scratch @new bytes 4

      core.vector floor_div [] i32[@slot] = i32[@wafer.position], i32(8)
      core.vector le [64] i32[@mask] = i32[@iota], i32[@wafer.position : 0]
      core.loop 9 {
        core.vector mov [] f32[@keys + i32[@slot] * 4 of 64] = f32[@new]
        core.vector mul [64] f32[@scores] = f32[@keys], f32[@new : 0]
        core.vector add [64] f32[@masked] = f32[@scores], f32(1.0)
        core.vector mov [64] f32[@scores] = f32[@masked + 252 : -1]
        core.vector add [64] f32[@y : 0] = f32[@y : 0], f32[@scores]
      }
    }
  }
}

// -----

// A trip reads what the one before it made: of all slots.

// CHECK-LABEL: core.program "main"
// CHECK: core.vector mul [64] f32[@scores] = f32[@masked], f32[@new : 0]{{$}}
// CHECK-NEXT: core.send [64] f32[@scores]
// CHECK-NEXT: core.vector add [64] f32[@masked] = f32[@keys], f32[@new : 0]{{$}}
core.image "wse3" attributes {capacity = 512 : i64} {
  core.entry "main"
  core.region at 0, 0 size 1, 8 columns [0] rows [0 x 8] {
    core.buffer state @keys bytes 256
    core.bind state "k" f32[@keys] as f32 [512 by 1 (64, y 8)]
    core.buffer index @iota bytes 256
    core.bind index "" i32[@iota] as i32 [512 by 1 (64, y 8)]
    core.program "main" {
      core.buffer input @wafer.position bytes 4
      core.bind input "wafer.position" i32[@wafer.position] as i32 []
      core.buffer output @y bytes 4
      core.bind output "y" f32[@y] as f32 [1 by 1 (1)]
      core.buffer scratch @slot bytes 4
      core.buffer scratch @mask bytes 256
      core.buffer scratch @scores bytes 256
      core.buffer scratch @masked bytes 256
      core.buffer scratch @new bytes 4

      core.vector floor_div [] i32[@slot] = i32[@wafer.position], i32(8)
      core.vector le [64] i32[@mask] = i32[@iota], i32[@wafer.position : 0]
      core.loop 9 {
        core.vector mov [] f32[@keys + i32[@slot] * 4 of 64] = f32[@new]
        core.vector mul [64] f32[@scores] = f32[@masked], f32[@new : 0]
        core.send [64] f32[@scores] to 0
        core.vector add [64] f32[@masked] = f32[@keys], f32[@new : 0]
      }
    }
  }
}
