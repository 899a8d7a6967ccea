// What other programs print: iperf3, openvpn, the kernel's /proc/stat; and the short texts that people and files hand
// us. Numbers come out finite and within their bounds, reasons may be shown, and what has one spelling comes back from it.
#include <cmath>

#include "app/iperf3.h"
#include "base/text.h"
#include "configs/knob.h"
#include "configs/link_config.h"
#include "configs/openvpn_writer.h"
#include "lab/wan_settings.h"
#include "tests/fuzz/fuzz.h"
#include "tuner/arm.h"
#include "tuner/probe.h"
#include "tuner/probe_host.h"

namespace lt::fuzz {

namespace {

void expect_reason(const Error& error) {
  expect(!error.what.empty() && is_showable(error.what), "the reason may be shown");
}

void read_iperf3(std::string_view text) {
  const auto result = app::parse_iperf3(std::string(text));
  if (!result) return expect_reason(result.error());
  expect(result->goodput.value > 0 && result->goodput.value < 1'000'000'000'000'000, "a goodput is one of this world");
  expect(result->received.value < 1'000'000'000'000'000'000, "what was received is of this world");
  expect(result->retransmits < 1'000'000'000'000'000'000, "no more segments are sent again than there are");
}

void read_openvpn_version(std::string_view text) {
  const auto version = configs::parse_openvpn_version(text);
  if (!version) return expect_reason(version.error());
  const auto again = configs::parse_openvpn_version("OpenVPN " + version->text() + " x86_64");
  expect(again && *again == *version, "a version comes back from its text");
}

void read_proc_stat(std::string_view text) {
  const auto reading = tuner::parse_proc_stat(std::string(text), 100);
  if (!reading) return expect_reason(reading.error());
  for (const double seconds : {reading->busy_seconds, reading->softirq_seconds, reading->steal_seconds}) {
    expect(std::isfinite(seconds) && seconds >= 0, "a time is finite and not negative");
  }
}

void read_arm(std::string_view text) {
  const auto arm = tuner::parse_arm(text);
  if (!arm) return expect_reason(arm.error());
  expect(tuner::validate(*arm).has_value(), "an arm that is read is valid");
  const std::string canonical = tuner::canonical_text(*arm);
  const auto again = tuner::parse_arm(canonical);
  expect(again && tuner::canonical_text(*again) == canonical, "an arm comes back from its canonical text");
}

void read_knob(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return;
  const auto knob = configs::find_knob(text.substr(0, equals));
  if (!knob) return expect_reason(knob.error());
  const auto value = configs::parse_value(*knob, text.substr(equals + 1));
  if (!value) return expect_reason(value.error());
  const auto again = configs::parse_value(*knob, configs::value_text(*knob, *value));
  expect(again && *again == *value, "a value comes back from its spelling");
}

void read_wan_settings(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string_view word : split(text, ' ')) words.emplace_back(word);
  const auto settings = lab::WanSettings::parse(words, {});
  if (!settings) return expect_reason(settings.error());
  for (const double share : {settings->loss, settings->burst_share, settings->corrupt}) {
    expect(share >= 0 && share <= 1, "a share is between 0 and 1");
  }
  expect(settings->delay <= lab::delay_max && settings->jitter <= settings->delay, "a delay is within its bounds");
  std::vector<std::string> spelt;
  const std::string spelling = settings->text();
  for (const std::string_view word : split(spelling, ' ')) spelt.emplace_back(word);
  const auto again = lab::WanSettings::parse(spelt, {});
  expect(again.has_value(), "settings come back from their own words");
  expect(again->text() == spelling, "settings are spelt in one way");
}

void read_addresses(std::string_view text) {
  if (const auto address = IpAddress::parse(text)) {
    expect(IpAddress::parse(address->text()) == address, "an address comes back from its text");
  }
  if (const auto prefix = Prefix::parse(text)) {
    expect(prefix->length <= prefix->address.bit_length(), "a prefix is no longer than its address");
    expect(Prefix::parse(prefix->text()) == prefix, "a prefix comes back from its text");
    expect(prefix->network().contains(prefix->address), "a network holds its address");
  }
  if (const auto endpoint = Endpoint::parse(text)) {
    expect(Endpoint::parse(endpoint->text()) == endpoint, "an endpoint comes back from its text");
  }
  if (const auto control = tuner::ControlAddress::parse(text)) {
    const auto again = tuner::ControlAddress::parse(control->text());
    expect(again && again->text() == control->text(), "a control address comes back from its text");
  }
}

void read_keys(std::string_view text) {
  if (const auto key = configs::parse_public_key(text)) {
    const auto again = configs::parse_public_key(configs::public_key_text(*key));
    expect(again && *again == *key, "a public key comes back from its text");
  } else {
    expect_reason(key.error());
  }
  if (const auto token = tuner::ProbeToken::parse(text)) {
    expect(token->hex.size() >= 16 && token->hex.size() <= 128, "a token has 16 to 128 digits");
  }
  if (const auto bytes = from_base64(text)) expect(to_base64(*bytes) == text, "base64 has one spelling");
  if (const auto bytes = configs::parse_bytes(text)) {
    const auto again = configs::parse_bytes(configs::bytes_text(*bytes));
    expect(again && again->value == bytes->value, "a size comes back from its text");
  }
}

}  // namespace

void run(ByteView input) {
  Choices choices(input);
  const std::size_t reader = choices.below(8);
  const std::string_view text = as_text(choices.rest());
  switch (reader) {
    case 0: return read_iperf3(text);
    case 1: return read_openvpn_version(text);
    case 2: return read_proc_stat(text);
    case 3: return read_arm(text);
    case 4: return read_knob(text);
    case 5: return read_wan_settings(text);
    case 6: return read_addresses(text);
    default: return read_keys(text);
  }
}

}  // namespace lt::fuzz
