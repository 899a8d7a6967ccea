// Real iperf3 between two hosts of a lab: the witness that everybody knows.
#pragma once

#include "app/scratch_folder.h"
#include "base/process.h"
#include "base/result.h"
#include "base/units.h"
#include "lab/sandbox.h"

namespace lt::app {

struct Iperf3Result {
  BitsPerSecond goodput;        // received, without the omitted seconds
  std::uint64_t retransmits{0}; // of the inner sender
  Bytes received;
  BitsPerSecond goodput_back{};  // the other way, where both were asked for; not part of the above
};

struct Iperf3Options {
  unsigned seconds{4};
  unsigned omit_seconds{1};
  unsigned flows{1};    // each way
  bool both_ways{false};
  std::string congestion{"cubic"};  // always pinned: the system's default varies
};

/// A server inside one host, as long as this object lives.
class Iperf3Server {
 public:
  /// Listens when it returns. @error not_found: iperf3 is not installed · timed_out: it does not listen
  [[nodiscard]] static Result<Iperf3Server> start(const lab::Sandbox& sandbox, lab::Host host);

 private:
  Iperf3Server(ScratchFolder folder, Child child) : folder_(std::move(folder)), child_(std::move(child)) {}
  ScratchFolder folder_;  // holds what it prints
  Child child_;
};

/// One TCP test from `from` to the server at `to`. @error timed_out, io: iperf3's own words are in the sentence
[[nodiscard]] Result<Iperf3Result> run_iperf3(const lab::Sandbox& sandbox, lab::Host from, const IpAddress& to,
                                              const Iperf3Options& options);

/// What iperf3 -J printed. @error invalid: not a result, or iperf3's own error
[[nodiscard]] Result<Iperf3Result> parse_iperf3(const std::string& text);

}  // namespace lt::app
