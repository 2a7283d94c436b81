// SPDX-License-Identifier: Apache-2.0
//
// The twin of the whitened orthogonalisation (lngd.h, behind lngd_config) in double precision: one step as a function
// of all that it starts from, every formula as it is printed, on whatever side of the matrix it is printed for.
#ifndef LNGD_TEST_REFERENCE_ORTHOGONAL_HPP
#define LNGD_TEST_REFERENCE_ORTHOGONAL_HPP

#include "reference.hpp"

namespace twin {

// The inverses of the Cholesky factors of the damped diagonal blocks of a factor of `groups` groups, one below the
// other (rows x rows / groups), zeros elsewhere. RELATIVE damping, block by block: lambda = max(factor tr / size,
// floor), ten times that where the block is not positive definite, up to six times.
struct Triangles {
  Matrix values;
  double lambda_min = 0, lambda_max = 0;
  double condition = 1; // largest bound 1 + tr / lambda on the condition of a damped block
  int retries = 0;
};
Triangles triangles(const Matrix& factor, std::int64_t groups, std::int64_t block, double damping, double floor);

// X <- a X + b X X^T X + c X X^T X X^T X, twice from X / sqrt(||X X^T||_F) (0 stays 0), each with its a, b and c.
struct Orthogonalised {
  Matrix values;
  double norm = 0; // sqrt(||X X^T||_F) before
  // The largest |f'| over [0, 1], f = p2(p1(s)) the polynomial of a singular value. f is odd, so that a perturbation E
  // of X / norm changes the result by at most this times ||E||_F: the differences quotients (f(s) +- f(t)) / (s +- t)
  // of a function of singular values are bounded by it.
  double amplification = 0;
  // Times the relative error of a product of floats, the error that rounding adds where the steps are taken on the Gram
  // matrix: over the products, how large each is times what an error in it becomes.
  double rounding = 0;
};
Orthogonalised orthogonalise(const Matrix& x);

struct OrthogonalStart {
  lngd_config config{};
  std::int64_t groups = 1;
  bool orthogonalise = true;         // of an embedding not: D = T_B^T T_B x T_A^T T_A
  double factor = 1;                 // of the schedule
  Matrix gradient;                   // m x d
  Matrix weights, momentum;          // before the step
  Matrix phi_triangle, psi_triangle; // C^-1 and B^-1, groups one below the other
};
struct OrthogonalStep {
  Matrix averaged;          // x
  Matrix direction;         // D
  Matrix momentum, weights; // after the step
  double inner = 0;         // <D, G>, the weights of COUPLED decay in G
  double length = 0;        // of zeta
  std::vector<Orthogonalised> groups;
};
OrthogonalStep orthogonal_step(const OrthogonalStart& start);

} // namespace twin

#endif // LNGD_TEST_REFERENCE_ORTHOGONAL_HPP
