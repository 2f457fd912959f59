// What no program of the same layouts can be below, for readers
// (docs/mapping.md, Bounds).

#ifndef WAFERLOOM_REPORT_BOUNDS_H
#define WAFERLOOM_REPORT_BOUNDS_H

#include "waferloom/Image/Image.h"
#include "llvm/Support/JSON.h"
#include <cstdint>
#include <optional>
#include <string>

namespace waferloom::report {

/// "at least 91,547 cycles, 60,312 for its wires alone; each of 32 layers 2,700
/// and 1,800", and how many times the first `counted` cycles are. Empty where
/// the image does not know.
std::string boundsOf(const image::EntryT &entry,
                     std::optional<uint64_t> counted = std::nullopt);

/// {wires, hard, products, pace, layers, layer_wires, layer_hard,
/// layer_products}, in cycles; null where the image does not know.
llvm::json::Value boundsToJson(const image::EntryT &entry);

/// The same of every entry that has some, and its name and tokens.
llvm::json::Array boundsToJson(const image::ImageT &image);

} // namespace waferloom::report

#endif // WAFERLOOM_REPORT_BOUNDS_H
