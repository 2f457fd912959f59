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
    core.bind state "s" f32[0] as f80 [4 by 1 (4)] // expected-error {{'core.bind' op cannot come from 'f80'}}
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
      core.vector mov [2] f32[0] = f32[0 : 9223372036854775807] // expected-error {{'core.vector' op has an operand with stride 9223372036854775807, more than a memory has bytes}}
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

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.vector mov [4] f32[@c] = f32[@b] // expected-error {{'core.vector' op names @c, which is no buffer of its program}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.vector mov [4] f32[@b + 52] = f32(1.0) // expected-error {{'core.vector' op touches bytes 52 to 68 of @b, which has 64}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.vector mov [2, 4] f32[@b : 13, 1] = f32(1.0) // expected-error {{'core.vector' op touches bytes 0 to 68 of @b, which has 64}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.vector mov [4] f32[@b] = f32[@b + 8 : -1] // expected-error {{'core.vector' op touches bytes -4 to 12 of @b, which has 64}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.loop 4 {
        core.vector mov [4] f32[@b step 0 by 20] = f32(1.0) // expected-error {{'core.vector' op touches bytes 0 to 76 of @b, which has 64}}
      }
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.vector mov [4] f32[0] = f32[@b + i32[0] * 16 of 5] // expected-error {{'core.vector' op touches bytes 0 to 80 of @b, which has 64}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.vector mov [4] f32[0] = f32[0 + i32[@b + 64] * 16 of 5] // expected-error {{'core.vector' op touches bytes 64 to 68 of @b, which has 64}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.vector mov [4] f32[0] = f32(1.0) if i32[@b + 64 : 0] // expected-error {{'core.vector' op touches bytes 64 to 68 of @b, which has 64}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.send [20] f32[@b] to 1 // expected-error {{'core.send' op touches bytes 0 to 80 of @b, which has 64}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.recv_fold add [20] f32[@b] from 1 // expected-error {{'core.recv_fold' op touches bytes 0 to 80 of @b, which has 64}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64
      core.bind output "y" f32[@b] as f32 [17 by 1 (17)] // expected-error {{'core.bind' op touches bytes 0 to 68 of @b, which has 64}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer state @s bytes 64 // expected-error {{'core.buffer' op for state belongs to a region}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @s bytes 0 // expected-error {{'core.buffer' op has 0 bytes}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @s bytes 4 at -4 // expected-error {{'core.buffer' op has address -4}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.buffer scratch @b bytes 64 // expected-note {{see existing symbol definition here}}
      core.buffer scratch @b bytes 64 // expected-error {{redefinition of symbol named 'b'}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.program "main" {
      core.vector mov [4] f32[@b + ] = f32(1.0) // expected-error {{expected 'i32'}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.buffer scratch @s bytes 64 // expected-error {{'core.buffer' op for scratch belongs to a program}}
    core.program "main" {
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] {
    core.set @all = [0]
    core.program "main" {
      core.buffer scratch @s bytes 4 on columns @all // expected-error {{'core.buffer' op of a program is on all PEs that run it: leave 'on' out}}
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] stages [2] { // expected-error {{'core.region' op has stages that are not a number west to east and a number north to south}}
    core.program "main" {
    }
  }
}

// -----

core.image "grid-4x4" {
  core.source "w" // expected-error {{'core.source' op has either elements or a number of bytes}}
}

// -----

core.image "grid-4x4" {
  core.source "w" = dense<1.0> : tensor<2xf32> in "f" at 0 // expected-error {{'core.source' op has its elements here and in a file}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 narrowed // expected-error {{'core.source' op is made of bytes of a file but names none}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at -1 // expected-error {{'core.source' op has the number -1}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.bind parameter "w" f16[0] as f16 [4 by 1 (4)] source 0 packed <codes groups [1, 4] of 1 by 4 bits 8 size 4 scales f32> // expected-error {{'core.bind' op has 1 dimensions and 2 groups}}
    core.program "main" {
    }
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.bind state "w" f16[0] as f16 [4 by 1 (4)] packed <codes groups [4] of 1 by 4 bits 8 size 4 scales f32> // expected-error {{'core.bind' op is packed but no parameter}}
    core.program "main" {
    }
  }
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.bind parameter "w" f16[0] as f16 [4 by 1 (4)] source 0 packed <zeros groups [4] of 1 by 4 bits 8 size 4 scales f32> // expected-error {{has no zeros}}
    core.program "main" {
    }
  }
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8
  core.entry "main"
  core.region at 0, 0 size 4, 1 columns [0 x 4] rows [0] memory 64 {
    core.bind parameter "w" f16[0] as f16 [4 by 1 (4)] source 0 packed <codes groups [0] of 1 by 4 bits 8 size 4 scales f32> // expected-error {{has a group without elements}}
    core.program "main" {
    }
  }
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <2 by 2 bits 3 size 32 scales f32 from "f" at 0> // expected-error {{has integers of neither 2, 4 nor 8 bits}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <2 by 2 bits 8 size 2 code e3m4 scales f32 from "f" at 0> // expected-error {{codes are integer, e4m3fn, e5m2 or e2m1, not e3m4}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <2 by 2 bits 8 size 2 scales f32 nowhere> // expected-error {{has blocks whose scales lie in no file}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 part codes // expected-error {{is a part of blocks but has none}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <2 by 2 bits 4 size 32 scales f64 from "f" at 0> // expected-error {{scales are f16, f32 or e8m0, not f64}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <2 by 2 bits 4 size 32 scales f32 from "f" at 0, "f" at 0> // expected-error {{has a file of zeros if and only if they are packed or scaled}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <2 by 2 bits 4 size 32 scales f32 zeros some from "f" at 0> // expected-error {{zeros are middle, packed, scaled or none, not some}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <4 by 2 bits 8 size 2 period 3 scales f32 from "f" at 0> // expected-error {{has a period of scales that does not divide its rows}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <4 by 2 bits 4 size 1 scales f32 from "f" at 0> // expected-error {{has blocks that end within a byte}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <0 by 2 bits 4 size 32 scales f32 from "f" at 0> // expected-error {{has no rows, columns or integers in a block}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <1099511627776 by 2 bits 4 size 32 scales f32 from "f" at 0> // expected-error {{has more than 2^40 integers}}
}

// -----

core.image "grid-4x4" {
  core.source "w" bytes 8 in "f" at 0 blocks <2 by 2 bits 4 size 32 scales f32 from "f" at -8> // expected-error {{has scales or zeros at a negative offset}}
}

// -----

core.image "grid-4x4" {
  core.entry "main" {
    core.bounds wires -1 hard 9 products 2 pace 2 // expected-error {{'core.bounds' op has -1 wires}}
  }
}

// -----

core.image "grid-4x4" {
  core.entry "main" {
    core.bounds wires 1 hard 9 products 2 pace 2 // expected-error {{'core.bounds' op stands in its entry twice}}
    core.bounds wires 1 hard 9 products 2 pace 2
  }
}
