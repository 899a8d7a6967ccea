// What another site may ask of the sweep's agent, and what it may answer: whatever comes in is within its limits, comes
// back from its own text, and puts nothing into a config of OpenVPN but one certificate.
#include "app/sweep_request.h"
#include "base/ip.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

namespace lt::fuzz {

using namespace app;

namespace {

void judge(const TrialKeysShown& keys) {
  expect(keys.certificate.find_first_of("<>\"'#;\\\t") == std::string::npos, "a certificate ends no block of a config");
  expect(keys.fingerprint.size() == 95 && is_showable(keys.fingerprint) && keys.fingerprint.find('\n') == std::string::npos, "a fingerprint is one word");
}

void judge(const SweepRequest& request) {
  const std::string text = to_line(to_json(request));
  const auto again = parse_sweep_request(text);
  expect(again && to_line(to_json(*again)) == text, "a request comes back from its own text");
  if (const auto* open = std::get_if<OpenRequest>(&request)) {
    judge(open->keys);
    expect(open->site.find_first_of("./ ") == std::string::npos, "a site's name is no path");
    expect(IpAddress::parse(open->trial_address).has_value(), "an address is one");
    expect(open->planned >= Seconds(0) && open->planned <= planned_max, "a plan is bounded");
  }
  if (const auto* apply = std::get_if<ApplyRequest>(&request)) {
    expect(apply->patience >= patience_min && apply->patience <= patience_max, "a deadline is bounded");
  }
  if (const auto* start = std::get_if<StartRequest>(&request)) {
    expect(parse_checked_arm(tuner::canonical_text(start->arm)).has_value(), "an arm is checked");
  }
}

}  // namespace

void run(ByteView bytes) {
  const std::string_view text = as_text(bytes);
  const auto request = parse_sweep_request(text);
  if (request) judge(*request);
  if (!request) expect(!request.error().what.empty() && is_showable(request.error().what), "the reason may be shown");
  const auto answer = read_answer(text);
  if (!answer) expect(is_showable(answer.error().what), "the other site's reason may be shown");
}

}  // namespace lt::fuzz
