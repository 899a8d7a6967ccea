#include "tuner/probe_flows.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tuner/probe_host.h"
#include "tuner/probe_socket.h"
#include "tuner/random.h"
#include "tuner/statistics.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds call_patience{50};  // how late a flow may notice that it should end

struct Receiver {
  Fd fd;
  std::uint64_t bytes{0};
  std::vector<std::uint64_t> series;
  bool is_lost{false};
};

}  // namespace

struct LoadRun::Shared {
  explicit Shared(LoadOptions given)
      : omit(given.omit), duration(given.duration), sending(std::move(given.sending)) {
    for (Fd& fd : given.receiving) {
      receivers.push_back({std::move(fd), 0, {}, false});
      receivers.back().series.resize(
          static_cast<std::size_t>((omit + duration + series_step - 1ms) / series_step));
    }
  }

  void start();
  void send_flow(int fd);
  void receive_flow(Receiver& receiver);
  [[nodiscard]] Instant end_of_receiving() const;
  void watch();
  [[nodiscard]] bool sleep_until(Instant moment);

  const Instant start_time{std::chrono::steady_clock::now()};
  const Milliseconds omit;
  const Milliseconds duration;
  const std::vector<Byte> block{incompressible(send_block_bytes)};
  std::vector<Fd> sending;
  std::vector<Receiver> receivers;  // each is touched by its own thread until that is joined

  std::atomic<Instant::rep> first_byte{0};  // of any receiver; 0: none yet
  std::atomic<unsigned> receiving_left{0};
  std::atomic<bool> is_watched{false};  // the watcher has taken its last reading
  std::atomic<bool> receiving_stopped{false};
  std::atomic<bool> sending_stopped{false};

  std::mutex mutex;  // wakes the watcher from its sleep
  std::condition_variable wake;

  CpuUse cpu;  // the watcher's, read after it is joined
  std::uint64_t retransmits{0};
  std::vector<double> rtts_us;
  std::string congestion;

  std::vector<std::jthread> receiving_threads;
  std::vector<std::jthread> sending_threads;
  std::jthread watcher;
};

void LoadRun::Shared::start() {
  receiving_left = static_cast<unsigned>(receivers.size());
  if (!sending.empty()) congestion = congestion_of(sending.front().get());
  watcher = std::jthread([this] { watch(); });
  for (Receiver& receiver : receivers) {
    receiving_threads.emplace_back([this, &receiver] { receive_flow(receiver); });
  }
  for (const Fd& fd : sending) {
    sending_threads.emplace_back([this, raw = fd.get()] { send_flow(raw); });
  }
}

// Ends when the receiver closes; the moment below only bounds it.
void LoadRun::Shared::send_flow(int fd) {
  set_patience(fd, call_patience);
  const Instant latest = start_time + omit + duration + path_patience + silence_max;
  while (!sending_stopped && std::chrono::steady_clock::now() < latest) {
    const auto count = ::send(fd, block.data(), block.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return;
  }
}

Instant LoadRun::Shared::end_of_receiving() const {
  const Instant::rep first = first_byte;
  if (first == 0) return start_time + path_patience;
  return Instant(Instant::duration(first)) + omit + duration;
}

void LoadRun::Shared::receive_flow(Receiver& receiver) {
  set_patience(receiver.fd.get(), call_patience);
  const auto space = std::make_unique_for_overwrite<Byte[]>(receive_block_bytes);
  while (!receiving_stopped) {
    const auto count = ::recv(receiver.fd.get(), space.get(), receive_block_bytes, MSG_TRUNC);
    const int reason = errno;
    const Instant now = std::chrono::steady_clock::now();
    if (count > 0) {
      Instant::rep none = 0;
      first_byte.compare_exchange_strong(none, now.time_since_epoch().count());
    }
    const Instant end = end_of_receiving();
    if (now >= end) break;
    if (count > 0) {
      const auto since = std::max(Nanoseconds(0), now - Instant(Instant::duration(first_byte)));
      const auto entry = static_cast<std::size_t>(since / series_step);
      if (entry < receiver.series.size())
        receiver.series[entry] += static_cast<std::uint64_t>(count);
      if (since >= omit) receiver.bytes += static_cast<std::uint64_t>(count);
    } else if (count == 0 || (reason != EAGAIN && reason != EINTR)) {
      receiver.is_lost = true;
      break;
    }
  }
  abort_connection(receiver.fd);
  --receiving_left;
}

bool LoadRun::Shared::sleep_until(Instant moment) {
  std::unique_lock lock(mutex);
  return !wake.wait_until(lock, moment, [this] { return receiving_stopped.load(); });
}

void LoadRun::Shared::watch() {
  const auto retransmits_now = [this] {
    std::uint64_t sum = 0;
    for (const Fd& fd : sending)
      sum += tcp_info_of(fd.get()).tcpi_total_retrans;
    return sum;
  };
  if (sleep_until(start_time + omit)) {
    const Instant begin = std::chrono::steady_clock::now();
    const auto cpu_before = read_cpu();
    const std::uint64_t retransmits_before = retransmits_now();
    static_cast<void>(
        sleep_until(start_time + omit + duration));  // given up: the readings are not used
    const auto cpu_after = read_cpu();
    retransmits = retransmits_now() - retransmits_before;
    for (const Fd& fd : sending)
      rtts_us.push_back(static_cast<double>(tcp_info_of(fd.get()).tcpi_rtt));
    if (cpu_before && cpu_after) {
      cpu.cpus = cpu_count();
      cpu.window_seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      cpu.busy_seconds = cpu_after->busy_seconds - cpu_before->busy_seconds;
      cpu.softirq_seconds = cpu_after->softirq_seconds - cpu_before->softirq_seconds;
      cpu.steal_seconds = std::max(0.0, cpu_after->steal_seconds - cpu_before->steal_seconds);
      cpu.process_seconds = cpu_after->process_seconds - cpu_before->process_seconds;
    }
  }
  is_watched = true;
}

LoadRun::LoadRun(LoadOptions options) : shared_(std::make_unique<Shared>(std::move(options))) {
  shared_->start();
}

LoadRun::~LoadRun() {
  if (!shared_) return;
  abandon();
  shared_->sending_stopped = true;
}

bool LoadRun::is_measured() const {
  return shared_->is_watched && shared_->receiving_left == 0;
}

void LoadRun::abandon() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->receiving_stopped = true;
  }
  shared_->wake.notify_all();
}

LoadReport LoadRun::finish() {
  Shared& shared = *shared_;
  shared.receiving_threads.clear();
  shared.watcher.join();
  shared.sending_stopped = true;
  shared.sending_threads.clear();
  for (Fd& fd : shared.sending)
    abort_connection(fd);

  LoadReport report;
  report.retransmits = shared.retransmits;
  report.rtt_us = shared.rtts_us.empty() ? 0 : median(shared.rtts_us);
  report.congestion = shared.congestion;
  report.cpu = shared.cpu;
  if (shared.receivers.empty()) return report;
  report.starved = shared.first_byte == 0;
  FlowResult flow;
  flow.measured = shared.duration;
  flow.flows = static_cast<unsigned>(shared.receivers.size());
  flow.series.resize(shared.receivers.front().series.size());
  for (const Receiver& receiver : shared.receivers) {
    flow.bytes.value += receiver.bytes;
    flow.flows_lost += receiver.is_lost ? 1 : 0;
    for (std::size_t i = 0; i < flow.series.size(); ++i)
      flow.series[i] += receiver.series[i];
  }
  report.received = std::move(flow);
  return report;
}

}  // namespace lt::tuner
