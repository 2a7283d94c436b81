// SPDX-License-Identifier: Apache-2.0
// The last launch of factor_inverse for large matrices: the results, and retries of those whose first try met a pivot
// that is not a positive number: ten times the damping and again, at most 6 times; then the old inverse stays.
//
// Where all succeeded it writes the results and is done. Else its blocks, one for each multiprocessor at most, go on
// with the rounds of factor_rounds.h until every matrix is settled.
//
// What a try should cost (not measured yet). The arithmetic is that of the first try, with one block of 8 warps on a
// multiprocessor instead of two (every task's code in one kernel: 168 registers), so half to two thirds of its speed,
// and a round costs a turn of the queue in place of a launch, about 3 us: a fence, an atomic and the look of those who
// wait. On H100 4608 rows: 3.2 to 4.2 ms and 73 rounds 0.2 ms; 1152 rows: 19 rounds, of which 9 wait for a diagonal
// tile of 15 us: 0.3 ms. One block alone, as it was before, took n^3 operations of one multiprocessor: 0.3 s and 4 ms.
// Rejected: six more rounds of launches that return at once (every call would pay for 12 p of them, 0.7 ms for 36
// panels); conditional nodes of CUDA graphs (the step is a graph only where the caller makes one); asking the host.
#include "backend/cuda/factor_large_tasks.cuh"

namespace lngd::cuda {

using namespace large;

namespace {

struct DeviceAtomics {
  static __device__ unsigned long long load(unsigned long long* p) { return atomicAdd(p, 0ull); }
  static __device__ unsigned long long add(unsigned long long* p, unsigned long long x) { return atomicAdd(p, x); }
  static __device__ int32_t add(int32_t* p, int32_t x) { return atomicAdd(p, x); }
  static __device__ void exchange(unsigned long long* p, unsigned long long x) { atomicExch(p, x); }
  static __device__ void fence() { __threadfence(); }
};

// Each is thousands of cycles, so a call costs nothing; all of them in one function would spill.
__device__ __attribute__((noinline)) void run_diagonal(Large m, double lambda, float* shared, int* shared_bad) {
  diagonal_task(m, 0, lambda, shared, shared_bad);
}
__device__ __attribute__((noinline)) void run_solve(Large m, int k, int t, float* shared) {
  solve_task(m, k, t, shared);
}
__device__ __attribute__((noinline)) void run_update(Large m, int k, int t, double lambda, float* shared,
                                                     int* shared_bad) {
  update_task(m, k, t, lambda, shared, shared_bad);
}
__device__ __attribute__((noinline)) void run_product(Large m, int t, float* shared) { product_task(m, t, shared); }

__device__ double retry_damping(const Large& m, int retry) {
  double lambda = m.header().lambda;
  for (int i = 0; i <= retry; ++i) lambda *= 10;
  return lambda;
}

__device__ void run_ticket(const Large& m, const FactorTicket& ticket, float* shared, int* shared_bad) {
  const double lambda = retry_damping(m, ticket.retry);
  if (ticket.round == 0) {
    run_diagonal(m, lambda, shared, shared_bad);
  } else if (ticket.round == factor_last_round(m.task.panels)) {
    run_product(m, ticket.task, shared);
  } else if (ticket.round % 2 == 1) {
    run_solve(m, ticket.round / 2, ticket.task, shared);
  } else {
    run_update(m, ticket.round / 2 - 1, ticket.task, lambda, shared, shared_bad);
  }
}

// What is open when a round is done.
__device__ unsigned long long next_round(const Large& m, const FactorTicket& ticket, FactorResult* results) {
  const int tries = ticket.retry + 1;
  if (ticket.round == factor_last_round(m.task.panels)) {
    results[m.task.result] = {retry_damping(m, ticket.retry), tries, m.header().failed_pivot, 1};
    return kFactorSettled;
  }
  // Rounds of even numbers have made diagonal tile number round / 2.
  if (ticket.round % 2 == 1 || m.ok(ticket.round / 2)) return factor_open(ticket.retry, ticket.round + 1);
  if (tries < kFactorRetries) return factor_open(tries, 0);
  results[m.task.result] = {0.0, tries, m.header().failed_pivot, 0};
  return kFactorSettled;
}

struct Job {
  Taken taken;
  int matrix;
  FactorTicket ticket;
};

// The same in every block, at any time: nothing writes it while the kernel runs.
__device__ bool needs_retry(const Header& header) { return header.due && !header.passed; }

// By one thread: something to do, from matrix `at` on.
__device__ Job find_job(const FactorTask* tasks, int count, float* workspace, int at) {
  Job job{Taken::Settled, at, {0, 0, 0}};
  for (int i = 0; i < count; ++i) {
    const int index = at + i < count ? at + i : at + i - count;
    const Large m(tasks[index], workspace);
    if (!needs_retry(m.header())) continue;
    const Taken taken = take_ticket<DeviceAtomics>(m.header().queue, m.task.panels, job.ticket);
    if (taken == Taken::Ticket) return {taken, index, job.ticket};
    if (taken == Taken::NothingNow) job.taken = taken;
  }
  if (job.taken == Taken::NothingNow) __nanosleep(500);
  return job;
}

__global__ void __launch_bounds__(kThreads, 1)
    factor_retry_kernel(const FactorTask* tasks, int count, float* workspace, FactorResult* results) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ int bad;
  __shared__ Job found;
  const bool first = threadIdx.x == 0;
  const int block = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);
  bool any = false;
  for (int index = static_cast<int>(threadIdx.x); index < count; index += kThreads) {
    const Large m(tasks[index], workspace);
    const Header& header = m.header();
    if (needs_retry(header)) {
      any = true;
    } else if (index % blocks == block) {
      results[m.task.result] = {header.lambda, 0, -1, header.passed};
    }
  }
  if (!__syncthreads_or(any)) return; // the whole block
  Job job{Taken::Ticket, block % count, {0, 0, 0}};
  while (true) {
    if (first) found = find_job(tasks, count, workspace, job.matrix);
    __syncthreads();
    job = found;
    __syncthreads(); // everybody has read it
    if (job.taken == Taken::Settled) return;
    if (job.taken == Taken::NothingNow) continue;
    const Large m(tasks[job.matrix], workspace);
    run_ticket(m, job.ticket, shared, &bad);
    __syncthreads(); // the task's writes, before it counts
    if (first)
      finish_ticket<DeviceAtomics>(m.header().queue, m.task.panels, job.ticket,
                                   [&](const FactorTicket& ticket) { return next_round(m, ticket, results); });
  }
}

} // namespace

cudaError_t prepare_factor_retry() { return prepare_kernel(factor_retry_kernel, kSharedBytes); }

cudaError_t launch_factor_retry(const FactorWave& wave, const FactorTables& tables, FactorResult* results,
                                cudaStream_t stream) {
  // The product has the most tasks of all rounds.
  const int32_t blocks = std::max(1, std::min(tables.multiprocessors, wave.product.blocks));
  return launch(factor_retry_kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), kSharedBytes, stream,
                tables.tasks + wave.range.first, wave.range.count, tables.workspace, results);
}

} // namespace lngd::cuda
