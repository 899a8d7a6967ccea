#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "tuner/fields.h"
#include "tuner/probe_json.h"
#include "tuner/statistics.h"

namespace lt::tuner {

namespace {

constexpr std::size_t name_length_max = 64;
constexpr auto series_length_max =
    static_cast<std::size_t>((probe_duration_max + probe_omit_max) / series_step) + 1;

Status in_range(const char* name, Milliseconds value, Milliseconds min, Milliseconds max) {
  if (value >= min && value <= max) return {};
  return fail(Errc::invalid, std::string(name) + " must be between " + std::to_string(min.count()) +
                                 " and " + std::to_string(max.count()) + " ms");
}

Status in_range(const char* name, unsigned value, unsigned min, unsigned max) {
  if (value >= min && value <= max) return {};
  return fail(Errc::invalid, std::string(name) + " must be between " + std::to_string(min) +
                                 " and " + std::to_string(max));
}

bool is_congestion_name(std::string_view name) {
  return !name.empty() && name.size() < 16 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

bool is_host_address(const IpAddress& address) {
  const ByteView raw = address.raw();
  const bool any = std::all_of(raw.begin(), raw.end(), [](Byte byte) { return byte == 0; });
  const bool multicast = address.family == Family::v4 ? raw[0] >= 224 : raw[0] == 0xff;
  return !any && !multicast;
}

Result<IpAddress> address_field(const Json& value, std::string_view name) {
  LT_TRY(const std::string text, text_field(value, name, name_length_max));
  const auto address = IpAddress::parse(text);
  if (!address) return fail(Errc::invalid, "`" + std::string(name) + "` must be a numeric address");
  return *address;
}

Result<Milliseconds> time_field(const Json& value, std::string_view name, Milliseconds max) {
  LT_TRY(const std::uint64_t ms,
         whole_field(value, name, {0, static_cast<std::uint64_t>(max.count())}));
  return Milliseconds(ms);
}

double share_lost(std::uint64_t sent, std::uint64_t arrived) {
  if (sent == 0 || arrived >= sent) return 0;
  return static_cast<double>(sent - arrived) / static_cast<double>(sent);
}

}  // namespace

Json latency_to_json(const Latency& latency) {
  return {{"count", latency.count},     {"us_min", latency.us_min},
          {"us_p50", latency.us_p50},   {"us_p95", latency.us_p95},
          {"us_p99", latency.us_p99},   {"us_max", latency.us_max},
          {"us_mean", latency.us_mean}, {"per_minute", latency.per_minute()}};
}

Result<Latency> latency_from_json(const Json& value) {
  Latency latency;
  LT_TRY(latency.count, whole_field(value, "count"));
  LT_TRY(latency.us_min, number_field(value, "us_min"));
  LT_TRY(latency.us_p50, number_field(value, "us_p50"));
  LT_TRY(latency.us_p95, number_field(value, "us_p95"));
  LT_TRY(latency.us_p99, number_field(value, "us_p99"));
  LT_TRY(latency.us_max, number_field(value, "us_max"));
  LT_TRY(latency.us_mean, number_field(value, "us_mean"));
  return latency;
}

Json echo_to_json(const EchoResult& echo) {
  return {{"sent", echo.sent},
          {"arrived", echo.arrived},
          {"replied", echo.replied},
          {"returned", echo.returned},
          {"loss_up", echo.loss_up()},
          {"loss_down", echo.loss_down()},
          {"latency", latency_to_json(echo.latency)}};
}

Result<EchoResult> echo_from_json(const Json& value) {
  EchoResult echo;
  LT_TRY(echo.sent, whole_field(value, "sent"));
  LT_TRY(echo.arrived, whole_field(value, "arrived"));
  LT_TRY(echo.replied, whole_field(value, "replied"));
  LT_TRY(echo.returned, whole_field(value, "returned"));
  LT_TRY(const Json latency, object_field(value, "latency"));
  LT_TRY(echo.latency, latency_from_json(latency));
  return echo;
}

Json flow_to_json(const FlowResult& flow) {
  return {{"bits_per_second", flow.goodput().value},
          {"bytes", flow.bytes.value},
          {"measured_ns", flow.measured.count()},
          {"retransmits", flow.retransmits},
          {"rtt_us", flow.rtt_us},
          {"congestion", flow.congestion},
          {"flows", flow.flows},
          {"flows_lost", flow.flows_lost},
          {"series_step_ms", series_step.count()},
          {"series_bytes", flow.series}};
}

Result<FlowResult> flow_from_json(const Json& value) {
  FlowResult flow;
  LT_TRY(flow.bytes.value, whole_field(value, "bytes"));
  LT_TRY(const std::uint64_t measured, whole_field(value, "measured_ns", {0, INT64_MAX}));
  flow.measured = Nanoseconds(measured);
  LT_TRY(flow.retransmits, whole_field(value, "retransmits"));
  LT_TRY(flow.rtt_us, number_field(value, "rtt_us"));
  LT_TRY(flow.congestion, text_field(value, "congestion", name_length_max));
  LT_TRY(const std::uint64_t flows, whole_field(value, "flows", {0, probe_flows_max}));
  LT_TRY(const std::uint64_t lost, whole_field(value, "flows_lost", {0, probe_flows_max}));
  flow.flows = static_cast<unsigned>(flows);
  flow.flows_lost = static_cast<unsigned>(lost);
  LT_TRY(flow.series, whole_list_field(value, "series_bytes", series_length_max));
  return flow;
}

Json cpu_to_json(const CpuUse& cpu) {
  return {{"cpus", cpu.cpus},
          {"window_seconds", cpu.window_seconds},
          {"busy_seconds", cpu.busy_seconds},
          {"softirq_seconds", cpu.softirq_seconds},
          {"steal_seconds", cpu.steal_seconds},
          {"process_seconds", cpu.process_seconds}};
}

Result<CpuUse> cpu_from_json(const Json& value) {
  CpuUse cpu;
  LT_TRY(const std::uint64_t cpus, whole_field(value, "cpus", {0, 1U << 16}));
  cpu.cpus = static_cast<unsigned>(cpus);
  LT_TRY(cpu.window_seconds, number_field(value, "window_seconds"));
  LT_TRY(cpu.busy_seconds, number_field(value, "busy_seconds"));
  LT_TRY(cpu.softirq_seconds, number_field(value, "softirq_seconds"));
  LT_TRY(cpu.steal_seconds, number_field(value, "steal_seconds"));
  LT_TRY(cpu.process_seconds, number_field(value, "process_seconds"));
  return cpu;
}

std::string_view name_of(Load load) {
  switch (load) {
    case Load::up:
      return "up";
    case Load::down:
      return "down";
    case Load::both:
      return "both";
  }
  return "unknown";
}

std::optional<Load> load_from_name(std::string_view name) {
  for (const Load load : {Load::up, Load::down, Load::both}) {
    if (name_of(load) == name) return load;
  }
  return std::nullopt;
}

Status validate(const ProbeRequest& request) {
  LT_CHECK(in_range("the duration", request.duration, probe_duration_min, probe_duration_max));
  LT_CHECK(in_range("the omitted time", request.omit, Milliseconds(0), probe_omit_max));
  LT_CHECK(in_range("the idle time", request.idle, Milliseconds(0), probe_idle_max));
  LT_CHECK(in_range("the number of flows", request.flows, 1, probe_flows_max));
  LT_CHECK(
      in_range("the echo rate", request.echo_per_second, echo_per_second_min, echo_per_second_max));
  LT_CHECK(in_range("the echo size", request.echo_bytes, echo_bytes_min, echo_bytes_max));
  if (!is_congestion_name(request.congestion)) {
    return fail(Errc::invalid, "the congestion control must be a name such as cubic or bbr");
  }
  if (!is_host_address(request.data)) {
    return fail(Errc::invalid,
                "the data address must be one host's own, not " + request.data.text());
  }
  if (request.source && request.source->family != request.data.family) {
    return fail(Errc::invalid, "the source and the data address must be of one family");
  }
  return {};
}

Json to_json(const ProbeRequest& request) {
  Json value = {{"data", request.data.text()},
                {"data_port", request.data_port},
                {"duration_ms", request.duration.count()},
                {"omit_ms", request.omit.count()},
                {"idle_ms", request.idle.count()},
                {"flows", request.flows},
                {"load", std::string(name_of(request.load))},
                {"congestion", request.congestion},
                {"echo_per_second", request.echo_per_second},
                {"echo_bytes", request.echo_bytes}};
  if (request.source) value["source"] = request.source->text();
  return value;
}

Result<ProbeRequest> probe_request_from_json(const Json& value) {
  ProbeRequest request;
  LT_TRY(request.data, address_field(value, "data"));
  LT_TRY(const std::uint64_t port, whole_field(value, "data_port", {0, 65535}));
  request.data_port = static_cast<std::uint16_t>(port);
  if (has_field(value, "source")) {
    LT_TRY(request.source, address_field(value, "source"));
  }
  LT_TRY(request.duration, time_field(value, "duration_ms", probe_duration_max));
  LT_TRY(request.omit, time_field(value, "omit_ms", probe_omit_max));
  LT_TRY(request.idle, time_field(value, "idle_ms", probe_idle_max));
  LT_TRY(const std::uint64_t flows, whole_field(value, "flows", {1, probe_flows_max}));
  request.flows = static_cast<unsigned>(flows);
  LT_TRY(const std::string load, text_field(value, "load", name_length_max));
  const auto known = load_from_name(load);
  if (!known) return fail(Errc::invalid, "`load` must be up, down or both");
  request.load = *known;
  LT_TRY(request.congestion, text_field(value, "congestion", name_length_max));
  LT_TRY(const std::uint64_t rate, whole_field(value, "echo_per_second", {0, echo_per_second_max}));
  request.echo_per_second = static_cast<unsigned>(rate);
  LT_TRY(const std::uint64_t bytes, whole_field(value, "echo_bytes", {0, echo_bytes_max}));
  request.echo_bytes = static_cast<unsigned>(bytes);
  LT_CHECK(validate(request));
  return request;
}

Latency summarise(std::vector<double> microseconds) {
  Latency latency;
  if (microseconds.empty()) return latency;
  std::sort(microseconds.begin(), microseconds.end());
  latency.count = microseconds.size();
  latency.us_min = microseconds.front();
  latency.us_p50 = quantile(microseconds, 0.50);
  latency.us_p95 = quantile(microseconds, 0.95);
  latency.us_p99 = quantile(microseconds, 0.99);
  latency.us_max = microseconds.back();
  latency.us_mean = mean(microseconds);
  return latency;
}

double EchoResult::loss_up() const {
  return share_lost(sent, arrived);
}
double EchoResult::loss_down() const {
  return share_lost(replied, returned);
}

BitsPerSecond FlowResult::goodput() const {
  return measured > Nanoseconds(0) ? bytes / measured : BitsPerSecond{0};
}

Milliseconds FlowResult::longest_stall() const {
  Milliseconds longest{0};
  Milliseconds current{0};
  for (const std::uint64_t step : series) {
    current = step == 0 ? current + series_step : Milliseconds(0);
    longest = std::max(longest, current);
  }
  return longest;
}

double ProbeResult::cpu_seconds_per_gbit() const {
  double gbit = 0;
  if (up) gbit += static_cast<double>(up->bytes.value) * 8e-9;
  if (down) gbit += static_cast<double>(down->bytes.value) * 8e-9;
  if (gbit <= 0) return 0;
  const double busy = client_cpu.busy_seconds + (same_machine ? 0 : server_cpu.busy_seconds);
  return busy / gbit;
}

Json to_json(const ProbeResult& result) {
  Json value = {{"schema", std::string(probe_schema)}, {"request", to_json(result.request)}};
  value["path_failure"] = result.path_failure ? error_to_json(*result.path_failure) : Json(nullptr);
  value["up"] = result.up ? flow_to_json(*result.up) : Json(nullptr);
  value["down"] = result.down ? flow_to_json(*result.down) : Json(nullptr);
  value["idle"] = echo_to_json(result.idle);
  value["loaded"] = echo_to_json(result.loaded);
  value["client_cpu"] = cpu_to_json(result.client_cpu);
  value["server_cpu"] = cpu_to_json(result.server_cpu);
  value["same_machine"] = result.same_machine;
  value["cpu_seconds_per_gbit"] = result.cpu_seconds_per_gbit();
  value["client_kernel"] = result.client_kernel;
  value["server_kernel"] = result.server_kernel;
  return value;
}

Result<ProbeResult> probe_result_from_json(const Json& value) {
  LT_TRY(const std::string schema, text_field(value, "schema", name_length_max));
  if (schema != probe_schema) {
    return fail(Errc::invalid,
                "`schema` must be " + std::string(probe_schema) + ", not " + printable(schema, 40));
  }
  ProbeResult result;
  LT_TRY(const Json request, object_field(value, "request"));
  LT_TRY(result.request, probe_request_from_json(request));
  if (has_field(value, "path_failure")) {
    LT_TRY(const Json failure, object_field(value, "path_failure"));
    LT_TRY(result.path_failure, error_from_json(failure));
  }
  if (has_field(value, "up")) {
    LT_TRY(const Json up, object_field(value, "up"));
    LT_TRY(result.up, flow_from_json(up));
  }
  if (has_field(value, "down")) {
    LT_TRY(const Json down, object_field(value, "down"));
    LT_TRY(result.down, flow_from_json(down));
  }
  LT_TRY(const Json idle, object_field(value, "idle"));
  LT_TRY(result.idle, echo_from_json(idle));
  LT_TRY(const Json loaded, object_field(value, "loaded"));
  LT_TRY(result.loaded, echo_from_json(loaded));
  LT_TRY(const Json client_cpu, object_field(value, "client_cpu"));
  LT_TRY(result.client_cpu, cpu_from_json(client_cpu));
  LT_TRY(const Json server_cpu, object_field(value, "server_cpu"));
  LT_TRY(result.server_cpu, cpu_from_json(server_cpu));
  LT_TRY(result.same_machine, truth_field(value, "same_machine"));
  LT_TRY(result.client_kernel, text_field(value, "client_kernel", 256));
  LT_TRY(result.server_kernel, text_field(value, "server_kernel", 256));
  return result;
}

}  // namespace lt::tuner
