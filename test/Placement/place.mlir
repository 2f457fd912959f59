// RUN: waferloom-opt %s --fabric-place | FileCheck %s
// RUN: waferloom-opt %s --fabric-place --fabric-verify-placement

// All entries run on the same PEs. What is no entry has no place.

module attributes {wafer.target = #wafer.target<"grid-9x7">} {
wafer.program region <x = 2 x 4, y = 6> {
  wafer.entry "tokens1" of @tokens1 tokens 1
  wafer.entry "tokens16" of @tokens16 tokens 16
}
// CHECK: func.func @tokens1
// CHECK-SAME: fabric.place = #fabric.rect<at = (0, 0), size = (8, 6)>
func.func @tokens1() {
  return
}

// CHECK: func.func @tokens16
// CHECK-SAME: fabric.place = #fabric.rect<at = (0, 0), size = (8, 6)>
func.func @tokens16() {
  return
}

// CHECK: func.func @callee()
// CHECK-NOT: fabric.place
func.func @callee() {
  return
}
}
