#include "tuner/probe_host.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/fd.h"
#include "base/text.h"

namespace lt::tuner {

namespace {

constexpr std::size_t proc_bytes_max = 4 << 20;

std::string line_of(const std::string& path) {
  const auto text = read_file(path, 4096);
  return text ? std::string(trim(*text)) : std::string();
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

Result<CpuReading> parse_proc_stat(const std::string& text, double ticks_per_second) {
  const std::string_view first = split(text, '\n').front();
  std::vector<double> fields;
  for (const std::string_view word : split(first, ' ')) {
    if (const auto ticks = parse_u64(word))
      fields.push_back(static_cast<double>(*ticks) / ticks_per_second);
  }
  // proc(5): cpu user nice system idle iowait irq softirq steal; guest time is within user
  if (!first.starts_with("cpu ") || fields.size() < 8)
    return fail(Errc::invalid, "/proc/stat has no cpu line");
  CpuReading reading;
  reading.busy_seconds = fields[0] + fields[1] + fields[2] + fields[5] + fields[6];
  reading.softirq_seconds = fields[6];
  reading.steal_seconds = fields[7];
  return reading;
}

Result<CpuReading> read_cpu() {
  LT_TRY(const std::string text, read_file("/proc/stat", proc_bytes_max));
  LT_TRY(CpuReading reading, parse_proc_stat(text, static_cast<double>(::sysconf(_SC_CLK_TCK))));
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    reading.process_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  }
  return reading;
}

unsigned cpu_count() {
  return std::max(1U, std::thread::hardware_concurrency());
}

std::string boot_id() {
  return line_of("/proc/sys/kernel/random/boot_id");
}

std::string kernel_version() {
  utsname name{};
  if (::uname(&name) != 0) return "unknown";
  return std::string(name.sysname) + " " + name.release;
}

std::string cpu_governor() {
  return line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
}

std::vector<std::string> congestion_controls() {
  std::vector<std::string> names;
  const std::string text = line_of("/proc/sys/net/ipv4/tcp_available_congestion_control");
  for (const std::string_view name : split(text, ' ')) {
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

}  // namespace lt::tuner
