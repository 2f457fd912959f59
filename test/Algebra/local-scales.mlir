// RUN: waferloom-opt %s --algebra-local --canonicalize --cse --split-input-file | FileCheck %s

// Queries are rotated, joined and scaled in every layer: the scale goes into the cosines and
// sines, in front of the loop.

#each = affine_map<(i) -> (i)>

// CHECK-LABEL: func.func @rotated
// CHECK-SAME: %[[COS:[a-z0-9]+]]: tensor<4xf32>, %[[SIN:[a-z0-9]+]]: tensor<4xf32>
// CHECK-DAG: %[[C:.*]] = linalg.generic {{.*}} ins(%[[COS]] : tensor<4xf32>)
// CHECK-DAG: %[[S:.*]] = linalg.generic {{.*}} ins(%[[SIN]] : tensor<4xf32>)
// CHECK: wafer.repeat 2
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[C]] :
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[S]] :
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[C]] :
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[S]] :
// CHECK: %[[Q:.*]] = tensor.concat
// CHECK-NEXT: wafer.yield %[[Q]]
func.func @rotated(%cos: tensor<4xf32>, %sin: tensor<4xf32>, %in: tensor<8xf32>) -> tensor<8xf32> {
  %0 = wafer.repeat 2 (%x = %in) : tensor<8xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %e8 = tensor.empty() : tensor<8xf32>
    %a = tensor.extract_slice %x[0] [4] [1] : tensor<8xf32> to tensor<4xf32>
    %b = tensor.extract_slice %x[4] [4] [1] : tensor<8xf32> to tensor<4xf32>
    %ac = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
        ins(%a, %cos : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %1 = arith.mulf %u, %v : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %bs = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
        ins(%b, %sin : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %1 = arith.mulf %u, %v : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %bc = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
        ins(%b, %cos : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %1 = arith.mulf %u, %v : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %as = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
        ins(%a, %sin : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %1 = arith.mulf %u, %v : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %r = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
        ins(%ac, %bs : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %1 = arith.subf %u, %v : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %i = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
        ins(%bc, %as : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %1 = arith.addf %u, %v : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %j = tensor.concat dim(0) %r, %i : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
    %q = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel"]}
        ins(%j : tensor<8xf32>) outs(%e8 : tensor<8xf32>) {
    ^bb0(%u: f32, %o: f32):
      %c = arith.constant 0.5 : f32
      %1 = arith.mulf %u, %c : f32
      linalg.yield %1 : f32
    } -> tensor<8xf32>
    wafer.yield %q : tensor<8xf32>
  }
  return %0 : tensor<8xf32>
}

// -----

// These stay: what others read before it is scaled, and sums that are no rotation.

#each = affine_map<(i) -> (i)>

// CHECK-LABEL: func.func @read
// CHECK: wafer.repeat 2
// CHECK: %[[R:.*]] = tensor.concat
// CHECK: %[[Q:.*]] = linalg.generic {{.*}} ins(%[[R]] :
// CHECK: wafer.yield %[[Q]], %[[R]]
func.func @read(%cos: tensor<4xf32>, %sin: tensor<4xf32>, %in: tensor<8xf32>) -> tensor<8xf32> {
  %0:2 = wafer.repeat 2 (%x = %in, %y = %in) : tensor<8xf32>, tensor<8xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %e8 = tensor.empty() : tensor<8xf32>
    %a = tensor.extract_slice %x[0] [4] [1] : tensor<8xf32> to tensor<4xf32>
    %b = tensor.extract_slice %x[4] [4] [1] : tensor<8xf32> to tensor<4xf32>
    %r = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
        ins(%a, %cos : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %1 = arith.mulf %u, %v : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %i = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
        ins(%b, %sin : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %1 = arith.mulf %u, %v : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %j = tensor.concat dim(0) %r, %i : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
    %q = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel"]}
        ins(%j : tensor<8xf32>) outs(%e8 : tensor<8xf32>) {
    ^bb0(%u: f32, %o: f32):
      %c = arith.constant 0.5 : f32
      %1 = arith.mulf %u, %c : f32
      linalg.yield %1 : f32
    } -> tensor<8xf32>
    wafer.yield %q, %j : tensor<8xf32>, tensor<8xf32>
  }
  return %0#0 : tensor<8xf32>
}
// CHECK-LABEL: func.func @sums
// CHECK: wafer.repeat 2
// CHECK: %[[R:.*]] = tensor.concat
// CHECK: %[[Q:.*]] = linalg.generic {{.*}} ins(%[[R]] :
// CHECK: wafer.yield %[[Q]]
func.func @sums(%cos: tensor<4xf32>, %in: tensor<8xf32>) -> tensor<8xf32> {
  %0 = wafer.repeat 2 (%x = %in) : tensor<8xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %e8 = tensor.empty() : tensor<8xf32>
    %a = tensor.extract_slice %x[0] [4] [1] : tensor<8xf32> to tensor<4xf32>
    %b = tensor.extract_slice %x[4] [4] [1] : tensor<8xf32> to tensor<4xf32>
    %r = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
        ins(%a, %cos : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %1 = arith.mulf %u, %v : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %i = linalg.generic {indexing_maps = [#each, #each, #each], iterator_types = ["parallel"]}
        ins(%b, %cos : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %1 = arith.addf %u, %v : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %j = tensor.concat dim(0) %r, %i : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
    %q = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel"]}
        ins(%j : tensor<8xf32>) outs(%e8 : tensor<8xf32>) {
    ^bb0(%u: f32, %o: f32):
      %c = arith.constant 0.5 : f32
      %1 = arith.mulf %u, %c : f32
      linalg.yield %1 : f32
    } -> tensor<8xf32>
    wafer.yield %q : tensor<8xf32>
  }
  return %0 : tensor<8xf32>
}
