// RUN: waferloom-opt %s --split-input-file --verify-diagnostics --convert-fabric-to-core=target=grid-4x4

// expected-error@+1 {{has no wafer.entry that runs a function}}
module {
}

// -----

// expected-error@+1 {{has no region}}
wafer.program {
  wafer.entry "main" of @main tokens 1
}
func.func @main() {
  return
}

// -----

wafer.program region <x = 3, y = 1> {
  wafer.entry "main" of @main tokens 1
}
// expected-error@+1 {{has no place on the fabric or no queues: placement and routing come before}}
func.func @main() {
  return
}

// -----

wafer.program region <x = 3, y = 1> {
  wafer.entry "main" of @main tokens 1
}
// expected-error@+1 {{is placed on #fabric.rect<at = (2, 0), size = (3, 1)> but target 'grid-4x4' has 4 by 4 PEs}}
func.func @main() attributes {fabric.place = #fabric.rect<at = (2, 0), size = (3, 1)>,
    fabric.queues = #fabric.queues<input = [], output = []>} {
  return
}

// -----

// A color needs a queue of the PE.
wafer.program region <x = 3, y = 1> {
  wafer.entry "main" of @main tokens 1
}
func.func @main() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (3, 1)>,
    fabric.queues = #fabric.queues<input = [0, 99, 0], output = [0, 0, 0]>} {
  %x = wafer.input "x" {layout = #wafer.layout<[x]>} : tensor<4xf32>
  // expected-error@+1 {{color 1 is given queue 99 but a PE has 8}}
  %t = fabric.all_reduce %x sum along <x, length = 3, stride = 1, segments = 1> by chain root 1 color 0
      : (tensor<4xf32>) -> tensor<4xf32>
  wafer.output "y", %t {layout = #wafer.layout<[*]>} : tensor<4xf32>
  return
}
