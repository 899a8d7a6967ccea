#include "tuner/iperf3_streams.h"

#include <netinet/ip.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cmath>

#include "base/assert.h"
#include "tuner/probe_flows.h"
#include "tuner/probe_socket.h"
#include "tuner/random.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds call_patience{50};  // how late a stream may notice that it should end
constexpr Seconds series_step_iperf3{1};

struct CpuTime {
  double user{0};
  double system{0};
};

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

CpuTime cpu_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {seconds_of(usage.ru_utime), seconds_of(usage.ru_stime)};
}

double seconds_between(Instant from, Instant to) {
  return std::max(0.0, std::chrono::duration<double>(to - from).count());
}

Status set(int fd, int level, int option, std::uint64_t value, const char* what) {
  if (option == SO_MAX_PACING_RATE && level == SOL_SOCKET) {
    if (::setsockopt(fd, level, option, &value, sizeof value) == 0) return {};
  } else {
    const int number = static_cast<int>(value);
    if (::setsockopt(fd, level, option, &number, sizeof number) == 0) return {};
  }
  return fail_errno(errno, std::string("cannot set ") + what);
}

Family family_of(int fd) {
  int domain = AF_INET;
  socklen_t length = sizeof domain;
  ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
  return domain == AF_INET6 ? Family::v6 : Family::v4;
}

Status prepare_both(int fd, const Iperf3Test& test) {
  if (test.window_bytes > 0) {
    // What iperf3's -w asks for, and only then: a fixed size turns the kernel's own sizing off.
    LT_CHECK(set(fd, SOL_SOCKET, SO_SNDBUF, test.window_bytes, "the window"));
    LT_CHECK(set(fd, SOL_SOCKET, SO_RCVBUF, test.window_bytes, "the window"));
  }
  if (test.type_of_service > 0) {
    const bool is_v4 = family_of(fd) == Family::v4;
    LT_CHECK(set(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_TOS : IPV6_TCLASS,
                 test.type_of_service, "the type of service"));
  }
  if (test.pacing_rate.value > 0)
    LT_CHECK(set(fd, SOL_SOCKET, SO_MAX_PACING_RATE, test.pacing_rate.value / 8, "the pacing rate"));
  return {};
}

}  // namespace

void Iperf3Datagram::encode(ByteSpan raw, bool is_wide) const {
  store_be32(raw.data(), seconds);
  store_be32(raw.data() + 4, microseconds);
  if (is_wide)
    store_be64(raw.data() + 8, number);
  else
    store_be32(raw.data() + 8, static_cast<std::uint32_t>(number));
}

std::optional<Iperf3Datagram> Iperf3Datagram::decode(ByteView raw, bool is_wide) {
  if (raw.size() < bytes(is_wide)) return std::nullopt;
  return Iperf3Datagram{load_be32(raw.data()), load_be32(raw.data() + 4),
                        is_wide ? load_be64(raw.data() + 8) : load_be32(raw.data() + 8)};
}

void Iperf3Sequence::arrived(const Iperf3Datagram& datagram, Nanoseconds arrived) {
  if (datagram.number > highest_) {
    // A number that would be a gap of more than any test sends is not believed.
    const std::uint64_t gap = datagram.number - highest_ - 1;
    if (gap > static_cast<std::uint64_t>(INT64_MAX) / 4) return;
    lost_ += static_cast<std::int64_t>(gap);
    highest_ = datagram.number;
  } else {
    --lost_;
  }
  const double sent = static_cast<double>(datagram.seconds) + datagram.microseconds * 1e-6;
  const double transit = std::chrono::duration<double>(arrived).count() - sent;
  if (transit_seconds_) jitter_seconds_ += (std::abs(transit - *transit_seconds_) - jitter_seconds_) / 16;
  transit_seconds_ = transit;
}

Status prepare_iperf3_tcp(int fd, const Iperf3Test& test) {
  LT_CHECK(prepare_both(fd, test));
  if (!test.congestion.empty()) LT_CHECK(set_congestion(fd, test.congestion));
  LT_CHECK(set_segment_bytes_max(fd, test.mss_bytes));
  if (test.no_delay) LT_CHECK(set(fd, IPPROTO_TCP, TCP_NODELAY, 1, "no-delay"));
  return {};
}

Status prepare_iperf3_udp(int fd, const Iperf3Test& test) {
  LT_CHECK(prepare_both(fd, test));
  if (test.may_not_fragment && family_of(fd) == Family::v4)
    LT_CHECK(set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO, "don't fragment"));
  return {};
}

struct Iperf3Run::Shared {
  // One stream. Its thread writes it until that is joined; `moved` is read by the owner.
  struct Worker {
    Fd fd;
    bool is_sender{false};
    Iperf3Count count;
    std::uint64_t retransmits_before{0};
    std::string congestion;
    std::vector<std::uint64_t> series;
    std::atomic<std::uint64_t> moved{0};
    bool is_counting{false};
    std::uint64_t unread{0};  // at the end; the owner's
    std::jthread thread;
  };

  Shared(const Iperf3Test& given, std::vector<Iperf3Stream> streams);
  void work(Worker& worker);
  void send_tcp(Worker& worker);
  void receive_tcp(Worker& worker);
  void send_udp(Worker& worker);
  void receive_udp(Worker& worker);
  bool tally(Worker& worker, std::uint64_t bytes, Instant now, const Iperf3Sequence* sequence);
  void begin_counting(Worker& worker, const Iperf3Sequence* sequence);
  void conclude(Worker& worker);
  [[nodiscard]] Instant due(const Worker& worker) const;

  const Iperf3Test test;
  const std::vector<Byte> block;
  const Instant start{std::chrono::steady_clock::now()};
  const Instant counting_from;
  std::atomic<bool> is_frozen{false};  // counting and sending have ended
  std::atomic<bool> is_stopped{false};
  std::atomic<unsigned> lost{0};
  std::atomic<bool> has_cpu{false};  // the first stream to count reads the CPU time
  CpuTime cpu_before;                // written by that stream, read after all are joined
  CpuTime cpu_after;
  Instant frozen_at{};
  std::vector<std::unique_ptr<Worker>> workers;
};

Iperf3Run::Shared::Shared(const Iperf3Test& given, std::vector<Iperf3Stream> streams)
    : test(given),
      block(incompressible((std::size_t{given.block()} + 7) / 8 * 8)),
      counting_from(start + Seconds(given.omit_seconds)) {
  for (std::size_t place = 0; place < streams.size(); ++place) {
    auto worker = std::make_unique<Worker>();
    worker->fd = std::move(streams[place].fd);
    worker->is_sender = streams[place].is_sender;
    worker->count.id = iperf3_stream_id(place);
    workers.push_back(std::move(worker));
  }
  for (const auto& worker : workers)
    worker->thread = std::jthread([this, &worker] { work(*worker); });
}

void Iperf3Run::Shared::work(Worker& worker) {
  set_patience(worker.fd.get(), call_patience);
  if (test.is_udp) {
    worker.is_sender ? send_udp(worker) : receive_udp(worker);
  } else {
    worker.is_sender ? send_tcp(worker) : receive_tcp(worker);
  }
}

// Counts what has moved; of a sender also what was under way when counting ended, since it goes out, and the other end counts
// it. @return false: counting is over
bool Iperf3Run::Shared::tally(Worker& worker, std::uint64_t bytes, Instant now,
                              const Iperf3Sequence* sequence) {
  if (is_frozen && !worker.is_sender) return false;
  worker.moved.fetch_add(bytes, std::memory_order_relaxed);
  const auto second = static_cast<std::size_t>((now - start) / series_step_iperf3);
  if (second <= iperf3_seconds_max + iperf3_omit_seconds_max) {
    if (second >= worker.series.size()) worker.series.resize(second + 1, 0);
    worker.series[second] += bytes;
  }
  if (now < counting_from) return true;
  if (!worker.is_counting) begin_counting(worker, sequence);
  worker.count.bytes += bytes;
  return true;
}

void Iperf3Run::Shared::begin_counting(Worker& worker, const Iperf3Sequence* sequence) {
  worker.is_counting = true;
  if (!has_cpu.exchange(true)) cpu_before = cpu_time();
  if (!test.is_udp) {
    worker.retransmits_before = tcp_info_of(worker.fd.get()).tcpi_total_retrans;
  } else if (sequence != nullptr && test.omit_seconds > 0) {
    worker.count.omitted_packets = sequence->highest();
    worker.count.omitted_errors = sequence->lost();
  } else if (test.omit_seconds > 0) {
    worker.count.omitted_packets = worker.count.packets;
  }
}

// At a TCP stream's end, while its connection still knows itself.
void Iperf3Run::Shared::conclude(Worker& worker) {
  worker.congestion = congestion_of(worker.fd.get());
  if (!worker.is_sender) return;
  const tcp_info info = tcp_info_of(worker.fd.get());
  worker.count.retransmits =
      static_cast<std::int64_t>(info.tcpi_total_retrans - worker.retransmits_before);
}

// When the next block may go, at the rate that was asked for since the start.
Instant Iperf3Run::Shared::due(const Worker& worker) const {
  if (test.rate.value == 0) return start;
  const double seconds = static_cast<double>(worker.moved.load(std::memory_order_relaxed)) * 8 /
                         static_cast<double>(test.rate.value);
  return start + std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(std::min(seconds, 1e8)));
}

void Iperf3Run::Shared::send_tcp(Worker& worker) {
  const std::size_t size = test.block();
  while (!is_frozen) {
    const Instant next = due(worker);
    const Instant before = std::chrono::steady_clock::now();
    if (next > before) {
      std::this_thread::sleep_until(std::min(next, before + call_patience));
      continue;
    }
    const auto count = ::send(worker.fd.get(), block.data(), size, MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      if (!is_frozen) ++lost;
      break;
    }
    if (count > 0)
      tally(worker, static_cast<std::uint64_t>(count), std::chrono::steady_clock::now(), nullptr);
  }
  conclude(worker);
}

void Iperf3Run::Shared::receive_tcp(Worker& worker) {
  const auto space = std::make_unique_for_overwrite<Byte[]>(receive_block_bytes);
  while (!is_stopped) {
    const auto count = ::recv(worker.fd.get(), space.get(), receive_block_bytes, MSG_TRUNC);
    const int reason = errno;
    if (count > 0) {
      tally(worker, static_cast<std::uint64_t>(count), std::chrono::steady_clock::now(), nullptr);
    } else if (count == 0 || (reason != EAGAIN && reason != EINTR)) {
      if (!is_frozen) ++lost;
      break;
    }
  }
  conclude(worker);
}

void Iperf3Run::Shared::send_udp(Worker& worker) {
  std::vector<Byte> datagram(block.begin(), block.begin() + test.block());
  while (!is_frozen) {
    const Instant next = due(worker);
    const Instant now = std::chrono::steady_clock::now();
    if (next > now) {
      std::this_thread::sleep_until(std::min(next, now + call_patience));
      continue;
    }
    const auto since = std::chrono::duration_cast<Microseconds>(now.time_since_epoch());
    Iperf3Datagram{static_cast<std::uint32_t>(since / 1s),
                   static_cast<std::uint32_t>((since % 1s).count()), worker.count.packets + 1}
        .encode(datagram, test.has_wide_counters);
    const auto count = ::send(worker.fd.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL);
    // A full queue of our own is waited for. What else the kernel says of the path (a port that was
    // closed, no route for a moment) is a datagram lost.
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    tally(worker, datagram.size(), now, nullptr);
    ++worker.count.packets;
  }
}

void Iperf3Run::Shared::receive_udp(Worker& worker) {
  std::vector<Byte> space(iperf3_datagram_bytes_max + 1);
  Iperf3Sequence sequence;
  bool was_counting = false;
  while (!is_frozen) {
    const auto count = ::recv(worker.fd.get(), space.data(), space.size(), 0);
    if (count <= 0) continue;
    const Instant now = std::chrono::steady_clock::now();
    const auto datagram =
        Iperf3Datagram::decode(ByteView(space).first(static_cast<std::size_t>(count)), test.has_wide_counters);
    if (!datagram || datagram->number == 0) continue;
    if (!tally(worker, static_cast<std::uint64_t>(count), now, &sequence)) break;
    if (worker.is_counting && !was_counting) sequence.forget_jitter();
    was_counting = worker.is_counting;
    sequence.arrived(*datagram, now.time_since_epoch());
  }
  worker.count.packets = sequence.highest();
  worker.count.errors = sequence.lost();
  worker.count.jitter_seconds = sequence.jitter_seconds();
}

Iperf3Run::Iperf3Run(const Iperf3Test& test, std::vector<Iperf3Stream> streams)
    : shared_(std::make_unique<Shared>(test, std::move(streams))) {}

Iperf3Run::~Iperf3Run() {
  stop();
}

void Iperf3Run::freeze() {
  if (shared_->is_frozen) return;
  shared_->frozen_at = std::chrono::steady_clock::now();
  shared_->is_frozen = true;
  shared_->cpu_after = cpu_time();
  if (shared_->test.is_udp || shared_->frozen_at < shared_->counting_from) return;
  // What has arrived by now and was not read yet, for want of a processor, was received all the same.
  for (const auto& worker : shared_->workers) {
    int waiting = 0;
    if (!worker->is_sender && ::ioctl(worker->fd.get(), FIONREAD, &waiting) == 0)
      worker->unread = static_cast<std::uint64_t>(waiting);
  }
}

void Iperf3Run::stop() {
  freeze();
  shared_->is_stopped = true;
  for (const auto& worker : shared_->workers) {
    if (worker->thread.joinable()) worker->thread.join();
    worker->fd.reset();
  }
}

std::uint64_t Iperf3Run::moved() const {
  std::uint64_t sum = 0;
  for (const auto& worker : shared_->workers)
    sum += worker->moved.load(std::memory_order_relaxed);
  return sum;
}

unsigned Iperf3Run::lost() const {
  return shared_->lost;
}

Iperf3Report Iperf3Run::report() const {
  LT_ASSERT(shared_->is_stopped);
  Iperf3Report report;
  const double seconds = seconds_between(shared_->counting_from, shared_->frozen_at);
  if (seconds > 0 && shared_->has_cpu) {
    report.cpu_user_percent = (shared_->cpu_after.user - shared_->cpu_before.user) / seconds * 100;
    report.cpu_system_percent = (shared_->cpu_after.system - shared_->cpu_before.system) / seconds * 100;
    report.cpu_percent = report.cpu_user_percent + report.cpu_system_percent;
  }
  for (const auto& worker : shared_->workers) {
    Iperf3Count count = worker->count;
    count.seconds = seconds;
    count.bytes += worker->unread;
    report.streams.push_back(count);
    if (report.congestion.empty()) report.congestion = worker->congestion;
    if (worker->is_sender) report.has_retransmits = shared_->test.is_udp ? 0 : 1;
  }
  return report;
}

std::vector<std::uint64_t> Iperf3Run::series(bool of_senders) const {
  LT_ASSERT(shared_->is_stopped);
  std::vector<std::uint64_t> sum;
  for (const auto& worker : shared_->workers) {
    if (worker->is_sender != of_senders) continue;
    if (worker->series.size() > sum.size()) sum.resize(worker->series.size(), 0);
    for (std::size_t i = 0; i < worker->series.size(); ++i)
      sum[i] += worker->series[i];
  }
  return sum;
}

}  // namespace lt::tuner
