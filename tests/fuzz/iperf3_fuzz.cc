// The other end of an iperf3 test, client or server: parameters and results as JSON, the bytes of the control
// connection, the heads of datagrams. What is read lies within its limits and comes back from its own text.
#include <sys/socket.h>

#include <array>
#include <cmath>

#include "base/text.h"
#include "tests/fuzz/bent.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/iperf3_samples.h"
#include "tuner/iperf3_streams.h"
#include "tuner/iperf3_wire.h"

namespace lt::fuzz {

using namespace tuner;

namespace {

void expect_reason(const Error& error) {
  expect(!error.what.empty() && is_showable(error.what), "the reason may be shown");
}

void read_parameters(const Json& value) {
  const auto read = iperf3_parameters_from_json(value);
  if (!read) {
    expect(read.error().sys_errno > 0 && read.error().sys_errno < 400, "a refusal has one of iperf3's numbers");
    return expect_reason(read.error());
  }
  const Iperf3Test& test = read->test;
  expect(validate(test).has_value(), "a test that is read is within the limits");
  expect(test.streams >= 1 && test.streams <= iperf3_streams_max, "streams are bounded");
  expect(test.block() >= 1 && test.block() <= iperf3_block_bytes_max, "a block is bounded");
  expect(!test.is_udp || test.block() >= Iperf3Datagram::bytes(true), "a datagram holds its head");
  expect(test.seconds <= iperf3_seconds_max && test.omit_seconds <= iperf3_omit_seconds_max, "times are bounded");
  const Json written = iperf3_parameters_json(test);
  const auto again = iperf3_parameters_from_json(written);
  expect(again && to_line(iperf3_parameters_json(again->test)) == to_line(written), "parameters come back from their own text");
}

void read_report(const Json& value) {
  const auto read = iperf3_report_from_json(value);
  if (!read) return expect_reason(read.error());
  expect(read->streams.size() <= 2 * iperf3_streams_max, "streams are bounded");
  for (const double share : {read->cpu_percent, read->cpu_user_percent, read->cpu_system_percent})
    expect(std::isfinite(share), "a share is finite");
  Iperf3Result result;
  result.test.is_udp = true;
  result.test.wants_server_output = true;
  result.server_output = read->output;
  result.server_congestion = read->congestion;
  Iperf3Way& way = result.up.emplace();
  for (const Iperf3Count& count : read->streams) {
    expect(count.id >= 1 && count.id <= 2 * iperf3_streams_max + 1, "a stream has a number that is given");
    expect(count.retransmits >= -1, "no more is unknown than that");
    expect(std::isfinite(count.seconds) && count.seconds >= 0, "a time is finite and not negative");
    way.bytes_received = count.bytes;
    way.seconds_received = count.seconds;
    way.jitter_ms = count.jitter_seconds * 1e3;
  }
  expect(is_showable(text_of(result)), "a result may be shown");
  expect(parse_json(to_line(to_json(result)), "it").has_value(), "a result is JSON");
  const Json written = iperf3_report_json(*read);
  const auto again = iperf3_report_from_json(written);
  expect(again && to_line(iperf3_report_json(*again)) == to_line(written), "results come back from their own text");
}

// As a client hears a server, or a server a client: until the first thing that is wrong, or the end.
void hear(ByteView bytes, bool is_server) {
  std::array<int, 2> raw{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, raw.data()) != 0) return;
  Iperf3Line line(Fd(raw[0]), [] { return Status(); });
  {
    const Fd far(raw[1]);
    if (::send(far.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) != static_cast<ssize_t>(bytes.size())) return;
  }
  const std::size_t json_max = is_server ? iperf3_parameters_bytes_max : iperf3_server_results_bytes_max;
  if (is_server) {
    const auto cookie = line.read_cookie(Milliseconds(1000));
    if (!cookie) return expect_reason(cookie.error());
    expect(cookie->back() == 0, "a cookie ends");
    const auto parameters = line.read_json(json_max, Milliseconds(1000));
    if (!parameters) return expect_reason(parameters.error());
    read_parameters(*parameters);
  }
  for (;;) {
    const auto state = line.read_state(Milliseconds(1000));
    if (!state) return expect_reason(state.error());
    expect(state->has_value(), "an end is an end, and not silence");
    if (**state != Iperf3State::exchange_results) continue;
    const auto results = line.read_json(json_max, Milliseconds(1000));
    if (!results) return expect_reason(results.error());
    expect(results->is_object(), "results are an object");
    read_report(*results);
  }
}

void read_datagrams(Choices& choices, bool is_wide) {
  Iperf3Sequence sequence;
  std::uint64_t heard = 0;
  while (!choices.at_end()) {
    const auto now = Nanoseconds(choices.u32()) * 1000;
    const std::vector<Byte> raw = copy_of(choices.take(1 + choices.below(24)));
    const auto datagram = Iperf3Datagram::decode(raw, is_wide);
    expect(datagram.has_value() == (raw.size() >= Iperf3Datagram::bytes(is_wide)), "a head is read where one is");
    if (!datagram) continue;
    std::vector<Byte> again(raw.size());
    datagram->encode(again, is_wide);
    expect(std::equal(again.begin(), again.begin() + static_cast<std::ptrdiff_t>(Iperf3Datagram::bytes(is_wide)), raw.begin()),
           "a head comes back from its bytes");
    const std::uint64_t highest = sequence.highest();
    sequence.arrived(*datagram, now);
    ++heard;
    expect(sequence.highest() >= highest, "the highest number never falls");
    expect(std::isfinite(sequence.jitter_seconds()) && sequence.jitter_seconds() >= 0, "jitter is finite and not negative");
    expect(sequence.lost() >= -static_cast<std::int64_t>(heard), "no more is taken back than arrived");
  }
}

}  // namespace

void run(ByteView input) {
  Choices choices(input);
  switch (const std::size_t reader = choices.below(8)) {
    case 0: case 1: {
      const auto value = parse_json(as_text(choices.rest()), "the peer");
      if (!value) return expect_reason(value.error());
      return reader == 0 ? read_parameters(*value) : read_report(*value);
    }
    case 2: return read_parameters(bent(a_parameters_text(), choices));
    case 3: return read_report(bent(a_report_text(), choices));
    case 4: return hear(choices.rest(), true);
    case 5: return hear(choices.rest(), false);
    default: return read_datagrams(choices, reader == 6);
  }
}

}  // namespace lt::fuzz
