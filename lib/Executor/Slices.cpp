#include "Slices.h"
#include <cstring>

namespace waferloom::executor {

Slice sliceDim(const HostTensor &from, size_t dim, int64_t begin,
               int64_t count) {
  Slice slice{from, {}};
  slice.tensor.shape[dim] = count;
  size_t rows = 1, column = bytesOf(from.type);
  for (size_t d = 0; d < dim; ++d)
    rows *= static_cast<size_t>(from.shape[d]);
  for (size_t d = dim + 1; d < from.shape.size(); ++d)
    column *= static_cast<size_t>(from.shape[d]);
  size_t row = column * static_cast<size_t>(from.shape[dim]);
  size_t width = column * static_cast<size_t>(count);
  slice.bytes.resize(width * rows);
  const char *data = static_cast<const char *>(from.data);
  for (size_t i = 0; i < rows; ++i)
    std::memcpy(slice.bytes.data() + width * i,
                data + row * i + column * static_cast<size_t>(begin), width);
  slice.tensor.data = slice.bytes.data();
  return slice;
}

void appendTokens(OutputTensor &whole, const OutputTensor &part) {
  int64_t batch = whole.shape[0];
  size_t left = whole.bytes.size() / static_cast<size_t>(batch);
  size_t right = part.bytes.size() / static_cast<size_t>(batch);
  std::vector<char> joined((left + right) * static_cast<size_t>(batch));
  for (size_t i = 0; i < static_cast<size_t>(batch); ++i) {
    std::memcpy(joined.data() + i * (left + right),
                whole.bytes.data() + i * left, left);
    std::memcpy(joined.data() + i * (left + right) + left,
                part.bytes.data() + i * right, right);
  }
  whole.shape[1] += part.shape[1];
  whole.bytes = std::move(joined);
}

void keepLast(OutputTensor &tensor) {
  HostTensor view;
  view.type = tensor.type;
  view.shape = tensor.shape;
  view.data = tensor.bytes.data();
  Slice slice = sliceDim(view, 1, tensor.shape[1] - 1, 1);
  tensor.bytes = std::move(slice.bytes);
  tensor.shape[1] = 1;
}

} // namespace waferloom::executor
