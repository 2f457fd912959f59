// RUN: waferloom-opt %s --core-lint -o /dev/null 2>&1 | grep remark: | FileCheck %s
// RUN: waferloom-opt %s --core-lint=least=300 -o /dev/null 2>&1 | grep remark: | FileCheck --check-prefix=LEAST %s

// Instructions that take more than elements over rate: by a stride, by banks, by
// both, and how often. Folds and scalars are as fast as they can be, and an
// operand without an address is not regarded.

// CHECK: lint.mlir:[[@LINE+16]]:{{.*}} remark: 64 cycles where 16 would do, 8 times: source 1 steps by 16 bytes
// CHECK-NEXT: lint.mlir:[[@LINE+18]]:{{.*}} remark: 64 cycles where 32 would do: sources 1 and 2 share banks
// CHECK-NEXT: lint.mlir:[[@LINE+18]]:{{.*}} remark: 64 cycles where 16 would do: the destination steps by 8 bytes, and sources 1 and 2 share banks
// CHECK-NOT: remark
// LEAST: remark: 64 cycles where 16 would do, 8 times
// LEAST-NOT: remark

core.image "grid-4x4" {
  core.entry "a"
  core.region at 0, 0 size 4, 4 columns [0 x 4] rows [0 x 4] {
    core.buffer parameter @w bytes 256 at 0
    core.program "a" {
      core.buffer scratch @x bytes 256 at 256
      core.buffer scratch @y bytes 256
      core.loop 2 {
        core.loop 4 {
          core.vector mov [64] f16[0 : 1] = f16[512 : 8]
        }
      }
      core.vector add [64] f32[1024] = f32[@w], f32[@x]
      core.vector add [64] f16[1024 : 4] = f16[@w], f16[@x]
      core.vector add [64] f32[1024] = f32[@w], f32[@y]
      core.vector add [64] f32[1024 : 0] = f32[1024 : 0], f32[@w]
      core.vector add [] i32[1024] = i32[1024], i32[1024]
    }
  }
}
