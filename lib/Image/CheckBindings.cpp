#include "Check.h"
#include "waferloom/Image/HostInputs.h"
#include "waferloom/Image/Packing.h"
#include "llvm/ADT/StringSet.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::image {

uint64_t shardBytes(const BindingT &binding, uint64_t limit) {
  // Codes take at least two bits each.
  const uint64_t most = binding.packing ? 4 * limit : limit;
  uint64_t bytes = bytesOf(binding.type);
  SmallVector<uint64_t> extents;
  for (const auto &dim : binding.dims) {
    extents.push_back(1);
    for (const Digit &digit : dim->digits)
      if (digit.axis() == Axis::none) {
        if (digit.extent() > most)
          return 0;
        bytes *= digit.extent();
        extents.back() *= digit.extent();
        if (bytes > most)
          return 0;
      }
  }
  return binding.packing
             ? packedBytes(*binding.packing, extents, bytesOf(binding.type))
             : bytes;
}

/// I37: what is packed is a format that PEs unpack, in whole groups.
static Error checkPacking(const ImageT &image, const BindingT &binding,
                          const std::string &where) {
  auto refuse = [&](const Twine &what) { return violation(37, where, what); };
  const PackingT &packing = *binding.packing;
  if (packing.part > PackedPart::MAX || packing.zeros > PackedZeros::MAX ||
      packing.code > PackedCode::MAX)
    return violation(7, where, "has an unknown part, code or kind of zeros");
  if (binding.role != Role::parameter)
    return refuse("is packed but no parameter");
  const BlockFormat format = formatOf(packing);
  if (const char *fault = format.fault(hasZeros(format)))
    return refuse(fault);
  if (!canStayPacked(format) ||
      (packing.part == PackedPart::zeros && !hasZeros(format)))
    return refuse("is of a format that PEs do not unpack");
  const Type scales = packing.half_scales ? Type::f16 : Type::f32;
  if (isNumbers(packing)
          ? binding.type == Type::i32 || binding.source_type != scales
          : binding.type != Type::f16)
    return refuse("is of a type that its part has not");
  if (packing.groups.size() != binding.dims.size())
    return refuse("has not one group for each dimension");
  for (auto [dim, group] : llvm::zip_equal(binding.dims, packing.groups)) {
    uint64_t extent = 1;
    for (const Digit &digit : dim->digits)
      if (digit.axis() == Axis::none)
        extent *= digit.extent();
    if (group == 0 || extent % group != 0)
      return refuse(
          formatv("has groups of {0} in a shard of {1} elements", group, extent)
              .str());
  }
  if (binding.source < image.sources.size() &&
      image.sources[binding.source]->bytes < bytesRead(packing))
    return violation(26, where,
                     formatv("reads {0} bytes of source '{1}', which has {2}",
                             bytesRead(packing),
                             image.sources[binding.source]->name,
                             image.sources[binding.source]->bytes)
                         .str());
  return Error::success();
}

/// I25: a distribution is a mixed-radix number, and the local shard lies in
/// memory.
static Error checkShard(const ImageT &image, const BindingT &binding,
                        const RegionT &region, const std::string &where) {
  if (binding.type > Type::MAX || binding.source_type > Type::MAX ||
      binding.role > Role::MAX)
    return violation(7, where, "has an unknown type or role");
  if (binding.packing)
    if (Error error = checkPacking(image, binding, where))
      return error;
  auto refuse = [&](const Twine &what) { return violation(25, where, what); };
  if (binding.dims.size() > 16)
    return refuse("has more than 16 dimensions");
  uint64_t along[] = {1, 1, 1}; // product of extents: local, x, y
  const uint64_t lines[] = {UINT32_MAX, region.width, region.height};
  for (const auto &dim : binding.dims) {
    uint64_t size = 1;
    for (const Digit &digit : dim->digits) {
      if (digit.axis() > Axis::MAX)
        return violation(7, where, "has a digit on an unknown axis");
      if (digit.extent() == 0 ||
          (digit.axis() != Axis::none && digit.stride() == 0))
        return refuse("has a digit without extent or stride");
      auto axis = static_cast<unsigned>(digit.axis());
      along[axis] *= digit.extent();
      if (along[axis] > lines[axis] ||
          (axis != 0 &&
           uint64_t(digit.extent() - 1) * digit.stride() >= lines[axis]))
        return refuse(
            formatv("spreads over more than the {0} lines or elements "
                    "of axis '{1}'",
                    lines[axis], EnumNameAxis(digit.axis()))
                .str());
      size *= digit.extent();
      if (size > UINT32_MAX)
        return refuse("has a dimension of 2^32 or more elements");
    }
    if (dim->live > size)
      return refuse(formatv("has {0} live elements in a dimension of {1}",
                            dim->live, size)
                        .str());
  }
  const uint64_t bytes = shardBytes(binding, region.memory);
  if (binding.address % bytesOf(binding.type) != 0)
    return refuse(
        formatv("is at {0}, not a multiple of its element's {1} bytes",
                binding.address, bytesOf(binding.type))
            .str());
  if (bytes == 0 || binding.address > region.memory ||
      bytes > region.memory - binding.address)
    return refuse(
        formatv("its local shard at {0} exceeds the memory of {1} bytes",
                binding.address, region.memory)
            .str());
  return Error::success();
}

/// The last element that live indices reach, or a negative number when an
/// offset is not within 2^40.
static int64_t lastOffset(const BindingT &binding) {
  constexpr int64_t most = int64_t(1) << 40;
  int64_t last = 0;
  for (const auto &dim : binding.dims) {
    if (dim->source_stride < 0 || dim->source_stride > most)
      return -1;
    if (dim->live == 0)
      continue;
    if (dim->live > 1 && dim->source_stride > most / (dim->live - 1))
      return -1;
    last += dim->source_stride * (dim->live - 1);
    if (last > most)
      return -1;
  }
  return last;
}

/// I26: what a parameter reads lies in its source.
static Error checkParameter(const ImageT &image, const BindingT &binding,
                            const std::string &where) {
  auto refuse = [&](const Twine &what) { return violation(26, where, what); };
  if (binding.source >= image.sources.size())
    return refuse(
        formatv("reads source {0} of {1}", binding.source, image.sources.size())
            .str());
  uint64_t size = binding.source_bool    ? 1
                  : binding.source_int64 ? 8
                                         : bytesOf(binding.source_type);
  const SourceT &source = *image.sources[binding.source];
  int64_t last = lastOffset(binding);
  uint64_t elements = binding.packing
                          ? binding.packing->rows * binding.packing->columns
                          : source.bytes / size;
  if (last < 0 || binding.source_offset >= elements ||
      static_cast<uint64_t>(last) >= elements - binding.source_offset)
    return refuse(formatv("reads beyond the {0} elements of source '{1}'",
                          elements, source.name)
                      .str());
  return Error::success();
}

/// I28: beams move rows of whole states, by their first dimension.
static Error checkMoved(const ImageT &image, const BindingT &binding,
                        const std::string &where) {
  for (const auto &entry : image.entries)
    for (const auto &input : entry->inputs) {
      if (!isBeams(*input))
        continue;
      const TensorInfoT *beams = findTensor(*entry, Role::input, input->name);
      const TensorInfoT *state = findTensor(*entry, Role::state, binding.name);
      uint64_t elements = state && !state->shape.empty() ? 1 : 0;
      for (uint32_t extent : state ? state->shape : std::vector<uint32_t>())
        elements *= extent;
      const int64_t last = lastOffset(binding);
      if (!beams || beams->shape != std::vector<uint32_t>{input->limit} ||
          elements == 0 || state->shape[0] != input->limit || last < 0 ||
          static_cast<uint64_t>(last) >= elements)
        return violation(28, where,
                         "is no state whose rows '" + input->name +
                             "' could move");
    }
  return Error::success();
}

/// I27: index tensors have one dimension and hold numbers.
static Error checkIndexTensor(const BindingT &binding,
                              const std::string &where) {
  if (binding.dims.size() != 1)
    return violation(27, where, "is an index tensor without one dimension");
  return Error::success();
}

/// The binding whose dimensions are those of the caller's array, where no
/// tensor has its shape: the first.
static const BindingT &firstInput(const ImageT &image, size_t entry,
                                  const BindingT &like) {
  for (const auto &region : image.regions)
    if (region->programs.size() > entry)
      for (const auto &binding : region->programs[entry]->inputs)
        if (binding->name == like.name)
          return *binding;
  return like;
}

/// I28: inputs and outputs of an entry lie within the arrays of the caller.
static Error checkTransfer(const ImageT &image, size_t index,
                           const BindingT &binding, Role role,
                           const std::string &where) {
  const EntryT &entry = *image.entries[index];
  auto refuse = [&](const Twine &what) { return violation(28, where, what); };
  if (binding.role != role)
    return refuse("stands in the wrong list for its role");
  const TensorInfoT *tensor = findTensor(entry, binding.role, binding.name);
  uint64_t elements = 1;
  if (tensor) {
    for (uint32_t extent : tensor->shape)
      elements *= extent;
  } else {
    if (role == Role::output)
      return refuse("is no output of the entry");
    for (const auto &dim : firstInput(image, index, binding).dims) {
      elements *= dim->live;
      if (elements > uint64_t(1) << 32)
        return refuse("has more than 2^32 elements");
    }
  }
  if (role == Role::input) {
    bool known = false;
    for (const auto &input : entry.inputs) {
      known |= input->name == binding.name;
      if (input->name == binding.name && input->limit != 0 &&
          binding.type != Type::i32)
        return refuse("has a limit but is not of type i32");
    }
    if (!known)
      return refuse("is no input of the entry");
  }
  // Without a live element nothing of the array is touched.
  int64_t last = lastOffset(binding);
  bool reaches = llvm::all_of(binding.dims,
                              [](const auto &dim) { return dim->live != 0; });
  if (last < 0 || (reaches && static_cast<uint64_t>(last) >= elements))
    return refuse(formatv("reaches beyond the {0} elements of '{1}'", elements,
                          binding.name)
                      .str());
  return Error::success();
}

/// I29: what stays from step to step does not overlap.
static Error checkOverlap(const RegionT &region, const std::string &where) {
  struct Extent {
    uint64_t begin, end;
    size_t index;
  };
  std::vector<Extent> extents;
  for (size_t i = 0; i < region.bindings.size(); ++i) {
    const BindingT &binding = *region.bindings[i];
    extents.push_back({binding.address,
                       binding.address + shardBytes(binding, region.memory),
                       i});
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent &a, const Extent &b) {
              return std::tie(a.begin, a.index) < std::tie(b.begin, b.index);
            });
  for (size_t i = 0; i < extents.size(); ++i)
    for (size_t k = i + 1;
         k < extents.size() && extents[k].begin < extents[i].end; ++k) {
      const BindingT &a = *region.bindings[extents[i].index];
      const BindingT &b = *region.bindings[extents[k].index];
      if (setsMeet(region, a.columns, b.columns) &&
          setsMeet(region, a.rows, b.rows))
        return violation(29, where,
                         formatv("bindings[{0}] '{1}' and bindings[{2}] '{3}' "
                                 "share bytes from {4} on",
                                 extents[i].index, a.name, extents[k].index,
                                 b.name, extents[k].begin)
                             .str());
    }
  return Error::success();
}

static Error checkShared(const ImageT &image, const RegionT &region,
                         const BindingT &binding, const std::string &where) {
  if (Error error = checkShard(image, binding, region, where))
    return error;
  switch (binding.role) {
  case Role::parameter:
    return checkParameter(image, binding, where);
  case Role::index:
    return checkIndexTensor(binding, where);
  case Role::state:
    return checkMoved(image, binding, where);
  default:
    return violation(28, where, "stands in the wrong list for its role");
  }
}

/// I6: every input and output of an entry is held by somebody, whole; inputs
/// that the host alone takes by nobody.
static Error checkHeld(const ImageT &image, size_t entry) {
  const EntryT &description = *image.entries[entry];
  // Elements that regions hold, at least 1 for a scalar; 0: nobody does.
  auto held = [&](const std::string &name, bool output) {
    uint64_t sum = 0;
    for (const auto &region : image.regions)
      for (const auto &binding : output ? region->programs[entry]->outputs
                                        : region->programs[entry]->inputs)
        if (binding->name == name) {
          uint64_t elements = 1;
          for (const auto &dim : binding->dims)
            elements *= dim->live;
          sum += elements;
        }
    return sum;
  };
  std::string where = "entries[" + std::to_string(entry) + "]";
  StringSet<> unread;
  for (const auto &input : description.inputs)
    if (hostUseOf(image, entry, *input) != HostUse::none)
      unread.insert(input->name);
  for (const auto &tensor : description.tensors) {
    if (tensor->role == Role::state ||
        (tensor->role == Role::input && unread.contains(tensor->name)))
      continue;
    uint64_t elements = 1;
    for (uint32_t extent : tensor->shape)
      elements *= extent;
    uint64_t sum = held(tensor->name, tensor->role == Role::output);
    if (sum < elements)
      return violation(6, where,
                       formatv("'{0}' has {1} elements but {2} of them are on "
                               "PEs",
                               tensor->name, elements, sum)
                           .str());
  }
  for (const auto &input : description.inputs)
    if ((held(input->name, false) != 0) == unread.contains(input->name))
      return violation(6, where,
                       "input '" + input->name +
                           (unread.contains(input->name)
                                ? "' is for the host alone, but is on PEs"
                                : "' is on no PE"));
  return Error::success();
}

Error checkBindings(const ImageT &image, const RegionT &region,
                    const std::string &where) {
  for (size_t i = 0; i < region.bindings.size(); ++i)
    if (Error error =
            checkShared(image, region, *region.bindings[i],
                        where + " bindings[" + std::to_string(i) + "]"))
      return error;
  if (Error error = checkOverlap(region, where))
    return error;
  for (size_t e = 0; e < region.programs.size(); ++e) {
    const ProgramT &program = *region.programs[e];
    std::string at = where + " programs[" + std::to_string(e) + "]";
    for (Role role : {Role::input, Role::output}) {
      const auto &list = role == Role::input ? program.inputs : program.outputs;
      for (size_t i = 0; i < list.size(); ++i) {
        std::string place = at +
                            (role == Role::input ? " inputs[" : " outputs[") +
                            std::to_string(i) + "]";
        if (Error error = checkShard(image, *list[i], region, place))
          return error;
        if (Error error = checkTransfer(image, e, *list[i], role, place))
          return error;
      }
    }
    // All regions have one program per entry only once all were checked.
    if (&region == image.regions.back().get())
      if (Error error = checkHeld(image, e))
        return error;
  }
  return Error::success();
}

} // namespace waferloom::image
