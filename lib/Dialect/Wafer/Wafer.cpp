#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Dialect/Wafer/Packed.h"

#include "waferloom/Format/Packing.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace waferloom::wafer;

#include "waferloom/Dialect/Wafer/WaferDialect.cpp.inc"

#include "waferloom/Dialect/Wafer/WaferInterfaces.cpp.inc"

#define GET_OP_CLASSES
#include "waferloom/Dialect/Wafer/WaferOps.cpp.inc"

void WaferDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "waferloom/Dialect/Wafer/WaferOps.cpp.inc"
      >();
}

LogicalResult BlocksAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 BlockFormat format, StringAttr scalesFile,
                                 int64_t scalesAt, StringAttr zerosFile,
                                 int64_t zerosAt) {
  // With shapes only none of them has a file.
  const bool hasZerosInFile = scalesFile ? bool(zerosFile) : hasZeros(format);
  if (const char *fault = format.fault(hasZerosInFile))
    return emitError() << fault;
  if (scalesAt < 0 || zerosAt < 0)
    return emitError() << "scales and zeros lie at an offset of at least 0";
  return success();
}

LogicalResult SendRecvOp::verify() {
  if (getValues().empty() || getValues().size() != getNumResults())
    return emitOpError() << "sends " << getValues().size()
                         << " values and takes " << getNumResults();
  for (auto [sent, taken] : llvm::zip_equal(getValues(), getResults())) {
    auto from = cast<ShapedType>(sent.getType()),
         to = cast<ShapedType>(taken.getType());
    if (from.getShape() != to.getShape() ||
        from.getElementType() != to.getElementType())
      return emitOpError() << "sends " << from << " and takes " << to;
  }
  return success();
}

LogicalResult InputOp::verify() {
  const auto limit = static_cast<int64_t>(getLimit());
  const auto least = static_cast<int64_t>(getLeast().value_or(0));
  if (least > 0 || (limit && least >= limit))
    return emitOpError() << "takes integers from " << least
                         << ", which is above 0 or not below its limit";
  return success();
}

LogicalResult PartAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               FlatSymbolRefAttr, int64_t at,
                               ArrayRef<int64_t> sizes,
                               ArrayRef<int64_t> strides) {
  if (at < 0 || sizes.size() != strides.size() ||
      llvm::any_of(
          sizes, [](int64_t size) { return size < 1; }) ||
      llvm::any_of(strides, [](int64_t stride) { return stride < 1; }))
    return emitError()
           << "a part has an offset of at least 0, and a size and a "
              "stride of at least 1 per dimension";
  return success();
}

int64_t PartAttr::getStride(int64_t stride) const {
  int64_t inner = 1;
  for (auto [size, apart] :
       llvm::reverse(llvm::zip(getSizes(), getStrides()))) {
    if (stride < inner * size)
      return stride / inner * apart;
    inner *= size;
  }
  return stride; // between the elements of a dimension of one
}

LogicalResult WeightOp::verify() {
  if (static_cast<int64_t>(getOffset()) < 0)
    return emitOpError("lies at an offset of at least 0");
  if (getFile() && getValue())
    return emitOpError("has its elements in a file and as a value");
  auto type = cast<ShapedType>(getType());
  if (PartAttr part = getPartAttr()) {
    if (getFile() || getValue())
      return emitOpError("has elements of its own and is a part of another");
    if (part.getSizes() != type.getShape())
      return emitOpError() << "is a part of " << part.getSizes() << " elements";
  }
  if (getValue() && getValueAttr().getShapedType() != type)
    return emitOpError() << "has a value of type "
                         << getValueAttr().getShapedType();
  if (BlocksAttr blocks = getBlocksAttr()) {
    BlockFormat format = blocks.getFormat();
    if (getPart() || getValue())
      return emitOpError("is packed in blocks but lies in no file");
    if (static_cast<uint64_t>(type.getNumElements()) !=
        format.rows * format.columns)
      return emitOpError() << "has " << type.getNumElements()
                           << " elements and blocks of " << format.rows
                           << " by " << format.columns;
    if (format.hasHalves() ? !type.getElementType().isF16()
                           : !type.getElementType().isF32())
      return emitOpError("is not of the type of its scales");
  }
  return success();
}

LogicalResult
ParameterOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  if (getWeights().empty())
    return emitOpError("names no weight");
  auto type = cast<RankedTensorType>(getType());
  int64_t elements = type.getNumElements();
  if (LayoutAttr layout = waferloom::wafer::getLayout(type)) {
    // Of a padded dimension the live elements are the weight's.
    elements = 1;
    for (auto [dim, size] : llvm::zip(layout.getDims(), type.getShape()))
      elements *= dim.getLiveSize(size);
  }
  for (FlatSymbolRefAttr name : getWeights().getAsRange<FlatSymbolRefAttr>()) {
    auto weight = symbolTable.lookupNearestSymbolFrom<WeightOp>(*this, name);
    if (!weight)
      return emitOpError() << "names " << name << ", which is not a weight";
    // A local shard of a weight (its layout says which) has fewer elements.
    int64_t stored = cast<ShapedType>(weight.getType()).getNumElements();
    if (!(*this)->hasAttr("layout") && stored != elements)
      return emitOpError() << "reads " << elements << " elements but weight "
                           << name << " has " << stored;
  }
  return success();
}

bool LookupOp::isTable(OpOperand &operand) {
  return &operand == &getTableMutable();
}

std::optional<unsigned> LookupOp::getForwardedOperand() {
  // Rows are summed where they are divided, and sums are f32; a matrix is
  // whole wherever it is looked up.
  const bool isMatrices = cast<ShapedType>(getTable().getType()).getRank() > 2;
  return isMatrices && isMultiplied(getResult())
             ? std::optional(getTableMutable().getOperandNumber())
             : std::nullopt;
}

bool OutputOp::readsSingles() { return true; }

std::optional<unsigned> AppendOp::getForwardedOperand() {
  return getStateMutable().getOperandNumber();
}

LogicalResult StoreOp::verify() {
  auto update = cast<ShapedType>(getUpdate().getType());
  auto state = cast<ShapedType>(getState().getType());
  if (update.getShape() != state.getShape())
    return emitOpError() << "fills a state of " << state << " with " << update;
  if (update.getElementType() != state.getElementType() &&
      !(update.getElementType().isF32() && state.getElementType().isF16()))
    return emitOpError() << "update holds " << update.getElementType()
                         << " but the state " << state.getElementType();
  return success();
}

LogicalResult LookupOp::verify() {
  auto table = cast<ShapedType>(getTable().getType());
  auto indices = cast<ShapedType>(getIndices().getType());
  auto result = cast<ShapedType>(getResult().getType());
  if (table.getRank() < 1)
    return emitOpError("needs a table of rows");
  if (!indices.getElementType().isInteger(32))
    return emitOpError() << "needs i32 indices but has "
                         << indices.getElementType();
  SmallVector<int64_t> shape(indices.getShape());
  llvm::append_range(shape, table.getShape().drop_front());
  if (Value rows = getRows())
    if (cast<ShapedType>(rows.getType()).getDimSize(0) != table.getDimSize(0))
      return emitOpError() << "knows the numbers of "
                           << cast<ShapedType>(rows.getType()).getDimSize(0)
                           << " rows but the table has " << table.getDimSize(0);
  if (ArrayRef<int64_t>(shape) != result.getShape())
    return emitOpError("result has another shape than its indices and the "
                       "table's rows give");
  if (table.getElementType() != result.getElementType() &&
      !(table.getElementType().isF16() && result.getElementType().isF32()))
    return emitOpError() << "table holds " << table.getElementType()
                         << " but the result " << result.getElementType();
  return success();
}

LogicalResult AppendOp::verify() {
  auto update = cast<ShapedType>(getUpdate().getType());
  auto state = cast<ShapedType>(getState().getType());
  if (getState().getType() != getResult().getType())
    return emitOpError("gives another type than its state has");
  auto dim = static_cast<int64_t>(getDim());
  if (dim >= state.getRank())
    return emitOpError() << "appends along dimension " << dim
                         << " of a state of rank " << state.getRank();
  SmallVector<int64_t> rows(update.getShape());
  if (update.getRank() + 1 == state.getRank())
    rows.insert(rows.begin() + dim, 1); // one row, its dimension left out
  if (static_cast<int64_t>(rows.size()) != state.getRank())
    return emitOpError() << "update has rank " << update.getRank()
                         << " but the state " << state.getRank();
  if (update.getElementType() != state.getElementType() &&
      !(update.getElementType().isF32() && state.getElementType().isF16()))
    return emitOpError() << "update holds " << update.getElementType()
                         << " but the state " << state.getElementType();
  for (int64_t i = 0; i < state.getRank(); ++i)
    if (i != dim && rows[i] != state.getDimSize(i))
      return emitOpError() << "dimension " << i << " of the update is "
                           << rows[i] << " but of the state "
                           << state.getDimSize(i);
  return success();
}
