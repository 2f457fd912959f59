// One violation for each rule of docs/image-format.md.

#include "waferloom/Image/Image.h"
#include "ImageSample.h"
#include "waferloom/Image/Programs.h"
#include "gtest/gtest.h"
#include <functional>

using namespace waferloom;
using namespace waferloom::test;

/// A second entry that shares the code of the first.
static void twice(Builder &b) {
  auto entry = std::make_unique<EntryT>(*b.image.entries.front());
  entry->name += " again";
  b.image.entries.push_back(std::move(entry));
  b.region().programs.push_back(std::make_unique<ProgramT>(b.program()));
  b.region().programs.back()->shares = 1;
}

static std::string problem(const Builder &b) {
  llvm::Error error = check(b.image, b.data.size());
  return error ? toString(std::move(error)) : "no error";
}

/// Makes the sample's weight one of packed integers.
static PackingT &packed(Builder &b) {
  BindingT &binding = *b.region().bindings[0];
  binding.type = Type::f16;
  binding.packing = std::make_unique<PackingT>();
  PackingT &packing = *binding.packing;
  packing.bits = 8;
  packing.rows = 1;
  packing.columns = packing.size = 5;
  packing.groups = {2};
  return packing;
}

TEST(Image, APackedWeightIsAccepted) {
  Builder b = sample();
  packed(b);
  EXPECT_EQ(problem(b), "no error");
}

TEST(Image, TheSampleIsAccepted) { EXPECT_EQ(problem(sample()), "no error"); }

namespace {
struct Violation {
  unsigned rule;
  const char *what;
  std::function<void(Builder &)> change;
};
} // namespace

static InstructionT &instruction(Builder &b, size_t i) {
  return *b.program().instructions[i];
}

static const Violation violations[] = {
    {1, "version is 1", [](Builder &b) { b.image.version = 1; }},
    {2, "no target", [](Builder &b) { b.image.target.reset(); }},
    {2, "banks is 0", [](Builder &b) { b.image.target->banks = 0; }},
    {2, "clock", [](Builder &b) { b.image.target->clock_ghz = -1; }},
    {3, "missing", [](Builder &b) { b.region().sets[1].reset(); }},
    {4, "exceed the data", [](Builder &b) { b.image.sources[0]->bytes = 21; }},
    {4, "exceed the data",
     [](Builder &b) { b.image.sources[0]->offset = UINT64_MAX - 3; }},
    {4, "of shapes only but has",
     [](Builder &b) { b.image.shape_only = true; }},
    {5, "first name", [](Builder &b) { b.image.names[0] = "x"; }},
    {5, "node 9 of 3", [](Builder &b) { instruction(b, 0).node = 9; }},
    {6, "no entry", [](Builder &b) { b.image.entries.clear(); }},
    {6, "no entry for a step of a session of 0 tokens",
     [](Builder &b) { b.image.entries[0]->from = 1; }},
    {6, "no entry for a step of a session of 2 tokens",
     [](Builder &b) { b.image.entries[0]->until = 2; }},
    {6, "11 tokens", [](Builder &b) { b.image.entries[0]->tokens = 11; }},
    {6, "'out' has 12 elements but 0",
     [](Builder &b) { b.program().outputs.clear(); }},
    {6, "on no PE",
     [](Builder &b) {
       b.program().inputs.clear();
       b.image.entries[0]->tensors.erase(b.image.entries[0]->tensors.begin());
     }},
    {6, "is for the host alone, but is on PEs",
     [](Builder &b) {
       b.image.entries[0]->inputs[0]->fallback = Default::only_ones;
     }},
    {6, "tensor 'out': is of 'uint8' for the host, which is no type of its",
     [](Builder &b) { b.image.entries[0]->tensors[1]->host = "uint8"; }},
    {6, "tensor 'out': is of 'int7' for the host",
     [](Builder &b) { b.image.entries[0]->tensors[1]->host = "int7"; }},
    {6, "tensor 'in': has no elements",
     [](Builder &b) { b.image.entries[0]->tensors[0]->shape = {0, 4}; }},
    {6, "tensor 'out': has no elements",
     [](Builder &b) { b.image.entries[0]->tensors[1]->shape[1] = 0; }},
    {6, "is for the host alone, but is on PEs",
     [](Builder &b) {
       b.image.entries[0]->inputs[0]->fallback = Default::ignored;
     }},
    {7, "unknown operation",
     [](Builder &b) { instruction(b, 0).op = Opcode(77); }},
    {7, "over something unknown",
     [](Builder &b) { instruction(b, 4).over = LoopOver(9); }},
    {7, "dst has an unknown type",
     [](Builder &b) { instruction(b, 1).dst->type = Type(9); }},
    {8, "no region", [](Builder &b) { b.image.regions.clear(); }},
    {8, "do not lie on the fabric", [](Builder &b) { b.region().x = 1; }},
    {8, "overlaps regions[0]",
     [](Builder &b) {
       b.image.regions.push_back(
           std::make_unique<RegionT>(*b.image.regions[0]));
     }},
    {9, "classes for 2 lines",
     [](Builder &b) { b.region().columns[0]->classes.pop_back(); }},
    {9, "at least 12", [](Builder &b) { b.region().columns[0]->repeats = 4; }},
    {9, "class 3 of 3",
     [](Builder &b) { b.region().columns[0]->classes[1] = 3; }},
    {9, "a run is empty",
     [](Builder &b) {
       b.region().columns.push_back(std::make_unique<image::RunT>());
       b.region().columns.back()->repeats = UINT32_MAX;
     }},
    {9, "a run is empty",
     [](Builder &b) {
       b.region().rows.push_back(std::make_unique<image::RunT>());
       b.region().rows.back()->classes = {0};
     }},
    {32, "2x1 stages do not divide 3x2",
     [](Builder &b) { b.region().stages_x = 2; }},
    {32, "0x1 stages", [](Builder &b) { b.region().stages_x = 0; }},
    {33, "another rewrite",
     [](Builder &b) {
       for (int i = 0; i < 2; ++i)
         b.image.rewrites.push_back(std::make_unique<RewriteT>());
     }},
    {33, "was not measured but has cycles",
     [](Builder &b) {
       b.image.rewrites.push_back(std::make_unique<RewriteT>());
       b.image.rewrites.back()->worth = Worth::unfit;
       b.image.rewrites.back()->cycles = 7;
     }},
    {7, "unknown worth",
     [](Builder &b) {
       b.image.rewrites.push_back(std::make_unique<RewriteT>());
       b.image.rewrites.back()->worth = Worth(9);
     }},
    {10, "sets[0]", [](Builder &b) { b.region().sets[0]->words = {1}; }},
    {10, "an instruction names a set beyond the last, 3",
     [](Builder &b) { instruction(b, 0).rows = 4; }},
    {10, "a route", [](Builder &b) { b.program().routes[0]->columns = 1000; }},
    {11, "0 programs", [](Builder &b) { b.region().programs.clear(); }},
    {12, "repeats 3", [](Builder &b) { instruction(b, 4).body = 3; }},
    {12, "2^31", [](Builder &b) { instruction(b, 4).count = 3'000'000'000u; }},
    {12, "inside a loop", [](Builder &b) { instruction(b, 4).body = 2; }},
    {13, "dimension without",
     [](Builder &b) { instruction(b, 1).shape = {0}; }},
    {13, "5 dimensions",
     [](Builder &b) { instruction(b, 1).shape = {1, 1, 1, 1, 1}; }},
    {14, "b is missing", [](Builder &b) { instruction(b, 1).b.reset(); }},
    {14, "c is not taken",
     [](Builder &b) {
       instruction(b, 1).c = std::make_unique<OperandT>(at(0));
     }},
    {14, "dst is an immediate",
     [](Builder &b) { instruction(b, 1).dst->immediate = true; }},
    {14, "has a predicate",
     [](Builder &b) {
       instruction(b, 0).predicate =
           std::make_unique<OperandT>(at(0, 0, Type::i32));
     }},
    {15, "2 strides",
     [](Builder &b) { instruction(b, 1).a->strides = {1, 1}; }},
    {16, "multiple of", [](Builder &b) { instruction(b, 1).a->base = 513; }},
    {16, "whole elements",
     [](Builder &b) { instruction(b, 5).b->steps = {LoopStep(0, 6)}; }},
    {16, "not aligned",
     [](Builder &b) { instruction(b, 5).c->index_scale = 5; }},
    {17, "moves with loop 1",
     [](Builder &b) { instruction(b, 5).b->steps = {LoopStep(1, 16)}; }},
    {18, "reaches from 1012 to 1028",
     [](Builder &b) { instruction(b, 1).a->base = 1012; }},
    {18, "reaches from -4",
     [](Builder &b) {
       instruction(b, 1).a->base = 8;
       instruction(b, 1).a->strides = {-1};
     }},
    {18, "moves 3 times",
     [](Builder &b) { instruction(b, 5).b->steps = {LoopStep(0, 1024)}; }},
    {18, "elements 1000000 apart",
     [](Builder &b) { instruction(b, 1).a->strides = {1000000}; }},
    {18, "reaches from 192 to 1196",
     [](Builder &b) { instruction(b, 5).c->index_count = 251; }},
    {19, "no value to take",
     [](Builder &b) { instruction(b, 5).c->index_count = 0; }},
    {19, "has its index at 1024",
     [](Builder &b) { instruction(b, 5).c->index_at = 1024; }},
    {20, "types", [](Builder &b) { instruction(b, 1).a->type = Type::i32; }},
    {20, "c is not a scalar",
     [](Builder &b) { instruction(b, 5).c->strides = {1}; }},
    {20, "predicate",
     [](Builder &b) { instruction(b, 5).predicate->type = Type::f32; }},
    {21, "color 30", [](Builder &b) { instruction(b, 0).out_color = 30; }},
    {21, "queue 8", [](Builder &b) { instruction(b, 3).in_queue = 8; }},
    {21, "folds",
     [](Builder &b) {
       instruction(b, 3).op = Opcode::recv_fold;
       instruction(b, 3).fold = Opcode::mul;
     }},
    {22, "microthread 8; the target has 8",
     [](Builder &b) { instruction(b, 0).thread = 8; }},
    {22, "not in flight", [](Builder &b) { instruction(b, 2).thread = 0; }},
    {22, "nobody waits for",
     [](Builder &b) { instruction(b, 2).op = Opcode::rewrite; }},
    {22, "still in flight", [](Builder &b) { instruction(b, 1).thread = 1; }},
    {23, "memory that microthread 1",
     [](Builder &b) { instruction(b, 1).dst->base = 8; }},
    {23, "a color that microthread 1",
     [](Builder &b) {
       instruction(b, 1).op = Opcode::send;
       instruction(b, 1).dst.reset();
       instruction(b, 1).b.reset();
     }},
    {24, "color 21", [](Builder &b) { b.program().routes[0]->color = 21; }},
    {24, "no input", [](Builder &b) { b.program().routes[0]->inputs.clear(); }},
    {24, "goes back",
     [](Builder &b) { b.program().routes[1]->outputs = 8 | 4; }},
    {24, "without an end",
     [](Builder &b) {
       b.program().routes[1]->inputs.push_back(Turn(Side::ramp, 0));
     }},
    {24, "same color", [](Builder &b) { b.program().routes[1]->columns = 0; }},
    {25, "6 live",
     [](Builder &b) {
       b.region().bindings[0]->dims[0]->live = 6;
       b.region().bindings[0]->dims[0]->digits[0] = Digit(Axis::x, 2, 1);
     }},
    {25, "more than the 3 lines",
     [](Builder &b) {
       b.region().bindings[0]->dims[0]->digits[0] = Digit(Axis::x, 3, 2);
     }},
    {25, "more than the 2 lines",
     [](Builder &b) {
       b.region().bindings[0]->dims[0]->digits[1] = Digit(Axis::y, 3, 1);
     }},
    {25, "exceeds the memory",
     [](Builder &b) { b.region().bindings[0]->address = 1020; }},
    {25, "multiple of", [](Builder &b) { b.program().inputs[0]->address = 2; }},
    {25, "without extent",
     [](Builder &b) {
       b.region().bindings[0]->dims[0]->digits[0] = Digit(Axis::x, 3, 0);
     }},
    {26, "source 1 of 1",
     [](Builder &b) { b.region().bindings[0]->source = 1; }},
    {26, "beyond the 5 elements",
     [](Builder &b) { b.region().bindings[0]->source_offset = 1; }},
    {26, "beyond the 5 elements",
     [](Builder &b) { b.region().bindings[0]->dims[0]->source_stride = 2; }},
    {27, "without one dimension",
     [](Builder &b) { b.region().bindings[2]->dims.clear(); }},
    {28, "wrong list",
     [](Builder &b) { b.region().bindings[0]->role = Role::input; }},
    {28, "reaches beyond the 12 elements",
     [](Builder &b) { b.program().outputs[0]->dims[0]->source_stride = 5; }},
    {28, "reaches beyond the 1 elements of 'wafer.seed'",
     [](Builder &b) {
       // Nothing names its shape, so it is that of the first binding.
       auto input = std::make_unique<EntryInputT>();
       input->name = "wafer.seed";
       b.image.entries[0]->inputs.push_back(std::move(input));
       auto seed = std::make_unique<BindingT>();
       seed->name = "wafer.seed";
       seed->role = Role::input;
       seed->dims.push_back(std::make_unique<DimT>());
       seed->dims[0]->live = 1;
       b.program().inputs.push_back(std::make_unique<BindingT>(*seed));
       seed->dims[0]->live = 2;
       seed->dims[0]->source_stride = 1;
       seed->dims[0]->digits = {Digit(Axis::none, 2, 0)};
       b.program().inputs.push_back(std::move(seed));
     }},
    {28, "is no state whose rows 'in' could move",
     [](Builder &b) {
       b.image.entries[0]->inputs[0]->fallback = Default::ignored;
       b.image.entries[0]->inputs[0]->limit = 3;
     }},
    {28, "no input of the entry",
     [](Builder &b) { b.program().inputs[0]->name = "other"; }},
    {29, "share bytes from 904",
     [](Builder &b) { b.region().bindings[1]->address = 904; }},
    {30, "exceed the 49152 bytes of SRAM",
     [](Builder &b) { b.region().memory = 45000; }},
    {31, "shares the code of program 0, which is none before it",
     [](Builder &b) { b.program().shares = 1; }},
    {31, "shares the code of program 0 but has other instructions",
     [](Builder &b) {
       twice(b);
       b.region().programs[1]->instructions[3]->shape = {3};
     }},
    {34, "16384 different columns, 1 different rows and 16391 instructions",
     [](Builder &b) {
       // As many classes as columns, and an instruction for each.
       b.image.target->width = b.region().width = 1 << 14;
       b.region().columns[0]->classes.clear();
       for (uint32_t id = 0; id < 1 << 14; ++id) {
         b.region().columns[0]->classes.push_back(id);
         b.add(Opcode::rewrite, b.set({id}), 0);
       }
     }},
    {34, "routes tell 16384 columns from 128 rows apart on 256 colors",
     [](Builder &b) {
       b.image.target->width = b.region().width = 1 << 14;
       b.image.target->height = b.region().height = 1 << 7;
       b.image.target->colors = 256;
       auto number = [](RunT &run, uint32_t lines) {
         run.classes.clear();
         for (uint32_t id = 0; id < lines; ++id)
           run.classes.push_back(id);
       };
       number(*b.region().columns[0], 1 << 14);
       number(*b.region().rows[0], 1 << 7);
       for (unsigned bit = 0; bit < 14; ++bit) {
         std::vector<uint32_t> classes;
         for (uint32_t id = 0; id < 1 << 14; ++id)
           if ((id >> bit) & 1)
             classes.push_back(id);
         RouteT &route = b.route(uint8_t(bit + 1), b.set(classes),
                                 {Turn(Side::ramp, 0)}, {Side::east});
         route.rows = route.columns; // of the rows that there are
       }
     }},
    {35, "entries[0].name: is not UTF-8 from byte 1 on: 'x\xef\xbf\xbd'",
     [](Builder &b) { b.image.entries[0]->name = "x\xff"; }},
    {35, "names[1]", [](Builder &b) { b.image.names[1] = "\xc3("; }},
    {35, "inputs[0].name",
     [](Builder &b) { b.image.entries[0]->inputs[0]->name = "\x80"; }},
    {35, "bindings[1].name",
     [](Builder &b) { b.region().bindings[1]->name = "\xed\xa0\x80"; }},
    {35, "target.name",
     [](Builder &b) { b.image.target->name = "\xf8\x88\x80\x80"; }},
    {7, "unknown part",
     [](Builder &b) { packed(b).part = static_cast<PackedPart>(9); }},
    {37, "neither 2, 4 nor 8 bits", [](Builder &b) { packed(b).bits = 3; }},
    {37, "no rows", [](Builder &b) { packed(b).columns = 0; }},
    {37, "of a format that PEs do not unpack",
     [](Builder &b) { packed(b).part = PackedPart::zeros; }},
    {37, "of a type that its part has not",
     [](Builder &b) {
       packed(b);
       b.region().bindings[0]->type = Type::f32;
     }},
    {37, "not one group for each dimension",
     [](Builder &b) { packed(b).groups = {1, 1}; }},
    {37, "groups of 0", [](Builder &b) { packed(b).groups = {0}; }},
    {37, "groups of 4 in a shard of 2",
     [](Builder &b) { packed(b).groups = {4}; }},
    {37, "is packed but no parameter",
     [](Builder &b) {
       packed(b);
       b.region().bindings[0]->role = Role::state;
     }},
    {26, "reads 32 bytes of source 'weight', which has 20",
     [](Builder &b) { packed(b).size = 32; }},
    {26, "beyond the 4 elements",
     [](Builder &b) {
       PackingT &packing = packed(b);
       packing.columns = packing.size = 4;
     }},
    {36, "entries[0] bounds: have layer_hard of 9 cycles, more than hard, 8",
     [](Builder &b) {
       BoundsT bounds;
       bounds.hard = 8;
       bounds.layer_hard = 9;
       b.image.entries[0]->bounds = std::make_unique<BoundsT>(bounds);
     }},
    {36, "entries[0] bounds: have a floor of 7 cycles, less than hard or than",
     [](Builder &b) {
       b.image.entries[0]->bounds = std::make_unique<BoundsT>();
       b.image.entries[0]->bounds->hard = 8;
       b.image.entries[0]->bounds->floor = 7;
     }},
    {36, "63 bits",
     [](Builder &b) {
       b.image.entries[0]->bounds = std::make_unique<BoundsT>();
       b.image.entries[0]->bounds->hard = UINT64_MAX;
     }},
    {38,
     "1 instructions end with the live slots of a cache, but all PEs "
     "rewrite 0 descriptors before the first",
     [](Builder &b) { instruction(b, 1).live_parts = 2; }},
};

/// All positions differ, but no instruction cares: few pairs are looked at.
TEST(Image, ManyClassesCostLittle) {
  Builder b(1, 1);
  b.vector(Opcode::mov, 0, 1, at(0), at(4));
  const uint32_t lines = 20'000;
  b.image.target->width = b.image.target->height = lines;
  b.region().width = b.region().height = lines;
  for (auto *runs : {&b.region().columns, &b.region().rows}) {
    runs->front()->classes.clear();
    for (uint32_t id = 0; id < lines; ++id)
      runs->front()->classes.push_back(id);
  }
  b.program().instructions[0]->columns = b.set({7, 19'999});
  EXPECT_EQ(problem(b), "no error");
  ClassPairs pairs = instructionPairs(b.region(), classesOf(b.region()));
  EXPECT_EQ(pairs.columns.count(), 2u);
  EXPECT_EQ(pairs.rows.count(), 1u);
  EXPECT_EQ(pairs.columns.of(6), pairs.columns.of(8));
  EXPECT_EQ(pairs.columns.of(7), pairs.columns.of(19'999));
  EXPECT_EQ(pairs.columns.first(pairs.columns.of(19'999)), 7u);
  EXPECT_EQ(tabulate(b.region(), pairs, b.program()).programs.size(), 2u);
  EXPECT_EQ(usageOf(b.region(), *b.image.target).buffers, 1024u);
}

TEST(Image, SharedCodeMayLoopMoreOften) {
  Builder b = sample();
  const uint64_t code = codeBytes(b.region(), *b.image.target);
  twice(b);
  for (auto &instruction : b.region().programs[1]->instructions)
    if (instruction->op == Opcode::loop)
      instruction->count = 2;
  EXPECT_EQ(problem(b), "no error");
  EXPECT_EQ(codeBytes(b.region(), *b.image.target), code);
  b.region().programs[1]->shares = 0;
  EXPECT_EQ(codeBytes(b.region(), *b.image.target), 2 * code);
}

TEST(Image, EveryRuleRefusesItsViolation) {
  for (const Violation &violation : violations) {
    Builder b = sample();
    violation.change(b);
    std::string text = problem(b);
    EXPECT_EQ(text.rfind("I" + std::to_string(violation.rule) + ":", 0), 0u)
        << "expected I" << violation.rule << " (" << violation.what
        << ") but got: " << text;
    EXPECT_NE(text.find(violation.what), std::string::npos)
        << "expected '" << violation.what << "' in: " << text;
  }
  // Every rule is among them.
  for (unsigned rule = 1; rule <= 38; ++rule)
    EXPECT_TRUE(llvm::any_of(
        violations,
        [&](const Violation &violation) { return violation.rule == rule; }))
        << "no violation of I" << rule;
}
