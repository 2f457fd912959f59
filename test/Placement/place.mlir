// RUN: waferloom-opt %s --fabric-place="width=9 height=7" | FileCheck %s
// RUN: waferloom-opt %s --fabric-place="width=9 height=7" --fabric-verify-placement="width=9 height=7"

// All entries run on the same PEs. What is no entry has no place.

// CHECK: func.func @tokens1
// CHECK-SAME: fabric.place = #fabric.rect<at = (0, 0), size = (8, 6)>
func.func @tokens1() attributes {wafer.tokens = 1 : i64, wafer.region = #wafer.region<x = 2 x 4, y = 6>} {
  return
}

// CHECK: func.func @tokens16
// CHECK-SAME: fabric.place = #fabric.rect<at = (0, 0), size = (8, 6)>
func.func @tokens16() attributes {wafer.tokens = 16 : i64, wafer.region = #wafer.region<x = 2 x 4, y = 6>} {
  return
}

// CHECK: func.func @callee()
// CHECK-NOT: fabric.place
func.func @callee() {
  return
}
