// Ops that move or combine what PEs hold: collectives, appends, lookups,
// slices.

#include "Machine.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::interpret;
using wafer::Axis;
using wafer::LayoutAttr;

template <typename OpT>
void Machine::reduce(OpT op, ValueRange results, std::optional<int64_t> root) {
  auto fold = [&](double a, double b) {
    switch (op.getCombiner()) {
    case wafer::Combiner::Sum:
      return static_cast<double>(static_cast<float>(a + b));
    case wafer::Combiner::Max:
      return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b);
    case wafer::Combiner::Min:
      return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b);
    }
    return a;
  };
  auto groups = getGroups(op.getAxes().getAxes());
  for (auto [value, result] : llvm::zip(op->getOperands(), results)) {
    LocalShards from = values[value];
    LocalShards &to = set(result);
    for (const auto &group : groups) {
      // Both arms toward the middle, then the middle.
      size_t middle = group.size() / 2;
      for (size_t i = 0; i < to[0].data.size(); ++i) {
        double low = from[group[0]].data[i];
        for (size_t k = 1; k <= middle; ++k)
          low = fold(low, from[group[k]].data[i]);
        if (middle + 1 < group.size()) {
          double high = from[group.back()].data[i];
          for (size_t k = group.size() - 1; k-- > middle + 1;)
            high = fold(high, from[group[k]].data[i]);
          low = fold(low, high);
        }
        if (root)
          to[group[*root]].data[i] = low;
        else
          for (int64_t pe : group)
            to[pe].data[i] = low;
      }
    }
  }
}

void Machine::runAllReduce(wafer::AllReduceOp op) {
  reduce(op, op.getResults());
}

void Machine::runReduce(wafer::ReduceOp op) {
  reduce(op, op->getResults(), static_cast<int64_t>(op.getRoot()));
}

void Machine::runBroadcast(Value from, Value to, ArrayRef<Axis> axes,
                           int64_t root) {
  LocalShards shards = values[from];
  for (const auto &group : getGroups(axes))
    for (int64_t pe : group)
      shards[pe] = values[from][group[root]];
  values[to] = shards;
}

/// Sums are NaN but at the roots, so what is not computed there shows.
LogicalResult Machine::runAtRoots(wafer::ReduceApplyBroadcastOp op) {
  ArrayRef<Axis> axes = op.getAxes().getAxes();
  const int64_t root = region.getSize(axes) / 2;
  reduce(op, op.getBodyBlock()->getArguments(), root);
  if (failed(runBlock(*op.getBodyBlock())))
    return failure();
  for (auto [value, result] :
       llvm::zip(op.getYield().getValues(), op.getResults()))
    runBroadcast(value, result, axes,
                 op.isOfNeighbor(result.getResultNumber()) ? root ^ 1 : root);
  return success();
}

/// Others keep NaN, the root too.
void Machine::runToNeighbor(wafer::ToNeighborOp op) {
  auto both = op->getParentOfType<wafer::ReduceApplyBroadcastOp>();
  ArrayRef<Axis> axes = both.getAxes().getAxes();
  const int64_t root = region.getSize(axes) / 2;
  for (auto [value, result] : llvm::zip(op.getValues(), op.getResults())) {
    LocalShards shards = values[value];
    for (Tensor &shard : shards)
      llvm::fill(shard.data, std::numeric_limits<double>::quiet_NaN());
    for (const auto &group : getGroups(axes))
      shards[group[root ^ 1]] = values[value][group[root]];
    values[result] = shards;
  }
}

/// slice (whole -> share) and gather (share -> whole).
template <typename OpT>
void Machine::runShare(OpT op, bool slices) {
  LocalShards from = values[op.getValue()];
  LocalShards &to = set(op.getResult());
  ArrayRef<Axis> axes = op.getAxes().getAxes();
  auto dim = static_cast<size_t>(op.getDim());
  int64_t share = (slices ? to : from)[0].shape[dim];
  int64_t parts = region.getSize(axes);
  auto globalOf = [&](int64_t local, int64_t coordinate) {
    return op.getCyclic() ? local * parts + coordinate
                          : coordinate * share + local;
  };
  for (const auto &group : getGroups(axes))
    for (size_t c = 0; c < group.size(); ++c) {
      int64_t source = group[c];
      int64_t next = 0;
      const Tensor &small = slices ? to[source] : from[source];
      forEach(small.shape, [&](ArrayRef<int64_t> index) {
        SmallVector<int64_t> global(index);
        global[dim] = globalOf(index[dim], static_cast<int64_t>(c));
        if (slices) {
          to[source].data[next] =
              from[source].data[offsetOf(from[source].shape, global)];
        } else {
          for (int64_t pe : group)
            to[pe].data[offsetOf(to[pe].shape, global)] =
                from[source].data[next];
        }
        ++next;
      });
    }
}

void Machine::runAppend(wafer::AppendOp op) {
  LocalShards update = values[op.getUpdate()], state = values[op.getState()];
  auto dim = static_cast<size_t>(op.getDim());
  LayoutAttr layout = op.getLayoutAttr();
  bool oneRow = update[0].shape.size() < state[0].shape.size();
  int64_t rows = oneRow ? 1 : update[0].shape[dim];
  for (int64_t pe = 0; pe < numPes; ++pe) {
    int64_t next = 0;
    auto position = static_cast<int64_t>(values[op.getPosition()][pe].data[0]);
    forEach(state[pe].shape, [&](ArrayRef<int64_t> index) {
      int64_t at = next++;
      int64_t slot = index[dim];
      if (layout)
        slot = layout.getDim(dim).getGlobalIndex(
            slot, getPadded(state[pe].shape, layout)[dim], region, column(pe),
            row(pe));
      if (slot < position || slot >= position + rows)
        return;
      SmallVector<int64_t> from(index);
      if (oneRow)
        from.erase(from.begin() + dim);
      else
        from[dim] = slot - position;
      state[pe].data[at] = update[pe].data[offsetOf(update[pe].shape, from)];
    });
  }
  set(op.getResult()) = state;
  std::string name = stateNames.lookup(op.getState());
  stateNames[op.getResult()] = name;
  states[name] = {layout, state};
}

void Machine::runLookup(wafer::LookupOp op) {
  LocalShards table = values[op.getTable()], indices = values[op.getIndices()];
  LocalShards &result = set(op.getResult());
  for (int64_t pe = 0; pe < numPes; ++pe) {
    int64_t width = count(ArrayRef(table[pe].shape).drop_front());
    for (size_t i = 0; i < indices[pe].data.size(); ++i) {
      double wanted = indices[pe].data[i];
      auto found = static_cast<int64_t>(wanted);
      if (op.getRows()) {
        const auto &rows = values[op.getRows()][pe].data;
        auto it = std::find(rows.begin(), rows.end(), wanted);
        found = it == rows.end() ? -1 : it - rows.begin();
      }
      for (int64_t j = 0; j < width; ++j)
        result[pe].data[i * width + j] =
            found < 0 ? 0 : table[pe].data[found * width + j];
    }
  }
}

void Machine::runSlice(tensor::ExtractSliceOp op) {
  LocalShards from = values[op.getSource()];
  LocalShards &to = set(op.getResult());
  for (int64_t pe = 0; pe < numPes; ++pe) {
    int64_t next = 0;
    forEach(op.getStaticSizes(), [&](ArrayRef<int64_t> index) {
      SmallVector<int64_t> source;
      for (auto [d, i] : llvm::enumerate(index))
        source.push_back(op.getStaticOffset(d) + i * op.getStaticStride(d));
      to[pe].data[next++] = from[pe].data[offsetOf(from[pe].shape, source)];
    });
  }
}

void Machine::runConcat(tensor::ConcatOp op) {
  SmallVector<LocalShards> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(values[input]);
  LocalShards &to = set(op.getResult());
  for (int64_t pe = 0; pe < numPes; ++pe) {
    int64_t start = 0;
    for (const LocalShards &input : inputs) {
      int64_t next = 0;
      forEach(input[pe].shape, [&](ArrayRef<int64_t> index) {
        SmallVector<int64_t> target(index);
        target[op.getDim()] += start;
        to[pe].data[offsetOf(to[pe].shape, target)] = input[pe].data[next++];
      });
      start += input[pe].shape[op.getDim()];
    }
  }
}

template void Machine::runShare(wafer::SliceOp, bool);
template void Machine::runShare(wafer::GatherOp, bool);
