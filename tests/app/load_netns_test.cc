// Under load what goes in comes out: bytes made of a seed, hashed at both ends, through two daemons as users run them, for
// every combination of what may carry them; and while their lanes are cut.
//
// A row is one combination. The standing run takes so few that every two settings meet in one of them; LINKTUNE_COMPLETE=1
// takes every row and 10 GB in all (LINKTUNE_SLICE=3/12: the third of twelve parts of them). In each row four flows run at once: TCP, both ways at once, and UDP in bursts that the
// kernel keeps whole as long as it can (UDP_SEGMENT), each over IPv4 and over IPv6.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "base/format.h"
#include "tests/app/link_sites.h"
#include "tests/hostile/completeness.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;

namespace {

struct Factor {
  std::string name;
  std::vector<std::string> levels;
};

// "office.native.io": of that site only; without a site: of both.
const std::vector<Factor>& factors() {
  static const std::vector<Factor> all{
      {"office.native.offload", {"on", "off"}},
      {"offsite.native.offload", {"on", "off"}},
      {"office.native.aead", {"automatic", "openssl"}},
      {"offsite.native.aead", {"automatic", "openssl"}},
      {"native.io", {"automatic", "epoll"}},
      {"native.lanes", {"1", "4", "15"}},  // and the express lane: sixteen at most
      {"native.mtu", {"1280", "1500", "9000", "65000"}},
  };
  return all;
}

using Row = std::vector<std::size_t>;  // a level of each factor

std::vector<Row> all_rows() {
  std::vector<Row> rows{{}};
  for (const Factor& factor : factors()) {
    std::vector<Row> longer;
    for (const Row& row : rows) {
      for (std::size_t level = 0; level < factor.levels.size(); ++level) {
        longer.push_back(row);
        longer.back().push_back(level);
      }
    }
    rows = std::move(longer);
  }
  return rows;
}

using Pair = std::array<std::size_t, 4>;  // factor and level, of both

std::set<Pair> pairs_of(const Row& row) {
  std::set<Pair> pairs;
  for (std::size_t one = 0; one < row.size(); ++one) {
    for (std::size_t other = one + 1; other < row.size(); ++other) pairs.insert({one, row[one], other, row[other]});
  }
  return pairs;
}

// The row with the most new pairs, again and again: close to the fewest rows, and always the same ones.
std::vector<Row> covering_rows() {
  const std::vector<Row> rows = all_rows();
  std::set<Pair> missing;
  for (const Row& row : rows) missing.merge(pairs_of(row));
  std::vector<Row> chosen;
  while (!missing.empty()) {
    const auto gain = [&](const Row& row) {
      std::size_t count = 0;
      for (const Pair& pair : pairs_of(row)) count += missing.count(pair);
      return count;
    };
    chosen.push_back(*std::max_element(rows.begin(), rows.end(), [&](const Row& a, const Row& b) { return gain(a) < gain(b); }));
    for (const Pair& pair : pairs_of(chosen.back())) missing.erase(pair);
  }
  return chosen;
}

std::vector<std::string> settings_of(const Row& row, const std::string& site) {
  std::vector<std::string> settings;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const Factor& factor = factors()[i];
    const auto knob = factor.name.find("native.");
    if (knob != 0 && factor.name.substr(0, knob - 1) != site) continue;
    settings.insert(settings.end(), {"--set", factor.name.substr(knob) + "=" + factor.levels[row[i]]});
  }
  return settings;
}

std::string text_of(const Row& row) {
  std::string text;
  for (std::size_t i = 0; i < row.size(); ++i) text += factors()[i].name + "=" + factors()[i].levels[row[i]] + " ";
  return text;
}

unsigned mtu_of(const Row& row) { return static_cast<unsigned>(std::stoul(factors().back().levels[row.back()])); }

constexpr unsigned port = 5301;

// Two LANs with a server each, and flows between them.
class LoadedSites : public Sites {
 public:
  LoadedSites() : Sites("raw") {
    for (const lab::Host host : {lab::Host::office_lan, lab::Host::offsite_lan}) {
      servers_.push_back(require(Child::start({.argv = sandbox.exec(host, {BYTE_FLOW, "serve", std::to_string(port)}),
                                               .output_path = folder.path() + "/server-" + std::string(name_of(host))})));
      REQUIRE(comes_true([&] { return log("server-" + std::string(name_of(host))) == "ready\n"; }, 5s));
    }
  }

  // Hosts that send what the tunnel takes whole, and have forgotten what an earlier one took.
  void set_lan_mtu(unsigned mtu) const {
    for (const lab::Host host : lab::all_hosts) {
      require(run_checked(sandbox.exec(host, {"ip", "link", "set", std::string(lab::lan_device), "mtu", std::to_string(mtu)})));
      for (const char* family : {"-4", "-6"}) require(run_checked(sandbox.exec(host, {"ip", family, "route", "flush", "cache"})));
    }
  }

  void start_both_with(const std::vector<std::string>& for_office, const std::vector<std::string>& for_offsite) {
    office = start(lab::Host::office_gw, files.office.config_path, "office.log", for_office);
    offsite = start(lab::Host::offsite_gw, files.offsite.config_path, "offsite.log", for_offsite);
    wait_until_up();
  }

  struct Flow {
    Child child;
    std::string output;
  };
  [[nodiscard]] Flow start_flow(bool from_office, const std::string& kind, const std::string& target, std::uint64_t bytes, unsigned mtu) {
    const std::string output = "flow-" + std::to_string(++flows_);
    Argv argv{BYTE_FLOW, kind, target, std::to_string(port), std::to_string(seed + flows_), std::to_string(bytes)};
    if (kind == "udp") argv.push_back(std::to_string(mtu));
    const lab::Host host = from_office ? lab::Host::office_lan : lab::Host::offsite_lan;
    return {require(Child::start({.argv = sandbox.exec(host, argv), .output_path = folder.path() + "/" + output})), output};
  }
  // One of each kind over each family, two from either site.
  [[nodiscard]] std::vector<Flow> start_flows(std::uint64_t bytes, unsigned mtu) {
    std::vector<Flow> flows;
    flows.push_back(start_flow(true, "tcp", offsite_v4, bytes / 8 * 3 / 2, mtu));  // they carry as much back
    flows.push_back(start_flow(false, "tcp", "fd00:10::2", bytes / 8 * 3 / 2, mtu));
    flows.push_back(start_flow(true, "udp", offsite_v6, bytes / 8, mtu));
    flows.push_back(start_flow(false, "udp", "192.168.10.2", bytes / 8, mtu));
    return flows;
  }
  // @return bytes that came out as they went in
  std::uint64_t finish(std::vector<Flow>& flows, std::chrono::seconds patience) const {
    std::uint64_t bytes = 0;
    for (Flow& flow : flows) {
      const auto ended = flow.child.wait(patience);
      INFO(flow.output << ": " << log(flow.output));
      REQUIRE(ended);
      CHECK(*ended == 0);
      const auto result = parse_json(log(flow.output), flow.output);
      REQUIRE(result);
      CHECK((*result)["equal"] == true);
      CHECK((*result)["doubled"] == 0);
      bytes += result->value("bytes", std::uint64_t{0});
    }
    return bytes;
  }

 private:
  std::vector<Child> servers_;
  unsigned flows_{0};
};

// What a link may lose by its own fault.
std::string faults_in(const Json& status) {
  std::string text;
  for (const char* direction : {"outbound", "inbound"}) {
    for (const auto& [reason, count] : status[direction]["drops"].items()) {
      if (reason.rfind("device_", 0) == 0 || reason.rfind("bad_", 0) == 0) text += std::string(direction) + " " + reason + ": " + count.dump() + " ";
    }
  }
  return text;
}

void run_row(LoadedSites& sites, const Row& row, std::uint64_t bytes, std::uint64_t& carried) {
  INFO(text_of(row) << "seed " << seed);
  const unsigned mtu = mtu_of(row);
  sites.set_lan_mtu(std::max(mtu, 1500U));
  sites.start_both_with(settings_of(row, "office"), settings_of(row, "offsite"));
  REQUIRE(comes_true([&] { return sites.ping(offsite_v6); }, 5s));  // addresses of a new device are tentative at first
  auto flows = sites.start_flows(bytes, mtu);
  carried += sites.finish(flows, 60s);
  for (const char* site : {"office", "offsite"}) {
    const Json status = sites.status(site);
    CHECK(faults_in(status) == "");
    CHECK(status["session_ends"] == Json::object());
    CHECK(status["tunnel_mtu_bytes"] == mtu);
  }
  CHECK(sites.office.end(5s) == 0);
  CHECK(sites.offsite.end(5s) == 0);
}

// All of them, or the part that LINKTUNE_SLICE names.
std::vector<Row> rows_of_complete_run() {
  std::vector<Row> rows = all_rows();
  const char* const slice = std::getenv("LINKTUNE_SLICE");
  unsigned part = 0;
  unsigned parts = 0;
  if (slice == nullptr) return rows;
  REQUIRE(std::sscanf(slice, "%u/%u", &part, &parts) == 2);
  REQUIRE(part >= 1);
  REQUIRE(part <= parts);
  const auto at = [&](std::size_t edge) { return rows.begin() + static_cast<std::ptrdiff_t>(rows.size() * edge / parts); };
  return {at(part - 1), at(part)};
}

}  // namespace

TEST_CASE("the rows of the standing run let every two settings meet", "[app][load]") {
  std::set<Pair> all;
  std::set<Pair> covered;
  for (const Row& row : all_rows()) all.merge(pairs_of(row));
  for (const Row& row : covering_rows()) covered.merge(pairs_of(row));
  CHECK(covered == all);
  CHECK(covering_rows().size() < 20);
  CHECK(all_rows().size() == 384);
}

TEST_CASE("what goes in comes out, by hash, whatever carries it", "[app][load][netns]") {
  const bool is_complete = lt::testing::is_complete_run();
  const std::vector<Row> rows = is_complete ? rows_of_complete_run() : covering_rows();
  const std::uint64_t bytes = is_complete ? 10'000'000'000 / all_rows().size() + 1'000'000 : 12'000'000;
  LoadedSites sites;
  std::uint64_t carried = 0;
  const auto began = std::chrono::steady_clock::now();
  for (const Row& row : rows) run_row(sites, row, bytes, carried);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  WARN(format("{} of {} rows, {:.2f} GB, {:.1f} s", rows.size(), all_rows().size(), static_cast<double>(carried) / 1e9, seconds));
  CHECK(carried + 100 * rows.size() >= bytes * rows.size());
}

TEST_CASE("what goes in comes out, by hash, while its lanes are cut and taken over", "[app][load][netns]") {
  LoadedSites sites;
  sites.start_both_with({"--set", "native.lanes=4"}, {"--set", "native.lanes=4"});
  REQUIRE(comes_true([&] { return sites.ping(offsite_v6); }, 5s));
  const auto has_all_lanes = [&] {
    return sites.status("office")["lanes"].size() == 5 && sites.status("offsite")["lanes"].size() == 5;
  };
  REQUIRE(comes_true(has_all_lanes, 5s));
  auto flows = sites.start_flows(2'400'000'000, 1500);
  const auto is_busy = [&] { return std::any_of(flows.begin(), flows.end(), [](auto& flow) { return flow.child.is_running(); }); };
  unsigned cuts = 0;
  for (std::size_t lane = 0; cuts < 10 && is_busy(); lane = (lane + 1) % 5) {
    const Json peer = sites.status("office")["lanes"][lane]["peer"];
    const std::string text = peer.get<std::string>();
    const auto before = sites.status("office")["joins"].get<std::uint64_t>();
    const Argv cut{"ss", "-K", "-t", "dst", text.substr(0, text.rfind(':')), "dport", "=", text.substr(text.rfind(':') + 1)};
    require(run_checked(sites.sandbox.exec(lab::Host::office_gw, cut)));
    REQUIRE(comes_true([&] { return sites.status("office")["joins"].get<std::uint64_t>() > before && has_all_lanes(); }, 10s));
    ++cuts;
  }
  CHECK(cuts >= 3);
  sites.finish(flows, 100s);
  for (const char* site : {"office", "offsite"}) CHECK(faults_in(sites.status(site)) == "");
  CHECK(sites.status("office")["sessions"] == 1);
}
