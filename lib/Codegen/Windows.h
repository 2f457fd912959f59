//===- Windows.h - What strided windows cost to read ------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_WINDOWS_H
#define WAFERLOOM_LIB_CODEGEN_WINDOWS_H

#include "Emitter.h"
#include "waferloom/Machine/MachineModel.h"

#include "llvm/ADT/STLExtras.h"

namespace waferloom::codegen {

/// An operand that moves with a loop costs a descriptor rewrite.
inline bool moves(const Ref &ref) {
  return !ref.steps.empty() || ref.indexBuffer;
}

inline int64_t elements(llvm::ArrayRef<int64_t> extents) {
  return llvm::product_of(extents);
}

/// Elements that a vector instruction over the operand's own loops takes.
inline llvm::SmallVector<int64_t> ownExtents(llvm::ArrayRef<int64_t> extents,
                                             const Ref &ref) {
  llvm::SmallVector<int64_t> own;
  for (auto [extent, stride] : llvm::zip_equal(extents, ref.strides))
    own.push_back(stride == 0 ? 1 : extent);
  return own;
}

/// Elements per cycle that the innermost stride of `ref` allows (E17).
inline int64_t strideLimit(llvm::ArrayRef<int64_t> extents, const Ref &ref) {
  for (size_t loop = extents.size(); loop-- > 0;) {
    if (extents[loop] == 1)
      continue;
    return machine::MachineModel::getStrideLimit(ref.strides[loop] *
                                                 bytesOf(ref.type));
  }
  return machine::MachineModel::unlimited;
}

/// Cycles of one instruction over `count` elements.
inline int64_t cyclesOf(const image::TargetT &target, int64_t count,
                        int64_t rate, bool isMoving = false) {
  return machine::MachineModel(target).getInstructionCycles(count, rate,
                                                            isMoving);
}

inline bool isSame(const Ref &a, const Ref &b) {
  return !a.immediate && a.buffer == b.buffer && a.offset == b.offset;
}

inline Ref at(Ref ref, size_t loop, int64_t index) {
  ref.offset += index * ref.strides[loop] * bytesOf(ref.type);
  return ref;
}

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_WINDOWS_H
