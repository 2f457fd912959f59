"""How lit finds and runs the tests; one test file per source file."""

import os

import lit.formats
from lit.llvm import llvm_config

config.name = "waferloom"
config.test_format = lit.formats.ShTest()
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.waferloom_obj_root, "test")

# A variable captured in one test cannot leak into the next.
config.environment["FILECHECK_OPTS"] = "--enable-var-scope"

llvm_config.add_tool_substitutions(
    ["waferloom-opt", "waferloom-level2", "waferloom-validation", "waferloom", "FileCheck", "not", "split-file"],
    [config.waferloom_tools_dir, config.llvm_tools_dir],
)
