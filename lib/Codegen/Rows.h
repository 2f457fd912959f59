//===- Rows.h - A sum of products, one fma per row --------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_ROWS_H
#define WAFERLOOM_LIB_CODEGEN_ROWS_H

#include "Sums.h"
#include "Windows.h"

namespace waferloom::codegen {

/// One fma per element of `scalar`, each over the other loops.
struct Scalars {
  const Sum &sum;
  const Ref &scalar, &vector;

  int64_t times = 1;                 ///< fmas
  llvm::SmallVector<size_t> outer;   ///< loops of the scalar
  llvm::SmallVector<int64_t> inner;  ///< extents of the others
  llvm::SmallVector<size_t> innerOf; ///< and which they are
  bool foldsInside = false;

  Scalars(const Sum &sum, const Ref &scalar, const Ref &vector)
      : sum(sum), scalar(scalar), vector(vector) {
    for (auto [loop, extent] : llvm::enumerate(sum.extents)) {
      if (extent == 1)
        continue;
      if (scalar.strides[loop] != 0) {
        times *= extent;
        outer.push_back(loop);
        continue;
      }
      inner.push_back(extent);
      innerOf.push_back(loop);
      foldsInside |= sum.dst.strides[loop] == 0;
    }
  }

  Ref over(const Ref &ref) const {
    Ref result = ref;
    result.strides.clear();
    for (size_t loop : innerOf)
      result.strides.push_back(ref.strides[loop]);
    return result;
  }
  int64_t rate() const { return rate(vector); }
  int64_t rate(const Ref &vector) const {
    int64_t most =
        machine::MachineModel(sum.target)
            .getRate(Opcode::fma, sum.dst.type, sum.dst.type, scalar.type);
    if (foldsInside)
      return 1;
    return std::min({most, strideLimit(inner, over(vector)),
                     strideLimit(inner, over(sum.dst))});
  }
  /// Without what setting the sum to its beginning costs.
  int64_t loopCycles() const {
    return times * cyclesOf(sum.target, elements(inner), rate(), times > 1);
  }
  /// What a copy of the vector and the rows that read it take, if the loops of
  /// the copy lie in `order`.
  int64_t rowCycles(llvm::ArrayRef<size_t> order) const {
    return times * cyclesOf(sum.target, elements(inner),
                            rate(laid(vector, order)), moves(sum.dst)) +
           copyCycles(vector, order);
  }
  int64_t copyCycles(const Ref &ref, llvm::ArrayRef<size_t> order) const {
    if (!moves(ref))
      return 0;
    int64_t rate =
        machine::MachineModel(sum.target).getRate(Opcode::mov, ref.type);
    auto [own, from, to] = copyOf(ref, order);
    for (const Ref *each : {&from, &to})
      rate = std::min(rate, strideLimit(own, *each));
    return cyclesOf(sum.target, elements(own), rate, true);
  }
  Ref settled(const Ref &ref, llvm::ArrayRef<size_t> order) const;
  /// All loops, the outermost first: as the elements of `ref` lie; as the rows
  /// read them; the better one for the vector.
  llvm::SmallVector<size_t> asItLies(const Ref &ref) const;
  llvm::SmallVector<size_t> asItIsRead() const;
  llvm::SmallVector<size_t> bestOrder() const;
  /// `ref` where it is copied to, with its loops in `order`.
  Ref laid(const Ref &ref, llvm::ArrayRef<size_t> order) const;
  struct Copy {
    llvm::SmallVector<int64_t> shape;
    Ref from, to;
  };
  /// A copy as an instruction: the innermost loop of what is read last.
  Copy copyOf(const Ref &ref, llvm::ArrayRef<size_t> order) const;
  void emitLoop() const;
  /// `copies`: the vector first, if it moves.
  void emitSequence(bool copies) const;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_ROWS_H
