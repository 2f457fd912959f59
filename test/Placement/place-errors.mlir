// RUN: waferloom-opt %s --fabric-place="width=9 height=7" --split-input-file --verify-diagnostics

// expected-error @below {{needs 10 by 6 PEs but the fabric has 9 by 7}}
// expected-note @below {{choose a smaller region, or a larger target}}
func.func @too_wide() attributes {wafer.tokens = 1 : i64, wafer.region = #wafer.region<x = 10, y = 6>} {
  return
}

// -----

// expected-error @below {{has no wafer.region to find a place for}}
func.func @nowhere() attributes {wafer.tokens = 1 : i64} {
  return
}

// -----

func.func @one() attributes {wafer.tokens = 1 : i64, wafer.region = #wafer.region<x = 4, y = 6>} {
  return
}
// expected-error @below {{runs on 4 by 5 PEs but another entry on 4 by 6}}
func.func @other() attributes {wafer.tokens = 2 : i64, wafer.region = #wafer.region<x = 4, y = 5>} {
  return
}
