// The presets. Where sources disagree, the value is the one that agrees with
// measurements of whole collectives (docs/target.md says which).
//
// Sources: WLLM = WaferLLM, OSDI'25, arXiv 2502.04563, and its published code;
// HPDC24 = Near-Optimal Wafer-Scale Reduce, arXiv 2404.15888, and its code;
// ST25 = arXiv 2204.03775; HC34, HC24 = Hot Chips 2022 and 2024; SDK = vendor's
// SDK documentation and examples; REL = its release notes; SPADA = arXiv
// 2511.09447 and its code; SPMM = github pr0f3ss/SpMM_Cerebras measurements;
// ED = public laboratory notes of CS-3 measurements (github
// happyandslow/agent-memory); SC20 = arXiv 2010.03660; SPEC = vendor's tables;
// fit = fitted to one published row (docs/target.md).

#include "Presets.h"

using namespace llvm;

namespace waferloom::target {

static constexpr StringLiteral wse2 = R"yaml(
name: wse2
width:              {value: 757,    confidence: H, source: "WLLM, HPDC24"}
height:             {value: 996,    confidence: H, source: "WLLM, HPDC24"}
user-width:         {value: 750,    confidence: H, source: "SDK examples: fabric less 7 columns"}
user-height:        {value: 994,    confidence: H, source: "SDK examples: fabric less 2 rows"}
hop:                {value: 1,      confidence: H, source: "HC34, HPDC24"}
ramp:               {value: 2,      confidence: H, source: "HPDC24"}
burst:              {value: 0,      confidence: M, source: "simulator sustains 1 word per cycle (ED)"}
colors:             {value: 21,     confidence: H, source: "SDK: 0 to 20 beside the host link"}
input-queues:       {value: 8,      confidence: H, source: "SDK"}
output-queues:      {value: 6,      confidence: H, source: "SDK"}
input-queue-words:  {value: 4,      confidence: M, source: "SDK: queues of 6, 4 and 2; the middle"}
output-queue-words: {value: 2,      confidence: M, source: "SDK: queues of 2 and 6; the shorter"}
all-colors:         {value: 24,     confidence: H, source: "SDK, SPADA"}
switch-colors:      {value: 24,     confidence: H, source: "SDK, SPADA"}
switch-positions:   {value: 4,      confidence: H, source: "SDK, SPADA"}
filters:            {value: 4,      confidence: M, source: "SPADA; REL 1.4 speaks of 6"}
link-bits:          {value: 32,     confidence: H, source: "HC34, ST25, HPDC24"}
sram:               {value: 48KiB,  confidence: H, source: "HC34, SDK"}
reserved:           {value: 4KiB,   confidence: U, source: "chosen: system, stack, tables; 3.6 KB seen in one kernel (ED)"}
instruction-bytes:  {value: 16,     confidence: U, source: "chosen"}
banks:              {value: 8,      confidence: H, source: "HC34, SDK"}
bank-bytes:         {value: 2,      confidence: H, source: "SDK: consecutive 16-bit words in consecutive banks"}
microthreads:       {value: 8,      confidence: H, source: "SDK"}
read-bytes:         {value: 16,     confidence: H, source: "HC34, ST25, HPDC24"}
write-bytes:        {value: 8,      confidence: H, source: "HC34, ST25, HPDC24"}
load-to-use:        {value: 1,      confidence: H, source: "SC20"}
max-extent:         {value: 32767,  confidence: H, source: "SDK"}
clock:              {value: 0.85,   confidence: H, source: "SDK, HPDC24, and excluded otherwise by ST25; HC34 and WLLM say 1.1"}
issue:              {value: 6,      confidence: H, source: "SPMM: 5130 cycles for 5124 elements"}
rewrite:            {value: 16,     confidence: L, source: "fit: SPMM, 22 = 16 + 6 cycles per iteration"}
forward:            {value: 1,      confidence: L, source: "HPDC24: depth costs 2 T_R + 1"}
launch:             {value: 50,     confidence: L, source: "fit: HPDC24 chain of 512 x 4096 takes 7218"}
integer-divide:     {value: 20,     confidence: U, source: "chosen"}
fma-f32:            {value: 1,      confidence: H, source: "not in SDK's SIMD table; SPMM, ST25"}
fma-f16:            {value: 4,      confidence: H, source: "SDK, HC34"}
fma-mixed:          {value: 2,      confidence: H, source: "SDK"}
mul-f32:            {value: 1,      confidence: M, source: "not in SDK's SIMD table; ST25 agrees"}
mul-f16:            {value: 4,      confidence: H, source: "SDK"}
add-f32:            {value: 2,      confidence: H, source: "SDK"}
add-f16:            {value: 4,      confidence: H, source: "SDK"}
max-f32:            {value: 1,      confidence: H, source: "SDK; compare chosen alike"}
max-f16:            {value: 1,      confidence: H, source: "SDK; compare chosen alike"}
mov-32:             {value: 2,      confidence: H, source: "SDK; select chosen alike"}
mov-16:             {value: 4,      confidence: H, source: "SDK; select chosen alike"}
convert:            {value: 1,      confidence: H, source: "SDK"}
integer:            {value: 1,      confidence: L, source: "SDK: 16-bit add with carry and shifts take 1"}
bits-16:            {value: 4,      confidence: H, source: "SDK: and16, or16, xor16"}
shift-16:           {value: 1,      confidence: H, source: "SDK: sll16, slr16"}
host-link:          {value: 150,    confidence: H, source: "SPEC"}
power:              {value: 22.8,   confidence: H, source: "ST25, average of a run"}
marketed-cores:     {value: 850000, confidence: H, source: "SPEC"}
)yaml";

static constexpr StringLiteral wse3 = R"yaml(
base: wse2
name: wse3
width:              {value: 762,    confidence: H, source: "WLLM, ED"}
height:             {value: 1172,   confidence: H, source: "WLLM, ED"}
user-width:         {value: 755,    confidence: L, source: "fabric less 7 columns, as wse2"}
user-height:        {value: 1170,   confidence: L, source: "fabric less 2 rows, as wse2"}
hop:                {value: 1,      confidence: H, source: "ED: exactly 1 in a line of 512"}
burst:              {value: 8,      confidence: M, source: "ED: 1.125 cycles per word on the device"}
output-queues:      {value: 8,      confidence: H, source: "SDK"}
input-queue-words:  {value: 4,      confidence: M, source: "SDK: queues of 8 and 4; the shorter"}
output-queue-words: {value: 2,      confidence: L, source: "as wse2; SDK: 8"}
switch-colors:      {value: 16,     confidence: H, source: "SDK, SPADA"}
read-bytes:         {value: 16,     confidence: M, source: "SDK: as wse2; a 512-byte cache beside it"}
clock:              {value: 1.1,    confidence: M, source: "nominal; SDK samples use 0.85, unresolved"}
launch:             {value: 10,     confidence: L, source: "fit: ED multicast"}
fma-f16:            {value: 8,      confidence: H, source: "SDK, HC24"}
fma-mixed:          {value: 4,      confidence: H, source: "SDK"}
mul-f16:            {value: 8,      confidence: H, source: "SDK"}
add-f32:            {value: 4,      confidence: H, source: "SDK"}
add-f16:            {value: 8,      confidence: H, source: "SDK"}
max-f32:            {value: 4,      confidence: H, source: "SDK; compare chosen alike"}
max-f16:            {value: 8,      confidence: H, source: "SDK; compare chosen alike"}
mov-32:             {value: 4,      confidence: H, source: "SDK; select chosen alike"}
mov-16:             {value: 8,      confidence: H, source: "SDK; select chosen alike"}
convert:            {value: 4,      confidence: H, source: "SDK"}
integer:            {value: 4,      confidence: L, source: "SDK: shifts take 4 per cycle, add with carry 8"}
bits-16:            {value: 8,      confidence: H, source: "SDK: and16, or16, xor16"}
shift-16:           {value: 4,      confidence: H, source: "SDK: sll16, slr16"}
power:              {value: 23,     confidence: H, source: "SPEC"}
marketed-cores:     {value: 900000, confidence: H, source: "SPEC; 970,000 physical"}
)yaml";

ArrayRef<Preset> presets() {
  static const Preset all[] = {
      {"wse2", "second wafer-scale engine, as its simulator runs", wse2},
      {"wse3", "third wafer-scale engine, with the device's stream rate", wse3},
  };
  return all;
}

} // namespace waferloom::target
