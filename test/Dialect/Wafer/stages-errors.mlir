// RUN: waferloom-opt %s --pass-pipeline="builtin.module(func.func(partition-verify))" --split-input-file --verify-diagnostics

// expected-error @below {{2 x 3 stages end in another column than they begin in; take an even number of rows, or one}}
wafer.program region <x = 4, y = 5> stages <2 x 3> {}

// -----

// expected-error @below {{3 x 2 stages end in another row than they begin in; take an even number of columns, or one}}
wafer.program region <x = 4, y = 5> stages <3 x 2 in columns> {}

// -----

// expected-error @below {{there are no 0 x 2 stages}}
wafer.program region <x = 4, y = 5> stages <0 x 2> {}

// -----

// expected-error @below {{stages stand in rows or in columns, not in circles}}
wafer.program region <x = 4, y = 5> stages <2 x 2 in circles> {}

// -----

wafer.program region <x = 4, y = 5> stages <3 x 1> {
  wafer.entry "nothing" of @nothing tokens 1
}
// expected-error @below {{has 3 stages but no repeat to share}}
func.func @nothing() {
  return
}

// -----

wafer.program region <x = 4, y = 5> stages <7 x 1> {
  wafer.entry "trips" of @trips tokens 1
}
func.func @trips() {
  %x = wafer.input "x" : tensor<8xf32, #wafer.layout<[*]>>
  // expected-error @below {{has 5 trips, too few for 6 stages to share}}
  %y = wafer.repeat 5 (%a = %x) : tensor<8xf32, #wafer.layout<[*]>> {
    wafer.yield %a : tensor<8xf32, #wafer.layout<[*]>>
  }
  wafer.output "y", %y : tensor<8xf32, #wafer.layout<[*]>>
  return
}

// -----

wafer.program region <x = 4, y = 5> stages <3 x 1> {
  wafer.entry "alone" of @alone tokens 1
}
func.func @alone() {
  // expected-error @below {{carries nothing from stage to stage}}
  wafer.repeat 4 () {
    wafer.yield
  }
  return
}

// -----

wafer.program region <x = 4, y = 5> stages <3 x 1> {
  wafer.entry "split" of @split tokens 1
}
func.func @split() {
  %w = wafer.input "x" : tensor<8xf32, #wafer.layout<[*]>>
  %x = wafer.slice %w dim 0 over [x] : (tensor<8xf32, #wafer.layout<[*]>>) -> tensor<8xf32, #wafer.layout<[x]>>
  // expected-error @below {{carries a value that is split along x, the direction of the strips of stages}}
  %y = wafer.repeat 4 (%a = %x) : tensor<8xf32, #wafer.layout<[x]>> {
    wafer.yield %a : tensor<8xf32, #wafer.layout<[x]>>
  }
  return
}

// -----

// A column of stages whose strips are rows: each hands over across them.

wafer.program region <x = 4, y = 5> stages <1 x 3 in rows> {
  wafer.entry "across" of @across tokens 1
}
func.func @across() {
  %w = wafer.input "x" : tensor<8xf32, #wafer.layout<[*]>>
  %x = wafer.slice %w dim 0 over [x] : (tensor<8xf32, #wafer.layout<[*]>>) -> tensor<8xf32, #wafer.layout<[x]>>
  // expected-error @below {{carries a value that is split along x, the direction of the strips of stages}}
  %y = wafer.repeat 4 (%a = %x) : tensor<8xf32, #wafer.layout<[x]>> {
    wafer.yield %a : tensor<8xf32, #wafer.layout<[x]>>
  }
  return
}

// -----

wafer.program region <x = 4, y = 5> stages <1 x 3> {
  wafer.entry "types" of @types tokens 1
}
func.func @types() {
  %x = wafer.input "x" : tensor<8xf32, #wafer.layout<[*]>>
  %i = wafer.input "i" : tensor<8xi32, #wafer.layout<[*]>>
  // expected-error @below {{which does not travel between stages}}
  %y:2 = wafer.repeat 4 (%a = %x, %b = %i) : tensor<8xf32, #wafer.layout<[*]>>, tensor<8xi32, #wafer.layout<[*]>> {
    wafer.yield %a, %b : tensor<8xf32, #wafer.layout<[*]>>, tensor<8xi32, #wafer.layout<[*]>>
  }
  return
}

// -----

wafer.program region <x = 4, y = 5> stages <3 x 1> {
  wafer.entry "two" of @two tokens 1
}
// expected-error @below {{has 3 stages but 2 repeats that may be that of the layers, of which stages share one; compile it with one stage}}
func.func @two() {
  %x = wafer.input "x" : tensor<8xf32, #wafer.layout<[*]>>
  // expected-note @below {{one of 4 trips}}
  %y = wafer.repeat 4 (%a = %x) : tensor<8xf32, #wafer.layout<[*]>> {
    %s = wafer.state ["a", "b", "c", "d"] : tensor<8xf32, #wafer.layout<[*]>>
    wafer.yield %a : tensor<8xf32, #wafer.layout<[*]>>
  }
  // expected-note @below {{one of 2 trips}}
  %z = wafer.repeat 2 (%b = %y) : tensor<8xf32, #wafer.layout<[*]>> {
    %s = wafer.state ["e", "f"] : tensor<8xf32, #wafer.layout<[*]>>
    wafer.yield %b : tensor<8xf32, #wafer.layout<[*]>>
  }
  wafer.output "y", %z : tensor<8xf32, #wafer.layout<[*]>>
  return
}
