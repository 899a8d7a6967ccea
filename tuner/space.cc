#include "tuner/space.h"

#include <algorithm>

namespace lt::tuner {

namespace {

struct Candidate {
  Arm arm;
  bool is_quick;  // also in the short list
};

std::vector<Candidate> native_candidates() {
  using enum ArmCarrier;
  return {
      {{"native defaults", native, {}, "what a new pair of sites runs"}, true},
      {{"native bbr",
        native,
        {{"congestion_control", "bbr"}},
        "keeps its rate over loss that halves cubic's"},
       true},
      {{"native no offload", native, {{"offload", "off"}}, "what super-packets are worth here"},
       true},
      {{"native low latency",
        native,
        {{"notsent_lowat", "64KiB"}, {"tun_queue", "64"}},
        "short queues: less waiting under load"},
       false},
      {{"native deep queues",
        native,
        {{"notsent_lowat", "4MiB"}, {"tun_queue", "2000"}},
        "fewer wake-ups, more waiting under load"},
       false},
      {{"native mtu 9000",
        native,
        {{"mtu", "9000"}},
        "larger inner packets where the hosts send them"},
       false},
      {{"native mtu 9000 no offload",
        native,
        {{"mtu", "9000"}, {"offload", "off"}},
        "the jumbo way, where super-packets are broken"},
       false},
      {{"native small records",
        native,
        {{"record_size", "68KiB"}},
        "one super-packet a record: less holding back"},
       false},
      {{"native epoll", native, {{"io", "epoll"}}, "the data plane without io_uring"}, false},
  };
}

std::vector<Candidate> openvpn_candidates() {
  using enum ArmCarrier;
  const Setting tcp{"proto", "tcp"};
  const Setting no_delay{"tcp_nodelay", "on"};
  const Setting no_clamp{"mssfix", "0"};
  return {
      {{"openvpn udp defaults", openvpn, {{"proto", "udp"}}, "OpenVPN as it comes"}, false},
      {{"openvpn tcp defaults", openvpn, {tcp}, "OpenVPN over TCP as it comes"}, true},
      {{"openvpn tcp nodelay", openvpn, {tcp, no_delay}, "small packets go out at once"}, false},
      {{"openvpn tcp jumbo recipe",
        openvpn,
        {tcp,
         {"tun_mtu", "9000"},
         no_clamp,
         {"txqueuelen", "15000"},
         {"tcp_queue_limit", "256"},
         {"bcast_buffers", "256"},
         no_delay},
        "the widely copied recipe: 630 to 930 Mbit/s on gigabit Ethernet, at a price in latency"},
       true},
      {{"openvpn tcp 9000 short queue",
        openvpn,
        {tcp,
         {"tun_mtu", "9000"},
         no_clamp,
         {"txqueuelen", "100"},
         {"tcp_queue_limit", "1024"},
         no_delay},
        "the recipe's gain without its long queue"},
       true},
      {{"openvpn tcp 24000",
        openvpn,
        {tcp,
         {"tun_mtu", "24000"},
         no_clamp,
         {"txqueuelen", "100"},
         {"tcp_queue_limit", "1024"},
         no_delay},
        "fewer system and cipher calls for each byte"},
       false},
      {{"openvpn tcp 48000",
        openvpn,
        {tcp,
         {"tun_mtu", "48000"},
         no_clamp,
         {"txqueuelen", "100"},
         {"tcp_queue_limit", "1024"},
         no_delay},
        "close to the largest packet that TCP framing carries"},
       true},
      {{"openvpn tcp 9000 p2p",
        openvpn,
        {tcp, {"mode", "p2p"}, {"tun_mtu", "9000"}, no_clamp, {"txqueuelen", "100"}, no_delay},
        "two equal ends: a full socket stops the reading instead of dropping"},
       false},
      {{"openvpn udp 1500 unclamped",
        openvpn,
        {{"proto", "udp"}, no_clamp},
        "whether the line carries fragments"},
       false},
      {{"openvpn udp 9000",
        openvpn,
        {{"proto", "udp"}, {"tun_mtu", "9000"}, no_clamp},
        "jumbo packets in kernel fragments: fast on a clean LAN"},
       false},
      {{"openvpn udp big buffers",
        openvpn,
        {{"proto", "udp"}, {"sndbuf", "4MiB"}, {"rcvbuf", "4MiB"}},
        "bursts that the default socket buffer drops"},
       false},
  };
}

void add(std::vector<Arm>& arms, Arm arm) {
  const std::string text = canonical_text(arm);
  const bool known = std::any_of(arms.begin(), arms.end(),
                                 [&](const Arm& other) { return canonical_text(other) == text; });
  if (!known) arms.push_back(std::move(arm));
}

void add_all(std::vector<Arm>& arms, std::vector<Candidate> candidates, bool quick) {
  for (Candidate& candidate : candidates) {
    if (candidate.is_quick || !quick) add(arms, std::move(candidate.arm));
  }
}

}  // namespace

std::vector<Arm> default_arms(const SpaceOptions& options) {
  std::vector<Arm> arms{{"bare line",
                         ArmCarrier::bare,
                         {},
                         "the line without a tunnel: the ceiling, and the measure of drift"}};
  if (options.incumbent) add(arms, *options.incumbent);
  if (options.with_native) add_all(arms, native_candidates(), options.quick);
  if (options.with_openvpn) add_all(arms, openvpn_candidates(), options.quick);
  return arms;
}

}  // namespace lt::tuner
