// Pipe: both ends of one, closed on exec.
#pragma once

#include "base/fd.h"

namespace lt {

struct Pipe {
  Fd read_end;
  Fd write_end;
};

/// @error io and what the system says: no descriptor is left
[[nodiscard]] Result<Pipe> make_pipe();

}  // namespace lt
