// RUN: waferloom-opt %s --fabric-place --split-input-file --verify-diagnostics

module attributes {wafer.target = #wafer.target<"grid-9x7">} {
// expected-error @below {{needs 10 by 6 PEs but the fabric has 9 by 7}}
// expected-note @below {{choose a smaller region, or a larger target}}
wafer.program region <x = 10, y = 6> {
  wafer.entry "too_wide" of @too_wide tokens 1
}
func.func @too_wide() {
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-9x7">} {
// expected-error @below {{has no region to find a place for}}
wafer.program {
  wafer.entry "nowhere" of @nowhere tokens 1
}
func.func @nowhere() {
  return
}
}
