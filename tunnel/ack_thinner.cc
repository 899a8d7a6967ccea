#include "tunnel/ack_thinner.h"

#include "tunnel/flow_class.h"
#include "tunnel/ip_packet.h"

namespace lt::tunnel {

namespace {

constexpr std::uint8_t tcp_ece = 0x40;
constexpr std::uint8_t tcp_cwr = 0x80;
constexpr std::size_t tcp_options_at = tcp_header_bytes_min;

// Timestamps and padding repeat in each segment; any other option is news.
bool has_only_timestamps(ByteView header) {
  constexpr Byte end_of_options = 0;
  constexpr Byte no_operation = 1;
  constexpr Byte timestamps = 8;
  for (std::size_t at = tcp_options_at; at < header.size();) {
    if (header[at] == end_of_options) return true;
    if (header[at] == no_operation) {
      ++at;
      continue;
    }
    if (header[at] != timestamps || at + 1 >= header.size() || header[at + 1] < 2) return false;
    at += header[at + 1];
  }
  return true;
}

}  // namespace

std::optional<AckThinner::Segment> AckThinner::tcp_segment(PacketMeta meta, ByteView bytes) {
  const auto packet = parse_ip(bytes);
  if (!packet || packet->protocol != protocol_tcp || packet->is_fragment || packet->transport_header_bytes == 0) return std::nullopt;
  Segment segment;
  const ByteView source = packet->source();
  const ByteView destination = packet->destination();
  const ByteView tcp = packet->transport();
  segment.flow.front() = packet->family == Family::v4 ? 4 : 6;
  auto at = std::copy(source.begin(), source.end(), segment.flow.begin() + 1);
  at = std::copy(destination.begin(), destination.end(), at);
  std::copy(tcp.begin(), tcp.begin() + 4, at);

  constexpr std::uint8_t telling = flow_rule::tcp_deciding | tcp_ece | tcp_cwr;
  const bool has_payload = tcp.size() > packet->transport_header_bytes;
  if (!is_super(meta.kind) && !has_payload && bytes.size() <= ack_bytes_max && (tcp[13] & telling) == flow_rule::tcp_ack &&
      has_only_timestamps(tcp.first(packet->transport_header_bytes))) {
    segment.bare_ack = load_be32(tcp.data() + 8);
    segment.window = load_be16(tcp.data() + 14);
  }
  return segment;
}

AckThinner::Waiting* AckThinner::find(const FlowKey& flow) {
  const auto found = std::find_if(flows_.begin(), flows_.end(), [&](const Waiting& each) { return each.flow == flow; });
  return found == flows_.end() ? nullptr : &*found;
}

AckThinner::Waiting* AckThinner::find_free(Instant now) {
  const auto found =
      std::find_if(flows_.begin(), flows_.end(), [&](const Waiting& each) { return each.bytes == 0 && now >= each.until; });
  return found == flows_.end() ? nullptr : &*found;
}

Instant AckThinner::due() const {
  Instant due = Instant::max();
  for (const Waiting& waiting : flows_)
    if (waiting.bytes > 0) due = std::min(due, waiting.until);
  return due;
}

}  // namespace lt::tunnel
