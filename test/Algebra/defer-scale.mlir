// RUN: waferloom-opt %s --algebra-defer-scale --split-input-file | FileCheck %s
// RUN: waferloom-opt %s --algebra-defer-scale="norm=0 softmax=0" --split-input-file | FileCheck %s --check-prefix=OFF

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g : tensor<8xf32>
wafer.weight @w : tensor<8x12xf32>
wafer.weight @v : tensor<8x12xf32>
// The factor of a norm goes through the gain and behind both products.
// CHECK-LABEL: @norm
// CHECK: %[[X:.*]] = wafer.input "x"
// CHECK: %[[G:.*]] = wafer.parameter [@g]
// CHECK: %[[R:.*]] = linalg.generic {{.*}}iterator_types = []} ins(
// CHECK: math.rsqrt
// CHECK: %[[M:.*]] = linalg.generic {{.*}}ins(%[[G]], %[[X]] : tensor<8xf32>, tensor<8xf32>)
// CHECK: %[[A:.*]] = linalg.generic {{.*}}ins(%[[M]], %{{.*}} : tensor<8xf32>, tensor<8x12xf32>)
// CHECK: %[[SA:.*]] = linalg.generic {{.*}}ins(%[[A]], %[[R]] : tensor<12xf32>, tensor<f32>)
// CHECK: %[[B:.*]] = linalg.generic {{.*}}ins(%[[M]], %{{.*}} : tensor<8xf32>, tensor<8x12xf32>)
// CHECK: %[[SB:.*]] = linalg.generic {{.*}}ins(%[[B]], %[[R]] : tensor<12xf32>, tensor<f32>)
// CHECK: wafer.output "a", %[[SA]]
// CHECK: wafer.output "b", %[[SB]]
// OFF-LABEL: @norm
// OFF: linalg.generic {{.*}} : tensor<8xf32>, tensor<f32>)
// OFF-NOT: tensor<12xf32>, tensor<f32>)
// OFF: return
func.func @norm() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #i, #s], iterator_types = ["reduction"]}
      ins(%x, %x : tensor<8xf32>, tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %er = tensor.empty() : tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%er : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = math.rsqrt %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %em = tensor.empty() : tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%g, %n : tensor<8xf32>, tensor<8xf32>) outs(%em : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf32>
  %ca = arith.constant 0.0 : f32
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%ca : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf32>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  %wb = wafer.parameter [@v] : tensor<8x12xf32>
  %cb = arith.constant 0.0 : f32
  %eb = tensor.empty() : tensor<12xf32>
  %fb = linalg.fill ins(%cb : f32) outs(%eb : tensor<12xf32>) -> tensor<12xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wb : tensor<8xf32>, tensor<8x12xf32>) outs(%fb : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  wafer.output "b", %b : tensor<12xf32>
  return
}

// -----

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g : tensor<8xf32>
wafer.weight @w : tensor<8x12xf32>
wafer.weight @v : tensor<8x12xf32>
// Somebody reads the scaled value itself: it is needed in any case.
// CHECK-LABEL: @other_reader
// CHECK: linalg.generic {{.*}} : tensor<8xf32>, tensor<f32>)
// CHECK-NOT: tensor<12xf32>, tensor<f32>)
// CHECK: return
func.func @other_reader() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #i, #s], iterator_types = ["reduction"]}
      ins(%x, %x : tensor<8xf32>, tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %er = tensor.empty() : tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%er : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = math.rsqrt %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %em = tensor.empty() : tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%g, %n : tensor<8xf32>, tensor<8xf32>) outs(%em : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf32>
  %ca = arith.constant 0.0 : f32
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%ca : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf32>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  wafer.output "n", %n : tensor<8xf32>
  return
}

// -----

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g : tensor<8xf32>
wafer.weight @w : tensor<8x12xf32>
wafer.weight @v : tensor<8x12xf32>
// A sum in between (the bias of a LayerNorm): the scale does not commute with it.
// CHECK-LABEL: @shifted
// CHECK: linalg.generic {{.*}} : tensor<8xf32>, tensor<f32>)
// CHECK-NOT: tensor<12xf32>, tensor<f32>)
// CHECK: return
func.func @shifted() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #i, #s], iterator_types = ["reduction"]}
      ins(%x, %x : tensor<8xf32>, tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %er = tensor.empty() : tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%er : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = math.rsqrt %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %em = tensor.empty() : tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%g, %n : tensor<8xf32>, tensor<8xf32>) outs(%em : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.addf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf32>
  %ca = arith.constant 0.0 : f32
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%ca : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf32>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
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
wafer.weight @g : tensor<8xf32>
wafer.weight @w : tensor<8x12xf32>
wafer.weight @v : tensor<8x12xf32>
// A product of the scaled value with itself would need the scale twice.
// CHECK-LABEL: @read_twice
// CHECK: linalg.generic {{.*}} : tensor<8xf32>, tensor<f32>)
// CHECK-NOT: tensor<12xf32>, tensor<f32>)
// CHECK: return
func.func @read_twice() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #i, #s], iterator_types = ["reduction"]}
      ins(%x, %x : tensor<8xf32>, tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %er = tensor.empty() : tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%er : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = math.rsqrt %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %em = tensor.empty() : tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%g, %n : tensor<8xf32>, tensor<8xf32>) outs(%em : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf32>
  %ca = arith.constant 0.0 : f32
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%ca : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %m, %wa : tensor<8xf32>, tensor<8xf32>, tensor<8x12xf32>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f32, %a2: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.mulf %0, %a2 : f32
    %2 = arith.addf %o, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  return
}

// -----

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g : tensor<8xf32>
wafer.weight @w : tensor<8x12xf32>
wafer.weight @v : tensor<8x12xf32>
// A scale that waits for nothing: there is no message to save.
// CHECK-LABEL: @no_reduction
// CHECK: linalg.generic {{.*}} : tensor<8xf32>, tensor<f32>)
// CHECK-NOT: tensor<12xf32>, tensor<f32>)
// CHECK: return
func.func @no_reduction() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf32>
  %r = wafer.input "r" : tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %em = tensor.empty() : tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%g, %n : tensor<8xf32>, tensor<8xf32>) outs(%em : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf32>
  %ca = arith.constant 0.0 : f32
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%ca : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf32>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
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
wafer.weight @g : tensor<8xf32>
wafer.weight @w : tensor<8x64xf32>
// Eight times the elements would be scaled (a language model's head).
// CHECK-LABEL: @growth
// CHECK: linalg.generic {{.*}} : tensor<8xf32>, tensor<f32>)
// CHECK-NOT: tensor<64xf32>, tensor<f32>)
// CHECK: return
func.func @growth() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #i, #s], iterator_types = ["reduction"]}
      ins(%x, %x : tensor<8xf32>, tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %er = tensor.empty() : tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%er : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = math.rsqrt %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %em = tensor.empty() : tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%g, %n : tensor<8xf32>, tensor<8xf32>) outs(%em : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x64xf32>
  %ca = arith.constant 0.0 : f32
  %ea = tensor.empty() : tensor<64xf32>
  %fa = linalg.fill ins(%ca : f32) outs(%ea : tensor<64xf32>) -> tensor<64xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x64xf32>) outs(%fa : tensor<64xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<64xf32>
  wafer.output "a", %a : tensor<64xf32>
  return
}

// -----

#i = affine_map<(d0) -> (d0)>
#s = affine_map<(d0) -> ()>
#0 = affine_map<() -> ()>
wafer.weight @g : tensor<8xf32>
wafer.weight @w : tensor<8x12xf16>
// A product in halves rounds what is not scaled yet (half-factors.mlir).
// CHECK-LABEL: @half
// CHECK-NOT: tensor<8xf32>, tensor<f32>)
// CHECK: arith.truncf
// CHECK: linalg.generic {{.*}}tensor<12xf32>, tensor<f32>)
// CHECK: return
func.func @half() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #i, #s], iterator_types = ["reduction"]}
      ins(%x, %x : tensor<8xf32>, tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %er = tensor.empty() : tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%er : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = math.rsqrt %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %em = tensor.empty() : tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%g, %n : tensor<8xf32>, tensor<8xf32>) outs(%em : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf16>
  %ca = arith.constant 0.0 : f32
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%ca : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
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
wafer.weight @g : tensor<8xf32>
wafer.weight @w : tensor<8x12xf16>
// Halves that are widened first are as good as singles.
// CHECK-LABEL: @half_weights
// CHECK-NOT: tensor<8xf32>, tensor<f32>)
// CHECK: linalg.generic {{.*}}tensor<12xf32>, tensor<f32>)
// CHECK: return
func.func @half_weights() {
  %x = wafer.input "x" : tensor<8xf32>
  %g = wafer.parameter [@g] : tensor<8xf32>
  %css = arith.constant 0.0 : f32
  %ess = tensor.empty() : tensor<f32>
  %fss = linalg.fill ins(%css : f32) outs(%ess : tensor<f32>) -> tensor<f32>
  %ss = linalg.generic {indexing_maps = [#i, #i, #s], iterator_types = ["reduction"]}
      ins(%x, %x : tensor<8xf32>, tensor<8xf32>) outs(%fss : tensor<f32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<f32>
  %er = tensor.empty() : tensor<f32>
  %r = linalg.generic {indexing_maps = [#0, #0], iterator_types = []}
      ins(%ss : tensor<f32>) outs(%er : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = math.rsqrt %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %en = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [#i, #s, #i], iterator_types = ["parallel"]}
      ins(%x, %r : tensor<8xf32>, tensor<f32>) outs(%en : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %em = tensor.empty() : tensor<8xf32>
  %m = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%g, %n : tensor<8xf32>, tensor<8xf32>) outs(%em : tensor<8xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %wa = wafer.parameter [@w] : tensor<8x12xf16>
  %ca = arith.constant 0.0 : f32
  %ea = tensor.empty() : tensor<12xf32>
  %fa = linalg.fill ins(%ca : f32) outs(%ea : tensor<12xf32>) -> tensor<12xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%m, %wa : tensor<8xf32>, tensor<8x12xf16>) outs(%fa : tensor<12xf32>) {
  ^bb0(%a0: f32, %a1: f16, %o: f32):
    %2 = arith.extf %a1 : f16 to f32
    %0 = arith.mulf %a0, %2 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<12xf32>
  wafer.output "a", %a : tensor<12xf32>
  return
}

// -----

#p = affine_map<(d0, d1) -> (d0, d1)>
#h = affine_map<(d0, d1) -> (d0)>
#1 = affine_map<(d0) -> (d0)>
// The denominator of a softmax goes behind the product with the values.
// CHECK-LABEL: @softmax
// CHECK: %[[E:.*]] = wafer.input "e"
// CHECK: arith.divf
// CHECK: %[[O:.*]] = linalg.generic {{.*}}ins(%[[E]], %{{.*}} : tensor<3x7xf32>, tensor<7x5xf32>)
// CHECK: %[[S:.*]] = linalg.generic {{.*}}ins(%[[O]], %{{.*}} : tensor<3x5xf32>, tensor<3xf32>)
// CHECK: wafer.output "o", %[[S]]
// OFF-LABEL: @softmax
// OFF-NOT: tensor<3x5xf32>, tensor<3xf32>)
// OFF: return
func.func @softmax() {
  %e = wafer.input "e" : tensor<3x7xf32>
  %v = wafer.input "v" : tensor<7x5xf32>
  %cl = arith.constant 0.0 : f32
  %el = tensor.empty() : tensor<3xf32>
  %fl = linalg.fill ins(%cl : f32) outs(%el : tensor<3xf32>) -> tensor<3xf32>
  %l = linalg.generic {indexing_maps = [#p, #h], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x7xf32>) outs(%fl : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.addf %o, %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  %eq = tensor.empty() : tensor<3xf32>
  %q = linalg.generic {indexing_maps = [#1, #1], iterator_types = ["parallel"]}
      ins(%l : tensor<3xf32>) outs(%eq : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %1 = arith.constant 1.0 : f32
    %0 = arith.divf %1, %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  %ep = tensor.empty() : tensor<3x7xf32>
  %p = linalg.generic {indexing_maps = [#p, #h, #p], iterator_types = ["parallel", "parallel"]}
      ins(%e, %q : tensor<3x7xf32>, tensor<3xf32>) outs(%ep : tensor<3x7xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<3x7xf32>
  %co = arith.constant 0.0 : f32
  %eo = tensor.empty() : tensor<3x5xf32>
  %fo = linalg.fill ins(%co : f32) outs(%eo : tensor<3x5xf32>) -> tensor<3x5xf32>
  %o = linalg.generic {indexing_maps = [affine_map<(h, d, s) -> (h, s)>, affine_map<(h, d, s) -> (s, d)>, affine_map<(h, d, s) -> (h, d)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%p, %v : tensor<3x7xf32>, tensor<7x5xf32>) outs(%fo : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<3x5xf32>
  wafer.output "o", %o : tensor<3x5xf32>
  return
}

// -----

#p = affine_map<(d0, d1) -> (d0, d1)>
#h = affine_map<(d0, d1) -> (d0)>
#1 = affine_map<(d0) -> (d0)>
// Exponentials are at most 1: halves hold them.
// CHECK-LABEL: @softmax_in_halves
// CHECK-NOT: tensor<3x7xf32>, tensor<3xf32>)
// CHECK: linalg.generic {{.*}}tensor<3x5xf32>, tensor<3xf32>)
// CHECK: return
func.func @softmax_in_halves() {
  %e = wafer.input "e" : tensor<3x7xf32>
  %v = wafer.input "v" : tensor<7x5xf16>
  %cl = arith.constant 0.0 : f32
  %el = tensor.empty() : tensor<3xf32>
  %fl = linalg.fill ins(%cl : f32) outs(%el : tensor<3xf32>) -> tensor<3xf32>
  %l = linalg.generic {indexing_maps = [#p, #h], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x7xf32>) outs(%fl : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.addf %o, %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  %eq = tensor.empty() : tensor<3xf32>
  %q = linalg.generic {indexing_maps = [#1, #1], iterator_types = ["parallel"]}
      ins(%l : tensor<3xf32>) outs(%eq : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %1 = arith.constant 1.0 : f32
    %0 = arith.divf %1, %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  %ep = tensor.empty() : tensor<3x7xf32>
  %p = linalg.generic {indexing_maps = [#p, #h, #p], iterator_types = ["parallel", "parallel"]}
      ins(%e, %q : tensor<3x7xf32>, tensor<3xf32>) outs(%ep : tensor<3x7xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<3x7xf32>
  %co = arith.constant 0.0 : f32
  %eo = tensor.empty() : tensor<3x5xf32>
  %fo = linalg.fill ins(%co : f32) outs(%eo : tensor<3x5xf32>) -> tensor<3x5xf32>
  %o = linalg.generic {indexing_maps = [affine_map<(h, d, s) -> (h, s)>, affine_map<(h, d, s) -> (s, d)>, affine_map<(h, d, s) -> (h, d)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%p, %v : tensor<3x7xf32>, tensor<7x5xf16>) outs(%fo : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f16, %o: f32):
    %2 = arith.truncf %a0 : f32 to f16
    %3 = arith.extf %2 : f16 to f32
    %4 = arith.extf %a1 : f16 to f32
    %0 = arith.mulf %3, %4 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<3x5xf32>
  wafer.output "o", %o : tensor<3x5xf32>
  return
}

// -----

#p = affine_map<(d0, d1) -> (d0, d1)>
#h = affine_map<(d0, d1) -> (d0)>
#1 = affine_map<(d0) -> (d0)>
// A guard against rows without a key reads the quotient.
// CHECK-LABEL: @guarded
// CHECK: linalg.generic {{.*}}tensor<3x7xf32>, tensor<3xf32>)
// CHECK-NOT: x5xf32>, tensor<3xf32>)
// CHECK: return
func.func @guarded() {
  %e = wafer.input "e" : tensor<3x7xf32>
  %v = wafer.input "v" : tensor<7x5xf32>
  %cl = arith.constant 0.0 : f32
  %el = tensor.empty() : tensor<3xf32>
  %fl = linalg.fill ins(%cl : f32) outs(%el : tensor<3xf32>) -> tensor<3xf32>
  %l = linalg.generic {indexing_maps = [#p, #h], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x7xf32>) outs(%fl : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.addf %o, %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  %eq = tensor.empty() : tensor<3xf32>
  %q = linalg.generic {indexing_maps = [#1, #1], iterator_types = ["parallel"]}
      ins(%l : tensor<3xf32>) outs(%eq : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %1 = arith.constant 1.0 : f32
    %0 = arith.divf %1, %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  %ep = tensor.empty() : tensor<3x7xf32>
  %p = linalg.generic {indexing_maps = [#p, #h, #p], iterator_types = ["parallel", "parallel"]}
      ins(%e, %q : tensor<3x7xf32>, tensor<3xf32>) outs(%ep : tensor<3x7xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<3x7xf32>
  %ez = tensor.empty() : tensor<3x7xf32>
  %z = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%p : tensor<3x7xf32>) outs(%ez : tensor<3x7xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %1 = arith.constant 0.0 : f32
    %2 = arith.cmpf uno, %a0, %a0 : f32
    %0 = arith.select %2, %1, %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<3x7xf32>
  %co = arith.constant 0.0 : f32
  %eo = tensor.empty() : tensor<3x5xf32>
  %fo = linalg.fill ins(%co : f32) outs(%eo : tensor<3x5xf32>) -> tensor<3x5xf32>
  %o = linalg.generic {indexing_maps = [affine_map<(h, d, s) -> (h, s)>, affine_map<(h, d, s) -> (s, d)>, affine_map<(h, d, s) -> (h, d)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%z, %v : tensor<3x7xf32>, tensor<7x5xf32>) outs(%fo : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<3x5xf32>
  wafer.output "o", %o : tensor<3x5xf32>
  return
}

// -----

#p = affine_map<(d0, d1) -> (d0, d1)>
#h = affine_map<(d0, d1) -> (d0)>
#1 = affine_map<(d0) -> (d0)>
// A product over the rows that have the denominators.
// CHECK-LABEL: @contracted
// CHECK: linalg.generic {{.*}}tensor<3x7xf32>, tensor<3xf32>)
// CHECK-NOT: x5xf32>, tensor<3xf32>)
// CHECK: return
func.func @contracted() {
  %e = wafer.input "e" : tensor<3x7xf32>
  %v = wafer.input "v" : tensor<7x5xf32>
  %cl = arith.constant 0.0 : f32
  %el = tensor.empty() : tensor<3xf32>
  %fl = linalg.fill ins(%cl : f32) outs(%el : tensor<3xf32>) -> tensor<3xf32>
  %l = linalg.generic {indexing_maps = [#p, #h], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x7xf32>) outs(%fl : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %0 = arith.addf %o, %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  %eq = tensor.empty() : tensor<3xf32>
  %q = linalg.generic {indexing_maps = [#1, #1], iterator_types = ["parallel"]}
      ins(%l : tensor<3xf32>) outs(%eq : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %1 = arith.constant 1.0 : f32
    %0 = arith.divf %1, %a0 : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  %ep = tensor.empty() : tensor<3x7xf32>
  %p = linalg.generic {indexing_maps = [#p, #h, #p], iterator_types = ["parallel", "parallel"]}
      ins(%e, %q : tensor<3x7xf32>, tensor<3xf32>) outs(%ep : tensor<3x7xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    linalg.yield %0 : f32
  } -> tensor<3x7xf32>
  %u = wafer.input "u" : tensor<3x5xf32>
  %co = arith.constant 0.0 : f32
  %eo = tensor.empty() : tensor<7x5xf32>
  %fo = linalg.fill ins(%co : f32) outs(%eo : tensor<7x5xf32>) -> tensor<7x5xf32>
  %o = linalg.generic {indexing_maps = [affine_map<(s, d, h) -> (h, s)>, affine_map<(s, d, h) -> (h, d)>, affine_map<(s, d, h) -> (s, d)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%p, %u : tensor<3x7xf32>, tensor<3x5xf32>) outs(%fo : tensor<7x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %0 = arith.mulf %a0, %a1 : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<7x5xf32>
  wafer.output "o", %o : tensor<7x5xf32>
  return
}
