// SPDX-License-Identifier: Apache-2.0
// Sums in and out: an all-reduce between observe and step.
#include "optimizer/sums.h"

#include <cmath>

#include "optimizer/error.h"
#include "optimizer/optimizer.h"

namespace lngd {
namespace {

constexpr double kLargestCount = 9007199254740992.0; // 2^53: up to it doubles count

// Ranges begin at a cache line, as rows do.
template <typename T>
SumRange take(int64_t& end, int64_t count) {
  constexpr int64_t kAlign = kRowAlign * static_cast<int64_t>(sizeof(float)) / static_cast<int64_t>(sizeof(T));
  const SumRange range{count > 0 ? end : 0, count};
  end += (count + kAlign - 1) / kAlign * kAlign;
  return range;
}

} // namespace

SumsLayout::SumsLayout(const std::vector<const LayerShape*>& shapes) : layers(shapes.size()) {
  for (size_t i = 0; i < shapes.size(); ++i)
    layers[i][LNGD_SUM_COUNTS] = {static_cast<int64_t>(i) * kCounts, shapes[i]->parameter ? 0 : kCounts};
  take<double>(doubles, static_cast<int64_t>(shapes.size()) * kCounts);
  for (size_t i = 0; i < shapes.size(); ++i) {
    const LayerShape& shape = *shapes[i];
    if (shape.parameter) continue;
    layers[i][LNGD_SUM_DENOMINATOR] = take<double>(doubles, shape.groups);
    layers[i][LNGD_SUM_TOTALS] = take<double>(doubles, shape.second_matrix() ? 2 * shape.groups + 1 : 0);
  }
  heads = doubles;
  for (size_t i = 0; i < shapes.size(); ++i) {
    const LayerShape& shape = *shapes[i];
    if (shape.parameter) continue;
    const bool diagonal = shape.blocks.is_diagonal;
    layers[i][LNGD_SUM_PHI_DIAGONAL] = take<double>(doubles, diagonal ? shape.d : 0);
    layers[i][LNGD_SUM_PSI] = take<double>(doubles, shape.second_matrix() ? 0 : shape.outputs);
    layers[i][LNGD_SUM_PHI] = take<float>(floats, diagonal ? 0 : shape.blocks.floats());
    layers[i][LNGD_SUM_SECOND] = take<float>(floats, shape.second_floats());
    layers[i][LNGD_SUM_SCALES] = take<float>(floats, shape.eigenbasis() ? shape.outputs * shape.ldw : 0);
  }
}

bool overflown(const LayerShape& shape, const double* denominator, const double* totals) {
  const auto bounded = [](double sum) { return sum < kOverflow; }; // not NaN either
  for (int64_t g = 0; g < shape.groups; ++g) {
    const bool product = bounded(denominator[g]);
    if (!shape.second_matrix() || shape.approximation == LNGD_APPROXIMATION_TKFAC) {
      if (!product) return true;
      continue;
    }
    if (!bounded(totals[g]) || !bounded(totals[shape.groups + g]) || (shape.eigenbasis() && !product)) return true;
  }
  return false;
}

void Optimizer::allocate_sums() {
  const auto records = static_cast<int64_t>(layers_.size());
  records_ = allocate<LayerRecord>(records);
  double_sums_ = allocate<double>(sums_layout_->doubles);
  if (sums_layout_->floats > 0) float_sums_ = allocate<float>(sums_layout_->floats);
  heads_.resize(static_cast<size_t>(sums_layout_->heads));
  for (Layer& layer : layers_) {
    LayerMemory& memory = layer.memory;
    memory.record = records_ + layer.shape.index;
    const auto at = [&](auto* sums, int32_t sum) {
      const SumRange& range = sums_layout_->range(layer.shape.index, sum);
      return range.count > 0 ? sums + range.offset : nullptr;
    };
    memory.phi_sum = at(float_sums_, LNGD_SUM_PHI);
    memory.second_sum = at(float_sums_, LNGD_SUM_SECOND);
    memory.scales_sum = at(float_sums_, LNGD_SUM_SCALES);
    memory.phi_diagonal_sum = at(double_sums_, LNGD_SUM_PHI_DIAGONAL);
    memory.psi_sum = at(double_sums_, LNGD_SUM_PSI);
    memory.denominator = at(double_sums_, LNGD_SUM_DENOMINATOR);
    memory.totals = at(double_sums_, LNGD_SUM_TOTALS);
  }
}

void Optimizer::release_sums() {
  for (void* memory : {static_cast<void*>(float_sums_), static_cast<void*>(double_sums_), static_cast<void*>(records_)})
    if (memory) backend_->release(context_, memory);
}

int64_t Optimizer::sums_bytes() const {
  return sums_layout_->floats * static_cast<int64_t>(sizeof(float)) +
         sums_layout_->doubles * static_cast<int64_t>(sizeof(double));
}

lngd_sums Optimizer::sums() const {
  lngd_sums view{};
  view.struct_size = sizeof view;
  view.device_type = config_.device == LNGD_DEVICE_CPU ? 1 : 2; // kDLCPU, kDLCUDA
  view.device_id = config_.device == LNGD_DEVICE_CPU ? 0 : config_.device_index;
  view.floats = float_sums_;
  view.float_count = sums_layout_->floats;
  view.doubles = double_sums_;
  view.double_count = sums_layout_->doubles;
  return view;
}

SumRange Optimizer::sum_range(int32_t index, int32_t sum) const {
  require(sum >= 0 && sum < kSums, "sum is ", sum, ", allowed is 0 to ", kSums - 1);
  return sums_layout_->range(layer(index).shape.index, sum);
}

void Optimizer::require_reducible() const {
  if (config_.rate == LNGD_RATE_EMPIRICAL)
    fail(LNGD_INVALID_STATE, "the rate is EMPIRICAL: C of a step is a mean over the samples that this optimizer is ",
         "given, and would differ from rank to rank; allowed is KRONECKER or NONE");
}

void Optimizer::set_reduction(int32_t needed) {
  require(needed == 0 || needed == 1, "needed is ", needed, ", allowed is 0 or 1");
  if (needed) require_reducible();
  reduction_ = needed != 0;
}

void Optimizer::set_sample_offset(int64_t offset) {
  require(offset >= 0 && offset <= INT32_MAX, "offset is ", offset, ", allowed is 0 to ", INT32_MAX);
  sample_offset_ = offset;
}

void Optimizer::close_sums() {
  require_reducible();
  require_no_capture();
  if (sums_closed_)
    fail(LNGD_INVALID_STATE,
         "the sums are closed already; allowed is lngd_sums_reduced, or lngd_discard of all layers");
  for (const Layer& layer : layers_) {
    if (layer.failed)
      fail(LNGD_INVALID_STATE, "a call that failed left the sums of layer ", layer.shape.index,
           " half-done; allowed is to drop them by lngd_discard and to go on with what is observed after it");
    if (layer.reduced)
      fail(LNGD_INVALID_STATE, "layer ", layer.shape.index,
           " holds the total of all ranks already; allowed is its lngd_step, or lngd_discard");
  }
  for (Layer& layer : layers_) { // sums of before a restore
    if (!layer.torn || layer.shape.parameter) continue;
    backend_->discard_statistics(*context_, layer.shape, layer.memory);
    check_device();
    layer.torn = false;
  }
  backend_->publish_counts(*context_, records_, double_sums_, layer_count());
  check_device();
  for (Layer& layer : layers_) layer.closed = awaits(layer) && !layer.refreshed;
  sums_closed_ = true;
}

int64_t Optimizer::checked_count(const Layer& layer) const {
  const double samples = heads_[static_cast<size_t>(layer.shape.index * kCounts)];
  const double bad = heads_[static_cast<size_t>(layer.shape.index * kCounts + 1)];
  const auto own = layer.observed_samples;
  require(samples >= static_cast<double>(own) && samples <= kLargestCount && std::floor(samples) == samples,
          "the samples of layer ", layer.shape.index, " in the sums are ", samples, ", allowed is a whole number of ",
          own, " (what this optimizer observed) to 2^53");
  require(bad >= 0 && bad <= samples && std::floor(bad) == bad, "the second count of layer ", layer.shape.index,
          " in the sums is ", bad, ", allowed is a whole number of 0 to the samples, ", samples);
  if (!layer.closed && (samples > 0 || bad > 0))
    fail(LNGD_INVALID_STATE, "the sums have ", samples, " samples of layer ", layer.shape.index,
         ", for which no statistics are due here: the ranks are not at the same step; allowed is lngd_discard of all ",
         "layers");
  return static_cast<int64_t>(samples);
}

void Optimizer::take_reduced_sums() {
  require_no_capture();
  if (!sums_closed_) fail(LNGD_INVALID_STATE, "the sums are not closed; allowed is lngd_sums_close first");
  read(heads_.data(), double_sums_, heads_.size() * sizeof(double));
  for (const Layer& layer : layers_)
    if (!layer.shape.parameter) checked_count(layer);
  // Sums that no rank found too large may be so together. A parameter has no counts, whatever lies there.
  for (const Layer& layer : layers_) {
    double* const counts = heads_.data() + layer.shape.index * kCounts;
    if (layer.shape.parameter) counts[0] = counts[1] = 0;
    if (counts[0] == 0) continue;
    const double* const denominator =
        heads_.data() + sums_layout_->range(layer.shape.index, LNGD_SUM_DENOMINATOR).offset;
    const double* const totals = heads_.data() + sums_layout_->range(layer.shape.index, LNGD_SUM_TOTALS).offset;
    if (overflown(layer.shape, denominator, totals)) counts[1] += 1;
  }
  write(double_sums_, heads_.data(), layers_.size() * kCounts * sizeof(double));
  sums_closed_ = false;
  for (Layer& layer : layers_) { // unless all goes well
    if (!layer.closed) continue;
    layer.observed_samples = 0;
    layer.torn = layer.failed = true;
  }
  backend_->take_counts(*context_, records_, double_sums_, layer_count());
  check_device();
  for (Layer& layer : layers_) {
    if (!layer.closed) continue;
    layer.observed_samples = static_cast<int64_t>(heads_[static_cast<size_t>(layer.shape.index * kCounts)]);
    layer.torn = layer.observed_samples == 0; // whatever is there, the next update begins with zeros
    layer.failed = layer.closed = false;
    layer.reduced = true;
  }
}

} // namespace lngd
