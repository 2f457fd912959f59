//===- Reach.h - What the last token has a part in --------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_REACH_H
#define WAFERLOOM_LIB_IMPORT_REACH_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/STLExtras.h"

#include <optional>
#include <vector>

namespace waferloom::import {

/// What is known of an element.
struct Element {
  bool depends = false;         // on the last token
  std::optional<double> number; // where it is known

  bool operator==(const Element &other) const {
    return depends == other.depends && number == other.number;
  }
  /// What is added to it makes no difference.
  bool isHidden() const { return number && *number <= -1000; }
  bool isZero() const { return number && *number == 0; }
};

using Index = llvm::SmallVector<int64_t>;

/// What is known of a tensor; along a dimension of extent 1 all are alike.
struct Field {
  Index extents;
  std::vector<Element> elements;

  Field() = default;
  explicit Field(Index sizes) : extents(std::move(sizes)) {
    elements.resize(llvm::product_of(extents));
  }
  static Field alike(size_t rank, Element element) {
    Field field(Index(rank, 1));
    field.elements[0] = element;
    return field;
  }
  Element &at(llvm::ArrayRef<int64_t> index) {
    int64_t offset = 0;
    for (auto [i, extent] : llvm::zip_equal(index, extents))
      offset = offset * extent + (extent == 1 ? 0 : i);
    return elements[offset];
  }
  /// Drops the dimensions along which all are alike.
  void shrink();
};
/// All indices below `extents`, in order.
void forEach(llvm::ArrayRef<int64_t> extents,
             llvm::function_ref<void(llvm::ArrayRef<int64_t>)> visit);

Element numberOf(mlir::Attribute value);

/// What a scalar op makes of elements.
Element apply(mlir::Operation *op, llvm::ArrayRef<Element> operands);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_REACH_H
