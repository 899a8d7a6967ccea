#include "tunnel/netlink.h"

#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <string_view>

#include "base/fd.h"
#include "base/handle.h"
#include "base/text.h"

namespace lt::tunnel {

namespace {

using Message = Handle<::nl_msg, ::nlmsg_free>;
using Callbacks = Handle<::nl_cb, ::nl_cb_put>;
using OnMessage = std::function<void(::nlmsghdr*)>;

int family_number(Family family) {
  return family == Family::v4 ? AF_INET : AF_INET6;
}

// One conversation: what the callbacks of libnl, which are C, leave for request().
struct Conversation {
  const OnMessage* on_message{nullptr};
  bool done{false};
  bool interrupted{false};  // the table changed while it was listed
  int error{0};             // errno, positive
  std::string reason;       // the kernel's own words
};

int on_valid(::nl_msg* message, void* argument) {
  auto& conversation = *static_cast<Conversation*>(argument);
  ::nlmsghdr* const header = ::nlmsg_hdr(message);
  if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) conversation.interrupted = true;
  if (*conversation.on_message) (*conversation.on_message)(header);
  return NL_OK;
}

int on_finish(::nl_msg* message, void* argument) {
  auto& conversation = *static_cast<Conversation*>(argument);
  const ::nlmsghdr* const header = ::nlmsg_hdr(message);
  int result = 0;  // the end of a listing carries its error, if any
  if (::nlmsg_datalen(header) >= static_cast<int>(sizeof result)) {
    std::memcpy(&result, ::nlmsg_data(header), sizeof result);
  }
  if (result < 0) conversation.error = -result;
  conversation.done = true;
  return NL_STOP;
}

int on_ack(::nl_msg*, void* argument) {
  static_cast<Conversation*>(argument)->done = true;
  return NL_STOP;
}

// The sizes of <linux/netlink.h> as what they are; its macros mix signs.
constexpr std::size_t message_header_bytes = sizeof(::nlmsghdr);
constexpr std::size_t attribute_header_bytes = sizeof(::nlattr);

// The sentence that newer kernels add to an error (NETLINK_EXT_ACK).
std::string reason_of(const ::nlmsgerr* error) {
  const auto* const first = reinterpret_cast<const Byte*>(error) - message_header_bytes;
  ::nlmsghdr header{};
  std::memcpy(&header, first, sizeof header);
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  std::size_t at = message_header_bytes + sizeof *error;
  if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) at += error->msg.nlmsg_len - message_header_bytes;
  while (at + attribute_header_bytes <= header.nlmsg_len) {
    ::nlattr attribute{};
    std::memcpy(&attribute, first + at, sizeof attribute);
    if (attribute.nla_len < attribute_header_bytes || at + attribute.nla_len > header.nlmsg_len)
      break;
    if (attribute.nla_type == NLMSGERR_ATTR_MSG) {
      const ByteView text(first + at + attribute_header_bytes,
                          attribute.nla_len - attribute_header_bytes);
      const std::string_view words = as_text(text);
      return printable(words.substr(0, words.find('\0')), 200);
    }
    at += (attribute.nla_len + std::size_t{3}) & ~std::size_t{3};
  }
  return {};
}

int on_error(::sockaddr_nl*, ::nlmsgerr* error, void* argument) {
  auto& conversation = *static_cast<Conversation*>(argument);
  conversation.error = -error->error;
  conversation.reason = reason_of(error);
  conversation.done = true;
  return NL_STOP;
}

// Sends `message` and hears the answer to its end. @return errno in Error::sys_errno
Status converse(::nl_sock* socket, ::nl_msg* message, const OnMessage& on_message,
                Conversation& conversation) {
  const Callbacks callbacks(::nl_cb_alloc(NL_CB_DEFAULT));
  if (!callbacks) return fail_errno(ENOMEM, "cannot talk to the kernel's routing");
  conversation.on_message = &on_message;
  ::nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, on_valid, &conversation);
  ::nl_cb_set(callbacks.get(), NL_CB_FINISH, NL_CB_CUSTOM, on_finish, &conversation);
  ::nl_cb_set(callbacks.get(), NL_CB_ACK, NL_CB_CUSTOM, on_ack, &conversation);
  ::nl_cb_err(callbacks.get(), NL_CB_CUSTOM, on_error, &conversation);

  errno = 0;
  if (const int sent = ::nl_send_auto(socket, message); sent < 0) {
    return fail_errno(errno != 0 ? errno : EIO,
                      std::string("cannot ask the kernel's routing: ") + ::nl_geterror(sent));
  }
  while (!conversation.done) {
    const int received = ::nl_recvmsgs(socket, callbacks.get());
    // NL_CB_DEFAULT reports an interrupted listing by -NLE_DUMP_INTR after its end.
    if (received == -NLE_DUMP_INTR) {
      conversation.interrupted = true;
      conversation.done = true;
    } else if (received < 0 && !conversation.done) {
      return fail(Errc::io,
                  std::string("no answer from the kernel's routing: ") + ::nl_geterror(received));
    }
  }
  return {};
}

// @param what  the sentence of the error: "cannot add the route to 10.2.0.0/16"
Status request(::nl_sock* socket, const Message& message, const std::string& what,
               const OnMessage& on_message = {}) {
  Conversation conversation;
  LT_CHECK(converse(socket, message.get(), on_message, conversation));
  if (conversation.error == 0) return {};
  const std::string reason = conversation.reason.empty() ? "" : " (" + conversation.reason + ")";
  return fail_errno(conversation.error, what + reason);
}

// Lists everything of one kind; begins anew when the table changes meanwhile.
template <class Header>
Status list(::nl_sock* socket, int type, const Header& header, const std::string& what,
            const OnMessage& on_message, const std::function<void()>& begin) {
  constexpr int attempts_max = 8;
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    begin();
    const Message message(::nlmsg_alloc_simple(type, NLM_F_DUMP));
    if (!message) return fail_errno(ENOMEM, what);
    auto copy = header;
    if (::nlmsg_append(message.get(), &copy, sizeof copy, NLMSG_ALIGNTO) < 0)
      return fail_errno(ENOMEM, what);
    Conversation conversation;
    LT_CHECK(converse(socket, message.get(), on_message, conversation));
    // ENOENT: nobody has made table 198 yet. EAFNOSUPPORT, EOPNOTSUPP: a system without IPv6.
    if (conversation.error == ENOENT || conversation.error == EAFNOSUPPORT ||
        conversation.error == EOPNOTSUPP) {
      begin();
      return {};
    }
    if (conversation.error != 0) return fail_errno(conversation.error, what);
    if (!conversation.interrupted) return {};
  }
  return fail(Errc::busy, what + ": the table keeps changing");
}

// Builds a request: a header of its kind, then attributes.
class Request {
 public:
  template <class Header>
  Request(int type, int flags, Header header) : message_(::nlmsg_alloc_simple(type, flags)) {
    good_ = message_ && ::nlmsg_append(message_.get(), &header, sizeof header, NLMSG_ALIGNTO) == 0;
  }

  Request& u8(int attribute, std::uint8_t value) { return put(attribute, &value, sizeof value); }
  Request& u32(int attribute, std::uint32_t value) { return put(attribute, &value, sizeof value); }
  Request& bytes(int attribute, ByteView value) {
    return put(attribute, value.data(), value.size());
  }

  Status send(::nl_sock* socket, const std::string& what) const {
    if (!good_) return fail_errno(ENOMEM, what);
    return request(socket, message_, what);
  }

 private:
  Request& put(int attribute, const void* value, std::size_t size) {
    good_ = good_ && ::nla_put(message_.get(), attribute, static_cast<int>(size), value) == 0;
    return *this;
  }

  Message message_;
  bool good_{false};
};

std::uint32_t u32_of(const ::nlattr* attribute) {
  return attribute == nullptr ? 0 : ::nla_get_u32(attribute);
}

std::optional<std::uint32_t> user_of(const ::nlattr* attribute) {
  ::fib_rule_uid_range range{};
  if (attribute == nullptr || ::nla_len(attribute) != static_cast<int>(sizeof range)) return std::nullopt;
  std::memcpy(&range, ::nla_data(attribute), sizeof range);
  return range.start == range.end ? std::optional(range.start) : std::nullopt;
}

// @return nothing when the attribute's size is not the family's
std::optional<Prefix> prefix_of(int family, const ::nlattr* attribute, unsigned length) {
  Prefix prefix;
  prefix.address.family = family == AF_INET ? Family::v4 : Family::v6;
  prefix.length = length;
  if (length > prefix.address.bit_length()) return std::nullopt;
  if (attribute == nullptr) return prefix;
  const std::size_t size = prefix.address.raw().size();
  if (::nla_len(attribute) != static_cast<int>(size)) return std::nullopt;
  std::memcpy(prefix.address.bytes.data(), ::nla_data(attribute), size);
  return prefix;
}

bool is_gone(const Status& status) {
  const int error = status.error().sys_errno;
  return error == ESRCH || error == ENOENT || error == ENODEV || error == EADDRNOTAVAIL ||
         error == EAFNOSUPPORT;
}

// Whether it was missing.
Result<bool> or_there_already(const Status& status) {
  if (status) return true;
  if (status.error().sys_errno == EEXIST) return false;
  return fail(status.error());
}

Status ignoring_which(const Result<bool>& added) {
  if (!added) return fail(added.error());
  return {};
}

Status or_gone(Status status) {
  if (!status && is_gone(status)) return {};
  return status;
}

}  // namespace

void Netlink::Freed::operator()(::nl_sock* socket) const {
  ::nl_socket_free(socket);
}

Netlink::Netlink(Socket socket) : socket_(std::move(socket)) {}

Result<Netlink> Netlink::open() {
  Socket socket(::nl_socket_alloc());
  if (!socket) return fail_errno(ENOMEM, "cannot open a routing socket");
  if (const int error = ::nl_connect(socket.get(), NETLINK_ROUTE); error < 0) {
    return fail(Errc::io, std::string("cannot open a routing socket: ") + ::nl_geterror(error));
  }
  const int fd = ::nl_socket_get_fd(socket.get());
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  // All three are conveniences of newer kernels: reasons in words, short answers, listings filtered
  // by the kernel.
  const int on = 1;
  for (const int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK}) {
    static_cast<void>(::setsockopt(fd, SOL_NETLINK, option, &on, sizeof on));
  }
  return Netlink(std::move(socket));
}

Result<unsigned> Netlink::index_of(const std::string& device) {
  const unsigned index = ::if_nametoindex(device.c_str());
  if (index == 0) return fail(Errc::not_found, "there is no network device named " + device);
  return index;
}

Result<bool> Netlink::device_exists(const std::string& device) {
  return ::if_nametoindex(device.c_str()) != 0;
}

Result<DeviceCounters> Netlink::device_counters(const std::string& device) {
  LT_TRY(const unsigned index, index_of(device));
  ::ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  const Message message(::nlmsg_alloc_simple(RTM_GETLINK, 0));
  const std::string what = "cannot read the counters of " + device;
  if (!message || ::nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO) < 0) {
    return fail_errno(ENOMEM, what);
  }
  std::optional<DeviceCounters> counters;
  LT_CHECK(request(socket_.get(), message, what, [&](::nlmsghdr* answer) {
    const ::nlattr* const stats = ::nlmsg_find_attr(answer, sizeof(::ifinfomsg), IFLA_STATS64);
    if (stats == nullptr) return;
    ::rtnl_link_stats64 raw{};
    std::memcpy(&raw, ::nla_data(stats),
                std::min(sizeof raw, static_cast<std::size_t>(::nla_len(stats))));
    counters = DeviceCounters{.received_packets = raw.rx_packets,
                              .received_bytes = raw.rx_bytes,
                              .receive_errors = raw.rx_errors + raw.rx_frame_errors,
                              .receive_drops = raw.rx_dropped,
                              .sent_packets = raw.tx_packets,
                              .sent_bytes = raw.tx_bytes,
                              .send_drops = raw.tx_dropped};
  }));
  if (!counters) return fail(Errc::io, what + ": the kernel's answer holds none");
  return *counters;
}

namespace {

Status set_flags(::nl_sock* socket, unsigned index, bool up, const std::string& what) {
  ::ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  header.ifi_change = IFF_UP;
  header.ifi_flags = up ? unsigned{IFF_UP} : 0U;
  return Request(RTM_NEWLINK, 0, header).send(socket, what);
}

Status set_number(::nl_sock* socket, unsigned index, int attribute, std::uint32_t value,
                  const std::string& what) {
  ::ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  return Request(RTM_NEWLINK, 0, header).u32(attribute, value).send(socket, what);
}

}  // namespace

Result<bool> Netlink::is_up(const std::string& device) {
  LT_TRY(const unsigned index, index_of(device));
  ::ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  const Message message(::nlmsg_alloc_simple(RTM_GETLINK, 0));
  const std::string what = "cannot look at the device " + device;
  if (!message || ::nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO) < 0) {
    return fail_errno(ENOMEM, what);
  }
  bool up = false;
  LT_CHECK(request(socket_.get(), message, what, [&](::nlmsghdr* answer) {
    ::ifinfomsg found{};
    std::memcpy(&found, ::nlmsg_data(answer), sizeof found);
    up = (found.ifi_flags & IFF_UP) != 0;
  }));
  return up;
}

Status Netlink::set_up(const std::string& device) {
  LT_TRY(const unsigned index, index_of(device));
  return set_flags(socket_.get(), index, true, "cannot take the device " + device + " up");
}

Status Netlink::set_down(const std::string& device) {
  LT_TRY(const unsigned index, index_of(device));
  return set_flags(socket_.get(), index, false, "cannot take the device " + device + " down");
}

Status Netlink::set_mtu(const std::string& device, std::uint32_t mtu) {
  LT_TRY(const unsigned index, index_of(device));
  return set_number(socket_.get(), index, IFLA_MTU, mtu,
                    "cannot set the MTU of " + device + " to " + std::to_string(mtu));
}

Status Netlink::set_queue(const std::string& device, Packets packets) {
  LT_TRY(const unsigned index, index_of(device));
  const std::string text = std::to_string(packets.value);
  if (packets.value > 0x7fffffff)
    return fail(Errc::invalid, "a queue of " + text + " packets is too long");
  return set_number(socket_.get(), index, IFLA_TXQLEN, static_cast<std::uint32_t>(packets.value),
                    "cannot set the queue of " + device + " to " + text + " packets");
}

namespace {

Request address_request(int type, int flags, unsigned index, const Prefix& address) {
  ::ifaddrmsg header{};
  header.ifa_family = static_cast<std::uint8_t>(family_number(address.address.family));
  header.ifa_prefixlen = static_cast<std::uint8_t>(address.length);
  header.ifa_index = index;
  // A point-to-point device has no neighbour to ask for duplicates; the address is usable at once.
  if (address.address.family == Family::v6) header.ifa_flags = IFA_F_NODAD;
  Request request(type, flags, header);
  request.bytes(IFA_LOCAL, address.address.raw()).bytes(IFA_ADDRESS, address.address.raw());
  return request;
}

}  // namespace

Result<bool> Netlink::put_address(const std::string& device, const Prefix& address) {
  LT_TRY(const unsigned index, index_of(device));
  return or_there_already(
      address_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address)
          .send(socket_.get(), "cannot give " + address.text() + " to " + device));
}

Status Netlink::add_address(const std::string& device, const Prefix& address) {
  return ignoring_which(put_address(device, address));
}

Status Netlink::remove_address(const std::string& device, const Prefix& address) {
  const unsigned index = ::if_nametoindex(device.c_str());
  if (index == 0) return {};  // its addresses went with it
  return or_gone(address_request(RTM_DELADDR, 0, index, address)
                     .send(socket_.get(), "cannot take " + address.text() + " from " + device));
}

Result<std::vector<IpAddress>> Netlink::local_addresses() {
  std::vector<IpAddress> addresses;
  const auto collect = [&](::nlmsghdr* answer) {
    ::ifaddrmsg header{};
    std::memcpy(&header, ::nlmsg_data(answer), sizeof header);
    if (header.ifa_family != AF_INET && header.ifa_family != AF_INET6) return;
    // IFA_LOCAL is one's own address; IPv6 has only IFA_ADDRESS, which on IPv4 would be the far
    // end's.
    const ::nlattr* local = ::nlmsg_find_attr(answer, sizeof header, IFA_LOCAL);
    if (local == nullptr) local = ::nlmsg_find_attr(answer, sizeof header, IFA_ADDRESS);
    const auto prefix = prefix_of(header.ifa_family, local, header.ifa_prefixlen);
    if (local == nullptr || !prefix || header.ifa_scope == RT_SCOPE_HOST) return;
    addresses.push_back(prefix->address);
  };
  LT_CHECK(list(socket_.get(), RTM_GETADDR, ::ifaddrmsg{},
                "cannot list the addresses of this machine", collect, [&] { addresses.clear(); }));
  return addresses;
}

Result<std::vector<IpAddress>> local_addresses() {
  LT_TRY(auto netlink, Netlink::open());
  return netlink.local_addresses();
}

Result<std::vector<LinkRule>> Netlink::link_rules() {
  std::vector<LinkRule> all;
  for (const int family : {AF_INET, AF_INET6}) {
    std::vector<LinkRule> rules;
    const auto collect = [&](::nlmsghdr* answer) {
      ::fib_rule_hdr header{};
      std::memcpy(&header, ::nlmsg_data(answer), sizeof header);
      const auto find = [&](int attribute) {
        return ::nlmsg_find_attr(answer, sizeof header, attribute);
      };
      const ::nlattr* const protocol = find(FRA_PROTOCOL);
      if (protocol == nullptr || ::nla_get_u8(protocol) != route_protocol) return;
      const auto prefix = prefix_of(header.family, find(FRA_DST), header.dst_len);
      if (!prefix) return;
      rules.push_back({.preference = u32_of(find(FRA_PRIORITY)),
                       .prefix = *prefix,
                       .mark = u32_of(find(FRA_FWMARK)),
                       .mark_mask = u32_of(find(FRA_FWMASK)),
                       .user = user_of(find(FRA_UID_RANGE))});
    };
    ::fib_rule_hdr header{};
    header.family = static_cast<std::uint8_t>(family);
    LT_CHECK(list(socket_.get(), RTM_GETRULE, header, "cannot list the routing rules", collect,
                  [&] { rules.clear(); }));
    all.insert(all.end(), rules.begin(), rules.end());
  }
  return all;
}

Result<std::vector<LinkRoute>> Netlink::link_routes() {
  std::vector<LinkRoute> all;
  for (const int family : {AF_INET, AF_INET6}) {
    std::vector<LinkRoute> routes;
    const auto collect = [&](::nlmsghdr* answer) {
      ::rtmsg header{};
      std::memcpy(&header, ::nlmsg_data(answer), sizeof header);
      const auto find = [&](int attribute) {
        return ::nlmsg_find_attr(answer, sizeof header, attribute);
      };
      const ::nlattr* const table = find(RTA_TABLE);
      const std::uint32_t number = table != nullptr ? ::nla_get_u32(table) : header.rtm_table;
      if (number != route_table || header.rtm_protocol != route_protocol) return;
      const auto prefix = prefix_of(header.rtm_family, find(RTA_DST), header.rtm_dst_len);
      if (!prefix) return;
      // IPv6 hangs an unreachable route on the loopback device.
      routes.push_back({*prefix, header.rtm_type == RTN_UNICAST ? u32_of(find(RTA_OIF)) : 0});
    };
    ::rtmsg header{};
    header.rtm_family = static_cast<std::uint8_t>(family);
    header.rtm_table = static_cast<std::uint8_t>(route_table);
    LT_CHECK(list(socket_.get(), RTM_GETROUTE, header, "cannot list the routes of table 198",
                  collect, [&] { routes.clear(); }));
    all.insert(all.end(), routes.begin(), routes.end());
  }
  return all;
}

namespace {

Request rule_request(int type, int flags, const LinkRule& rule) {
  ::fib_rule_hdr header{};
  header.family = static_cast<std::uint8_t>(family_number(rule.prefix.address.family));
  header.action = FR_ACT_TO_TBL;
  const bool bypass = rule.preference == bypass_preference;
  const std::uint32_t table = bypass ? std::uint32_t{RT_TABLE_MAIN} : route_table;
  header.table = static_cast<std::uint8_t>(table);
  if (!bypass) header.dst_len = static_cast<std::uint8_t>(rule.prefix.length);
  Request request(type, flags, header);
  request.u32(FRA_PRIORITY, rule.preference).u32(FRA_TABLE, table).u8(FRA_PROTOCOL, route_protocol);
  request.u32(FRA_FWMARK, rule.mark).u32(FRA_FWMASK, rule.mark_mask);
  if (rule.user) {
    const ::fib_rule_uid_range range{.start = *rule.user, .end = *rule.user};
    request.bytes(FRA_UID_RANGE, ByteView(reinterpret_cast<const Byte*>(&range), sizeof range));
  }
  if (!bypass) request.bytes(FRA_DST, rule.prefix.address.raw());
  return request;
}

std::string rule_text(const LinkRule& rule) {
  return rule.preference == bypass_preference ? "the rule for the link's own connection"
                                              : "the rule for " + rule.prefix.text();
}

Request route_request(int type, int flags, const LinkRoute& route) {
  const bool reachable = route.device_index != 0;
  const Family family = route.prefix.address.family;
  ::rtmsg header{};
  header.rtm_family = static_cast<std::uint8_t>(family_number(family));
  header.rtm_dst_len = static_cast<std::uint8_t>(route.prefix.length);
  header.rtm_table = static_cast<std::uint8_t>(route_table);
  header.rtm_protocol = route_protocol;
  header.rtm_scope = reachable && family == Family::v4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  header.rtm_type = reachable ? RTN_UNICAST : RTN_UNREACHABLE;
  Request request(type, flags, header);
  request.bytes(RTA_DST, route.prefix.address.raw()).u32(RTA_TABLE, route_table);
  if (reachable) {
    request.u32(RTA_OIF, route.device_index);
  } else {
    request.u32(RTA_PRIORITY, unreachable_metric);
  }
  return request;
}

std::string route_text(const LinkRoute& route) {
  return (route.device_index != 0 ? "the route to " : "the unreachable route to ") +
         route.prefix.text();
}

}  // namespace

Status Netlink::add_rule(const LinkRule& rule) {
  return ignoring_which(put_rule(rule));
}

Result<bool> Netlink::put_rule(const LinkRule& rule) {
  return or_there_already(rule_request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule)
                              .send(socket_.get(), "cannot add " + rule_text(rule)));
}

Status Netlink::remove_rule(const LinkRule& rule) {
  return or_gone(
      rule_request(RTM_DELRULE, 0, rule).send(socket_.get(), "cannot remove " + rule_text(rule)));
}

Status Netlink::add_route(const LinkRoute& route) {
  return ignoring_which(put_route(route));
}

Result<bool> Netlink::put_route(const LinkRoute& route) {
  return or_there_already(route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route)
                              .send(socket_.get(), "cannot add " + route_text(route)));
}

Status Netlink::remove_route(const LinkRoute& route) {
  return or_gone(route_request(RTM_DELROUTE, 0, route)
                     .send(socket_.get(), "cannot remove " + route_text(route)));
}

// ---- Device
// ----------------------------------------------------------------------------------------------------

namespace {

struct Switch {
  const char* family;  // "ipv4" or "ipv6"
  const char* name;
  const char* value;
};

// security.md 11.6. addr_gen_mode 1: no link-local address, so no router solicitations either.
constexpr Switch switches[] = {
    {"ipv4", "accept_redirects", "0"},    {"ipv4", "send_redirects", "0"},
    {"ipv4", "accept_source_route", "0"}, {"ipv4", "rp_filter", "1"},
    {"ipv6", "accept_ra", "0"},           {"ipv6", "autoconf", "0"},
    {"ipv6", "accept_redirects", "0"},    {"ipv6", "accept_source_route", "0"},
    {"ipv6", "addr_gen_mode", "1"},
};

// @return whether it stood otherwise and was set
// @error  it stands otherwise and cannot be set
Result<bool> set_switch(const std::string& device, const Switch& one) {
  const std::string path =
      "/proc/sys/net/" + std::string(one.family) + "/conf/" + device + "/" + one.name;
  const auto present = read_file(path, 64);
  if (!present && present.error().sys_errno == ENOENT) return false;  // no IPv6 here
  if (present && trim(*present) == one.value) return false;
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.is_open() && ::write(fd.get(), one.value, std::strlen(one.value)) > 0) return true;
  const int error = errno;
  return fail(Errc::not_permitted, path + " should be " + one.value + " and cannot be set (" + std::strerror(error) +
                                       "); set it by sysctl.d");
}

}  // namespace

Result<std::vector<std::string>> bring_up(const DeviceOptions& options) {
  LT_TRY(auto netlink, Netlink::open());
  LT_CHECK(netlink.set_mtu(options.name, options.mtu));
  LT_CHECK(netlink.set_queue(options.name, options.queue));
  std::vector<std::string> notes;
  for (const Switch& one : switches) {
    if (const auto set = set_switch(options.name, one); !set) notes.push_back(set.error().what);
  }
  LT_CHECK(netlink.set_up(options.name));
  return notes;
}

// ---- What others take away
// ----------------------------------------------------------------------------------------

Result<NetworkWatch> NetworkWatch::open(const std::string& device) {
  const unsigned index = ::if_nametoindex(device.c_str());
  if (index == 0) return fail(Errc::not_found, "there is no network device named " + device);
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  ::sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (!fd.is_open() || ::bind(fd.get(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, "cannot listen to the kernel's routing");
  }
  for (const int group : {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_RULE,
                          RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_NETCONF}) {
    if (::setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return fail_errno(errno, "cannot listen to the kernel's routing");
    }
  }
  return NetworkWatch(std::move(fd), index);
}

NetworkWatch::News NetworkWatch::read() {
  News news;
  alignas(::nlmsghdr) std::array<Byte, 16384> room;
  for (;;) {
    const ssize_t count = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (count < 0 && errno == ENOBUFS) {  // more was said than the socket held
      news.is_missing_something = true;
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return news;
    auto* header = reinterpret_cast<::nlmsghdr*>(room.data());
    for (int left = static_cast<int>(count); ::nlmsg_ok(header, left) != 0; header = ::nlmsg_next(header, &left)) {
      judge(header, news);
    }
  }
}

// What concerns this link. What we put back ourselves comes as RTM_NEW..., which is no news but for the device.
void NetworkWatch::judge(const void* message, News& news) const {
  auto* const header = static_cast<::nlmsghdr*>(const_cast<void*>(message));
  const auto body = [&]<class Body>(Body empty) {
    if (::nlmsg_datalen(header) >= static_cast<int>(sizeof empty)) {
      std::memcpy(&empty, ::nlmsg_data(header), sizeof empty);
    }
    return empty;
  };
  const auto is_ours = [&](int index) { return static_cast<unsigned>(index) == index_; };
  switch (header->nlmsg_type) {
    case RTM_DELLINK:
      news.is_device_gone |= is_ours(body(::ifinfomsg{}).ifi_index);
      break;
    case RTM_NEWLINK: {
      const auto link = body(::ifinfomsg{});
      news.is_missing_something |= is_ours(link.ifi_index) && (link.ifi_flags & IFF_UP) == 0;
      break;
    }
    case RTM_DELADDR:
      news.is_missing_something |= is_ours(static_cast<int>(body(::ifaddrmsg{}).ifa_index));
      break;
    case RTM_DELROUTE:
      news.is_missing_something |= body(::rtmsg{}).rtm_protocol == route_protocol;
      break;
    case RTM_DELRULE:
    case RTM_NEWNETCONF:
      news.is_missing_something = true;
      break;
    default:
      break;
  }
}

// ---- Routes of a site
// ----------------------------------------------------------------------------------------

namespace {

// FNV-1a; never 0, because a mark of 0 is no mark.
std::uint32_t tag_of(const std::string& device) {
  std::uint32_t hash = 2166136261U;
  for (const Byte byte : as_bytes(device))
    hash = (hash ^ byte) * 16777619U;
  return hash == 0 ? 1 : hash;
}

LinkRule prefix_rule(const std::string& device, const Prefix& prefix) {
  return {.preference = rule_preference, .prefix = prefix, .mark = tag_of(device), .mark_mask = 0};
}

LinkRule bypass_rule(const std::string& device, Family family) {
  return {.preference = bypass_preference,
          .prefix = {{family, {}}, 0},
          .mark = (tag_of(device) & ~outer_mark_mask) | outer_mark,
          .mark_mask = outer_mark_mask};
}

LinkRule user_rule(const std::string& device, Family family, std::uint32_t user) {
  return {.preference = bypass_preference,
          .prefix = {{family, {}}, 0},
          .mark = tag_of(device),
          .mark_mask = 0,
          .user = user};
}

// Whether `rule` bears the tag of `device`, whichever prefix or user it is for.
bool is_of(const LinkRule& rule, const std::string& device) {
  const Family family = rule.prefix.address.family;
  return rule == prefix_rule(device, rule.prefix) || rule == bypass_rule(device, family) ||
         (rule.user && rule == user_rule(device, family, *rule.user));
}

template <class T>
bool holds(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

std::string device_name(unsigned index) {
  char name[IF_NAMESIZE] = {};
  return ::if_indextoname(index, name) != nullptr ? name : "number " + std::to_string(index);
}

// Removes a rule that no living link needs and, if it was the last one for its prefix, the
// unreachable route.
// @return how many things were removed
Result<unsigned> remove_left_over(Netlink& netlink, const std::vector<LinkRule>& rules,
                                  const LinkRule& rule) {
  unsigned removed = 0;
  const bool shared = std::any_of(rules.begin(), rules.end(), [&](const LinkRule& other) {
    return other.preference == rule_preference && other.prefix == rule.prefix && other != rule;
  });
  const LinkRoute route{rule.prefix, 0};
  if (rule.preference == rule_preference && !shared) {
    LT_TRY(const auto routes, netlink.link_routes());
    if (holds(routes, route)) {
      LT_CHECK(netlink.remove_route(route));
      ++removed;
    }
  }
  LT_CHECK(netlink.remove_rule(rule));
  return removed + 1;
}

}  // namespace

SiteRoutes::SiteRoutes(Netlink netlink, SiteRoutesOptions options)
    : netlink_(std::move(netlink)),
      device_(std::move(options.device)),
      addresses_(std::move(options.tunnel_addresses)) {
  const unsigned index = ::if_nametoindex(device_.c_str());
  for (const Prefix& prefix : options.peer_prefixes) {
    const LinkRule bypass = bypass_rule(device_, prefix.address.family);
    if (!holds(rules_, bypass)) {
      rules_.insert(rules_.begin(), bypass);
      if (options.bypass_user)
        rules_.insert(rules_.begin(), user_rule(device_, prefix.address.family, *options.bypass_user));
    }
    rules_.push_back(prefix_rule(device_, prefix));
    routes_.push_back({prefix, 0});
    routes_.push_back({prefix, index});
  }
}

Result<SiteRoutes> SiteRoutes::install(const SiteRoutesOptions& options) {
  for (const Prefix& prefix : options.peer_prefixes) {
    if (prefix.length == 0) {
      return fail(Errc::invalid, prefix.text() +
                                     " cannot be a peer prefix: it would route this box's own "
                                     "networks into the link; name the peer's networks");
    }
    if (prefix.has_host_bits()) {
      return fail(Errc::invalid,
                  prefix.text() + " is not a network; write " + prefix.network().text());
    }
  }
  LT_TRY(auto netlink, Netlink::open());
  LT_TRY(const bool exists, netlink.device_exists(options.device));
  if (!exists) return fail(Errc::not_found, "there is no network device named " + options.device);

  SiteRoutes routes(std::move(netlink), options);
  if (auto adopted = routes.adopt_left_overs(); !adopted) {
    routes.leave();  // nothing was added: there is nothing to take back
    return fail(std::move(adopted).error());
  }
  LT_CHECK(routes.apply());
  return routes;
}

SiteRoutes& SiteRoutes::operator=(SiteRoutes&& other) noexcept {
  if (this != &other) {
    remove();
    netlink_ = std::move(other.netlink_);
    device_ = std::move(other.device_);
    addresses_ = std::exchange(other.addresses_, {});
    rules_ = std::exchange(other.rules_, {});
    routes_ = std::exchange(other.routes_, {});
  }
  return *this;
}

Status SiteRoutes::adopt_left_overs() {
  LT_TRY(const auto rules, netlink_.link_rules());
  LT_TRY(const auto present, netlink_.link_routes());
  for (const LinkRoute& route : present) {
    const bool ours = holds(routes_, LinkRoute{route.prefix, 0});
    if (ours && route.device_index != 0 && !holds(routes_, route)) {
      return fail(Errc::exists, route.prefix.text() + " is routed into the link on " +
                                    device_name(route.device_index) +
                                    " already; two links cannot lead to the same network");
    }
  }
  for (const LinkRule& rule : rules) {
    if (holds(rules_, rule)) continue;  // adopted as it is
    // Of this device, for a prefix that is no longer configured; or of a link of another name that
    // is gone: it would have been found among the routes above.
    const bool taken_over =
        rule.preference == rule_preference && holds(routes_, LinkRoute{rule.prefix, 0});
    if (taken_over || is_of(rule, device_)) LT_CHECK(remove_left_over(netlink_, rules, rule));
  }
  return {};
}

Status SiteRoutes::apply() {
  for (const Prefix& address : addresses_)
    LT_CHECK(netlink_.add_address(device_, address));
  // Rules before routes: whatever is cut short here bears the tag by which the next start finds it.
  for (const LinkRule& rule : rules_)
    LT_CHECK(netlink_.add_rule(rule));
  for (const LinkRoute& route : routes_)
    LT_CHECK(netlink_.add_route(route));
  return {};
}

void SiteRoutes::leave() {
  addresses_.clear();
  rules_.clear();
  routes_.clear();
}

Result<PutBack> SiteRoutes::put_back() {
  PutBack put;
  LT_TRY(const bool is_up, netlink_.is_up(device_));
  if (!is_up) {
    LT_CHECK(netlink_.set_up(device_));
    put.device = true;
  }
  for (const Switch& one : switches) {
    // One that cannot be set was said at the start.
    if (const auto set = set_switch(device_, one); set && *set) ++put.switches;
  }
  for (const Prefix& address : addresses_) {
    LT_TRY(const bool was_missing, netlink_.put_address(device_, address));
    put.addresses += was_missing ? 1U : 0U;
  }
  for (const LinkRule& rule : rules_) {
    LT_TRY(const bool was_missing, netlink_.put_rule(rule));
    put.rules += was_missing ? 1U : 0U;
  }
  for (const LinkRoute& route : routes_) {
    LT_TRY(const bool was_missing, netlink_.put_route(route));
    put.routes += was_missing ? 1U : 0U;
  }
  return put;
}

void SiteRoutes::remove() noexcept {
  // Errors have nobody to go to here; what stays behind fails closed and is found by its tag at the
  // next start.
  for (const LinkRoute& route : routes_)
    static_cast<void>(netlink_.remove_route(route));
  for (const LinkRule& rule : rules_)
    static_cast<void>(netlink_.remove_rule(rule));
  for (const Prefix& address : addresses_)
    static_cast<void>(netlink_.remove_address(device_, address));
}

Result<unsigned> remove_left_overs(const std::string& device) {
  LT_TRY(auto netlink, Netlink::open());
  LT_TRY(const bool exists, netlink.device_exists(device));
  if (exists) {
    return fail(Errc::busy, "the device " + device +
                                " exists: its link is running; end it with `linktune down`");
  }
  LT_TRY(const auto rules, netlink.link_rules());
  unsigned removed = 0;
  for (const LinkRule& rule : rules) {
    if (!is_of(rule, device)) continue;
    LT_TRY(const unsigned count, remove_left_over(netlink, rules, rule));
    removed += count;
  }
  return removed;
}

}  // namespace lt::tunnel
