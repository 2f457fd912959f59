#include "waferloom/Target/ImageTarget.h"

namespace waferloom::target {

std::unique_ptr<image::TargetT> toImage(const Target &target) {
  auto to = std::make_unique<image::TargetT>();
  to->name = target.name;
  to->width = target.width;
  to->height = target.height;
  to->sram_bytes = target.sram;
  to->reserved_bytes = target.reserved;
  to->instruction_bytes = target.instructionBytes;
  to->banks = target.banks;
  to->bank_bytes = target.bankBytes;
  to->clock_ghz = target.clock;
  to->hop_cycles = target.hop;
  to->ramp_cycles = target.ramp;
  to->issue_cycles = target.issue;
  to->rewrite_cycles = target.rewrite;
  to->forward_cycles = target.forward;
  to->launch_cycles = target.launch;
  to->integer_divide_cycles = target.integerDivide;
  to->words_per_burst = target.burst;
  to->colors = target.colors;
  to->input_queues = target.inputQueues;
  to->output_queues = target.outputQueues;
  to->input_queue_words = target.inputQueueWords;
  to->output_queue_words = target.outputQueueWords;
  to->microthreads = target.microthreads;
  to->rate_fma_f32 = target.fmaF32;
  to->rate_fma_f16 = target.fmaF16;
  to->rate_fma_mixed = target.fmaMixed;
  to->rate_mul_f32 = target.mulF32;
  to->rate_mul_f16 = target.mulF16;
  to->rate_add_f32 = target.addF32;
  to->rate_add_f16 = target.addF16;
  to->rate_max_f32 = target.maxF32;
  to->rate_max_f16 = target.maxF16;
  to->rate_mov_32 = target.mov32;
  to->rate_mov_16 = target.mov16;
  to->rate_convert = target.convert;
  to->rate_integer = target.integer;
  to->rate_bits_16 = target.bits16;
  to->rate_shift_16 = target.shift16;
  return to;
}

} // namespace waferloom::target
