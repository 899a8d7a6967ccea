#include "tuner/space.h"

#include <algorithm>

#include "base/format.h"
#include "configs/knob.h"
#include "tuner/overhead.h"

namespace lt::tuner {

namespace {

// "" when the arm leaves the knob at its default.
std::string value_of(const Arm& arm, std::string_view name) {
  for (const Setting& setting : arm.settings)
    if (setting.name == name) return setting.value;
  return {};
}

// When an arm's turn comes, where there is time for some only. The main effects are the short list, too: first what lines
// differ by, then what saves CPU time, last what is only there to show what a part is worth.
enum class Turn : std::uint8_t {
  at_once,
  native_bbr,
  udp_fitted,
  tcp_defaults,
  tcp_short_queue,
  tcp_large,
  wireguard_fitted,
  tcp_recipe,
  native_no_offload,
  behind_main_effects,
};

struct Candidate {
  Arm arm;
  Turn turn{Turn::behind_main_effects};
};

std::vector<Candidate> native_candidates() {
  using enum ArmCarrier;
  return {
      {{"native defaults", native, {}, "what a new pair of sites runs"}, Turn::at_once},
      {{"native bbr",
        native,
        {{"congestion_control", "bbr"}},
        "keeps its rate over loss that halves cubic's"},
       Turn::native_bbr},
      {{"native four lanes",
        native,
        {{"lanes", "4"}},
        "several connections share the bulk: loss on one does not slow the others"}},
      {{"native unpaced",
        native,
        {{"queue_delay", "0"}},
        "fills the bottleneck's buffer like any other TCP"}},
      {{"native no offload", native, {{"offload", "off"}}, "what super-packets are worth here"},
       Turn::native_no_offload},
      {{"native low latency",
        native,
        {{"notsent_lowat", "64KiB"}, {"tun_queue", "64"}},
        "short queues: less waiting under load"}},
      {{"native deep queues",
        native,
        {{"notsent_lowat", "4MiB"}, {"tun_queue", "2000"}},
        "fewer wake-ups, more waiting under load"}},
      {{"native mtu 9000",
        native,
        {{"mtu", "9000"}},
        "larger inner packets where the hosts send them"}},
      {{"native mtu 9000 no offload",
        native,
        {{"mtu", "9000"}, {"offload", "off"}},
        "the jumbo way, where super-packets are broken"}},
      {{"native small records",
        native,
        {{"record_size", "68KiB"}},
        "one super-packet a record: less holding back"}},
      {{"native epoll", native, {{"io", "epoll"}}, "the data plane without io_uring"}},
  };
}

// The large packets of OpenVPN over tcp: a short queue each, since each packet of it may wait long.
Arm openvpn_tcp(const std::string& tun_mtu, const std::string& why) {
  return {"openvpn tcp " + tun_mtu,
          ArmCarrier::openvpn,
          {{"proto", "tcp"},
           {"tun_mtu", tun_mtu},
           {"mssfix", "0"},
           {"txqueuelen", "100"},
           {"tcp_queue_limit", "1024"},
           {"tcp_nodelay", "on"}},
          why};
}

std::vector<Candidate> openvpn_tcp_candidates() {
  using enum ArmCarrier;
  const Setting tcp{"proto", "tcp"};
  const Setting no_delay{"tcp_nodelay", "on"};
  const Setting no_clamp{"mssfix", "0"};
  Arm short_queue = openvpn_tcp("9000", "the recipe's gain without its long queue");
  short_queue.label = "openvpn tcp 9000 short queue";
  return {
      {{"openvpn tcp defaults", openvpn, {tcp}, "OpenVPN over TCP as it comes"}, Turn::tcp_defaults},
      {{"openvpn tcp nodelay", openvpn, {tcp, no_delay}, "small packets go out at once"}},
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
       Turn::tcp_recipe},
      {short_queue, Turn::tcp_short_queue},
      {openvpn_tcp("16000", "between the recipe and the largest")},
      {openvpn_tcp("32000", "fewer system and cipher calls for each byte")},
      {openvpn_tcp("48000", "three quarters of the largest packet"), Turn::tcp_large},
      {openvpn_tcp("65000", "close to the largest packet that TCP framing carries")},
      {{"openvpn tcp 9000 p2p",
        openvpn,
        {tcp, {"mode", "p2p"}, {"tun_mtu", "9000"}, no_clamp, {"txqueuelen", "100"}, no_delay},
        "two equal ends: a full socket stops the reading instead of dropping"}},
  };
}

std::vector<Candidate> openvpn_udp_candidates() {
  using enum ArmCarrier;
  const Setting udp{"proto", "udp"};
  const Setting no_clamp{"mssfix", "0"};
  return {
      {{"openvpn udp defaults", openvpn, {udp}, "OpenVPN as it comes"}},
      {{"openvpn udp 1500 unclamped",
        openvpn,
        {udp, no_clamp},
        "whether the line carries fragments"}},
      {{"openvpn udp 9000",
        openvpn,
        {udp, {"tun_mtu", "9000"}, no_clamp},
        "jumbo packets in kernel fragments: fast on a clean LAN"}},
      {{"openvpn udp 32000",
        openvpn,
        {udp, {"tun_mtu", "32000"}, no_clamp},
        "larger still: one lost fragment loses 32 kB"}},
      {{"openvpn udp big buffers",
        openvpn,
        {udp, {"sndbuf", "4MiB"}, {"rcvbuf", "4MiB"}},
        "bursts that the default socket buffer drops"}},
  };
}

// What the line's own MTU asks for; nothing where it is not known.
std::vector<Candidate> fitted_candidates(const SpaceOptions& options) {
  using enum ArmCarrier;
  const auto mtu = options.physics ? options.physics->mtu() : std::nullopt;
  if (!mtu || *mtu < 576) return {};
  const Family family = options.physics->family;
  const std::string fit = std::to_string(openvpn_udp_fit(*mtu, family));
  const std::string whole = std::to_string(*mtu - ip_header_bytes(family) - udp_bytes);
  std::vector<Candidate> fitted;
  if (options.with_openvpn) {
    fitted.push_back({{"openvpn udp fitted",
                       openvpn,
                       {{"proto", "udp"}, {"tun_mtu", fit}, {"mssfix", "0"}},
                       "the largest packet that this path carries whole"},
                      Turn::udp_fitted});
    fitted.push_back({{"openvpn udp own fragments",
                       openvpn,
                       {{"proto", "udp"}, {"fragment", whole}, {"mssfix", whole}},
                       "1500 bytes inside in pieces that this path carries whole"}});
  }
  if (options.with_wireguard) {
    fitted.push_back({{"wireguard fitted",
                       wireguard,
                       {{"mtu", std::to_string(wireguard_fit(*mtu, family))}},
                       "the largest packet that this path carries whole"},
                      Turn::wireguard_fitted});
  }
  return fitted;
}

// The kernel's own data channel is what OpenVPN takes by itself where it can; these do without.
std::vector<Candidate> without_dco() {
  using enum ArmCarrier;
  return {{{"openvpn udp without dco",
            openvpn,
            {{"proto", "udp"}, {"dco", "off"}},
            "the kernel's data channel is slower on some lines"}},
          {{"openvpn tcp without dco",
            openvpn,
            {{"proto", "tcp"}, {"dco", "off"}},
            "the kernel's data channel is slower on some lines"}}};
}

bool is_among(const Arm& arm, const std::vector<Arm>& arms) {
  const std::string text = canonical_text(arm);
  return std::any_of(arms.begin(), arms.end(), [&](const Arm& other) { return canonical_text(other) == text; });
}

void add(std::vector<Arm>& arms, Arm arm) {
  if (!is_among(arm, arms)) arms.push_back(std::move(arm));
}

std::vector<Arm> arms_of(const std::vector<Candidate>& candidates) {
  std::vector<Arm> arms;
  for (const Candidate& candidate : candidates) add(arms, candidate.arm);
  return arms;
}

// OpenVPN and WireGuard as they come, and our own: always in, whatever the line is.
bool is_default(const Arm& arm) {
  const std::string text = canonical_text(arm);
  return text == "bare" || text == "native" || text == "wireguard" || text == "openvpn proto=udp" ||
         text == "openvpn proto=tcp" || text == "openvpn";
}

bool fits_version(const Arm& arm, const SpaceOptions& options) {
  const auto has = [&](std::string_view name) {
    return std::any_of(arm.settings.begin(), arm.settings.end(),
                       [&](const Setting& setting) { return setting.name == name; });
  };
  if (arm.carrier != ArmCarrier::openvpn || !options.openvpn_version) return true;
  constexpr configs::OpenVpnVersion p2p_since{2, 6, 0};
  return !has("mode") || *options.openvpn_version >= p2p_since;
}

// All that is worth a thought, ruled out or not; an arm that is named twice takes the earlier turn.
std::vector<Candidate> all_candidates(const SpaceOptions& options) {
  std::vector<Candidate> all{
      {{"bare line", ArmCarrier::bare, {}, "the line without a tunnel: the ceiling, and the measure of drift"}, Turn::at_once}};
  if (options.incumbent) all.push_back({*options.incumbent, Turn::at_once});
  const auto take = [&](const std::vector<Candidate>& candidates) {
    for (const Candidate& candidate : candidates) {
      if (options.quick && candidate.turn == Turn::behind_main_effects) continue;
      if (fits_version(candidate.arm, options)) all.push_back(candidate);
    }
  };
  if (options.with_native) take(native_candidates());
  if (options.with_openvpn) {
    take(openvpn_tcp_candidates());
    take(openvpn_udp_candidates());
    if (options.has_dco) take(without_dco());
  }
  if (options.with_wireguard) all.push_back({{"wireguard defaults", ArmCarrier::wireguard, {}, "WireGuard as it comes"}});
  take(fitted_candidates(options));
  return all;
}

// The main effects in their turns, then the carriers in turns: who has time for some only takes them from the front, and
// must not find one carrier there alone.
std::vector<Arm> by_worth(std::vector<Candidate> candidates) {
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& one, const Candidate& other) { return one.turn < other.turn; });
  const auto is_behind = [](const Candidate& candidate) { return candidate.turn == Turn::behind_main_effects; };
  const auto rest = std::find_if(candidates.begin(), candidates.end(), is_behind);
  const auto others =
      std::stable_partition(rest, candidates.end(), [](const Candidate& each) { return each.arm.carrier == ArmCarrier::native; });
  const std::vector<Candidate> native(rest, others);
  const std::vector<Candidate> other(others, candidates.end());
  candidates.erase(rest, candidates.end());
  for (std::size_t i = 0; i < std::max(native.size(), other.size()); ++i) {
    if (i < native.size()) candidates.push_back(native[i]);
    if (i < other.size()) candidates.push_back(other[i]);
  }
  return arms_of(candidates);
}

bool is_always_in(const Arm& arm, const SpaceOptions& options) {
  return is_default(arm) ||
         (options.incumbent && canonical_text(*options.incumbent) == canonical_text(arm));
}

Result<configs::OpenVpnKnobs> openvpn_knobs(const Arm& arm) {
  configs::OpenVpnKnobs knobs;
  for (const Setting& setting : arm.settings) {
    LT_CHECK(configs::set_knob(knobs, setting.name, setting.value));
  }
  LT_CHECK(configs::validate(knobs));
  return knobs;
}

std::optional<std::string> ruled_out_udp(const configs::OpenVpnKnobs& knobs,
                                         const Physics& physics) {
  const auto mtu = physics.mtu();
  const auto fragments = physics.carries_fragments();
  if (!mtu) return std::nullopt;
  const std::uint32_t largest = openvpn_udp_packet_max(knobs, physics.family);
  if (largest <= *mtu || fragments != false) return std::nullopt;
  return format(
      "its packets of up to {} bytes need IP fragments, which this line drops (path MTU {})",
      largest, *mtu);
}

}  // namespace

std::vector<Arm> default_arms(const SpaceOptions& options) {
  std::vector<Arm> arms = by_worth(all_candidates(options));
  if (!options.physics) return arms;
  std::erase_if(arms, [&](const Arm& arm) {
    return !is_always_in(arm, options) && ruled_out(arm, *options.physics);
  });
  return arms;
}

std::optional<std::string> ruled_out(const Arm& arm, const Physics& physics) {
  if (arm.carrier != ArmCarrier::openvpn) return std::nullopt;
  const auto knobs = openvpn_knobs(arm);
  if (!knobs) return knobs.error().what;
  if (knobs->proto == configs::OpenVpnProto::tcp) return std::nullopt;
  return ruled_out_udp(*knobs, physics);
}

std::vector<std::string> ruled_out_arms(const SpaceOptions& options) {
  std::vector<std::string> reasons;
  if (!options.physics) return reasons;
  for (const Arm& arm : arms_of(all_candidates(options))) {
    const auto reason = ruled_out(arm, *options.physics);
    if (!reason) continue;
    reasons.push_back(arm.label + ": " + *reason +
                      (is_always_in(arm, options) ? "; tried all the same" : ""));
  }
  return reasons;
}

Bound bound_of(const Arm& arm, const Physics& physics) {
  Bound bound = bound_of(physics);
  if (arm.carrier != ArmCarrier::openvpn) return bound;
  const auto knobs = openvpn_knobs(arm);
  if (!knobs) return bound;
  const auto share = openvpn_share_of_bare(*knobs, physics);
  if (!share) return bound;
  const auto lower = [&](std::optional<BitsPerSecond>& way) {
    if (way)
      way = BitsPerSecond{
          static_cast<std::uint64_t>(static_cast<double>(way->value) * std::min(1.0, *share))};
  };
  lower(bound.up);
  lower(bound.down);
  bound.text += format("; of it {:.1f} % at most remain behind this arm's headers",
                       100 * std::min(1.0, *share));
  return bound;
}

// --- the screen round an arm ---

namespace {

// What each knob's screen goes through. A row of the knob table that is not named here, such as a
// new one, gives its own `sweep` values.
std::vector<std::string> values_of(const configs::Knob& knob, const Arm& arm,
                                   const SpaceOptions& options) {
  const std::string_view key = knob.key();
  const bool is_udp = arm.carrier == ArmCarrier::openvpn && value_of(arm, "proto") != "tcp";
  if (arm.carrier == ArmCarrier::openvpn) {
    if (key == "txqueuelen") return {"unset", "100", "500", "1000", "5000"};
    if (key == "sndbuf" || key == "rcvbuf")
      return is_udp ? std::vector<std::string>{"unset", "1MiB", "4MiB"}
                    : std::vector<std::string>{"unset", "1MiB"};
    if (key == "cipher") return {"AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305"};
    if (key == "tcp_queue_limit") return {"64", "256", "1024"};
    if (key == "dco")
      return options.has_dco ? std::vector<std::string>{"on", "off"} : std::vector<std::string>{};
  }
  return {knob.sweep.begin(), knob.sweep.end()};
}

// Knobs that do nothing on this arm, or that another knob of the arm stands for.
bool is_idle(std::string_view key, const Arm& arm, const SpaceOptions& options) {
  if (arm.carrier == ArmCarrier::native) return key == "io" && options.quick;
  const bool is_tcp = value_of(arm, "proto") == "tcp";
  const bool is_p2p = value_of(arm, "mode") == "p2p";
  constexpr configs::OpenVpnVersion always_nodelay{2, 7, 6};
  if (key == "tcp_queue_limit") return !is_tcp || is_p2p;
  if (key == "tcp_nodelay")
    return !is_tcp || (options.openvpn_version && *options.openvpn_version >= always_nodelay);
  if (key == "fragment" || key == "fast_io") return is_tcp;
  return key == "mode" || key == "bcast_buffers" || key == "proto";
}

Arm with(const Arm& arm, std::string_view key, const std::string& value) {
  Arm changed = arm;
  std::erase_if(changed.settings, [&](const Setting& setting) { return setting.name == key; });
  changed.settings.push_back({std::string(key), value});
  return changed;
}

// A setting at its default is no setting: the same arm has one text.
Arm without_defaults(Arm arm) {
  std::erase_if(arm.settings, [&](const Setting& setting) {
    if (setting.name == "proto")
      return false;  // the defaults of both protocols have it in their text
    const auto carrier =
        arm.carrier == ArmCarrier::native ? configs::Carrier::native : configs::Carrier::openvpn;
    const auto knob = configs::find_knob(carrier, setting.name);
    return knob && configs::default_text(*knob) == setting.value;
  });
  return arm;
}

}  // namespace

std::vector<Arm> neighbours_of(const Arm& arm, const SpaceOptions& options) {
  if (arm.carrier != ArmCarrier::native && arm.carrier != ArmCarrier::openvpn) return {};
  const auto carrier =
      arm.carrier == ArmCarrier::native ? configs::Carrier::native : configs::Carrier::openvpn;
  const Arm centre = without_defaults(arm);
  std::vector<Arm> found;
  for (const configs::Knob& knob : configs::knobs(carrier)) {
    if (is_idle(knob.key(), arm, options)) continue;
    for (const std::string& value : values_of(knob, arm, options)) {
      Arm near = without_defaults(with(arm, knob.key(), value));
      if (canonical_text(near) == canonical_text(centre)) continue;
      if (options.physics && ruled_out(near, *options.physics)) continue;
      near.label = (name_of(arm.carrier) == "native" ? "" : "openvpn ") + std::string(knob.key()) +
                   "=" + value;
      near.label = near.label.substr(0, label_length_max);
      near.why = "one knob away from `" + arm.label + "`";
      add(found, std::move(near));
    }
  }
  return found;
}

}  // namespace lt::tuner
