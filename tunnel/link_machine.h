// LinkMachine: the life of the link as a pure machine. No socket, no thread, no clock: what happens is told to it,
// what is to be done is taken from it. `Link` does it with sockets and threads, a simulation without.
//
//   client    a session is begun by one handshake; its further lanes join it, each by a handshake of its own. A lane that
//             ends is joined again; one that has grown old, or that nothing is heard from, is taken over by a fresh one.
//             Without any lane the same: the session is joined again, and only if the server has forgotten it, begun anew.
//   server    takes what is right. A new session of the same peer replaces the old one, when GO has come.
//
// Source: security decisions D2, D7, 5.4-5.6, 5.9-5.11; docs/PROTOCOL.md 4, 11, 12, 13.
#pragma once

#include <array>
#include <concepts>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "crypto/identity.h"
#include "crypto/tls_channel.h"
#include "tunnel/backoff.h"
#include "tunnel/doorkeeper.h"
#include "tunnel/handshake.h"
#include "tunnel/lane_pace.h"
#include "tunnel/lane_state.h"
#include "tunnel/limits.h"
#include "tunnel/segment_ladder.h"
#include "tunnel/session_book.h"

namespace lt::tunnel {

enum class LinkEventKind : std::uint8_t {
  listening,
  connect_failed,
  handshake_failed,  // after a right knock: this is worth a line each
  stranger,          // a wrong or late knock, or too many at once: counted, answered with silence
  session_up,
  lane_up,           // a further lane of the session, or one that takes over
  lane_ended,
  path_narrow,       // small packets pass and full ones do not: segments of another size are tried
};

struct LinkEvent {
  LinkEventKind kind;
  std::string peer;    // address and port; empty where there is none
  std::string detail;  // one sentence
};

/// The link's clocks. Turned down in tests only.
struct LinkTimes {
  std::chrono::milliseconds knock{knock_deadline};
  std::chrono::milliseconds handshake{handshake_deadline};
  std::chrono::milliseconds stall{handshake_stall};
  std::chrono::milliseconds connect{connect_deadline};
  std::chrono::milliseconds reach{reach_interval};
  std::chrono::milliseconds reconnect_first{tunnel::reconnect_first};
  std::chrono::milliseconds reconnect_longest{tunnel::reconnect_longest};
  std::chrono::milliseconds reset_after{reconnect_reset_after};
  std::chrono::milliseconds suspect{lane_suspect_after};
  std::chrono::milliseconds lane_age{lane_age_max};    // give or take a tenth
  std::uint64_t lane_bytes{lane_bytes_max};            // either way (unit: B on the wire)
  std::chrono::milliseconds pace_pause{tunnel::pace_pause};
  std::chrono::milliseconds session_kept{tunnel::session_kept};
  LaneTimes lane;
};

struct MachineOptions {
  crypto::Role role{crypto::Role::client};
  const crypto::TlsContext* tls{nullptr};  // outlives the machine
  crypto::PublicKey own_key{};
  crypto::PublicKey peer_key{};
  ByteView psk;  // empty, or 32 bytes that outlive the machine
  Offer offer;
  LinkTimes times{};
  DoorLimits door{};
};

// --- what the machine wants done, in this order ---

/// Connect to the other site; answer with on_connected() or on_connect_failed().
struct DoConnect {
  ConnectionId id;
  std::uint32_t segment_bytes_max{0};  // TCP_MAXSEG; 0: as the system finds it
};
struct DoSend {
  ConnectionId id;
  std::vector<Byte> bytes;
};
struct DoClose {
  ConnectionId id;
};
/// The handshake is over: when its last byte is sent, the connection becomes a lane. `ends` says how a lane that has the
/// TUN queue of that index ends; what it still carries goes before.
struct DoStartLane {
  ConnectionId id;
  Established established;
  std::optional<GoodbyeReason> ends;  // none: it has ended, or is to end without a word
};
struct DoStopLane {
  ConnectionId id;
  GoodbyeReason reason;
};
struct DoTell {
  LinkEvent event;
};
using LinkAction = std::variant<DoConnect, DoSend, DoClose, DoStartLane, DoStopLane, DoTell>;

class LinkMachine : private SessionBook {
 public:
  explicit LinkMachine(const MachineOptions& options);

  // --- what has happened ---

  /// Somebody has connected to us. @return what he is called from now on; nothing: close it
  [[nodiscard]] std::optional<ConnectionId> on_accept(const IpAddress& source, std::string peer, Instant now);
  void on_connected(ConnectionId id, const IpAddress& peer_address, std::string peer, Instant now);
  void on_connect_failed(ConnectionId id, std::string peer, const Error& why, Instant now);
  void on_bytes(ConnectionId id, ByteView bytes, Instant now);
  /// The other end of a connection that is no lane yet has closed, or it broke.
  void on_closed(ConnectionId id, const Error& why, Instant now);
  /// What a running lane has heard last, and carried; and whether a PING of full size was ever answered on it.
  void on_lane_heard(ConnectionId id, Instant last_authenticated, bool is_proven, std::uint64_t wire_bytes);
  /// What a running lane gets done, once a second, where the client wants to know it.
  [[nodiscard]] bool wants_progress(ConnectionId id, Instant now) const;
  void on_lane_progress(ConnectionId id, const LaneProgress& progress, Instant now);
  void on_lane_end(ConnectionId id, LaneEnd end, const std::string& reason, Instant now);
  /// Time has passed. Also to be called first, to begin.
  void on_tick(Instant now);
  /// Ends everything: lanes say GOODBYE, nothing more is begun.
  void shut_down();

  // --- what is to be done ---

  [[nodiscard]] std::vector<LinkAction> take_actions();
  /// When on_tick() is to be called at the latest.
  [[nodiscard]] Instant next_deadline(Instant now) const;
  /// How much may be read from a connection now; 0: nothing, its further bytes are a lane's. (unit: B)
  [[nodiscard]] std::size_t bytes_wanted_max(ConnectionId id) const;

  // --- what it is like ---

  [[nodiscard]] bool has_session() const { return session_ != nullptr; }
  [[nodiscard]] std::size_t lanes_up() const;
  [[nodiscard]] const SessionTerms* terms() const { return session_ ? &session_->terms : nullptr; }
  /// The lane of an index, if it runs.
  [[nodiscard]] std::optional<ConnectionId> lane_at(std::size_t index) const;
  [[nodiscard]] std::size_t greetings() const { return greetings_.size(); }

 private:
  // One connection that is not a lane yet.
  struct Greeting {
    IpAddress source;
    std::string peer;
    std::optional<Handshake> handshake;  // none while the connect is under way
    Instant deadline;
    Instant began{};          // the connect, then the handshake
    bool is_outgoing{false};
    bool joins{false};        // else it begins a session
    std::size_t lane_index{0};
    TakeOver take_over{TakeOver::no};
    bool is_for_silent{false};  // it is not wanted once the lane is heard again
    std::uint32_t segment_bytes_max{0};
  };
  struct Slot {
    std::optional<ConnectionId> lane;
    std::string peer;
    Instant started{};
    Instant heard{};
    Instant renew_at{};
    bool is_worn{false};      // it has carried all that one key exchange should
    std::uint32_t segment_bytes_max{0};  // that it was connected with
    bool is_proven{false};    // full size has passed on it
    bool is_doubted{false};   // it fell silent before that, which was counted
    LanePace pace;
    Instant next_progress{};  // is to be told
    std::optional<Instant> held_back_at;  // when a lane of this index was found to be, last
    bool has_had_lane{false};
    Instant next_attempt{};   // after a handshake that failed
    Instant next_reach{};     // after a connect
    Backoff backoff;
  };
  struct Session {
    SessionId id{};
    SessionTerms terms;
    BootId boot_id{};
    ConnectionId opened_by{0};  // connections that came before are of an earlier time
    std::vector<Slot> slots;
    Instant last_lane{};      // when it last had one
    std::deque<Instant> joins;
  };
  struct Replaced {
    BootId boot_id;
    Instant at;
    bool came_back;
  };

  // SessionBook
  [[nodiscard]] const SessionTerms* find(const SessionId& id) const override;
  [[nodiscard]] std::optional<Reject> judge(const Hello& hello) const override;

  [[nodiscard]] bool is_client() const { return options_.role == crypto::Role::client; }
  void plan(Instant now);
  // Why an index wants a connection, the most urgent first.
  enum class Need : std::uint8_t { missing, silent, held_back, worn };
  struct Wish {
    Instant due;
    Need need;
    [[nodiscard]] bool is_due(Instant now) const { return now >= due; }
  };
  [[nodiscard]] Instant session_due() const;
  [[nodiscard]] Wish wish_of(std::size_t index, Instant now) const;
  [[nodiscard]] std::pair<Need, Instant> need_of(const Slot& slot) const;
  [[nodiscard]] static TakeOver take_over_for(const Slot& slot, Need need);
  /// Nobody has answered of late: one index asks for all.
  [[nodiscard]] bool is_in_doubt(Instant now) const;
  [[nodiscard]] std::size_t prober(Instant now) const;
  void end_doubt(ConnectionId answered, Instant now);
  void doubt_segments(Slot& slot);
  void drop_attempts_of_other_size();
  /// Whether a lane was connected with a size that was given up before it could be proven.
  [[nodiscard]] bool is_outsized(const Slot& slot) const {
    return slot.lane && !slot.is_proven && slot.segment_bytes_max != ladder_.segment_bytes_max();
  }
  [[nodiscard]] std::chrono::nanoseconds patience_with(const Greeting& greeting) const;
  /// When one more index may be joined. @pre there is a session
  [[nodiscard]] Instant join_free_at(bool is_probing) const;
  void attempt_session(Instant now);
  void attempt_join(std::size_t index, Need need, Instant now);
  Greeting& attempt(Instant now);
  [[nodiscard]] Instant next_reach(Instant now) const;
  [[nodiscard]] bool has_attempt(bool joins, std::size_t index) const;
  [[nodiscard]] bool is_shaking_hands(bool joins, std::size_t index) const;
  void begin_handshake(ConnectionId id, Greeting& greeting, Instant now);
  void flush(ConnectionId id, Greeting& greeting);
  void fail_greeting(ConnectionId id, const Error& error, Instant now);
  void drop_other_attempts(ConnectionId kept);
  void close(ConnectionId id);
  void close_where(std::predicate<ConnectionId, const Greeting&> auto is_meant);
  void promote(ConnectionId id, Instant now);
  void open_session(Established& established, Instant now);
  void drop_session(GoodbyeReason reason);
  void close_joins();
  void put_lane(ConnectionId id, Greeting& greeting, Established established, std::optional<GoodbyeReason> ends, Instant now);
  void note_replacement(const BootId& boot_id, Instant now);
  [[nodiscard]] Slot make_slot() const;
  [[nodiscard]] Instant after_failure(Backoff& backoff, Instant now) const;
  void tell(LinkEventKind kind, std::string peer, std::string detail);
  [[nodiscard]] static Byte draw();

  MachineOptions options_;
  Doorkeeper door_;
  ConnectionId last_id_{0};
  std::map<ConnectionId, Greeting> greetings_;
  std::unique_ptr<Session> session_;
  Backoff session_backoff_;
  Instant next_session_{};
  Instant next_reach_{};      // while there is no session and nobody answers: when the next connect goes out
  bool is_refused_{false};    // the last connect that came to an end was not answered
  std::chrono::nanoseconds connect_took_{0};  // the last that was answered
  unsigned stalls_{0};        // handshakes in a row from which nothing more came
  SegmentLadder ladder_;
  std::deque<Replaced> replaced_;
  Instant now_{};             // of the call under way, for judge()
  bool is_shut_down_{false};
  std::vector<LinkAction> actions_;
};

}  // namespace lt::tunnel
