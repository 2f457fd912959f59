//===- SideBySide.h - Buffers at fixed distances ----------------*- C++ -*-===//
//
// Scratch buffers of a program that shall lie at fixed distances from each
// other, so that one operand reaches elements of several. Groups grow while a
// pass looks for what belongs together; in the end each becomes one buffer.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_SIDEBYSIDE_H
#define WAFERLOOM_LIB_CODEGEN_SIDEBYSIDE_H

#include "waferloom/Dialect/Core/Core.h"

namespace waferloom::codegen {

/// Copies are cheap: one tries with a copy and keeps what it liked.
class SideBySide {
public:
  /// Each buffer by itself. What the host reads or writes stays so.
  explicit SideBySide(core::ProgramOp program);

  /// Bytes from the begin of `a` to that of `b`, where that is settled.
  std::optional<int64_t> distance(mlir::FlatSymbolRefAttr a,
                                  mlir::FlatSymbolRefAttr b) const;
  /// The least distance at which all that is settled around `b` lies behind all
  /// that is around `a`; none if one of them cannot move or they are settled.
  std::optional<int64_t> leastDistance(mlir::FlatSymbolRefAttr a,
                                       mlir::FlatSymbolRefAttr b) const;
  /// Settles the distance from `a` to `b`. False, and nothing has changed, if
  /// it is settled or cannot be so.
  bool settle(mlir::FlatSymbolRefAttr a, mlir::FlatSymbolRefAttr b,
              int64_t distance);

  /// Makes one buffer of every group, and lets all instructions name it.
  void apply() const;

private:
  /// A buffer's group, and where in it the buffer begins.
  struct Place {
    unsigned group;
    int64_t at;
  };
  /// From the first to behind the last byte of a group, as `at` counts.
  std::pair<int64_t, int64_t> rangeOf(unsigned group) const;
  std::optional<unsigned> find(mlir::FlatSymbolRefAttr name) const;

  /// What all copies share.
  struct Movable {
    llvm::SmallVector<core::BufferOp> buffers;
    llvm::SmallVector<int64_t> bytes; // of each
    llvm::DenseMap<mlir::Attribute, unsigned> byName;
  };
  core::ProgramOp program;
  std::shared_ptr<const Movable> movable;
  std::vector<Place> places; // of each movable buffer
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_SIDEBYSIDE_H
