// FlatBuffers allows many references to one table or list, and unpacking copies
// what is referred to each time: a small file could ask for all memory. Our
// writer never shares, so the bytes that all references reach together are no
// more than the file has.

#include "Sharing.h"

namespace waferloom::image {

namespace {
class Counter {
public:
  uint64_t bytes = 0;

  void add(const flatbuffers::String *text) {
    if (text)
      bytes += text->size();
  }
  template <typename T>
  void addScalars(const flatbuffers::Vector<T> *list) {
    if (list)
      bytes += uint64_t(list->size()) * sizeof(T);
  }
  template <typename T>
  void addStructs(const flatbuffers::Vector<const T *> *list) {
    if (list)
      bytes += uint64_t(list->size()) * sizeof(T);
  }
  template <typename T>
  void addTables(const flatbuffers::Vector<flatbuffers::Offset<T>> *list) {
    if (!list)
      return;
    for (const auto *item : *list) {
      bytes += 4; // its offset in the list
      add(item);
    }
  }

  void add(const Operand *operand) {
    if (!operand)
      return;
    addScalars(operand->strides());
    addStructs(operand->steps());
    addStructs(operand->index_steps());
  }
  void add(const Instruction *instruction) {
    addScalars(instruction->shape());
    add(instruction->dst());
    add(instruction->a());
    add(instruction->b());
    add(instruction->c());
    add(instruction->predicate());
  }
  void add(const ClassSet *set) { addScalars(set->words()); }
  void add(const Route *route) { addStructs(route->inputs()); }
  void add(const Dim *dim) { addStructs(dim->digits()); }
  void add(const Binding *binding) {
    add(binding->name());
    addTables(binding->dims());
    if (const Packing *packing = binding->packing())
      addScalars(packing->groups());
  }
  void add(const Source *source) { add(source->name()); }
  void add(const Program *program) {
    addTables(program->instructions());
    addTables(program->routes());
    addTables(program->inputs());
    addTables(program->outputs());
  }
  void add(const Run *run) { addScalars(run->classes()); }
  void add(const Region *region) {
    addTables(region->columns());
    addTables(region->rows());
    addTables(region->sets());
    addTables(region->bindings());
    addTables(region->programs());
  }
  void add(const TensorInfo *tensor) {
    add(tensor->name());
    addScalars(tensor->shape());
  }
  void add(const EntryInput *input) { add(input->name()); }
  void add(const Rewrite *rewrite) { add(rewrite->name()); }
  void add(const Entry *entry) {
    add(entry->name());
    addTables(entry->inputs());
    addTables(entry->tensors());
  }
};
} // namespace

uint64_t referredBytes(const Image &image) {
  Counter counter;
  counter.add(image.producer());
  counter.addTables(image.names());
  counter.addTables(image.sources());
  counter.addTables(image.entries());
  counter.addTables(image.regions());
  counter.addTables(image.rewrites());
  return counter.bytes;
}

} // namespace waferloom::image
