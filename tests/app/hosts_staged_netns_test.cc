// The whole walk of an owner, from docs/OPERATING.md: a staged sweep between two gateways beside their link, its verdict,
// and that verdict applied, confirmed, verified and taken back.
#include <iostream>

#include "tests/app/gateway_hosts.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;

namespace {

// What somebody left behind who had heard that small packets are safe, on a line that loses one packet in a hundred.
configs::NativeKnobs slow_knobs() {
  configs::NativeKnobs knobs;
  knobs.mtu = 1280;
  return knobs;
}
const std::string slow_arm = "native mtu=1280";
const std::string quick_arm = "native congestion_control=bbr";

class Owner {
 public:
  explicit Owner(Hosts& hosts) : hosts_(hosts) {}

  Json sweep() {
    const auto argv = hosts_.sweep_argv(journal(), {"--no-openvpn", "--incumbent", slow_arm, "--arm", quick_arm, "--goal", "throughput", "--within", "5%", "--budget",
                                                    "10m", "--seed", "7", "--seconds", "1", "--omit", "1", "--html", hosts_.folder.path() + "/report.html"});
    const auto ended = require(run_process(argv, {.deadline = 700s}));
    INFO(ended.out << ended.err);
    REQUIRE(ended.exit_code == 0);
    require(write_file(report(), ended.out, 0600));
    return require(parse_json(ended.out, "the report"));
  }
  ProcessOutput verify(const std::string& result) {
    return hosts_.run_at(lab::Host::offsite_gw, {program, "verify", result, "--json", "--config", hosts_.config_of(lab::Host::offsite_gw), "--run-dir", hosts_.folder.path()}, 400s);
  }
  [[nodiscard]] std::string journal() const { return hosts_.folder.path() + "/whole.jsonl"; }
  [[nodiscard]] std::string report() const { return hosts_.folder.path() + "/whole.json"; }

 private:
  Hosts& hosts_;
};

}  // namespace

TEST_CASE("a staged sweep between two gateways reaches its verdict, which is applied, confirmed, verified and taken back", "[app][hosts][staged][netns]") {
  if (!is_complete) {
    WARN("not run: it takes a quarter of an hour, and LINKTUNE_COMPLETE=1 runs it");
    return;
  }
  Hosts hosts({.profile = "fibre", .name = "staged", .knobs = slow_knobs()});
  require(hosts.sandbox.set_wan(lab::all_directions, {"rate=20mbit", "delay=20ms", "loss=1%"}));
  hosts.start_agents();
  const std::string office = read(hosts.files.office.config_path);
  const std::string before = hosts.settled();
  CHECK(hosts.status("office")["tunnel_mtu_bytes"] == 1280);

  Owner owner(hosts);
  const Json report = owner.sweep();
  INFO(report["decision"].dump(1));
  std::cout << report["decision"]["sentence"].get<std::string>() << std::endl;
  CHECK(report["decision"]["verdict"] == "better");
  CHECK(comes_true([&] { return hosts.is_as(before); }, 10s));
  CHECK(difference(before, hosts.present()) == "");

  // From the report as from the journal.
  const auto applied = hosts.applied(lab::Host::offsite_gw, "apply", {owner.report(), "--within", "120"});
  INFO(applied.out << applied.err << hosts.log("office-agent.log"));
  REQUIRE(applied.exit_code == 0);
  const auto confirmed = hosts.applied(lab::Host::offsite_gw, "confirm");
  INFO(confirmed.out << confirmed.err);
  REQUIRE(confirmed.exit_code == 0);
  CHECK(hosts.status("office")["tunnel_mtu_bytes"] == 1500);
  CHECK(hosts.status("offsite")["tunnel_mtu_bytes"] == 1500);

  for (const std::string& result : {owner.report(), owner.journal()}) {
    const auto verified = owner.verify(result);
    INFO(verified.out << verified.err);
    CHECK(verified.exit_code == 0);
    CHECK(require(parse_json(verified.out, "the verification"))["state"] == "holds");
    if (!verified.exit_code) std::cout << require(parse_json(verified.out, "the verification"))["sentence"].get<std::string>() << std::endl;
  }

  // Another line is told from the one that was measured.
  require(hosts.sandbox.set_wan(lab::all_directions, {"rate=1mbit"}));
  const auto changed = owner.verify(owner.report());
  INFO(changed.out << changed.err);
  CHECK(changed.exit_code == 1);
  CHECK(require(parse_json(changed.out, "the verification"))["state"] == "line_changed");
  require(hosts.sandbox.set_wan(lab::all_directions, {"rate=20mbit"}));

  const auto back = hosts.applied(lab::Host::offsite_gw, "rollback");
  CHECK(back.exit_code == 0);
  CHECK(comes_true([&] { return read(hosts.files.office.config_path) == office && hosts.state("office") == "up" && hosts.status("office")["tunnel_mtu_bytes"] == 1280; }, 40s));
  hosts.stop_links();
}
