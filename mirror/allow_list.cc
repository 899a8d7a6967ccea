#include "mirror/allow_list.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/text.h"

namespace lt::mirror {

namespace {

constexpr std::size_t shown_chars_max = 80;

tl::unexpected<Error> refuse(std::string_view why, std::string_view word) {
  return fail(Errc::rejected, std::string(why) + ": \"" + printable(word, shown_chars_max) + "\"");
}

bool is_in(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_made_of(std::string_view word, std::string_view extra, std::size_t length_max) {
  return !word.empty() && word.size() <= length_max && std::all_of(word.begin(), word.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

// A snapshot's or bookmark's own name.
bool is_snapshot_name(std::string_view word) {
  return is_made_of(word, "-_.: +", 200) && word.front() != '-';
}

// Property lists: "guid,creation", "syncoid:sync", "feature@extensible_dataset" only where it is expected.
bool is_property_list(std::string_view word) {
  return is_made_of(word, "_:.,-", 200) && word.front() != '-';
}

bool is_size(std::string_view word) {  // of mbuffer: 128k, 16M
  if (word.empty() || word.size() > 12) return false;
  const std::string_view digits = is_in(word.substr(word.size() - 1), {"k", "m", "g", "t", "K", "M", "G", "T", "b"})
                                      ? word.substr(0, word.size() - 1)
                                      : word;
  return parse_u64(digits).has_value();
}

struct Target {
  std::string_view dataset;
  std::string_view snapshot;  // empty: none
};

std::optional<Target> target_of(std::string_view word) {
  const auto at = word.find('@');
  const Target target{word.substr(0, at), at == std::string_view::npos ? std::string_view{} : word.substr(at + 1)};
  if (!configs::is_dataset_name(target.dataset)) return std::nullopt;
  if (at != std::string_view::npos && !is_snapshot_name(target.snapshot)) return std::nullopt;
  return target;
}

using Words = std::span<const std::string>;

// The options of one program, as getopt reads them: clusters of letters, some of which take the rest
// of their word or the next one. What is left are operands. `--` and long options are unknown.
struct Options {
  std::string_view flags;                // letters without an argument
  std::string_view with_value;           // letters with one
  bool (*is_value)(char, std::string_view);
};

Result<std::vector<std::string>> operands_of(Words words, const Options& options) {
  std::vector<std::string> operands;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.empty()) return refuse("an empty word", word);
    if (word.front() != '-') {
      operands.push_back(word);
      continue;
    }
    // Behind an operand nobody needs an option, and what looks like one is a trick.
    if (!operands.empty()) return refuse("an option behind an operand", word);
    if (word.size() < 2) return refuse("an option that no rule allows", word);
    for (std::size_t j = 1; j < word.size(); ++j) {
      if (options.flags.find(word[j]) != std::string_view::npos) continue;
      if (options.with_value.find(word[j]) == std::string_view::npos) return refuse("an option that no rule allows", word);
      const bool has_next = i + 1 < words.size();
      const std::string value = j + 1 < word.size() ? word.substr(j + 1) : has_next ? words[++i] : std::string();
      if (!options.is_value(word[j], value)) return refuse("a value that no rule allows", value);
      break;
    }
  }
  return operands;
}

bool is_list_value(char option, std::string_view value) {
  if (option == 'd') return parse_u64(value).has_value() && value.size() <= 3;
  if (option == 't') {
    for (const std::string_view type : split(value, ',')) {
      if (!is_in(type, {"filesystem", "volume", "snapshot", "bookmark", "all"})) return false;
    }
    return true;
  }
  return is_property_list(value);  // -o, -s, -S
}

bool is_receive_value(char option, std::string_view value) {
  const auto equals = value.find('=');
  if (option == 'x') return is_property_list(value) && value.find(',') == std::string_view::npos;
  if (equals == std::string_view::npos) return false;
  const std::string_view property = value.substr(0, equals);
  // What would let a dataset be mounted over the machine's own folders, shared, or run something.
  if (is_in(property, {"mountpoint", "sharenfs", "sharesmb", "keylocation", "exec", "setuid", "devices", "overlay"})) {
    return value == "mountpoint=none" || value == "mountpoint=legacy" || value == "exec=off" ||
           value == "setuid=off" || value == "devices=off" || value == "overlay=off" || value == "sharenfs=off" || value == "sharesmb=off";
  }
  return is_made_of(property, "_:.-", 100) && is_made_of(value.substr(equals + 1), "_:.,/+-=@% ", 200);
}

bool is_send_value(char option, std::string_view value) {
  if (option == 't') return is_made_of(value, "-", 4096);  // a resume token: digits, letters, dashes
  if (value.starts_with('@')) return is_snapshot_name(value.substr(1));
  if (value.starts_with('#')) return is_snapshot_name(value.substr(1));
  const auto hash = value.find('#');
  if (hash != std::string_view::npos) {
    return configs::is_dataset_name(value.substr(0, hash)) && is_snapshot_name(value.substr(hash + 1));
  }
  return target_of(value).has_value();
}

bool is_mbuffer_value(char, std::string_view value) {
  return is_size(value);
}

bool no_value(char, std::string_view) {
  return false;
}

class Judge {
 public:
  Judge(const AllowRules& rules, const CommandFinder& find_command) : rules_(rules), find_command_(find_command) {}

  Result<std::vector<AllowedStep>> steps(const Pipeline& pipeline) const {
    LT_TRY(auto allowed, without_sudo(pipeline));
    if (allowed.size() == 1) {
      LT_TRY(auto answer, own_answer(allowed.front()));
      if (answer) return std::vector<AllowedStep>{std::move(*answer)};
    }
    std::vector<AllowedStep> steps;
    bool has_zfs = false;
    for (std::size_t i = 0; i < allowed.size(); ++i) {
      PipelineStage& stage = allowed[i];
      if (stage.argv.front() != "zfs" && stage.argv.front() != "zpool") {
        LT_CHECK(filter(stage.argv));
        continue;
      }
      if (has_zfs) return refuse("two ZFS commands in one pipeline", stage.argv.front());
      has_zfs = true;
      const Argv asked = stage.argv;
      LT_CHECK(zfs_or_zpool(stage.argv, i == 0, i + 1 == allowed.size()));
      const auto target = receive_target(asked);
      if (target && stage.argv != asked) steps.emplace_back(Rewind{*target});
    }
    if (!has_zfs) return refuse("a pipeline without a ZFS command", allowed.front().argv.front());
    steps.emplace_back(std::move(allowed));
    return steps;
  }

 private:
  static Result<Pipeline> without_sudo(Pipeline pipeline) {
    for (PipelineStage& stage : pipeline) {
      if (stage.argv.front() == "sudo" && stage.argv.size() > 1) stage.argv.erase(stage.argv.begin());
      if (stage.argv.front() == "sudo") return refuse("a command that no rule allows", "sudo");
    }
    return pipeline;
  }

  Result<std::optional<AllowedStep>> own_answer(const PipelineStage& stage) const {
    const Argv& argv = stage.argv;
    const auto said = [&](Answer answer) {
      if (stage.output == OutputTo::nowhere) answer.output.clear();
      return std::optional<AllowedStep>(std::move(answer));
    };
    if (argv == Argv{"exit"} || argv == Argv{"echo", "-n"}) return said({});
    if (argv == Argv{"ps", "-Ao", "args="}) return std::optional<AllowedStep>(ReceiveList{});
    if (argv.front() != "command") return std::optional<AllowedStep>{};
    if (argv.size() != 3 || argv[1] != "-v") return refuse("a command that no rule allows", join(argv, " "));
    if (!is_in(argv[2], {"mbuffer", "gzip", "zcat", "pigz", "zstd", "zstdmt", "xz", "lzop", "lz4", "zfs", "zpool", "ps"})) {
      return refuse("a program that no rule allows", argv[2]);
    }
    const auto path = find_command_(argv[2]);
    return said(path ? Answer{*path + "\n", 0} : Answer{"", 1});
  }

  // Buffers and (de)compressors: read standard input, write standard output, touch no file.
  static Status filter(const Argv& argv) {
    static const std::vector<Argv> known{
        {"zcat"},       {"gzip", "-3"},    {"pigz", "-3"},    {"pigz", "-9"},   {"pigz", "-dc"},   {"zstd", "-3"},
        {"zstd", "-19"}, {"zstd", "-dc"},  {"zstdmt", "-3"},  {"zstdmt", "-19"}, {"zstdmt", "-dc"}, {"xz"},
        {"xz", "-d"},   {"lzop"},          {"lzop", "-dfc"},  {"lz4"},          {"lz4", "-dc"}};
    if (std::find(known.begin(), known.end(), argv) != known.end()) return {};
    if (argv.front() != "mbuffer") return refuse("a command that no rule allows", join(argv, " "));
    LT_TRY(const auto operands, operands_of(Words(argv).subspan(1), {"q", "smrR", is_mbuffer_value}));
    return operands.empty() ? Status{} : refuse("a word that no rule allows", operands.front());
  }

  Status zfs_or_zpool(Argv& argv, bool is_first, bool is_last) const {
    const std::string verb = argv.size() > 1 ? argv[1] : std::string();
    const Words words = Words(argv).subspan(std::min<std::size_t>(2, argv.size()));
    if (argv.front() == "zpool") return is_first && is_last && verb == "get" ? zpool_get(words) : refuse("a zpool command that no rule allows", verb);
    if (verb == "receive" || verb == "recv") return is_last ? receive(argv) : refuse("a receive that is not the last of its pipeline", verb);
    if (verb == "send") return is_first ? send(words) : refuse("a send that is not the first of its pipeline", verb);
    if (!is_first || !is_last) return refuse("a command that stands alone only", verb);
    if (verb == "get" || verb == "list") return read(words, verb == "get");
    if (verb == "rollback") return rollback(argv);
    if (verb == "destroy") return destroy(words);
    if (verb == "hold" || verb == "release") return hold(words);
    return refuse("a zfs command that no rule allows", verb);
  }

  Status zpool_get(Words words) const {
    LT_TRY(const auto operands, operands_of(words, {"Hp", "o", is_list_value}));
    const bool is_feature = operands.size() == 2 && is_in(operands[0], {"feature@extensible_dataset", "health", "capacity", "guid", "all"});
    if (!is_feature) return refuse("a property that no rule allows", operands.empty() ? "" : operands[0]);
    const auto holds = [&](std::string_view dataset) {
      return configs::is_within(dataset, operands[1]) && operands[1].find('/') == std::string::npos;
    };
    const bool is_ours = std::any_of(rules_.receive.begin(), rules_.receive.end(), [&](const auto& rule) { return holds(rule.dataset); }) ||
                         std::any_of(rules_.read.begin(), rules_.read.end(), holds);
    return is_ours ? Status{} : refuse("a pool outside the config", operands[1]);
  }

  Status read(Words words, bool is_get) const {
    LT_TRY(auto operands, operands_of(words, {"Hpr", "dotsS", is_list_value}));
    if (is_get) {
      if (operands.empty() || !is_property_list(operands.front())) return refuse("a property that no rule allows", operands.empty() ? "" : operands.front());
      operands.erase(operands.begin());
    }
    if (operands.empty()) return refuse("a command that names no dataset", is_get ? "zfs get" : "zfs list");
    for (const std::string& operand : operands) LT_CHECK(readable(operand));
    return {};
  }

  Status readable(std::string_view word) const {
    const auto target = target_of(word);
    if (!target) return refuse("not the name of a dataset", word);
    return may_read(rules_, target->dataset) ? Status{} : refuse("a dataset outside the config", word);
  }

  Result<const configs::MirrorReceive*> writable(std::string_view dataset) const {
    if (!configs::is_dataset_name(dataset)) return refuse("not the name of a dataset", dataset);
    const auto* const rule = receive_rule(rules_, dataset);
    if (rule == nullptr) return refuse("a dataset outside the config's receive", dataset);
    return rule;
  }

  Status send(Words words) const {
    LT_TRY(const auto operands, operands_of(words, {"DLPRcehpvwnV", "iIt", is_send_value}));
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (!words[i].starts_with('-')) continue;
      const auto letter = words[i].find_first_of("iIt");
      if (letter == std::string::npos) continue;
      // A token names its own dataset, in the peer's words only: what it resumes cannot be confined.
      if (words[i][letter] == 't') return refuse("a send that no rule can confine", words[i]);
      // The value of -i and -I names a dataset, too; it stands in a word of its own.
      if (letter + 1 != words[i].size()) return refuse("an option that no rule allows", words[i]);
      const std::string& origin = words[++i];
      const std::string_view dataset = std::string_view(origin).substr(0, origin.find_first_of("@#"));
      if (!dataset.empty() && !may_read(rules_, dataset)) return refuse("a dataset outside the config", origin);
    }
    if (operands.size() != 1 || operands[0].find('@') == std::string::npos) return refuse("a send of other than one snapshot", join(operands, " "));
    return readable(operands[0]);
  }

  Status receive(Argv& argv) const {
    LT_TRY(const auto operands, operands_of(Words(argv).subspan(2), {"sFuvhA", "ox", is_receive_value}));
    if (operands.size() != 1) return refuse("a receive into other than one dataset", join(operands, " "));
    for (const std::string& word : argv) {  // -o and -x begin their words, so that narrow() can tell letters from values
      if (word.starts_with('-') && word.find_first_of("ox", 2) != std::string::npos && word[1] != 'o' && word[1] != 'x') {
        return refuse("an option that no rule allows", word);
      }
    }
    LT_TRY(const auto* const rule, writable(operands[0]));
    if (rule->append_only) narrow(argv, "F");
    return {};
  }

  Status rollback(Argv& argv) const {
    LT_TRY(const auto operands, operands_of(Words(argv).subspan(2), {"rRf", "", no_value}));
    const auto target = operands.size() == 1 ? target_of(operands[0]) : std::nullopt;
    if (!target || target->snapshot.empty()) return refuse("a rollback to other than one snapshot", join(operands, " "));
    LT_TRY(const auto* const rule, writable(target->dataset));
    if (rule->append_only) narrow(argv, "rRf");
    return {};
  }

  Status destroy(Words words) const {
    LT_TRY(const auto operands, operands_of(words, {"r", "", no_value}));
    if (operands.size() != 1) return refuse("a destroy of other than one thing", join(operands, " "));
    const std::string_view word = operands[0];
    const auto at = word.find('@');
    LT_TRY(const auto* const rule, writable(word.substr(0, at)));
    if (at != std::string_view::npos) {
      for (const std::string_view name : split(word.substr(at + 1), ',')) {
        if (!is_snapshot_name(name)) return refuse("not the name of a snapshot", name);
      }
    }
    if (rule->append_only) return refuse("a destroy where append_only is set", word);
    if (at == std::string_view::npos && word == rule->dataset) return refuse("a destroy of the receiving dataset itself", word);
    return {};
  }

  Status hold(Words words) const {
    LT_TRY(const auto operands, operands_of(words, {"", "", no_value}));
    if (operands.size() != 2 || !is_snapshot_name(operands[0]) || !operands[0].starts_with("syncoid")) {
      return refuse("a hold that is not Syncoid's", join(operands, " "));
    }
    const auto target = target_of(operands[1]);
    if (!target || target->snapshot.empty()) return refuse("not the name of a snapshot", operands[1]);
    LT_TRY(const auto* const rule, writable(target->dataset));
    return rule != nullptr ? Status{} : refuse("a dataset outside the config's receive", operands[1]);
  }

  // Takes option letters out of argument vectors that operands_of() has read.
  static void narrow(Argv& argv, std::string_view letters) {
    Argv kept(argv.begin(), argv.begin() + 2);
    for (std::size_t i = 2; i < argv.size(); ++i) {
      std::string word = argv[i];
      const bool takes_next = is_in(word, {"-o", "-x"});
      if (word.starts_with('-') && !word.starts_with("-o") && !word.starts_with("-x")) {
        std::erase_if(word, [&](char c) { return letters.find(c) != std::string_view::npos; });
      }
      if (word != "-") kept.push_back(word);
      if (takes_next && i + 1 < argv.size()) kept.push_back(argv[++i]);
    }
    argv = std::move(kept);
  }

  const AllowRules& rules_;
  const CommandFinder& find_command_;
};

}  // namespace

Result<std::vector<AllowedStep>> allow(const CommandText& command, const AllowRules& rules,
                                       const CommandFinder& find_command) {
  const Judge judge(rules, find_command);
  std::vector<AllowedStep> steps;
  for (const Pipeline& pipeline : command) {
    LT_TRY(const auto some, judge.steps(pipeline));
    steps.insert(steps.end(), some.begin(), some.end());
  }
  return steps;
}

const configs::MirrorReceive* receive_rule(const AllowRules& rules, std::string_view dataset) {
  // The innermost tree that holds it decides.
  const configs::MirrorReceive* found = nullptr;
  for (const configs::MirrorReceive& rule : rules.receive) {
    if (!configs::is_within(dataset, rule.dataset)) continue;
    if (found == nullptr || rule.dataset.size() > found->dataset.size()) found = &rule;
  }
  return found;
}

bool may_read(const AllowRules& rules, std::string_view dataset) {
  return receive_rule(rules, dataset) != nullptr ||
         std::any_of(rules.read.begin(), rules.read.end(),
                     [&](const std::string& top) { return configs::is_within(dataset, top); });
}

std::optional<std::string> receive_target(const Argv& argv) {
  if (argv.size() < 3) return std::nullopt;
  const std::string_view program = std::string_view(argv[0]).substr(argv[0].rfind('/') + 1);
  if (program != "zfs" || !is_in(argv[1], {"receive", "recv"})) return std::nullopt;
  return argv.back();
}

}  // namespace lt::mirror
