// One block of a bench on this machine: a lab with the scene's line, and each row started in it from nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/bench_journal.h"
#include "app/iperf3.h"
#include "app/openvpn_pair.h"
#include "app/round_trips.h"
#include "app/scratch_folder.h"
#include "lab/sandbox.h"

namespace lt::app {

/// What this machine has of the programs to compare with. What it lacks is said in the rows that need it.
struct BenchPrograms {
  std::optional<OpenVpnKeys> openvpn_keys{};
  configs::OpenVpnVersion openvpn_version{};
  std::string openvpn_absence{};
  std::string wireguard{};  // the program's path
  std::string wireguard_absence{};

  /// @error io: keys could not be made
  [[nodiscard]] static Result<BenchPrograms> find();
};

/// Machine, kernel and versions, as a journal keeps them.
[[nodiscard]] Json bench_facts(const BenchPrograms& programs);

class BenchStage {
 public:
  /// @param lab_name  of the lab; no other of that name may stand
  [[nodiscard]] static Result<BenchStage> build(const std::string& lab_name, const BenchScene& scene, const BenchPrograms& programs);

  /// Starts the row, measures it, ends it. @error unsupported: the machine lacks its program; anything else: it failed
  [[nodiscard]] Result<BenchSample> measure(const BenchRow& row);

 private:
  BenchStage(const BenchScene& scene, const BenchPrograms& programs, lab::Sandbox sandbox, ScratchFolder folder)
      : scene_(scene), programs_(programs), sandbox_(std::move(sandbox)), folder_(std::move(folder)) {}
  [[nodiscard]] lab::Host near() const;
  [[nodiscard]] lab::Host far() const;
  [[nodiscard]] IpAddress address_of_far(RowCarrier carrier) const;
  [[nodiscard]] Status measure_tcp(const BenchRow& row, const IpAddress& to, BenchSample& sample);
  [[nodiscard]] Status measure_idle(const IpAddress& to, const EchoHost& echo, BenchSample& sample);
  [[nodiscard]] Status measure_packets(const IpAddress& to, BenchSample& sample);

  BenchScene scene_;
  const BenchPrograms& programs_;
  lab::Sandbox sandbox_;
  ScratchFolder folder_;
  std::optional<Iperf3Server> iperf3_{};
  unsigned starts_{0};
};

}  // namespace lt::app
