#include "app/notify.h"

#include <systemd/sd-daemon.h>

#include "base/text.h"

namespace lt::app {

Notifier::Notifier(const std::string& status, std::function<void()> prove_alive) : prove_alive_(std::move(prove_alive)) {
  ::sd_notify(0, ("READY=1\nSTATUS=" + printable(status, 200)).c_str());
  std::uint64_t limit_us = 0;
  if (::sd_watchdog_enabled(0, &limit_us) > 0) {
    thread_ = std::thread([this, limit_us] { run(std::chrono::microseconds(limit_us / 2)); });
  }
}

Notifier::~Notifier() {
  ::sd_notify(0, "STOPPING=1");
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Notifier::run(std::chrono::microseconds interval) {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    prove_alive_();
    ::sd_notify(0, "WATCHDOG=1");
    changed_.wait_for(lock, interval, [this] { return ending_; });
  }
}

}  // namespace lt::app
