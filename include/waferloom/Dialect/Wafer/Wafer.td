//===- Wafer.td - Everything of the wafer dialect ----------*- tablegen -*-===//

include "waferloom/Dialect/Wafer/WaferOps.td"
include "waferloom/Dialect/Wafer/WaferLayoutOps.td"
include "waferloom/Dialect/Wafer/WaferProgramOps.td"
