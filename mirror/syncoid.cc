#include "mirror/syncoid.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"

namespace lt::mirror {

namespace {

struct Sign {
  std::string_view words;
  Trouble trouble;
};

// In the order of asking: the first sign found decides, so what explains others comes first.
constexpr std::array<Sign, 30> signs{
    {{"the session is gone", Trouble::restarted},
     {"already target of a zfs receive process", Trouble::busy},
     {"destination is busy", Trouble::busy},
     {"is busy", Trouble::busy},
     {"linktune: refused", Trouble::refused},
     {"linktune mirror agent: refused", Trouble::refused},
     {"not allowed", Trouble::refused},
     {"permission denied", Trouble::refused},
     {"Permission denied", Trouble::refused},
     {"out of space", Trouble::full},
     {"No space left", Trouble::full},
     {"space quota exceeded", Trouble::full},
     {"Disc quota exceeded", Trouble::full},
     {"Disk quota exceeded", Trouble::full},
     {"has been modified", Trouble::modified},
     {"exists but has no snapshots matching", Trouble::diverged},
     {"does not match incremental source", Trouble::diverged},
     {"no snapshots matching", Trouble::diverged},
     {"destination already exists", Trouble::diverged},
     {"must destroy it to overwrite it", Trouble::diverged},
     {"must be destroyed to overwrite it", Trouble::diverged},
     {"checksum mismatch", Trouble::damaged},
     {"incomplete stream", Trouble::damaged},
     {"invalid stream", Trouble::damaged},
     {"invalid backup stream", Trouble::damaged},
     {"Input/output error", Trouble::damaged},
     {"I/O error", Trouble::damaged},
     {"does not answer", Trouble::unreachable},
     {"ssh connection echo test failed", Trouble::unreachable},
     {"unreachable", Trouble::unreachable}}};

/// The last line that says something, without Syncoid's own pipeline in it.
std::string last_line(std::string_view words) {
  const auto lines = split(words, '\n');
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const std::string_view text = trim(*line);
    const bool is_pipeline = text.starts_with("CRITICAL ERROR:") && text.find(" | ") != text.npos;
    if (!text.empty() && !is_pipeline) return printable(text, 240);
  }
  return "it said nothing";
}

std::string sentence(Trouble trouble, const std::string& source, const std::string& target,
                     std::string_view words, int exit_code) {
  switch (trouble) {
    case Trouble::busy:
      return target + " is being received into by another program; it is tried again, and `ps "
                      "-Ao args=` there names that program";
    case Trouble::unreachable:
      return "the peer's agent does not answer; look at the link with `linktune status`, and at "
             "the other site whether `linktune mirror agent` runs";
    case Trouble::restarted:
      return "the stream to " + target + " was lost: the agent was restarted, or the link was away for longer than "
             "`session_hold`; it is sent again at once";
    case Trouble::no_source:
      return source + " does not exist; correct `source` of the job, or create the dataset";
    case Trouble::full:
      return "there is no room for " + target + "; free some there or raise its quota, then run "
             "again: what has arrived is kept";
    case Trouble::modified:
      return target + " was written to since its last snapshot; to drop these changes write "
                      "`rollback = true` in the job, to keep them clone or rename the dataset "
                      "there, then run again";
    case Trouble::diverged:
      return target + " and " + source + " share no snapshot; rename the target there to keep it, "
             "or name another target, then run again";
    case Trouble::damaged:
      return "the stream from " + source + " to " + target + " is damaged (" + last_line(words) +
             "); scrub both pools with `zpool scrub`, and if a snapshot is broken destroy it at "
             "the source";
    case Trouble::refused:
      return "the peer does not allow this (" + last_line(words) +
             "); name the dataset in [[mirror.receive]] or `read` of its config";
    case Trouble::no_program:
      return "Syncoid cannot be started; install the package sanoid, or write its path as "
             "`syncoid` below [mirror]";
    case Trouble::other:
      return "Syncoid ended with " + std::to_string(exit_code) + ": " + last_line(words);
  }
  return {};
}

}  // namespace

Argv syncoid_argv(const std::string& program, const configs::MirrorJob& job,
                  const std::string& source, const std::string& target) {
  Argv argv{program, "--no-privilege-elevation", "--quiet", "--compress=" + job.compress};
  if (!job.rollback) argv.push_back("--no-rollback");
  if (!job.sync_snapshot) argv.push_back("--no-sync-snap");
  // A token names its dataset where the agent's rules cannot see it: a send by token is refused, and would be for ever.
  if (job.source.is_peer) argv.push_back("--no-resume");
  if (!job.identifier.empty()) argv.push_back("--identifier=" + job.identifier);
  if (!job.send_options.empty()) argv.push_back("--sendoptions=" + job.send_options);
  const auto place = [](bool is_peer, const std::string& dataset) {
    return is_peer ? std::string(peer_host) + ":" + dataset : dataset;
  };
  argv.push_back(place(job.source.is_peer, source));
  argv.push_back(place(job.target.is_peer, target));
  return argv;
}

Failure failure_of(std::string_view words, int exit_code, const std::string& source,
                   const std::string& target) {
  Trouble trouble = exit_code == 127 ? Trouble::no_program : Trouble::other;
  // Since 2.3 a quiet Syncoid keeps its warnings to itself; the one that ends it is a busy target: 1 where it
  // looks first, 2 right before the stream.
  if ((exit_code == 1 || exit_code == 2) && trim(words).empty()) trouble = Trouble::busy;
  const auto found = std::find_if(signs.begin(), signs.end(), [&](const Sign& sign) {
    return words.find(sign.words) != std::string_view::npos;
  });
  if (found != signs.end()) {
    trouble = found->trouble;
  } else if (words.find("does not exist") != std::string_view::npos &&
             words.find(source) != std::string_view::npos) {
    trouble = Trouble::no_source;
  }
  return {trouble, sentence(trouble, source, target, words, exit_code)};
}

bool is_hidden_failure(std::string_view words) {
  return words.find("CRITICAL ERROR") != std::string_view::npos ||
         words.find("CRITICAL: no snapshots") != std::string_view::npos ||
         words.find("WARN Skipping dataset") != std::string_view::npos ||
         words.find("dataset does not exist") != std::string_view::npos ||
         words.find("already target of a zfs receive") != std::string_view::npos;
}

}  // namespace lt::mirror
