#include "mirror/meter.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/fd.h"
#include "base/text.h"

namespace lt::mirror {

namespace {

constexpr std::size_t page_bytes = 4096;
static_assert(sizeof(MeterPage) <= page_bytes);

Result<MeterPage*> map(const Fd& file, const std::string& path) {
  void* memory =
      ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "cannot map the meter " + path);
  return static_cast<MeterPage*>(memory);
}

std::string line_of(const std::string& path) {
  const auto text = read_file(path, 64 << 10);
  return text ? *text : std::string();
}

// The kernel's letter for what a process does; nothing: it is gone.
std::optional<char> state_of(int pid) {
  const std::string stat = line_of("/proc/" + std::to_string(pid) + "/stat");
  const auto close = stat.rfind(')');
  if (close == std::string::npos || close + 2 >= stat.size()) return std::nullopt;
  return stat[close + 2];
}

}  // namespace

Result<Meter> Meter::create(const std::string& path) {
  static_cast<void>(::unlink(path.c_str()));
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.is_open()) return fail_errno(errno, "cannot make the meter " + path);
  if (::ftruncate(file.get(), page_bytes) != 0)
    return fail_errno(errno, "cannot size the meter " + path);
  LT_TRY(MeterPage* page, map(file, path));
  page->rate_bits = rate_unlimited;
  page->magic = meter_magic;
  return Meter(page, path, true);
}

Result<Meter> Meter::open(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file.is_open()) return fail_errno(errno, "cannot open the meter " + path);
  // A shorter file would be mapped, and end the program when it is read.
  if (::lseek(file.get(), 0, SEEK_END) != static_cast<off_t>(page_bytes))
    return fail(Errc::invalid, path + " is no meter of a mirror's run");
  LT_TRY(MeterPage* page, map(file, path));
  Meter meter(page, path, false);
  if (page->magic != meter_magic)
    return fail(Errc::invalid, path + " is no meter of a mirror's run");
  return meter;
}

Result<std::optional<Meter>> Meter::from_environment() {
  const char* path = std::getenv(meter_variable);
  if (path == nullptr || *path == '\0') return std::optional<Meter>();
  LT_TRY(Meter meter, open(path));
  return std::optional<Meter>(std::move(meter));
}

Meter::Meter(Meter&& other) noexcept
    : page_(std::exchange(other.page_, nullptr)),
      path_(std::move(other.path_)),
      is_owner_(other.is_owner_) {}

Meter& Meter::operator=(Meter&& other) noexcept {
  std::swap(page_, other.page_);
  std::swap(path_, other.path_);
  std::swap(is_owner_, other.is_owner_);
  return *this;
}

Meter::~Meter() {
  if (page_ == nullptr) return;
  ::munmap(page_, page_bytes);
  if (is_owner_) ::unlink(path_.c_str());
}

MeterReading Meter::read() const {
  const std::uint64_t heard = page_->heard_ns;
  const std::uint64_t wait = page_->peer_wait;
  MeterReading reading{.streams = page_->streams,
                       .source = {page_->source_bytes},
                       .link = {page_->link_bytes},
                       .resent = {page_->resent_bytes},
                       .received = {page_->received_bytes},
                       .target = {page_->target_bytes},
                       .is_connected = page_->is_connected != 0};
  if (heard != 0) reading.heard = Instant(Nanoseconds(static_cast<std::int64_t>(heard)));
  if (wait <= static_cast<std::uint64_t>(ChildWait::stopped))
    reading.peer_wait = static_cast<ChildWait>(wait);
  return reading;
}

void Meter::set_rate(std::optional<BitsPerSecond> rate) {
  page_->rate_bits = rate ? rate->value : rate_unlimited;
}

std::optional<BitsPerSecond> Meter::rate() const {
  const std::uint64_t bits = page_->rate_bits;
  return bits == rate_unlimited ? std::nullopt : std::optional(BitsPerSecond{bits});
}

void Meter::heard(Instant now) {
  page_->heard_ns = static_cast<std::uint64_t>(now.time_since_epoch().count());
}

Bytes MeterGate::take(Bytes wanted, Instant now) {
  pacer_.set_rate(meter_.rate(), now);
  return pacer_.take(wanted, now);
}

bool is_stopped_by_signal(int pid) {
  const auto state = state_of(pid);
  return state == 'T' || state == 't';
}

ChildWait child_wait_of(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/";
  const auto state = state_of(pid);
  if (!state || *state == 'T' || *state == 't' || *state == 'Z' || *state == 'X') return ChildWait::stopped;
  if (*state == 'R') return ChildWait::working;
  if (*state == 'D') return ChildWait::disk;
  // Asleep: at its pipe it waits for others; anywhere else it waits for its pool. Kernels that hide
  // where it sleeps show 0 there; then the call it is in tells, by its first argument.
  const std::string place = line_of(folder + "wchan");
  if (place.find("pipe") != std::string::npos) return ChildWait::working;
  const auto words = split(line_of(folder + "syscall"), ' ');
  if (words.size() > 1 && (words[0] == "0" || words[0] == "1" || words[0] == "running")) {
    const bool is_read = words[0] == "0" && words[1] == "0x0";
    const bool is_write = words[0] == "1" && words[1] == "0x1";
    return is_read || is_write ? ChildWait::working : ChildWait::disk;
  }
  return place.empty() ? ChildWait::unknown : ChildWait::disk;
}

}  // namespace lt::mirror
