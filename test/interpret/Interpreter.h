//===- Interpreter.h - What levels 2 and 4 compute ----------------*- C++
//-*-===//
//
// Executes entries of level 2 (one whole tensor per value) and of level 4 (one
// local shard per PE and value) op by op, on plain numbers. Slow and simple: it
// is the reference that passes are tested against, so that a wrong number is
// bisected to the pass that made it.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_TEST_INTERPRET_INTERPRETER_H
#define WAFERLOOM_TEST_INTERPRET_INTERPRETER_H

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <map>
#include <string>
#include <vector>

namespace waferloom::interpret {

/// Elements in row-major order; f32, i32 and i1 are exact as doubles.
struct Tensor {
  llvm::SmallVector<int64_t> shape;
  std::vector<double> data;
};

/// What a program meets from outside, as whole tensors without padding.
struct World {
  std::map<std::string, Tensor> weights, states, inputs, outputs;
  int64_t position = 0;
};

/// Runs one entry on `world`; states and outputs are updated. Errors: an op or
/// body without a rule; replicas that differ.
llvm::LogicalResult run(mlir::func::FuncOp entry, World &world);

/// A world of random numbers for all weights and states of `module` and the
/// inputs of `entry`.
World createWorld(mlir::ModuleOp module, mlir::func::FuncOp entry,
                  uint32_t seed, int64_t position);

/// Parts of weights, read from the wholes that the world has.
void readParts(mlir::ModuleOp module, World &world);

} // namespace waferloom::interpret

#endif // WAFERLOOM_TEST_INTERPRET_INTERPRETER_H
