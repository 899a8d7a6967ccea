#include "app/link_json.h"

#include <algorithm>
#include <vector>

#include "base/format.h"
#include "base/text.h"

namespace lt::app {

namespace {

Json direction_json(const tunnel::LinkSnapshot::Direction& direction) {
  Json drops = Json::object();
  for (std::size_t i = 0; i < direction.drops.size(); ++i) {
    if (direction.drops[i] != 0) drops[std::string(name_of(static_cast<tunnel::DropReason>(i)))] = direction.drops[i];
  }
  return {{"packets", direction.packets},
          {"packet_bytes", direction.packet_bytes},
          {"records", direction.records},
          {"wire_bytes", direction.wire_bytes},
          {"super_packets", direction.super_packets},
          {"segmented_in_software", direction.segmented},
          {"key_ratchets", direction.ratchets},
          {"drops", drops}};
}

Json lanes_json(const tunnel::LinkSnapshot& snapshot) {
  Json lanes = Json::array();
  for (const tunnel::LaneSnapshot& lane : snapshot.lanes) {
    lanes.push_back({{"index", lane.index},
                     {"express", lane.is_express},
                     {"peer", lane.peer},
                     {"congestion_control", lane.congestion_control},
                     {"age_s", lane.age.count() / 1'000'000'000},
                     {"rtt_us", lane.rtt ? Json(lane.rtt->count() / 1000) : Json()},
                     {"sent_bytes", lane.sent_bytes},
                     {"received_bytes", lane.received_bytes},
                     {"resent_share", lane.resent_share}});
  }
  return lanes;
}

const char* state_of(const configs::LinkConfig& config, const tunnel::LinkSnapshot& snapshot) {
  if (snapshot.has_lane) return snapshot.is_proven ? "up" : "unproven";
  return config.connect ? "connecting" : "listening";
}

std::string amount(std::uint64_t bytes) {
  constexpr std::array units{"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < units.size(); ++unit) value /= 1000;
  return format("{:.{}f} {}", value, unit == 0 ? 0 : 1, units[unit]);
}

}  // namespace

Json status_json(const configs::LinkConfig& config, const tunnel::LinkSnapshot& snapshot, tunnel::IoBackend io,
                 bool offload) {
  Json ends = Json::object();
  for (const auto& [end, count] : snapshot.lane_ends) ends[end] = count;
  Json status{{"schema", "linktune.status.1"},
              {"site", config.site},
              {"state", state_of(config, snapshot)},
              {"device", config.device},
              {"io", io == tunnel::IoBackend::io_uring ? "io_uring" : "epoll"},
              {"offload", offload}};
  status["peer"] = snapshot.has_lane ? Json(snapshot.peer) : Json();
  status["tunnel_mtu_bytes"] = snapshot.has_lane ? Json(snapshot.tun_mtu) : Json();
  status["congestion_control"] = snapshot.has_lane ? Json(snapshot.congestion_control) : Json();
  status["segment_bytes_max"] = snapshot.segment_bytes_max > 0 ? Json(snapshot.segment_bytes_max) : Json();
  status["rtt_us"] = snapshot.rtt ? Json(snapshot.rtt->count() / 1000) : Json();
  status["session_age_s"] = snapshot.lane_age ? Json(snapshot.lane_age->count() / 1'000'000'000) : Json();
  status["lanes_agreed"] = snapshot.lanes_agreed;
  status["lanes"] = lanes_json(snapshot);
  status["sessions"] = snapshot.sessions;
  status["joins"] = snapshot.joins;
  status["connect_failures"] = snapshot.connect_failures;
  status["handshake_failures"] = snapshot.handshake_failures;
  status["strangers"] = snapshot.strangers;
  status["session_ends"] = ends;
  status["last_failure"] = snapshot.last_failure.empty() ? Json() : Json(snapshot.last_failure);
  status["outbound"] = direction_json(snapshot.outbound);
  status["inbound"] = direction_json(snapshot.inbound);
  return status;
}

Json sandbox_json(Stage stage, const ServiceUser& user, bool files_restricted) {
  Json json{{"stage", std::string(name_of(stage))}, {"user", user.name}, {"files_restricted", files_restricted}};
  const auto report = inspect_privileges();
  json["capabilities"] = report ? Json(format("{:#x}", report->capabilities)) : Json();
  json["no_new_privileges"] = report ? Json(report->no_new_privileges) : Json();
  json["system_calls_filtered"] = report ? Json(report->filtered) : Json();
  json["threads"] = report ? Json(report->threads) : Json();
  return json;
}

namespace {

// 12 dropped (source_not_allowed 11, routing_loop 1)
std::string drops_text(const Json& drops) {
  std::uint64_t dropped = 0;
  std::vector<std::string> reasons;
  for (const auto& [reason, count] : drops.items()) {
    dropped += count.get<std::uint64_t>();
    reasons.push_back(reason + " " + std::to_string(count.get<std::uint64_t>()));
  }
  return std::to_string(dropped) + " dropped" + (reasons.empty() ? "" : " (" + join(reasons, ", ") + ")");
}

// What an owner can do about a path that loses packets, where nothing is done yet: cubic and reno take each loss for a queue.
std::string loss_text(const Json& status) {
  constexpr double share_worth_a_word = 0.002;
  double most = 0;
  for (const Json& lane : status["lanes"]) most = std::max(most, lane["resent_share"].get<double>());
  if (most < share_worth_a_word || status["congestion_control"] == "bbr") return {};
  return format("  this path loses packets: {:.1f} % were sent again; congestion_control = \"bbr\" may carry far more (linktune sweep measures it)\n",
                100 * most);
}

}  // namespace

std::string status_text(const Json& status) {
  const std::string state = status.value("state", "unknown");
  std::string text = format("{} is {}", status.value("site", "this site"), state);
  if (status["peer"].is_string()) text += ", joined with " + status["peer"].get<std::string>();
  text += "\n";
  if (status["rtt_us"].is_number()) {
    text += format("  round trip {:.1f} ms, tunnel MTU {}, congestion control {}, {}, offload {}\n",
                        status["rtt_us"].get<double>() / 1000, status["tunnel_mtu_bytes"].get<unsigned>(),
                        status["congestion_control"].get<std::string>(), status["io"].get<std::string>(),
                        status["offload"].get<bool>() ? "on" : "off");
  }
  text += loss_text(status);
  if (status["segment_bytes_max"].is_number()) {
    text += format("  the path drops large packets and tells nobody: TCP segments of at most {} bytes\n", status["segment_bytes_max"].get<unsigned>());
  }
  if (status["lanes_agreed"].get<std::size_t>() > 1) {
    text += format("  {} of {} lanes:", status["lanes"].size(), status["lanes_agreed"].get<std::size_t>());
    for (const Json& lane : status["lanes"]) {
      text += format(" {}{}", lane["index"].get<std::size_t>(), lane["express"].get<bool>() ? " (express)" : "");
      if (lane["rtt_us"].is_number()) text += format(" {:.1f} ms", lane["rtt_us"].get<double>() / 1000);
      text += &lane == &status["lanes"].back() ? "\n" : ",";
    }
    if (status["lanes"].empty()) text += " none\n";
  }
  for (const char* direction : {"outbound", "inbound"}) {
    const Json& counts = status[direction];
    text += format("  {:<8} {} in {} packets, {} records, {}\n", direction,
                        amount(counts["packet_bytes"].get<std::uint64_t>()), counts["packets"].get<std::uint64_t>(),
                        counts["records"].get<std::uint64_t>(), drops_text(counts["drops"]));
  }
  text += format("  sessions {}, failed handshakes {}, strangers {}\n", status["sessions"].get<std::uint64_t>(),
                      status["handshake_failures"].get<std::uint64_t>(), status["strangers"].get<std::uint64_t>());
  if (status.contains("sandbox") && status["sandbox"]["capabilities"].is_string()) {
    const Json& sandbox = status["sandbox"];
    const auto capabilities = sandbox["capabilities"].get<std::string>();
    text += format("  {}, as {}, capabilities {}, system calls {}\n", sandbox["stage"].get<std::string>(),
                   sandbox["user"].get<std::string>(), capabilities == "0x0" ? "none" : capabilities,
                   sandbox["system_calls_filtered"].get<bool>() ? "filtered" : "not filtered");
  }
  if (state != "up" && status["last_failure"].is_string()) {
    text += "  last failure: " + status["last_failure"].get<std::string>() + "\n";
  }
  return text;
}

}  // namespace lt::app
