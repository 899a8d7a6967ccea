#include "configs/mirror_config.h"

#include <catch2/catch.hpp>

#include "base/fd.h"
#include "base/text.h"
#include "configs/toml_reader.h"

namespace lt::configs {

namespace {

// The tests replace one line of this text, and say which line the finding must name.
constexpr std::string_view good = R"([mirror]
agent_port = 5197
session_hold = "10min"
window = "64MiB"
read = ["tank"]
scratch = "tank/drill"
yield_delay = "5ms"

[[mirror.job]]
name = "data"
source = "tank/data"
target = "peer:backup/office"
schedule = "hourly"
limits = ["Mon..Fri 08:00-18:00 20Mbit/s", "22:00-06:00 unlimited", "otherwise 100Mbit/s"]
finish_by = "07:00"
retry_wait = "10s"

[[mirror.job]]
name = "mail"
source = "tank/mail"
target = "peer:backup/mail"

[[mirror.receive]]
dataset = "backup/branch"
append_only = false

[[mirror.scrub]]
pool = "tank"
schedule = "Sun 03:00"

[mirror.verify]
schedule = "Sun 02:00"
budget = "20GiB"

[mirror.drill]
schedule = "*-*-01 04:00"
whole = true
stale_after = "60d"
)";

std::string with_line(std::size_t line, std::string_view replacement) {
  std::string text;
  std::size_t at = 0;
  for (const std::string_view row : split(good, '\n')) {
    text += ++at == line ? replacement : row;
    text += '\n';
  }
  return text;
}

}  // namespace

TEST_CASE("a good mirror config is read whole", "[configs][mirror]") {
  const auto config = parse_mirror_config(good, "/etc/linktune/office.toml");
  if (!config) FAIL(config.error().text());
  CHECK(config->agent_port == 5197);
  CHECK(config->session_hold == Seconds(600));
  CHECK(config->window == 64_MiB);
  CHECK(config->read == std::vector<std::string>{"tank"});
  CHECK(config->scratch == "tank/drill");
  REQUIRE(config->jobs.size() == 2);
  const MirrorJob& job = config->jobs[0];
  CHECK(job.source == DatasetPlace{false, "tank/data"});
  CHECK(job.target == DatasetPlace{true, "backup/office"});
  CHECK(job.recursive);
  REQUIRE(job.schedule);
  CHECK(job.schedule->text() == "hourly");
  REQUIRE(job.limits.rows.size() == 2);
  CHECK(job.limits.rows[0] ==
        LimitRow{0x1f, 480, 1080, RateLimit{BitsPerSecond{20'000'000}}});
  CHECK(job.limits.otherwise.rate == BitsPerSecond{100'000'000});
  CHECK(job.finish_by == 420);
  CHECK(config->receive == std::vector<MirrorReceive>{{"backup/branch", false}});
  REQUIRE(config->scrubs.size() == 1);
  CHECK(config->scrubs[0].pool.text() == "tank");
  REQUIRE(config->verify);
  CHECK(config->verify->schedule.text() == "Sun 02:00");
  CHECK(config->verify->budget == Bytes{std::uint64_t{20} << 30});
  REQUIRE(config->drill);
  CHECK(config->drill->whole);
  CHECK(config->drill->files == 20);
  CHECK(config->drill->stale_after == Seconds(60 * 86400));
  CHECK(config->find_job("mail") == &config->jobs[1]);
  CHECK(config->find_job("none") == nullptr);
}

TEST_CASE("every compressor of Syncoid 2.1 to 2.3 may be named", "[configs][mirror]") {
  for (const std::string name : {"none", "gzip", "pigz-fast", "pigz-slow", "zstd-fast", "zstd-slow", "zstdmt-fast", "zstdmt-slow", "lz4", "xz", "lzo"}) {
    const auto config = parse_mirror_config(with_line(15, "compress = \"" + name + "\""), "f");
    if (!config) FAIL(config.error().text());
    CHECK(config->jobs[0].compress == name);
  }
}

TEST_CASE("what is wrong in a mirror config is named with its line and its cure",
          "[configs][mirror]") {
  struct Bad {
    std::size_t line;
    const char* replacement;
    const char* word;
  };
  const Bad bad = GENERATE(
      Bad{2, "agent_port = 0", "1 to 65535"}, Bad{2, "agent_port = \"5197\"", "without quotes"},
      Bad{2, "agent_prt = 5197", "did you mean `agent_port`"},
      Bad{2, "agent_address = \"tunnel\"", "no address"},
      Bad{3, "session_hold = \"soon\"", "no length of time"},
      Bad{3, "session_hold = \"0s\"", "too short"}, Bad{4, "window = \"1B\"", "out of its range"},
      Bad{4, "window = true", "takes a size"}, Bad{5, "read = \"tank\"", "list of texts"},
      Bad{5, "read = [\"tank@now\"]", "no dataset"}, Bad{5, "read = [5]", "list of texts"},
      Bad{6, "scratch = \"-rf\"", "no dataset"}, Bad{7, "yield_delay = \"5\"", "milliseconds"},
      Bad{7, "on_done = [\"mail\"]", "no whole path"},
      Bad{7, "on_done = \"/bin/mail\"", "list of texts"},
      Bad{7, "syncoid = \"./syncoid\"", "whole path"},
      Bad{10, "name = \"a b\"", "no name"}, Bad{10, "name = \"\"", "no name"},
      Bad{11, "source = \"tank/../etc\"", "no dataset"},
      Bad{12, "target = \"tank/data/copy\"", "within each other"},
      Bad{12, "target = \"peer:\"", "no dataset"}, Bad{13, "schedule = \"often\"", "weekday"},
      Bad{13, "schedule = 60", "write it in quotes"},
      Bad{14, "limits = [\"08:00-18:00\"]", "no row of limits"},
      Bad{14, "limits = [\"08:00-08:00 1Mbit/s\"]", "no time at all"},
      Bad{14, "limits = [\"08:00-18:00 20\"]", "no rate"},
      Bad{14, "limits = [\"otherwise 1bit/s\"]", "out of range"},
      Bad{14, "limits = [\"24:00-18:00 pause\"]", "no row of limits"},
      Bad{14, "limits = [\"Mon..Fry 08:00-18:00 pause\"]", "no weekday"},
      Bad{15, "finish_by = \"24:00\"", "no time of day"}, Bad{15, "retries = -1", "0 to 1000"},
      Bad{15, "recursive = \"yes\"", "true or false"}, Bad{15, "compress = \"zip\"", "Syncoid's"},
      Bad{15, "send_options = \"-w\"", "no options of zfs send"},
      Bad{15, "identifier = \"a b\"", "snapshot's name"},
      Bad{15, "exclude = [\"tank/other\"]", "below the source"},
      Bad{15, "priority = 5000", "-1000 to 1000"}, Bad{15, "hurry = true", "no key `hurry`"},
      Bad{16, "retry_wait_max = \"1s\"", "shorter than"},
      Bad{19, "name = \"data\"", "is taken"}, Bad{21, "target = \"peer:backup/office/x\"", "reach"},
      Bad{24, "dataset = \"\"", "no dataset"}, Bad{25, "append_only = 1", "true or false"},
      Bad{28, "pool = \"tank/data\"", "write its pool"},
      Bad{28, "pool = \"peer:backup\"", "the other site's config"},
      Bad{29, "schedule = \"Sun 3\"", "no place"});
  INFO(bad.replacement);
  const std::string text = with_line(bad.line, bad.replacement);
  const auto config = parse_mirror_config(text, "office.toml");
  REQUIRE_FALSE(config);
  CHECK(config.error().code == Errc::invalid);
  INFO(config.error().what);
  CHECK_THAT(config.error().what,
             Catch::StartsWith("office.toml:" + std::to_string(bad.line) + ":"));
  CHECK_THAT(config.error().what, Catch::Contains(bad.word));
}

TEST_CASE("what belongs together is compared", "[configs][mirror]") {
  const auto both = parse_mirror_config(with_line(11, "source = \"peer:tank/data\""), "f");
  REQUIRE_FALSE(both);
  CHECK_THAT(both.error().what,
             Catch::StartsWith("f:12:10: ") && Catch::Contains("both at the peer"));
  const auto list = parse_mirror_config("[mirror]\nreceive = 5\n", "f");
  REQUIRE_FALSE(list);
  CHECK_THAT(list.error().what,
             Catch::StartsWith("f:2:") && Catch::Contains("[[mirror.receive]]"));
}

TEST_CASE("a section that lacks what it needs says what to write", "[configs][mirror]") {
  const auto config =
      parse_mirror_config("[[mirror.job]]\nname = \"a\"\n[[mirror.scrub]]\n", "jobs.toml");
  REQUIRE_FALSE(config);
  CHECK_THAT(config.error().what, Catch::Contains("jobs.toml:1:") &&
                                      Catch::Contains("no `source`") &&
                                      Catch::Contains("no `target`") &&
                                      Catch::Contains("no `pool`") &&
                                      Catch::Contains("no `schedule`"));
}

TEST_CASE("a schedule of proofs that cannot be is told with its cure", "[configs][mirror]") {
  const auto faults = [](const std::string& text) {
    const auto config = parse_mirror_config(text, "f");
    return config ? std::string() : config.error().what;
  };
  CHECK_THAT(faults("[mirror.verify]\nbudget = \"1GiB\"\n"), Catch::Contains("[mirror.verify] has no `schedule`"));
  CHECK_THAT(faults("[mirror.verify]\nschedule = \"Sun 02:00\"\nbudget = \"1kB\"\n"), Catch::StartsWith("f:3:") && Catch::Contains("`budget`"));
  CHECK_THAT(faults("[mirror.verify]\nevery = \"daily\"\n"), Catch::Contains("no key `every` below [mirror.verify]"));
  CHECK_THAT(faults("[[mirror.verify]]\nschedule = \"daily\"\n"), Catch::Contains("write [mirror.verify]"));
  CHECK_THAT(faults("[mirror.drill]\nschedule = \"x:y\"\n"), Catch::StartsWith("f:2:"));
  CHECK_THAT(faults("[mirror.drill]\nschedule = \"daily\"\nfiles = 0\n"), Catch::Contains("from 1 to 10000"));
  CHECK_THAT(faults("[mirror.drill]\nschedule = \"daily\"\nwhole = true\n"), Catch::Contains("scratch = \"tank/drill\""));
  CHECK(faults("[mirror]\nscratch = \"tank/drill\"\n[mirror.drill]\nschedule = \"daily\"\nwhole = true\n").empty());
}

TEST_CASE("all faults of a mirror config come at once, first line first", "[configs][mirror]") {
  std::string text = with_line(29, "schedule = \"x:y\"");
  text.replace(text.find("agent_port = 5197"), 17, "agent_port = 99999");
  const auto config = parse_mirror_config(text, "office.toml");
  REQUIRE_FALSE(config);
  const auto lines = split(config.error().what, '\n');
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("office.toml:2:"));
  CHECK(lines[1].starts_with("office.toml:29:"));
}

TEST_CASE("the link's reader and the mirror's share a file and leave each other's rows alone",
          "[configs][mirror]") {
  const auto link = read_file(std::string(LINKTUNE_SOURCE_DIR) + "/configs/examples/office.toml",
                              1 << 20);
  REQUIRE(link);
  const std::string both = *link + "\n" + std::string(good);
  const auto alone = parse_link_config(*link, "/etc/office.toml");
  const auto config = parse_link_config(both, "/etc/office.toml");
  if (!config) FAIL(config.error().what);
  CHECK(*config == *alone);
  const auto mirror = parse_mirror_config(both, "/etc/office.toml");
  if (!mirror) FAIL(mirror.error().what);
  CHECK(*mirror == *parse_mirror_config(good, "/etc/office.toml"));
  // A fault keeps its line in the whole file, and stops only its own reader.
  const std::string broken = *link + "\n[mirror]\nagent_port = 0\n[native]\n";
  CHECK_FALSE(parse_mirror_config(broken, "f"));
  CHECK(parse_mirror_config(*link, "f")->jobs.empty());
  const std::string with_fault = *link + "\n[mirror]\nagent_port = 0\n";
  CHECK(parse_link_config(with_fault, "f"));
  const auto lines = split(with_fault, '\n').size();
  CHECK_THAT(parse_mirror_config(with_fault, "f").error().what,
             Catch::StartsWith("f:" + std::to_string(lines - 1) + ":"));
}

TEST_CASE("the mirror's example is a good config", "[configs][mirror]") {
  const auto config =
      load_mirror_config(std::string(LINKTUNE_SOURCE_DIR) + "/configs/examples/mirror.toml");
  if (!config) FAIL(config.error().what);
  CHECK(config->jobs.size() == 2);
  CHECK(config->scrubs.size() == 1);
  CHECK(config->hooks_of(config->jobs[0]).on_stale.size() == 2);
}

TEST_CASE("the first row that holds the time is the limit, over midnight too",
          "[configs][mirror]") {
  LimitTable table;
  REQUIRE(add_limit_row(table, "Fri 22:00-06:00 pause"));
  REQUIRE(add_limit_row(table, "Mon..Fri 08:00-18:00 20Mbit/s"));
  REQUIRE(add_limit_row(table, "otherwise 100Mbit/s"));
  const auto at = [&](int weekday, int hour, int minute) {
    return rate_limit_text(table.at({.weekday = weekday, .hour = hour, .minute = minute}));
  };
  CHECK(at(0, 7, 59) == "100Mbit/s");
  CHECK(at(0, 8, 0) == "20Mbit/s");
  CHECK(at(0, 17, 59) == "20Mbit/s");
  CHECK(at(0, 18, 0) == "100Mbit/s");
  CHECK(at(4, 22, 0) == "pause");
  CHECK(at(5, 5, 59) == "pause");  // Saturday morning belongs to Friday's row
  CHECK(at(5, 6, 0) == "100Mbit/s");
  CHECK(at(4, 5, 0) == "100Mbit/s");
}

TEST_CASE("a rate is read in bits and bytes", "[configs][mirror]") {
  CHECK(parse_rate_limit("20Mbit/s")->rate == BitsPerSecond{20'000'000});
  CHECK(parse_rate_limit("120MB/s")->rate == BitsPerSecond{960'000'000});
  CHECK(parse_rate_limit("1.5Gbit/s")->rate == BitsPerSecond{1'500'000'000});
  CHECK(parse_rate_limit("2.5 MB/s")->rate == BitsPerSecond{20'000'000});
  CHECK_FALSE(parse_rate_limit("unlimited")->rate);
  CHECK(parse_rate_limit("pause")->is_pause());
  for (const char* bad : {"", "20", "20Mbit", "-1Mbit/s", "1.Mbit/s", "1.0005Mbit/s", "0Mbit/s",
                          "99999999999999999999bit/s", "2000Gbit/s", "Mbit/s"}) {
    INFO(bad);
    CHECK_FALSE(parse_rate_limit(bad));
  }
  for (const char* text : {"unlimited", "pause", "20Mbit/s", "1Gbit/s", "1500kbit/s"})
    CHECK(rate_limit_text(*parse_rate_limit(text)) == text);
}

TEST_CASE("the peer's address follows from a network of two", "[configs][mirror]") {
  const auto peer = [](const char* own) {
    const auto found = mirror_peer_address({}, {*Prefix::parse(own)});
    return found ? found->text() : "none";
  };
  CHECK(peer("10.77.0.1/30") == "10.77.0.2");
  CHECK(peer("10.77.0.2/30") == "10.77.0.1");
  CHECK(peer("10.77.0.0/31") == "10.77.0.1");
  CHECK(peer("fd00::1/126") == "fd00::2");
  CHECK(peer("10.77.0.1/24") == "none");
  CHECK(peer("10.77.0.1/32") == "none");
  CHECK(mirror_peer_address({.peer_address = IpAddress::parse("10.9.9.9")}, {})->text() ==
        "10.9.9.9");
}

TEST_CASE("names that ZFS or a program could take for something else are no datasets",
          "[configs][mirror]") {
  for (const char* name : {"tank", "tank/data", "tank/My Files", "t/a.b_c-d:e"})
    CHECK(is_dataset_name(name));
  for (const char* name : {"", "/tank", "tank/", "tank//a", "tank@a", "tank#a", "-tank", "tank/-a",
                           "tank/../a", "1tank", "tank/a\n", "tank/ä", "tank/a;b", " tank"}) {
    INFO(name);
    CHECK_FALSE(is_dataset_name(name));
  }
  CHECK_FALSE(is_dataset_name("t/" + std::string(254, 'a')));
  CHECK(is_within("tank/a/b", "tank/a"));
  CHECK(is_within("tank/a", "tank/a"));
  CHECK_FALSE(is_within("tank/ab", "tank/a"));
}

}  // namespace lt::configs
