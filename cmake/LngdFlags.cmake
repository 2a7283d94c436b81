# Compiler and linker flags, in one place.

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 99)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(CMAKE_CXX_FLAGS_RELEASE "-O3")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O3 -g")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")

set(LNGD_WARNINGS
    -Wall
    -Wextra
    -Wshadow
    -Wconversion
    -Wno-sign-conversion # index arithmetic between int64_t and size_t; narrowing is still an error
    -Wcast-qual
    -Wundef
    -Werror)
# Off on a machine whose compiler nobody here has tried (bench/gpu/run.sh): a warning that only it knows is no reason to stop there.
option(LNGD_WERROR "Warnings are errors" ON)
if(NOT LNGD_WERROR)
  list(REMOVE_ITEM LNGD_WARNINGS -Werror)
endif()

# fp-contract: with -std=c++17 (no extensions) GCC would not form FMAs. math-errno and trapping-math: nobody reads errno or the exception
# flags, and both stop vectorisation. Not -ffast-math: NaN and Inf must be seen, and sums must keep their order from run to run.
set(LNGD_MATH -fopenmp-simd -ffp-contract=fast -fno-math-errno -fno-trapping-math)

set(LNGD_ISA_FLAGS_portable "")
set(LNGD_ISA_FLAGS_avx2 -mavx2 -mfma)
set(LNGD_ISA_FLAGS_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mprefer-vector-width=512)
