// Link: the pair of sites, kept joined for ever. What is decided stands in link_machine.h; here are the sockets, the
// lanes' threads and the clock that carry it out.
//
//   connecting  no lane; an attempt is under way, or the next is waited for   (the connecting site)
//   listening   no lane; a knock is waited for                                (the listening site)
//   up          a lane runs                                                   either -> up by a handshake
//   ended       stop() was called and the lanes have said GOODBYE
//
// One thread runs it and does every handshake: data threads never do. Names are resolved by another one.
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
#include "tunnel/lane.h"
#include "tunnel/limits.h"
#include "tunnel/link_machine.h"
#include "tunnel/resolver.h"
#include "tunnel/tcp_stream.h"

namespace lt::tunnel {

/// Which lanes run, by their index: what the steering of the device follows.
struct LanesUp {
  std::vector<bool> bulk;             // one a lane
  std::optional<std::size_t> express; // the index of the express lane, when it runs

  friend bool operator==(const LanesUp&, const LanesUp&) = default;
};

struct LinkOptions {
  std::optional<Endpoint> listen;   // exactly one of the two
  std::optional<Endpoint> connect;
  const crypto::TlsContext* tls{nullptr};  // outlives the link
  crypto::PublicKey own_key{};
  crypto::PublicKey peer_key{};
  std::optional<crypto::Secret<32>> psk;

  // Of lane i; an express lane uses the first of its own only. At least one each; they outlive the link.
  std::vector<std::vector<int>> tun_queues;
  std::uint8_t lanes{1};        // wanted, the express lane among them; at most as many as have queues
  bool express{false};          // wanted: the last lane carries what is short and urgent
  bool tun_offload{false};
  IoBackend io{IoBackend::epoll};
  std::uint32_t tun_mtu{1500};      // offered (unit: B)
  std::uint32_t record_limit{256 * 1024};
  std::size_t record_bytes_max{256 * 1024};
  AdmissionOptions admission;
  StreamOptions stream;
  std::chrono::milliseconds queue_target{0};  // delay that bulk may add on the path; 0: as much as it likes
  DoorLimits door{};
  RatchetLimits ratchet{};
  crypto::AeadBackend aead{crypto::AeadBackend::automatic};  // of every lane; @pre resolve() takes it
  LinkTimes times{};

  std::function<void(const LinkEvent&)> on_event;               // @thread the link's
  std::function<Status(std::uint32_t)> on_agreed_mtu;           // @thread the link's; before the lane starts
  std::function<void(const LanesUp&)> on_lanes;                 // @thread the link's; after each change
};

/// One lane, as `status` shows it.
struct LaneSnapshot {
  std::size_t index{0};
  bool is_express{false};
  std::string peer;
  std::string congestion_control;  // of its socket, as the kernel says
  std::chrono::nanoseconds age{};
  std::optional<std::chrono::nanoseconds> rtt;
  std::uint64_t sent_bytes{0};      // on the wire (unit: B)
  std::uint64_t received_bytes{0};
  double resent_share{0};  // of what this end's TCP has sent on it; 0: none, or too little was sent to say
};

/// What the link has done so far. The counters of all lanes are summed.
struct LinkSnapshot {
  bool has_lane{false};
  bool is_proven{false};  // a full-size PING was answered within the last 3 s (P: what "up" means)
  std::string peer;
  std::uint32_t tun_mtu{0};
  std::string congestion_control;  // of the first lane's socket, as the kernel says
  std::optional<std::chrono::nanoseconds> rtt;
  std::optional<std::chrono::nanoseconds> lane_age;  // of the first lane
  std::size_t lanes_agreed{0};
  bool has_express{false};
  std::vector<LaneSnapshot> lanes;
  std::uint64_t sessions{0};
  std::uint64_t joins{0};          // lanes that joined a session, or took over in one
  std::uint64_t connect_failures{0};
  std::uint64_t handshake_failures{0};
  std::uint64_t strangers{0};
  std::map<std::string, std::uint64_t> lane_ends;  // by name_of(LaneEnd)
  std::string last_failure;                        // the newest reason for not being up
  std::uint32_t segment_bytes_max{0};              // of the outer TCP, asked for; 0: as the system finds it (P-79)
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
  // A connection that is no lane yet, as the machine calls it.
  struct Connection {
    ConnectionId id;
    Fd socket;
    SocketAddress peer;
    bool is_connecting{false};
    bool is_over{false};
    std::vector<Byte> unsent;
    std::optional<DoStartLane> becomes;  // once `unsent` is sent
  };
  struct RunningLane {
    ConnectionId id;
    std::size_t index;
    std::unique_ptr<Lane> lane;
    std::string peer;
    Instant started;
    bool is_express{false};
    bool is_current{false};  // the machine's lane of that index; else it is ending
  };

  explicit Link(LinkOptions options);
  [[nodiscard]] MachineOptions machine_options() const;
  Status serve_events();
  void accept_all();
  void serve(Connection& connection, short events);
  void receive(Connection& connection);
  void flush(Connection& connection);
  void carry_out();
  void carry_out(DoConnect& wish);
  void carry_out(DoSend& wish);
  void carry_out(DoClose& wish);
  void carry_out(DoStartLane& wish);
  void carry_out(DoStopLane& wish);
  void carry_out(DoTell& wish);
  void connect(const DoConnect& wish);
  void answer_waiting_connects();
  void start_lane(Connection& connection);
  Status launch(Connection& connection, DoStartLane& wish);
  void bound_draining_lanes();
  [[nodiscard]] RunningLane* last_of_index(std::size_t index);
  [[nodiscard]] Connection* find_connection(ConnectionId id);
  void hear_lanes();
  void bury_ended_lanes();
  void stop_lanes(GoodbyeReason reason);
  void tell_lanes();
  void emit(const LinkEvent& event);
  void wake() noexcept;
  void add_up(const Lane& lane, LinkSnapshot& snapshot) const;

  LinkOptions options_;
  PrefixHash prefix_hash_{};
  BootId boot_id_{};
  Fd wake_event_;
  Fd listener_;
  std::uint16_t listen_port_{0};
  Instant accept_paused_until_{};  // this process has no descriptor left
  std::atomic<bool> stopping_{false};

  std::unique_ptr<LinkMachine> machine_;
  std::unique_ptr<Resolver> resolver_;
  std::vector<std::pair<DoConnect, Instant>> unresolved_;  // connects that wait for the name, and until when
  std::list<Connection> connections_;
  LanesUp lanes_up_;

  mutable std::mutex mutex_;  // guards what snapshot() reads: the lanes and the totals
  std::list<RunningLane> lanes_;
  LinkSnapshot totals_;
};

/// What both sites hash, so that a disagreement about networks shows at the handshake, not as lost packets.
/// HMAC-SHA256 with the key "LT1 prefixes" over the sorted texts, the client's first.
[[nodiscard]] PrefixHash hash_prefixes(std::vector<Prefix> client, std::vector<Prefix> server);

}  // namespace lt::tunnel
