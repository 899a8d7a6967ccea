// Side: where a command of the mirror's proofs runs: here, or at the other site through its agent.
//
// Verify, drill, restore and seed are written against this; app/ joins it to the agent, tests to a ZFS
// of their own. Nothing here goes through a shell.
#pragma once

#include <functional>
#include <string>

#include "base/process.h"
#include "base/result.h"

namespace lt::mirror {

/// Standard streams of what runs; they stay the caller's. -1: /dev/null.
struct SideStreams {
  int in{-1};
  int out{-1};
  int err{-1};
};

class Side {
 public:
  Side() = default;
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;
  virtual ~Side() = default;

  /// "here", "at the other site": for sentences.
  [[nodiscard]] virtual std::string where() const = 0;
  /// Runs `argv` to its end. @return its exit status (128 + signal)
  /// @error rejected: the other site does not allow it · unreachable · not_found: no such program
  /// @thread any; two may run at once
  [[nodiscard]] virtual Result<int> run(const Argv& argv, const SideStreams& streams) = 0;
  /// Serves the files of `snapshot` (tree_service.h) on `streams` until its input ends.
  [[nodiscard]] virtual Result<int> serve_tree(const std::string& snapshot, const SideStreams& streams) = 0;
};

/// What `argv` wrote; its last words when it ended with another status than 0.
/// @error as Side::run · not_found: the dataset or snapshot does not exist · io: its last words
[[nodiscard]] Result<std::string> capture(Side& side, const Argv& argv);

/// This machine.
class LocalSide : public Side {
 public:
  struct Options {
    std::string name{"here"};
    Argv tree_program;                                                // before the snapshot's name
    std::function<Argv(const Argv&)> wrap{[](const Argv& argv) { return argv; }};  // where it runs: a test's ZFS
  };
  explicit LocalSide(Options options) : options_(std::move(options)) {}

  [[nodiscard]] std::string where() const override { return options_.name; }
  [[nodiscard]] Result<int> run(const Argv& argv, const SideStreams& streams) override;
  [[nodiscard]] Result<int> serve_tree(const std::string& snapshot, const SideStreams& streams) override;

 private:
  Options options_;
};

/// The other site, through a program that is called as ssh is: it takes one text and has it run there. That
/// is linktune's own way to the agent, or ssh itself.
class TextSide : public Side {
 public:
  struct Options {
    std::string name{"at the other site"};
    Argv program;                                       // what stands before the text
    Argv tree_program{"linktune", "mirror", "tree"};  // before the snapshot's name, there
  };
  explicit TextSide(Options options) : options_(std::move(options)) {}

  [[nodiscard]] std::string where() const override { return options_.name; }
  [[nodiscard]] Result<int> run(const Argv& argv, const SideStreams& streams) override;
  [[nodiscard]] Result<int> serve_tree(const std::string& snapshot, const SideStreams& streams) override;

 private:
  Options options_;
};

/// Runs `send` at `from` and `receive` at `to`, the one's output into the other's input.
/// @return bytes carried
/// @error io: the first to fail, with its last words
[[nodiscard]] Result<std::uint64_t> carry_stream(Side& from, const Argv& send, Side& to, const Argv& receive);

/// Runs `argv` at `side`; its output goes piece by piece to `take`.
using PassBytes = std::function<Status(const char* bytes, std::size_t count)>;
[[nodiscard]] Status read_stream(Side& side, const Argv& argv, const PassBytes& take);
/// Runs `argv` at `side`; `give` fills its input, 0 at the end.
using GiveBytes = std::function<Result<std::size_t>(char* bytes, std::size_t count)>;
[[nodiscard]] Status write_stream(Side& side, const Argv& argv, const GiveBytes& give);

}  // namespace lt::mirror
