// RUN: waferloom-opt %s --fabric-verify-placement="width=9 height=7" --split-input-file --verify-diagnostics

// expected-error @below {{reaches from (2, 0) to (9, 5) but the fabric has 9 by 7 PEs for programs}}
func.func @off_the_fabric() attributes {wafer.tokens = 1 : i64, wafer.region = #wafer.region<x = 8, y = 6>,
                                        fabric.place = #fabric.rect<at = (2, 0), size = (8, 6)>} {
  return
}

// -----

// expected-error @below {{asks for 8 by 6 PEs but is placed on 8 by 5}}
func.func @wrong_size() attributes {wafer.tokens = 1 : i64, wafer.region = #wafer.region<x = 8, y = 6>,
                                    fabric.place = #fabric.rect<at = (0, 0), size = (8, 5)>} {
  return
}

// -----

// expected-error @below {{has no fabric.place}}
func.func @no_place() attributes {wafer.tokens = 1 : i64, wafer.region = #wafer.region<x = 8, y = 6>} {
  return
}

// -----

func.func @here() attributes {wafer.tokens = 1 : i64, wafer.region = #wafer.region<x = 4, y = 6>,
                              fabric.place = #fabric.rect<at = (0, 0), size = (4, 6)>} {
  return
}
// expected-error @below {{is placed on #fabric.rect<at = (4, 0), size = (4, 6)> but another entry on #fabric.rect<at = (0, 0), size = (4, 6)>}}
func.func @there() attributes {wafer.tokens = 2 : i64, wafer.region = #wafer.region<x = 4, y = 6>,
                               fabric.place = #fabric.rect<at = (4, 0), size = (4, 6)>} {
  return
}
