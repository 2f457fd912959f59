// RUN: waferloom-opt %s --fabric-route --split-input-file --verify-diagnostics

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=5">} {
func.func @colors(%a: tensor<8xf32>) attributes {fabric.place = #fabric.rect<at = (0, 0), size = (6, 5)>} {
  %0 = fabric.all_reduce %a sum along <x, length = 6, stride = 1, segments = 1> by chain root 3
      : (tensor<8xf32>) -> tensor<8xf32>
  // expected-error @below {{collectives up to this one need 6 colors but the target has 5}}
  // expected-note @below {{collectives of one line, root and algorithm share their colors}}
  %1 = fabric.all_reduce %0 sum along <y, length = 5, stride = 1, segments = 1> by chain root 2
      : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=5">} {
func.func @nowhere(%a: tensor<8xf32>) {
  // expected-error @below {{is in no function with a fabric.place}}
  %0 = fabric.all_reduce %a sum along <x, length = 6, stride = 1, segments = 1> by chain root 3
      : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=5">} {
func.func @one(%a: tensor<8xf32>) attributes {fabric.place = #fabric.rect<at = (0, 0), size = (6, 5)>} {
  return
}
// expected-error @below {{runs on 6 by 4 PEs but another entry on 6 by 5}}
func.func @two(%a: tensor<8xf32>) attributes {fabric.place = #fabric.rect<at = (0, 0), size = (6, 4)>} {
  return
}
}
