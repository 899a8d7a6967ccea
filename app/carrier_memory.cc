#include "app/carrier_memory.h"

#include <algorithm>
#include <array>

#include "base/process.h"
#include "base/text.h"

namespace lt::app {

namespace {

// What a bench itself runs at a gateway.
constexpr std::array tools{std::string_view("iperf3"), std::string_view("ping"), std::string_view("ip")};

bool is_tool(std::string_view status) {
  for (const std::string_view line : split(status, '\n')) {
    if (!line.starts_with("Name:")) continue;
    return std::find(tools.begin(), tools.end(), trim(line.substr(5))) != tools.end();
  }
  return false;
}

}  // namespace

Result<double> parse_resident_mib(std::string_view status) {
  for (const std::string_view line : split(status, '\n')) {
    if (!line.starts_with("VmHWM:")) continue;
    const std::string_view words = trim(line.substr(6));
    const auto kib = parse_u64(words.substr(0, words.find(' ')));
    if (!kib || !words.ends_with(" kB")) break;
    return static_cast<double>(*kib) / 1024;
  }
  return fail(Errc::invalid, "a process does not say its resident memory");
}

Result<double> largest_resident_mib(const lab::Sandbox& sandbox) {
  double largest = 0;
  for (const lab::Host host : {lab::Host::office_gw, lab::Host::offsite_gw}) {
    LT_TRY(const std::string pids, run_checked({"ip", "netns", "pids", sandbox.topology().namespace_of(host)}));
    for (const std::string_view pid : split(trim(pids), '\n')) {
      const auto status = read_file("/proc/" + std::string(pid) + "/status", 1 << 16);
      if (!status || is_tool(*status)) continue;  // it may have ended meanwhile
      LT_TRY(const double mib, parse_resident_mib(*status));
      largest = std::max(largest, mib);
    }
  }
  if (largest > 0) return largest;
  return fail(Errc::not_found, "no daemon runs at the gateways any more");
}

}  // namespace lt::app
