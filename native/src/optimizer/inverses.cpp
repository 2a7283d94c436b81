// SPDX-License-Identifier: Apache-2.0
// Inverses in and out: each layer's are computed by one rank, between the sums of a step and the step.
#include "optimizer/inverses.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "optimizer/error.h"
#include "optimizer/optimizer.h"
#include "optimizer/plan.h"

namespace lngd {
namespace {

constexpr int64_t kHeadFloats = sizeof(InverseHead) / sizeof(float);
constexpr int64_t kDouble = sizeof(double) / sizeof(float);

std::array<int64_t, InversesLayout::kArrays> array_floats(const LayerShape& shape) {
  const bool matrix = shape.second_matrix(), basis = shape.eigenbasis();
  std::array<int64_t, InversesLayout::kArrays> floats{};
  floats[InversesLayout::kLambdaPhi] = kDouble * shape.blocks.count();
  floats[InversesLayout::kLambdaSecond] = kDouble * shape.second_count();
  floats[InversesLayout::kPhiInverse] = shape.blocks.floats();
  floats[InversesLayout::kPsiInverse] = matrix ? 0 : shape.outputs;
  floats[InversesLayout::kSecondInverse] = shape.second_floats();
  floats[InversesLayout::kBasisValues] = basis ? shape.groups * shape.d + shape.outputs : 0;
  floats[InversesLayout::kScales] = basis ? shape.outputs * shape.ldw : 0;
  return floats;
}

} // namespace

InversesLayout::InversesLayout(const std::vector<const LayerShape*>& shapes, const std::vector<int32_t>& of_layer)
    : layers(shapes.size()) {
  std::vector<std::pair<int32_t, int32_t>> order; // (owner, layer)
  for (size_t i = 0; i < shapes.size(); ++i)
    if (!shapes[i]->parameter) order.emplace_back(of_layer[i], static_cast<int32_t>(i));
  std::sort(order.begin(), order.end());
  for (const auto& [owner, layer] : order) {
    if (owners.empty() || owners.back().owner != owner) owners.push_back({owner, {}, {}});
    owners.back().layers.push_back(layer);
  }
  for (OfOwner& owner : owners) {
    owner.range.offset = floats;
    for (const int32_t layer : owner.layers) {
      layers[static_cast<size_t>(layer)].head = floats;
      floats += kHeadFloats;
    }
    for (const int32_t layer : owner.layers) {
      OfLayer& to = layers[static_cast<size_t>(layer)];
      to.floats = kHeadFloats;
      const auto counts = array_floats(*shapes[static_cast<size_t>(layer)]);
      for (size_t a = 0; a < counts.size(); ++a) {
        to.arrays[a] = {floats, counts[a]};
        floats += padded(counts[a]);
        to.floats += padded(counts[a]);
      }
    }
    owner.range.count = floats - owner.range.offset;
  }
}

void InversesLayout::point(int32_t layer, float* buffer, LayerMemory& memory) const {
  const auto at = [&](Array array) {
    const Range& range = layers[static_cast<size_t>(layer)].arrays[array];
    return range.count > 0 ? buffer + range.offset : nullptr;
  };
  memory.lambda_phi = reinterpret_cast<double*>(at(kLambdaPhi));
  memory.lambda_second = reinterpret_cast<double*>(at(kLambdaSecond));
  memory.phi_inverse = at(kPhiInverse);
  memory.psi_inverse = at(kPsiInverse);
  memory.second_inverse = at(kSecondInverse);
  memory.basis_values = at(kBasisValues);
  memory.scales = at(kScales);
}

// n^3 for (Cholesky, inverse of the triangle, their product) of n^3 / 3 each; 9 n^3 for eigenvectors by symmetric QR
// (G. Golub, C. Van Loan, "Matrix Computations", 8.3).
double inverse_operations(const LayerShape& shape, bool triangles) {
  if (shape.parameter) return 0;
  const double cubes = shape.eigenbasis() ? 9.0 : triangles ? 2.0 / 3.0 : 1.0;
  double operations = shape.second_matrix() ? 0.0 : static_cast<double>(shape.outputs);
  const auto add = [&](const BlockLayout& blocks, int64_t count) {
    for (int64_t k = 0; k < count; ++k) {
      const double n = static_cast<double>(blocks.size(k));
      operations += blocks.is_diagonal ? n : cubes * n * n * n;
    }
  };
  add(shape.blocks, shape.blocks.count());
  add(shape.second, shape.second_count());
  return operations;
}

std::vector<const LayerShape*> Optimizer::shapes() const {
  std::vector<const LayerShape*> all;
  for (const Layer& layer : layers_) all.push_back(&layer.shape);
  return all;
}

void Optimizer::allocate_inverses() {
  inverses_layout_ = std::make_unique<const InversesLayout>(shapes(), std::vector<int32_t>(layers_.size(), 0));
  if (inverses_layout_->floats > 0) inverses_ = allocate<float>(inverses_layout_->floats);
  for (Layer& layer : layers_)
    if (!layer.shape.parameter) inverses_layout_->point(layer.shape.index, inverses_, layer.memory);
}

void Optimizer::share_inverses(const int32_t* owners, int32_t count, int32_t rank) {
  const bool shared = owners != nullptr;
  require(count == (shared ? layer_count() : 0), "count is ", count, ", allowed is ", shared ? layer_count() : 0,
          shared ? ", an owner for each layer" : " where owners is NULL");
  require(!shared || rank >= 0, "rank is ", rank, ", allowed is 0 or more");
  std::vector<int32_t> of_layer(layers_.size(), 0);
  for (size_t i = 0; shared && i < layers_.size(); ++i) {
    if (layers_[i].shape.parameter) continue;
    require(owners[i] >= 0, "owners[", i, "] is ", owners[i], ", allowed is 0 or more");
    of_layer[i] = owners[i];
  }
  require_no_capture();
  if (!plans_.empty())
    fail(LNGD_INVALID_STATE, "there are plans, which know where the inverses lie; allowed is lngd_share_inverses ",
         "before the first lngd_plan_create, or after the last lngd_plan_destroy");
  for (const Layer& layer : layers_)
    if (layer.awaiting)
      fail(LNGD_INVALID_STATE, "layer ", layer.shape.index,
           " waits for its inverses; allowed is lngd_inverses_received ", "first, or lngd_state_restore");
  auto layout = std::make_unique<const InversesLayout>(shapes(), of_layer);
  if (layout->floats > 0) {
    float* moved = allocate<float>(layout->floats);
    try {
      for (size_t i = 0; i < layers_.size(); ++i)
        for (size_t a = 0; a < InversesLayout::kArrays; ++a) {
          const InversesLayout::Range &to = layout->layers[i].arrays[a], &from = inverses_layout_->layers[i].arrays[a];
          if (to.count > 0)
            device_copy(moved + to.offset, inverses_ + from.offset, to.count * static_cast<int64_t>(sizeof(float)));
        }
    } catch (...) {
      backend_->release(context_, moved);
      throw;
    }
    std::swap(inverses_, moved);
    for (Layer& layer : layers_)
      if (!layer.shape.parameter) layout->point(layer.shape.index, inverses_, layer.memory);
    backend_->release(context_, moved);
  }
  inverses_layout_ = std::move(layout);
  owners_ = shared ? of_layer : std::vector<int32_t>();
  rank_ = shared ? rank : -1;
  check_device();
}

lngd_inverses Optimizer::inverses() const {
  lngd_inverses view{};
  view.struct_size = sizeof view;
  view.device_type = config_.device == LNGD_DEVICE_CPU ? 1 : 2; // kDLCPU, kDLCUDA
  view.device_id = config_.device == LNGD_DEVICE_CPU ? 0 : config_.device_index;
  view.rank = rank_;
  view.floats = inverses_;
  view.float_count = inverses_layout_->floats;
  return view;
}

InversesLayout::Range Optimizer::inverse_range(int32_t owner) const {
  require(owner >= 0, "owner is ", owner, ", allowed is 0 or more");
  for (const InversesLayout::OfOwner& of : inverses_layout_->owners)
    if (of.owner == owner) return of.range;
  return {};
}

double Optimizer::inverse_cost(int32_t index, int64_t& floats) const {
  const LayerShape& shape = layer(index).shape;
  floats = inverses_layout_->layers[static_cast<size_t>(shape.index)].floats;
  return inverse_operations(shape, config_.orthogonalise != 0);
}

int64_t Optimizer::exchange() const {
  int64_t steps = 1; // the same on all ranks, and grows; 0 is a head that nobody has written
  for (const Layer& layer : layers_) steps += layer.steps;
  return steps;
}

bool Optimizer::any_awaits(const InversesLayout::OfOwner& of) const {
  return std::any_of(of.layers.begin(), of.layers.end(),
                     [&](int32_t i) { return layers_[static_cast<size_t>(i)].awaiting; });
}

void Optimizer::publish_inverses() {
  std::vector<LayerRecord> records(layers_.size());
  for (const InversesLayout::OfOwner& of : inverses_layout_->owners) {
    if (of.owner != rank_ || !any_awaits(of)) continue;
    std::vector<InverseHead> heads(of.layers.size());
    const size_t bytes = heads.size() * sizeof(InverseHead);
    read(heads.data(), inverses_ + of.range.offset, bytes);
    read(records.data(), records_, records.size() * sizeof(LayerRecord));
    for (size_t k = 0; k < heads.size(); ++k) {
      const int32_t i = of.layers[k];
      if (!layers_[static_cast<size_t>(i)].awaiting) continue;
      const LayerRecord& r = records[static_cast<size_t>(i)];
      heads[k] = {exchange(),        i,         r.has_inverse,     r.last_failed_block, r.last_failed_pivot,
                  r.inverse_updates, r.retries, r.failed_inverses, r.lambda_psi,        0};
    }
    write(inverses_ + of.range.offset, heads.data(), bytes);
  }
}

// What this rank's record of the layer becomes; throws where the owner's cannot be its continuation.
void Optimizer::take_head(const InverseHead& head, const Layer& layer, LayerRecord& record) const {
  const int32_t index = layer.shape.index, owner = owners_[static_cast<size_t>(index)];
  if (head.exchange != exchange() || head.layer != index)
    fail(LNGD_INVALID_STATE, "the range of owner ", owner, " does not hold the inverses of layer ", index,
         " of this step; allowed is lngd_inverses_received once the owner has broadcast them, with all ranks at the ",
         "same step");
  const int64_t blocks = layer.shape.blocks.count() + layer.shape.second_count();
  const auto continues = [&](const char* what, int64_t theirs, int64_t mine, int64_t most) {
    require(theirs >= mine && theirs - mine <= most, "owner ", owner, " has ", theirs, " ", what, " of layer ", index,
            ", allowed is ", mine, " (what this rank had) to ", mine + most,
            ": the ranks have not had the same history");
  };
  continues("renewed inverses", head.inverse_updates, record.inverse_updates, 1);
  continues("retries", head.retries, record.retries, 6 * blocks);
  continues("failed inverses", head.failed_inverses, record.failed_inverses, blocks);
  continues("(0 or 1) inverses", head.has_inverse, record.has_inverse, 1 - record.has_inverse);
  require(head.lambda_psi >= 0 && head.last_failed_block >= -1 && head.last_failed_block < blocks &&
              head.last_failed_pivot >= -1,
          "owner ", owner, " says of layer ", index, " lambda ", head.lambda_psi, ", block ", head.last_failed_block,
          " and pivot ", head.last_failed_pivot, ", allowed is a lambda of 0 or more, -1 or a block of the ", blocks,
          " and -1 or a pivot");
  record.has_inverse = head.has_inverse;
  record.last_failed_block = head.last_failed_block;
  record.last_failed_pivot = head.last_failed_pivot;
  record.inverse_updates = head.inverse_updates;
  record.retries = head.retries;
  record.failed_inverses = head.failed_inverses;
  record.lambda_psi = head.lambda_psi;
}

void Optimizer::take_inverses() {
  require_no_capture();
  if (std::none_of(layers_.begin(), layers_.end(), [](const Layer& layer) { return layer.awaiting; }))
    fail(LNGD_INVALID_STATE,
         "no layer waits for inverses; allowed is lngd_inverses_received after a lngd_refresh that ",
         "has left layers with LNGD_NEEDS_INVERSES");
  std::vector<LayerRecord> records(layers_.size());
  read(records.data(), records_, records.size() * sizeof(LayerRecord));
  bool received = false;
  for (const InversesLayout::OfOwner& of : inverses_layout_->owners) {
    if (!any_awaits(of)) continue;
    std::vector<InverseHead> heads(of.layers.size());
    read(heads.data(), inverses_ + of.range.offset, heads.size() * sizeof(InverseHead));
    for (size_t k = 0; k < heads.size(); ++k) {
      const auto i = static_cast<size_t>(of.layers[k]);
      if (!layers_[i].awaiting) continue;
      take_head(heads[k], layers_[i], records[i]);
      received |= of.owner != rank_;
    }
  }
  if (received) write(records_, records.data(), records.size() * sizeof(LayerRecord));
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (!layers_[i].awaiting) continue;
    layers_[i].has_inverse = records[i].has_inverse != 0;
    layers_[i].awaiting = false;
  }
}

} // namespace lngd
