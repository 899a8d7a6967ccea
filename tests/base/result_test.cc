#include "base/result.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <memory>
#include <set>
#include <vector>

#include "base/assert.h"
#include "base/defer.h"
#include "base/handle.h"

namespace lt {
namespace {

Result<int> half_of(int number) {
  if (number % 2 != 0) return fail(Errc::invalid, std::to_string(number) + " is odd");
  return number / 2;
}
Result<int> quarter_of(int number) {
  LT_TRY(const int half, half_of(number));
  LT_TRY(const int quarter, half_of(half));
  return quarter;
}
Status is_even(int number) {
  LT_CHECK(half_of(number));
  return {};
}

TEST_CASE("LT_TRY binds a value, or returns the first error as it is", "[base][result]") {
  CHECK(quarter_of(12) == 3);
  CHECK(quarter_of(6).error().what == "3 is odd");
  CHECK(quarter_of(5).error().what == "5 is odd");
  CHECK(quarter_of(5).error().code == Errc::invalid);
}

TEST_CASE("LT_CHECK goes on, or returns the error", "[base][result]") {
  CHECK(is_even(2));
  CHECK(is_even(3).error().what == "3 is odd");
}

TEST_CASE("LT_TRY moves what cannot be copied", "[base][result]") {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(7); };
  const auto take = [&]() -> Result<int> {
    LT_TRY(const auto owned, make());
    return *owned;
  };
  CHECK(take() == 7);
}

TEST_CASE("a system call's error has the code that fits, and the system's words",
          "[base][result]") {
  const auto code_of = [](int number) { return fail_errno(number, "x").value().code; };
  CHECK(code_of(EPERM) == Errc::not_permitted);
  CHECK(code_of(EACCES) == Errc::not_permitted);
  CHECK(code_of(ENOENT) == Errc::not_found);
  CHECK(code_of(ENODEV) == Errc::not_found);
  CHECK(code_of(EEXIST) == Errc::exists);
  CHECK(code_of(EADDRINUSE) == Errc::busy);
  CHECK(code_of(ECONNREFUSED) == Errc::unreachable);
  CHECK(code_of(EHOSTUNREACH) == Errc::unreachable);
  CHECK(code_of(ETIMEDOUT) == Errc::timed_out);
  CHECK(code_of(ECONNRESET) == Errc::closed);
  CHECK(code_of(EMFILE) == Errc::limit);
  CHECK(code_of(ENOSYS) == Errc::unsupported);
  CHECK(code_of(EINTR) == Errc::interrupted);
  CHECK(code_of(EINVAL) == Errc::invalid);
  CHECK(code_of(EIO) == Errc::io);
  const Error error = fail_errno(ENOENT, "cannot open /x").value();
  CHECK(error.text() == "cannot open /x: No such file or directory");
  CHECK(error.sys_errno == ENOENT);
  CHECK(fail(Errc::limit, "too much").value().text() == "too much");
}

TEST_CASE("context goes in front and changes nothing else", "[base][result]") {
  const Error error = with_context(fail_errno(EPERM, "cannot set the MTU").value(), "lt0");
  CHECK(error.text() == "lt0: cannot set the MTU: Operation not permitted");
  CHECK(error.code == Errc::not_permitted);
}

TEST_CASE("every code has a name of its own", "[base][result]") {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Errc::io); ++code)
    names.insert(name_of(static_cast<Errc>(code)));
  CHECK(names.size() == static_cast<std::size_t>(Errc::io) + 1);
  CHECK_FALSE(names.contains("unknown"));
}

TEST_CASE("deferred statements run at the end of their scope, the last first", "[base][defer]") {
  std::vector<int> order;
  {
    LT_DEFER(order.push_back(1));
    LT_DEFER(order.push_back(2));
    order.push_back(0);
  }
  CHECK(order == std::vector{0, 2, 1});
}

int frees = 0;
void free_int(int* number) {
  ++frees;
  delete number;
}

TEST_CASE("a handle frees once, by its own function, and is as large as a pointer",
          "[base][handle]") {
  frees = 0;
  {
    Handle<int, free_int> one(new int(1));
    Handle<int, free_int> two(std::move(one));
    CHECK(*two == 1);
  }
  CHECK(frees == 1);
  CHECK(sizeof(Handle<int, free_int>) == sizeof(int*));
}

}  // namespace
}  // namespace lt
