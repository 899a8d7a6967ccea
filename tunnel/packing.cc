#include "tunnel/packing.h"

#include "base/assert.h"
#include "tunnel/ip_packet.h"

namespace lt::tunnel {

namespace {
constexpr std::size_t meta_bytes = 3;  // kind and gso_size, which the length counts
}

void pack_item_header(std::span<Byte, item_header_bytes> header, PacketMeta meta, std::size_t packet_bytes) {
  store_be32(header.data(), static_cast<std::uint32_t>(packet_bytes + meta_bytes));
  header[4] = static_cast<Byte>(meta.kind);
  store_be16(header.data() + 5, meta.gso_size);
}

// P-33, P-34
Result<Item> ItemCursor::next() {
  LT_ASSERT(!at_end());
  if (rest_.size() < item_header_bytes) return fail(Errc::protocol, "an item's header overruns its record");
  const std::size_t length = load_be32(rest_.data());
  if (length < packet_bytes_min + meta_bytes || length > packet_bytes_max + meta_bytes) {
    return fail(Errc::protocol, "an item of " + std::to_string(length) + " bytes, which is out of range");
  }
  const std::size_t packet_bytes = length - meta_bytes;
  if (packet_bytes > rest_.size() - item_header_bytes) return fail(Errc::protocol, "an item overruns its record");
  const auto kind = packet_kind_from(rest_[4]);
  if (!kind) return fail(Errc::protocol, "an item of the unknown kind " + std::to_string(rest_[4]));
  const Item item{{*kind, load_be16(rest_.data() + 5)},
                  rest_.subspan(item_header_bytes, packet_bytes)};
  rest_ = rest_.subspan(item_header_bytes + packet_bytes);
  return item;
}

}  // namespace lt::tunnel
