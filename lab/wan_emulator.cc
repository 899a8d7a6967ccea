#include "lab/wan_emulator.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/assert.h"
#include "base/fd.h"
#include "base/text.h"
#include "lab/frame_store.h"
#include "lab/netns.h"
#include "lab/router.h"
#include "lab/sites.h"

namespace lt::lab {

namespace {

constexpr std::size_t ethernet_header_bytes = 14;
constexpr std::size_t ipv4_header_bytes_min = 20;
constexpr std::size_t ipv6_header_bytes = 40;

// Frames of one turn: bounds how long deliveries wait for a sender that never stops.
constexpr std::uint64_t frames_per_turn_max = 128;

// Least time from one turn to the next under traffic: waking for each packet would cost more CPU
// than carrying it. A delay may be off by this much: 2 % of it, within bounds (at 500 Mbit/s 200 us
// are 8 packets of 1500 bytes). Measured on two CPUs, one TCP flow of 500 Mbit/s: a turn of 20 us
// costs 34 % of both, 50 us 26 %, 200 us 19 %.
Nanoseconds turn_for(Nanoseconds delay) {
  return std::clamp<Nanoseconds>(delay / 50, 50us, 200us);
}

// A turn with fewer packets says nothing about what the emulator could carry.
constexpr std::uint64_t loaded_turn_packets_min = 8;

// The frame store holds more than held_bytes_max of packets: headers, lengths, and ends of blocks
// that stay unused.
constexpr Bytes store_bytes{held_bytes_max.value + held_bytes_max.value / 4};

// A device with the way to read the kernel's counters of its namespace from anywhere.
struct WanDevice {
  Fd frames;
  Fd counters;  // /proc/net/dev of the gateway
};

Result<WanDevice> make_device(const Topology& topology, const Site& site) {
  WanDevice device;
  const auto make = [&]() -> Status {
    LT_TRY(device.frames, make_tap(wan_device));
    device.counters = Fd(::open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC));
    if (!device.counters.is_open()) return fail_errno(errno, "cannot open /proc/net/dev");
    return configure_wan(site, topology.other(site));
  };
  LT_CHECK(run_inside(topology.namespace_of(site.gateway), make));
  return device;
}

// The column "transmit drop" (the 12th number) of the WAN device in /proc/net/dev.
std::uint64_t dropped_by_device(const Fd& counters) {
  std::array<char, 4096> text;
  const auto count = ::pread(counters.get(), text.data(), text.size(), 0);
  const std::string_view table(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  for (const std::string_view line : split(table, '\n')) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || trim(line.substr(0, colon)) != wan_device) continue;
    unsigned column = 0;
    for (const std::string_view word : split(line.substr(colon + 1), ' ')) {
      if (!word.empty() && ++column == 12) return parse_u64(word).value_or(0);
    }
  }
  return 0;
}

// Where the payload of a frame begins: behind the IP header, so that a flipped bit arrives where it
// was sent to.
std::size_t payload_offset(ByteView frame) {
  const std::uint16_t type = load_be16(frame.data() + 12);
  std::size_t offset = ethernet_header_bytes;
  if (type == 0x0800 && frame.size() > offset + ipv4_header_bytes_min)
    offset += std::size_t{frame[offset] & 15U} * 4;
  if (type == 0x86dd && frame.size() > offset + ipv6_header_bytes) offset += ipv6_header_bytes;
  return offset < frame.size() ? offset : frame.size();
}

void flip_bit(ByteSpan frame, std::uint64_t which) {
  const std::size_t offset = payload_offset(frame);
  if (offset == frame.size()) return;
  const std::uint64_t bit = which % ((frame.size() - offset) * 8);
  frame[offset + bit / 8] ^= static_cast<Byte>(1U << (bit % 8));
}

// A line does not wait for its users: this thread runs before any of usual priority. Beside a
// compiler on both CPUs, a raised nice value still delivers up to 9 ms late, this never 1 ms. It
// starves nobody: what it carries has to come from programs that need the CPU too, and the kernel
// keeps 5 % for them (sched_rt_runtime_us).
void go_first() {
  sched_param lowest_real_time{};
  lowest_real_time.sched_priority = 1;
  const int status = ::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest_real_time);
  if (status != 0) ::setpriority(PRIO_PROCESS, 0, -15);  // a container may refuse real time
}

timespec to_timespec(Nanoseconds time) {
  return {.tv_sec = time.count() / 1'000'000'000, .tv_nsec = time.count() % 1'000'000'000};
}

std::thread start_without_signals(auto work) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(work);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

std::uint64_t WanReport::ceiling_packets_per_second() const {
  if (loaded_time.count() <= 0) return 0;
  // A packet passes twice: in and out.
  return static_cast<std::uint64_t>(static_cast<double>(loaded_passages) / 2 * 1e9 /
                                    static_cast<double>(loaded_time.count()));
}

Json WanReport::to_json() const {
  return {{"settings", settings.to_json()},
          {"words", settings.text()},
          {"counters", counters.to_json()},
          {"emulator",
           {{"late_packets", late_packets},
            {"late_ns_max", late_max.count()},
            {"cpu_ns", cpu.count()},
            {"ceiling_packets_per_second", ceiling_packets_per_second()},
            {"device_dropped", device_dropped},
            {"device_refused", device_refused}}}};
}

// One direction. Its thread alone touches model, store and the lateness; others speak to it through
// the mailbox.
class WanEmulator::Lane {
 public:
  Lane(Direction direction, const WanSettings& settings, const WanDevice& source,
       const WanDevice& target, FrameStore store, Fd wake)
      : source_(source),
        target_(target),
        store_(std::move(store)),
        wake_(std::move(wake)),
        model_(settings, direction, clock_.now()) {
    published_.settings = settings;
    thread_ = start_without_signals([this] { run(); });
  }
  ~Lane() {
    stopping_ = true;
    ring_bell();
    thread_.join();
  }

  void set(const WanSettings& settings) {
    std::unique_lock lock(mutex_);
    mail_ = settings;
    has_mail_ = true;
    ring_bell();
    read_.wait(lock, [this] { return !mail_; });
  }

  WanReport report() {
    const std::lock_guard lock(mutex_);
    WanReport report = published_;
    report.cpu = cpu_time();
    report.device_dropped = dropped_by_device(source_.counters);
    return report;
  }

 private:
  void run() {
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // the default rounds a sleep up by 50 us
    go_first();
    while (!stopping_) {
      const Instant begin = clock_.now();
      if (has_mail_) read_mail(begin);
      const std::uint64_t packets = ingest() + deliver();
      publish(begin, packets);
      rest(begin, packets > 0);
    }
  }

  void read_mail(Instant now) {
    const std::lock_guard lock(mutex_);
    model_.set(*mail_, now);
    mail_.reset();
    has_mail_ = false;
    published_.settings = model_.settings();
    read_.notify_all();
  }

  std::uint64_t ingest() {
    std::uint64_t taken = 0;
    for (; taken < frames_per_turn_max; ++taken) {
      const ByteSpan room = store_.room();
      const ByteSpan place = room.empty() ? ByteSpan(spare_) : room;
      const auto count = ::read(source_.frames.get(), place.data(), place.size());
      if (count <= static_cast<ssize_t>(ethernet_header_bytes)) break;
      const auto bytes = static_cast<std::size_t>(count);
      const Bytes packet{bytes - ethernet_header_bytes};
      switch (const Ruling ruling = judge(place.first(bytes), model_.settings())) {
        case Ruling::pass:
          if (room.empty()) {
            model_.refuse_for_storage(packet);
          } else if (model_.offer(packet, clock_.now()) == Offer::accepted) {
            store_.push(bytes);
          }
          break;
        case Ruling::cut:
          for (const auto& piece : cut(place.first(bytes), model_.settings().mtu)) keep(piece);
          break;
        case Ruling::too_large:
          tell_sender(place.first(bytes));
          [[fallthrough]];
        case Ruling::fragment:
        case Ruling::icmp:
          model_.refuse_by_router(packet, ruling);
          break;
      }
    }
    return taken;
  }

  void keep(ByteView frame) {
    const ByteSpan room = store_.room();
    const Bytes packet{frame.size() - ethernet_header_bytes};
    if (room.empty()) {
      model_.refuse_for_storage(packet);
    } else if (model_.offer(packet, clock_.now()) == Offer::accepted) {
      std::copy(frame.begin(), frame.end(), room.begin());
      store_.push(frame.size());
    }
  }

  // By the router next to it: at once.
  void tell_sender(ByteView frame) {
    if (!model_.settings().icmp) return;
    const auto answer = too_large_answer(frame, model_.settings().mtu);
    if (answer && ::write(source_.frames.get(), answer->data(), answer->size()) < 0)
      ++device_refused_;
  }

  std::uint64_t deliver() {
    std::uint64_t given = 0;
    for (Instant now = clock_.now(); const auto departure = model_.take(now); now = clock_.now()) {
      const ByteSpan frame = store_.front();
      if (departure->fate == Fate::delivered) {
        if (departure->flip) flip_bit(frame, *departure->flip);
        send(frame, now - departure->due);
      }
      store_.pop();
      ++given;
    }
    return given;
  }

  void send(ByteView frame, Nanoseconds late) {
    if (late > WanReport::late_limit) ++late_packets_;
    late_max_ = std::max(late_max_, late);
    if (::write(target_.frames.get(), frame.data(), frame.size()) < 0) ++device_refused_;
  }

  void publish(Instant begin, std::uint64_t packets) {
    const std::lock_guard lock(mutex_);
    if (packets >= loaded_turn_packets_min) {
      published_.loaded_passages += packets;
      published_.loaded_time += clock_.now() - begin;
    }
    published_.counters = model_.counters();
    published_.late_packets = late_packets_;
    published_.late_max = late_max_;
    published_.device_refused = device_refused_;
  }

  void rest(Instant begin, bool busy) {
    if (busy) {
      const timespec until =
          to_timespec(begin.time_since_epoch() + turn_for(model_.settings().delay));
      ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
      return;
    }
    const auto next = model_.next_event();
    const timespec left =
        to_timespec(next ? std::max(*next - clock_.now(), Nanoseconds(0)) : Nanoseconds(0));
    std::array<pollfd, 2> polled{pollfd{source_.frames.get(), POLLIN, 0},
                                 pollfd{wake_.get(), POLLIN, 0}};
    ::ppoll(polled.data(), polled.size(), next ? &left : nullptr, nullptr);
    if (polled[1].revents != 0) {
      std::uint64_t count = 0;
      static_cast<void>(!::read(wake_.get(), &count, sizeof count));
    }
  }

  void ring_bell() {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake_.get(), &one, sizeof one));
  }

  Nanoseconds cpu_time() {
    clockid_t clock{};
    timespec time{};
    if (::pthread_getcpuclockid(thread_.native_handle(), &clock) != 0 ||
        ::clock_gettime(clock, &time) != 0)
      return Nanoseconds(0);
    return Seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
  }

  SteadyClock clock_;
  const WanDevice& source_;
  const WanDevice& target_;
  FrameStore store_;
  Fd wake_;
  WanModel model_;
  std::array<Byte, FrameStore::frame_bytes_max> spare_{};  // receives what finds no room
  std::uint64_t late_packets_{0};
  Nanoseconds late_max_{0};
  std::uint64_t device_refused_{0};

  std::mutex mutex_;              // of the mailbox and of what is published
  std::condition_variable read_;  // the mailbox has been emptied
  std::optional<WanSettings> mail_;
  WanReport published_;
  std::atomic<bool> has_mail_{false};  // lets the thread look without the lock
  std::atomic<bool> stopping_{false};
  std::thread thread_;  // last: it uses all of the above
};

struct WanEmulator::Inner {
  WanDevice office;
  WanDevice offsite;
  std::array<std::unique_ptr<Lane>, 2> lanes;  // by Direction; they go before the devices
};

WanEmulator::WanEmulator(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
WanEmulator::WanEmulator(WanEmulator&&) noexcept = default;
WanEmulator& WanEmulator::operator=(WanEmulator&&) noexcept = default;
WanEmulator::~WanEmulator() = default;

Result<WanEmulator> WanEmulator::start(const Topology& topology,
                                       const std::array<WanSettings, 2>& settings) {
  auto inner = std::make_unique<Inner>();
  LT_TRY(inner->office, make_device(topology, topology.office));
  LT_TRY(inner->offsite, make_device(topology, topology.offsite));
  for (const Direction direction : all_directions) {
    const auto index = static_cast<std::size_t>(direction);
    LT_TRY(FrameStore store, FrameStore::create(store_bytes));
    Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake.is_open()) return fail_errno(errno, "cannot make an eventfd");
    const bool from_office = direction == Direction::to_offsite;
    inner->lanes[index] = std::make_unique<Lane>(
        direction, settings[index], from_office ? inner->office : inner->offsite,
        from_office ? inner->offsite : inner->office, std::move(store), std::move(wake));
  }
  return WanEmulator(std::move(inner));
}

void WanEmulator::set(Direction direction, const WanSettings& settings) {
  inner_->lanes[static_cast<std::size_t>(direction)]->set(settings);
}

WanReport WanEmulator::report(Direction direction) const {
  return inner_->lanes[static_cast<std::size_t>(direction)]->report();
}

}  // namespace lt::lab
