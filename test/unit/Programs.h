// Small images written by hand.

#ifndef WAFERLOOM_TEST_UNIT_PROGRAMS_H
#define WAFERLOOM_TEST_UNIT_PROGRAMS_H

#include "waferloom/Image/Programs.h"
#include "waferloom/Target/ImageTarget.h"
#include <cstring>
#include <string>

namespace waferloom::test {

using namespace image;

inline uint32_t bits(float value) {
  uint32_t pattern;
  std::memcpy(&pattern, &value, 4);
  return pattern;
}

inline OperandT at(uint32_t base, int stride = 1, Type type = Type::f32) {
  OperandT operand;
  operand.base = base;
  operand.type = type;
  operand.strides = {stride};
  return operand;
}

inline OperandT constant(uint32_t pattern, Type type = Type::f32) {
  OperandT operand;
  operand.immediate = true;
  operand.type = type;
  operand.bits = pattern;
  return operand;
}

/// An image of one region with one entry, built up by the tests. Classes are
/// the positions themselves, set k + 1 holds class k alone.
struct Builder {
  ImageT image;
  std::string data;

  Builder(uint32_t width, uint32_t height, uint32_t memory = 1024,
          llvm::StringRef target = "") {
    std::string name = target.empty() ? "grid-" + std::to_string(width) + "x" +
                                            std::to_string(height)
                                      : target.str();
    llvm::Expected<target::Target> parsed = target::parse(name);
    image.target = target::toImage(llvm::cantFail(std::move(parsed)));
    image.names = {"", "node/a", "node/b"};
    image.producer = "test";
    auto region = std::make_unique<RegionT>();
    region->width = width;
    region->height = height;
    region->memory = memory;
    auto positions = [](uint32_t count) {
      auto run = std::make_unique<RunT>();
      for (uint32_t i = 0; i < count; ++i)
        run->classes.push_back(i);
      run->repeats = 1;
      return run;
    };
    region->columns.push_back(positions(width));
    region->rows.push_back(positions(height));
    region->sets.push_back(std::make_unique<ClassSetT>());
    for (uint32_t i = 0; i < std::max(width, height); ++i) {
      region->sets.push_back(std::make_unique<ClassSetT>());
      region->sets.back()->words.resize(i / 64 + 1);
      region->sets.back()->words.back() = uint64_t(1) << (i % 64);
    }
    region->programs.push_back(std::make_unique<ProgramT>());
    image.regions.push_back(std::move(region));
    auto entry = std::make_unique<EntryT>();
    entry->name = "run";
    entry->tokens = 1;
    image.entries.push_back(std::move(entry));
  }

  RegionT &region() { return *image.regions[0]; }
  ProgramT &program() { return *region().programs[0]; }

  /// A set of several classes.
  uint32_t set(llvm::ArrayRef<uint32_t> classes) {
    auto made = std::make_unique<ClassSetT>();
    for (uint32_t id : classes) {
      made->words.resize(std::max<size_t>(made->words.size(), id / 64 + 1));
      made->words[id / 64] |= uint64_t(1) << (id % 64);
    }
    region().sets.push_back(std::move(made));
    return static_cast<uint32_t>(region().sets.size() - 1);
  }

  /// Appends an instruction for the columns of `columns` (a set; 0: all).
  InstructionT &add(Opcode op, uint32_t columns, uint32_t n) {
    auto made = std::make_unique<InstructionT>();
    made->op = op;
    made->columns = columns;
    made->node = 1;
    if (n != 0)
      made->shape = {n};
    program().instructions.push_back(std::move(made));
    return *program().instructions.back();
  }

  InstructionT &vector(Opcode op, uint32_t columns, uint32_t n, OperandT dst,
                       OperandT a) {
    InstructionT &made = add(op, columns, n);
    made.dst = std::make_unique<OperandT>(dst);
    made.a = std::make_unique<OperandT>(a);
    return made;
  }
  InstructionT &vector(Opcode op, uint32_t columns, uint32_t n, OperandT dst,
                       OperandT a, OperandT b) {
    InstructionT &made = vector(op, columns, n, dst, a);
    made.b = std::make_unique<OperandT>(b);
    return made;
  }
  InstructionT &vector(Opcode op, uint32_t columns, uint32_t n, OperandT dst,
                       OperandT a, OperandT b, OperandT c) {
    InstructionT &made = vector(op, columns, n, dst, a, b);
    made.c = std::make_unique<OperandT>(c);
    return made;
  }
  InstructionT &send(uint32_t columns, uint8_t color, uint32_t n,
                     OperandT from) {
    InstructionT &made = add(Opcode::send, columns, n);
    made.a = std::make_unique<OperandT>(from);
    made.out_color = color;
    return made;
  }
  InstructionT &recv(uint32_t columns, uint8_t color, uint32_t n, OperandT to,
                     Opcode op = Opcode::recv) {
    InstructionT &made = add(op, columns, n);
    made.dst = std::make_unique<OperandT>(to);
    made.in_color = color;
    return made;
  }
  InstructionT &pass(uint32_t columns, uint8_t in, uint8_t out, uint32_t n,
                     OperandT own) {
    InstructionT &made = send(columns, out, n, own);
    made.op = Opcode::recv_fold_send;
    made.in_color = in;
    return made;
  }
  InstructionT &loop(uint32_t columns, uint32_t count, uint32_t body) {
    InstructionT &made = add(Opcode::loop, columns, 0);
    made.count = count;
    made.body = body;
    return made;
  }

  RouteT &route(uint8_t color, uint32_t columns, std::vector<Turn> inputs,
                std::vector<Side> outputs) {
    auto made = std::make_unique<RouteT>();
    made->color = color;
    made->columns = columns;
    made->inputs = inputs;
    for (Side side : outputs)
      made->outputs |= 1u << unsigned(side);
    program().routes.push_back(std::move(made));
    return *program().routes.back();
  }

  /// What the PEs hold of `live` elements, two on every PE of a column each.
  BindingT &pairs(Role role, uint32_t address, uint32_t live,
                  Type type = Type::f32) {
    auto made = std::make_unique<BindingT>();
    made->role = role;
    made->type = made->source_type = type;
    made->address = address;
    auto dim = std::make_unique<DimT>();
    dim->live = live;
    dim->source_stride = 1;
    dim->digits = {Digit(Axis::x, region().width, 1), Digit(Axis::none, 2, 0)};
    made->dims.push_back(std::move(dim));
    region().bindings.push_back(std::move(made));
    return *region().bindings.back();
  }

  /// An input that the caller must give: n f32 on every PE of a column each,
  /// element (column, i), at `address`.
  BindingT &columns(llvm::StringRef name, Role role, uint32_t n,
                    uint32_t address, Type type = Type::f32) {
    auto made = std::make_unique<BindingT>();
    made->name = name.str();
    made->role = role;
    made->type = made->source_type = type;
    made->address = address;
    auto column = std::make_unique<DimT>();
    column->live = region().width;
    column->source_stride = n;
    column->digits = {Digit(Axis::x, region().width, 1)};
    auto local = std::make_unique<DimT>();
    local->live = n;
    local->source_stride = 1;
    local->digits = {Digit(Axis::none, n, 0)};
    made->dims.push_back(std::move(column));
    made->dims.push_back(std::move(local));
    auto info = std::make_unique<TensorInfoT>();
    info->name = name.str();
    info->type = type;
    info->role = role;
    info->shape = {region().width, n};
    image.entries[0]->tensors.push_back(std::move(info));
    if (role == Role::input) {
      auto input = std::make_unique<EntryInputT>();
      input->name = name.str();
      image.entries[0]->inputs.push_back(std::move(input));
      program().inputs.push_back(std::move(made));
      return *program().inputs.back();
    }
    program().outputs.push_back(std::move(made));
    return *program().outputs.back();
  }
};

} // namespace waferloom::test

#endif // WAFERLOOM_TEST_UNIT_PROGRAMS_H
