// The parts of the checker. Each checks the rules of docs/image-format.md that
// its comment names; later parts rely on what earlier ones have checked.

#ifndef WAFERLOOM_LIB_IMAGE_CHECK_H
#define WAFERLOOM_LIB_IMAGE_CHECK_H

#include "waferloom/Image/Image.h"
#include "waferloom/Image/Programs.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FormatVariadic.h"

namespace waferloom::image {

/// "I7: regions[0]: what". Everything that is checked has a path from the root.
llvm::Error violation(unsigned rule, const llvm::Twine &where,
                      const llvm::Twine &what);

/// I34: different columns x different rows x instructions (or colors).
inline constexpr uint64_t mostPairs = uint64_t(1) << 28;

/// I6, I7, I33, I35, I36: entries, what is said of rewrites and bounds, and all
/// texts.
llvm::Error checkEntries(const ImageT &image);
llvm::Error checkRewrites(const ImageT &image);
llvm::Error checkTexts(const ImageT &image);

/// A stretch of addresses, [begin, end).
struct Extent {
  int64_t begin = 0, end = 0;

  bool meets(const Extent &other) const {
    return begin < other.end && other.begin < end;
  }
};

/// All bytes that an operand may touch, over all loop iterations and indices.
/// `counts` are the iterations of the loops around, outermost first.
Extent extentOf(const OperandT &operand, llvm::ArrayRef<uint32_t> shape,
                llvm::ArrayRef<uint32_t> counts);

/// Bytes of a binding's local shard on one PE; 0 when they exceed `limit`.
uint64_t shardBytes(const BindingT &binding, uint64_t limit);

/// I12 to I21, I38: shapes, operands, types, addresses, colors, live dimensions
/// of one program.
llvm::Error checkInstructions(const ImageT &image, const RegionT &region,
                              const ProgramT &program,
                              const std::string &where);

/// I22, I23: microthreads of one program.
llvm::Error checkThreads(const RegionT &region, const ProgramT &program,
                         const ProgramTable &table, const std::string &where);

/// I24, I34: routes of one program.
llvm::Error checkRoutes(const ImageT &image, const RegionT &region,
                        const ProgramT &program, const std::string &where);

/// I25 to I29: bindings of a region and its programs.
llvm::Error checkBindings(const ImageT &image, const RegionT &region,
                          const std::string &where);

/// Whether some PE of the region has a class in both sets.
bool setsMeet(const RegionT &region, uint32_t a, uint32_t b);

} // namespace waferloom::image

#endif // WAFERLOOM_LIB_IMAGE_CHECK_H
