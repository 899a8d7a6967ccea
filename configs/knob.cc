#include "configs/knob.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace lt::configs {

namespace {

// A row and the field it speaks of.
template <class Knobs, class... Types>
struct RowOf {
  using Field = std::variant<Types Knobs::*...>;
  Knob knob;
  Field field;
};
using NativeRow = RowOf<NativeKnobs, std::uint32_t, bool, std::string, Bytes, Packets, IoChoice, AeadChoice>;
using OpenVpnRow =
    RowOf<OpenVpnKnobs, std::uint32_t, bool, Packets, std::optional<std::uint32_t>,
          std::optional<Packets>, std::optional<Bytes>, OpenVpnProto, OpenVpnMode, OpenVpnCipher>;

constexpr auto native_rows = std::to_array<NativeRow>({
    {{.name = "native.mtu",
      .type = KnobType::integer,
      .unit = "B",
      .min = 576,
      .max = 65535,
      .scale = Scale::log,
      .sweep = {"1500", "9000", "65000"},
      .why = "largest packet in the tunnel; super-packets already move 64 KiB at once, so a jumbo "
             "value helps only "
             "UDP and kernels without offload. Both ends use the smaller",
      .source = "RFC 791 for the lower end; vpncloud.ddswd.de (0.9 to 1.7 Gb/s by MTU 7000) where "
                "offload is missing"},
     &NativeKnobs::mtu},
    {{.name = "native.offload",
      .type = KnobType::toggle,
      .scale = Scale::choice,
      .sweep = {"on", "off"},
      .why = "carry 64 KiB super-packets unsplit: the largest gain of all; off only where a kernel "
             "is broken",
      .source =
          "EasyTier/EasyTier#2346 (0.9 to 13.9 Gb/s); tailscale/tailscale#13041 (a broken kernel)"},
     &NativeKnobs::offload},
    {{.name = "native.lanes",
      .type = KnobType::integer,
      .unit = "lanes",
      .min = 1,
      .max = 15,
      .scale = Scale::log,
      .sweep = {"1", "2", "4"},
      .why = "TCP connections that share the bulk, each flow pinned to one: more than one helps "
             "on lossy lines with cubic, against policers of single flows, and where there are "
             "cores to spare. Both ends use the smaller",
      .source = "SoftEtherVPN (up to 32 connections); OpenVPN/openvpn#884 (flows pinned, not "
                "striped)"},
     &NativeKnobs::lanes},
    {{.name = "native.express",
      .type = KnobType::toggle,
      .scale = Scale::choice,
      .sweep = {"on", "off"},
      .why = "one more lane for what is short and urgent (ping, DNS, SYN, bare ACK, interactive "
             "ssh), so that bulk never stands in its way; both ends must want it",
      .source = "docs/TUNING.md; RFC 4594 for the marks"},
     &NativeKnobs::express},
    {{.name = "native.flow_queues",
      .type = KnobType::integer,
      .unit = "queues",
      .min = 1,
      .max = 64,
      .scale = Scale::log,
      .sweep = {"1", "64"},
      .why = "queues that the bulk lanes share; each lane reads its own in turn, so many bytes each: "
             "flows in different ones do not wait for each other, a page not for a backup; 1 is "
             "first come, first served",
      .source = "RFC 8290; docs/adr/0031-flow-queues.md"},
     &NativeKnobs::flow_queues},
    {{.name = "native.congestion_control",
      .type = KnobType::name,
      .scale = Scale::choice,
      .choices = {"cubic", "bbr", "reno"},
      .sweep = {"cubic", "bbr"},
      .why = "cubic on a LAN or where the CPU is the limit, bbr on long or lossy lines; always "
             "set, because the "
             "system's default varies",
      .source = "arXiv 2601.05665 (bbr on starved CPUs); Dumazet, netdev 2016 (9150 against 3.3 "
                "Mb/s at 1 % loss)"},
     &NativeKnobs::congestion_control},
    {{.name = "native.notsent_lowat",
      .type = KnobType::bytes,
      .unit = "B",
      .min = 16 << 10,
      .max = 64 << 20,
      .scale = Scale::log,
      .sweep = {"128KiB", "256KiB", "1MiB"},
      .why = "most unsent data in the lane's socket: smaller keeps latency low under load, larger "
             "saves wake-ups",
      .source = "DSVPN (128 KB); haproxy (10x less socket memory at equal speed); tcp(7), "
                "TCP_NOTSENT_LOWAT"},
     &NativeKnobs::notsent_lowat},
    {{.name = "native.queue_delay",
      .type = KnobType::integer,
      .unit = "ms",
      .min = 0,
      .max = 1000,
      .scale = Scale::log,
      .sweep = {"0", "3", "10"},
      .why = "delay that bulk may add in front of the line's bottleneck: the lane is paced just "
             "below what the line delivers, so that nothing else on it waits; 0 fills the buffer "
             "like any other TCP",
      .source = "docs/PERFORMANCE.md; RFC 6817 (delay as the signal)"},
     &NativeKnobs::queue_delay},
    {{.name = "native.tun_queue",
      .type = KnobType::packets,
      .unit = "packets",
      .min = 16,
      .max = 100000,
      .scale = Scale::log,
      .sweep = {"128", "500", "4000"},
      .why = "packets that wait at the tun device, each up to 64 KiB with offload; a full queue "
             "drops, which inner senders take for loss on the line, and a long one keeps bulk "
             "waiting, not the express lane",
      .source = "measured, 500 Mbit/s, 80 ms, 1 %: 128 carries 18 Mbit/s, 1000 carries 91 "
                "(docs/adr/0020-queue-governor.md)"},
     &NativeKnobs::tun_queue},
    {{.name = "native.record_size",
      .type = KnobType::bytes,
      .unit = "B",
      .min = 68 << 10,
      .max = 1 << 20,
      .scale = Scale::log,
      .sweep = {"68KiB", "256KiB", "1MiB"},
      .why = "most plaintext under one AES-GCM tag: fewer calls when it is large, less waiting "
             "when it is small; at "
             "least one whole super-packet",
      .source = "the record limits of LT1 (docs/PROTOCOL.md)"},
     &NativeKnobs::record_size},
    {{.name = "native.io",
      .type = KnobType::choice,
      .scale = Scale::choice,
      .choices = {"automatic", "io_uring", "epoll"},
      .sweep = {"io_uring", "epoll"},
      .why =
          "how packets are read and written; automatic takes io_uring where the kernel allows it",
      .source = "expressvpn/lightway#123 (same speed, half a core less); igorls/meshguard#33 "
                "(disabled in containers)"},
     &NativeKnobs::io},
    {{.name = "native.aead",
      .type = KnobType::choice,
      .scale = Scale::choice,
      .choices = {"automatic", "openssl", "ipsec_mb"},
      .sweep = {"ipsec_mb", "openssl"},
      .why = "who computes AES-256-GCM; automatic takes intel-ipsec-mb where the processor has VAES "
             "with AVX-512. Both make the same bytes, so the sites need not agree",
      .source = "measured: `./run bench micro` (docs/adr/0017-two-aead-backends.md)"},
     &NativeKnobs::aead},
});

constexpr auto openvpn_rows = std::to_array<OpenVpnRow>({
    {{.name = "openvpn.proto",
      .carrier = Carrier::openvpn,
      .type = KnobType::choice,
      .scale = Scale::choice,
      .choices = {"udp", "tcp"},
      .sweep = {"tcp", "udp"},
      .why = "the transport below the tunnel: tcp carries large packets without fragments, udp has "
             "less latency",
      .source = "OpenVPN 2.6 manual, --proto"},
     &OpenVpnKnobs::proto},
    {{.name = "openvpn.mode",
      .carrier = Carrier::openvpn,
      .type = KnobType::choice,
      .scale = Scale::choice,
      .choices = {"server", "p2p"},
      .sweep = {"server"},
      .why = "server: survives restarts of the client, and tcp-queue-limit acts; p2p: a blocked "
             "tcp socket stops the "
             "reading of the tun instead of dropping. p2p needs 2.6 at both ends",
      .source = "OpenVPN 2.6 sources, multi.c and forward.c"},
     &OpenVpnKnobs::mode},
    {{.name = "openvpn.cipher",
      .carrier = Carrier::openvpn,
      .type = KnobType::choice,
      .scale = Scale::choice,
      .choices = {"AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305"},
      .sweep = {"AES-256-GCM", "CHACHA20-POLY1305"},
      .why = "first in data-ciphers; the server's order wins. ChaCha pays only on CPUs without AES "
             "instructions",
      .source = "OpenVPN 2.6 manual, --data-ciphers"},
     &OpenVpnKnobs::cipher},
    {{.name = "openvpn.tun_mtu",
      .carrier = Carrier::openvpn,
      .type = KnobType::integer,
      .unit = "B",
      .min = 576,
      .max = 65511,
      .scale = Scale::log,
      .sweep = {"1500", "9000", "24000", "48000"},
      .why = "one system call and one cipher call a packet, so larger packets cost less; written "
             "at both ends, or the "
             "smaller end black-holes",
      .source = "OpenVPN 2.6: 16-bit length less 24 bytes of AES-GCM framing on tcp, 65483 on udp "
                "over IPv4"},
     &OpenVpnKnobs::tun_mtu},
    {{.name = "openvpn.mssfix",
      .carrier = Carrier::openvpn,
      .type = KnobType::integer,
      .unit = "B",
      .min = 0,
      .max = 65535,
      .may_be_unset = true,
      .scale = Scale::choice,
      .sweep = {"unset", "0"},
      .why = "clamps the MSS of inner TCP; unset is 1492 with outer headers at tun-mtu 1500, else "
             "tun-mtu; 0 switches "
             "it off",
      .source = "OpenVPN 2.6 manual, --mssfix; OpenVPN/openvpn#831"},
     &OpenVpnKnobs::mssfix},
    {{.name = "openvpn.fragment",
      .carrier = Carrier::openvpn,
      .type = KnobType::integer,
      .unit = "B",
      .min = 68,
      .max = 65535,
      .may_be_unset = true,
      .scale = Scale::choice,
      .sweep = {"unset"},
      .why = "OpenVPN's own fragments, udp only, at both ends; a last resort: 4 more bytes a "
             "packet and no kernel data "
             "channel",
      .source = "OpenVPN 2.6 manual, --fragment; fatal with tcp"},
     &OpenVpnKnobs::fragment},
    {{.name = "openvpn.txqueuelen",
      .carrier = Carrier::openvpn,
      .type = KnobType::packets,
      .unit = "packets",
      .min = 16,
      .max = 100000,
      .may_be_unset = true,
      .scale = Scale::log,
      .sweep = {"unset", "100", "1000", "15000"},
      .why = "packets that wait at the tun device; long queues of large packets add latency under "
             "load and little "
             "speed",
      .source = "OpenVPN sources (100 up to 2.4, then the system's 500); ivanvari.com (2.6 million "
                "drops at 100)"},
     &OpenVpnKnobs::txqueuelen},
    {{.name = "openvpn.tcp_queue_limit",
      .carrier = Carrier::openvpn,
      .type = KnobType::packets,
      .unit = "packets",
      .min = 1,
      .max = 65536,
      .scale = Scale::log,
      .sweep = {"64", "256", "1024"},
      .why = "packets a tcp server holds for one client before it drops; only in mode server, only "
             "towards the client",
      .source = "OpenVPN 2.6 manual, --tcp-queue-limit; multi.h"},
     &OpenVpnKnobs::tcp_queue_limit},
    {{.name = "openvpn.bcast_buffers",
      .carrier = Carrier::openvpn,
      .type = KnobType::packets,
      .unit = "packets",
      .min = 1,
      .max = 65536,
      .may_be_unset = true,
      .scale = Scale::log,
      .sweep = {"unset"},
      .why = "the storage of tcp-queue-limit: 256, so a limit of 256 or more never acts and the "
             "oldest packet is lost "
             "instead. unset raises it to what the limit needs",
      .source =
          "OpenVPN 2.6 sources, mbuf.c: rounded up to a power of two, overflow drops the oldest"},
     &OpenVpnKnobs::bcast_buffers},
    {{.name = "openvpn.tcp_nodelay",
      .carrier = Carrier::openvpn,
      .type = KnobType::toggle,
      .scale = Scale::choice,
      .sweep = {"on", "off"},
      .why = "sends small packets at once; tcp only. From 2.7.6 it is always on",
      .source = "OpenVPN 2.6 manual, --tcp-nodelay; OpenVPN commit da4ecf9"},
     &OpenVpnKnobs::tcp_nodelay},
    {{.name = "openvpn.sndbuf",
      .carrier = Carrier::openvpn,
      .type = KnobType::bytes,
      .unit = "B",
      .min = 2048,
      .max = 64 << 20,
      .may_be_unset = true,
      .scale = Scale::log,
      .sweep = {"unset", "1MiB"},
      .why = "send buffer of the outer socket; on tcp any value switches the kernel's autotuning "
             "off; silently capped "
             "by net.core.wmem_max",
      .source = "expressvpn/lightway#437 (59 to 9 Mb/s at 190 ms); socket(7)"},
     &OpenVpnKnobs::sndbuf},
    {{.name = "openvpn.rcvbuf",
      .carrier = Carrier::openvpn,
      .type = KnobType::bytes,
      .unit = "B",
      .min = 2048,
      .max = 64 << 20,
      .may_be_unset = true,
      .scale = Scale::log,
      .sweep = {"unset", "1MiB"},
      .why = "receive buffer of the outer socket; on tcp any value switches the kernel's "
             "autotuning off; silently "
             "capped by net.core.rmem_max",
      .source = "expressvpn/lightway#437 (161 to 11 Mb/s at 190 ms); socket(7)"},
     &OpenVpnKnobs::rcvbuf},
    {{.name = "openvpn.fast_io",
      .carrier = Carrier::openvpn,
      .type = KnobType::toggle,
      .scale = Scale::choice,
      .sweep = {"off"},
      .why = "writes without asking first whether the socket is ready; udp only, ignored from 2.7",
      .source = "OpenVPN 2.6 manual, --fast-io"},
     &OpenVpnKnobs::fast_io},
    {{.name = "openvpn.dco",
      .carrier = Carrier::openvpn,
      .type = KnobType::toggle,
      .scale = Scale::choice,
      .sweep = {"on"},
      .why = "the data channel in the kernel, where a module is there: often faster, sometimes "
             "much slower, so measure",
      .source = "OpenVPN/ovpn-dco#31 (84 against 450 Mb/s); OpenVPN 2.6 manual, --disable-dco"},
     &OpenVpnKnobs::dco},
});

// --- a field's value, read and written ---

template <class T>
concept Enum = std::is_enum_v<T>;

KnobValue to_value(const Knob&, std::uint32_t field) {
  return std::uint64_t{field};
}
KnobValue to_value(const Knob&, bool field) {
  return field;
}
KnobValue to_value(const Knob&, const std::string& field) {
  return field;
}
template <class Tag>
KnobValue to_value(const Knob&, Count<Tag> field) {
  return field.value;
}
KnobValue to_value(const Knob& knob, Enum auto field) {
  return std::string(knob.choices[static_cast<std::size_t>(field)]);
}
template <class T>
KnobValue to_value(const Knob& knob, const std::optional<T>& field) {
  return field ? to_value(knob, *field) : KnobValue(Unset{});
}

void assign(const Knob&, std::uint32_t& field, const KnobValue& value) {
  field = static_cast<std::uint32_t>(std::get<std::uint64_t>(value));
}
void assign(const Knob&, bool& field, const KnobValue& value) {
  field = std::get<bool>(value);
}
void assign(const Knob&, std::string& field, const KnobValue& value) {
  field = std::get<std::string>(value);
}
template <class Tag>
void assign(const Knob&, Count<Tag>& field, const KnobValue& value) {
  field.value = std::get<std::uint64_t>(value);
}
template <Enum E>
void assign(const Knob& knob, E& field, const KnobValue& value) {
  const auto at = std::find(knob.choices.begin(), knob.choices.end(), std::get<std::string>(value));
  field = static_cast<E>(at - knob.choices.begin());  // check_value has found it there
}
template <class T>
void assign(const Knob& knob, std::optional<T>& field, const KnobValue& value) {
  if (std::holds_alternative<Unset>(value)) {
    field.reset();
  } else {
    assign(knob, field.emplace(), value);
  }
}

template <class Row, class Knobs>
KnobValue read_field(const Row& row, const Knobs& knobs) {
  return std::visit([&](auto member) { return to_value(row.knob, knobs.*member); }, row.field);
}

// --- the rows by name ---

std::string normalised(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

std::string prefix_of(Carrier carrier) {
  return carrier == Carrier::native ? "native." : "openvpn.";
}

tl::unexpected<Error> unknown_knob(std::string_view name, const std::vector<std::string>& known) {
  std::string what = "there is no knob `" + printable(name, 60) + "`";
  const auto meant = nearest(normalised(name), known);
  return fail(Errc::invalid, meant ? what + "; did you mean `" + *meant + "`?"
                                   : what + "; the knobs are " + join(known, ", "));
}

template <class Rows>
auto find_row(const Rows& rows, Carrier carrier, std::string_view name)
    -> Result<const typename Rows::value_type*> {
  const std::string wanted = normalised(name);
  std::vector<std::string> known;
  for (const auto& row : rows) {
    if (row.knob.name == wanted || row.knob.name == prefix_of(carrier) + wanted) return &row;
    known.emplace_back(row.knob.key());
  }
  return unknown_knob(
      wanted.starts_with(prefix_of(carrier)) ? wanted.substr(prefix_of(carrier).size()) : wanted,
      known);
}

template <class Rows, class Knobs>
Status set_row(const Rows& rows, Carrier carrier, Knobs& knobs, std::string_view name,
               std::string_view text) {
  LT_TRY(const auto* row, find_row(rows, carrier, name));
  LT_TRY(const KnobValue value, parse_value(row->knob, text));
  std::visit([&](auto member) { assign(row->knob, knobs.*member, value); }, row->field);
  return {};
}

template <class Rows, class Knobs>
Result<std::string> get_row(const Rows& rows, Carrier carrier, const Knobs& knobs,
                            std::string_view name) {
  LT_TRY(const auto* row, find_row(rows, carrier, name));
  return value_text(row->knob, read_field(*row, knobs));
}

template <class Rows, class Knobs>
KnobTexts describe_rows(const Rows& rows, const Knobs& knobs) {
  KnobTexts texts;
  for (const auto& row : rows) {
    texts.emplace_back(row.knob.key(), value_text(row.knob, read_field(row, knobs)));
  }
  return texts;
}

template <class Knobs>
KnobTexts changes(const Knobs& knobs) {
  KnobTexts texts = describe(knobs);
  const KnobTexts defaults = describe(Knobs{});
  std::erase_if(texts, [&](const auto& pair) {
    return std::find(defaults.begin(), defaults.end(), pair) != defaults.end();
  });
  return texts;
}

template <class Rows, class Knobs>
Status validate_rows(const Rows& rows, const Knobs& knobs) {
  for (const auto& row : rows) {
    auto checked = check_value(row.knob, read_field(row, knobs));
    if (!checked) return fail(std::move(checked).error());
  }
  return {};
}

// --- values ---

constexpr std::size_t name_length_max = 15;  // TCP_CA_NAME_MAX is 16, with the final zero

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= name_length_max &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

bool is_number(KnobType type) {
  return type == KnobType::integer || type == KnobType::bytes || type == KnobType::packets;
}

std::string number_text(const Knob& knob, std::uint64_t number) {
  return knob.type == KnobType::bytes ? bytes_text({number}) : std::to_string(number);
}

tl::unexpected<Error> bad_value(const Knob& knob, std::string_view text) {
  return fail(Errc::invalid, "`" + std::string(knob.name) + "` cannot be `" + printable(text, 60) +
                                 "`; write " + range_text(knob));
}

std::string words_text(const Words& words, std::string_view last) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0)
      text +=
          i + 1 == words.size() ? std::string(" ") + std::string(last) + " " : std::string(", ");
    text += words[i];
  }
  return text;
}

}  // namespace

OpenVpnKnobs OpenVpnKnobs::owner_recipe() {
  OpenVpnKnobs knobs;
  knobs.proto = OpenVpnProto::tcp;
  knobs.tun_mtu = 9000;
  knobs.mssfix = 0;
  knobs.txqueuelen = Packets{15000};
  knobs.tcp_queue_limit = Packets{256};
  knobs.bcast_buffers = Packets{256};
  knobs.tcp_nodelay = true;
  return knobs;
}

std::string_view Knob::key() const {
  return name.substr(name.find('.') + 1);
}

std::vector<Knob> knobs() {
  std::vector<Knob> all;
  for (const NativeRow& row : native_rows)
    all.push_back(row.knob);
  for (const OpenVpnRow& row : openvpn_rows)
    all.push_back(row.knob);
  return all;
}

std::vector<Knob> knobs(Carrier carrier) {
  std::vector<Knob> some = knobs();
  std::erase_if(some, [&](const Knob& knob) { return knob.carrier != carrier; });
  return some;
}

Result<Knob> find_knob(std::string_view name) {
  const std::string wanted = normalised(name);
  std::vector<std::string> known;
  for (const Knob& knob : knobs()) {
    if (knob.name == wanted) return knob;
    known.emplace_back(knob.name);
  }
  return unknown_knob(name, known);
}

Result<Knob> find_knob(Carrier carrier, std::string_view name) {
  switch (carrier) {
    case Carrier::native: {
      LT_TRY(const NativeRow* row, find_row(native_rows, carrier, name));
      return row->knob;
    }
    case Carrier::openvpn: {
      LT_TRY(const OpenVpnRow* row, find_row(openvpn_rows, carrier, name));
      return row->knob;
    }
  }
  return unknown_knob(name, {});
}

Result<Bytes> parse_bytes(std::string_view text) {
  struct Suffix {
    std::string_view name;
    unsigned shift;
  };
  constexpr auto suffixes =
      std::to_array<Suffix>({{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"B", 0}});
  std::string_view digits = text;
  unsigned shift = 0;
  for (const Suffix& suffix : suffixes) {
    if (!text.ends_with(suffix.name)) continue;
    digits.remove_suffix(suffix.name.size());
    shift = suffix.shift;
    break;
  }
  const auto number = parse_u64(digits);
  if (!number || *number > UINT64_MAX >> shift) {
    return fail(Errc::invalid, "`" + printable(text, 60) +
                                   "` is not a size; write bytes, or a number and KiB, MiB or GiB");
  }
  return Bytes{*number << shift};
}

std::string bytes_text(Bytes bytes) {
  const std::uint64_t value = bytes.value;
  if (value != 0 && value % (1 << 30) == 0) return std::to_string(value >> 30) + "GiB";
  if (value != 0 && value % (1 << 20) == 0) return std::to_string(value >> 20) + "MiB";
  if (value != 0 && value % (1 << 10) == 0) return std::to_string(value >> 10) + "KiB";
  return std::to_string(value);
}

Result<KnobValue> check_value(const Knob& knob, const KnobValue& value) {
  const auto refuse = [&] { return bad_value(knob, value_text(knob, value)); };
  if (std::holds_alternative<Unset>(value))
    return knob.may_be_unset ? Result<KnobValue>(value) : refuse();
  switch (knob.type) {
    case KnobType::integer:
    case KnobType::bytes:
    case KnobType::packets: {
      const auto* number = std::get_if<std::uint64_t>(&value);
      if (number == nullptr || *number < knob.min || *number > knob.max) return refuse();
      return value;
    }
    case KnobType::toggle:
      return std::holds_alternative<bool>(value) ? Result<KnobValue>(value) : refuse();
    case KnobType::choice: {
      const auto* word = std::get_if<std::string>(&value);
      const bool known = word != nullptr && std::find(knob.choices.begin(), knob.choices.end(),
                                                      *word) != knob.choices.end();
      return known ? Result<KnobValue>(value) : refuse();
    }
    case KnobType::name: {
      const auto* word = std::get_if<std::string>(&value);
      return word != nullptr && is_name(*word) ? Result<KnobValue>(value) : refuse();
    }
  }
  return refuse();
}

Result<KnobValue> parse_value(const Knob& knob, std::string_view text) {
  if (knob.may_be_unset && text == "unset") return KnobValue(Unset{});
  if (knob.type == KnobType::toggle) {
    if (text == "on" || text == "true") return KnobValue(true);
    if (text == "off" || text == "false") return KnobValue(false);
    return bad_value(knob, text);
  }
  if (!is_number(knob.type)) return check_value(knob, KnobValue(std::string(text)));
  std::optional<std::uint64_t> number = parse_u64(text);
  if (knob.type == KnobType::bytes) {
    const auto bytes = parse_bytes(text);
    number = bytes ? std::optional(bytes->value) : std::nullopt;
  }
  if (!number) return bad_value(knob, text);
  return check_value(knob, KnobValue(*number));
}

std::string value_text(const Knob& knob, const KnobValue& value) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return number_text(knob, *number);
  if (const auto* toggle = std::get_if<bool>(&value)) return *toggle ? "on" : "off";
  if (const auto* word = std::get_if<std::string>(&value)) return *word;
  return "unset";
}

std::string range_text(const Knob& knob) {
  std::string text;
  switch (knob.type) {
    case KnobType::integer:
    case KnobType::bytes:
    case KnobType::packets:
      text = number_text(knob, knob.min) + ".." + number_text(knob, knob.max);
      if (knob.type != KnobType::bytes) text += " " + std::string(knob.unit);
      break;
    case KnobType::toggle:
      text = "on or off";
      break;
    case KnobType::choice:
      text = words_text(knob.choices, "or");
      break;
    case KnobType::name:
      text = "a name the kernel knows, such as " + words_text(knob.choices, "or");
      break;
  }
  return knob.may_be_unset ? text + ", or unset" : text;
}

std::string default_text(const Knob& knob) {
  const bool native = knob.carrier == Carrier::native;
  return (native ? get_knob(NativeKnobs{}, knob.name) : get_knob(OpenVpnKnobs{}, knob.name))
      .value_or("");
}

Status set_knob(NativeKnobs& knobs, std::string_view name, std::string_view text) {
  return set_row(native_rows, Carrier::native, knobs, name, text);
}
Status set_knob(OpenVpnKnobs& knobs, std::string_view name, std::string_view text) {
  return set_row(openvpn_rows, Carrier::openvpn, knobs, name, text);
}
Result<std::string> get_knob(const NativeKnobs& knobs, std::string_view name) {
  return get_row(native_rows, Carrier::native, knobs, name);
}
Result<std::string> get_knob(const OpenVpnKnobs& knobs, std::string_view name) {
  return get_row(openvpn_rows, Carrier::openvpn, knobs, name);
}

KnobTexts describe(const NativeKnobs& knobs) {
  return describe_rows(native_rows, knobs);
}
KnobTexts describe(const OpenVpnKnobs& knobs) {
  return describe_rows(openvpn_rows, knobs);
}
KnobTexts describe_changes(const NativeKnobs& knobs) {
  return changes(knobs);
}
KnobTexts describe_changes(const OpenVpnKnobs& knobs) {
  return changes(knobs);
}

Status validate(const NativeKnobs& knobs) {
  return validate_rows(native_rows, knobs);
}

Status validate(const OpenVpnKnobs& knobs) {
  constexpr std::uint32_t tun_mtu_udp_max =
      65483;  // 65507, the largest UDP payload over IPv4, less 24 of AES-GCM framing
  LT_CHECK(validate_rows(openvpn_rows, knobs));
  if (knobs.proto == OpenVpnProto::udp && knobs.tun_mtu > tun_mtu_udp_max) {
    return fail(Errc::invalid, "openvpn.tun_mtu " + std::to_string(knobs.tun_mtu) +
                                   " does not fit a UDP packet; write at most 65483, or proto tcp");
  }
  if (knobs.proto == OpenVpnProto::tcp && knobs.fragment) {
    return fail(
        Errc::invalid,
        "openvpn.fragment ends OpenVPN with proto tcp; write fragment = unset, or proto udp");
  }
  return {};
}

std::string knob_table_markdown() {
  std::string text = "| knob | default | values | why | source |\n|---|---|---|---|---|\n";
  for (const Knob& knob : knobs()) {
    text += "| `" + std::string(knob.name) + "` | " + default_text(knob) + " | " +
            range_text(knob) + " | " + std::string(knob.why) + " | " + std::string(knob.source) +
            " |\n";
  }
  return text;
}

namespace {

// Breaks `text` at blanks, each line behind `indent` blanks.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string out;
  std::string line(indent, ' ');
  for (const std::string_view word : split(text, ' ')) {
    if (line.size() > indent && line.size() + 1 + word.size() > width) {
      out += line + "\n";
      line.assign(indent, ' ');
    }
    if (line.size() > indent) line += ' ';
    line += word;
  }
  return out + line + "\n";
}

}  // namespace

std::string knob_table_text(Carrier carrier) {
  constexpr std::size_t width = 96;
  std::string text;
  for (const Knob& knob : knobs(carrier)) {
    text += wrapped(
        std::string(knob.name) + " = " + default_text(knob) + "   (" + range_text(knob) + ")", 2,
        width);
    text += wrapped(knob.why, 6, width);
  }
  return text;
}

}  // namespace lt::configs
