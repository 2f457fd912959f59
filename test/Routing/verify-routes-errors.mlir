// RUN: waferloom-opt %s --fabric-verify-routes --split-input-file --verify-diagnostics

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6,input-queues=4">} {
func.func @cross(%a: tensor<8xf32>) attributes {
    fabric.place = #fabric.rect<at = (0, 0), size = (6, 5)>,
    fabric.queues = #fabric.queues<input = [0, 1, 2, 3, 0, 1], output = [0, 0, 0, 0, 0, 0]>} {
  // expected-note @below {{the other collective is here; give it colors of its own}}
  %0 = fabric.all_reduce %a sum along <x, length = 6, stride = 1, segments = 1> by chain root 3 color 0
      : (tensor<8xf32>) -> tensor<8xf32>
  // expected-error @below {{routes color 2 along y, where another collective routes it along x}}
  %1 = fabric.all_reduce %0 sum along <y, length = 5, stride = 1, segments = 1> by chain root 2 color 2
      : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6,input-queues=4">} {
func.func @meet(%a: tensor<8xf32>) attributes {
    fabric.place = #fabric.rect<at = (0, 0), size = (6, 5)>,
    fabric.queues = #fabric.queues<input = [0, 1, 2, 3, 0, 1], output = [0, 0, 0, 0, 0, 0]>} {
  // expected-note @below {{the other collective is here; give it colors of its own}}
  %0 = fabric.broadcast %a along <x, length = 6, stride = 1, segments = 1> root 3 color 0
      : (tensor<8xf32>) -> tensor<8xf32>
  // expected-error @below {{routes color 0 in column 2 otherwise than another collective does}}
  %1 = fabric.broadcast %0 along <x, length = 6, stride = 1, segments = 1> root 2 color 0
      : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6,input-queues=4">} {
func.func @beyond(%a: tensor<8xf32>) attributes {
    fabric.place = #fabric.rect<at = (0, 0), size = (6, 5)>,
    fabric.queues = #fabric.queues<input = [0], output = [0]>} {
  // expected-error @below {{takes colors 4 to 6 but the target has 6, 0 to 5}}
  %0 = fabric.all_reduce %a sum along <x, length = 6, stride = 1, segments = 1> by chain root 3 color 4
      : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6,input-queues=4">} {
func.func @far_beyond(%a: tensor<8xf32>) attributes {
    fabric.place = #fabric.rect<at = (0, 0), size = (6, 5)>,
    fabric.queues = #fabric.queues<input = [0], output = [0]>} {
  // expected-error @below {{begins at color 8589934592 but the target has 6}}
  %0 = fabric.broadcast %a along <x, length = 6, stride = 1, segments = 1> root 3 color 8589934592
      : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6,input-queues=4">} {
func.func @queue(%a: tensor<8xf32>) attributes {
    fabric.place = #fabric.rect<at = (0, 0), size = (6, 5)>,
    fabric.queues = #fabric.queues<input = [4], output = [0]>} {
  // expected-error @below {{takes words of color 0 by queue 4 but the target has 4}}
  %0 = fabric.broadcast %a along <x, length = 6, stride = 1, segments = 1> root 3 color 0
      : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6,input-queues=4">} {
func.func @uncolored(%a: tensor<8xf32>) attributes {
    fabric.place = #fabric.rect<at = (0, 0), size = (6, 5)>,
    fabric.queues = #fabric.queues<input = [4], output = [0]>} {
  // expected-error @below {{has no color}}
  %0 = fabric.broadcast %a along <x, length = 6, stride = 1, segments = 1> root 3
      : (tensor<8xf32>) -> tensor<8xf32>
  return
}
}

// -----

module attributes {wafer.target = #wafer.target<"grid-64x64,colors=6,input-queues=4">} {
// expected-error @below {{has no fabric.queues}}
func.func @unqueued(%a: tensor<8xf32>) attributes {
    fabric.place = #fabric.rect<at = (0, 0), size = (6, 5)>} {
  return
}
}
