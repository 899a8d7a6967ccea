// JSON that the probe's other end, or an old journal, has written: requests, results and journals that are read lie
// within their limits and come back from their own text.
#include <cmath>

#include "base/text.h"
#include "tests/fuzz/bent.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/probe_samples.h"
#include "tuner/fields.h"
#include "tuner/journal.h"
#include "tuner/probe.h"

namespace lt::fuzz {

using namespace tuner;

namespace {

void expect_reason(const Error& error) {
  expect(!error.what.empty() && is_showable(error.what), "the reason may be shown");
}

void read_request(const Json& value) {
  const auto request = probe_request_from_json(value);
  if (!request) return expect_reason(request.error());
  expect(validate(*request).has_value(), "a request that is read is within the limits");
  expect(request->flows >= 1 && request->flows <= probe_flows_max, "flows are bounded");
  expect(request->duration <= probe_duration_max && request->omit <= probe_omit_max && request->idle <= probe_idle_max,
         "times are bounded");
  const Json written = to_json(*request);
  const auto again = probe_request_from_json(written);
  expect(again && to_line(to_json(*again)) == to_line(written), "a request comes back from its own text");
}

void read_result(const Json& value) {
  const auto result = probe_result_from_json(value);
  if (!result) return expect_reason(result.error());
  expect(std::isfinite(result->cpu_seconds_per_gbit()), "a figure is finite");
  for (const EchoResult* echo : {&result->idle, &result->loaded}) {
    expect(echo->loss_up() >= 0 && echo->loss_up() <= 1, "a loss is between 0 and 1");
    expect(echo->loss_down() >= 0 && echo->loss_down() <= 1, "a loss is between 0 and 1");
    expect(std::isfinite(echo->latency.per_minute()) && echo->latency.per_minute() >= 0, "a responsiveness is finite");
  }
  for (const auto* flow : {&result->up, &result->down}) {
    if (!*flow) continue;
    static_cast<void>((*flow)->goodput());
    expect((*flow)->longest_stall() >= Milliseconds(0), "a stall is not negative");
    expect((*flow)->flows <= probe_flows_max && (*flow)->flows_lost <= probe_flows_max, "flows are bounded");
    expect((*flow)->measured >= Nanoseconds(0), "a time is not negative");
  }
  expect(result->client_cpu.cpus <= 1U << 16 && result->server_cpu.cpus <= 1U << 16, "a machine has a bounded number of CPUs");
  const Json written = to_json(*result);
  const auto again = probe_result_from_json(written);
  expect(again && to_line(to_json(*again)) == to_line(written), "a result comes back from its own text");
}

void read_journal_text(std::string_view text) {
  const auto journal = parse_journal(text, "sweep.jsonl");
  if (!journal) return expect_reason(journal.error());
  expect(journal->bytes <= text.size(), "a journal ends inside its file");
  expect(journal->header.blocks <= sweep_blocks_max && journal->header.arms.size() <= arms_max, "a sweep is bounded");
  for (const Unit& unit : journal->units) {
    expect(unit.start_ns >= 0 && unit.stop_ns >= 0, "a time is not negative");
    expect(unit.arm < journal->header.arms.size(), "a unit is of an arm of its sweep");
    expect(unit.block < journal->blocks.size(), "a unit is of a block that was finished");
    const auto& units = journal->blocks[unit.block].units;
    expect(unit.position < units.size() && units[unit.position].arm == unit.arm, "a unit has its place in its block");
    expect((unit.status == UnitStatus::measured) == unit.sample.has_value(), "a measured unit has a sample");
  }
}

}  // namespace

void run(ByteView input) {
  Choices choices(input);
  const std::size_t reader = choices.below(5);
  if (reader == 3) return read_result(bent(to_json(a_result()), choices));
  if (reader == 4) return read_request(bent(to_json(a_result().request), choices));
  const std::string_view text = as_text(choices.rest());
  if (reader == 2) return read_journal_text(text);
  const auto value = parse_json(text, "the peer");
  if (!value) return expect_reason(value.error());
  if (reader == 0) return read_request(*value);
  read_result(*value);
}

}  // namespace lt::fuzz
