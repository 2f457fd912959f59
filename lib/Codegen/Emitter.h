//===- Emitter.h - Writes the program of one entry --------------*- C++ -*-===//
//
// A thin builder over the ops of core: it makes buffers, and instructions whose
// operands are windows of them. Addresses come last, by passes on core that
// know all lifetimes (Allocate.cpp).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_EMITTER_H
#define WAFERLOOM_LIB_CODEGEN_EMITTER_H

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Image/Programs.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"

namespace waferloom::codegen {

using image::Opcode;
/// The element types of the machine. Booleans are i32, 0 or 1.
using Word = image::Type;

using image::bytesOf;

/// The type that says it in IR.
mlir::Type typeOf(mlir::MLIRContext *context, Word word);

/// Names of buffers and sets that are given once each.
class SymbolNames {
public:
  /// `hint` as a symbol can have it, with a number if others have it.
  mlir::FlatSymbolRefAttr take(mlir::MLIRContext *context,
                               llvm::StringRef hint);

private:
  llvm::StringMap<unsigned> used; // and the number of the last that asked
};

/// Movement per iteration of the loop at `depth`, in bytes.
struct LoopStep {
  unsigned depth;
  int64_t bytes;
};

/// An operand: a strided window of a buffer, or an immediate scalar.
struct Ref {
  mlir::FlatSymbolRefAttr buffer;
  int64_t offset = 0; // bytes
  Word type = Word::f32;
  llvm::SmallVector<int64_t, 4> strides; // elements, one per dimension
  llvm::SmallVector<LoopStep, 2> steps;
  mlir::FlatSymbolRefAttr indexBuffer; // its i32 word selects a row
  int64_t indexOffset = 0;
  llvm::SmallVector<LoopStep, 2> indexSteps;
  int64_t indexScale = 0, indexCount = 0; // bytes, rows
  bool immediate = false;
  uint32_t bits = 0;

  bool isAbsent() const { return !buffer && !immediate; }
  static Ref constant(float value);
  static Ref constant(int32_t value);
};

/// A scalar or a dense row-major window of `buffer`.
Ref dense(mlir::FlatSymbolRefAttr buffer, Word type,
          llvm::ArrayRef<int64_t> shape, int64_t offset = 0);

/// The sets of columns and rows that have an instruction; null is all.
struct Guard {
  mlir::FlatSymbolRefAttr columns, rows;
};

/// A color, and the queue of a PE that it is bound to.
struct Channel {
  unsigned color = 0, queue = 0;
};

/// A vector that arrives `copies` times, each folded into the same elements.
struct Folded {
  core::Fold fold;
  int64_t words, copies = 1;
};

class Emitter {
public:
  /// Writes behind what `program` has. `names` are those of its region.
  Emitter(core::ProgramOp program, SymbolNames names);

  /// Scratch, unless it is said to be an input or output; called after the node
  /// unless `hint` says how.
  mlir::FlatSymbolRefAttr newBuffer(int64_t bytes,
                                    core::Use use = core::Use::scratch,
                                    llvm::StringRef hint = "");
  /// A buffer for `shape` elements, row-major.
  Ref temporary(Word type, llvm::ArrayRef<int64_t> shape);
  /// In front of the instructions, behind the buffers so far.
  void insertBinding(core::BindOp bind);

  /// dst = op(a, b, c) over `shape`; every operand has one stride per
  /// dimension. Merges dimensions that lie behind each other in all operands,
  /// and loops over what four dimensions cannot hold.
  void vector(Opcode op, llvm::ArrayRef<int64_t> shape, Ref dst, Ref a,
              Ref b = {}, Ref c = {}, Ref predicate = {});
  void loop(int64_t count, bool perEntry = false,
            image::LoopOver over = image::LoopOver::nothing);
  void endLoop();
  unsigned depth() const { return open.size(); }

  void send(Channel to, Ref a, int64_t words, Guard guard);
  void receive(Channel from, Ref dst, int64_t words, Guard guard);
  void receiveFold(Channel from, Ref dst, Folded what, Guard guard);
  void receiveFoldSend(Channel from, Channel to, Ref a, Folded what,
                       Guard guard);
  void rewrite(Guard guard);

  /// What the instructions from here on are for: the ONNX node of `location`.
  void setNode(mlir::Location location);
  /// Whether they are part of a matrix product.
  void setProduct(bool is) { product = is; }

  /// Takes away the buffers that no instruction names.
  void dropUnused();

private:
  core::OperandAttr encode(const Ref &ref, llvm::ArrayRef<int64_t> shape) const;
  mlir::DenseI64ArrayAttr shapeAttr(llvm::ArrayRef<int64_t> shape) {
    return builder.getDenseI64ArrayAttr(shape);
  }
  mlir::IntegerAttr number(int64_t value) {
    return builder.getI64IntegerAttr(value);
  }

  core::ProgramOp program;
  SymbolNames names;
  mlir::OpBuilder builder;                // behind the last instruction
  mlir::Operation *lastInFront = nullptr; // buffer or binding
  llvm::SmallVector<core::LoopOp> open;   // loops under construction
  mlir::Location node;
  std::string hint; // of buffers for it
  bool product = false;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_EMITTER_H
