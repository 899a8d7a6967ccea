#include "app/route_guard.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace lt::app {

using std::chrono::steady_clock;

Result<std::unique_ptr<RouteGuard>> RouteGuard::start(const std::string& device, Keeper& keeper, Log& log,
                                                      std::function<void(Error)> on_end) {
  LT_TRY(auto watch, tunnel::NetworkWatch::open(device));
  Fd stop_event(::eventfd(0, EFD_CLOEXEC));
  if (!stop_event.is_open()) return fail_errno(errno, "cannot make an event");
  return std::unique_ptr<RouteGuard>(
      new RouteGuard(std::move(watch), keeper, log, std::move(on_end), std::move(stop_event)));
}

RouteGuard::RouteGuard(tunnel::NetworkWatch watch, Keeper& keeper, Log& log, std::function<void(Error)> on_end, Fd stop_event)
    : watch_(std::move(watch)),
      keeper_(keeper),
      log_(log),
      on_end_(std::move(on_end)),
      stop_event_(std::move(stop_event)),
      thread_([this] { run(); }) {}

RouteGuard::~RouteGuard() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_event_.get(), &one, sizeof one);
  thread_.join();
}

void RouteGuard::run() {
  for (;;) {
    std::array<pollfd, 3> polled{pollfd{stop_event_.get(), POLLIN, 0}, pollfd{watch_.fd(), POLLIN, 0},
                                 pollfd{keeper_.fd(), 0, 0}};  // of the keeper only its going is heard
    constexpr auto interval = std::chrono::milliseconds(look_interval);
    const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(interval.count()));
    if (polled[0].revents != 0) return;
    if (polled[2].revents != 0) return on_end_(Error{Errc::closed, "the keeper is gone: start the link again", 0});
    const auto news = watch_.read();
    if (news.is_device_gone) {
      return on_end_(Error{Errc::not_found, "the device was deleted under the running link: start the link again", 0});
    }
    if (news.is_missing_something || ready == 0) look();
  }
}

void RouteGuard::look() {
  const auto now = steady_clock::now();
  if (now - window_ >= put_back_window) {
    window_ = now;
    put_backs_ = 0;
  }
  if (put_backs_ >= put_backs_max) return;
  const auto put = keeper_.put_back();
  if (!put) return log_.warn("put_back_failed", {{"why", put.error().text()}});
  if (put->total() == 0) return;
  log_.warn("put_back", {{"addresses", put->addresses},
                         {"rules", put->rules},
                         {"routes", put->routes},
                         {"switches", put->switches},
                         {"device", put->device ? "taken up" : "as it was"}});
  if (++put_backs_ == put_backs_max) {
    log_.error("put_back_paused", {{"why", "something keeps removing what the link needs"},
                                   {"seconds", std::chrono::seconds(put_back_window).count()}});
  }
}

}  // namespace lt::app
