#include "tuner/iperf3_wire.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>

#include "base/clock.h"
#include "base/text.h"
#include "tuner/fields.h"
#include "tuner/probe_socket.h"
#include "tuner/random.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds turn{50};
constexpr Milliseconds write_patience{5'000};
constexpr std::size_t name_bytes_max = 64;
constexpr double largest_whole = 9'007'199'254'740'992.0;  // 2^53: beyond it a double skips numbers

tl::unexpected<Error> wrong(std::string_view field, const std::string& rule,
                            Iperf3Errno number = Iperf3Errno::parameters) {
  return fail(Error{Errc::invalid, "`" + std::string(field) + "` must be " + rule,
                    static_cast<int>(number)});
}

// A number as iperf3's cJSON writes it: whole, or a double without a fraction, or true. -1 may come
// as 2^64 - 1. Nothing: no such thing.
std::optional<std::int64_t> lenient_whole(const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number_unsigned()) {
    const auto whole = value.get<std::uint64_t>();
    if (whole == UINT64_MAX) return -1;
    if (whole > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<std::int64_t>(whole);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  if (number >= 18446744073709549568.0 && number <= 18446744073709551616.0) return -1;
  if (!std::isfinite(number) || std::abs(number) > largest_whole) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

struct Limits {
  std::int64_t min{0};
  std::int64_t max{INT64_MAX};
};

// Absent is `otherwise`.
Result<std::int64_t> whole_or(const Json& object, const char* name, std::int64_t otherwise,
                              Limits limits, Iperf3Errno number = Iperf3Errno::parameters) {
  if (!has_field(object, name)) return otherwise;
  const auto value = lenient_whole(*object.find(name));
  if (!value || *value < limits.min || *value > limits.max)
    return wrong(name,
                 "a whole number from " + std::to_string(limits.min) + " to " +
                     std::to_string(limits.max),
                 number);
  return *value;
}

Result<std::int64_t> whole_of(const Json& object, const char* name, Limits limits) {
  if (!has_field(object, name)) return wrong(name, "there");
  return whole_or(object, name, 0, limits);
}

Result<unsigned> small_or(const Json& object, const char* name, unsigned otherwise, Limits limits,
                          Iperf3Errno number) {
  LT_TRY(const std::int64_t value, whole_or(object, name, otherwise, limits, number));
  return static_cast<unsigned>(value);
}

Result<bool> flag_of(const Json& object, const char* name) {
  LT_TRY(const std::int64_t value, whole_or(object, name, 0, {}));
  return value != 0;
}

Result<double> number_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number() || !std::isfinite(found->get<double>()))
    return wrong(name, "a number");
  return found->get<double>();
}

// cJSON writes a number that is none as null.
Result<double> number_or_zero(const Json& object, const char* name) {
  if (!has_field(object, name)) return 0.0;
  return number_of(object, name);
}

Result<std::string> text_or_empty(const Json& object, const char* name, std::size_t bytes_max) {
  if (!has_field(object, name)) return std::string();
  auto text = text_field(object, name, bytes_max);
  if (!text) return wrong(name, "a text of at most " + std::to_string(bytes_max) + " bytes");
  return text;
}

constexpr Limits counter{-1, INT64_MAX};

Result<Iperf3Count> count_from_json(const Json& value) {
  if (!value.is_object()) return wrong("streams", "a list of objects");
  Iperf3Count count;
  LT_TRY(const std::int64_t id, whole_of(value, "id", {1, 2 * iperf3_streams_max + 1}));
  count.id = static_cast<unsigned>(id);
  LT_TRY(const std::int64_t bytes, whole_of(value, "bytes", {}));
  count.bytes = static_cast<std::uint64_t>(bytes);
  LT_TRY(count.retransmits, whole_of(value, "retransmits", counter));
  LT_TRY(count.jitter_seconds, number_or_zero(value, "jitter"));
  LT_TRY(count.errors, whole_of(value, "errors", {INT64_MIN, INT64_MAX}));
  LT_TRY(const std::int64_t packets, whole_of(value, "packets", {}));
  count.packets = static_cast<std::uint64_t>(packets);
  LT_TRY(count.omitted_errors, whole_or(value, "omitted_errors", 0, {INT64_MIN, INT64_MAX}));
  LT_TRY(const std::int64_t omitted, whole_or(value, "omitted_packets", 0, {}));
  count.omitted_packets = static_cast<std::uint64_t>(omitted);
  LT_TRY(const double begin, number_or_zero(value, "start_time"));
  LT_TRY(const double end, number_or_zero(value, "end_time"));
  count.seconds = std::clamp(end - begin, 0.0, 2.0 * iperf3_seconds_max);
  return count;
}

Json count_to_json(const Iperf3Count& count) {
  return {{"id", count.id},
          {"bytes", count.bytes},
          {"retransmits", count.retransmits},
          {"jitter", count.jitter_seconds},
          {"errors", count.errors},
          {"omitted_errors", count.omitted_errors},
          {"packets", count.packets},
          {"omitted_packets", count.omitted_packets},
          {"start_time", 0},
          {"end_time", count.seconds}};
}

Status check(bool is_right, const std::string& sentence, Iperf3Errno number) {
  if (is_right) return {};
  return fail(Error{Errc::invalid, sentence, static_cast<int>(number)});
}

bool is_state(std::int8_t raw) {
  switch (static_cast<Iperf3State>(raw)) {
    case Iperf3State::test_start:
    case Iperf3State::test_running:
    case Iperf3State::test_end:
    case Iperf3State::param_exchange:
    case Iperf3State::create_streams:
    case Iperf3State::server_terminate:
    case Iperf3State::client_terminate:
    case Iperf3State::exchange_results:
    case Iperf3State::display_results:
    case Iperf3State::done:
    case Iperf3State::access_denied:
    case Iperf3State::server_error:
      return true;
  }
  return false;
}

constexpr const char* no_iperf3 =
    "what answers there is no iperf3 server; check the port (iperf3: 5201; iperf 2 is another protocol)";

}  // namespace

unsigned Iperf3Test::block() const {
  if (block_bytes > 0) return block_bytes;
  return is_udp ? iperf3_datagram_bytes : iperf3_block_bytes;
}

Status validate(const Iperf3Test& test) {
  using enum Iperf3Errno;
  LT_CHECK(check(test.streams >= 1 && test.streams <= iperf3_streams_max,
                 "the number of streams must be between 1 and 128", streams));
  LT_CHECK(check(test.seconds <= iperf3_seconds_max, "the time must be at most 86400 s", duration));
  LT_CHECK(check(test.omit_seconds <= iperf3_omit_seconds_max, "the omitted time must be at most 600 s", omit));
  const unsigned block = test.block();
  LT_CHECK(check(!test.is_udp || (block >= iperf3_datagram_bytes_min && block <= iperf3_datagram_bytes_max),
                 "a UDP datagram must have 16 to 65507 bytes", block_bytes));
  LT_CHECK(check(block >= 1 && block <= iperf3_block_bytes_max, "a block must have 1 to 1048576 bytes", block_bytes));
  LT_CHECK(check(test.mss_bytes == 0 || (test.mss_bytes >= 88 && test.mss_bytes <= iperf3_mss_max),
                 "the MSS must be between 88 and 32767 bytes", mss_bytes));
  LT_CHECK(check(test.window_bytes <= iperf3_window_bytes_max, "the window must be at most 512 MiB", window_bytes));
  LT_CHECK(check(test.type_of_service <= 255, "the type of service must be at most 255", parameters));
  LT_CHECK(check(test.congestion.size() < 16 &&
                     std::all_of(test.congestion.begin(), test.congestion.end(),
                                 [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; }),
                 "the congestion control must be a name such as cubic or bbr", congestion));
  return {};
}

Iperf3Cookie fresh_iperf3_cookie() {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz234567";
  Random random(fresh_seed());
  Iperf3Cookie cookie{};
  for (std::size_t i = 0; i + 1 < cookie.size(); ++i)
    cookie[i] = letters[random.below(letters.size())];
  return cookie;
}

// In the order in which iperf3 3.12 writes them. `true` only where it wants it; other flags are 1.
Json iperf3_parameters_json(const Iperf3Test& test) {
  Json value;
  value[test.is_udp ? "udp" : "tcp"] = true;
  value["omit"] = test.omit_seconds;
  value["time"] = test.seconds;
  value["num"] = 0;
  value["blockcount"] = 0;
  if (test.mss_bytes > 0) value["MSS"] = test.mss_bytes;
  if (test.no_delay) value["nodelay"] = true;
  value["parallel"] = test.streams;
  if (test.load == Load::down) value["reverse"] = true;
  if (test.load == Load::both) value["bidirectional"] = true;
  if (test.window_bytes > 0) value["window"] = test.window_bytes;
  value["len"] = test.block();
  if (test.rate.value > 0) value["bandwidth"] = test.rate.value;
  if (test.pacing_rate.value > 0) value["fqrate"] = test.pacing_rate.value;
  value["pacing_timer"] = 1000;
  if (test.type_of_service > 0) value["TOS"] = test.type_of_service;
  if (!test.congestion.empty()) value["congestion"] = test.congestion;
  if (test.wants_server_output) value["get_server_output"] = 1;
  if (test.is_udp && test.has_wide_counters) value["udp_counters_64bit"] = 1;
  if (test.is_udp && test.may_not_fragment) value["dont_fragment"] = 1;
  value["client_version"] = "3.12";
  return value;
}

Result<Iperf3Parameters> iperf3_parameters_from_json(const Json& value) {
  using enum Iperf3Errno;
  if (!value.is_object()) return wrong("parameters", "an object");
  Iperf3Parameters read;
  Iperf3Test& test = read.test;
  LT_TRY(const bool is_tcp, flag_of(value, "tcp"));
  LT_TRY(test.is_udp, flag_of(value, "udp"));
  if (is_tcp == test.is_udp) return wrong("tcp", "true, or `udp`: this server knows no other protocol");
  LT_TRY(test.omit_seconds, small_or(value, "omit", 0, {0, iperf3_omit_seconds_max}, omit));
  LT_TRY(test.seconds, small_or(value, "time", 0, {0, iperf3_seconds_max}, duration));
  LT_TRY(test.mss_bytes, small_or(value, "MSS", 0, {0, iperf3_mss_max}, mss_bytes));
  LT_TRY(test.no_delay, flag_of(value, "nodelay"));
  LT_TRY(test.streams, small_or(value, "parallel", 1, {1, iperf3_streams_max}, streams));
  LT_TRY(const bool is_reverse, flag_of(value, "reverse"));
  LT_TRY(const bool is_both, flag_of(value, "bidirectional"));
  test.load = is_both ? Load::both : is_reverse ? Load::down : Load::up;
  LT_TRY(test.window_bytes, small_or(value, "window", 0, {0, iperf3_window_bytes_max}, window_bytes));
  LT_TRY(test.block_bytes, small_or(value, "len", 0, {0, iperf3_block_bytes_max}, block_bytes));
  LT_TRY(const std::int64_t rate, whole_or(value, "bandwidth", 0, {}));
  test.rate.value = static_cast<std::uint64_t>(rate);
  LT_TRY(const std::int64_t pacing, whole_or(value, "fqrate", 0, {}));
  test.pacing_rate.value = static_cast<std::uint64_t>(pacing);
  LT_TRY(test.type_of_service, small_or(value, "TOS", 0, {0, 255}, parameters));
  LT_TRY(test.congestion, text_or_empty(value, "congestion", name_bytes_max));
  LT_TRY(test.wants_server_output, flag_of(value, "get_server_output"));
  LT_TRY(test.has_wide_counters, flag_of(value, "udp_counters_64bit"));
  LT_TRY(test.may_not_fragment, flag_of(value, "dont_fragment"));
  LT_TRY(read.client_version, text_or_empty(value, "client_version", name_bytes_max));
  LT_CHECK(validate(test));
  return read;
}

Json iperf3_report_json(const Iperf3Report& report) {
  Json streams = Json::array();
  for (const Iperf3Count& count : report.streams)
    streams.push_back(count_to_json(count));
  Json value = {{"cpu_util_total", report.cpu_percent},
                {"cpu_util_user", report.cpu_user_percent},
                {"cpu_util_system", report.cpu_system_percent},
                {"sender_has_retransmits", report.has_retransmits}};
  if (!report.congestion.empty()) value["congestion_used"] = report.congestion;
  if (!report.output.empty()) value["server_output_text"] = report.output;
  value["streams"] = streams;
  return value;
}

Result<Iperf3Report> iperf3_report_from_json(const Json& value) {
  if (!value.is_object()) return wrong("results", "an object");
  Iperf3Report report;
  LT_TRY(report.cpu_percent, number_or_zero(value, "cpu_util_total"));
  LT_TRY(report.cpu_user_percent, number_or_zero(value, "cpu_util_user"));
  LT_TRY(report.cpu_system_percent, number_or_zero(value, "cpu_util_system"));
  LT_TRY(report.has_retransmits, whole_or(value, "sender_has_retransmits", -1, {-1, 1}));
  LT_TRY(report.congestion, text_or_empty(value, "congestion_used", name_bytes_max));
  if (const auto text = value.find("server_output_text"); text != value.end() && text->is_string())
    report.output = text->get<std::string>();
  else if (has_field(value, "server_output_json"))
    report.output = to_pretty(value.at("server_output_json"));
  LT_TRY(const Json streams, list_field(value, "streams", std::size_t{2} * iperf3_streams_max));
  for (const Json& stream : streams) {
    LT_TRY(Iperf3Count count, count_from_json(stream));
    report.streams.push_back(count);
  }
  return report;
}

Error iperf3_server_error(std::int32_t iperf3_errno, std::int32_t system_errno) {
  struct Row {
    std::int32_t number;
    Errc code;
    const char* sentence;
  };
  // Numbers: iperf_api.h; those of 3.18 and later are marked by their sentence's own cure.
  static constexpr std::array rows{
      Row{5, Errc::rejected, "the time of the test is too long for it; choose a shorter one"},
      Row{6, Errc::rejected, "it allows fewer streams; choose fewer"},
      Row{7, Errc::rejected, "it does not take this block size; choose another"},
      Row{8, Errc::rejected, "it does not take this window; choose a smaller one, or none"},
      Row{10, Errc::rejected, "it does not take this MSS; choose a smaller one, or none"},
      Row{27, Errc::rejected, "the rate is above its limit; choose a lower one"},
      Row{30, Errc::timed_out, "it waited too long for data"},
      Row{31, Errc::timed_out, "it waited too long for data"},
      Row{37, Errc::rejected, "the time of the test is above its limit; choose a shorter one"},
      Row{114, Errc::rejected, "it does not understand the parameters; its version is too old or too new for them"},
      Row{121, Errc::busy, "it is busy with another test; try again when that has ended"},
      Row{130, Errc::rejected, "it cannot set this window; choose a smaller one, or none"},
      Row{134, Errc::unsupported, "it has no such congestion control; choose one of its own, or none"},
      Row{142, Errc::not_permitted, "it wants a user and a password, which linktune does not give; use a server without them"},
      Row{160, Errc::timed_out, "the test ran longer than it allows"},
  };
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& one) { return one.number == iperf3_errno; });
  const std::string who = "the iperf3 server has ended the test: ";
  if (row != rows.end()) return Error{row->code, who + row->sentence, 0};
  const std::string reason = system_errno > 0 && system_errno < 4096 ? std::string(", ") + std::generic_category().message(system_errno) : "";
  return Error{Errc::rejected, who + "its error " + std::to_string(iperf3_errno) + reason, 0};
}

Iperf3Line::Iperf3Line(Fd fd, std::function<Status()> between)
    : fd_(std::move(fd)), between_(std::move(between)) {
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Status Iperf3Line::write(ByteView bytes) {
  return send_all(fd_.get(), bytes, std::chrono::steady_clock::now() + write_patience);
}

Status Iperf3Line::send(Iperf3State state) {
  const std::array<Byte, 1> raw{static_cast<Byte>(state)};
  return write(raw);
}

Status Iperf3Line::send(const Iperf3Cookie& cookie) {
  return write(as_bytes(std::string_view(cookie.data(), cookie.size())));
}

Status Iperf3Line::send(const Json& value) {
  const std::string text = to_line(value);
  Writer writer;
  writer.u32(static_cast<std::uint32_t>(text.size())).append(text);
  return write(writer.view());
}

Status Iperf3Line::send_error(Iperf3Errno what, int system_errno) {
  Writer writer;
  writer.u8(static_cast<Byte>(Iperf3State::server_error))
      .u32(static_cast<std::uint32_t>(what))
      .u32(static_cast<std::uint32_t>(system_errno));
  return write(writer.view());
}

Result<bool> Iperf3Line::wait_readable(Milliseconds patience) {
  const Instant deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    LT_CHECK(between_());
    const Instant now = std::chrono::steady_clock::now();
    if (wait_for(fd_.get(), POLLIN, std::min(deadline, now + turn))) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
  }
}

Status Iperf3Line::read_exactly(ByteSpan bytes, Milliseconds patience) {
  const Instant deadline = std::chrono::steady_clock::now() + patience;
  while (!bytes.empty()) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now());
    LT_TRY(const bool is_readable, wait_readable(std::max(left, Milliseconds(0))));
    if (!is_readable) return fail(Errc::timed_out, "the other end of the iperf3 test has gone silent");
    const auto count = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count == 0) return fail(Errc::closed, "the other end of the iperf3 test has closed the connection");
    if (count < 0 && errno != EAGAIN && errno != EINTR)
      return fail_errno(errno, "the control connection of the iperf3 test broke");
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::optional<Iperf3State>> Iperf3Line::read_state(Milliseconds patience) {
  LT_TRY(const bool is_readable, wait_readable(patience));
  if (!is_readable) return std::optional<Iperf3State>();
  std::array<Byte, 1> raw{};
  LT_CHECK(read_exactly(raw, patience));
  const auto number = static_cast<std::int8_t>(raw[0]);
  if (!is_state(number)) return fail(Errc::protocol, no_iperf3);
  const auto state = static_cast<Iperf3State>(number);
  if (state != Iperf3State::server_error) return std::optional(state);
  std::array<Byte, 8> numbers{};
  LT_CHECK(read_exactly(numbers, write_patience));
  return fail(iperf3_server_error(static_cast<std::int32_t>(load_be32(numbers.data())),
                                  static_cast<std::int32_t>(load_be32(numbers.data() + 4))));
}

Result<Json> Iperf3Line::read_json(std::size_t bytes_max, Milliseconds patience) {
  std::array<Byte, 4> raw{};
  LT_CHECK(read_exactly(raw, patience));
  const std::uint32_t length = load_be32(raw.data());
  if (length == 0 || length > bytes_max)
    return fail(Errc::protocol, "the other end of the iperf3 test sends JSON of " + std::to_string(length) +
                                    " bytes; the limit is " + std::to_string(bytes_max));
  std::vector<Byte> text(length);
  LT_CHECK(read_exactly(text, patience));
  auto value = parse_json(as_text(text), "what the other end of the iperf3 test sends");
  if (!value || !value->is_object())
    return fail(Errc::protocol, "what the other end of the iperf3 test sends is no JSON object");
  return value;
}

Result<Iperf3Cookie> Iperf3Line::read_cookie(Milliseconds patience) {
  std::array<Byte, iperf3_cookie_bytes> raw{};
  LT_CHECK(read_exactly(raw, patience));
  Iperf3Cookie cookie{};
  std::memcpy(cookie.data(), raw.data(), raw.size());
  if (cookie.back() != 0) return fail(Errc::protocol, "it says no cookie of iperf3");
  return cookie;
}

}  // namespace lt::tuner
