// The daemon's control socket: a Unix socket, mode 0600, one JSON object a line each way. The door of Boost.Asio
// for local control.
//
// Who may ask: root and the daemon's own user, told by SO_PEERCRED. A request is at most request_bytes_max long; at
// most clients_max are served at once, each for client_deadline. Anything else is answered by closing.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace lt::app {

inline constexpr std::size_t request_bytes_max = 4096;
inline constexpr std::size_t clients_max = 8;
inline constexpr auto client_deadline = std::chrono::seconds(5);

/// Where the daemon of `site` listens: RUN_DIRECTORY/SITE.sock.
[[nodiscard]] std::string control_path(const std::string& run_directory, const std::string& site);

/// Serves the control socket and ends on SIGINT or SIGTERM; a second one of those ends the process at once, and so does
/// one that comes while the daemon takes things down. @thread the one that calls run()
class ControlServer {
 public:
  using Answer = std::function<Json(const std::string& request)>;

  /// @error busy: another daemon answers there · not_permitted, io: the directory or socket cannot be made
  static Result<std::unique_ptr<ControlServer>> create(const std::string& path, Answer answer);
  ~ControlServer();  // removes the socket, unless it was left

  /// Somebody else will remove the socket: this process may not be able to.
  void leave_socket();

  /// Serves until a signal comes or stop() is called.
  void run();
  /// @thread any
  void stop();

 private:
  struct State;
  explicit ControlServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Asks the daemon at `path` one thing. @error not_found: no daemon runs there · timed_out, protocol
[[nodiscard]] Result<Json> ask_daemon(const std::string& path, const std::string& request);

}  // namespace lt::app
