// Session: one request of the other site at the agent: its pipe, its children, and the bytes between.
// It outlives connections. Never blocks; the agent's thread owns it.
//
//     waiting for the request -> running step after step -> the exit status is in the pipe
//
// Input is the last step's: what goes before it must not eat its stream.
// A refusal runs nothing: its sentence goes to the asker's standard error, its status is `refused_status`.
#pragma once

#include <poll.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "mirror/allow_list.h"
#include "mirror/connection.h"
#include "mirror/meter.h"
#include "mirror/running.h"

namespace lt::mirror {

inline constexpr int refused_status = 126;  // as a shell says "cannot be run"

/// Makes the pipeline that a typed request asks for out of its argument, or refuses it. What runs is
/// what the handler says; the peer's words are its to check.
using RequestHandler = std::function<Result<Pipeline>(std::string_view argument)>;

struct AgentEvent {
  enum class Kind : std::uint8_t { listening, stranger, attached, refused, started, ended, lost };
  Kind kind;
  std::string text;  // may hold a peer's words: escape it
};

struct AgentServices {
  AllowRules rules;
  std::map<std::string, RequestHandler> requests;
  std::function<void(const AgentEvent&)> on_event;
};

class Session {
 public:
  Session(const SessionId& id, std::size_t window, const AgentServices& services)
      : id_(id), pipe_(window), services_(&services) {}

  [[nodiscard]] const SessionId& id() const { return id_; }
  [[nodiscard]] PipeEnd& pipe() { return pipe_; }

  /// Moves what can be moved. @error protocol: the peer's parts make no sense; the session is over
  [[nodiscard]] Status pump();
  /// What poll() should wait for on the session's behalf.
  void add_waits(std::vector<pollfd>& waits) const;
  /// What the `zfs` child is doing, `stopped` with any other child that is: for the other site's stall verdict.
  [[nodiscard]] ChildWait child_wait() const;

  /// The exit status is in the pipe, and the peer has it.
  [[nodiscard]] bool is_done() const { return is_finished_ && pipe_.out.held() == 0; }
  /// Nobody wants it any more: its children are told to end, and killed when they do not.
  void give_up(Instant now);
  /// Whether it has been given up and its last child is gone.
  [[nodiscard]] bool is_gone(Instant now);

 private:
  [[nodiscard]] Status take_parts();
  [[nodiscard]] Status begin(PartKind kind, const std::string& text);
  [[nodiscard]] Result<std::vector<AllowedStep>> steps_of(PartKind kind, const std::string& text) const;
  [[nodiscard]] bool feed();
  void next_step();
  [[nodiscard]] bool is_last_step() const { return step_ + 1 >= steps_.size(); }
  void collect();
  void end_step();
  void read_answer(bool has_ended);
  void collect_from(Fd& fd, PartKind kind, bool is_last);
  void put_part(PartKind kind, std::string_view bytes);
  [[nodiscard]] bool has_room(std::size_t bytes) const { return pipe_.out.room() >= part_header_bytes + bytes; }
  void note(AgentEvent::Kind kind, std::string text) const;

  SessionId id_;
  PipeEnd pipe_;
  const AgentServices* services_;

  std::optional<std::size_t> input_left_;  // of the input part that is being read
  bool has_begun_{false};
  bool input_has_ended_{false};
  bool input_waits_{false};  // the child does not take its input now

  std::vector<AllowedStep> steps_;
  std::size_t step_{0};
  std::string answer_;  // the end of what a rewind's question has printed
  std::optional<Running> running_;
  int zfs_pid_{-1};
  int exit_status_{0};
  bool is_finished_{false};
  std::optional<Instant> kill_at_;
};

/// What /proc tells of receives into allowed datasets, as lines of `ps -Ao args=`.
[[nodiscard]] std::string receive_list(const AllowRules& rules);

}  // namespace lt::mirror
