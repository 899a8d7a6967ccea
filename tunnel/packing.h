// Rooms O3 and I4: several packets in one record, each behind a header of its own.
//
//   item:  u32 length of what follows | u8 kind | u16 gso_size | packet
//
// The length counts kind, gso_size and packet, so an item is skipped without understanding it.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "tunnel/packet_meta.h"
#include "tunnel/wire.h"

namespace lt::tunnel {

/// Writes an item's header in front of its packet.
void pack_item_header(std::span<Byte, item_header_bytes> header, PacketMeta meta, std::size_t packet_bytes);

/// One packet as the peer describes it: believed in nothing until virtio.h and admission.h have judged it.
struct Item {
  PacketMeta meta;
  ByteSpan packet;
};

/// Walks the items of one opened record in place.
class ItemCursor {
 public:
  ItemCursor() = default;
  explicit ItemCursor(ByteSpan payload) : rest_(payload) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  /// The next item. @pre !at_end()
  /// @error protocol: a length that overruns the record, is too small for a packet, or a kind that does not exist.
  ///        Fatal for the lane: the peer is broken or lies
  [[nodiscard]] Result<Item> next();

 private:
  ByteSpan rest_;
};

}  // namespace lt::tunnel
