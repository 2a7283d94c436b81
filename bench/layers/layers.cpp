// SPDX-License-Identifier: Apache-2.0
#include "layers.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace bench {
namespace {

constexpr const char* kHeader =
    "name,kind,inputs,outputs,kernel,stride,padding,groups,height,width,bias,batch,activation";

Layer parse(const std::string& line, const std::string& where) {
  std::vector<std::string> cells;
  std::stringstream text(line);
  for (std::string cell; std::getline(text, cell, ',');) cells.push_back(cell);
  if (cells.size() != 13) throw Failed(where + ": 13 columns expected, " + std::to_string(cells.size()) + " seen");
  const auto whole = [&](size_t i, int64_t least) {
    size_t used = 0;
    int64_t value = -1;
    try {
      value = std::stoll(cells[i], &used);
    } catch (const std::exception&) { // told below
    }
    if (value < least || used != cells[i].size())
      throw Failed(where + ": column " + std::to_string(i + 1) + " is " + cells[i]);
    return value;
  };
  Layer layer;
  layer.name = cells[0];
  if (cells[1] != "conv" && cells[1] != "dense") throw Failed(where + ": kind is " + cells[1]);
  layer.conv = cells[1] == "conv";
  int64_t* const numbers[] = {&layer.inputs,  &layer.outputs, &layer.kernel, &layer.stride,
                              &layer.padding, &layer.groups,  &layer.height, &layer.width};
  for (size_t i = 0; i < 8; ++i) *numbers[i] = whole(i + 2, i == 4 ? 0 : 1);
  layer.bias = whole(10, 0) == 1;
  layer.batch = whole(11, 1);
  layer.activation = cells[12];
  if (layer.inputs % layer.groups || layer.outputs % layer.groups) throw Failed(where + ": groups do not divide");
  return layer;
}

double triangles(const lngd::BlockLayout& blocks) {
  double sum = 0;
  for (int64_t k = 0; k < blocks.count(); ++k)
    sum += 0.5 * static_cast<double>(blocks.size(k)) * static_cast<double>(blocks.size(k) + 1);
  return sum;
}

double powers(const lngd::BlockLayout& blocks, int exponent) {
  double sum = 0;
  for (int64_t k = 0; k < blocks.count(); ++k) {
    const double n = static_cast<double>(blocks.size(k));
    sum += exponent == 3 ? n * n * n : n * n;
  }
  return sum;
}

// Inputs and signal of that many samples, once.
double activation_bytes(const Layer& l, int64_t samples) {
  return 4.0 * static_cast<double>(samples) *
         static_cast<double>(l.inputs * l.height * l.width + l.outputs * l.positions());
}

double weights(const Layer& l) { return static_cast<double>(l.outputs) * static_cast<double>(l.columns()); }

} // namespace

lngd::LayerShape Layer::shape(const Preset& p) const {
  lngd::LayerShape s{};
  s.inputs = inputs / groups * kernel * kernel;
  s.outputs = outputs;
  s.bias = bias;
  s.convolution = conv;
  for (int axis = 0; axis < 2; ++axis) {
    s.conv.kernel[axis] = static_cast<int32_t>(kernel);
    s.conv.stride[axis] = static_cast<int32_t>(stride);
    s.conv.before[axis] = s.conv.after[axis] = static_cast<int32_t>(padding);
  }
  s.groups = groups;
  s.d = columns();
  s.ldw = lngd::padded(s.d);
  s.blocks = blocks(p);
  s.activation = activation == "relu" ? LNGD_ACTIVATION_RELU : LNGD_ACTIVATION_IDENTITY;
  s.output = activation == "softmax" ? LNGD_OUTPUT_SOFTMAX : LNGD_OUTPUT_HIDDEN;
  s.fisher = p.second < 0 ? LNGD_FISHER_EXPECTED : LNGD_FISHER_PROVIDED;
  s.approximation = p.second < 0 ? LNGD_APPROXIMATION_LNGD : LNGD_APPROXIMATION_KFAC;
  s.second = second_blocks(p);
  s.rules.trust_slope = 1;
  return s;
}

std::vector<Layer> read_layers(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Failed("cannot read " + path);
  std::vector<Layer> layers;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const std::string where = path + ":" + std::to_string(number);
    if (number == 1) {
      if (line != kHeader) throw Failed(where + ": the columns are not those of bench/layers/README.md");
    } else if (!line.empty()) {
      layers.push_back(parse(line, where));
    }
  }
  if (layers.empty()) throw Failed(path + " holds no layer");
  return layers;
}

std::vector<Layer> distinct(const std::vector<Layer>& layers) {
  std::vector<Layer> kinds;
  for (const Layer& l : layers) {
    const auto same = std::find_if(kinds.begin(), kinds.end(), [&](const Layer& k) {
      return k.conv == l.conv && k.inputs == l.inputs && k.outputs == l.outputs && k.kernel == l.kernel &&
             k.stride == l.stride && k.padding == l.padding && k.groups == l.groups && k.height == l.height &&
             k.width == l.width && k.bias == l.bias && k.batch == l.batch && k.activation == l.activation;
    });
    if (same == kinds.end())
      kinds.push_back(l);
    else
      ++same->count;
  }
  return kinds;
}

std::string set_name(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string file = slash == std::string::npos ? path : path.substr(slash + 1);
  return file.substr(0, file.find('.'));
}

Work statistics_work(const Layer& l, const Preset& p, int passes) {
  const double rows = static_cast<double>(l.samples(p) * l.positions());
  const double triangle = triangles(l.blocks(p)) + triangles(l.second_blocks(p));
  Work w;
  const double syrk = 2 * rows * triangle;
  w.tensor = passes * syrk;
  w.fp32 = rows * (4 * static_cast<double>(l.columns() * l.groups) + 20 * static_cast<double>(l.outputs));
  w.operations = syrk + w.fp32;
  w.bytes = activation_bytes(l, l.samples(p)) + 8 * triangle;
  return w;
}

Work running_average_work(const Layer& l, const Preset& p) {
  const double triangle = triangles(l.blocks(p)) + triangles(l.second_blocks(p));
  return {3 * triangle, 0, 3 * triangle, 16 * triangle};
}

Work factor_inverse_work(const Layer& l, const Preset& p) {
  Work w;
  // In panels of 128 the triangular solves, 128 n^2, and the updates of diagonal tiles, 64 n^2, are fp32, the rest
  // 3xTF32.
  for (const lngd::BlockLayout& blocks : {l.blocks(p), l.second_blocks(p)}) {
    double fp32 = 0;
    const double cubes = powers(blocks, 3); // Cholesky, triangular inverse, product: n^3 / 3 each
    for (int64_t k = 0; k < blocks.count(); ++k) {
      const double n = static_cast<double>(blocks.size(k));
      fp32 += std::min(n * n * n, 192 * n * n);
    }
    w = w + Work{cubes, 3 * (cubes - fp32), fp32, 4 * (triangles(blocks) + powers(blocks, 2))};
  }
  return w;
}

// Newton-Schulz on the Gram matrix of each group, p its smaller side.
double orthogonal_operations(const Layer& l) {
  const double rows = static_cast<double>(l.outputs / l.groups), columns = static_cast<double>(l.columns());
  const double p = std::min(rows, columns), q = std::max(rows, columns);
  return static_cast<double>(l.groups) * (4 * p * p * q + 10 * p * p * p);
}

Work precondition_work(const Layer& l, const Preset& p, int passes) {
  const double squares = powers(l.blocks(p), 2), md = weights(l);
  Work w;
  const double seconds = powers(l.second_blocks(p), 2);
  double product =
      2 * static_cast<double>(l.outputs / l.groups) * squares + 2 * static_cast<double>(l.columns()) * seconds;
  if (p.orthogonalise) product = 2 * product + orthogonal_operations(l); // there and back
  w.tensor = passes * product;
  w.fp32 = 12 * md;
  w.operations = product + w.fp32;
  w.bytes = 12 * md + 4 * (squares + seconds);
  return w;
}

Work empirical_rate_work(const Layer& l, int passes) {
  const double rows = static_cast<double>(l.batch * l.positions());
  Work w;
  const double product = 2 * rows * weights(l);
  w.tensor = passes * product;
  w.fp32 = 2 * rows * static_cast<double>(l.outputs);
  w.operations = product + w.fp32;
  w.bytes = activation_bytes(l, l.batch) + 4 * weights(l);
  return w;
}

Work apply_update_work(const Layer& l) { return {8 * weights(l), 0, 8 * weights(l), 28 * weights(l)}; }

Work operator+(const Work& a, const Work& b) {
  return {a.operations + b.operations, a.tensor + b.tensor, a.fp32 + b.fp32, a.bytes + b.bytes};
}

} // namespace bench
