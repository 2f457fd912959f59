// RUN: not waferloom-opt --core-through-image --split-input-file %s 2>&1 | FileCheck %s

// CHECK: error: 'core.image' op unknown target 'wse9'
core.image "wse9" {
}

// -----

// CHECK: error: 'core.image' op has the number 4294967296, which does not fit 32 bits
core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 4294967296 {
    core.program "main" {
    }
  }
}

// -----

// CHECK: error: 'builtin.module' op has no core.image
module {
}

// -----

// CHECK: error: 'core.image' op is the second of this file
core.image "grid-4x4" {
}
core.image "grid-4x4" {
}
