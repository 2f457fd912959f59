// RUN: waferloom-opt %s --partition-early-norms --split-input-file | FileCheck %s
// RUN: waferloom-opt %s --partition-early-norms --convert-wafer-to-fabric --split-input-file | FileCheck %s --check-prefix=FABRIC

// What is normalized was summed along x, and the squares travel with a product along
// y: they get a sum of their own, behind which column 150 of 301 makes the factor for
// all. The neighbor of the root gets it from the root.

#each = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
#scalar = affine_map<() -> ()>
module attributes {wafer.target = #wafer.target<"grid-301x6">} {
wafer.program region <x = 301, y = 2 x 3> {
  wafer.entry "norm" of @norm tokens 1
}
// CHECK-LABEL: func.func @norm
// CHECK: %[[X:.*]] = wafer.all_reduce %{{.*}} over [x] sum
// CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<7xf32>)
// CHECK: %[[ALL:.*]] = wafer.all_reduce %[[S]] over [y0, y1] sum : (tensor<f32>) -> tensor<f32>
// CHECK: %[[FACTOR:.*]] = linalg.generic {{.*}} ins(%[[ALL]] : tensor<f32>)
// CHECK: math.rsqrt
// CHECK: %[[GIVEN:.*]] = wafer.broadcast %[[FACTOR]] from [x] :
// CHECK: wafer.reduce_apply_broadcast %{{.*}} over [y0, y1] sum {
// CHECK-NEXT: ^bb0(%[[G:.*]]: tensor<7xf32>):
// CHECK-NEXT: %[[N:.*]]:2 = wafer.to_neighbor %[[GIVEN]], %[[G]]
// CHECK-NOT: math.rsqrt
// CHECK: linalg.generic {{.*}} ins(%[[N]]#1, %[[N]]#0 :
// CHECK: linalg.generic {{.*}} ins(%[[G]], %[[GIVEN]] :

// The sum of the squares does not choose the algorithm: nobody waits for it.
// FABRIC-LABEL: func.func @norm
// FABRIC: fabric.reduce %{{.*}} along <y, {{.*}} root 3 : (tensor<f32>)
// FABRIC: fabric.broadcast {{.*}} along <x, length = 301, stride = 1, segments = 1> root 150 : (tensor<f32>)
// FABRIC: fabric.reduce %{{.*}} along <y, {{.*}} root 3 : (tensor<7xf32>)
func.func @norm(%p: tensor<7xf32>, %q: tensor<7xf32>) {
  %e = tensor.empty() : tensor<7xf32>
  %o = tensor.empty() : tensor<f32>
  %zero = arith.constant 0.0 : f32
  %z = linalg.fill ins(%zero : f32) outs(%o : tensor<f32>) -> tensor<f32>
  %x = wafer.all_reduce %p over [x] sum : (tensor<7xf32>) -> tensor<7xf32>
  %s = linalg.generic {indexing_maps = [#each, #none], iterator_types = ["reduction"]}
      ins(%x : tensor<7xf32>) outs(%z : tensor<f32>) {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.mulf %a, %a : f32
    %1 = arith.addf %b, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %h:2 = wafer.reduce_apply_broadcast %s, %q over [y0, y1] sum {
  ^bb0(%r: tensor<f32>, %g: tensor<7xf32>):
    %n:2 = wafer.to_neighbor %r, %g : (tensor<f32>, tensor<7xf32>) -> (tensor<f32>, tensor<7xf32>)
    %f = linalg.generic {indexing_maps = [#scalar, #scalar], iterator_types = []}
        ins(%n#0 : tensor<f32>) outs(%o : tensor<f32>) {
    ^bb0(%a: f32, %b: f32):
      %0 = math.rsqrt %a : f32
      linalg.yield %0 : f32
    } -> tensor<f32>
    %u = linalg.generic {indexing_maps = [#each, #none, #each], iterator_types = ["parallel"]}
        ins(%n#1, %f : tensor<7xf32>, tensor<f32>) outs(%e : tensor<7xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      linalg.yield %0 : f32
    } -> tensor<7xf32>
    %k = linalg.generic {indexing_maps = [#scalar, #scalar], iterator_types = []}
        ins(%r : tensor<f32>) outs(%o : tensor<f32>) {
    ^bb0(%a: f32, %b: f32):
      %0 = math.rsqrt %a : f32
      linalg.yield %0 : f32
    } -> tensor<f32>
    %v = linalg.generic {indexing_maps = [#each, #none, #each], iterator_types = ["parallel"]}
        ins(%g, %k : tensor<7xf32>, tensor<f32>) outs(%e : tensor<7xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      linalg.yield %0 : f32
    } -> tensor<7xf32>
    wafer.yield %v, %u : tensor<7xf32>, tensor<7xf32>
  } : (tensor<f32>, tensor<7xf32>) -> (tensor<7xf32>, tensor<7xf32>)
  wafer.output "h", %h#0 {layout = #wafer.layout<[*]>} : tensor<7xf32>
  wafer.output "i", %h#1 {layout = #wafer.layout<[*]>} : tensor<7xf32>
  return
}
}

// -----

// A loop carries what is normalized: the same on all PEs of a row, if what it begins
// with and what it becomes are. It begins with rows of a table that x1 splits, which a
// sum along x1 makes the same.

#each = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
module attributes {wafer.target = #wafer.target<"grid-306x2">} {
wafer.program region <x = 102 x 3, y = 2> {
  wafer.entry "carried" of @carried tokens 1
}
// CHECK-LABEL: func.func @carried
// CHECK: wafer.repeat
// CHECK: %[[ALL:.*]] = wafer.all_reduce %{{.*}} over [y] sum : (tensor<f32>) -> tensor<f32>
// CHECK: wafer.broadcast %[[ALL]] from [x0, x1] :
func.func @carried(%w: tensor<7xf32>, %q: tensor<7xf32>) {
  %e = tensor.empty() : tensor<7xf32>
  %o = tensor.empty() : tensor<f32>
  %zero = arith.constant 0.0 : f32
  %z = linalg.fill ins(%zero : f32) outs(%o : tensor<f32>) -> tensor<f32>
  %t = wafer.parameter [@table] {layout = #wafer.layout<[x1, *]>} : tensor<4x7xf32>
  %id = wafer.input "id" {host_type = i64, layout = #wafer.layout<[]>, limit = 8 : i64} : tensor<i32>
  %i = wafer.lookup %t[%id] : (tensor<4x7xf32>, tensor<i32>) -> tensor<7xf32>
  %begin = wafer.all_reduce %i over [x1] sum : (tensor<7xf32>) -> tensor<7xf32>
  %end = wafer.repeat 3 (%x = %begin) : tensor<7xf32> {
    %s = linalg.generic {indexing_maps = [#each, #none], iterator_types = ["reduction"]}
        ins(%x : tensor<7xf32>) outs(%z : tensor<f32>) {
    ^bb0(%a: f32, %b: f32):
      %0 = arith.mulf %a, %a : f32
      %1 = arith.addf %b, %0 : f32
      linalg.yield %1 : f32
    } -> tensor<f32>
    %h = wafer.reduce_apply_broadcast %s, %q over [y] sum {
    ^bb0(%r: tensor<f32>, %g: tensor<7xf32>):
      %u = linalg.generic {indexing_maps = [#each, #none, #each], iterator_types = ["parallel"]}
          ins(%g, %r : tensor<7xf32>, tensor<f32>) outs(%e : tensor<7xf32>) {
      ^bb0(%a: f32, %b: f32, %c: f32):
        %0 = arith.mulf %a, %b : f32
        linalg.yield %0 : f32
      } -> tensor<7xf32>
      wafer.yield %u : tensor<7xf32>
    } : (tensor<f32>, tensor<7xf32>) -> tensor<7xf32>
    %next = wafer.all_reduce %h over [x0, x1] sum : (tensor<7xf32>) -> tensor<7xf32>
    wafer.yield %next : tensor<7xf32>
  }
  wafer.output "h", %end {layout = #wafer.layout<[*]>} : tensor<7xf32>
  return
}
wafer.weight @table : tensor<8x7xf32>
}

// -----

// Not where the PEs of a row have other squares: a sum along part of x leaves them
// unlike. Nor where all PEs of a column need the factor, which would wait for it.

#each = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
module attributes {wafer.target = #wafer.target<"grid-306x2">} {
wafer.program region <x = 102 x 3, y = 2> {
  wafer.entry "unlike" of @unlike tokens 1
  wafer.entry "everywhere" of @everywhere tokens 1
}
// CHECK-LABEL: func.func @unlike
// CHECK-NOT: wafer.broadcast
func.func @unlike(%p: tensor<7xf32>, %q: tensor<7xf32>) {
  %e = tensor.empty() : tensor<7xf32>
  %o = tensor.empty() : tensor<f32>
  %zero = arith.constant 0.0 : f32
  %z = linalg.fill ins(%zero : f32) outs(%o : tensor<f32>) -> tensor<f32>
  %x = wafer.all_reduce %p over [x1] sum : (tensor<7xf32>) -> tensor<7xf32>
  %s = linalg.generic {indexing_maps = [#each, #none], iterator_types = ["reduction"]}
      ins(%x : tensor<7xf32>) outs(%z : tensor<f32>) {
  ^bb0(%a: f32, %b: f32):
    %1 = arith.addf %b, %a : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %h = wafer.reduce_apply_broadcast %s, %q over [y] sum {
  ^bb0(%r: tensor<f32>, %g: tensor<7xf32>):
    %u = linalg.generic {indexing_maps = [#each, #none, #each], iterator_types = ["parallel"]}
        ins(%g, %r : tensor<7xf32>, tensor<f32>) outs(%e : tensor<7xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      linalg.yield %0 : f32
    } -> tensor<7xf32>
    wafer.yield %u : tensor<7xf32>
  } : (tensor<f32>, tensor<7xf32>) -> tensor<7xf32>
  wafer.output "h", %h {layout = #wafer.layout<[*]>} : tensor<7xf32>
  return
}
// CHECK-LABEL: func.func @everywhere
// CHECK-NOT: wafer.broadcast
func.func @everywhere(%p: tensor<f32>, %q: tensor<7xf32>) {
  %x = wafer.all_reduce %p over [x0, x1] sum : (tensor<f32>) -> tensor<f32>
  %h:2 = wafer.all_reduce %x, %q over [y] sum : (tensor<f32>, tensor<7xf32>) -> (tensor<f32>, tensor<7xf32>)
  wafer.output "r", %h#0 {layout = #wafer.layout<[]>} : tensor<f32>
  wafer.output "h", %h#1 {layout = #wafer.layout<[*]>} : tensor<7xf32>
  return
}
}

// -----

// Nor where rows are so short that the middle of them is not ahead.

#each = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
module attributes {wafer.target = #wafer.target<"grid-100x2">} {
wafer.program region <x = 100, y = 2> {
  wafer.entry "short" of @short tokens 1
}
// CHECK-LABEL: func.func @short
// CHECK-NOT: wafer.broadcast
func.func @short(%p: tensor<f32>, %q: tensor<7xf32>) {
  %e = tensor.empty() : tensor<7xf32>
  %x = wafer.all_reduce %p over [x] sum : (tensor<f32>) -> tensor<f32>
  %h = wafer.reduce_apply_broadcast %x, %q over [y] sum {
  ^bb0(%r: tensor<f32>, %g: tensor<7xf32>):
    %u = linalg.generic {indexing_maps = [#each, #none, #each], iterator_types = ["parallel"]}
        ins(%g, %r : tensor<7xf32>, tensor<f32>) outs(%e : tensor<7xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      linalg.yield %0 : f32
    } -> tensor<7xf32>
    wafer.yield %u : tensor<7xf32>
  } : (tensor<f32>, tensor<7xf32>) -> tensor<7xf32>
  wafer.output "h", %h {layout = #wafer.layout<[*]>} : tensor<7xf32>
  return
}
}
