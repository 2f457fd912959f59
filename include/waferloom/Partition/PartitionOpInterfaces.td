//===- PartitionOpInterfaces.td - The rules of an op -------*- tablegen -*-===//
//
// What partitioning asks an op. docs/partition.md, "The rules of an op", says
// which phase asks what. Models of all ops are in lib/Partition/Ops, one file
// per family.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_PARTITION_PARTITIONOPINTERFACES
#define WAFERLOOM_PARTITION_PARTITIONOPINTERFACES

include "mlir/IR/OpBase.td"

def DimensionOpInterface : OpInterface<"DimensionOpInterface"> {
  let cppNamespace = "::waferloom::partition";
  let description = [{
    An op of level 2, whose tensors are whole: its loops, how its dimensions are
    factored, and what it is to layers that repeat. An op on tensors
    without this interface is refused by partition-factor.
  }];
  let methods = [
    InterfaceMethod<[{
        The loops of the op, before and after its dimensions are factored. Empty for
        an op whose dimensions have nothing to do with each other.
      }], "::waferloom::partition::IterationSpace", "getIterationSpace",
      (ins), "", "return {};">,
    InterfaceMethod<[{
        Tells `boundaries` which dimensions are factored alike and which boundaries
        follow from others. Called until nothing changes. Dimensions of one loop
        are factored alike unless the op says otherwise. Error: a form of the op that
        partitioning does not take; it has been emitted.
      }], "::llvm::LogicalResult", "relateDimensions",
      (ins "::waferloom::partition::Boundaries &":$boundaries), "", [{
        ::waferloom::partition::relateLoops($_op, boundaries);
        return ::llvm::success();
      }]>,
    InterfaceMethod<[{
        Writes the op on operands whose dimensions are factored, and binds its
        results. The same op with other types unless it says otherwise. Error:
        the factors are none that the op can have; it has been emitted.
      }], "::llvm::LogicalResult", "factorDims",
      (ins "::waferloom::partition::Factorizer &":$factorizer), "", [{
        ::waferloom::partition::cloneFactored($_op, factorizer);
        return ::llvm::success();
      }]>,
    InterfaceMethod<[{
        What the op is to layers that repeat (partition-reroll).
      }], "::waferloom::partition::Rerolling", "getRerolling",
      (ins), "", "return ::waferloom::partition::Rerolling::Computes;">
  ];
}

def LayoutOpInterface : OpInterface<"LayoutOpInterface"> {
  let cppNamespace = "::waferloom::partition";
  let description = [{
    An op whose tensors lie on the PEs of a region: which dimensions are split
    alike and what the op costs (level 2, factored), how it is written with layouts
    (level 3), which layouts it accepts, and its form on one PE (level 4). An op
    without this interface is accepted on values that are whole on every PE
    only.
  }];
  let methods = [
    InterfaceMethod<[{
        What one PE computes, for the cost of a plan.
      }], "::waferloom::partition::LocalWork", "getLocalWork",
      (ins), "", "return {};">,
    InterfaceMethod<[{
        Does the result stay in memory from step to step, a weight or a state?
        It is counted where it lies, not as a buffer of its readers.
      }], "bool", "isStored", (ins), "", "return false;">,
    InterfaceMethod<[{
        Tells `reader` which dimensions are split alike, by the loops of the op
        unless it says otherwise. Error: roles that cannot agree; it has been
        emitted.
      }], "::llvm::LogicalResult", "readClasses",
      (ins "::waferloom::partition::ClassReader &":$reader), "", [{
        return ::waferloom::partition::readLoops($_op, reader);
      }]>,
    InterfaceMethod<[{
        Writes the op on operands with layouts, with the layout of its result:
        split as the plan says, and of its padding what the operands give. What
        the op needs of its operands is sliced, gathered or masked in front of
        it, a partial result is all-reduced behind it. Error: no mask mends a
        padding; it has been emitted.
      }], "::llvm::LogicalResult", "writeLayouts",
      (ins "::waferloom::partition::Writer &":$writer), "", [{
        return ::waferloom::partition::refuseToWrite($_op);
      }]>,
    InterfaceMethod<[{
        Are the layouts of the operands ones that the op accepts, and does its
        result claim no more than they give? Layouts fit their tensors already.
        Error: what is wrong; it has been emitted.
      }], "::llvm::LogicalResult", "verifyLayouts",
      (ins "::waferloom::wafer::RegionAttr":$region), "",
      "return ::llvm::success();">,
    InterfaceMethod<[{
        Brings attributes to the form on one PE, while types are still those of
        whole tensors with layouts; types follow by themselves. Error: a value
        that differs from PE to PE; it has been emitted.
      }], "::llvm::LogicalResult", "makeLocal",
      (ins "::waferloom::wafer::RegionAttr":$region), "",
      "return ::llvm::success();">,
    InterfaceMethod<[{
        Does the op only want operand `index`, of f32, rounded to f16? Then it
        can `readHalves` there.
      }], "bool", "rounds", (ins "unsigned":$index), "", "return false;">,
    InterfaceMethod<[{
        Reads `halves`, what it `rounds` operand `index` to, in its place.
      }], "void", "readHalves",
      (ins "unsigned":$index, "::mlir::Value":$halves), "",
      "$_op->setOperand(index, halves);">
  ];
}

#endif // WAFERLOOM_PARTITION_PARTITIONOPINTERFACES
