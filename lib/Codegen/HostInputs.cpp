#include "HostInputs.h"
#include "waferloom/Dialect/Wafer/HostInputs.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;

namespace {
/// How the host takes an input, below which limit, and from which number on.
struct Reading {
  core::Fallback fallback;
  int64_t limit = 0, least = 0;
};
} // namespace

/// Beams have a limit, which is what makes them no input that is ignored.
static Reading readingOf(const wafer::HostInput &input) {
  if (input.use == "beams")
    return {core::Fallback::ignored, input.type.getDimSize(0), 0};
  if (input.use == "no" || input.use == "yes") {
    const int64_t value = input.use == "yes";
    return {core::Fallback::fixed, value + 1, value};
  }
  return {input.use == "ones" ? core::Fallback::only_ones
                              : *core::symbolizeFallback(input.use)};
}

static void createInput(OpBuilder &builder, StringAttr name,
                        const Reading &reading) {
  core::InputOp::create(
      builder, builder.getUnknownLoc(), name,
      core::FallbackAttr::get(builder.getContext(), reading.fallback),
      builder.getI64IntegerAttr(reading.limit),
      builder.getI64IntegerAttr(reading.least), UnitAttr());
}

void codegen::createHostInputs(OpBuilder &builder, wafer::EntryOp facts) {
  for (const wafer::HostInput &input : wafer::getHostInputs(facts))
    createInput(builder, input.name, readingOf(input));
}

void codegen::createIgnored(OpBuilder &builder, core::EntryOp entry,
                            wafer::ProgramOp program) {
  ArrayAttr inputs = program.getInputsAttr();
  if (!inputs)
    return;
  for (auto facts : inputs.getAsRange<wafer::ModelTensorAttr>())
    if (llvm::none_of(entry.getBody().getOps<core::InputOp>(),
                      [&](core::InputOp input) {
                        return input.getNameAttr() == facts.getName();
                      }))
      createInput(builder, facts.getName(), {core::Fallback::ignored});
}

bool codegen::isWholeInput(wafer::ProgramOp program, StringRef name,
                           ArrayRef<int64_t> shape) {
  if (!program.getInputsAttr() || !program.getContext() || shape.size() < 2)
    return false;
  const auto context = static_cast<int64_t>(*program.getContext());
  for (auto facts :
       program.getInputsAttr().getAsRange<wafer::ModelTensorAttr>()) {
    ArrayAttr dims = facts.getShape();
    if (facts.getName() != name || dims.size() != shape.size() ||
        !isa<IntegerAttr>(dims[1]))
      continue;
    bool isOwn = false, isNamed = false;
    for (auto [dim, size] : llvm::drop_begin(llvm::zip_equal(dims, shape)))
      (isa<IntegerAttr>(dim) ? isOwn : isNamed) |= size == context;
    return isOwn && !isNamed;
  }
  return false;
}
