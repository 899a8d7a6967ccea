#include "base/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace lt {

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "cannot make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

}  // namespace lt
