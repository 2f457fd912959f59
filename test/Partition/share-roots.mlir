// RUN: waferloom-opt %s --partition-share-roots --split-input-file | FileCheck %s
// RUN: waferloom-opt %s --partition-share-roots --convert-wafer-to-fabric --split-input-file | FileCheck %s --check-prefix=FABRIC

// Long work on each element is cut among the root and its neighbor, with what is
// the same for all elements sent to both. Seven elements: four and three.

#each = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
module attributes {wafer.target = #wafer.target<"grid-4x6">} {
wafer.program region <x = 4, y = 2 x 3> {
  wafer.entry "gate" of @gate tokens 1
}
// CHECK-LABEL: func.func @gate
// CHECK: %[[ALL:.*]]:2 = wafer.reduce_apply_broadcast %{{.*}}, %{{.*}} over [y0, y1] sum {
// CHECK-NEXT: ^bb0(%[[R:.*]]: tensor<f32>, %[[G:.*]]: tensor<35xf32>):
// CHECK: %[[THEIRS:.*]] = tensor.extract_slice %[[G]][18] [17] [1]
// CHECK: %[[N:.*]]:2 = wafer.to_neighbor %[[R]], %[[THEIRS]]
// CHECK: %[[SCALED:.*]] = linalg.generic {{.*}} ins(%[[N]]#1, %[[N]]#0 :
// CHECK: %[[SECOND:.*]] = linalg.generic {{.*}} ins(%[[SCALED]] : tensor<17xf32>)
// CHECK: %[[OURS:.*]] = tensor.extract_slice %[[G]][0] [18] [1]
// CHECK: linalg.generic {{.*}} ins(%[[OURS]], %[[R]] :
// CHECK: %[[FIRST:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<18xf32>)
// CHECK: wafer.yield %[[FIRST]], %[[SECOND]]
// CHECK: tensor.concat dim(0) %[[ALL]]#0, %[[ALL]]#1 : (tensor<18xf32>, tensor<17xf32>) -> tensor<35xf32>

// FABRIC-LABEL: func.func @gate
// FABRIC: fabric.reduce {{.*}} root 3
// FABRIC: fabric.broadcast {{.*}} along <y, length = 2, stride = 1, segments = 3> root 1
// FABRIC: fabric.broadcast {{.*}} along <y, length = 6, stride = 1, segments = 1> root 3 : (tensor<18xf32>)
// FABRIC: fabric.broadcast {{.*}} along <y, length = 6, stride = 1, segments = 1> root 2 : (tensor<17xf32>)
func.func @gate(%p: tensor<f32>, %q: tensor<35xf32>) {
  %e = tensor.empty() : tensor<35xf32>
  %h = wafer.reduce_apply_broadcast %p, %q over [y0, y1] sum {
  ^bb0(%r: tensor<f32>, %g: tensor<35xf32>):
    %n = linalg.generic {indexing_maps = [#each, #none, #each], iterator_types = ["parallel"]}
        ins(%g, %r : tensor<35xf32>, tensor<f32>) outs(%e : tensor<35xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %0 = arith.mulf %a, %b : f32
      linalg.yield %0 : f32
    } -> tensor<35xf32>
    %s = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel"]}
        ins(%n : tensor<35xf32>) outs(%e : tensor<35xf32>) {
    ^bb0(%a: f32, %o: f32):
      %one = arith.constant 1.0 : f32
      %0 = math.exp %a : f32
      %1 = arith.addf %0, %one : f32
      %2 = arith.divf %one, %1 : f32
      linalg.yield %2 : f32
    } -> tensor<35xf32>
    wafer.yield %s : tensor<35xf32>
  } : (tensor<f32>, tensor<35xf32>) -> tensor<35xf32>
  wafer.output "h", %h {layout = #wafer.layout<[x]>} : tensor<35xf32>
  return
}
}

// -----

// Not where it takes less than the way to the neighbor, nor where a line has an odd
// number of PEs, nor where what is yielded needs all elements.

#each = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
module attributes {wafer.target = #wafer.target<"grid-5x4">} {
wafer.program region <x = 5, y = 4> {
  wafer.entry "little" of @little tokens 1
  wafer.entry "odd" of @odd tokens 1
  wafer.entry "all" of @all tokens 1
}
// CHECK-LABEL: func.func @little
// CHECK-NOT: wafer.to_neighbor
func.func @little(%q: tensor<35xf32>) {
  %e = tensor.empty() : tensor<35xf32>
  %h = wafer.reduce_apply_broadcast %q over [y] sum {
  ^bb0(%g: tensor<35xf32>):
    %n = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel"]}
        ins(%g : tensor<35xf32>) outs(%e : tensor<35xf32>) {
    ^bb0(%a: f32, %o: f32):
      %0 = arith.negf %a : f32
      linalg.yield %0 : f32
    } -> tensor<35xf32>
    wafer.yield %n : tensor<35xf32>
  } : (tensor<35xf32>) -> tensor<35xf32>
  wafer.output "h", %h {layout = #wafer.layout<[x]>} : tensor<35xf32>
  return
}

// CHECK-LABEL: func.func @odd
// CHECK-NOT: wafer.to_neighbor
func.func @odd(%q: tensor<35xf32>) {
  %e = tensor.empty() : tensor<35xf32>
  %h = wafer.reduce_apply_broadcast %q over [x] sum {
  ^bb0(%g: tensor<35xf32>):
    %s = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel"]}
        ins(%g : tensor<35xf32>) outs(%e : tensor<35xf32>) {
    ^bb0(%a: f32, %o: f32):
      %0 = math.exp %a : f32
      linalg.yield %0 : f32
    } -> tensor<35xf32>
    wafer.yield %s : tensor<35xf32>
  } : (tensor<35xf32>) -> tensor<35xf32>
  wafer.output "h", %h {layout = #wafer.layout<[y]>} : tensor<35xf32>
  return
}

// CHECK-LABEL: func.func @all
// CHECK-NOT: wafer.to_neighbor
func.func @all(%q: tensor<35xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<35xf32>
  %e0 = tensor.empty() : tensor<f32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %h, %m = wafer.reduce_apply_broadcast %q over [y] sum {
  ^bb0(%g: tensor<35xf32>):
    %s = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel"]}
        ins(%g : tensor<35xf32>) outs(%e : tensor<35xf32>) {
    ^bb0(%a: f32, %o: f32):
      %0 = math.exp %a : f32
      linalg.yield %0 : f32
    } -> tensor<35xf32>
    %t = linalg.generic {indexing_maps = [#each, #none], iterator_types = ["reduction"]}
        ins(%s : tensor<35xf32>) outs(%f0 : tensor<f32>) {
    ^bb0(%a: f32, %o: f32):
      %0 = arith.addf %o, %a : f32
      linalg.yield %0 : f32
    } -> tensor<f32>
    wafer.yield %s, %t : tensor<35xf32>, tensor<f32>
  } : (tensor<35xf32>) -> (tensor<35xf32>, tensor<f32>)
  wafer.output "h", %h {layout = #wafer.layout<[x]>} : tensor<35xf32>
  wafer.output "m", %m {layout = #wafer.layout<[]>} : tensor<f32>
  return
}
}
