# cmake -DLIBRARY=liblngd.so -DNM=nm -DREADELF=readelf -P check-exports.cmake
# Fails if the library exports anything but lngd_* (or, with -DONLY=name, but that), or needs a library that a bare Linux may
# lack.
execute_process(COMMAND ${NM} -D --defined-only --format=posix ${LIBRARY} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" symbols "${symbols}")
set(count 0)
foreach(line IN LISTS symbols)
  string(REGEX REPLACE "[@ ].*" "" name "${line}")
  if(ONLY AND name STREQUAL ONLY OR NOT ONLY AND name MATCHES "^lngd_")
    math(EXPR count "${count} + 1")
  elseif(NOT name MATCHES "^LNGD_(CUDA_)?0$") # the version node itself
    message(SEND_ERROR "exported but not part of the ABI: ${name}")
  endif()
endforeach()
if(count EQUAL 0)
  message(SEND_ERROR "no lngd_ function is exported")
endif()

execute_process(COMMAND ${READELF} -d ${LIBRARY} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "Shared library: \\[[^]]+\\]" needed "${dynamic}")
foreach(entry IN LISTS needed)
  if(NOT entry MATCHES "\\[(libc|libm|libdl|libpthread|ld-linux-x86-64)\\.so")
    message(SEND_ERROR "needs more than libc: ${entry}")
  endif()
endforeach()
message(STATUS "${count} functions exported")
