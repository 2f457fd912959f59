// RUN: waferloom-opt %s --partition-own-maximum --split-input-file | FileCheck %s

// Scores that are products, scaled, masked, and added to a mask of 0 and -inf: the maximum is rounded to a whole multiple of ln 2
// before it is sent, so what scales the sums is a power of two.

#query = affine_map<(h, s, d) -> (h, d)>
#key = affine_map<(h, s, d) -> (s, d)>
#score = affine_map<(h, s, d) -> (h, s)>
#slots = affine_map<(h, s) -> (h, s)>
#slot = affine_map<(h, s) -> (s)>
#heads = affine_map<(h, s) -> (h)>
module attributes {wafer.target = #wafer.target<"grid-256x1,colors=24">} {
wafer.program region <x = 256, y = 1> {
  wafer.entry "long" of @long tokens 1
}
// CHECK-LABEL: func.func @long
// CHECK: %[[LEAST:.*]] = arith.constant 0xCD000000 : f32
// CHECK: %[[FROM:.*]] = linalg.fill ins(%[[LEAST]] :
// CHECK: %[[MOST_HERE:.*]] = linalg.generic {{.*}} ins(%[[S:.*]] : tensor<2x24xf32>) outs(%[[FROM]]
// CHECK: %[[OWN:.*]] = linalg.generic {{.*}} ins(%[[MOST_HERE]] :
// CHECK: arith.mulf %{{.*}}, %cst{{.*}} : f32
// CHECK: arith.addf
// CHECK: arith.subf
// CHECK: %[[MOST:.*]] = wafer.all_reduce %[[OWN]] over [x] max
// CHECK: %[[NEAR:.*]] = linalg.generic {{.*}} ins(%[[OWN]] :
// CHECK: %[[E:.*]] = linalg.generic {{.*}} ins(%[[S]], %[[NEAR]] :
// CHECK: %[[L:.*]] = linalg.generic {{.*}} ins(%[[E]] :
// CHECK: %[[F:.*]] = linalg.generic {{.*}} ins(%[[OWN]], %[[MOST]] :
// CHECK: arith.subf
// CHECK: math.exp2
// CHECK: linalg.generic {{.*}} ins(%[[L]], %[[F]] : tensor<2xf32>, tensor<2xf32>)
func.func @long(%q: tensor<2x4xf32>, %k: tensor<24x4xf32>, %live: tensor<24xi1>) {
  %minus = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<2xf32>
  %e2 = tensor.empty() : tensor<2x24xf32>
  %e4 = tensor.empty() : tensor<24xf32>
  %f1 = linalg.fill ins(%minus : f32) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
  %f3 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<2x24xf32>) -> tensor<2x24xf32>
  %p = linalg.generic {indexing_maps = [#query, #key, #score], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<2x4xf32>, tensor<24x4xf32>) outs(%f3 : tensor<2x24xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<2x24xf32>
  %m = linalg.generic {indexing_maps = [#slots, #slot, #slots], iterator_types = ["parallel", "parallel"]}
      ins(%p, %live : tensor<2x24xf32>, tensor<24xi1>) outs(%e2 : tensor<2x24xf32>) {
  ^bb0(%a: f32, %c: i1, %o: f32):
    %scale = arith.constant 0.5 : f32
    %low = arith.constant 0xFF800000 : f32
    %0 = arith.mulf %a, %scale : f32
    %1 = arith.select %c, %0, %low : f32
    linalg.yield %1 : f32
  } -> tensor<2x24xf32>
  %added = linalg.generic {indexing_maps = [affine_map<(s) -> (s)>, affine_map<(s) -> (s)>], iterator_types = ["parallel"]}
      ins(%live : tensor<24xi1>) outs(%e4 : tensor<24xf32>) {
  ^bb0(%c: i1, %o: f32):
    %nothing = arith.constant 0.0 : f32
    %low = arith.constant 0xFF800000 : f32
    %0 = arith.select %c, %nothing, %low : f32
    linalg.yield %0 : f32
  } -> tensor<24xf32>
  %s = linalg.generic {indexing_maps = [#slots, #slot, #slots], iterator_types = ["parallel", "parallel"]}
      ins(%m, %added : tensor<2x24xf32>, tensor<24xf32>) outs(%e2 : tensor<2x24xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<2x24xf32>
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
    %1 = math.exp %0 fastmath<ninf> : f32
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

// Such a mask of -3e38 leaves no multiples of ln 2.

#query = affine_map<(h, s, d) -> (h, d)>
#key = affine_map<(h, s, d) -> (s, d)>
#score = affine_map<(h, s, d) -> (h, s)>
#slots = affine_map<(h, s) -> (h, s)>
#slot = affine_map<(h, s) -> (s)>
#heads = affine_map<(h, s) -> (h)>
module attributes {wafer.target = #wafer.target<"grid-256x1,colors=24">} {
wafer.program region <x = 256, y = 1> {
  wafer.entry "coarse" of @coarse tokens 1
}
// CHECK-LABEL: func.func @coarse
// CHECK: arith.constant -3.40282347E+38 : f32
// CHECK: math.exp %
// CHECK-NOT: math.exp2
// CHECK: wafer.output
func.func @coarse(%q: tensor<2x4xf32>, %k: tensor<24x4xf32>, %live: tensor<24xi1>) {
  %minus = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<2xf32>
  %e2 = tensor.empty() : tensor<2x24xf32>
  %e4 = tensor.empty() : tensor<24xf32>
  %f1 = linalg.fill ins(%minus : f32) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
  %f3 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<2x24xf32>) -> tensor<2x24xf32>
  %p = linalg.generic {indexing_maps = [#query, #key, #score], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<2x4xf32>, tensor<24x4xf32>) outs(%f3 : tensor<2x24xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<2x24xf32>
  %m = linalg.generic {indexing_maps = [#slots, #slot, #slots], iterator_types = ["parallel", "parallel"]}
      ins(%p, %live : tensor<2x24xf32>, tensor<24xi1>) outs(%e2 : tensor<2x24xf32>) {
  ^bb0(%a: f32, %c: i1, %o: f32):
    %scale = arith.constant 0.5 : f32
    %low = arith.constant 0xFF800000 : f32
    %0 = arith.mulf %a, %scale : f32
    %1 = arith.select %c, %0, %low : f32
    linalg.yield %1 : f32
  } -> tensor<2x24xf32>
  %added = linalg.generic {indexing_maps = [affine_map<(s) -> (s)>, affine_map<(s) -> (s)>], iterator_types = ["parallel"]}
      ins(%live : tensor<24xi1>) outs(%e4 : tensor<24xf32>) {
  ^bb0(%c: i1, %o: f32):
    %nothing = arith.constant 0.0 : f32
    %low = arith.constant -3.0e38 : f32
    %0 = arith.select %c, %nothing, %low : f32
    linalg.yield %0 : f32
  } -> tensor<24xf32>
  %s = linalg.generic {indexing_maps = [#slots, #slot, #slots], iterator_types = ["parallel", "parallel"]}
      ins(%m, %added : tensor<2x24xf32>, tensor<24xf32>) outs(%e2 : tensor<2x24xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<2x24xf32>
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
    %1 = math.exp %0 fastmath<ninf> : f32
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
