// RUN: waferloom-opt --split-input-file --verify-diagnostics %s

// What can be wrong with core text before any target is known.

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0, 1] rows [0] memory 64 { // expected-error {{'core.region' op gives classes to 2 columns but has 4}}
    core.program "main" {
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.rewrite on columns @left // expected-error {{'core.rewrite' op names @left, which is no set of this region}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 { // expected-error {{'core.region' op has 0 programs for 1 entries}}
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.entry "main" // expected-error {{'core.entry' op is the second with this name}}
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "other" { // expected-error {{'core.program' op is for an entry that is not there}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.bind parameter "w" f32[0] as f32 [4 by 1 (4)] source 1 // expected-error {{'core.bind' op reads source 1 of 0}}
    core.program "main" {
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.bind input "x" f32[0] as f32 [4 by 1 (4)] // expected-error {{'core.bind' op of role input belongs to a program}}
    core.program "main" {
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.bind state "s" f32[0] as f64 [4 by 1 (4)] // expected-error {{'core.bind' op cannot come from 'f64'}}
    core.program "main" {
    }
  }
}

// -----

// The ops below stand in no image: their own verifiers come first.

core.vector add [8] f32[0] = f32[0], f32[0] // expected-error {{'core.vector' op expects parent op to be one of 'core.program, core.loop'}}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.vector add [8] f32[0] = f32[0] // expected-error {{'core.vector' op 'add' has 1 operands but needs 2}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.vector add [8] f32[0] = f32[0], f16[0] // expected-error {{'core.vector' op 'add' mixes 'f32' and 'f16'}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.vector floor_div [8] f32[0] = f32[0], f32[0] // expected-error {{'core.vector' op 'floor_div' needs i32 here, not 'f32'}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.vector fma [8] f32[0] = f32[0], f32[0], f32[64] // expected-error {{'core.vector' op 'fma' multiplies by one scalar: give the third operand strides of 0}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.vector mov [2, 4] f32[0 : 1] = f32[0] // expected-error {{'core.vector' op has 1 strides for a shape of rank 2}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.vector mov [1, 1, 1, 1, 1] f32[0] = f32[0] // expected-error {{'core.vector' op has a shape of rank 5, the machine has 4 dimensions}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.vector mov [4, 0] f32[0] = f32[0] // expected-error {{'core.vector' op has a shape without or with too many elements}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.vector mov [4] f32(1.0) = f32[0] // expected-error {{'core.vector' op writes to a scalar}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.loop 3 {
        core.vector mov [4] f32[0 : 1 step 1 by 4] = f32[0] // expected-error {{'core.vector' op steps with the loop at depth 1 but stands in 1}}
      }
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.send [4] f32[0] to 256 // expected-error {{'core.send' op names color 256, which is not in 0 .. 255}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.route 0 from west to west // expected-error {{'core.route' op sends words back to west}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.route 0 from west, ramp to east // expected-error {{'core.route' op gives each input its number of words, or has one input without a number}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.route 0 from up to east // expected-error {{'up' is no side of a router: north, south, east, west or ramp}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.program "main" {
      core.send [4] f64[0] to 0 // expected-error {{an operand is f32, f16 or i32, not 'f64'}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.source "w" = dense<1.0> : tensor<2xf64> // expected-error {{'core.source' op holds 'f64', the data section has f32, f16 and i32}}
}
