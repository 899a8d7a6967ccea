#include "tuner/journal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::tuner;

namespace {

SweepHeader a_header() {
  SweepHeader header;
  header.id = "0123456789abcdef";
  header.seed = UINT64_MAX;
  header.blocks = 3;
  header.arms = {*parse_arm("bare"), *parse_arm("native")};
  header.facts = {{"kernel", "Linux 6.1"}};
  header.started = "2026-01-31T12:00:00Z";
  return header;
}

Unit a_unit(std::size_t block, std::size_t position) {
  Unit unit;
  unit.block = block;
  unit.position = position;
  unit.arm = (block + position) % 2;
  unit.sample = Sample{};
  unit.sample->up = BitsPerSecond{1000 * block + position};
  unit.start_ns = 1;
  unit.stop_ns = 2;
  return unit;
}

Block a_block(std::size_t number) {
  Block block;
  block.number = number;
  block.planned = 3;
  block.units = {{number % 2, false}, {(number + 1) % 2, false}};
  return block;
}

std::string line(const Json& value) {
  return to_line(value) + "\n";
}

// Two whole blocks.
std::string a_journal() {
  const SweepHeader header = a_header();
  std::string text = line(to_json(header));
  for (const std::size_t block : {0U, 1U}) {
    text += line(to_json(a_block(block), header));
    for (const std::size_t position : {0U, 1U})
      text += line(to_json(a_unit(block, position), header));
  }
  return text;
}

std::string fresh_path(const char* name) {
  const std::string path = std::string(LINKTUNE_BINARY_DIR) + "/" + name;
  ::unlink(path.c_str());
  return path;
}

}  // namespace

TEST_CASE("a journal is read back as it was written", "[tuner][journal]") {
  const std::string path = fresh_path("journal_test.jsonl");
  const SweepHeader header = a_header();
  {
    auto journal = Journal::create(path, header);
    REQUIRE(journal);
    REQUIRE(journal->append(a_block(0), header));
    for (const std::size_t position : {0U, 1U})
      REQUIRE(journal->append(a_unit(0, position), header));
  }
  const auto contents = read_journal(path);
  REQUIRE(contents);
  CHECK(to_json(contents->header) == to_json(header));
  REQUIRE(contents->units.size() == 2);
  CHECK(to_json(contents->units[1], header) == to_json(a_unit(0, 1), header));
  REQUIRE(contents->blocks.size() == 1);
  CHECK(to_json(contents->blocks[0], header) == to_json(a_block(0), header));
  CHECK_FALSE(contents->is_torn);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
}

TEST_CASE("a journal that is there is not overwritten", "[tuner][journal]") {
  const std::string path = fresh_path("journal_exists.jsonl");
  REQUIRE(Journal::create(path, a_header()));
  const auto again = Journal::create(path, a_header());
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Errc::exists);
  CHECK(again.error().what.find("--resume") != std::string::npos);
}

TEST_CASE("a journal cut at any byte is read up to its last whole line", "[tuner][journal]") {
  const std::string text = a_journal();
  const std::size_t header_length = text.find('\n') + 1;
  for (std::size_t length = 0; length <= text.size(); ++length) {
    const auto contents = parse_journal(std::string_view(text).substr(0, length), "test");
    if (length < header_length) {
      CHECK_FALSE(contents);
      continue;
    }
    REQUIRE(contents);
    const auto whole = text.substr(0, length).rfind('\n') + 1;
    CHECK(contents->bytes == whole);
    CHECK(contents->is_torn == (whole != length));
    CHECK(contents->units.size() == 2 * contents->blocks.size());
  }
}

TEST_CASE("a torn last line is cut off, and a broken block voided, before the next line",
          "[tuner][journal]") {
  const std::string path = fresh_path("journal_torn.jsonl");
  const SweepHeader header = a_header();
  std::string text =
      a_journal() + line(to_json(a_block(2), header)) + line(to_json(a_unit(2, 0), header));
  REQUIRE(write_file(path, text + "{\"kind\":\"un", 0600));
  auto contents = read_journal(path);
  REQUIRE(contents);
  CHECK(contents->is_torn);
  REQUIRE(contents->broken);
  CHECK(contents->broken->number == 2);
  CHECK(contents->units.size() == 4);
  {
    auto journal = Journal::reopen(path, *contents);
    REQUIRE(journal);
    REQUIRE(journal->append(a_block(2), header));
    for (const std::size_t position : {0U, 1U})
      REQUIRE(journal->append(a_unit(2, position), header));
  }
  contents = read_journal(path);
  REQUIRE(contents);
  CHECK_FALSE(contents->is_torn);
  CHECK_FALSE(contents->broken);
  CHECK(contents->blocks.size() == 3);
  CHECK(contents->units.size() == 6);
}

TEST_CASE("two sweeps cannot write one journal", "[tuner][journal]") {
  const std::string path = fresh_path("journal_locked.jsonl");
  const auto first = Journal::create(path, a_header());
  REQUIRE(first);
  const auto second = Journal::reopen(path, *read_journal(path));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::busy);
}

TEST_CASE("a line that is wrong in the middle is named by file and number", "[tuner][journal]") {
  const std::string text = a_journal();
  const std::size_t second = text.find('\n') + 1;
  const auto broken_by = [&](const std::string& junk) {
    std::string broken = text;
    broken.insert(second, junk + "\n");  // before the first block begins
    const auto contents = parse_journal(broken, "x.jsonl");
    return !contents && contents.error().what.find("x.jsonl:2") == 0;
  };
  CHECK(broken_by("junk"));
  CHECK(broken_by(""));
  CHECK(broken_by("{}"));
  CHECK(broken_by("{\"kind\":\"song\"}"));
  CHECK(broken_by("{\"kind\":\"unit\"}"));
  Json unit = to_json(a_unit(0, 1), a_header());
  CHECK(broken_by(to_line(unit)));  // outside a block
  unit["position"] = 0;
  unit["arm"] = "ffffffffffffffff";
  CHECK(broken_by(to_line(unit)));
}

TEST_CASE("a first line of another schema, or of no arms, is refused", "[tuner][journal]") {
  Json header = to_json(a_header());
  header["schema"] = "linktune.journal/9";
  CHECK_FALSE(parse_journal(line(header), "x"));
  header = to_json(a_header());
  header["arms"] = Json::array();
  CHECK_FALSE(parse_journal(line(header), "x"));
  header = to_json(a_header());
  header["arms"][0]["text"] = "native";
  CHECK_FALSE(parse_journal(line(header), "x"));
  CHECK_FALSE(parse_journal("", "x"));
  CHECK(read_journal("/nonexistent/journal").error().code == Errc::not_found);
}

TEST_CASE("a failed unit keeps its reason", "[tuner][journal]") {
  const SweepHeader header = a_header();
  Unit unit = a_unit(0, 0);
  unit.sample.reset();
  unit.status = UnitStatus::arm_failed;
  unit.error = Error{Errc::timed_out, "black hole", 0};
  const auto again = unit_from_json(to_json(unit, header), header);
  REQUIRE(again);
  CHECK(again->error->what == "black hole");
  Json without = to_json(unit, header);
  without.erase("error");
  CHECK_FALSE(unit_from_json(without, header));
}

TEST_CASE("lines that cannot follow each other are refused", "[tuner][journal]") {
  const SweepHeader header = a_header();
  const std::string begin = line(to_json(header));
  const auto refused = [&](const std::vector<Json>& lines) {
    std::string text = begin;
    for (const Json& each : lines)
      text += line(each);
    return !parse_journal(text + line(to_json(a_block(9), header)), "x");
  };
  const Json block = to_json(a_block(0), header);
  CHECK(refused({to_json(a_block(1), header)}));               // the first is 0
  CHECK(refused({block, block}));                              // begun twice
  CHECK(refused({block, to_json(a_unit(0, 1), header)}));      // position 1 before 0
  CHECK(refused({block, to_json(a_unit(1, 0), header)}));      // of another block
  CHECK(refused({{{"kind", "void"}, {"block", 0}}}));          // nothing was begun
  Unit other = a_unit(0, 0);
  other.arm = 1;
  CHECK(refused({block, to_json(other, header)}));             // an arm of another place
  Unit sham = a_unit(0, 0);
  sham.is_sham = true;
  CHECK(refused({block, to_json(sham, header)}));              // a sham where a start was planned
  Json lonely = block;
  lonely["units"][0]["sham"] = true;
  CHECK(refused({lonely}));                                    // a sham without its start
  Json empty = block;
  empty["units"] = Json::array();
  CHECK(refused({empty}));
  const Json arms = {{"kind", "arms"}, {"stage", "search"}, {"arms", {to_json(*parse_arm("native"))}}};
  CHECK(refused({arms}));                                      // there already
  const Json physics = {{"kind", "physics"}, {"took_ms", 1}, {"physics", to_json(Physics{})}};
  CHECK(refused({physics, physics}));
}

TEST_CASE("physics, gates, added arms, a question and epochs are read back as they were written",
          "[tuner][journal]") {
  const std::string path = fresh_path("journal_staged.jsonl");
  SweepHeader header = a_header();
  header.question = Question{.goal = Goal::latency, .budget = Milliseconds(600'000)};
  header.question->incumbent = *parse_arm("native");
  header.question->defaults = {*parse_arm("native")};
  PhysicsRecord physics;
  physics.physics.cpus = 7;
  physics.took = Milliseconds(12);
  GateRecord gate{1, {}, Milliseconds(34)};
  gate.outcome.add({"black_hole", GateVerdict::failed, "1500 bytes vanish"});
  const Addition addition{Stage::screen, 2, 1};
  const Epoch epoch{0, "another kernel", {{"kernel", "Linux 6.2"}}};
  {
    auto journal = Journal::create(path, header);
    REQUIRE(journal);
    REQUIRE(journal->append(physics));
    header.arms.push_back(*parse_arm("native mtu=9000"));
    REQUIRE(journal->append(addition, header));
    REQUIRE(journal->append(gate, header));
    REQUIRE(journal->append(epoch));
  }
  const auto contents = read_journal(path);
  REQUIRE(contents);
  CHECK(to_json(contents->header)["question"] == to_json(header)["question"]);
  CHECK(contents->physics->physics.cpus == 7);
  CHECK(contents->physics->took == Milliseconds(12));
  REQUIRE(contents->gate_of(1) != nullptr);
  CHECK(contents->gate_of(1)->outcome.failure.has_value());
  REQUIRE(contents->addition_of(Stage::screen) != nullptr);
  CHECK(contents->addition_of(Stage::screen)->first == 2);
  CHECK(canonical_text(contents->header.arms.at(2)) == "native mtu=9000");
  CHECK(contents->epochs.at(0).facts.at(0).value == "Linux 6.2");
  CHECK(contents->elapsed() == Milliseconds(46));
}

TEST_CASE("a question with a share outside 0 to 1, or an incumbent that is no arm, is refused",
          "[tuner][journal]") {
  SweepHeader header = a_header();
  header.question = Question{};
  header.question->incumbent = *parse_arm("native");
  const auto reads = [](const Json& value) { return sweep_header_from_json(value).has_value(); };
  CHECK(reads(to_json(header)));
  for (const char* name : {"within", "confidence"}) {
    for (const double wrong : {0.0, 1.0, 2.0}) {
      Json value = to_json(header);
      value["question"][name] = wrong;
      CHECK_FALSE(reads(value));
    }
  }
  Json value = to_json(header);
  value["question"]["goal"] = "beauty";
  CHECK_FALSE(reads(value));
  header.question->incumbent = *parse_arm("native mtu=1234");
  CHECK_FALSE(reads(to_json(header)));
}
