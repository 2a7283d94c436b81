// SPDX-License-Identifier: Apache-2.0
#ifndef LNGD_FUZZ_CALLS_HPP
#define LNGD_FUZZ_CALLS_HPP

#include <string>

#include "world.hpp"

namespace fuzz {

// Makes one call of some kind and checks what it has done; gives its name. Throws Found.
std::string one_call(World& world, Random& random);

// Damages a saved state in some way and restores it: it is refused and nothing has changed, or taken, and then the
// optimizer works on. Throws Found.
void one_state(World& world, Random& random);

} // namespace fuzz

#endif // LNGD_FUZZ_CALLS_HPP
