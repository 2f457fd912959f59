//===- Fabric.td - Collectives along lines of PEs ----------*- tablegen -*-===//

#ifndef WAFERLOOM_DIALECT_FABRIC_FABRIC
#define WAFERLOOM_DIALECT_FABRIC_FABRIC

include "waferloom/Dialect/Fabric/FabricDialect.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Fabric_Collective : OpInterface<"CollectiveOpInterface"> {
  let cppNamespace = "::waferloom::fabric";
  let description = "What all collectives have: values, a line, a root, colors.";
  let methods = [
    InterfaceMethod<"The values that travel in one message.",
                    "::mlir::OperandRange", "getValues">,
    InterfaceMethod<"The line along which they do.",
                    "::waferloom::fabric::LineAttr", "getLine">,
    InterfaceMethod<"The place on the line of its root.", "uint64_t", "getRoot">,
    InterfaceMethod<"The first of its colors; nothing before routing.",
                    "std::optional<uint64_t>", "getColor">,
    InterfaceMethod<"Gives it colors from `color` on.", "void", "setFirstColor",
                    (ins "int64_t":$color), [{
      $_op.setColor(color);
    }]>,
  ];
  let verify = "return verifyCollective($_op);";
}

def Fabric_StageStream : OpInterface<"StageStreamOpInterface"> {
  let cppNamespace = "::waferloom::fabric";
  let description = "What stages give each other: the first of its colors.";
  let methods = [
    InterfaceMethod<"The first of its colors; nothing before routing.",
                    "std::optional<uint64_t>", "getColor">,
    InterfaceMethod<"Gives it colors from `color` on.", "void", "setFirstColor",
                    (ins "int64_t":$color), [{
      $_op.setColor(color);
    }]>,
  ];
}

def Fabric_Count : ConfinedAttr<I64Attr, [IntNonNegative]>;
def Fabric_OptionalCount : OptionalAttr<Fabric_Count>;
def Fabric_OptionalPositive : OptionalAttr<ConfinedAttr<I64Attr, [IntPositive]>>;

class Fabric_CollectiveOp<string mnemonic>
    : Op<Fabric_Dialect, mnemonic,
         [Pure, DeclareOpInterfaceMethods<Fabric_Collective>]> {
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
}

def Fabric_AllReduceOp : Fabric_CollectiveOp<"all_reduce"> {
  let summary = "Combine values of a line on all its PEs";
  let description = [{
    Combines each value over the PEs of every group of the line and gives all of
    them the result. The values travel in one message, one after the other. The
    PEs toward position 0 and those beyond the root combine toward it, the root
    joins both arms, and a multicast brings the result back.

    ```
    root 2                        along x
      1 --> 3 --> . <-- 9 <-- 5       chain toward the root: 1+2, 5+4
                  15                  the root has 1+2 + 3 + 5+4
      15 <- - - - 15 - - - - > 15     one multicast
    ```

    How the values of an arm meet:

    ```
    chain      o->o->o->o->o->o->o->o    every PE adds its own and passes on
    two_phase  o->o->o  o->o->o  o->o    chains within groups of `group` PEs,
                     ---------->------>  then a chain of the groups' last PEs
    tree       o->o  o->o  o->o  o->o    neighbours, then neighbours of those
                  --->        ---->
    star       o--o--o--o--o--o--o-->o   all send to the root, in turn
    grown      o->o->o->o  o->o->o  o->o  groups that get smaller outward, each
                       ------>--->---->  a chain or grown in turn: `levels`
                                         deep, best for messages of `group` words
    ```

    Life: created by `convert-wafer-to-fabric` without a color; `fabric-route`
    sets `color`, the first of as many colors as the algorithm needs; read by
    code generation, which computes it in place: results live where the values
    did.

    ```mlir
    %q, %k = fabric.all_reduce %q0, %k0 sum
        along <x, length = 8, stride = 1, segments = 1>
        by two_phase group 3 root 4 color 0
        : (tensor<8xf32>, tensor<4xf32>) -> (tensor<8xf32>, tensor<4xf32>)
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values,
                       Fabric_Combiner:$combiner, Fabric_LineAttr:$line,
                       Fabric_Algorithm:$algorithm,
                       Fabric_OptionalPositive:$group,
                       Fabric_OptionalPositive:$levels,
                       Fabric_Count:$root, Fabric_OptionalCount:$color);
  let assemblyFormat = [{
    $values $combiner `along` $line `by` $algorithm (`group` $group^)?
    (`levels` $levels^)? `root` $root (`color` $color^)? attr-dict
    `:` functional-type($values, $results)
  }];
  let hasVerifier = 1;
}

def Fabric_ReduceOp : Fabric_CollectiveOp<"reduce"> {
  let summary = "Combine values of a line at its root";
  let description = [{
    As `fabric.all_reduce` without the multicast: only the root has the result,
    other PEs hold what they please.

    ```mlir
    %1 = fabric.reduce %0 sum along <y, length = 4, stride = 2, segments = 1>
        by chain root 0 color 3 : (tensor<8xf32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values,
                       Fabric_Combiner:$combiner, Fabric_LineAttr:$line,
                       Fabric_Algorithm:$algorithm,
                       Fabric_OptionalPositive:$group,
                       Fabric_OptionalPositive:$levels,
                       Fabric_Count:$root, Fabric_OptionalCount:$color);
  let assemblyFormat = [{
    $values $combiner `along` $line `by` $algorithm (`group` $group^)?
    (`levels` $levels^)? `root` $root (`color` $color^)? attr-dict
    `:` functional-type($values, $results)
  }];
  let hasVerifier = 1;
}

def Fabric_BroadcastOp : Fabric_CollectiveOp<"broadcast"> {
  let summary = "Give the root's values to its line";
  let description = [{
    One multicast: the routers copy the words, no PE forwards them.

    ```
    root 2     . <- - - . <- - - o - - -> . - - -> .
    ```

    ```mlir
    %1 = fabric.broadcast %0 along <y, length = 4, stride = 1, segments = 2>
        root 2 color 3 : (tensor<8xf32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values,
                       Fabric_LineAttr:$line, Fabric_Count:$root,
                       Fabric_OptionalCount:$color);
  let assemblyFormat = [{
    $values `along` $line `root` $root (`color` $color^)? attr-dict
    `:` functional-type($values, $results)
  }];
  let extraClassDeclaration = [{
    /// Whether no sum along its line ended at its root: all PEs of the line have
    /// what it is made of, but the root earlier.
    bool goesAhead();
  }];
}

def Fabric_StageSendRecvOp
    : Op<Fabric_Dialect, "stage_send_recv",
         [IsolatedFromAbove, RecursiveMemoryEffects,
          SingleBlockImplicitTerminator<"YieldOp">,
          DeclareOpInterfaceMethods<Fabric_StageStream>]> {
  let summary = "From stage to stage, and back to the first";
  let description = [{
    Stands behind a `wafer.repeat` whose trips several stages share, and names
    how what it carries travels. Before its trips each stage takes the values
    from the one before it; after them it sends them to all PEs of the next, in
    every row (column) of PEs by itself. The last stage sends them back to stage
    0, where the results are. All go as one message.

    ```
    stage 0      stage 1      stage 2
    [ . . o]--->[-> -> o]--->[-> -> .]      colors 0 and 1, in turn
    [<- <- <-]<-[- - - -]<---[o . . .]      color 2
    ```

    Along a strip the last PEs of a stage speak for the others, whose words are
    the same. Where a strip turns around, lanes do, and words have to change
    them: `leave` is what the stage in front of a turn does with the words of
    its PE, and yields what the last PE of each lane sends; `enter` makes of the
    words of a lane those of the PE.

    In a program of kind `ends` it stands where the layers are not: the values
    leave for the first stage of the layers and come back from the last.

    Life: created by `convert-wafer-to-fabric`; `fabric-route` sets `color`, the
    first of three (two, of two stages), the highest of the target: routers of
    other stages are passed in them, so no collective has them.

    ```mlir
    %1 = fabric.stage_send_recv %0 color 21 leave {
    ^bb0(%a: tensor<16xf32>):
      %l = fabric.to_lanes %a from y 4 to x 8 : (tensor<16xf32>) -> tensor<8xf32>
      %r = fabric.reduce %l sum along <y, length = 4, stride = 1, segments = 2>
          by chain root 3 color 0 : (tensor<8xf32>) -> tensor<8xf32>
      fabric.yield %r : tensor<8xf32>
    } enter {
    ^bb0(%l: tensor<8xf32>):
      %a = fabric.from_lanes %l from x 8 to y 4 : (tensor<8xf32>) -> tensor<16xf32>
      ...
    } : (tensor<16xf32>) -> tensor<16xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values,
                       Fabric_OptionalCount:$color);
  let regions = (region MaxSizedRegion<1>:$leave, MaxSizedRegion<1>:$enter);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let assemblyFormat = [{
    $values (`color` $color^)? (`leave` $leave^ `enter` $enter)? attr-dict
    `:` functional-type($values, $results)
  }];
  let extraClassDeclaration = [{
    /// Whether strips turn around: `leave` and `enter` are there.
    bool turns() { return !getLeave().empty(); }
    /// Words of one PE's message.
    int64_t getWords();
    /// The colors that `stages` stages take.
    static unsigned getColorsOf(int64_t stages) {
      return stages < 2 ? 0 : stages == 2 ? 2 : 3;
    }
  }];
  let hasVerifier = 1;
}

def Fabric_StageRecvOp
    : Op<Fabric_Dialect, "stage_recv",
         [DeclareOpInterfaceMethods<Fabric_StageStream>]> {
  let summary = "Take what the stage before gives";
  let description = [{
    `wafer.recv` with the first of the colors that `fabric.stage_send_recv` has.

    ```mlir
    %x = fabric.stage_recv color 21 : tensor<16xf32>
    ```
  }];
  let arguments = (ins Fabric_OptionalCount:$color);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let assemblyFormat = "(`color` $color^)? attr-dict `:` type($results)";
}

def Fabric_StageSendOp
    : Op<Fabric_Dialect, "stage_send",
         [DeclareOpInterfaceMethods<Fabric_StageStream>]> {
  let summary = "Give to the next stage";
  let description = [{
    `wafer.send` with the first of the colors that `fabric.stage_send_recv` has.

    ```mlir
    fabric.stage_send %y color 21 : tensor<16xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values,
                       Fabric_OptionalCount:$color);
  let assemblyFormat = "$values (`color` $color^)? attr-dict `:` type($values)";
}

def Fabric_YieldOp : Op<Fabric_Dialect, "yield",
    [Pure, ReturnLike, Terminator, ParentOneOf<["StageSendRecvOp"]>]> {
  let summary = "What `leave` and `enter` of a stage come to";
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$values);
  let builders = [OpBuilder<(ins), [{ }]>];
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

class Fabric_LanesOp<string mnemonic> : Op<Fabric_Dialect, mnemonic, [Pure]> {
  let arguments = (ins AnyStaticShapeTensor:$value, Fabric_Direction:$from,
                       Fabric_Count:$fromCount, Fabric_Direction:$to,
                       Fabric_Count:$toCount);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = [{
    $value `from` $from $fromCount `to` $to $toCount attr-dict
    `:` functional-type($value, $result)
  }];
  let hasVerifier = 1;
}

def Fabric_ToLanesOp : Fabric_LanesOp<"to_lanes"> {
  let summary = "Set what this PE gives to its lane into zeros";
  let description = [{
    Local. Words differ from part to part of `from` (rows, say) and are the same
    in all columns, each of which is to be a lane. The sum over
    `from` then is what the lane carries. With at least as many lanes as parts,
    m = lanes / parts lanes share a part: lane l carries piece l mod m of part
    l / m, of n / m words (more than m * parts lanes carry zeros). With fewer,
    a lane carries m = parts / lanes (rounded up) parts behind each other.

    ```
    4 rows, 8 columns, m = 2: column 5 carries the second half of row 2
    4 rows, 2 columns, m = 2: column 1 carries rows 2 and 3
    ```

    ```mlir
    %l = fabric.to_lanes %a from y 4 to x 8 : (tensor<16xf32>) -> tensor<8xf32>
    ```
  }];
}

def Fabric_FromLanesOp : Fabric_LanesOp<"from_lanes"> {
  let summary = "Set what this PE takes from its lane into zeros";
  let description = [{
    The way back of `fabric.to_lanes`: `from` is of the lanes, `to` of the
    parts. The sum over the lanes then is what the part had, filled with zeros
    to a multiple of the lanes that shared it.

    ```mlir
    %a = fabric.from_lanes %l from x 8 to y 4 : (tensor<8xf32>) -> tensor<16xf32>
    ```
  }];
}

def Fabric_PutOp : Op<Fabric_Dialect, "put", [Pure]> {
  let summary = "Set this PE's share into zeros";
  let description = [{
    Local: no word crosses PEs. The result is zero but for this PE's share of
    dimension `dim`: at coordinate c of P along `axes` (mixed radix, major to
    minor) elements c n/P .. (c + 1) n/P - 1 of n, or, when `cyclic`, those
    congruent to c modulo P. The sum over the axes then is an all-gather.

    ```
    x = 0    1    2    3      dim 0 over x       x = 0          1          2          3
      a b  c d  e f  g h     -------------->   a b 0 0 0 0 0 0  0 0 c d 0 0 0 0  ...
    ```

    ```mlir
    %1 = fabric.put %0 dim 0 over [#fabric.axis<x, extent = 4, stride = 1>]
       : (tensor<2xf32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$value, Fabric_Count:$dim,
                       Fabric_AxisArrayAttr:$axes, UnitAttr:$cyclic);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = [{
    $value `dim` $dim `over` $axes (`cyclic` $cyclic^)? attr-dict
    `:` functional-type($value, $result)
  }];
  let hasVerifier = 1;
}

#endif // WAFERLOOM_DIALECT_FABRIC_FABRIC
