// RUN: waferloom-opt %s --algebra-reciprocal-root | FileCheck %s

#0 = affine_map<() -> ()>
// CHECK-LABEL: @good
// CHECK: arith.mulf
// CHECK: %[[A:.*]] = linalg.generic
// CHECK: arith.addf
// CHECK: linalg.generic {{.*}}ins(%[[A]] : tensor<f32>)
// CHECK: math.rsqrt
// CHECK-NOT: math.sqrt
// CHECK-NOT: arith.divf
func.func @good() {
  %y = wafer.input "y" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %x = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%y : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = arith.mulf %u, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %a = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 1.0e-5 : f32
    %r = arith.addf %u, %c : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%a : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.sqrt %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%s : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 1.0 : f32
    %r = arith.divf %c, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}

// Nothing keeps the argument from 0, where the quotient is infinite.
// CHECK-LABEL: @may_be_zero
// CHECK: math.sqrt
// CHECK: arith.divf
func.func @may_be_zero() {
  %y = wafer.input "y" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %x = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%y : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = arith.mulf %u, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.sqrt %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%s : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 1.0 : f32
    %r = arith.divf %c, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}

// Two over a root is another number.
// CHECK-LABEL: @other_numerator
// CHECK: math.sqrt
// CHECK: arith.divf
func.func @other_numerator() {
  %y = wafer.input "y" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %x = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%y : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = arith.mulf %u, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %a = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 1.0e-5 : f32
    %r = arith.addf %u, %c : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %s = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%a : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = math.sqrt %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%s : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 2.0 : f32
    %r = arith.divf %c, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}

// All of it in one body, as the operators of a norm are lowered; the mean is
// scaled in front.
// CHECK-LABEL: @one_body
// CHECK: %[[SUM:.*]] = arith.addf
// CHECK-NEXT: %[[ROOT:.*]] = math.rsqrt %[[SUM]]
// CHECK-NEXT: linalg.yield %[[ROOT]]
func.func @one_body() {
  %y = wafer.input "y" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %x = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%y : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = arith.mulf %u, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %share = arith.constant 2.5e-1 : f32
    %c = arith.constant 1.0e-5 : f32
    %one = arith.constant 1.0 : f32
    %mean = arith.mulf %u, %share : f32
    %sum = arith.addf %c, %mean : f32
    %root = math.sqrt %sum : f32
    %r = arith.divf %one, %root : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}

// The root is needed as well: it stays, the quotient does without it.
// CHECK-LABEL: @root_is_read
// CHECK: math.sqrt
// CHECK: math.rsqrt
// CHECK-NOT: arith.divf
func.func @root_is_read() {
  %y = wafer.input "y" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %x = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%y : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = arith.mulf %u, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 1.0e-5 : f32
    %one = arith.constant 1.0 : f32
    %sum = arith.addf %u, %c : f32
    %root = math.sqrt %sum : f32
    %r = arith.divf %one, %root : f32
    %both = arith.addf %r, %root : f32
    linalg.yield %both : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}

// A negative constant may bring the argument to 0.
// CHECK-LABEL: @body_may_be_zero
// CHECK: math.sqrt
// CHECK: arith.divf
func.func @body_may_be_zero() {
  %y = wafer.input "y" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %x = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%y : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = arith.mulf %u, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant -1.0e-5 : f32
    %one = arith.constant 1.0 : f32
    %sum = arith.addf %u, %c : f32
    %root = math.sqrt %sum : f32
    %r = arith.divf %one, %root : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}

// The mean in a generic of its own goes where the root is.
// CHECK-LABEL: @mean_apart
// CHECK: %[[Y:.*]] = wafer.input "y"
// CHECK: %[[X:.*]] = linalg.generic {{.*}}ins(%[[Y]] : tensor<f32>)
// CHECK: linalg.generic {{.*}}ins(%[[X]] : tensor<f32>)
// CHECK: %[[SHARE:.*]] = arith.constant 2.500000e-01
// CHECK: %[[MEAN:.*]] = arith.mulf %{{.*}}, %[[SHARE]]
// CHECK: %[[SUM:.*]] = arith.addf %[[MEAN]], %{{.*}}
// CHECK-NEXT: math.rsqrt %[[SUM]]
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @mean_apart() {
  %y = wafer.input "y" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %x = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%y : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %r = arith.mulf %u, %u : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %m = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %share = arith.constant 2.5e-1 : f32
    %mean = arith.mulf %u, %share : f32
    linalg.yield %mean : f32
  } -> tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%m : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %c = arith.constant 1.0e-5 : f32
    %one = arith.constant 1.0 : f32
    %sum = arith.addf %u, %c : f32
    %root = math.sqrt %sum : f32
    %r = arith.divf %one, %root : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}

// What is not a square may be below -c, where the root is not a number.
// CHECK-LABEL: @may_be_negative
// CHECK: math.sqrt
// CHECK: arith.divf
func.func @may_be_negative() {
  %x = wafer.input "x" : tensor<f32>
  %e = tensor.empty() : tensor<f32>
  %q = linalg.generic {indexing_maps = [#0, #0], iterator_types = []} ins(%x : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%u: f32, %o: f32):
    %share = arith.constant 2.5e-1 : f32
    %c = arith.constant 1.0e-5 : f32
    %one = arith.constant 1.0 : f32
    %mean = arith.mulf %u, %share : f32
    %sum = arith.addf %c, %mean : f32
    %root = math.sqrt %sum : f32
    %r = arith.divf %one, %root : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  wafer.output "q", %q : tensor<f32>
  return
}
