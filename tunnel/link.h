// Link: the pair of sites, kept joined for ever. Listens or connects, greets, runs a lane, and begins anew.
//
//   connecting  no lane; an attempt is under way, or the next is waited for   (the connecting site)
//   listening   no lane; a knock is waited for                                (the listening site)
//   up          a lane runs                                                   either -> up by a handshake
//   ended       stop() was called and the lane has said GOODBYE
//
// One thread runs it and does every handshake: data threads never do. Strangers are bounded before they
// are known: half_open_max connections in all, half_open_per_source_max a source, knock_deadline, handshake_deadline.
// It does not log: what happens goes to `on_event`. Time steps of the wall clock do not reach it.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"
#include "crypto/identity.h"
#include "crypto/tls_channel.h"
#include "tunnel/handshake.h"
#include "tunnel/lane.h"
#include "tunnel/limits.h"
#include "tunnel/tcp_stream.h"

namespace lt::tunnel {

enum class LinkEventKind : std::uint8_t {
  listening,
  connect_failed,
  handshake_failed,  // after a right knock: this is worth a line each
  stranger,          // a wrong or late knock, or too many at once: counted, answered with silence
  session_up,
  lane_ended,
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
  std::chrono::milliseconds connect{connect_deadline};
  std::chrono::milliseconds reconnect_first{tunnel::reconnect_first};
  std::chrono::milliseconds reconnect_longest{tunnel::reconnect_longest};
  std::chrono::milliseconds reset_after{reconnect_reset_after};
  std::chrono::milliseconds suspect{lane_suspect_after};
  LaneTimes lane;
};

struct LinkOptions {
  std::optional<Endpoint> listen;   // exactly one of the two
  std::optional<Endpoint> connect;
  const crypto::TlsContext* tls{nullptr};  // outlives the link
  crypto::PublicKey own_key{};
  crypto::PublicKey peer_key{};
  std::optional<crypto::Secret<32>> psk;

  int tun_fd{-1};  // outlives the link
  bool tun_offload{false};
  IoBackend io{IoBackend::epoll};
  std::uint32_t tun_mtu{1500};      // offered (unit: B)
  std::uint32_t record_limit{256 * 1024};
  std::size_t record_bytes_max{256 * 1024};
  AdmissionOptions admission;
  StreamOptions stream;
  RatchetLimits ratchet{};
  LinkTimes times{};

  std::function<void(const LinkEvent&)> on_event;               // @thread the link's
  std::function<Status(std::uint32_t)> on_agreed_mtu;           // @thread the link's; before the lane starts
};

/// What the link has done so far. The counters of all lanes are summed.
struct LinkSnapshot {
  bool has_lane{false};
  bool is_proven{false};  // a full-size PING was answered within the last 3 s (P: what "up" means)
  std::string peer;
  std::uint32_t tun_mtu{0};
  std::string congestion_control;  // of the lane's socket, as the kernel says
  std::optional<std::chrono::nanoseconds> rtt;
  std::optional<std::chrono::nanoseconds> lane_age;
  std::uint64_t sessions{0};
  std::uint64_t connect_failures{0};
  std::uint64_t handshake_failures{0};
  std::uint64_t strangers{0};
  std::map<std::string, std::uint64_t> lane_ends;  // by name_of(LaneEnd)
  std::string last_failure;                        // the newest reason for not being up
  struct Direction {
    std::uint64_t packets{0};
    std::uint64_t packet_bytes{0};
    std::uint64_t records{0};
    std::uint64_t wire_bytes{0};
    std::uint64_t ratchets{0};
    std::uint64_t super_packets{0};
    std::uint64_t segmented{0};
    DropCounters::Snapshot drops{};
  };
  Direction outbound;
  Direction inbound;
};

class Link {
 public:
  /// Opens the listening socket, so that a taken port is known at once. @error as listen_on(); invalid
  static Result<std::unique_ptr<Link>> create(LinkOptions options);
  ~Link();

  /// Runs until stop(). @thread the caller's becomes the link's
  Status run();
  /// Says GOODBYE and ends run(). @thread any, and signal handlers
  void stop() noexcept;

  /// @thread any
  [[nodiscard]] LinkSnapshot snapshot() const;
  /// The port it listens on: for port 0 in the options, the one the system chose. 0 where it connects.
  [[nodiscard]] std::uint16_t listen_port() const { return listen_port_; }

 private:
  // One connection that is not a lane yet.
  struct Greeting {
    Fd socket;
    SocketAddress peer;
    std::optional<Handshake> handshake;  // none while the connect is under way
    std::vector<Byte> unsent;
    Instant deadline;
    bool is_outgoing{false};
    bool is_over{false};      // to be closed
    std::string why;          // it failed
  };

  explicit Link(LinkOptions options);
  Status serve_events();
  void accept_all();
  void connect_if_due(Instant now);
  void schedule_connect(Instant now);
  void serve(Greeting& greeting, short events);
  void begin_handshake(Greeting& greeting);
  void receive(Greeting& greeting);
  void finish(Greeting& greeting);
  void flush(Greeting& greeting);
  void fail_greeting(Greeting& greeting, const Error& error);
  void promote(Greeting& greeting);
  void expire(Instant now);
  void bury_ended_lanes();
  void retire_lane(GoodbyeReason reason);
  void emit(LinkEventKind kind, std::string peer, std::string detail);
  [[nodiscard]] HandshakeOptions handshake_options() const;
  [[nodiscard]] Instant next_deadline() const;
  [[nodiscard]] bool admits(const SocketAddress& source) const;
  void add_up(const Lane& lane, LinkSnapshot& snapshot) const;

  LinkOptions options_;
  PrefixHash prefix_hash_{};
  BootId boot_id_{};
  Fd wake_event_;
  Fd listener_;
  std::uint16_t listen_port_{0};
  Instant accept_paused_until_{};  // this process has no descriptor left
  std::atomic<bool> stopping_{false};

  std::list<Greeting> greetings_;
  Instant next_connect_{};
  std::size_t connects_{0};
  std::chrono::milliseconds backoff_{0};  // 0: the next attempt is made at once
  Instant lane_started_{};

  mutable std::mutex mutex_;  // guards what snapshot() reads: the lanes' list and the totals
  std::unique_ptr<Lane> lane_;
  std::list<std::unique_ptr<Lane>> retired_;  // saying GOODBYE
  std::string lane_peer_;
  LinkSnapshot totals_;
};

/// Whose half-open connections are counted together: one IPv4 address, or one IPv6 /64, which is what a host gets.
[[nodiscard]] Prefix source_group(const IpAddress& source);

/// What both sites hash, so that a disagreement about networks shows at the handshake, not as lost packets.
/// HMAC-SHA256 with the key "LT1 prefixes" over the sorted texts, the client's first.
[[nodiscard]] PrefixHash hash_prefixes(std::vector<Prefix> client, std::vector<Prefix> server);

}  // namespace lt::tunnel
