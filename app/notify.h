// What the daemon tells systemd, where that is who started it: ready, alive, ending. The door of libsystemd.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace lt::app {

/// From ready to ending. Without a service manager it does nothing.
class Notifier {
 public:
  /// Says READY=1 with `status` as one line for people; then, where a watchdog waits, that we are alive, twice as often
  /// as it asks, each time after `prove_alive` has returned.
  Notifier(const std::string& status, std::function<void()> prove_alive);
  ~Notifier();  // says STOPPING=1
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

 private:
  void run(std::chrono::microseconds interval);

  std::function<void()> prove_alive_;
  std::mutex mutex_;  // guards `ending_`
  std::condition_variable changed_;
  bool ending_{false};
  std::thread thread_;
};

}  // namespace lt::app
