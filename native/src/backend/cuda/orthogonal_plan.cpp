// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backend/cuda/orthogonal.h"

namespace lngd::cuda {
namespace {

// The matrix of a group and its smaller side.
struct GroupMatrix {
  int64_t rows, columns, ld;

  explicit GroupMatrix(const LayerShape& shape) : rows(shape.outputs / shape.groups), columns(shape.d), ld(shape.ldw) {}
  bool tall() const { return rows > columns; }
  int64_t small() const { return std::min(rows, columns); }
  int64_t large() const { return std::max(rows, columns); }
  // Its smaller side along the rows of a view, or the larger one.
  MatrixView by_small(const float* data) const { return tall() ? MatrixView{data, 1, ld} : MatrixView{data, ld, 1}; }
  MatrixView by_large(const float* data) const { return tall() ? MatrixView{data, ld, 1} : MatrixView{data, 1, ld}; }
};

MatrixView from_row(const MatrixView& view, int64_t row) { return {view.data + row * view.rs, view.rs, view.cs}; }

// Calls tile(row, rows, column, columns) over rows x columns.
template <class Tile>
void for_tiles(int64_t rows, int64_t columns, const Tile& tile) {
  // Down the rows first, as in append_direction_tiles.
  for (int64_t column = 0; column < columns; column += kDirectionColumns)
    for (int64_t row = 0; row < rows; row += kDirectionRows)
      tile(row, std::min<int64_t>(kDirectionRows, rows - row), column,
           std::min<int64_t>(kDirectionColumns, columns - column));
}

struct Sizes {
  int64_t rows, columns, depth;
};

// The tiles of C = A B^T, all of them or, of a symmetric one, those that touch the lower triangle.
void append_product(int32_t layer, const MatrixView& a, const MatrixView& b, float* c, int64_t ldc, const Sizes& sizes,
                    bool symmetric, std::vector<OrthogonalTile>& tiles) {
  for_tiles(sizes.rows, sizes.columns, [&](int64_t row, int64_t rows, int64_t column, int64_t columns) {
    if (symmetric && column > row + rows - 1) return;
    OrthogonalTile tile{};
    tile.a = from_row(a, row);
    tile.b = from_row(b, column);
    tile.c = c + row * ldc + column;
    tile.mirror = symmetric ? c + column * ldc + row : nullptr;
    tile.ldc = ldc;
    tile.rows = static_cast<int32_t>(rows), tile.columns = static_cast<int32_t>(columns);
    tile.depth = static_cast<int32_t>(sizes.depth);
    tile.row0 = static_cast<int32_t>(row), tile.column0 = static_cast<int32_t>(column);
    tile.layer = layer;
    tiles.push_back(tile);
  });
}

// direction = T_B z for the rows of a block of B: row i of T_B ends at its diagonal.
void append_whiten_columns(int32_t index, const LayerShape& shape, const LayerMemory& memory, int64_t block,
                           const float* z, float* direction, std::vector<OrthogonalTile>& tiles) {
  const BlockLayout& blocks = shape.second;
  const int64_t size = blocks.size(block), first = blocks.group(block) * blocks.d + blocks.begin(block);
  const float* const triangle = memory.second_inverse + blocks.offset(block);
  const size_t before = tiles.size();
  append_product(index, {triangle, blocks.ld(block), 1}, {z + first * shape.ldw, 1, shape.ldw},
                 direction + first * shape.ldw, shape.ldw, {size, shape.d, size}, false, tiles);
  for (size_t i = before; i < tiles.size(); ++i) tiles[i].depth = tiles[i].row0 + tiles[i].rows;
}

// Z = D T_A for the columns of a block of A: column j of T_A begins at its diagonal.
void append_back_rows(int32_t index, const LayerShape& shape, const LayerMemory& memory, int64_t block, float* z,
                      std::vector<OrthogonalTile>& tiles) {
  const BlockLayout& blocks = shape.blocks;
  const int64_t size = blocks.size(block), ld = blocks.ld(block), rows = shape.outputs / shape.groups;
  const int64_t corner = blocks.group(block) * rows * shape.ldw + blocks.begin(block);
  const size_t before = tiles.size();
  append_product(index, {memory.direction + corner, shape.ldw, 1}, {memory.phi_inverse + blocks.offset(block), 1, ld},
                 z + corner, shape.ldw, {rows, size, size}, false, tiles);
  for (size_t i = before; i < tiles.size(); ++i) {
    OrthogonalTile& tile = tiles[i];
    tile.a.data += tile.column0 * tile.a.cs;
    tile.b.data += tile.column0 * tile.b.cs;
    tile.depth -= tile.column0;
  }
}

// A matrix to be normalised; `root` as in NormaliseTask.
struct NormalisedMatrix {
  const float* from;
  float* to;
  int64_t ld, rows, columns;
  float* root;
};

// Tasks of some rows each. The squares of the norm are those of the tiles [first, end).
void append_normalise(int32_t index, const NormalisedMatrix& matrix, size_t first, size_t end,
                      std::vector<NormaliseTask>& tasks) {
  const int64_t height = std::max<int64_t>(1, kNormaliseElements / matrix.ld);
  for (int64_t row = 0; row < matrix.rows; row += height) {
    NormaliseTask task{};
    task.from = matrix.from + row * matrix.ld;
    task.to = matrix.to + row * matrix.ld;
    task.root = row == 0 ? matrix.root : nullptr;
    task.ld = matrix.ld;
    task.rows = static_cast<int32_t>(std::min(height, matrix.rows - row));
    task.columns = static_cast<int32_t>(matrix.columns);
    task.first_square = static_cast<int32_t>(first);
    task.squares = static_cast<int32_t>(end - first);
    task.layer = index;
    tasks.push_back(task);
  }
}

} // namespace

int64_t orthogonal_floats(const LayerShape& shape) {
  if (!shape.orthogonalised()) return shape.outputs * shape.ldw;
  const int64_t p = GroupMatrix(shape).small();
  return shape.outputs * shape.ldw + shape.groups * (3 * p * padded(p) + 1);
}

void append_orthogonal(int32_t index, const LayerShape& shape, const LayerMemory& memory, float* workspace,
                       OrthogonalTables& tables) {
  const GroupMatrix matrix(shape);
  const int64_t p = matrix.small(), ldp = padded(p);
  const auto list = [&tables](OrthogonalProduct product) -> std::vector<OrthogonalTile>& {
    return tables.products.of(product);
  };
  float* const z = workspace;
  tables.z.push_back(z);
  if (!shape.orthogonalised()) {
    for (int64_t k = 0; k < shape.second.count(); ++k)
      append_whiten_columns(index, shape, memory, k, memory.direction, z, list(OrthogonalProduct::BackRows));
    return;
  }
  for (int64_t k = 0; k < shape.blocks.count(); ++k)
    append_back_rows(index, shape, memory, k, z, list(OrthogonalProduct::BackRows));
  float* const squares = z + shape.outputs * shape.ldw;
  float* const roots = squares + shape.groups * 3 * p * ldp;
  for (int64_t group = 0; group < shape.groups; ++group) {
    const int64_t first = group * matrix.rows * shape.ldw;
    float* const direction = memory.direction + first;
    std::vector<OrthogonalTile>& whiten = list(OrthogonalProduct::WhitenColumns);
    const size_t whitened_before = whiten.size();
    for (int64_t k = 0; k < shape.second.group_blocks(); ++k)
      append_whiten_columns(index, shape, memory, group * shape.second.group_blocks() + k, z, memory.direction, whiten);
    append_normalise(index, {direction, z + first, shape.ldw, matrix.rows, matrix.columns, nullptr}, whitened_before,
                     whiten.size(), tables.normalise);
    float* const s = squares + group * 3 * p * ldp;
    float* const polynomial = s + p * ldp;
    float* const r = polynomial + p * ldp;
    const MatrixView x = matrix.by_small(z + first), x_t = matrix.by_large(z + first), of_s{s, ldp, 1};
    std::vector<OrthogonalTile>& gram = list(OrthogonalProduct::Gram);
    const size_t gram_before = gram.size();
    append_product(index, x, x, s, ldp, {p, p, matrix.large()}, true, gram);
    append_normalise(index, {s, s, ldp, p, p, roots + group}, gram_before, gram.size(), tables.normalise_gram);
    const auto append_square = [&](OrthogonalProduct product, const float* a, const float* b, float* c) {
      append_product(index, {a, ldp, 1}, {b, ldp, 1}, c, ldp, {p, p, p}, true, list(product));
    };
    append_square(OrthogonalProduct::First, s, s, polynomial);
    append_square(OrthogonalProduct::R, s, polynomial, r);
    append_square(OrthogonalProduct::GramNext, r, polynomial, s);
    append_square(OrthogonalProduct::Second, s, s, r);
    std::vector<OrthogonalTile>& both = list(OrthogonalProduct::Both);
    const size_t both_before = both.size();
    append_square(OrthogonalProduct::Both, r, polynomial, s);
    for (size_t i = both_before; i < both.size(); ++i) both[i].scale = roots + group;
    append_product(index, matrix.tall() ? x_t : of_s, matrix.tall() ? of_s : x_t, direction, shape.ldw,
                   {matrix.rows, matrix.columns, p}, false, list(OrthogonalProduct::Apply));
  }
}

} // namespace lngd::cuda
