#include "tuner/path_shape.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "tuner/fields.h"
#include "tuner/path_end.h"

namespace lt::tuner {

namespace {

constexpr std::size_t name_length_max = 64;

Json arrivals_to_json(const Arrivals& arrivals) {
  return {{"sent", arrivals.sent}, {"arrived", arrivals.arrived}, {"loss", arrivals.loss()}};
}

Result<Arrivals> arrivals_from_json(const Json& way, std::string_view name) {
  LT_TRY(const Json value, object_field(way, name));
  Arrivals arrivals;
  LT_TRY(arrivals.sent, whole_field(value, "sent", {0, path_datagrams_max}));
  LT_TRY(arrivals.arrived, whole_field(value, "arrived", {0, arrivals.sent}));
  return arrivals;
}

Json way_to_json(const WayShape& way, Family family) {
  const auto fragments = way.carries_fragments();
  return {{"mtu", way.mtu(family)},
          {"payload_bytes", way.payload_bytes},
          {"is_exact", way.is_exact},
          {"carries_fragments", fragments ? Json(*fragments) : Json(nullptr)},
          {"full_size", arrivals_to_json(way.full_size)},
          {"fragmented", arrivals_to_json(way.fragmented)}};
}

Result<WayShape> way_from_json(const Json& shape, std::string_view name, Family family) {
  LT_TRY(const Json value, object_field(shape, name));
  WayShape way;
  LT_TRY(const std::uint64_t payload, whole_field(value, "payload_bytes", {0, udp_payload_max(family)}));
  way.payload_bytes = static_cast<unsigned>(payload);
  LT_TRY(way.is_exact, truth_field(value, "is_exact"));
  LT_TRY(way.full_size, arrivals_from_json(value, "full_size"));
  LT_TRY(way.fragmented, arrivals_from_json(value, "fragmented"));
  return way;
}

Result<IpAddress> address_field(const Json& value, std::string_view name) {
  LT_TRY(const std::string text, text_field(value, name, name_length_max));
  const auto address = IpAddress::parse(text);
  if (!address) return fail(Errc::invalid, "`" + std::string(name) + "` must be a numeric address");
  return *address;
}

std::string percent(double share) {
  return format("{:.1f}%", share * 100);
}

std::string text_of(const char* name, const WayShape& way, Family family) {
  if (way.payload_bytes == 0) return std::string(name) + "  nothing arrives\n";
  std::string line = std::string(name) + "  MTU " + std::to_string(way.mtu(family)) +
                     (way.is_exact ? "" : " at least") + "  UDP payload " +
                     std::to_string(way.payload_bytes) + "  fragments ";
  const auto fragments = way.carries_fragments();
  line += !fragments ? "not needed" : *fragments ? "survive" : "are lost";
  if (way.fragmented.sent > 0)
    line += " (" + std::to_string(way.fragmented.arrived) + " of " +
            std::to_string(way.fragmented.sent) + ")";
  if (way.full_size.sent > 0)
    line += "  lost " + percent(way.full_size.loss()) + " of " +
            std::to_string(way.full_size.sent) + " full-size packets";
  return line + "\n";
}

}  // namespace

double Arrivals::loss() const {
  if (sent == 0 || arrived >= sent) return 0;
  return static_cast<double>(sent - arrived) / static_cast<double>(sent);
}

unsigned WayShape::mtu(Family family) const {
  return payload_bytes == 0 ? 0 : payload_bytes + datagram_overhead_bytes(family);
}

std::optional<bool> WayShape::carries_fragments() const {
  if (fragmented.sent == 0) return std::nullopt;
  return fragmented.arrived * 2 > fragmented.sent;
}

unsigned PathShape::mtu() const {
  return std::min(up.mtu(family()), down.mtu(family()));
}

Status validate(const PathRequest& request) {
  // The probe's own rules for addresses.
  ProbeRequest like;
  like.data = request.data;
  like.source = request.source;
  LT_CHECK(validate(like));
  if (request.loss_packets > path_loss_packets_max)
    return fail(Errc::invalid, "the number of full-size packets must be between 0 and " +
                                   std::to_string(path_loss_packets_max));
  if (request.expected_bytes > udp_payload_max(request.data.family))
    return fail(Errc::invalid, std::to_string(request.expected_bytes) + " bytes are no size of a datagram here");
  if (request.sizes.size() > path_sizes_max)
    return fail(Errc::invalid,
                "at most " + std::to_string(path_sizes_max) + " sizes can be asked for");
  for (const unsigned size : request.sizes) {
    if (size < PathDatagram::bytes || size > udp_payload_max(request.data.family))
      return fail(Errc::invalid, std::to_string(size) + " bytes are no size of a datagram here");
  }
  return {};
}

Json to_json(const PathShape& shape) {
  Json value = {{"schema", std::string(path_shape_schema)},
                {"data", shape.request.data.text()},
                {"loss_packets", shape.request.loss_packets}};
  if (shape.request.source) value["source"] = shape.request.source->text();
  value["path_failure"] =
      shape.path_failure ? error_to_json(*shape.path_failure) : Json(nullptr);
  value["mtu"] = shape.mtu();
  value["up"] = way_to_json(shape.up, shape.family());
  value["down"] = way_to_json(shape.down, shape.family());
  return value;
}

Result<PathShape> path_shape_from_json(const Json& value) {
  LT_TRY(const std::string schema, text_field(value, "schema", name_length_max));
  if (schema != path_shape_schema)
    return fail(Errc::invalid, "`schema` must be " + std::string(path_shape_schema) + ", not " +
                                   printable(schema, 40));
  PathShape shape;
  LT_TRY(shape.request.data, address_field(value, "data"));
  if (has_field(value, "source")) {
    LT_TRY(shape.request.source, address_field(value, "source"));
  }
  LT_TRY(const std::uint64_t packets,
         whole_field(value, "loss_packets", {0, path_loss_packets_max}));
  shape.request.loss_packets = static_cast<unsigned>(packets);
  LT_CHECK(validate(shape.request));
  if (has_field(value, "path_failure")) {
    LT_TRY(const Json failure, object_field(value, "path_failure"));
    LT_TRY(shape.path_failure, error_from_json(failure));
  }
  LT_TRY(shape.up, way_from_json(value, "up", shape.family()));
  LT_TRY(shape.down, way_from_json(value, "down", shape.family()));
  return shape;
}

std::string text_of(const PathShape& shape) {
  if (shape.path_failure) return "FAILED: " + shape.path_failure->text() + "\n";
  return text_of("up    ", shape.up, shape.family()) +
         text_of("down  ", shape.down, shape.family());
}

}  // namespace lt::tuner
