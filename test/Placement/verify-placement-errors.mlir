// RUN: waferloom-opt %s --fabric-verify-placement --split-input-file --verify-diagnostics

module attributes {wafer.target = #wafer.target<"grid-9x7">} {
// expected-error @below {{reaches from (2, 0) to (9, 5) but the fabric has 9 by 7 PEs for programs}}
wafer.program region <x = 8, y = 6> {
  wafer.entry "off_the_fabric" of @off_the_fabric tokens 1
}
func.func @off_the_fabric() attributes {fabric.place = #fabric.rect<at = (2, 0), size = (8, 6)>} {
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-9x7">} {
// expected-error @below {{asks for 8 by 6 PEs but is placed on 8 by 5}}
wafer.program region <x = 8, y = 6> {
  wafer.entry "wrong_size" of @wrong_size tokens 1
}
func.func @wrong_size() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (8, 5)>} {
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-9x7">} {
wafer.program region <x = 8, y = 6> {
  wafer.entry "no_place" of @no_place tokens 1
}
// expected-error @below {{has no fabric.place}}
func.func @no_place() {
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-9x7">} {
wafer.program region <x = 4, y = 6> {
  wafer.entry "here" of @here tokens 1
  wafer.entry "there" of @there tokens 2
}
func.func @here() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (4, 6)>} {
  return
}
// expected-error @below {{is placed on #fabric.rect<at = (4, 0), size = (4, 6)> but another entry on #fabric.rect<at = (0, 0), size = (4, 6)>}}
func.func @there() attributes {fabric.place = #fabric.rect<at = (4, 0), size = (4, 6)>} {
  return
}
}
