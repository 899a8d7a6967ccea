#include "lab/sites.h"

#include <unistd.h>

#include <array>
#include <optional>
#include <vector>

#include "base/process.h"
#include "base/text.h"
#include "lab/netns.h"

namespace lt::lab {

namespace {

// Only what the line is told to lose may be lost: a TAP that is read late by a busy emulator must
// not drop. 20,000 packets of 1500 bytes are 1/4 s at 1 Gbit/s.
constexpr unsigned wan_queue_packets = 20'000;

// Above any metric that a tunnel's route would have.
constexpr unsigned clear_route_metric = 4096;

bool has_ipv6() {
  return ::access("/proc/sys/net/ipv6", F_OK) == 0;
}

std::string on_device(std::string_view device) {
  return " dev " + std::string(device);
}

std::string add_address(const Prefix& prefix, std::string_view device) {
  if (prefix.address.family == Family::v4)
    return "addr add " + prefix.text() + on_device(device) + "\n";
  // nodad: an address that waits for its duplicate check is refused for a second.
  return has_ipv6() ? "addr add " + prefix.text() + on_device(device) + " nodad\n" : "";
}

std::string bring_up(std::string_view device) {
  return "link set " + std::string(device) + " mtu " + std::to_string(mtu_bytes) + " up\n";
}

std::string add_pair(std::string_view device, const std::string& peer_namespace) {
  const std::string name(device);
  return "link add " + name + " type veth peer name " + name + " netns " + peer_namespace + "\n";
}

std::string mac_text(const std::array<Byte, 6>& mac) {
  std::string text;
  for (const Byte byte : mac)
    text += (text.empty() ? "" : ":") + to_hex(ByteView(&byte, 1));
  return text;
}

// WAN and control link carry IPv4 only: with IPv6 on, the kernel's own discovery would mix with
// what is counted there.
Status without_ipv6(std::string_view device) {
  if (!has_ipv6()) return {};
  return set_sysctl("net/ipv6/conf/" + std::string(device) + "/disable_ipv6", "1");
}

// Sysctls of a namespace of its own: the machine's are not touched.
Status tune_kernel(const std::optional<std::string>& congestion_control) {
  // Unless told otherwise as Debian has it. A namespace may choose only among what the machine
  // allows to all (tcp_allowed_congestion_control); where cubic is not, the machine's own stays,
  // and programs name theirs.
  const Status chosen =
      set_sysctl("net/ipv4/tcp_congestion_control", congestion_control.value_or("cubic"));
  if (!chosen && congestion_control) {
    return fail(Errc::unsupported, "the congestion control " + printable(*congestion_control, 40) +
                                       " cannot be a namespace's default: see `sysctl "
                                       "net.ipv4.tcp_allowed_congestion_control`");
  }
  // 32 MB fill 1 Gbit/s over 250 ms; the smaller figures are the kernel's own.
  LT_CHECK(set_sysctl("net/ipv4/tcp_rmem", "4096 131072 33554432"));
  LT_CHECK(set_sysctl("net/ipv4/tcp_wmem", "4096 16384 33554432"));
  // A measurement must not inherit the ssthresh of the one before it.
  LT_CHECK(set_sysctl("net/ipv4/tcp_no_metrics_save", "1"));
  for (const std::string where : {"all", "default"}) {
    LT_CHECK(set_sysctl("net/ipv4/conf/" + where + "/rp_filter", "0"));
    if (!has_ipv6()) continue;
    LT_CHECK(set_sysctl("net/ipv6/conf/" + where + "/disable_ipv6", "0"));
    LT_CHECK(set_sysctl("net/ipv6/conf/" + where + "/accept_ra", "0"));
  }
  return {};
}

Status forward() {
  LT_CHECK(set_sysctl("net/ipv4/ip_forward", "1"));
  return has_ipv6() ? set_sysctl("net/ipv6/conf/all/forwarding", "1") : Status{};
}

// The LAN host makes the pair, with the other end in its gateway; its only way out is that gateway.
Status connect_lan_host(const Topology& topology, const Site& site) {
  std::string lines =
      "link set lo up\n" + add_pair(lan_device, topology.namespace_of(site.gateway)) +
      add_address(site.lan_host_v4, lan_device) + add_address(site.lan_host_v6, lan_device) +
      bring_up(lan_device) + "route add default via " + site.gateway_v4.address.text() + "\n";
  if (has_ipv6())
    lines +=
        "route add default via " + site.gateway_v6.address.text() + on_device(lan_device) + "\n";
  LT_CHECK(ip_batch(lines));
  return enable_gro(lan_device);  // as a network card has it; a veth is born without
}

Status connect_gateway(const Site& site) {
  LT_CHECK(forward());
  LT_CHECK(without_ipv6(control_device));
  LT_CHECK(ip_batch("link set lo up\n" + add_address(site.gateway_v4, lan_device) +
                    add_address(site.gateway_v6, lan_device) + bring_up(lan_device) +
                    add_address(site.control_v4, control_device) + bring_up(control_device)));
  return enable_gro(lan_device);
}

}  // namespace

Status check_machine(bool needs_tun) {
  if (::geteuid() != 0)
    return fail(Errc::not_permitted,
                "a lab is made of network namespaces, which need root: run this with sudo");
  if (!find_program("ip"))
    return fail(Errc::not_found, "the program ip is not installed: apt-get install iproute2");
  if (needs_tun && ::access("/dev/net/tun", F_OK) != 0) {
    return fail(Errc::not_found,
                "there is no /dev/net/tun: load its module (modprobe tun), or give the container "
                "the device");
  }
  return {};
}

Status build_sites(const Topology& topology, const std::optional<std::string>& congestion_control) {
  std::vector<std::string> names;
  for (const Host host : all_hosts)
    names.push_back(topology.namespace_of(host));
  LT_CHECK(add_namespaces(names));
  for (const std::string& name : names) {
    LT_CHECK(run_inside(name, [&] { return tune_kernel(congestion_control); }));
  }
  const std::string office_gateway = topology.namespace_of(topology.office.gateway);
  const std::string offsite_gateway = topology.namespace_of(topology.offsite.gateway);
  LT_CHECK(run_inside(office_gateway,
                      [&] { return ip_batch(add_pair(control_device, offsite_gateway)); }));
  for (const Site* const site : {&topology.office, &topology.offsite}) {
    LT_CHECK(run_inside(topology.namespace_of(site->lan_host),
                        [&] { return connect_lan_host(topology, *site); }));
    LT_CHECK(
        run_inside(topology.namespace_of(site->gateway), [&] { return connect_gateway(*site); }));
  }
  return {};
}

Status build_raw_wan(const Topology& topology) {
  const std::string office_gateway = topology.namespace_of(topology.office.gateway);
  const std::string offsite_gateway = topology.namespace_of(topology.offsite.gateway);
  LT_CHECK(
      run_inside(office_gateway, [&] { return ip_batch(add_pair(wan_device, offsite_gateway)); }));
  for (const Site* const site : {&topology.office, &topology.offsite}) {
    LT_CHECK(run_inside(topology.namespace_of(site->gateway),
                        [&] { return configure_wan(*site, topology.other(*site)); }));
  }
  return {};
}

Status configure_wan(const Site& site, const Site& peer) {
  const std::string device(wan_device);
  LT_CHECK(without_ipv6(device));
  return ip_batch("link set " + device + " address " + mac_text(site.wan_mac) + " txqueuelen " +
                  std::to_string(wan_queue_packets) + "\n" + add_address(site.wan_v4, device) +
                  bring_up(device) + "neigh replace " + peer.wan_v4.address.text() + " lladdr " +
                  mac_text(peer.wan_mac) + on_device(device) + " nud permanent\n");
}

Status route_in_clear(const Topology& topology, bool on) {
  for (const Site* const site : {&topology.office, &topology.offsite}) {
    const Site& peer = topology.other(*site);
    const std::string route = "route " + std::string(on ? "replace " : "del ") +
                              peer.lan_host_v4.network().text() + " via " +
                              peer.wan_v4.address.text() + " metric " +
                              std::to_string(clear_route_metric) + "\n";
    LT_CHECK(run_inside(topology.namespace_of(site->gateway), [&] { return ip_batch(route); }));
  }
  return {};
}

Status pin_congestion_control(const Topology& topology, const std::string& name) {
  for (const Site* const site : {&topology.office, &topology.offsite}) {
    const std::string route = "route replace " + site->wan_v4.network().text() + " dev " +
                              std::string(wan_device) + " proto kernel scope link src " +
                              site->wan_v4.address.text() + " congctl " + name + "\n";
    const Status pinned =
        run_inside(topology.namespace_of(site->gateway), [&] { return ip_batch(route); });
    if (!pinned)
      return fail(Errc::unsupported, "the kernel has no congestion control " + printable(name, 40));
  }
  return {};
}

Status remove_sites(const Topology& topology) {
  Status first;
  for (const Host host : all_hosts) {
    const Status removed = remove_namespace(topology.namespace_of(host));
    if (!removed && first) first = removed;
  }
  return first;
}

}  // namespace lt::lab
