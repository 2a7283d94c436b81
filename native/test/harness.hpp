// SPDX-License-Identifier: Apache-2.0
//
// A test harness in two small files: named tests that register themselves, checks that print the expression, the values
// and the line, and a runner (harness.cpp) that goes on after a failure. No third-party test library, so that the suite
// also builds on a machine with nothing but a compiler, and can be carried to a bare GPU machine as one executable.
//
//   lngd_conformance [--quick] [--list] [--repeat N] [--device cpu|cuda|emulated] [NAME_PART ...]
//
// --device (or $LNGD_TEST_DEVICE) names the backend that every test makes its optimizers for.
#ifndef LNGD_TEST_HARNESS_HPP
#define LNGD_TEST_HARNESS_HPP

#include <cstdint>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>

namespace conformance {

using Body = void (*)();

// Called by the macros below, before main.
struct Registration {
  Registration(const char* name, Body body, bool slow);
};

// Thrown by REQUIRE: the rest of the test makes no sense. The failure is already recorded.
struct Abandon {};

// Records a failure of the running test; only the first few of a test are printed. Safe from any thread.
void fail(const char* file, int line, const std::string& what);
// Counts a check that held. A test that made no check at all fails: it could not have failed.
void passed();
// An error against its bound: fails where it is larger (or NaN); the largest ratio of a test is told in its summary
// line, so that a tolerance that could never fail is seen.
void within(double error, double bound, const char* file, int line, const std::string& what);
// Leaves the running test, which is then counted as skipped with this reason (for example: no such processor).
[[noreturn]] void skip(const std::string& reason);
// "cpu" unless --device or $LNGD_TEST_DEVICE says otherwise.
const std::string& device_name();
// True with --quick: loops over many shapes may take fewer of them.
bool quick();

// Whether case `number` (0, 1, ...) of a long loop is run: always, but on the emulator with --quick only every
// `every`-th.
bool takes(int number, int every);

// Adds "while ..." to the messages of failures inside a scope, e.g. the case of a parameterised test.
class Scope {
 public:
  explicit Scope(const std::string& what);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
};

template <class T>
std::string show(const T& value) {
  std::ostringstream text;
  text.precision(9);
  text << value;
  return text.str();
}
inline std::string show(std::uint8_t value) { return show(static_cast<unsigned>(value)); }

template <class A, class B, class Compare>
bool compare(const A& a, const B& b, Compare holds, const char* text, const char* file, int line) {
  if (holds(a, b)) {
    passed();
    return true;
  }
  fail(file, line, std::string(text) + "   with " + show(a) + " and " + show(b));
  return false;
}

inline double difference(double a, double b) {
  if (a == b || (a != a && b != b)) return 0;
  return a > b ? a - b : b - a;
}

} // namespace conformance

#define LNGD_TEST_CASE(name, slow)                                                      \
  static void test_##name();                                                            \
  static const conformance::Registration registration_##name(#name, test_##name, slow); \
  static void test_##name()

// A test; SLOW_TEST is one that --quick leaves out.
#define TEST(name) LNGD_TEST_CASE(name, false)
#define SLOW_TEST(name) LNGD_TEST_CASE(name, true)

#define CHECK(expression)                                              \
  do {                                                                 \
    if (expression)                                                    \
      conformance::passed();                                           \
    else                                                               \
      conformance::fail(__FILE__, __LINE__, "CHECK(" #expression ")"); \
  } while (false)

#define REQUIRE(expression)                                              \
  do {                                                                   \
    if (expression) {                                                    \
      conformance::passed();                                             \
    } else {                                                             \
      conformance::fail(__FILE__, __LINE__, "REQUIRE(" #expression ")"); \
      throw conformance::Abandon();                                      \
    }                                                                    \
  } while (false)

#define LNGD_COMPARE(a, relation, b, text) conformance::compare((a), (b), std::relation<>(), text, __FILE__, __LINE__)
#define CHECK_EQ(a, b) LNGD_COMPARE(a, equal_to, b, #a " == " #b)
#define CHECK_NE(a, b) LNGD_COMPARE(a, not_equal_to, b, #a " != " #b)
#define CHECK_LE(a, b) LNGD_COMPARE(a, less_equal, b, #a " <= " #b)
#define CHECK_GE(a, b) LNGD_COMPARE(a, greater_equal, b, #a " >= " #b)
#define CHECK_GT(a, b) LNGD_COMPARE(a, greater, b, #a " > " #b)

// error <= bound, for an error that is a norm of a difference.
#define CHECK_WITHIN(error, bound) conformance::within((error), (bound), __FILE__, __LINE__, #error)

// |a - b| <= tolerance; equal infinities agree, and so do two NaN.
#define CHECK_NEAR(a, b, tolerance)                                                       \
  conformance::within(conformance::difference((a), (b)), (tolerance), __FILE__, __LINE__, \
                      #a " near " #b ", with " + conformance::show(a) + " and " + conformance::show(b) + ",")

#endif // LNGD_TEST_HARNESS_HPP
