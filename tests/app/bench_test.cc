// The bench's pure parts: plan, journal, report, verdicts. What runs in a lab is in bench_lab_test.cc.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <set>

#include "app/bench_html.h"
#include "app/bench_report.h"
#include "app/carrier_memory.h"
#include "app/cmd_bench.h"
#include "app/iperf3.h"
#include "app/packet_rate.h"
#include "app/round_trips.h"
#include "app/text_table.h"
#include "lab/wan_settings.h"

using namespace lt;
using namespace lt::app;

namespace {

BenchRow a_row(std::string_view label, RowCarrier carrier) { return {.label = std::string(label), .carrier = carrier}; }

BenchUnit a_unit(std::uint64_t block, std::size_t rows, const BenchScene& scene, const BenchRow& row, double mbps) {
  BenchUnit unit{.block = block, .rows = rows, .round = block, .scene = scene, .row = row, .sample = BenchSample{}};
  unit.sample->mbps = mbps;
  unit.sample->cpu_s_per_gb = 1.5;
  unit.unix_s = 1;
  return unit;
}

std::string line(const Json& value) { return to_line(value) + "\n"; }

// Rounds of one scene, bare and ours.
std::string a_journal(std::size_t rounds, double ours_mbps = 300, double bare_mbps = 1000, const BenchScene& scene = {.path = BenchPath::gateways}) {
  std::string text = line(bench_header({{"linktune", "1"}}));
  for (std::size_t round = 0; round < rounds; ++round) {
    text += line(to_json(a_unit(round, 2, scene, a_row(row_linktune, RowCarrier::linktune), ours_mbps)));
    text += line(to_json(a_unit(round, 2, scene, a_row(row_bare, RowCarrier::bare), bare_mbps)));
  }
  return text;
}

BenchJournalContents contents_of(const std::string& text) {
  auto contents = parse_bench_journal(text, "j");
  INFO((contents ? "" : contents.error().text()));
  REQUIRE(contents);
  return *contents;
}

const BenchVerdict& verdict_of(const BenchReport& report, const std::string& id) {
  for (const BenchVerdict& verdict : report.verdicts) {
    if (verdict.id == id) return verdict;
  }
  FAIL("no verdict " << id);
  return report.verdicts.front();
}

}  // namespace

TEST_CASE("every suite has scenes, and each scene rows of different labels", "[app][bench]") {
  for (const BenchSuite& suite : bench_suites()) {
    CAPTURE(suite.name);
    CHECK(suite.rounds > 0);
    REQUIRE_FALSE(suite.blocks.empty());
    std::set<std::string> scenes;
    for (const BenchBlock& block : suite.blocks) {
      CHECK(scenes.insert(block.scene.text()).second);
      std::set<std::string> labels;
      for (const BenchRow& row : block.rows) CHECK(labels.insert(row.label).second);
      CHECK(labels.size() >= 2);
    }
  }
}

TEST_CASE("a line's words are words that the emulator takes", "[app][bench]") {
  CHECK(BenchLine{}.words().empty());
  const BenchLine wan{.rate_mbit = 500, .round_trip_ms = 80, .loss_percent = 0.1};
  const auto words = wan.words();
  const auto settings = lab::WanSettings::parse(words, {});
  REQUIRE(settings);
  CHECK(settings->rate.value == 500'000'000);
  CHECK(settings->delay == std::chrono::milliseconds(40));
  CHECK(settings->loss == Approx(0.001));
  CHECK(settings->queue.value == 5'000'000);
}

TEST_CASE("a misspelt suite, and a choice that leaves nothing, are refused with what there is", "[app][bench]") {
  const auto misspelt = find_bench_suite("hedline");
  REQUIRE_FALSE(misspelt);
  CHECK(misspelt.error().what == "no suite hedline: did you mean headline?");
  CHECK(find_bench_suite("xyz").error().what.find("small-packets") != std::string::npos);

  auto suite = *find_bench_suite("headline");
  REQUIRE(narrow(suite, {"gateway"}, {"bare", "linktune"}));
  REQUIRE(suite.blocks.size() == 1);
  CHECK(suite.blocks.front().rows.size() == 2);
  const auto nothing = narrow(suite, {"satellite"}, {});
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code == Errc::invalid);
}

TEST_CASE("a unit of a bench is read back as it was written", "[app][bench][journal]") {
  BenchScene scene{.path = BenchPath::gateways, .line = {500, 20, 0.1}, .flows = 4, .both_ways = true, .inner = "bbr", .round_trips = true, .seconds = 7, .omit_seconds = 2};
  BenchRow row{.label = "x", .carrier = RowCarrier::openvpn, .settings = {{"proto", "tcp"}}, .outer = "bbr", .inner = "cubic"};
  BenchUnit unit = a_unit(3, 2, scene, row, 123.5);
  unit.sample->ping_loaded = RoundTrips{100, 99, 1.5, 2.5};
  const Json once = to_json(unit);
  const auto back = bench_unit_from_json(once);
  REQUIRE(back);
  CHECK(to_json(*back) == once);
  CHECK(back->scene.text() == "gateway to gateway, 500 Mbit/s 20 ms 0.1 % loss, 4 flows, both ways, bbr inside, round trips");

  unit.sample.reset();
  unit.failure = "it fell over";
  unit.is_absent = GENERATE(false, true);
  const auto failed = bench_unit_from_json(to_json(unit));
  REQUIRE(failed);
  CHECK(failed->failure == "it fell over");
  CHECK(failed->is_absent == unit.is_absent);
}

TEST_CASE("a journal that is cut anywhere is read up to its last whole line", "[app][bench][journal]") {
  const std::string whole = a_journal(2);
  const std::size_t first = whole.find('\n') + 1;
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    const auto contents = parse_bench_journal(whole.substr(0, length), "j");
    if (length < first) {
      REQUIRE_FALSE(contents);
      continue;
    }
    REQUIRE(contents);
    CHECK(contents->bytes <= length);
    CHECK(contents->units.size() % 2 == 0);
  }
}

TEST_CASE("units of a block that was cut off do not count, and the next block gets a number of its own", "[app][bench][journal]") {
  std::string text = a_journal(1);
  text += line(to_json(a_unit(1, 2, {.path = BenchPath::gateways}, a_row(row_bare, RowCarrier::bare), 5)));
  const auto contents = contents_of(text);
  CHECK(contents.units.size() == 2);
  CHECK(contents.units_cut == 1);
  CHECK(contents.blocks == 2);
  CHECK(contents.holds({.path = BenchPath::gateways}, 0));
  CHECK_FALSE(contents.holds({.path = BenchPath::gateways}, 1));
  CHECK_FALSE(contents.holds({.path = BenchPath::lans}, 0));
}

TEST_CASE("lines that no bench writes are refused, with file and line", "[app][bench][journal]") {
  const std::string good = a_journal(1);
  const auto refused = [](const std::string& text, const char* what) {
    const auto contents = parse_bench_journal(text, "file");
    CAPTURE(text);
    REQUIRE_FALSE(contents);
    CHECK(contents.error().what.find(what) != std::string::npos);
  };
  refused("", "no whole first line");
  refused("{}\n", "file:1");
  refused("nonsense\n", "file:1");
  refused(line({{"kind", "bench"}, {"schema", "linktune.journal/1"}, {"facts", Json::object()}}), "this linktune reads linktune.bench-journal.1");
  refused(good + "{\"kind\":\"unit\"}\n", "file:4");
  refused(good + "[]\n", "file:4");
  const BenchScene scene{.path = BenchPath::gateways};
  refused(good + line(to_json(a_unit(0, 2, scene, a_row("third", RowCarrier::bare), 5))), "more units than rows");
  refused(line(bench_header(Json::object())) + line(to_json(a_unit(0, 2, scene, a_row("a", RowCarrier::bare), 5))) +
              line(to_json(a_unit(0, 2, scene, a_row("a", RowCarrier::bare), 5))), "in its block already");
  refused(line(bench_header(Json::object())) + line(to_json(a_unit(1, 2, scene, a_row("a", RowCarrier::bare), 5))) +
              line(to_json(a_unit(0, 2, scene, a_row("b", RowCarrier::bare), 5))), "does not go on");
  for (const char* const field : {"block", "rows", "round", "scene", "row", "unix_s"}) {
    Json unit = to_json(a_unit(1, 1, scene, a_row("a", RowCarrier::bare), 5));
    unit.erase(field);
    refused(good + line(unit), field);
  }
  Json negative = to_json(a_unit(1, 1, scene, a_row("a", RowCarrier::bare), -5));
  refused(good + line(negative), "mbps");
}

TEST_CASE("a bench goes on only with the programs it was begun with", "[app][bench][journal]") {
  const Json facts{{"kernel", "Linux 6"}, {"linktune", "1"}};
  CHECK(check_same_bench(facts, facts));
  const auto other = check_same_bench(facts, {{"kernel", "Linux 7"}, {"linktune", "1"}});
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Errc::rejected);
  CHECK(other.error().what.find("kernel Linux 6, and it is Linux 7 now") != std::string::npos);
  CHECK_FALSE(check_same_bench(Json::object(), facts));
}

TEST_CASE("ratios are paired by block, also over several journals", "[app][bench][report]") {
  // The machine is half as fast on the second day: the ratio stays.
  const auto report = make_bench_report({contents_of(a_journal(3, 300, 1000)), contents_of(a_journal(3, 150, 500))});
  REQUIRE(report.scenes.size() == 1);
  const auto& scene = report.scenes.front();
  const auto ratio = ratio_of(*scene.find(row_linktune), *scene.find(row_bare), &BenchSample::mbps);
  REQUIRE(ratio);
  CHECK(ratio->blocks == 6);
  CHECK(ratio->median == Approx(0.3));
  CHECK(verdict_of(report, "S4").standing == Standing::reached);
  CHECK(verdict_of(report, "S4").measured == "bare 0.30x (6: 0.30 to 0.30)");
}

TEST_CASE("a figure just below its target is not reached, and one that was not measured is neither", "[app][bench][report]") {
  const auto report = make_bench_report({contents_of(a_journal(3, 299, 1000))});
  CHECK(verdict_of(report, "S4").standing == Standing::missed);
  for (const std::string id : {"S1", "S2", "S3", "S5", "S6", "S7", "S8", "S9", "S10", "S11"}) CHECK(verdict_of(report, id).standing == Standing::unmeasured);
}

TEST_CASE("a spread is judged from twenty starts on", "[app][bench][report]") {
  const BenchScene lans{};
  CHECK(verdict_of(make_bench_report({contents_of(a_journal(19, 300, 1000, lans))}), "S8").standing == Standing::unmeasured);
  CHECK(verdict_of(make_bench_report({contents_of(a_journal(20, 300, 1000, lans))}), "S8").standing == Standing::reached);
  std::string wide = line(bench_header(Json::object()));
  for (std::uint64_t block = 0; block < 20; ++block) wide += line(to_json(a_unit(block, 1, lans, a_row(row_linktune, RowCarrier::linktune), block < 10 ? 300 : 330)));
  CHECK(verdict_of(make_bench_report({contents_of(wide)}), "S8").standing == Standing::missed);
  CHECK(verdict_of(make_bench_report({contents_of(a_journal(20, 300, 1000, lans)), contents_of(wide)}), "S8").standing == Standing::missed);
}

TEST_CASE("another hour's starts are no part of a spread", "[app][bench][report]") {
  const BenchScene lans{};
  const auto two_hours = make_bench_report({contents_of(a_journal(20, 300, 1000, lans)), contents_of(a_journal(3, 200, 500, lans))});
  CHECK(verdict_of(two_hours, "S8").standing == Standing::reached);
  const auto halves = make_bench_report({contents_of(a_journal(10, 300, 1000, lans)), contents_of(a_journal(10, 300, 1000, lans))});
  CHECK(verdict_of(halves, "S8").standing == Standing::unmeasured);
}

TEST_CASE("latency under load is judged against the idle median, start by start", "[app][bench][report]") {
  const BenchScene scene{.line = {500, 20, 0}, .round_trips = true};
  BenchUnit unit = a_unit(0, 1, scene, a_row(row_linktune, RowCarrier::linktune), 480);
  unit.sample->ping_idle = RoundTrips{100, 100, 20'000, 21'000};
  const bool late = GENERATE(false, true);
  unit.sample->ping_loaded = RoundTrips{100, 100, 21'000, late ? 25'100.0 : 24'900.0};
  const auto report = make_bench_report({contents_of(line(bench_header(Json::object())) + line(to_json(unit)))});
  CHECK(verdict_of(report, "S7").standing == (late ? Standing::missed : Standing::reached));
}

TEST_CASE("goodput beside round trips is another scene than goodput alone", "[app][bench][report]") {
  const BenchScene alone{.line = {500, 20, 0}};
  BenchScene watched = alone;
  watched.round_trips = true;
  CHECK(alone.text() != watched.text());
  const auto report = make_bench_report({contents_of(a_journal(3, 500, 500, watched)), contents_of(a_journal(3, 400, 500, alone))});
  CHECK(report.scenes.size() == 2);
  CHECK(verdict_of(report, "S5").measured == "bare 0.80x (3: 0.80 to 0.80)");
  CHECK_FALSE(contents_of(a_journal(1, 500, 500, watched)).holds(alone, 0));
}

TEST_CASE("memory is judged by the largest start of all scenes", "[app][bench][report]") {
  const double last = GENERATE(63.0, 65.0);
  std::string text = line(bench_header(Json::object()));
  std::uint64_t block = 0;
  for (const double mib : {40.0, last, 41.0}) {
    BenchUnit unit = a_unit(block, 1, {.flows = 16, .both_ways = block > 0}, a_row(row_linktune_lanes, RowCarrier::linktune), 5);
    unit.sample->resident_mib = mib;
    text += line(to_json(unit));
    ++block;
  }
  const auto verdict = verdict_of(make_bench_report({contents_of(text)}), "S11");
  CHECK(verdict.standing == (last > 64 ? Standing::missed : Standing::reached));
  CHECK(verdict.measured.starts_with("peak of 3 starts " + std::to_string(static_cast<int>(last))));
}

TEST_CASE("the lossy lines must all be measured and all be reached", "[app][bench][report]") {
  std::string text = line(bench_header(Json::object()));
  std::uint64_t block = 0;
  const double last_mbps = GENERATE(400.0, 300.0);
  const auto lines = static_cast<std::size_t>(GENERATE(3, 4));
  std::size_t written = 0;
  for (const unsigned round_trip : {20U, 80U}) {
    for (const double loss : {0.1, 1.0}) {
      if (written++ == lines) continue;
      const BenchScene scene{.line = {500, round_trip, loss}};
      text += line(to_json(a_unit(block, 4, scene, a_row(row_linktune_bbr, RowCarrier::linktune), written == lines ? last_mbps : 400)));
      text += line(to_json(a_unit(block, 4, scene, a_row(row_bare_bbr, RowCarrier::bare), 410)));
      text += line(to_json(a_unit(block, 4, scene, a_row(row_openvpn_udp, RowCarrier::openvpn), 20)));
      text += line(to_json(a_unit(block++, 4, scene, a_row(row_wireguard, RowCarrier::wireguard), 20)));
    }
  }
  const Standing expected = last_mbps < 400 ? Standing::missed : lines == 4 ? Standing::reached : Standing::unmeasured;
  CHECK(verdict_of(make_bench_report({contents_of(text)}), "S6").standing == expected);
}

TEST_CASE("failures, absences and cut blocks are said in every form of the report", "[app][bench][report]") {
  BenchUnit failed = a_unit(0, 2, {}, a_row("<b>row</b>", RowCarrier::openvpn), 0);
  failed.sample.reset();
  failed.failure = "fell <i>over</i>";
  BenchUnit absent = a_unit(0, 2, {}, a_row(row_wireguard, RowCarrier::wireguard), 0);
  absent.sample.reset();
  absent.is_absent = true;
  absent.failure = "WIREGUARD_GO names none";
  std::string text = line(bench_header({{"build", "Debug"}})) + line(to_json(failed)) + line(to_json(absent));
  text += line(to_json(a_unit(1, 2, {}, a_row(row_linktune, RowCarrier::linktune), 5)));
  const auto report = make_bench_report({contents_of(text)});
  for (const std::string& said : {text_of(report), markdown_of(report), html_of(report), to_line(json_of(report))}) {
    CHECK(said.find("WIREGUARD_GO names none") != std::string::npos);
    CHECK(said.find("failed 1 of 1 times") != std::string::npos);
    CHECK(said.find("built for debugging") != std::string::npos);
    CHECK(said.find("cut off") != std::string::npos);
  }
  CHECK(html_of(report).find("<i>over") == std::string::npos);
  CHECK(html_of(report).find("<b>row") == std::string::npos);
  CHECK(json_of(report)["schema"] == std::string(bench_schema));
}

TEST_CASE("a machine that was busy before its starts is said to be", "[app][bench][report]") {
  BenchUnit unit = a_unit(0, 1, {}, a_row(row_linktune, RowCarrier::linktune), 5);
  unit.sample->busy_before = GENERATE(0.04, 0.06);
  const auto report = make_bench_report({contents_of(line(bench_header(Json::object())) + line(to_json(unit)))});
  CHECK((text_of(report).find("before 1 of 1 starts") != std::string::npos) == (*unit.sample->busy_before > 0.05));
}

TEST_CASE("the same journals give the same bytes", "[app][bench][report]") {
  const auto once = make_bench_report({contents_of(a_journal(4))});
  const auto again = make_bench_report({contents_of(a_journal(4))});
  CHECK(text_of(once) == text_of(again));
  CHECK(markdown_of(once).find("8 starts, 1970-01-01.\n") != std::string::npos);
  CHECK(html_of(once) == html_of(again));
}

TEST_CASE("a table is aligned for a terminal and marked up for a document", "[app][bench]") {
  const TextTable table{.header = {"", "Mbit/s"}, .rows = {{"bare", "10"}, {"linktune", "3"}}};
  CHECK(table.text() == "          Mbit/s\nbare          10\nlinktune       3\n");
  CHECK(table.markdown() == "|  | Mbit/s |\n| --- | ---: |\n| bare | 10 |\n| linktune | 3 |\n");
}

TEST_CASE("the search for a rate finds what a path carries, within its precision", "[app][bench][packets]") {
  const double capacity = GENERATE(12'000.0, 100'000.0, 777'777.0);
  unsigned steps = 0;
  const auto found = search_rate([&](double rate) -> Result<RateStep> {
    ++steps;
    return RateStep{rate, std::min(rate, capacity)};
  });
  REQUIRE(found);
  CHECK(found->sustained <= capacity * 1.011);
  CHECK(found->sustained >= capacity * 0.94);
  CHECK(found->best == Approx(capacity));
  CHECK(steps < 40);
}

TEST_CASE("one bad moment does not end the search for a rate, a path that carries nothing does", "[app][bench][packets]") {
  unsigned calls = 0;
  const auto found = search_rate([&](double rate) -> Result<RateStep> { return RateStep{rate, calls++ == 2 ? 0 : std::min(rate, 200'000.0)}; });
  REQUIRE(found);
  CHECK(found->sustained > 180'000);
  const auto dead = search_rate([](double rate) -> Result<RateStep> { return RateStep{rate, 0}; });
  REQUIRE(dead);
  CHECK(dead->sustained == 0);
  CHECK_FALSE(search_rate([](double) -> Result<RateStep> { return fail(Errc::io, "gone"); }));
}

TEST_CASE("what ping prints is read, doubled and lost packets told apart", "[app][bench]") {
  const std::string said =
      "PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.\n"
      "64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=10.0 ms\n"
      "64 bytes from 10.0.0.2: icmp_seq=2 ttl=64 time=30.0 ms\n"
      "64 bytes from 10.0.0.2: icmp_seq=2 ttl=64 time=99.0 ms (DUP!)\n"
      "64 bytes from 10.0.0.2: icmp_seq=4 ttl=64 time=20.0 ms\n"
      "\n--- 10.0.0.2 ping statistics ---\n"
      "4 packets transmitted, 3 received, +1 duplicates, 25% packet loss, time 60ms\n";
  const auto trips = parse_ping(said);
  REQUIRE(trips);
  CHECK(trips->sent == 4);
  CHECK(trips->returned == 3);
  CHECK(trips->us_p50 == Approx(20'000));
  for (const char* const wrong : {"", "garbage", "x packets transmitted", "1 packets transmitted\na time=1 ms\nb time=1 ms\n"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_ping(wrong));
  }
}

TEST_CASE("resident memory is read from what the kernel says of a process", "[app][bench]") {
  CHECK(*parse_resident_mib("Name:\tlinktune\nVmHWM:\t   65536 kB\n") == Approx(64));
  for (const char* const wrong : {"", "VmHWM:\n", "VmHWM: x kB\n", "VmHWM: 12 pages\n"}) CHECK_FALSE(parse_resident_mib(wrong));
}

TEST_CASE("a result of iperf3 both ways holds both", "[app][bench]") {
  const std::string text = R"({"end":{"sum_received":{"bits_per_second":1000,"bytes":10},"sum_sent":{"retransmits":2},
    "sum_received_bidir_reverse":{"bits_per_second":500,"bytes":5}}})";
  const auto both = parse_iperf3(text);
  REQUIRE(both);
  CHECK(both->goodput.value == 1000);
  CHECK(both->goodput_back.value == 500);
  CHECK_FALSE(parse_iperf3(R"({"end":{"sum_received":{"bits_per_second":1000,"bytes":10},"sum_received_bidir_reverse":{"bits_per_second":-1}}})"));
}

TEST_CASE("reporting takes journals that are there, and documents with marks", "[app][bench]") {
  const std::string folder = LINKTUNE_BINARY_DIR;
  const std::string journal = folder + "/bench_test.jsonl";
  const std::string document = folder + "/bench_test.md";
  REQUIRE(write_file(journal, a_journal(3), 0600));
  REQUIRE(write_file(document, "before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nbehind\n", 0600));
  REQUIRE(run_bench({.report = {journal}, .into = document}, {}));
  const std::string text = *read_file(document, 1 << 20);
  CHECK(text.starts_with("before\n<!-- bench: begin -->\n\n| "));
  CHECK(text.ends_with("<!-- bench: end -->\nbehind\n"));
  CHECK(text.find("old") == std::string::npos);
  CHECK(text.find("0.30x") != std::string::npos);

  REQUIRE(write_file(document, "no marks\n", 0600));
  const auto unmarked = run_bench({.report = {journal}, .into = document}, {});
  REQUIRE_FALSE(unmarked);
  CHECK(unmarked.error().code == Errc::invalid);
  CHECK(*read_file(document, 1 << 20) == "no marks\n");
  CHECK_FALSE(run_bench({.report = {folder + "/absent.jsonl"}}, {}));
  CHECK(run_bench({.journal = "a", .resume = "b"}, {}).error().code == Errc::invalid);
  CHECK(run_bench({.suite = "none"}, {}).error().code == Errc::invalid);
}
