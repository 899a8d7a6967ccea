// Watches over what the link has put into the kernel: whatever an administrator or another program removes is put back
// once and logged (security.md D-13). A deleted device ends the daemon: its packets have no way any more, every lane
// holds its descriptor, and only a fresh start has the right to make another. Its supervisor starts it again; until
// then the unreachable routes stand.
//
// Two programs that undo each other would go on for ever: after put_backs_max within put_back_window it lets go until
// the window is over, and says so.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "app/keeper.h"
#include "base/log.h"

namespace lt::app {

inline constexpr unsigned put_backs_max = 10;
inline constexpr auto put_back_window = std::chrono::seconds(60);
inline constexpr auto look_interval = std::chrono::seconds(10);  // for what the kernel does not announce

class RouteGuard {
 public:
  /// @param on_end  called once, with why the link cannot go on: the device or the keeper is gone. @thread the guard's
  [[nodiscard]] static Result<std::unique_ptr<RouteGuard>> start(const std::string& device, Keeper& keeper, Log& log,
                                                                 std::function<void(Error)> on_end);
  ~RouteGuard();

 private:
  RouteGuard(tunnel::NetworkWatch watch, Keeper& keeper, Log& log, std::function<void(Error)> on_end, Fd stop_event);
  void run();
  void look();

  tunnel::NetworkWatch watch_;
  Keeper& keeper_;
  Log& log_;
  std::function<void(Error)> on_end_;
  Fd stop_event_;
  std::chrono::steady_clock::time_point window_{};
  unsigned put_backs_{0};
  std::thread thread_;
};

}  // namespace lt::app
