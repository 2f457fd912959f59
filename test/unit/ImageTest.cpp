// Files, and one violation for each rule of docs/image-format.md.

#include "waferloom/Image/Image.h"
#include "Programs.h"
#include "waferloom/Image/Programs.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"
#include <functional>

using namespace waferloom;
using namespace waferloom::test;

/// An image that uses every part of the format.
static Builder sample() {
  Builder b(3, 2, 1024);
  b.columns("in", Role::input, 4, 0);
  b.columns("out", Role::output, 4, 64);
  b.send(1, 0, 4, at(0)).thread = 1;
  b.vector(Opcode::add, 1, 4, at(256), at(512), at(768));
  b.add(Opcode::wait, 1, 0).thread = 1;
  b.recv(3, 0, 4, at(64));
  b.loop(0, 3, 1);
  OperandT row = at(128), x = at(192, 0);
  row.steps = {LoopStep(0, 16)};
  x.index_at = 200;
  x.index_scale = 4;
  x.index_count = 8;
  InstructionT &fma = b.vector(Opcode::fma, 0, 4, at(300), at(300), row, x);
  fma.predicate = std::make_unique<OperandT>(at(320, 0, Type::i32));
  b.add(Opcode::end, 0, 0);
  b.route(0, 1, {Turn(Side::ramp, 0)}, {Side::east});
  b.route(0, 2, {Turn(Side::west, 0)}, {Side::east});
  b.route(0, 3, {Turn(Side::west, 0)}, {Side::ramp});

  auto binding = [&](Role role, uint32_t address) -> BindingT & {
    auto made = std::make_unique<BindingT>();
    made->role = role;
    made->type = Type::i32;
    made->source_type = Type::i32;
    made->address = address;
    auto dim = std::make_unique<DimT>();
    dim->live = 5;
    dim->source_stride = 1;
    dim->digits = {Digit(Axis::x, 3, 1), Digit(Axis::none, 2, 0)};
    made->dims.push_back(std::move(dim));
    b.region().bindings.push_back(std::move(made));
    return *b.region().bindings.back();
  };
  binding(Role::parameter, 900).name = "weight";
  binding(Role::state, 908);
  binding(Role::index, 916);
  auto source = std::make_unique<SourceT>();
  source->name = "weight";
  source->offset = 4;
  source->bytes = 20;
  b.image.sources.push_back(std::move(source));
  b.data.assign(24, '\1');
  b.image.capacity = 10;
  return b;
}

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
    {1, "version is 2", [](Builder &b) { b.image.version = 2; }},
    {2, "no target", [](Builder &b) { b.image.target.reset(); }},
    {2, "banks is 0", [](Builder &b) { b.image.target->banks = 0; }},
    {2, "clock", [](Builder &b) { b.image.target->clock_ghz = -1; }},
    {3, "missing", [](Builder &b) { b.region().sets[1].reset(); }},
    {4, "exceed the data", [](Builder &b) { b.image.sources[0]->bytes = 21; }},
    {4, "exceed the data",
     [](Builder &b) { b.image.sources[0]->offset = UINT64_MAX - 3; }},
    {5, "first name", [](Builder &b) { b.image.names[0] = "x"; }},
    {5, "node 9 of 3", [](Builder &b) { instruction(b, 0).node = 9; }},
    {6, "no entry", [](Builder &b) { b.image.entries.clear(); }},
    {6, "11 tokens", [](Builder &b) { b.image.entries[0]->tokens = 11; }},
    {6, "'out' has 12 elements but 0",
     [](Builder &b) { b.program().outputs.clear(); }},
    {6, "on no PE",
     [](Builder &b) {
       b.program().inputs.clear();
       b.image.entries[0]->tensors.erase(b.image.entries[0]->tensors.begin());
     }},
    {6, "is checked only, but is on PEs",
     [](Builder &b) {
       b.image.entries[0]->inputs[0]->fallback = Default::only_ones;
     }},
    {7, "unknown operation",
     [](Builder &b) { instruction(b, 0).op = Opcode(77); }},
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
};

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
  for (unsigned rule = 1; rule <= 31; ++rule)
    EXPECT_TRUE(llvm::any_of(
        violations,
        [&](const Violation &violation) { return violation.rule == rule; }))
        << "no violation of I" << rule;
}

static std::string bytesOf(const Builder &b) {
  llvm::ArrayRef<char> whole(b.data.data(), b.data.size());
  return writeBytes(b.image, {whole.take_front(10), whole.drop_front(10)});
}

TEST(Image, FilesRoundTrip) {
  Builder b = sample();
  std::string bytes = bytesOf(b);
  EXPECT_EQ(bytes, bytesOf(b)) << "the same image, the same bytes";
  auto loaded = readBytes(bytes, "test");
  ASSERT_TRUE(bool(loaded)) << toString(loaded.takeError());
  EXPECT_EQ(llvm::StringRef((*loaded)->data.data(), (*loaded)->data.size()),
            b.data);
  EXPECT_EQ((*loaded)->image.names, b.image.names);
  EXPECT_EQ(writeBytes((*loaded)->image, {(*loaded)->data}), bytes);
}

TEST(Image, FilesAppearWholeOrNotAtAll) {
  llvm::SmallString<128> folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("image", folder));
  std::string path = (folder + "/a.wafer").str();
  Builder b = sample();
  ASSERT_FALSE(bool(write(path, b.image, {llvm::ArrayRef(b.data.data(), 24)})));
  auto loaded = read(path);
  EXPECT_TRUE(bool(loaded)) << toString(loaded.takeError());
  std::string text = toString(write((folder + "/none/a.wafer").str(), b.image,
                                    {llvm::ArrayRef(b.data.data(), 24)}));
  EXPECT_NE(text.find("cannot write"), std::string::npos) << text;
  std::error_code error;
  unsigned files = 0;
  for (llvm::sys::fs::directory_iterator it(folder, error), end;
       it != end && !error; it.increment(error))
    ++files;
  EXPECT_EQ(files, 1u);
  llvm::sys::fs::remove_directories(folder);
}

/// A file of a few KiB whose lists would unpack to gigabytes.
TEST(Image, SharedPartsAreRefused) {
  flatbuffers::FlatBufferBuilder builder;
  auto classes = builder.CreateVector(std::vector<uint32_t>(1000, 0));
  auto run = CreateRun(builder, classes, 1);
  auto runs = builder.CreateVector(
      std::vector<flatbuffers::Offset<image::Run>>(200, run));
  auto region = CreateRegion(builder, 0, 0, 1, 1, runs, runs);
  auto regions = builder.CreateVector(
      std::vector<flatbuffers::Offset<Region>>(100, region));
  ImageBuilder made(builder);
  made.add_regions(regions);
  builder.FinishSizePrefixed(made.Finish(), ImageIdentifier());
  std::string bytes("\211WAFER\r\n");
  bytes.append(reinterpret_cast<const char *>(builder.GetBufferPointer()),
               builder.GetSize());
  bytes.resize(8192);
  std::string text = toString(readBytes(bytes, "shared").takeError());
  EXPECT_NE(text.find("image 'shared': offset 8: the tables"),
            std::string::npos)
      << text;
}

TEST(Image, TruncatedFilesAreRefusedWithTheOffset) {
  std::string bytes = bytesOf(sample());
  for (size_t size = 0; size < bytes.size(); ++size) {
    auto loaded = readBytes(llvm::StringRef(bytes).take_front(size), "short");
    ASSERT_FALSE(bool(loaded)) << "of " << size << " bytes";
    std::string text = toString(loaded.takeError());
    EXPECT_NE(text.find("image 'short': "), std::string::npos) << text;
  }
  auto cut = readBytes(llvm::StringRef(bytes).take_front(100), "short");
  EXPECT_NE(toString(cut.takeError()).find("offset 100: the file ends here"),
            std::string::npos);
  EXPECT_NE(toString(readBytes("hello world", "text").takeError())
                .find("not a wafer image"),
            std::string::npos);
  EXPECT_NE(toString(read("nowhere.wafer").takeError()).find("cannot read"),
            std::string::npos);
}
