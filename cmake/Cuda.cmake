# CUDA for the device backend: whether there is a compiler, and the flags. Without one the build goes on for the CPU only and says
# so in one line; LNGD_HAVE_CUDA tells the rest.
option(LNGD_CUDA "Build the CUDA backend where nvcc is found" ON)
set(LNGD_HAVE_CUDA OFF)
if(LNGD_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
endif()
if(LNGD_CUDA AND CMAKE_CUDA_COMPILER)
  # Before enable_language: CMake would choose the oldest architecture that nvcc knows. SASS for A100, RTX 30 (A10, A40), RTX 40 (L4, L40)
  # and Hopper, and PTX for what comes after. sm_86 and sm_89 are assembled from the PTX of compute_80: no kernel asks for an
  # architecture, and the compiler proper, which is more than half of nvcc's time, then runs twice and not four times. CMake's own
  # list cannot say that, so it is only used where somebody names architectures (-DCMAKE_CUDA_ARCHITECTURES=90).
  set(LNGD_CUDA_CODE)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES OFF)
    foreach(code IN ITEMS 80,code=sm_80 80,code=sm_86 80,code=sm_89 90,code=sm_90 90,code=compute_90)
      string(APPEND LNGD_CUDA_CODE " -gencode=arch=compute_${code}")
    endforeach()
  endif()
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
  # Static: the library then loads, and can say what is missing, on a machine without a driver.
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  enable_language(CUDA)
  string(APPEND CMAKE_CUDA_FLAGS "${LNGD_CUDA_CODE}")
  set(LNGD_HAVE_CUDA ON)
  # A kernel that spills is a defect: -warn-spills becomes an error. Host code gets the warnings that nvcc's own output survives.
  set(LNGD_CUDA_FLAGS -Xptxas=-warn-spills,-Werror -Werror=all-warnings,cross-execution-space-call --compress-mode=size
                      -Xcompiler=-Wall,-Wextra,-Werror)
  if(NOT LNGD_WERROR)
    list(TRANSFORM LNGD_CUDA_FLAGS REPLACE "^-Werror=all-warnings,cross-execution-space-call$" "-Werror=cross-execution-space-call")
    list(TRANSFORM LNGD_CUDA_FLAGS REPLACE ",-Werror$" "")
  endif()
  if(CMAKE_CUDA_ARCHITECTURES)
    set(architectures ${CMAKE_CUDA_ARCHITECTURES})
  else()
    set(architectures "sm_80, sm_86, sm_89, sm_90, PTX for later ones")
  endif()
  message(STATUS "LNGD: CUDA ${CMAKE_CUDA_COMPILER_VERSION}, architectures ${architectures}")
else()
  message(STATUS "LNGD: no CUDA compiler (nvcc), or LNGD_CUDA=OFF, so the CPU backend only")
endif()

# A test that fails unless the PTX of `source` holds each of the instructions that follow it.
function(lngd_check_ptx source)
  get_filename_component(name ${source} NAME_WE)
  add_test(NAME ptx_${name} COMMAND ${CMAKE_COMMAND} -DNVCC=${CMAKE_CUDA_COMPILER} -DSOURCE=${source} "-DWANTED=${ARGN}"
           -DINCLUDE=${LNGD_NATIVE} -DOUT=${CMAKE_CURRENT_BINARY_DIR}/${name}.ptx -P ${LNGD_CMAKE}/check-ptx.cmake)
endfunction()

# The backend's library, liblngd_cuda.so, from kernels (lngd_cuda_kernels) and host code; their PTX tests; and the wrapper
# self-test for a machine with a GPU (simt_wrappers_gpu: built everywhere, run by bench/gpu/run.sh). Called from native/, not
# from native/test/simt, where the same sources are C++.
set(LNGD_CMAKE ${CMAKE_CURRENT_LIST_DIR})
set(LNGD_NATIVE ${CMAKE_CURRENT_LIST_DIR}/../native)
function(lngd_add_cuda_backend)
  file(GLOB kernels CONFIGURE_DEPENDS ${LNGD_NATIVE}/src/backend/cuda/*.cu)
  file(GLOB host CONFIGURE_DEPENDS ${LNGD_NATIVE}/src/backend/cuda/*.cpp)
  add_library(lngd_cuda_kernels OBJECT ${kernels} ${host})
  target_include_directories(lngd_cuda_kernels PUBLIC ${LNGD_NATIVE}/include ${LNGD_NATIVE}/src)
  # CUDA's own headers: without our warnings.
  target_include_directories(lngd_cuda_kernels SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  target_compile_options(lngd_cuda_kernels PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:${LNGD_CUDA_FLAGS}>
                                                   $<$<COMPILE_LANGUAGE:CXX>:${LNGD_WARNINGS}>)
  add_library(lngd_cuda SHARED $<TARGET_OBJECTS:lngd_cuda_kernels>)
  # The CUDA linker driver adds the static runtime.
  set_target_properties(lngd_cuda PROPERTIES LINKER_LANGUAGE CUDA LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/lngd_cuda.map)
  target_link_options(lngd_cuda PRIVATE ${LNGD_BACKEND_LINK_OPTIONS})
  if(LNGD_BUILD_TESTS)
    add_executable(simt_wrappers_gpu ${LNGD_NATIVE}/test/simt/test_wrappers.cu ${LNGD_NATIVE}/test/harness.cpp)
    target_include_directories(simt_wrappers_gpu PRIVATE ${LNGD_NATIVE}/src ${LNGD_NATIVE}/test ${LNGD_NATIVE}/test/simt)
    target_compile_options(simt_wrappers_gpu PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:${LNGD_CUDA_FLAGS}>)
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/precondition.cu
                   "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" "ldmatrix.sync.aligned.m8n8.x4.shared.b16" "cvt.rna.tf32.f32"
                   "cp.async.cg.shared.global" "cp.async.ca.shared.global" "cp.async.wait_group" "prefetch.global.L2")
    # Without 16 bytes a copy, both operands of the second product would come by floats.
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/dense_precondition.cu
                   "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" "ldmatrix.sync.aligned.m8n8.x4.shared.b16" "cvt.rna.tf32.f32"
                   "cp.async.cg.shared.global" "cp.async.ca.shared.global" "cp.async.wait_group" "st.v2.f32")
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/diagonal_precondition.cu "st.v2.f32")
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/embedding_statistics.cu "vote.sync.ballot.b32" "add.f64")
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/rate_projection.cu
                   "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" "ldmatrix.sync.aligned.m8n8.x4.shared.b16" "cvt.rna.tf32.f32"
                   "cp.async.cg.shared.global" "cp.async.ca.shared.global" "cp.async.wait_group")
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/layer_statistics.cu
                   "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
                   "cvt.rna.tf32.f32" "cvt.rn.bf16x2.f32" "fma.rn.f32" "cp.async.cg.shared.global" "cp.async.ca.shared.global"
                   "cp.async.wait_group" "ld.shared.v2.f32")
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/conv_statistics.cu
                   "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
                   "cp.async.cg.shared.global" "cp.async.ca.shared.global" "cp.async.wait_group" "ld.shared.v2.f32" "mul.hi.u32")
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/apply_update.cu "ld.global.v4.f32" "st.global.v4.f32")
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/running_average.cu "ld.global.v4.f32" "st.global.v4.f32")
    # Without 16 bytes a load and store, and fused multiply-add, these are several times slower.
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/factor_inverse.cu "ld.shared.v4.f32" "st.v4.f32" "fma.rn.f32" "shfl.sync.idx.b32"
                   "rsqrt.approx.f32" "cp.async.cg.shared.global")
    lngd_check_ptx(${LNGD_NATIVE}/src/backend/cuda/factor_inverse_large.cu "ld.shared.v4.f32" "st.global.v4.f32" "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" "fma.rn.f32"
                   "cp.async.cg.shared.global" "cp.async.wait_group")
    lngd_check_ptx(${LNGD_NATIVE}/test/simt/test_wrappers.cu "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
                   "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16" "cvt.rn.bf16x2.f32")
  endif()
endfunction()
