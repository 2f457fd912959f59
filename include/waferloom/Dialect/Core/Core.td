//===- Core.td - Everything of the core dialect ------------*- tablegen -*-===//

include "waferloom/Dialect/Core/CoreOps.td"
