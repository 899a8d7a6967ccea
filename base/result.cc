#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace lt {

std::string_view name_of(Errc code) {
  switch (code) {
    case Errc::invalid: return "invalid";
    case Errc::not_permitted: return "not_permitted";
    case Errc::not_found: return "not_found";
    case Errc::exists: return "exists";
    case Errc::busy: return "busy";
    case Errc::unreachable: return "unreachable";
    case Errc::timed_out: return "timed_out";
    case Errc::closed: return "closed";
    case Errc::protocol: return "protocol";
    case Errc::rejected: return "rejected";
    case Errc::limit: return "limit";
    case Errc::unsupported: return "unsupported";
    case Errc::interrupted: return "interrupted";
    case Errc::io: return "io";
  }
  return "unknown";
}

std::string Error::text() const {
  if (sys_errno == 0) return what;
  return what + ": " + std::generic_category().message(sys_errno);
}

namespace {

Errc code_of(int sys_errno) {
  switch (sys_errno) {
    case EPERM:
    case EACCES: return Errc::not_permitted;
    case ENOENT:
    case ENODEV:
    case ENXIO: return Errc::not_found;
    case EEXIST: return Errc::exists;
    case EBUSY:
    case EADDRINUSE: return Errc::busy;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH: return Errc::unreachable;
    case ETIMEDOUT: return Errc::timed_out;
    case ECONNRESET:
    case EPIPE: return Errc::closed;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC: return Errc::limit;
    case ENOSYS:
    case EOPNOTSUPP:
    case EAFNOSUPPORT: return Errc::unsupported;
    case EINTR: return Errc::interrupted;
    case EINVAL: return Errc::invalid;
    default: return Errc::io;
  }
}

}  // namespace

tl::unexpected<Error> fail_errno(int sys_errno, std::string what) {
  return tl::unexpected<Error>(Error{code_of(sys_errno), std::move(what), sys_errno});
}

Error with_context(Error error, std::string_view context) {
  error.what = std::string(context) + ": " + error.what;
  return error;
}

}  // namespace lt
