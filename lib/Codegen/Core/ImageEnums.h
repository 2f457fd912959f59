// The core dialect's enumerations are the image's.

#ifndef WAFERLOOM_LIB_CODEGEN_CORE_IMAGEENUMS_H
#define WAFERLOOM_LIB_CODEGEN_CORE_IMAGEENUMS_H

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Format/Mirrored.h"
#include "waferloom/Image/Image_generated.h"

WAFERLOOM_MIRRORS(waferloom::core::Opcode, waferloom::image::Opcode)
WAFERLOOM_MIRRORS(waferloom::core::Fold, waferloom::image::Opcode)
WAFERLOOM_MIRRORS(waferloom::core::Role, waferloom::image::Role)
WAFERLOOM_MIRRORS(waferloom::core::Side, waferloom::image::Side)
WAFERLOOM_MIRRORS(waferloom::core::PackedPart, waferloom::image::PackedPart)
WAFERLOOM_MIRRORS(waferloom::core::Axis, waferloom::image::Axis)
WAFERLOOM_MIRRORS(waferloom::core::Fallback, waferloom::image::Default)
WAFERLOOM_MIRRORS(waferloom::core::LoopOver, waferloom::image::LoopOver)

namespace waferloom {

#define VECTOR_OPCODE(name) WAFERLOOM_SAME(core::Opcode, image::Opcode, name)
#define FOLD(name) WAFERLOOM_SAME(core::Fold, image::Opcode, name)
#define ROLE(name) WAFERLOOM_SAME(core::Role, image::Role, name)
#define SIDE(name) WAFERLOOM_SAME(core::Side, image::Side, name)
#define PACKED_PART(name)                                                      \
  WAFERLOOM_SAME(core::PackedPart, image::PackedPart, name)
#define AXIS(name) WAFERLOOM_SAME(core::Axis, image::Axis, name)
#define FALLBACK(name) WAFERLOOM_SAME(core::Fallback, image::Default, name)
#define LOOP_OVER(name) WAFERLOOM_SAME(core::LoopOver, image::LoopOver, name)
#include "waferloom/Image/Enumerations.def"

// Neither has a value that the list lacks.
constexpr int listedOpcodes = 0
#define VECTOR_OPCODE(name) +1
#include "waferloom/Image/Enumerations.def"
    ;
constexpr int listedRoles = 0
#define ROLE(name) +1
#include "waferloom/Image/Enumerations.def"
    ;
constexpr int listedSides = 0
#define SIDE(name) +1
#include "waferloom/Image/Enumerations.def"
    ;
constexpr int listedAxes = 0
#define AXIS(name) +1
#include "waferloom/Image/Enumerations.def"
    ;
constexpr int listedPackedParts = 0
#define PACKED_PART(name) +1
#include "waferloom/Image/Enumerations.def"
    ;
static_assert(core::getMaxEnumValForPackedPart() + 1 == listedPackedParts &&
              static_cast<int>(image::PackedPart::MAX) + 1 ==
                  listedPackedParts);
constexpr int listedFallbacks = 0
#define FALLBACK(name) +1
#include "waferloom/Image/Enumerations.def"
    ;
constexpr int listedLoopOvers = 0
#define LOOP_OVER(name) +1
#include "waferloom/Image/Enumerations.def"
    ;
static_assert(core::getMaxEnumValForLoopOver() + 1 == listedLoopOvers &&
              static_cast<int>(image::LoopOver::MAX) + 1 == listedLoopOvers);
static_assert(core::getMaxEnumValForOpcode() + 1 == listedOpcodes &&
              static_cast<int>(image::Opcode::send) == listedOpcodes);
static_assert(core::getMaxEnumValForRole() + 1 == listedRoles &&
              static_cast<int>(image::Role::MAX) + 1 == listedRoles);
static_assert(core::getMaxEnumValForSide() + 1 == listedSides &&
              static_cast<int>(image::Side::MAX) + 1 == listedSides);
static_assert(core::getMaxEnumValForAxis() + 1 == listedAxes &&
              static_cast<int>(image::Axis::MAX) + 1 == listedAxes);
static_assert(core::getMaxEnumValForFallback() + 1 == listedFallbacks &&
              static_cast<int>(image::Default::MAX) + 1 == listedFallbacks);

} // namespace waferloom

#endif // WAFERLOOM_LIB_CODEGEN_CORE_IMAGEENUMS_H
