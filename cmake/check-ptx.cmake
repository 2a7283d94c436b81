# cmake -DNVCC=.. -DSOURCE=x.cu -DINCLUDE=native -DOUT=x.ptx "-DWANTED=mma.sync;ldmatrix" -P check-ptx.cmake
# Compiles the source to PTX for sm_80 and fails if an instruction that should be there is not.
execute_process(COMMAND ${NVCC} -std=c++17 -arch=compute_80 -ptx -I ${INCLUDE}/src -I ${INCLUDE}/test -I ${INCLUDE}/test/simt -I ${INCLUDE}/include
                        -o ${OUT} ${SOURCE} RESULT_VARIABLE result ERROR_VARIABLE errors)
if(result)
  message(FATAL_ERROR "nvcc -ptx ${SOURCE}: ${errors}")
endif()
file(READ ${OUT} ptx)
foreach(instruction IN LISTS WANTED)
  string(FIND "${ptx}" "${instruction}" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "${SOURCE} compiles to PTX without ${instruction}")
  endif()
endforeach()
