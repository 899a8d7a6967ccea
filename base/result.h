// Result<T>, Status, Error: the one carrier of "it did not work". The door of tl::expected.
//
// Three kinds of failure never mix: a drop is counted (tunnel/ports.h), an error travels in a Result,
// a bug stops the program (base/assert.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

namespace lt {

/// What went wrong, coarse enough to choose an exit code or a retry by.
enum class Errc : std::uint8_t {
  invalid,        // the input is wrong: a file, a flag, an argument
  not_permitted,  // the system refuses: not root, no capability
  not_found,      // a file, program, device or name is absent
  exists,         // something of that name is there already
  busy,           // a port, device or lock is taken
  unreachable,    // the peer does not answer
  timed_out,      // a deadline has passed
  closed,         // the other end has ended the conversation
  protocol,       // the other end broke the rules
  rejected,       // the other end refused, with a reason
  limit,          // a named limit is reached
  unsupported,    // this kernel, CPU or program lacks a feature
  interrupted,    // a signal asked us to end
  io,             // the system call failed otherwise
};

/// The name of `code`, for logs and JSON.
[[nodiscard]] std::string_view name_of(Errc code);

/// Why an operation did not succeed. `what` is one sentence for a person, without a final stop.
struct Error {
  Errc code{Errc::io};
  std::string what;
  int sys_errno{0};  // 0: not a system call's error

  /// The sentence, with the system's own text behind it where there is one.
  [[nodiscard]] std::string text() const;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// An error to return: `return fail(Errc::invalid, "port 0 is not a port")`.
[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string what) {
  return tl::unexpected<Error>(Error{code, std::move(what), 0});
}

/// An error of a system call; its code follows from `sys_errno` (EPERM: not_permitted, ...).
[[nodiscard]] tl::unexpected<Error> fail_errno(int sys_errno, std::string what);

/// Puts `context` in front of the sentence: "cannot start the link: " + what.
[[nodiscard]] Error with_context(Error error, std::string_view context);

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace lt

#define LT_CONCAT_INNER(a, b) a##b
#define LT_CONCAT(a, b) LT_CONCAT_INNER(a, b)
#define LT_TRY_NAMED(name, declaration, expression)                       \
  auto name = (expression);                                               \
  if (!name) return ::tl::unexpected<::lt::Error>(std::move(name).error()); \
  declaration = std::move(*name)

/// `LT_TRY(auto fd, open_device(name));` binds the value, or returns the error.
#define LT_TRY(declaration, expression) \
  LT_TRY_NAMED(LT_CONCAT(lt_try_, __COUNTER__), declaration, expression)

/// `LT_CHECK(set_mtu(name, mtu));` goes on when a Status is good, or returns its error.
#define LT_CHECK(expression)                                                            \
  do {                                                                                  \
    auto lt_check_status = (expression);                                                \
    if (!lt_check_status) return ::tl::unexpected<::lt::Error>(std::move(lt_check_status).error()); \
  } while (false)
