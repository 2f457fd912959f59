// RUN: waferloom-opt %s | waferloom-opt | FileCheck %s
// Layouts print as they are written, replicated axes left out.

// CHECK: wafer.program region <x = 3 x 4 x 8, y = 96>
wafer.program region <x = 3 x 4 x 8, y = 96> {}
func.func @layouts() {
  // CHECK: tensor<576xf16, #wafer.layout<[y]>>
  %0 = tensor.empty() : tensor<576xf16, #wafer.layout<[y]>>
  // CHECK: tensor<576x3x4x2x32xf16, #wafer.layout<[y, x0, x1 live 3 padding 0, *, x2]>>
  %1 = tensor.empty() : tensor<576x3x4x2x32xf16, #wafer.layout<[y, x0, x1 live 3 padding 0, *, x2]>>
  // CHECK: tensor<3x2112x2x32xf16, #wafer.layout<[x0, cyclic y live @kv padding num, *, x2]>>
  %2 = tensor.empty() : tensor<3x2112x2x32xf16, #wafer.layout<[x0, cyclic y live @kv padding num, *, x2]>>
  // CHECK: #wafer.layout<[x0, x1 live 3 padding num, cyclic y live 2050 padding any] partial<x2, sum>>
  %3 = tensor.empty() : tensor<3x4x2112xf32, #wafer.layout<[x0, x1 live 3 padding num, cyclic y live 2050 padding any] partial<x2, sum>>>
  // CHECK: #wafer.layout<[y] partial<x0 x1 x2, max>>
  %4 = tensor.empty() : tensor<576xf16, #wafer.layout<[y] partial<x0 x1 x2, max>>>
  // CHECK: tensor<f32, #wafer.layout<[] root<y = 48>>>
  %5 = tensor.empty() : tensor<f32, #wafer.layout<[] root<y = 48>>>
  // CHECK: #wafer.layout<[x0 3 x1 16 live 500 padding -inf]>
  %6 = tensor.empty() : tensor<576xf16, #wafer.layout<[x0 3 x1 16 live 500 padding -inf]>>
  return
}
