// SPDX-License-Identifier: Apache-2.0
// The CPU backend's table: memory, plans, and the kernels of the instruction set chosen at run time.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <system_error>

#include "backend/cpu/context.h"
#include "backend/cpu/conv_tiles.h"
#include "backend/cpu/cpu_info.h"

namespace lngd {
namespace cpu {
namespace {

Context* create(const lngd_config& config, Failure& failure) {
  failure.status = LNGD_OUT_OF_MEMORY;
  try {
    const int32_t threads = config.threads > 0 ? config.threads : default_threads();
    auto context = std::make_unique<CpuContext>(threads, *blas());
    context->row.resize(static_cast<size_t>(threads));
    context->denominators.resize(3 * kPanelRows / kRowTask);
    context->weights.resize(static_cast<size_t>(kPanelRows));
    return context.release();
  } catch (const std::bad_alloc&) {
    std::snprintf(failure.message, sizeof failure.message, "no memory for the CPU backend");
  } catch (const std::system_error& error) {
    std::snprintf(failure.message, sizeof failure.message, "no threads for the CPU backend: %s", error.what());
  }
  return nullptr;
}

void destroy(Context* context) { delete static_cast<CpuContext*>(context); }

Failure take_failure(Context* base) {
  CpuContext& context = *static_cast<CpuContext*>(base);
  const Failure failure = context.failure;
  context.failure = Failure{};
  return failure;
}

bool accepts(const Context*, int32_t device_type, int32_t, bool& device) {
  device = false;
  return device_type == 1 || device_type == 3; // kDLCPU, kDLCUDAHost
}

// Nothing is ever under way here: no streams, no staging, no graphs.
void set_stream(Context*, void*) {}

bool capturing(Context*) { return false; }

template <typename T>
void clear(T* sums, int64_t count) {
  if (sums) std::fill_n(sums, count, T{});
}

void discard_statistics(Context&, const LayerShape& shape, LayerMemory& memory) {
  clear(memory.phi_sum, shape.blocks.floats());
  clear(memory.phi_diagonal_sum, shape.d);
  clear(memory.psi_sum, shape.outputs);
  clear(memory.denominator, shape.groups);
  clear(memory.second_sum, shape.second_floats());
  clear(memory.totals, 2 * shape.groups + 1);
  clear(memory.scales_sum, shape.outputs * shape.ldw);
  memory.record->samples = 0;
  memory.record->poisoned = 0;
}

void publish_counts(Context&, const LayerRecord* records, double* counts, int32_t layers) {
  for (int32_t i = 0; i < layers; ++i) {
    counts[2 * i] = static_cast<double>(records[i].samples);
    counts[2 * i + 1] = records[i].poisoned;
  }
}

void take_counts(Context&, LayerRecord* records, const double* counts, int32_t layers) {
  for (int32_t i = 0; i < layers; ++i) {
    records[i].samples = static_cast<int64_t>(counts[2 * i]);
    records[i].poisoned = counts[2 * i + 1] != 0;
  }
}

void begin_step(Context&, const StepArgs&) {}

void end_step(Context&, const StepArgs&) {}

bool capturable(const Plan*) { return false; }

void begin_replay(Context&, const StepArgs&) {}

double gradient_norm(Context*, const Plan* plan) { return static_cast<const CpuPlan*>(plan)->gradients.norm; }

void synchronize(Context*) {}

int32_t threads(const Context* context) { return static_cast<const CpuContext*>(context)->pool.threads(); }

void* allocate(Context*, size_t bytes) {
  void* const memory = allocate_aligned(bytes);
  if (memory) std::memset(memory, 0, bytes);
  return memory;
}

void release(Context*, void* memory) { std::free(memory); }

void copy(Context*, void* to, const void* from, size_t bytes) { std::memmove(to, from, bytes); }

void read(Context*, void* host, const void* memory, size_t bytes) { std::memcpy(host, memory, bytes); }

void write(Context*, void* memory, const void* host, size_t bytes) { std::memcpy(memory, host, bytes); }

bool reserve_statistics(Context* base, const LayerShape& shape) {
  CpuContext& context = *static_cast<CpuContext*>(base);
  if (shape.eigenbasis() && !context.projection.reserve(projection_floats(shape))) return false;
  if (shape.convolution) return true; // what else it needs depends on the images: reserve_conv
  const int64_t m = padded(shape.outputs);
  const int64_t rows = shape.second_matrix() ? paired_rows(shape) : panel_rows(shape.d);
  // Of an embedding only r; nothing where r has no say.
  bool ok = context.panel.reserve(shape.embedding ? kPanelRows : panel_floats(shape.blocks, rows));
  ok = ok && (shape.second_matrix() ? context.second_panel.reserve(panel_floats(shape.second, rows))
                                    : context.psi_partial.reserve(kPanelRows / kRowTask * m));
  for (Scratch& scratch : context.row) ok = ok && scratch.reserve(3 * m);
  return ok;
}

int64_t workspace_bytes(const Context* base) {
  const CpuContext& context = *static_cast<const CpuContext*>(base);
  int64_t floats = context.panel.floats() + context.second_panel.floats() + context.projection.floats() +
                   context.psi_partial.floats();
  for (const Scratch& scratch : context.row) floats += scratch.floats();
  return floats * static_cast<int64_t>(sizeof(float)) + conv_bytes(context.conv);
}

// Rows of one precondition task. Of a small block few enough that the direction stays in the second-level cache for the
// sums, and pieces enough that the last one does not keep the other threads waiting. Of a large one as many as can be:
// OpenBLAS packs the block anew for every product (64 rows at a time cost a third more for 4608 columns).
int64_t precondition_rows(int64_t m, int64_t block, int32_t workers) {
  if (block > kSmallFactor) return std::min({m, kLargeRows, std::max<int64_t>(64, (m + workers - 1) / workers)});
  const int64_t cache = std::max<int64_t>(64, (int64_t{1} << 17) / padded(block));
  if (workers == 1) return std::min(m, cache);
  return std::min(m, std::min(cache, std::max<int64_t>(32, (m + 2 * workers - 1) / (2 * workers))));
}

// Columns of one product with a second factor: wide enough for a GEMM, pieces enough for all threads.
int64_t second_columns(int64_t d, int32_t workers) {
  return workers == 1 ? 128 : std::clamp<int64_t>(padded(d / (2 * workers)), 32, 128);
}

void plan_second(CpuPlan& plan, const LayerShape& shape, int32_t index, int32_t workers) {
  const int64_t step = second_columns(shape.d, workers);
  for (int64_t k = 0; k < shape.second_count(); ++k) {
    const int32_t block = static_cast<int32_t>(k);
    for (int64_t column = 0; column < shape.d; column += step)
      plan.columns.push_back({index, block, column, std::min(shape.d, column + step)});
    plan.blocks.push_back({index, block, true});
    const double rows = static_cast<double>(shape.second.size(k));
    plan.work_second += 2 * rows * rows * static_cast<double>(shape.d);
    plan.work_inverse += rows * rows * rows;
    plan.work_average += rows * rows;
  }
}

constexpr int64_t kUpdateElements = int64_t{1} << 15; // of a task of apply_update

void plan_parameter(CpuPlan& plan, const LayerShape& shape, int32_t index) {
  for (int64_t element = 0; element < shape.inputs; element += kUpdateElements) {
    plan.parameters.push_back({index, element, std::min(shape.inputs, element + kUpdateElements)});
    plan.updates.push_back(plan.parameters.back());
  }
  plan.work_parameters += 20 * static_cast<double>(shape.inputs);
  plan.work_update += 20 * static_cast<double>(shape.inputs); // as below
}

void plan_layer(CpuPlan& plan, const LayerShape& shape, int32_t index, int32_t workers) {
  const double m = static_cast<double>(shape.outputs);
  for (int64_t k = 0; k < shape.blocks.count(); ++k) {
    const double b = static_cast<double>(shape.blocks.size(k));
    const double side = shape.blocks.is_diagonal ? 1 : b; // elements in a row of the block
    const int64_t group_rows = shape.outputs / shape.groups, first = shape.blocks.group(k) * group_rows;
    const int64_t rows = precondition_rows(group_rows, shape.blocks.size(k), workers);
    for (int64_t row = 0; row < group_rows; row += rows)
      plan.precondition.push_back(
          {index, static_cast<int32_t>(k), first + row, first + std::min(group_rows, row + rows)});
    plan.blocks.push_back({index, static_cast<int32_t>(k), false});
    plan.work_precondition += 2 * static_cast<double>(group_rows) * b * side;
    plan.work_inverse += b * side * side;
    plan.work_average += b * side;
  }
  plan_second(plan, shape, index, workers);
  const int64_t update_rows = std::max<int64_t>(1, kUpdateElements / shape.ldw);
  for (int64_t row = 0; row < shape.outputs; row += update_rows)
    plan.updates.push_back({index, row, std::min(shape.outputs, row + update_rows)});
  plan.work_update += 20 * m * static_cast<double>(shape.d); // bound by memory: counted as what would take as long
}

void plan_orthogonal(CpuPlan& plan, const StepLayer* layers, int32_t count) {
  for (int32_t i = 0; i < count; ++i)
    for (int32_t group = 0; layers[i].shape->orthogonalised() && group < static_cast<int32_t>(layers[i].shape->groups);
         ++group) {
      plan.orthogonal.push_back({i, group});
      plan.work_orthogonal += orthogonal_work(*layers[i].shape);
    }
  std::stable_sort(plan.orthogonal.begin(), plan.orthogonal.end(),
                   [layers](const OrthogonalTask& a, const OrthogonalTask& b) {
                     return orthogonal_work(*layers[a.layer].shape) > orthogonal_work(*layers[b.layer].shape);
                   });
}

bool plan_workspaces(CpuPlan& plan, const StepLayer* layers, int32_t workers) {
  int64_t small = 0, large = 0, pack = 0;
  for (const PreconditionTask& task : plan.precondition) {
    const BlockLayout& blocks = layers[task.layer].shape->blocks;
    // EKFAC's last pass has a copy of the direction beside it.
    pack = std::max(pack, 2 * (task.row1 - task.row0) * blocks.ld(task.block));
  }
  for (const BlockTask& task : plan.blocks) {
    const BlockLayout& blocks = layout_of(*layers[task.layer].shape, task);
    const int64_t n = blocks.size(task.block);
    if (blocks.is_diagonal) continue; // inverted where it lies
    if (layers[task.layer].shape->eigenbasis())
      small = std::max(small, eigen_scratch(n));
    else if (n <= kSmallFactor)
      small = std::max(small, small_scratch(n));
    else
      large = std::max(large, large_scratch(n));
  }
  for (const ColumnTask& task : plan.columns) {
    const LayerShape& shape = *layers[task.layer].shape;
    pack = std::max(pack, 2 * shape.second.size(task.block) * padded(task.column1 - task.column0));
  }
  int64_t newton_schulz = 0;
  for (const OrthogonalTask& task : plan.orthogonal) {
    const LayerShape& shape = *layers[task.layer].shape;
    int64_t& most = large_orthogonal(shape) ? newton_schulz : small;
    most = std::max(most, orthogonal_scratch(shape));
  }
  int64_t inputs = 0;
  for (const PreconditionTask& task : plan.precondition) {
    const LayerShape& shape = *layers[task.layer].shape;
    if (!shape.embedding) inputs = std::max(inputs, shape.ldw);
  }
  const int64_t rate = kRateRows * (inputs + 2 * kRateColumns) + kRateColumns;
  plan.worker.resize(static_cast<size_t>(workers));
  for (Scratch& scratch : plan.worker)
    if (!scratch.reserve(std::max({small, pack, rate}))) return false;
  return (large == 0 || plan.factor.reserve(large)) &&
         (newton_schulz == 0 || plan.newton_schulz.reserve(newton_schulz));
}

Plan* plan_create(Context* base, StepLayer* layers, int32_t count, const lngd_config& config) {
  try {
    const int32_t workers = threads(base);
    auto plan = std::make_unique<CpuPlan>();
    for (int32_t i = 0; i < count; ++i)
      if (layers[i].shape->parameter)
        plan_parameter(*plan, *layers[i].shape, i);
      else
        plan_layer(*plan, *layers[i].shape, i, workers);
    if (config.orthogonalise != 0) plan_orthogonal(*plan, layers, count);
    const auto size = [layers](const BlockTask& t) { return layout_of(*layers[t.layer].shape, t).size(t.block); };
    std::stable_sort(plan->blocks.begin(), plan->blocks.end(),
                     [&size](const BlockTask& a, const BlockTask& b) { return size(a) > size(b); });
    const auto work = [layers](const PreconditionTask& t) {
      const BlockLayout& blocks = layers[t.layer].shape->blocks;
      const int64_t b = blocks.size(t.block);
      return (t.row1 - t.row0) * b * (blocks.is_diagonal ? 1 : b);
    };
    std::stable_sort(plan->precondition.begin(), plan->precondition.end(),
                     [&work](const PreconditionTask& a, const PreconditionTask& b) { return work(a) > work(b); });
    plan->sums.resize(plan->precondition.size());
    plan->parameter_sums.resize(plan->parameters.size());
    if (config.gradient_clipping > 0) plan->gradient_squares.resize(plan->updates.size());
    plan->block_results.resize(plan->blocks.size());
    plan->rate_partial.resize(static_cast<size_t>(count * kRateTasks));
    if (!plan_workspaces(*plan, layers, workers)) return nullptr;
    return plan.release();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void plan_destroy(Context*, Plan* plan) { delete static_cast<CpuPlan*>(plan); }

void plan_rebind(Context&, Plan*, const StepLayer*, int32_t) {} // kernels read the addresses in StepArgs

int64_t plan_bytes(const Plan* base) {
  const CpuPlan& plan = *static_cast<const CpuPlan*>(base);
  int64_t floats = plan.factor.floats() + plan.newton_schulz.floats();
  for (const Scratch& scratch : plan.worker) floats += scratch.floats();
  return floats * static_cast<int64_t>(sizeof(float)) +
         static_cast<int64_t>(plan.precondition.size() * (sizeof(PreconditionTask) + sizeof(DirectionSums)) +
                              plan.blocks.size() * (sizeof(BlockTask) + sizeof(BlockResult)) +
                              plan.columns.size() * sizeof(ColumnTask) + plan.updates.size() * sizeof(UpdateTask) +
                              plan.orthogonal.size() * sizeof(OrthogonalTask) +
                              plan.parameters.size() * (sizeof(UpdateTask) + sizeof(ParameterSums)) +
                              (plan.rate_partial.size() + plan.gradient_squares.size()) * sizeof(double));
}

const Kernels& kernels_of(Level level) {
  switch (level) {
    case Level::kAvx512:
      return avx512::kernels;
    case Level::kAvx2:
      return avx2::kernels;
    default:
      return portable::kernels;
  }
}

Backend make_backend(const Kernels& kernels) {
  Backend backend{};
  backend.name = "cpu";
  backend.most_rows = INT64_MAX;
  backend.create = create;
  backend.destroy = destroy;
  backend.take_failure = take_failure;
  backend.accepts = accepts;
  backend.set_stream = set_stream;
  backend.capturing = capturing;
  backend.synchronize = synchronize;
  backend.threads = threads;
  backend.allocate = allocate;
  backend.release = release;
  backend.copy = copy;
  backend.read = read;
  backend.write = write;
  backend.plan_create = plan_create;
  backend.plan_destroy = plan_destroy;
  backend.plan_rebind = plan_rebind;
  backend.plan_bytes = plan_bytes;
  backend.workspace_bytes = workspace_bytes;
  backend.reserve_statistics = reserve_statistics;
  backend.discard_statistics = discard_statistics;
  backend.publish_counts = publish_counts;
  backend.take_counts = take_counts;
  backend.begin_step = begin_step;
  backend.end_step = end_step;
  backend.capturable = capturable;
  backend.begin_replay = begin_replay;
  backend.gradient_norm = gradient_norm;
  backend.fisher_rows = kernels.fisher_rows;
  backend.conv_fisher_rows = kernels.conv_fisher_rows;
#define LNGD_KERNEL(name, arguments) backend.name = kernels.name;
#include "backend/kernels.def"
#undef LNGD_KERNEL
  return backend;
}

} // namespace
} // namespace cpu

const Backend* cpu_backend(char* reason, size_t reason_bytes) {
  if (reason_bytes > 0) reason[0] = '\0';
  cpu::Level level;
  if (!cpu::choose_level(level, reason, reason_bytes)) return nullptr;
  std::string tried;
  if (!cpu::load_blas(nullptr, tried)) {
    std::snprintf(reason, reason_bytes, "OpenBLAS could not be loaded: %s", tried.c_str());
    return nullptr;
  }
  static const Backend backends[] = {cpu::make_backend(cpu::kernels_of(cpu::Level::kPortable)),
                                     cpu::make_backend(cpu::kernels_of(cpu::Level::kAvx2)),
                                     cpu::make_backend(cpu::kernels_of(cpu::Level::kAvx512))};
  return &backends[static_cast<int>(level)];
}

} // namespace lngd
