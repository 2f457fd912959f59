// RUN: waferloom-opt %s --partition-own-maximum --split-input-file | FileCheck %s

// The exponentials are of differences to the maximum of this PE, which is finite; what they
// are summed to is scaled before it is sent.

#slots = affine_map<(h, s) -> (h, s)>
#heads = affine_map<(h, s) -> (h)>
#power = affine_map<(h, d, s) -> (h, s)>
#value = affine_map<(h, d, s) -> (d, s)>
#mixed = affine_map<(h, d, s) -> (h, d)>
module attributes {wafer.target = #wafer.target<"grid-256x1,colors=24">} {
wafer.program region <x = 256, y = 1> {
  wafer.entry "long" of @long tokens 1
}
// CHECK-LABEL: func.func @long
// CHECK-SAME: (%[[S:.*]]: tensor<2x24xf32>
// CHECK: %[[LEAST:.*]] = arith.constant -3.40282347E+38 : f32
// CHECK: %[[FROM:.*]] = linalg.fill ins(%[[LEAST]]
// CHECK: %[[OWN:.*]] = linalg.generic {{.*}} ins(%[[S]] : tensor<2x24xf32>) outs(%[[FROM]]
// CHECK: %[[MOST:.*]] = wafer.all_reduce %[[OWN]] over [x] max
// CHECK: %[[E:.*]] = linalg.generic {{.*}} ins(%[[S]], %[[OWN]] :
// CHECK: %[[L:.*]] = linalg.generic {{.*}} ins(%[[E]] :
// CHECK: %[[V:.*]] = linalg.generic {{.*}} ins(%[[E]], %{{.*}} :
// CHECK: %[[F:.*]] = linalg.generic {{.*}} ins(%[[OWN]], %[[MOST]] :
// CHECK: arith.subf
// CHECK: math.exp %{{.*}} fastmath<ninf,afn>
// CHECK-DAG: %[[LF:.*]] = linalg.generic {{.*}} ins(%[[L]], %[[F]] : tensor<2xf32>, tensor<2xf32>)
// CHECK-DAG: %[[VF:.*]] = linalg.generic {{.*}} ins(%[[V]], %[[F]] : tensor<2x4xf32>, tensor<2xf32>)
// CHECK: wafer.all_reduce %[[LF]], %[[VF]] over [x] sum
func.func @long(%s: tensor<2x24xf32>, %v: tensor<4x24xf16>) {
  %minus = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<2xf32>
  %e2 = tensor.empty() : tensor<2x24xf32>
  %e3 = tensor.empty() : tensor<2x4xf32>
  %f1 = linalg.fill ins(%minus : f32) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
  %f3 = linalg.fill ins(%zero : f32) outs(%e3 : tensor<2x4xf32>) -> tensor<2x4xf32>
  %own = linalg.generic {indexing_maps = [#slots, #heads], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<2x24xf32>) outs(%f1 : tensor<2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.maximumf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<2xf32>
  %most = wafer.all_reduce %own over [x] max : (tensor<2xf32>) -> tensor<2xf32>
  %e = linalg.generic {indexing_maps = [#slots, #heads, #slots], iterator_types = ["parallel", "parallel"]}
      ins(%s, %most : tensor<2x24xf32>, tensor<2xf32>) outs(%e2 : tensor<2x24xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 fastmath<ninf,afn> : f32
    linalg.yield %1 : f32
  } -> tensor<2x24xf32>
  %l = linalg.generic {indexing_maps = [#slots, #heads], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<2x24xf32>) outs(%f2 : tensor<2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.addf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<2xf32>
  %w = linalg.generic {indexing_maps = [#power, #value, #mixed], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%e, %v : tensor<2x24xf32>, tensor<4x24xf16>) outs(%f3 : tensor<2x4xf32>) {
  ^bb0(%a: f32, %b: f16, %o: f32):
    %0 = arith.truncf %a : f32 to f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.extf %b : f16 to f32
    %3 = arith.mulf %1, %2 : f32
    %4 = arith.addf %o, %3 : f32
    linalg.yield %4 : f32
  } -> tensor<2x4xf32>
  %sums:2 = wafer.all_reduce %l, %w over [x] sum : (tensor<2xf32>, tensor<2x4xf32>) -> (tensor<2xf32>, tensor<2x4xf32>)
  wafer.output "l", %sums#0 : tensor<2xf32>
  wafer.output "o", %sums#1 : tensor<2x4xf32>
  return
}
}

// -----

// On a short line the message is there before the factor would be.

#slots = affine_map<(h, s) -> (h, s)>
#heads = affine_map<(h, s) -> (h)>
module attributes {wafer.target = #wafer.target<"grid-4x1">} {
wafer.program region <x = 4, y = 1> {
  wafer.entry "short" of @short tokens 1
}
// CHECK-LABEL: func.func @short
// CHECK: %[[MOST:.*]] = wafer.all_reduce %{{.*}} over [x] max
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[MOST]] :
// CHECK-COUNT-1: math.exp
// CHECK-NOT: math.exp
func.func @short(%s: tensor<2x24xf32>) {
  %minus = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<2xf32>
  %e2 = tensor.empty() : tensor<2x24xf32>
  %f1 = linalg.fill ins(%minus : f32) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
  %own = linalg.generic {indexing_maps = [#slots, #heads], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<2x24xf32>) outs(%f1 : tensor<2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.maximumf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<2xf32>
  %most = wafer.all_reduce %own over [x] max : (tensor<2xf32>) -> tensor<2xf32>
  %e = linalg.generic {indexing_maps = [#slots, #heads, #slots], iterator_types = ["parallel", "parallel"]}
      ins(%s, %most : tensor<2x24xf32>, tensor<2xf32>) outs(%e2 : tensor<2x24xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<2x24xf32>
  %l = linalg.generic {indexing_maps = [#slots, #heads], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<2x24xf32>) outs(%f2 : tensor<2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.addf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<2xf32>
  %sum = wafer.all_reduce %l over [x] sum : (tensor<2xf32>) -> tensor<2xf32>
  wafer.output "l", %sum : tensor<2xf32>
  return
}
}

// -----

// Where the exponentials themselves are read, the maximum of all is needed.

#slots = affine_map<(h, s) -> (h, s)>
#heads = affine_map<(h, s) -> (h)>
module attributes {wafer.target = #wafer.target<"grid-256x1,colors=24">} {
wafer.program region <x = 256, y = 1> {
  wafer.entry "read" of @read tokens 1
}
// CHECK-LABEL: func.func @read
// CHECK: %[[MOST:.*]] = wafer.all_reduce %{{.*}} over [x] max
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[MOST]] :
// CHECK-COUNT-1: math.exp
// CHECK-NOT: math.exp
func.func @read(%s: tensor<2x24xf32>) {
  %minus = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<2xf32>
  %e2 = tensor.empty() : tensor<2x24xf32>
  %f1 = linalg.fill ins(%minus : f32) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
  %own = linalg.generic {indexing_maps = [#slots, #heads], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<2x24xf32>) outs(%f1 : tensor<2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.maximumf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<2xf32>
  %most = wafer.all_reduce %own over [x] max : (tensor<2xf32>) -> tensor<2xf32>
  %e = linalg.generic {indexing_maps = [#slots, #heads, #slots], iterator_types = ["parallel", "parallel"]}
      ins(%s, %most : tensor<2x24xf32>, tensor<2xf32>) outs(%e2 : tensor<2x24xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<2x24xf32>
  %l = linalg.generic {indexing_maps = [#slots, #heads], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<2x24xf32>) outs(%f2 : tensor<2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.addf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<2xf32>
  %sum = wafer.all_reduce %l over [x] sum : (tensor<2xf32>) -> tensor<2xf32>
  wafer.output "l", %sum : tensor<2xf32>
  wafer.output "e", %e : tensor<2x24xf32>
  return
}
}

// -----

// The index of the largest: each PE finds that of its own meanwhile.

#each = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
module attributes {wafer.target = #wafer.target<"grid-256x1,colors=24">} {
wafer.program region <x = 256, y = 1> {
  wafer.entry "largest" of @largest tokens 1
}
// CHECK-LABEL: func.func @largest
// CHECK-SAME: (%[[X:.*]]: tensor<9xf32>
// CHECK: %[[MOST:.*]] = wafer.all_reduce %[[OWN:.*]] over [x] max
// CHECK: %[[FOUND:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[OWN]],
// CHECK: arith.cmpf oeq
// CHECK: %[[LEAST:.*]] = linalg.generic {{.*}} ins(%[[FOUND]] :
// CHECK: arith.minsi
// CHECK: %[[COUNTED:.*]] = linalg.generic {{.*}} ins(%[[OWN]], %[[MOST]], %[[LEAST]] : tensor<f32>, tensor<f32>, tensor<i32>)
// CHECK: arith.cmpf oeq
// CHECK: arith.select %{{.*}}, %{{.*}}, %c2147483647_i32
// CHECK: wafer.all_reduce %[[COUNTED]] over [x] min
func.func @largest(%x: tensor<9xf32>, %indices: tensor<9xi32>) {
  %minus = arith.constant 0xFF800000 : f32
  %no = arith.constant 2147483647 : i32
  %e1 = tensor.empty() : tensor<f32>
  %e2 = tensor.empty() : tensor<9xi32>
  %e3 = tensor.empty() : tensor<i32>
  %f1 = linalg.fill ins(%minus : f32) outs(%e1 : tensor<f32>) -> tensor<f32>
  %f3 = linalg.fill ins(%no : i32) outs(%e3 : tensor<i32>) -> tensor<i32>
  %own = linalg.generic {indexing_maps = [#each, #none], iterator_types = ["reduction"]}
      ins(%x : tensor<9xf32>) outs(%f1 : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.maximumf %o, %a : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %most = wafer.all_reduce %own over [x] max : (tensor<f32>) -> tensor<f32>
  %found = linalg.generic {indexing_maps = [#each, #none, #each, #each], iterator_types = ["parallel"]}
      ins(%x, %most, %indices : tensor<9xf32>, tensor<f32>, tensor<9xi32>) outs(%e2 : tensor<9xi32>) {
  ^bb0(%a: f32, %b: f32, %i: i32, %o: i32):
    %c = arith.constant 2147483647 : i32
    %0 = arith.cmpf oeq, %a, %b : f32
    %1 = arith.select %0, %i, %c : i32
    linalg.yield %1 : i32
  } -> tensor<9xi32>
  %least = linalg.generic {indexing_maps = [#each, #none], iterator_types = ["reduction"]}
      ins(%found : tensor<9xi32>) outs(%f3 : tensor<i32>) {
  ^bb0(%a: i32, %o: i32):
    %0 = arith.minsi %o, %a : i32
    linalg.yield %0 : i32
  } -> tensor<i32>
  %all = wafer.all_reduce %least over [x] min : (tensor<i32>) -> tensor<i32>
  wafer.output "largest", %all : tensor<i32>
  return
}
}
