// What this machine says of itself: CPU time, kernel, congestion controls. Read from /proc.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace lt::tuner {

/// CPU time used since the machine or the process began (unit: s; the kernel counts in 10 ms).
struct CpuReading {
  double busy_seconds{0};  // all CPUs: user, nice, system, irq, softirq; not idle, iowait or steal
  double softirq_seconds{0};  // the part of it that carries packets in the kernel
  double steal_seconds{0};    // time the hypervisor gave to other machines
  double process_seconds{0};  // this process alone, user and system
};

/// @error io: /proc/stat cannot be read or is not what proc(5) says
[[nodiscard]] Result<CpuReading> read_cpu();
/// The same from the text of /proc/stat. @error invalid: no `cpu` line of at least 8 numbers
[[nodiscard]] Result<CpuReading> parse_proc_stat(const std::string& text, double ticks_per_second);

[[nodiscard]] unsigned cpu_count();
/// Changes with each boot and is the same in all namespaces: tells two machines from one.
[[nodiscard]] std::string boot_id();
/// "Linux 6.1.0-18-amd64".
[[nodiscard]] std::string kernel_version();
/// "performance", "powersave", ...; empty where the machine has no frequency control.
[[nodiscard]] std::string cpu_governor();
/// Names for TCP_CONGESTION that this kernel knows now.
[[nodiscard]] std::vector<std::string> congestion_controls();

}  // namespace lt::tuner
