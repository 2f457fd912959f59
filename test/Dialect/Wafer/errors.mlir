// RUN: waferloom-opt %s --verify-diagnostics --split-input-file
// What cannot even be said of a layout.

// Elements beyond the live size, and nothing said of them.
// expected-error @below {{expected 'padding'}}
func.func private @padding_without_a_padding(tensor<8xf32, #wafer.layout<[y live 7]>>)

// -----

// expected-error @below {{expected ','}}
func.func private @partial_without_a_combiner(tensor<8xf32, #wafer.layout<[*] partial<y>>>)

// -----

// expected-error @below {{partial needs axes and one of sum, max, min}}
func.func private @partial_of_what(tensor<8xf32, #wafer.layout<[*] partial<y, mean>>>)

// -----

// expected-error @below {{partial needs axes and one of sum, max, min}}
func.func private @partial_along_nothing(tensor<8xf32, #wafer.layout<[*] partial<, sum>>>)

// -----

// expected-error @below {{expected '*', axes or digits}}
func.func private @no_such_axis(tensor<8xf32, #wafer.layout<[z]>>)

// -----

// expected-error @below {{a local extent is at least 1}}
func.func private @empty_extent(tensor<8xf32, #wafer.layout<[x 0 y]>>)

// -----

// expected-error @below {{expected an axis of the root}}
func.func private @root_of_nothing(tensor<8xf32, #wafer.layout<[*] root<4>>>)

// -----

// expected-error @below {{a factor of a region is at least 1, not 0}}
wafer.program region <x = 0, y = 4> {}

// -----

// expected-error @below {{a direction has 1 to 8 factors, not 9}}
wafer.program region <x = 2 x 2 x 2 x 2 x 2 x 2 x 2 x 2 x 2, y = 4> {}

// -----

func.func @store_of_another_shape() {
  %s = wafer.state ["s"] : tensor<6x4xf32>
  %x = wafer.input "x" : tensor<5x4xf32>
  // expected-error @below {{fills a state of 'tensor<6x4xf32>' with 'tensor<5x4xf32>'}}
  wafer.store %x into %s : tensor<5x4xf32> into tensor<6x4xf32>
  return
}

// -----

func.func @store_of_wider_numbers() {
  %s = wafer.state ["s"] : tensor<6xi32>
  %x = wafer.input "x" : tensor<6xf32>
  // expected-error @below {{update holds 'f32' but the state 'i32'}}
  wafer.store %x into %s : tensor<6xf32> into tensor<6xi32>
  return
}
