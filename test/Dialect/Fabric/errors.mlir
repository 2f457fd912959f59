// RUN: waferloom-opt --split-input-file --verify-diagnostics %s

// expected-error @below {{a rectangle has at least 1 by 1 PEs, not 0 by 3}}
func.func @empty() attributes {fabric.place = #fabric.rect<at = (0, 0), size = (0, 3)>} {
  return
}

// -----

// expected-error @below {{a rectangle at (-1, 0) begins outside the fabric}}
func.func @outside() attributes {fabric.place = #fabric.rect<at = (-1, 0), size = (1, 3)>} {
  return
}

// -----

// expected-error @below {{attribute 'fabric.place' is neither a fabric.place, which is a #fabric.rect}}
func.func @no_place() attributes {fabric.place = 3} {
  return
}

// -----

// expected-error @below {{attribute 'fabric.palce' is neither}}
func.func @misspelt() attributes {fabric.palce = #fabric.rect<at = (0, 0), size = (1, 3)>} {
  return
}

// -----

// expected-error @below {{attribute 'fabric.place' belongs to a function}}
module attributes {fabric.place = #fabric.rect<at = (0, 0), size = (1, 3)>} {
}

// -----

// expected-error @below {{gives input queues to 2 colors but output queues to 1}}
func.func @uneven() attributes {fabric.queues = #fabric.queues<input = [0, 1], output = [0]>} {
  return
}

// -----

// expected-error @below {{a queue is -1 for none, or a number from 0 on, not -2}}
func.func @negative() attributes {fabric.queues = #fabric.queues<input = [0], output = [-2]>} {
  return
}

// -----

func.func @short(%a: tensor<4xf32>) {
  // expected-error @below {{a line has at least 2 PEs, not 1}}
  %0 = fabric.broadcast %a along <x, length = 1, stride = 1, segments = 1> root 0
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @long(%a: tensor<4xf32>) {
  // expected-error @below {{a line of 4294967296 x 4294967296 x 1 PEs is longer than 1048576}}
  %0 = fabric.broadcast %a along <x, length = 4294967296, stride = 4294967296, segments = 1> root 0
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @root(%a: tensor<4xf32>) {
  // expected-error @below {{has root 4 on a line of 4 PEs}}
  %0 = fabric.broadcast %a along <x, length = 4, stride = 1, segments = 1> root 4
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @elsewhere(%a: tensor<4xf32>) attributes {fabric.place = #fabric.rect<at = (0, 0), size = (9, 2)>} {
  // expected-error @below {{has lines over 8 columns but runs on 9}}
  %0 = fabric.broadcast %a along <x, length = 4, stride = 1, segments = 2> root 0
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @lost(%a: tensor<4xf32>) {
  // expected-error @below {{turns 2 values into 1}}
  %0 = fabric.broadcast %a, %a along <x, length = 4, stride = 1, segments = 1> root 0
      : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @other_type(%a: tensor<4xf32>) {
  // expected-error @below {{turns 'tensor<4xf32>' into 'tensor<5xf32>'}}
  %0 = fabric.broadcast %a along <x, length = 4, stride = 1, segments = 1> root 0
      : (tensor<4xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @mixed(%a: tensor<4xf32>, %b: tensor<4xi32>) {
  // expected-error @below {{fuses 'i32' with 'f32', but one message has one element type}}
  %0:2 = fabric.all_reduce %a, %b sum along <x, length = 4, stride = 1, segments = 1> by chain root 0
      : (tensor<4xf32>, tensor<4xi32>) -> (tensor<4xf32>, tensor<4xi32>)
  return
}

// -----

func.func @no_group(%a: tensor<4xf32>) {
  // expected-error @below {{goes by two_phase without a group size}}
  %0 = fabric.reduce %a sum along <x, length = 4, stride = 1, segments = 1> by two_phase root 0
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @no_levels(%a: tensor<4xf32>) {
  // expected-error @below {{goes by grown without a number of levels}}
  %0 = fabric.reduce %a sum along <x, length = 4, stride = 1, segments = 1> by grown group 2 root 0
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @levels(%a: tensor<4xf32>) {
  // expected-error @below {{gives 2 levels to 'chain', which has none}}
  %0 = fabric.reduce %a sum along <x, length = 4, stride = 1, segments = 1> by chain levels 2 root 0
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @group(%a: tensor<4xf32>) {
  // expected-error @below {{gives a group of 2 PEs to 'tree', which has no groups}}
  %0 = fabric.all_reduce %a sum along <x, length = 4, stride = 1, segments = 1> by tree group 2 root 0
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @apart(%a: tensor<4xf32>) {
  // expected-error @below {{goes by 'tree' over PEs 2 apart, which needs neighbours}}
  %0 = fabric.all_reduce %a sum along <x, length = 4, stride = 2, segments = 1> by tree root 0
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @shares(%a: tensor<4x2xf32>) {
  // expected-error @below {{sets 3 shares of 2 into dimension 1 of 8}}
  %0 = fabric.put %a dim 1 over [#fabric.axis<x, extent = 3, stride = 1>] : (tensor<4x2xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @rank(%a: tensor<4x2xf32>) {
  // expected-error @below {{sets dimension 2 of rank 2 into rank 2}}
  %0 = fabric.put %a dim 2 over [#fabric.axis<x, extent = 3, stride = 1>] : (tensor<4x2xf32>) -> tensor<4x6xf32>
  return
}

// -----

func.func @put_type(%a: tensor<2xf32>) {
  // expected-error @below {{sets 'f32' into 'i32'}}
  %0 = fabric.put %a dim 0 over [#fabric.axis<x, extent = 3, stride = 1>] : (tensor<2xf32>) -> tensor<6xi32>
  return
}

// -----

func.func @axis(%a: tensor<2xf32>) {
  // expected-error @below {{an axis has an extent and a stride of at least 1, not 0 and 1}}
  %0 = fabric.put %a dim 0 over [#fabric.axis<x, extent = 0, stride = 1>] : (tensor<2xf32>) -> tensor<6xf32>
  return
}

// -----

func.func @types_of_stages(%a: tensor<2xf32>) {
  // expected-error @below {{gives values of one type and takes those of another}}
  %0 = fabric.stage_send_recv %a : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @message_of_stages(%a: tensor<2xf32>, %b: tensor<2xi32>) {
  // expected-error @below {{fuses 'i32' with 'f32', but one message has one element type}}
  %0:2 = fabric.stage_send_recv %a, %b : (tensor<2xf32>, tensor<2xi32>) -> (tensor<2xf32>, tensor<2xi32>)
  return
}

// -----

func.func @lane_words(%a: tensor<3xf32>) {
  // expected-error @below {{has lanes of 3 words, but 2 parts of 3 on 4 lanes are 2 each}}
  %0 = fabric.to_lanes %a from y 2 to x 4 : (tensor<3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @lane_way(%a: tensor<3xf32>) {
  // expected-error @below {{turns 2 parts into 4 lanes of the same direction, or none}}
  %0 = fabric.to_lanes %a from y 2 to y 4 : (tensor<3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @not_filled(%l: tensor<2xf32>) {
  // expected-error @below {{has lanes of 2 words, but 2 parts of 3 on 4 lanes are 2 each}}
  %0 = fabric.from_lanes %l from x 4 to y 2 : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @lanes_differ(%a: tensor<3xf32>) {
  // expected-error @below {{sends lanes of 2 words but takes 3}}
  %0 = fabric.stage_send_recv %a leave {
  ^bb0(%b: tensor<3xf32>):
    %l = fabric.to_lanes %b from y 2 to x 4 : (tensor<3xf32>) -> tensor<2xf32>
    fabric.yield %l : tensor<2xf32>
  } enter {
  ^bb0(%l: tensor<3xf32>):
    fabric.yield %l : tensor<3xf32>
  } : (tensor<3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @leaves_too_much(%a: tensor<3xf32>) {
  // expected-error @below {{leaves with 2 words and enters with 2, but a PE has 3}}
  %0 = fabric.stage_send_recv %a leave {
  ^bb0(%b: tensor<2xf32>):
    fabric.yield %b : tensor<2xf32>
  } enter {
  ^bb0(%l: tensor<2xf32>):
    fabric.yield %l : tensor<2xf32>
  } : (tensor<3xf32>) -> tensor<3xf32>
  return
}
