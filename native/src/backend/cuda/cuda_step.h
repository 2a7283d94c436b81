// SPDX-License-Identifier: Apache-2.0
// Entries of the backend table, by file: cuda_step.cpp, cuda_statistics.cpp.
#ifndef LNGD_BACKEND_CUDA_CUDA_STEP_H
#define LNGD_BACKEND_CUDA_CUDA_STEP_H

#include "backend/backend.h"

namespace lngd::cuda {

#define LNGD_KERNEL(name, arguments) void name(Context&, const arguments&);
#include "backend/kernels.def"
#undef LNGD_KERNEL
void begin_step(Context&, const StepArgs&);
void end_step(Context&, const StepArgs&);
bool capturable(const Plan*);
double gradient_norm(Context* context, const Plan* plan);
void begin_replay(Context&, const StepArgs&);

bool reserve_statistics(Context*, const LayerShape&);
void discard_statistics(Context&, const LayerShape&, LayerMemory&);
void publish_counts(Context&, const LayerRecord* records, double* counts, int32_t layers);
void take_counts(Context&, LayerRecord* records, const double* counts, int32_t layers);
void fisher_rows(Context&, const StatisticsArgs&, const FisherRows&);
void conv_fisher_rows(Context&, const ConvStatisticsArgs&, const FisherRows&);

} // namespace lngd::cuda
#endif
