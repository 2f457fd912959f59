//===- Passes.td - Programs, from fabric to addresses ------*- tablegen -*-===//

#ifndef WAFERLOOM_CODEGEN_PASSES
#define WAFERLOOM_CODEGEN_PASSES

include "mlir/Pass/PassBase.td"

def ConvertFabricToCore : Pass<"convert-fabric-to-core", "::mlir::ModuleOp"> {
  let summary = "Write the programs of all entries";
  let description = [{
    The functions of level 5 become one `core.image`: their tensors are windows
    of buffers, their ops instructions. Every buffer has a size and none has an
    address.

    Needs: level 5, all entries on one region with its colors and queues.
    Gives: a module of one `core.image`.

    `budget` says how much memory programs may take to be quick: 0 is as much as
    helps; each further one takes less (see docs/codegen.md).

    Example: test/Codegen/convert.mlir
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"wse3\"",
           "The machine, as --target has it">,
    Option<"budget", "budget", "unsigned", /*default=*/"0",
           "Which of the budgets, from 0 on">,
  ];
  let dependentDialects = ["::waferloom::core::CoreDialect"];
}

def CoreCoalesce : Pass<"core-coalesce", "::waferloom::core::ImageOp"> {
  let summary = "Write results to where they would be moved";
  let description = [{
    A `mov` of a scratch buffer that nobody reads afterwards goes away: its
    bytes are made where they were moved to. Needs that between the first
    instruction that writes the buffer and the mov nobody touches the bytes
    that it is moved to, and that all of them are executed by the same PEs
    in one trip.

    Needs: a `core.image`; buffers with addresses stay.
    Gives: fewer instructions and buffers, the same values.

    Example: test/Codegen/coalesce.mlir
  }];
}

def CoreSendInPlace : Pass<"core-send-in-place", "::waferloom::core::ImageOp"> {
  let summary = "Send what a message would be gathered from";
  let description = [{
    Where `mov`s gather the words of a message in a scratch buffer that those
    who send it do not use otherwise, the words are sent from where they are:
    a `send` for each `mov`, in the order of the words, and no `mov`. Those who
    take the message see the same words.

    Needs: a `core.image` before addresses are given.
    Gives: fewer instructions, the same values.

    Example: test/Codegen/send-in-place.mlir
  }];
}

def CoreMerge : Pass<"core-merge", "::waferloom::core::ImageOp"> {
  let summary = "Make one instruction of like ones side by side";
  let description = [{
    Vector instructions that differ only in where their operands lie, at equal
    distances from one to the next, become one with one dimension more. Scratch
    buffers whose distances are open are laid so: they become one buffer.
    Instructions move up to the first of them, past what does not touch the
    same bytes; streams, waits and loops with such stay where they are. What is
    made takes fewer cycles than what it was made of, banks regarded.

    ```mlir
    core.vector mul [4] f32[@a] = f32[@x], f32[@r : 0]
    core.vector mul [4] f32[@b] = f32[@x + 32], f32[@r : 0]
    // becomes
    core.vector mul [2, 4] f32[@a] = f32[@x : 8, 1], f32[@r : 0, 0]
    ```

    Needs: a `core.image`; programs whose scratch has addresses stay as they are.
    Gives: fewer instructions and buffers, the same values.

    Example: test/Codegen/merge.mlir
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"\"",
           "The machine; else the one that the image names">,
  ];
}

def CoreNeeds : Pass<"core-needs", "::waferloom::core::ImageOp"> {
  let summary = "Let instructions be executed only where they are needed";
  let description = [{
    What stands between a sum and its way back is computed by all PEs of a line,
    but the takes of all others than the root write over what they made. A
    vector instruction whose result is only read on some columns or rows, or
    only there before it is written over, is executed there alone, if a set of
    the region has their classes.

    ```mlir
    core.vector mul [4] f32[@a] = f32[@sum], f32(2.0)
    core.send [4] f32[@a] to 3 on columns @send_3
    core.recv [4] f32[@a] from 3 on columns @recv_3
    // becomes
    core.vector mul [4] f32[@a] = f32[@sum], f32(2.0) on columns @send_3
    ```

    Needs: a `core.image`; programs whose scratch has addresses stay as they are.
    Gives: the same instructions, on fewer PEs.

    Example: test/Codegen/needs.mlir
  }];
}

def CoreSchedule : Pass<"core-schedule", "::waferloom::core::ImageOp"> {
  let summary = "Send early, take late";
  let description = [{
    Moves the takes of an answer behind all else that is done for the same
    message, and puts vector instructions in between that neither the message
    needs nor wait for the answer: as many as the machine takes for the
    way to the root and back. No instruction is added or
    changed, and streams keep their order on every PE.

    Needs: a `core.image`; programs whose scratch has addresses stay as they are.
    Gives: the same instructions in another order.

    Example: test/Codegen/schedule.mlir
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"\"",
           "The machine; else the one that the image names">,
  ];
}

def CoreLiveLengths : Pass<"core-live-lengths", "::waferloom::core::ImageOp"> {
  let summary = "Let loops over a cache end with its live slots";
  let description = [{
    Instructions that go over the slots of a cache end with the live ones (`live`,
    docs/executor.md, E34), where what the others would do changes nothing or is
    read by nobody; if that takes fewer cycles than rewriting their descriptors.

    ```mlir
    core.vector fma [32] f32[@s] = f32[@m], f32[@k], f32[@q : 0]
    core.vector max [32] f32[@t : 0] = f32[@t : 0], f32[@s]
    // becomes
    core.loop 2 {
      core.rewrite
    }
    core.vector fma [32] f32[@s] = f32[@m], f32[@k], f32[@q : 0] live <0 over 8>
    core.vector max [32] f32[@t : 0] = f32[@t : 0], f32[@s] live <0 over 8>
    ```

    Needs: a `core.image`; programs with addresses stay as they are.
    Gives: the same values but for signs of zeros, in fewer cycles as long as
    caches are not full.

    Example: test/Codegen/live-lengths.mlir
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"\"",
           "The machine; else the one that the image names">,
  ];
}

def CoreShare : Pass<"core-share", "::waferloom::core::ImageOp"> {
  let summary = "Give addresses to what stays in memory";
  let description = [{
    Buffers of the region lie behind each other from address 0, at the same
    place for every entry: first those of all PEs, then those of some. What
    no PE has both of lies at the same bytes: weights of stage 0 and of the
    others. Inputs and outputs of a program lie behind all of them. An address
    that is there stays, and so do the bytes that `memory` says are taken.

    Needs: any `core.image`.
    Gives: only scratch is without an address.

    Example: test/Codegen/share.mlir
  }];
}

def CoreAssignBanks : Pass<"core-assign-banks", "::waferloom::core::ImageOp"> {
  let summary = "Let buffers that are read together begin in different banks";
  let description = [{
    An instruction that reads two operands which advance alike takes twice as
    long if they begin in the same bank. Scratch gets a `start` modulo the banks
    that costs the fewest cycles, the heaviest first. Buffers that meet nobody get none.

    Needs: `core-share` has run.
    Gives: `start` on scratch buffers.

    Example: test/Codegen/banks.mlir
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"\"",
           "The machine; else the one that the image names">,
  ];
}

def CoreAllocate : Pass<"core-allocate", "::waferloom::core::ImageOp"> {
  let summary = "Give addresses to scratch, by lifetime";
  let description = [{
    A buffer lives from the first to the last instruction that names it; what
    lives across the begin or end of a loop lives through all of it. In order of
    birth each buffer takes the lowest gap that begins as its `start` asks for.
    Writes `memory` of the region.

    Needs: `core-share` has run.
    Gives: every buffer has an address.

    Example: test/Codegen/allocate.mlir
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"\"",
           "The machine; else the one that the image names">,
  ];
}

def CoreLint : Pass<"core-lint", "::waferloom::core::ImageOp"> {
  let summary = "Say which instructions strides and banks make slow";
  let description = [{
    A remark for each vector instruction that takes more cycles than elements
    over rate: how many, how often, and why. An operand without an address is
    not regarded for banks.

    Needs: any `core.image`.
    Gives: the same.

    Example: test/Codegen/lint.mlir
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"\"",
           "The machine; else the one that the image names">,
    Option<"least", "least", "uint64_t", /*default=*/"1",
           "Cycles, over all times, below which nothing is said">,
  ];
}

def CoreFit : Pass<"core-fit", "::mlir::ModuleOp"> {
  let summary = "Write the quickest programs that fit the memory";
  let description = [{
    Runs `convert-fabric-to-core`, `core-coalesce`, `core-merge`, `core-schedule`,
    `core-share`, `core-assign-banks` and `core-allocate` with one budget after the other, until weights, states,
    tables, buffers, code and what is reserved do not exceed the SRAM of the
    fullest PE. Fails with the table of the smallest programs if none do.

    Needs: level 5, all entries on one region with its colors and queues.
    Gives: a module of one `core.image` with addresses.

    Example: test/Codegen/fit.mlir
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"wse3\"",
           "The machine, as --target has it">,
  ];
  let dependentDialects = ["::waferloom::core::CoreDialect"];
}

#endif // WAFERLOOM_CODEGEN_PASSES
