# The only build helpers of the project. Rooms that know MLIR are declared with
# add_waferloom_library, which links MLIR as one shared library; rooms that do
# not (Target, Image, Executor, Report) with add_waferloom_plain_library, which
# gives them LLVM's support library only.

function(add_waferloom_library name)
  add_mlir_library(${name} STATIC ${ARGN} DISABLE_INSTALL)
  target_link_libraries(${name} PUBLIC MLIR)
  foreach(target ${name} obj.${name})
    if(TARGET ${target})
      target_precompile_headers(${target} REUSE_FROM WaferloomPrecompiled)
    endif()
  endforeach()
endfunction()

# MLIR's headers take four fifths of a compilation: they are parsed once for all
# rooms that know MLIR. Sources still include what they use.
function(add_waferloom_precompiled)
  file(WRITE ${PROJECT_BINARY_DIR}/precompiled.cpp "")
  add_library(WaferloomPrecompiled OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
  llvm_update_compile_flags(WaferloomPrecompiled)
  target_precompile_headers(WaferloomPrecompiled PRIVATE ${ARGN})
  # ccache needs a precompiled header without a time in it.
  target_compile_options(WaferloomPrecompiled PRIVATE
    "SHELL:-Xclang -fno-pch-timestamp")
endfunction()

function(add_waferloom_plain_library name)
  add_llvm_library(${name} STATIC DISABLE_LLVM_LINK_LLVM_DYLIB BUILDTREE_ONLY ${ARGN})
  target_link_libraries(${name} PUBLIC LLVM)
endfunction()

# Declares the passes of `Passes.td` in this folder, as C++ and as the reference
# page Passes/<name>Passes.md. Libraries depend on <name>PassesIncGen.
function(add_waferloom_passes name)
  set(LLVM_TARGET_DEFINITIONS Passes.td)
  mlir_tablegen(Passes.h.inc -gen-pass-decls -name ${name})
  add_mlir_generic_tablegen_target(${name}PassesIncGen)
  add_mlir_doc(Passes ${name}Passes Passes/ -gen-pass-doc)
endfunction()
