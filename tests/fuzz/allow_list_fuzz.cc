// What the agent would run for a text, whatever the text: only known programs, only on named datasets, and nothing that
// destroys where a tree is append-only. The witness knows no grammar and no options: it looks at each word.
#include <algorithm>
#include <set>

#include "mirror/allow_list.h"
#include "tests/fuzz/fuzz.h"

namespace lt::fuzz {

using namespace mirror;

namespace {

const AllowRules& rules() {
  static const AllowRules value{.receive = {{.dataset = "tank/backup", .append_only = true}}, .read = {"tank/shared"}};
  return value;
}

bool is_below(std::string_view word, std::string_view top) {
  return word.starts_with(top) && (word.size() == top.size() || word[top.size()] == '/' || word[top.size()] == '@' || word[top.size()] == '#');
}

void judge(const Argv& argv) {
  static const std::set<std::string> programs{"zfs", "zpool", "mbuffer", "zcat", "gzip", "pigz", "zstd", "zstdmt", "xz", "lzop", "lz4"};
  expect(!argv.empty() && programs.contains(argv[0]), "only known programs run");
  if (argv[0] != "zfs") {
    for (const std::string& word : argv) expect(word.find('/') == word.npos, "no other program gets a path");
    return;
  }
  static const std::set<std::string> verbs{"get", "list", "send", "receive", "recv", "rollback", "hold", "release"};
  expect(argv.size() > 2 && verbs.contains(argv[1]), "no verb but these in an append-only tree");
  const bool writes = argv[1] != "get" && argv[1] != "list" && argv[1] != "send";
  expect(is_below(argv.back(), "tank/backup") || (!writes && is_below(argv.back(), "tank/shared")), "what it works on is named in the config");
  expect((argv.back() + "/").find("/../") == std::string::npos, "no way out of the tree");
  for (std::size_t i = 2; i < argv.size(); ++i) {
    const std::string& word = argv[i];
    const bool is_value = argv[i - 1] == "-o" || argv[i - 1] == "-x";
    if (word.starts_with('-') && !is_value && !word.starts_with("-o") && !word.starts_with("-x")) {
      if (argv[1] == "receive" || argv[1] == "recv") expect(word.find('F') == word.npos, "a receive is not forced");
      if (argv[1] == "rollback") expect(false, "a rollback has no options left");
    }
    if (word.starts_with("mountpoint=") || word.starts_with("-omountpoint=")) {
      expect(word.ends_with("=none") || word.ends_with("=legacy"), "nothing is mounted where the peer says");
    }
  }
}

}  // namespace

void run(ByteView input) {
  const auto command = parse_command_text(as_text(input));
  if (!command) return;
  const auto steps = allow(*command, rules(), [](const std::string&) { return std::optional<std::string>("/usr/bin/x"); });
  if (!steps) return expect(steps.error().code == Errc::rejected, "what is not allowed is rejected");
  const auto is_rewind = [](const AllowedStep& step) { return std::holds_alternative<Rewind>(step); };
  const auto rewinds = std::count_if(steps->begin(), steps->end(), is_rewind);
  expect(steps->size() == command->size() + static_cast<std::size_t>(rewinds), "all of it, or nothing");
  for (std::size_t i = 0; i < steps->size(); ++i) {
    const AllowedStep& step = (*steps)[i];
    if (is_rewind(step)) {
      const std::string& dataset = std::get<Rewind>(step).dataset;
      expect(is_below(dataset, "tank/backup") && dataset.find('@') == dataset.npos, "only a dataset that may be written into goes back");
      const auto* const next = i + 1 < steps->size() ? std::get_if<Pipeline>(&(*steps)[i + 1]) : nullptr;
      expect(next != nullptr && receive_target(next->back().argv) == dataset, "it goes back for what it receives, and for nothing else");
    }
    const auto* const pipeline = std::get_if<Pipeline>(&step);
    if (pipeline == nullptr) continue;
    for (const PipelineStage& stage : *pipeline) judge(stage.argv);
  }
}

}  // namespace lt::fuzz
