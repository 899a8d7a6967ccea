// Devices, addresses, routes and rules of the kernel. The door of libnl.
//
// Theory of the routes (security.md D11, 11). For each prefix of the peer the link has
//   - in table 198 a route through its device, and under it (metric 4278198272) an `unreachable`
//   route: when the device is
//     gone the hosts hear "unreachable", and nothing leaves in clear by the default gateway;
//   - a rule of preference 5198, before `main`: no more-specific route of DHCP or of a hand pulls
//   traffic out of the link;
// and for the whole link a rule of preference 5197: sockets marked 0x5198 look into `main`, so the
// link's own connection never enters the link. Where the daemon runs as a user of its own, a second
// rule of that preference says the same of all that user's sockets: those cannot be marked without
// a privilege, and the questions to the resolver are among them (security.md D12). All of it
// carries protocol 198.
//
// Whose is a left-over? A killed link leaves its rules and its unreachable routes (on purpose: fail
// closed). Several links of one box share table, preferences and protocol, so each rule carries the
// owner's tag, a hash of the device's name, where it changes nothing: in mark bits that the rule's
// mask leaves out. A route belongs to the rule of its prefix. An owner takes back what bears its
// tag, and what nobody uses: a prefix without a route through a living device.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"
#include "base/units.h"

struct nl_sock;

namespace lt::tunnel {

inline constexpr std::uint32_t route_table = 198;
inline constexpr std::uint8_t route_protocol = 198;
inline constexpr std::uint32_t rule_preference = 5198;
inline constexpr std::uint32_t bypass_preference = 5197;
inline constexpr std::uint32_t unreachable_metric = 4278198272;
/// SO_MARK of the link's own sockets (the lower 16 bits; the upper ones are free).
inline constexpr std::uint32_t outer_mark = 0x5198;
inline constexpr std::uint32_t outer_mark_mask = 0xffff;

/// What the kernel counts on a device; for a TUN device, "received" is what was written to its
/// descriptor.
struct DeviceCounters {
  std::uint64_t received_packets{0};
  std::uint64_t received_bytes{0};
  std::uint64_t receive_errors{0};
  std::uint64_t receive_drops{0};
  std::uint64_t sent_packets{0};
  std::uint64_t sent_bytes{0};
  std::uint64_t send_drops{0};  // the device's queue was full
};

/// A rule of ours: to `prefix` look into table 198; or, with preference 5197, marked packets into
/// `main`.
struct LinkRule {
  std::uint32_t preference{rule_preference};
  Prefix prefix;          // of a bypass rule only the family counts
  std::uint32_t mark{0};  // with the owner's tag in the bits outside `mark_mask`
  std::uint32_t mark_mask{0};
  std::optional<std::uint32_t> user{};  // of a bypass rule: this user's sockets, whatever their mark

  friend bool operator==(const LinkRule&, const LinkRule&) = default;
};

/// A route of ours in table 198.
struct LinkRoute {
  Prefix prefix;
  unsigned device_index{0};  // 0: the unreachable route

  friend bool operator==(const LinkRoute&, const LinkRoute&) = default;
};

/// A routing socket of the calling thread's network namespace.
///
/// Errors of all functions: not_permitted (CAP_NET_ADMIN is needed to change anything), not_found
/// (no such device), busy, invalid (the kernel's own words are in the sentence), io.
/// @thread one at a time
class Netlink {
 public:
  [[nodiscard]] static Result<Netlink> open();

  [[nodiscard]] Result<bool> device_exists(const std::string& device);
  [[nodiscard]] Result<DeviceCounters> device_counters(const std::string& device);
  [[nodiscard]] Status set_up(const std::string& device);
  [[nodiscard]] Status set_down(const std::string& device);
  /// @param mtu (unit: B) @pre 68..65535; with IPv6 addresses at least 1280
  [[nodiscard]] Status set_mtu(const std::string& device, std::uint32_t mtu);
  /// The packets that wait for a reader of the device (txqueuelen).
  [[nodiscard]] Status set_queue(const std::string& device, Packets packets);
  /// Adds an address with its prefix length; one that is there already is no error.
  [[nodiscard]] Status add_address(const std::string& device, const Prefix& address);
  /// Removes an address; one that is not there is no error.
  [[nodiscard]] Status remove_address(const std::string& device, const Prefix& address);
  /// All addresses of this namespace but those of the loopback device, in the kernel's order.
  [[nodiscard]] Result<std::vector<IpAddress>> local_addresses();

  /// The rules of protocol 198, and the routes of protocol 198 in table 198.
  [[nodiscard]] Result<std::vector<LinkRule>> link_rules();
  [[nodiscard]] Result<std::vector<LinkRoute>> link_routes();
  /// Adding what is there and removing what is not are no errors.
  [[nodiscard]] Status add_rule(const LinkRule& rule);
  [[nodiscard]] Status remove_rule(const LinkRule& rule);
  [[nodiscard]] Status add_route(const LinkRoute& route);
  [[nodiscard]] Status remove_route(const LinkRoute& route);

 private:
  struct Freed {
    void operator()(::nl_sock* socket) const;
  };
  using Socket = std::unique_ptr<::nl_sock, Freed>;
  friend class SiteRoutes;
  explicit Netlink(Socket socket);

  [[nodiscard]] Result<unsigned> index_of(const std::string& device);
  [[nodiscard]] Result<bool> is_up(const std::string& device);
  // As add_...(): @return whether it was missing
  [[nodiscard]] Result<bool> put_address(const std::string& device, const Prefix& address);
  [[nodiscard]] Result<bool> put_rule(const LinkRule& rule);
  [[nodiscard]] Result<bool> put_route(const LinkRoute& route);

  Socket socket_;
};

/// The addresses of this machine, without loopback: which prefixes are ours, whether the peer's
/// endpoint is ourselves.
[[nodiscard]] Result<std::vector<IpAddress>> local_addresses();

/// What was missing and has been put back. (unit: pieces)
struct PutBack {
  unsigned addresses{0};
  unsigned rules{0};
  unsigned routes{0};
  unsigned switches{0};  // of /proc/sys
  bool device{false};    // it was down

  [[nodiscard]] unsigned total() const { return addresses + rules + routes + switches + (device ? 1U : 0U); }
};

/// Hears of what others take away from a link: its device, addresses, rules and routes. Needs no privilege.
/// @thread one
class NetworkWatch {
 public:
  /// @param device  exists
  [[nodiscard]] static Result<NetworkWatch> open(const std::string& device);

  [[nodiscard]] int fd() const { return fd_.get(); }
  struct News {
    bool is_missing_something{false};  // look, and put back; also when the kernel had more to say than was kept
    bool is_device_gone{false};
  };
  /// What was said since the last call; does not wait.
  [[nodiscard]] News read();

 private:
  NetworkWatch(Fd fd, unsigned index) : fd_(std::move(fd)), index_(index) {}
  void judge(const void* header, News& news) const;

  Fd fd_;
  unsigned index_;
};

struct DeviceOptions {
  std::string name;
  std::uint32_t mtu{1500};  // (unit: B)
  Packets queue{500};       // txqueuelen
};

/// Sets MTU, queue and the per-device switches, then takes the device up. It has no addresses yet:
/// the moment for self_test (tun_device.h).
///
/// The switches: no ICMP redirects, no source routes, strict reverse path, no IPv6
/// autoconfiguration.
/// @return one sentence for each switch that this system did not let us set and that stands
/// otherwise (a sandboxed
///         service cannot write /proc/sys; then sysctl.d has to do it)
/// @source security.md 11.6
[[nodiscard]] Result<std::vector<std::string>> bring_up(const DeviceOptions& options);

struct SiteRoutesOptions {
  std::string device;                    // exists and is up
  std::vector<Prefix> tunnel_addresses;  // own addresses in the tunnel
  std::vector<Prefix> peer_prefixes;     // networks, without host bits
  // A user whose sockets are all the link's own: never root, never one that others share.
  std::optional<std::uint32_t> bypass_user{};
};

/// Addresses, routes and rules of one link, from install() until the object goes. Idempotent over
/// what a killed link of the same device has left.
class SiteRoutes {
 public:
  /// @error exists   another living link routes one of the prefixes
  /// @error invalid  a prefix of length 0, or with host bits
  /// @error others   as Netlink; what was done until then has been taken back
  [[nodiscard]] static Result<SiteRoutes> install(const SiteRoutesOptions& options);

  SiteRoutes(SiteRoutes&&) noexcept = default;
  SiteRoutes& operator=(SiteRoutes&& other) noexcept;
  /// Takes away exactly what install() added or adopted. What somebody else removed meanwhile is no
  /// matter.
  ~SiteRoutes() { remove(); }

  /// Puts back what an administrator has removed, or the kernel when the device was down for a
  /// moment (security.md D-13). @pre the device is up
  [[nodiscard]] Status restore() { return apply(); }
  /// Looks at everything of the link, the device's switches and its being up included, and puts back what is missing.
  /// @error not_found: the device is gone
  [[nodiscard]] Result<PutBack> put_back();
  /// Lets go: nothing is removed when the object goes.
  void leave();

 private:
  SiteRoutes(Netlink netlink, SiteRoutesOptions options);
  [[nodiscard]] Status adopt_left_overs();
  [[nodiscard]] Status apply();
  void remove() noexcept;

  // All four lists are empty once moved from; then nothing is removed.
  Netlink netlink_;
  std::string device_;
  std::vector<Prefix> addresses_;
  std::vector<LinkRule> rules_;
  std::vector<LinkRoute> routes_;
};

/// Removes the rules and routes that a killed link of `device` has left: `linktune down --force`.
/// @return how many rules and routes
/// @error busy  the device exists: that link is alive
[[nodiscard]] Result<unsigned> remove_left_overs(const std::string& device);

}  // namespace lt::tunnel
