// SPDX-License-Identifier: Apache-2.0
// OpenBLAS, loaded at run time. Not linked: the library then starts without it and can say what is missing, the caller
// can choose the copy, and the environment that OpenBLAS reads while it loads can be put right first.
#ifndef LNGD_BACKEND_CPU_BLAS_H
#define LNGD_BACKEND_CPU_BLAS_H

#include <string>

namespace lngd::cpu {

// cblas.h's numbers.
enum BlasOrder : int { kRowMajor = 101 };
enum BlasTranspose : int { kNoTrans = 111, kTrans = 112 };
enum BlasUplo : int { kUpper = 121, kLower = 122 };
enum BlasDiag : int { kNonUnit = 131 };
enum BlasSide : int { kLeft = 141, kRight = 142 };

struct Blas {
  void (*sgemm)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float* a, int lda,
                const float* b, int ldb, float beta, float* c, int ldc);
  void (*ssyrk)(int order, int uplo, int trans, int n, int k, float alpha, const float* a, int lda, float beta,
                float* c, int ldc);
  void (*strsm)(int order, int side, int uplo, int trans, int diag, int m, int n, float alpha, const float* a, int lda,
                float* b, int ldb);
  void (*ssyevd)(const char* job, const char* uplo, const int* n, float* a, const int* lda, float* values, float* work,
                 const int* lwork, int* iwork, const int* liwork, int* info, size_t, size_t);
  int (*get_threads)();
  void (*set_threads)(int);
  std::string config; // openblas_get_config()
  std::string core;   // openblas_get_corename()
  std::string path;
};

// Back to one BLAS thread if somebody has changed it: ND4J sets the threads of every OpenBLAS that it finds in the
// process. Two of our threads in a two-threaded OpenBLAS then wait for each other's workers (measured: a step of 1 ms
// became one of 30). Called at the start of every kernel; a load and a comparison when nothing has changed.
inline void keep_single_threaded(const Blas& library) {
  if (library.get_threads() != 1) library.set_threads(1);
}

// See lngd_load_blas. False with every path tried and why it failed in `reason`.
bool load_blas(const char* path, std::string& reason);

// The loaded library, or nullptr.
const Blas* blas();

} // namespace lngd::cpu
#endif
