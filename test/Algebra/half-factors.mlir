// RUN: waferloom-opt %s --algebra-defer-scale --split-input-file | FileCheck %s
// RUN: waferloom-opt %s --algebra-defer-scale="halves=0" --split-input-file | FileCheck %s --check-prefix=WIDE

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g = dense<[1.0, -3.0, 0.5, 0.0, 2.0, 1.0, 1.0, 1.0]> : tensor<8xf32> : tensor<8xf32>
wafer.weight @w : tensor<8x12xf16>
// The largest gain is 3: all are divided by 4, and the argument of the reciprocal
// root by 16, in its constants.
// CHECK: wafer.weight @g.scaled = dense<[2.500000e-01, -7.500000e-01, 1.250000e-01, 0.000000e+00, 5.000000e-01, 2.500000e-01, 2.500000e-01, 2.500000e-01]> : tensor<8xf32>
// CHECK-LABEL: @scaled
// CHECK: %[[G:.*]] = wafer.parameter [@g.scaled] : tensor<8xf32>
// CHECK: %[[N:.*]] = arith.constant 7.812500e-03 : f32
// CHECK-NEXT: arith.mulf %{{.*}}, %[[N]]
// CHECK: %[[EPS:.*]] = arith.constant 6.250000e-02 : f32
// CHECK-NEXT: arith.addf %{{.*}}, %[[EPS]]
// CHECK-NEXT: math.rsqrt
// CHECK: linalg.generic {{.*}}ins(%{{.*}}, %[[G]] : tensor<8xf32>, tensor<8xf32>)
// CHECK: arith.truncf
// CHECK: linalg.generic {{.*}}tensor<12xf32>, tensor<f32>)
// CHECK: return
//
// Without halves what is not scaled yet is not rounded.
// WIDE-LABEL: @scaled
// WIDE-NOT: arith.truncf
// WIDE: ^bb0(%[[X:.*]]: f32, %[[W:.*]]: f16, %[[SUM:.*]]: f32):
// WIDE-NEXT: %[[SINGLE:.*]] = arith.extf %[[W]] : f16 to f32
// WIDE-NEXT: %[[P:.*]] = arith.mulf %[[X]], %[[SINGLE]] : f32
// WIDE-NEXT: arith.addf %[[SUM]], %[[P]] : f32
// WIDE: linalg.generic {{.*}}tensor<12xf32>, tensor<f32>)
func.func @scaled() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #s], iterator_types = ["reduction"]}
      ins(%x : tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.mulf %a0, %a0 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %mean = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %n = arith.constant 1.25e-1 : f32
    %0 = arith.mulf %a0, %n : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%mean : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %eps = arith.constant 1.0 : f32
    %0 = arith.addf %a0, %eps : f32
    %1 = math.rsqrt %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%n, %g : tensor<8xf32>, tensor<8xf32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf16>
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%css : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf16>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f16, %o: f32):
    %2 = arith.truncf %a0 : f32 to f16
    %3 = arith.extf %2 : f16 to f32
    %4 = arith.extf %a1 : f16 to f32
    %0 = arith.mulf %3, %4 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  return
}

// -----

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g = dense<[1.0, 4.0, 0.5, 0.0, 2.0, 1.0, 1.0, 1.0]> : tensor<8xf16> : tensor<8xf16>
wafer.weight @w : tensor<8x12xf16>
// Gains of f16 are stored as f32; a power of two is its own bound. What is no
// reciprocal root is multiplied.
// CHECK: wafer.weight @g.scaled = dense<[2.500000e-01, 1.000000e+00, 1.250000e-01,
// CHECK-LABEL: @halves
// CHECK: %[[R:.*]] = linalg.generic {{.*}}iterator_types = []}
// CHECK: math.exp
// CHECK: %[[LARGER:.*]] = linalg.generic {{.*}}ins(%[[R]] : tensor<f32>)
// CHECK: %[[FOUR:.*]] = arith.constant 4.000000e+00 : f32
// CHECK: arith.mulf %{{.*}}, %[[FOUR]]
// CHECK: arith.truncf
// CHECK: linalg.generic {{.*}}, %[[LARGER]] : tensor<12xf32>, tensor<f32>)
func.func @halves() {
  %x = wafer.input "x" : tensor<8xf32>
  %h = wafer.parameter [@g] : tensor<8xf16>
  %eg = tensor.empty() : tensor<8xf32>
  %g = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]} ins(%h : tensor<8xf16>) outs(%eg : tensor<8xf32>) {
  ^bb0(%a0: f16, %o: f32):
    %0 = arith.extf %a0 : f16 to f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #s], iterator_types = ["reduction"]}
      ins(%x : tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.mulf %a0, %a0 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = math.exp %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%n, %g : tensor<8xf32>, tensor<8xf32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf16>
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%css : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf16>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f16, %o: f32):
    %2 = arith.truncf %a0 : f32 to f16
    %3 = arith.extf %2 : f16 to f32
    %4 = arith.extf %a1 : f16 to f32
    %0 = arith.mulf %3, %4 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  return
}

// -----

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g = dense<[1.0, 4.0, 0.5, 0.0, 2.0, 1.0, 1.0, 1.0]> : tensor<8xf16> : tensor<8xf16>
wafer.weight @w : tensor<8x12xf16>
// The same where the product with x widens the gain itself, as in files that are
// f16 throughout: it reads the new gain as it is.
// CHECK: wafer.weight @g.scaled = dense<[2.500000e-01, 1.000000e+00, 1.250000e-01,
// CHECK-LABEL: @stored_halves
// CHECK: %[[G:.*]] = wafer.parameter [@g.scaled] : tensor<8xf32>
// CHECK: %[[R:.*]] = linalg.generic {{.*}}iterator_types = []}
// CHECK: math.exp
// CHECK: %[[LARGER:.*]] = linalg.generic {{.*}}ins(%[[R]] : tensor<f32>)
// CHECK: %[[FOUR:.*]] = arith.constant 4.000000e+00 : f32
// CHECK: arith.mulf %{{.*}}, %[[FOUR]]
// CHECK: linalg.generic {{.*}}ins(%{{.*}}, %[[G]] : tensor<8xf32>, tensor<8xf32>)
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[GAIN:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: arith.mulf %[[X]], %[[GAIN]]
// CHECK: arith.truncf
// CHECK: linalg.generic {{.*}}, %[[LARGER]] : tensor<12xf32>, tensor<f32>)
func.func @stored_halves() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf16>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #s], iterator_types = ["reduction"]}
      ins(%x : tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.mulf %a0, %a0 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = math.exp %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%n, %g : tensor<8xf32>, tensor<8xf16>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f16, %o: f32):
    %1 = arith.extf %a1 : f16 to f32
    %0 = arith.mulf %a0, %1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf16>
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%css : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf16>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f16, %o: f32):
    %2 = arith.truncf %a0 : f32 to f16
    %3 = arith.extf %2 : f16 to f32
    %4 = arith.extf %a1 : f16 to f32
    %0 = arith.mulf %3, %4 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  return
}

// -----

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g = dense<[0.25, -0.75, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5]> : tensor<8xf16> : tensor<8xf16>
wafer.weight @w : tensor<8x12xf16>
// One and a weight is computed here.
// CHECK: wafer.weight @g.scaled = dense<[6.250000e-01, 1.250000e-01, 5.000000e-01, 5.000000e-01, 7.500000e-01,
// CHECK-LABEL: @one_and_weight
// CHECK: arith.truncf
func.func @one_and_weight() {
  %x = wafer.input "x" : tensor<8xf32>
  %h = wafer.parameter [@g] : tensor<8xf16>
  %eg = tensor.empty() : tensor<8xf32>
  %g = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]} ins(%h : tensor<8xf16>) outs(%eg : tensor<8xf32>) {
  ^bb0(%a0: f16, %o: f32):
    %one = arith.constant 1.0 : f32
    %0 = arith.extf %a0 : f16 to f32
    %1 = arith.addf %0, %one : f32
    linalg.yield %1 : f32
  } -> tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #s], iterator_types = ["reduction"]}
      ins(%x : tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.mulf %a0, %a0 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %mean = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %n = arith.constant 1.25e-1 : f32
    %0 = arith.mulf %a0, %n : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%mean : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %eps = arith.constant 1.0 : f32
    %0 = arith.addf %a0, %eps : f32
    %1 = math.rsqrt %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%n, %g : tensor<8xf32>, tensor<8xf32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf16>
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%css : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf16>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f16, %o: f32):
    %2 = arith.truncf %a0 : f32 to f16
    %3 = arith.extf %2 : f16 to f32
    %4 = arith.extf %a1 : f16 to f32
    %0 = arith.mulf %3, %4 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  return
}

// -----

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g : tensor<8xf16>
wafer.weight @w : tensor<8x12xf16>
// Shapes only: as if no gain were above 1.
// CHECK: wafer.weight @g.scaled : tensor<8xf32>
// CHECK-LABEL: @shape_only
// CHECK: %[[EPS:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-NEXT: arith.addf %{{.*}}, %[[EPS]]
// CHECK: arith.truncf
func.func @shape_only() {
  %x = wafer.input "x" : tensor<8xf32>
  %h = wafer.parameter [@g] : tensor<8xf16>
  %eg = tensor.empty() : tensor<8xf32>
  %g = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]} ins(%h : tensor<8xf16>) outs(%eg : tensor<8xf32>) {
  ^bb0(%a0: f16, %o: f32):
    %0 = arith.extf %a0 : f16 to f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #s], iterator_types = ["reduction"]}
      ins(%x : tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.mulf %a0, %a0 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %mean = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %n = arith.constant 1.25e-1 : f32
    %0 = arith.mulf %a0, %n : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%mean : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %eps = arith.constant 1.0 : f32
    %0 = arith.addf %a0, %eps : f32
    %1 = math.rsqrt %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%n, %g : tensor<8xf32>, tensor<8xf32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf16>
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%css : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf16>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f16, %o: f32):
    %2 = arith.truncf %a0 : f32 to f16
    %3 = arith.extf %2 : f16 to f32
    %4 = arith.extf %a1 : f16 to f32
    %0 = arith.mulf %3, %4 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  return
}

// -----

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @w : tensor<8x12xf16>
// Nobody knows how large this gain is.
// CHECK-LABEL: @unknown
// CHECK-NOT: arith.truncf
// CHECK: return
func.func @unknown() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.input "g" : tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #s], iterator_types = ["reduction"]}
      ins(%x : tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.mulf %a0, %a0 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %mean = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %n = arith.constant 1.25e-1 : f32
    %0 = arith.mulf %a0, %n : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%mean : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %eps = arith.constant 1.0 : f32
    %0 = arith.addf %a0, %eps : f32
    %1 = math.rsqrt %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%n, %g : tensor<8xf32>, tensor<8xf32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf16>
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%css : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf16>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f16, %o: f32):
    %2 = arith.truncf %a0 : f32 to f16
    %3 = arith.extf %2 : f16 to f32
    %4 = arith.extf %a1 : f16 to f32
    %0 = arith.mulf %3, %4 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  return
}

// -----

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g from "no such file" at 0 : tensor<8xf32>
wafer.weight @w : tensor<8x12xf16>
// CHECK-LABEL: @unreadable
// CHECK-NOT: arith.truncf
// CHECK: return
func.func @unreadable() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #s], iterator_types = ["reduction"]}
      ins(%x : tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.mulf %a0, %a0 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %mean = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %n = arith.constant 1.25e-1 : f32
    %0 = arith.mulf %a0, %n : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%mean : tensor<f32>) outs(%ess : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %eps = arith.constant 1.0 : f32
    %0 = arith.addf %a0, %eps : f32
    %1 = math.rsqrt %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%n, %g : tensor<8xf32>, tensor<8xf32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf16>
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%css : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf16>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f16, %o: f32):
    %2 = arith.truncf %a0 : f32 to f16
    %3 = arith.extf %2 : f16 to f32
    %4 = arith.extf %a1 : f16 to f32
    %0 = arith.mulf %3, %4 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  return
}
