// A corpus of wrong configs, made by rule: every key and section of a good one, wrong in every way its kind knows. Each
// is refused with the line it stands in and a cure; none is half applied, since a refused config gives no values at all.
#include <catch2/catch.hpp>
#include <regex>

#include "base/text.h"
#include "configs/toml_reader.h"

using namespace lt;
using namespace lt::configs;

namespace {

struct Row {
  std::string section;  // empty: above the first
  std::string key;
  std::string value;  // as it is written
};

const std::vector<Row>& good() {
  static const std::vector<Row> rows{
      {"", "site", "\"office\""},
      {"identity", "key", "\"office.key\""},
      {"identity", "peer_public_key", "\"ltpub-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\""},
      {"identity", "psk", "\"office.psk\""},
      {"link", "listen", "\"0.0.0.0:5198\""},
      {"link", "device", "\"lt0\""},
      {"tunnel", "addresses", "[\"10.77.0.1/30\"]"},
      {"networks", "local", "[\"10.1.0.0/16\"]"},
      {"networks", "peer", "[\"10.2.0.0/16\"]"},
      {"native", "mtu", "1500"},
      {"native", "offload", "true"},
      {"native", "congestion_control", "\"cubic\""},
      {"native", "notsent_lowat", "\"256KiB\""},
      {"native", "tun_queue", "128"},
      {"native", "record_size", "\"256KiB\""},
      {"native", "io", "\"epoll\""},
      {"sweep", "allow", "true"},
      {"sweep", "agent_port", "5297"},
      {"sweep", "trial_port", "5298"},
      {"sweep", "device", "\"lttrial\""},
      {"sweep", "address", "\"10.78.0.1/24\""},
      {"sweep", "peer_address", "\"10.77.0.2\""}};
  return rows;
}

struct Bad {
  std::string what;   // for people
  std::string text;
  std::size_t line;   // that a finding must name
};

// Writes the rows with `at` replaced by `lines`. @return the text, and the line where they begin
std::pair<std::string, std::size_t> written(std::size_t at, const std::string& lines) {
  std::string text;
  std::string section;
  std::size_t line = 1;
  std::size_t found = 0;
  for (std::size_t i = 0; i < good().size(); ++i) {
    const Row& row = good()[i];
    if (row.section != section) {
      section = row.section;
      text += "[" + section + "]\n";
      ++line;
    }
    if (i == at) found = line;
    const std::string wanted = i == at ? lines : row.key + " = " + row.value;
    text += wanted + "\n";
    line += 1 + static_cast<std::size_t>(std::count(wanted.begin(), wanted.end(), '\n'));
  }
  return {text, found};
}

class Corpus {
 public:
  Corpus() {
    for (std::size_t i = 0; i < good().size(); ++i) {
      add_misspelt(i);
      add_twice(i);
      add_misplaced(i);
      add_wrong_types(i);
      add_broken_syntax(i);
    }
    add_endpoints();
    add_prefixes();
    add_numbers();
    add_texts();
    add_bytes();
  }
  [[nodiscard]] const std::vector<Bad>& all() const { return all_; }

 private:
  void add(const std::string& what, std::size_t at, const std::string& lines, std::size_t offset = 0) {
    const auto [text, line] = written(at, lines);
    all_.push_back({what + ": " + lines, text, line + offset});
  }
  static std::size_t index_of(std::string_view key) {
    for (std::size_t i = 0; i < good().size(); ++i) {
      if (good()[i].key == key) return i;
    }
    return good().size();
  }
  static std::string line_of(const Row& row) { return row.key + " = " + row.value; }

  void add_misspelt(std::size_t i) {
    const Row& row = good()[i];
    add("misspelt", i, row.key + "x = " + row.value);
    add("in capitals", i, std::string(1, static_cast<char>(row.key[0] - 32)) + row.key.substr(1) + " = " + row.value);
  }
  void add_twice(std::size_t i) { add("twice", i, line_of(good()[i]) + "\n" + line_of(good()[i]), 1); }
  void add_misplaced(std::size_t i) {
    const std::size_t elsewhere = good()[i].section == "networks" ? index_of("device") : index_of("peer");
    if (good()[i].section.empty()) return add("misplaced", elsewhere, line_of(good()[elsewhere]) + "\n" + line_of(good()[i]), 1);
    add("misplaced", elsewhere, line_of(good()[elsewhere]) + "\n" + line_of(good()[i]), 1);
  }
  void add_wrong_types(std::size_t i) {
    const Row& row = good()[i];
    for (const std::string value : {"2026-11-23", "1.5", "[[]]", "nan", "-1"}) add("wrong type", i, row.key + " = " + value);
  }
  void add_broken_syntax(std::size_t i) {
    const Row& row = good()[i];
    for (const std::string& line : {row.key + " =", row.key + " " + row.value, row.key + " = " + row.value + " x", "= " + row.value,
                                    row.key + " = {a = 1}", row.key + "\t= " + row.value}) {
      add("syntax", i, line);
    }
  }
  void add_endpoints() {
    for (const std::string value : {"", "0.0.0.0", ":5198", "0.0.0.0:", "0.0.0.0:0", "0.0.0.0:65536", "0.0.0.0:-1", "0.0.0.0:http",
                                    "0.0.0.0:5198:1", "::5198x", "[::1:5198", "256.0.0.1:5198", "office.example:5198", "0.0.0.0:05198x",
                                    "0.0.0.0 :5198", "10.2.0.1:5198"}) {
      add("endpoint", index_of("listen"), "listen = \"" + value + "\"");
    }
    for (const std::string value : {"", "host", "host:0", "host:99999", "ho st:1", "10.2.0.1:5198", "0.0.0.0:5198", "[::]:5198", "224.0.0.1:5198"}) {
      add("endpoint", index_of("listen"), "connect = \"" + value + "\"");
    }
    add("both", index_of("listen"), "listen = \"0.0.0.0:5198\"\nconnect = \"192.0.2.1:5198\"", 1);
  }
  void add_prefixes() {
    for (const std::string list : {"local", "peer", "addresses"}) {
      for (const std::string value : {"", "10.3.0.0", "10.3.0.0/", "10.3.0.0/33", "10.3.0.0/-1", "10.3.0/16", "300.3.0.0/16", "/16",
                                      "0.0.0.0/0", "::/0", "127.0.0.0/8", "224.0.0.0/4", "fe80::/10", "fd00::/129", "10.3.0.0/16x"}) {
        add("prefix", index_of(list), list + " = [\"" + value + "\"]");
      }
    }
    for (const std::string list : {"local", "peer"}) {
      add("host bits", index_of(list), list + " = [\"10.3.0.1/16\"]");
      add("twice the same", index_of(list), list + " = [\"10.3.0.0/16\", \"10.3.0.0/16\"]");
      add("overlap", index_of(list), list + " = [\"10.77.0.0/16\"]");
    }
    add("overlap", index_of("peer"), "peer = [\"10.1.128.0/17\"]");
    add("no room", index_of("addresses"), "addresses = [\"10.77.0.1/32\"]");
    add("the network itself", index_of("addresses"), "addresses = [\"10.77.0.0/30\"]");
    add("the broadcast", index_of("addresses"), "addresses = [\"10.77.0.3/30\"]");
    add("empty", index_of("addresses"), "addresses = []");
  }
  void add_numbers() {
    for (const std::string value : {"0", "575", "65536", "1e3", "99999999999999999999", "\"1500\"", "true"}) add("mtu", index_of("mtu"), "mtu = " + value);
    for (const std::string value : {"0", "15", "100001", "\"many\""}) add("tun_queue", index_of("tun_queue"), "tun_queue = " + value);
    for (const std::string value : {"0", "1024", "\"64MiB1\"", "\"65MiB\"", "\"256 elephants\"", "\"-1KiB\"", "\"\""}) {
      add("notsent_lowat", index_of("notsent_lowat"), "notsent_lowat = " + value);
      add("record_size", index_of("record_size"), "record_size = " + value);
    }
  }
  void add_texts() {
    for (const std::string value : {"", "a b", "../x", "-x", "x/y", "x.y", "a23456789012345678901234567890123", "\\u00fc"}) add("site", index_of("site"), "site = \"" + value + "\"");
    for (const std::string value : {"", "a/b", "a b", "a2345678901234567", ".", "..", "lo", "a:b", "%d"}) add("device", index_of("device"), "device = \"" + value + "\"");
    for (const std::string value : {"", "auto", "EPOLL", "aio"}) add("io", index_of("io"), "io = \"" + value + "\"");
    for (const std::string value : {"", "cubic; reboot", "a2345678901234567890"}) add("congestion_control", index_of("congestion_control"), "congestion_control = \"" + value + "\"");
    for (const std::string value : {"", "ltpub-", "BwcH", "ltpub-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw==", "ltpub-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}) {
      add("peer_public_key", index_of("peer_public_key"), "peer_public_key = \"" + value + "\"");
    }
    add("the same file", index_of("psk"), "psk = \"office.key\"");
    add("a path of two lines", index_of("key"), "key = \"a\\nb\"");
  }
  void add_bytes() {
    add("byte order mark", 0, "\xef\xbb\xbfsite = \"office\"");
    add("zero byte", 0, std::string("site = \"of\0fice\"", 16));
    add("not UTF-8", 0, "site = \"\xff\"");
    add("several lines", 0, "site = \"\"\"office\"\"\"");
    add("an unknown section", 0, "site = \"office\"\n[openvpm]", 1);
    add("no section", 0, "site = \"office\"\n[]", 1);
    add("a list of sections", 0, "site = \"office\"\n[[link]]", 1);
    add("a section that is not closed", 0, "site = \"office\"\n[link", 1);
  }

  std::vector<Bad> all_;
};

// Each finding: FILE:LINE:COLUMN: what is wrong, then what to write instead.
std::vector<std::string> findings_of(const std::string& text) {
  std::vector<std::string> findings;
  for (const std::string_view line : split(text, '\n')) findings.emplace_back(line);
  return findings;
}

}  // namespace

TEST_CASE("two hundred wrong configs are each refused with file, line and cure", "[configs][toml][D-7]") {
  const auto [text, ignored] = written(0, "site = \"office\"");
  const auto read = parse_link_config(text, "office.toml");
  if (!read) FAIL(read.error().text());  // what the wrong ones are made from is right

  const Corpus corpus;
  CHECK(corpus.all().size() >= 200);
  const std::regex shape("office\\.toml:([0-9]+):[0-9]+: .+");
  std::size_t refused = 0;
  for (const Bad& bad : corpus.all()) {
    INFO(printable(bad.what, 200) << "\n" << printable(bad.text, 2000));
    const auto config = parse_link_config(bad.text, "office.toml");
    CHECK_FALSE(config);
    if (config) continue;
    INFO(config.error().what);
    CHECK(config.error().code == Errc::invalid);
    bool is_line_named = false;
    for (const std::string& finding : findings_of(config.error().what)) {
      std::smatch match;
      REQUIRE(std::regex_match(finding, match, shape));
      is_line_named |= std::stoul(match[1]) == bad.line;
      const bool has_cure = finding.find("; ") != finding.npos || finding.find("did you mean") != finding.npos ||
                            finding.find("write ") != finding.npos || finding.find("save it") != finding.npos;
      CHECK(has_cure);
    }
    CHECK(is_line_named);
    ++refused;
  }
  CHECK(refused == corpus.all().size());
}
