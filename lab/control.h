// Control: how another process speaks to a running emulator. A Unix socket (mode 0600), one request
// a connection, each a line of JSON answered by a line of JSON:
//
//   {"op":"status"}                                            -> {"ok":true,"status":{...}}
//   {"op":"set","direction":"both","words":["loss=1%"]}        -> {"ok":true} or
//   {"ok":false,"code":"invalid","error":"..."}
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/json.h"
#include "base/result.h"

namespace lt::lab {

class ControlServer {
 public:
  using Answer = std::function<Result<Json>(const Json& request)>;

  /// Answers at `path`, in a thread of its own, until it goes. An old socket at `path` is replaced.
  /// @thread `answer` runs in that thread, one request at a time
  [[nodiscard]] static Result<ControlServer> start(const std::string& path, Answer answer);

  ControlServer(ControlServer&&) noexcept = default;
  ControlServer& operator=(ControlServer&&) = delete;
  ~ControlServer();

 private:
  ControlServer(Fd wake, std::thread thread) : wake_(std::move(wake)), thread_(std::move(thread)) {}
  Fd wake_;
  std::thread thread_;
};

/// Asks the emulator at `path`. @return what `answer` returned there
/// @error closed: nobody answers at `path` · timed_out · or the error that `answer` returned
[[nodiscard]] Result<Json> ask(const std::string& path, const Json& request);

}  // namespace lt::lab
