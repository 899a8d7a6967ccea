// The linter's table. A rule is true of the versions since <= version < before, of each line with
// its option, where `applies` says so. Grown by adding a row, and its line to the test's table.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "configs/openvpn_lint.h"

namespace lt::configs {

namespace {

constexpr OpenVpnVersion v2_4{2, 4, 0};
constexpr OpenVpnVersion v2_5{2, 5, 0};
constexpr OpenVpnVersion v2_6{2, 6, 0};
constexpr OpenVpnVersion v2_7{2, 7, 0};
constexpr OpenVpnVersion always_nodelay{2, 7, 6};
constexpr OpenVpnVersion later{3, 0, 0};

using Line = OpenVpnLine;
using Subject = LintSubject;

// What fits one datagram of a path of 1500 bytes: 1500 - IP 20 - UDP 8 - 24 of AES-256-GCM.
constexpr std::uint64_t fit_udp4 = 1448;
constexpr std::uint64_t queue_default = 256;  // bcast-buffers

std::uint64_t number_of(const Line& line) {
  return parse_u64(line.word(1)).value_or(0);
}
bool is_zero(const Line& line) {
  return parse_u64(line.word(1)) == std::uint64_t{0};
}
bool is_tls(const Subject& s) {
  return !s.is_static_key;
}
bool is_only_tcp(const Subject& s) {
  return s.uses_tcp && !s.uses_udp;
}
bool is_only_udp(const Subject& s) {
  return s.uses_udp && !s.uses_tcp;
}
bool is_server(const Subject& s) {
  return s.role == OpenVpnRole::server;
}
bool is_client(const Subject& s) {
  return s.role == OpenVpnRole::client;
}
bool always(const Line&, const Subject&) {
  return true;
}

// The first word of what a push line pushes, and the rest of it.
std::string_view pushed(const Line& line) {
  return split(trim(line.word(1)), ' ')[0];
}
bool pushes(const Line& line, std::initializer_list<std::string_view> options) {
  return std::find(options.begin(), options.end(), pushed(line)) != options.end();
}

// A list as AES-256-GCM:?CHACHA20-POLY1305.
bool lists(const Line& line, bool (*is_meant)(std::string_view cipher)) {
  const auto ciphers = split(line.word(1), ':');
  return std::any_of(ciphers.begin(), ciphers.end(), [&](std::string_view cipher) {
    if (cipher.starts_with('?')) cipher.remove_prefix(1);
    return is_meant(cipher);
  });
}
bool has_small_blocks(std::string_view cipher) {
  return cipher.starts_with("BF-") || cipher.starts_with("DES") || cipher.starts_with("CAST5") ||
         cipher.starts_with("RC2") || cipher.starts_with("IDEA");
}
bool is_nothing(std::string_view cipher) {
  return cipher == "none";
}
bool is_slow_cipher(std::string_view cipher) {
  return cipher.ends_with("-CBC") || cipher.ends_with("-CFB") || cipher.ends_with("-OFB") ||
         cipher.ends_with("-CFB1") || cipher.ends_with("-CFB8");
}
bool has_weak_cipher(const Line& line, const Subject&) {
  return lists(line, has_small_blocks);
}
bool has_no_cipher(const Line& line, const Subject&) {
  return lists(line, is_nothing);
}
bool has_slow_cipher(const Line& line, const Subject&) {
  return lists(line, is_slow_cipher) && !lists(line, has_small_blocks);
}
// What `cipher` says counts: always below 2.6, with a static key in every version.
bool cipher_counts(const Subject& s) {
  return s.is_static_key || s.version < v2_6;
}

// The queue of a server's client is as long as bcast-buffers, the power of two above it.
bool is_beyond_buffers(const Line& line, const Subject& s) {
  if (!is_server(s) || is_only_udp(s)) return false;
  const std::uint64_t buffers =
      std::min<std::uint64_t>(s.number("bcast-buffers", queue_default), 65536);
  std::uint64_t room = 1;
  while (room < buffers)
    room *= 2;
  return number_of(line) >= room;
}

bool is_self_signed(const Subject& s) {
  return s.has("peer-fingerprint");
}

bool is_relative(std::string_view path) {
  return !path.empty() && path.front() != '/' && path != "none" && path != "[inline]" &&
         path != "stdin";
}
bool names_file(const Line& line) {
  static constexpr std::array<std::string_view, 17> options{"ca",
                                                            "cert",
                                                            "key",
                                                            "dh",
                                                            "tls-auth",
                                                            "tls-crypt",
                                                            "tls-crypt-v2",
                                                            "crl-verify",
                                                            "secret",
                                                            "pkcs12",
                                                            "extra-certs",
                                                            "client-config-dir",
                                                            "auth-user-pass",
                                                            "askpass",
                                                            "status",
                                                            "log",
                                                            "log-append"};
  return !line.is_inline &&
         std::find(options.begin(), options.end(), line.option()) != options.end() &&
         is_relative(line.word(1));
}

bool is_local_address(std::string_view text) {
  return text.starts_with("127.") || text == "localhost" || text == "::1" ||
         text.starts_with('/') || text == "tunnel";
}

bool raises_mtu(const Subject& s) {
  return s.tun_mtu > 1600;
}

bool checks_server(const Subject& s) {
  return s.has("remote-cert-tls") || s.has("verify-x509-name") || s.has("peer-fingerprint") ||
         s.has("tls-verify") || s.has("ns-cert-type") || s.has("remote-cert-eku") ||
         s.has("remote-cert-ku") || s.has("tls-remote");
}

constexpr std::
    array
        rules{
            // --- what stops OpenVPN ---
            LintRule{"ncp-disable", LintKind::fatal, "ncp-disable", v2_6, later, always,
                     "OpenVPN 2.6 does not know it any more and does not start",
                     "take it away; choose the cipher by data-ciphers on the server", "measured"},
            LintRule{"ncp-disable-ends", LintKind::note, "ncp-disable", v2_5, v2_6, always,
                     "it ends with 2.5: OpenVPN 2.6 does not start with it",
                     "take it away; choose the cipher by data-ciphers on the server",
                     "Changes.rst 2.5"},
            LintRule{"keysize", LintKind::fatal, "keysize", v2_6, later, always,
                     "OpenVPN 2.6 does not know it any more and does not start",
                     "take it away: the name of a cipher holds its size", "measured"},
            LintRule{"key-method", LintKind::fatal, "key-method", v2_6, later, always,
                     "OpenVPN 2.6 does not know it any more and does not start",
                     "take it away: method 2 is the only one", "measured"},
            LintRule{"no-iv", LintKind::fatal, "no-iv", v2_6, later, always,
                     "OpenVPN 2.6 does not know it any more and does not start", "take it away",
                     "measured"},
            LintRule{"no-iv-weak", LintKind::dangerous, "no-iv", v2_4, v2_6, always,
                     "packets without a fresh start value give away which of them are alike",
                     "take it away", "manual 2.4"},
            LintRule{
                "fragment-tcp", LintKind::fatal, "fragment", v2_4, later,
                [](const Line& line, const Subject& s) { return is_only_tcp(s) && !is_zero(line); },
                "fragment works with proto udp only; OpenVPN does not start with it over TCP",
                "take it away: TCP cuts its stream itself", "measured"},
            LintRule{"fragment-small", LintKind::fatal, "fragment", v2_4, later,
                     [](const Line& line, const Subject&) {
                       return number_of(line) > 0 && number_of(line) < 68;
                     },
                     "OpenVPN does not start with fragments below 68 bytes",
                     "take it away, or write 1300 at both ends", "measured"},
            LintRule{"mtu-test-tcp", LintKind::fatal, "mtu-test", v2_4, later,
                     [](const Line&, const Subject& s) { return is_only_tcp(s); },
                     "mtu-test works with proto udp only; OpenVPN does not start with it over TCP",
                     "take it away; linktune probe measures the path", "measured"},
            LintRule{"tun-mtu-small", LintKind::fatal, "tun-mtu", v2_4, later,
                     [](const Line& line, const Subject&) { return number_of(line) < 100; },
                     "OpenVPN does not start with a tun-mtu below 100", "tun-mtu 1420", "measured"},
            LintRule{
                "tun-mtu-kernel", LintKind::fatal, "tun-mtu", v2_4, later,
                [](const Line& line, const Subject&) { return number_of(line) > 65535; },
                "Linux makes no device with an MTU above 65535: OpenVPN ends when it configures it",
                "at most tun-mtu {mtu}", "measured"},
            LintRule{"secret-refused", LintKind::fatal, "secret", v2_7, later,
                     [](const Line&, const Subject& s) {
                       return !s.has("allow-deprecated-insecure-static-crypto");
                     },
                     "OpenVPN 2.7 refuses a static key, 2.8 has no static keys at all",
                     "use certificates: linktune openvpn export writes a pair with them",
                     "Changes.rst 2.7"},
            LintRule{"no-dh", LintKind::fatal, "", v2_4, v2_7,
                     [](const Line&, const Subject& s) {
                       const bool answers_tls = is_server(s) || s.has("tls-server");
                       return answers_tls && is_tls(s) && !s.has("dh");
                     },
                     "the end that answers TLS needs a dh line before 2.7", "dh none", "measured"},
            LintRule{"weak-cipher-refused", LintKind::fatal, "data-ciphers", v2_6, later,
                     has_weak_cipher,
                     "OpenSSL 3 offers no ciphers with blocks of 64 bits: OpenVPN does not start "
                     "with this list",
                     "data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305", "measured"},

            // --- what endangers ---
            LintRule{"secret", LintKind::dangerous, "secret", v2_4, v2_7, always,
                     "one static key for ever: who gets it reads all that was ever recorded; 2.7 "
                     "refuses it",
                     "use certificates: linktune openvpn export writes a pair with them",
                     "manual 2.6"},
            LintRule{"static-crypto-allowed", LintKind::dangerous,
                     "allow-deprecated-insecure-static-crypto", v2_7, later, always,
                     "it lets a static key in, which has no forward secrecy; gone in 2.8",
                     "use certificates: linktune openvpn export writes a pair with them",
                     "Changes.rst 2.7"},
            LintRule{
                "tun-mtu-tcp", LintKind::dangerous, "tun-mtu", v2_4, later,
                [](const Line& line, const Subject& s) {
                  return is_only_tcp(s) && number_of(line) > 65511 && number_of(line) <= 65535;
                },
                "a full packet with its 24 bytes does not fit the 16-bit length of the TCP stream: "
                "small pings pass, bulk stalls",
                "at most tun-mtu {mtu}; 65000 is on the safe side", "measured"},
            LintRule{"tun-mtu-udp", LintKind::dangerous, "tun-mtu", v2_4, later,
                     [](const Line& line, const Subject& s) {
                       return s.uses_udp && number_of(line) > tun_mtu_max_of(s) &&
                              number_of(line) <= 65535;
                     },
                     "a full packet with its 24 bytes is larger than any UDP datagram: it is "
                     "refused, or "
                     "vanishes",
                     "at most tun-mtu {mtu}, and over a real line 1448 or less", "measured"},
            LintRule{"outer-fragments", LintKind::dangerous, "mssfix", v2_4, later,
                     [](const Line& line, const Subject& s) {
                       return s.uses_udp && is_zero(line) && s.tun_mtu > fit_udp4 &&
                              !s.has("fragment");
                     },
                     "over UDP, with nothing that keeps TCP segments small, full packets are cut "
                     "into IP "
                     "fragments outside: many firewalls drop those, and one lost fragment loses "
                     "them all",
                     "leave mssfix at its default, or tun-mtu 1448; keep it only where a sweep has "
                     "proven it",
                     "measured"},
            LintRule{"outer-fragments-mtu", LintKind::dangerous, "tun-mtu", v2_6, later,
                     [](const Line& line, const Subject& s) {
                       return s.uses_udp && number_of(line) > 1500 &&
                              number_of(line) <= tun_mtu_max_of(s) && !s.has("mssfix") &&
                              !s.has("fragment");
                     },
                     "from 2.6 a tun-mtu other than 1500 sets the default mssfix to itself: over "
                     "UDP full "
                     "packets are cut into IP fragments outside, which many firewalls drop",
                     "mssfix 1492 mtu beside it, or tun-mtu 1448, or proto tcp", "options.c 2.6"},
            LintRule{"small-for-ipv6", LintKind::dangerous, "tun-mtu", v2_4, later,
                     [](const Line& line, const Subject& s) {
                       const bool carries_ipv6 =
                           s.has("ifconfig-ipv6") || s.has("server-ipv6") || s.has("tun-ipv6");
                       return carries_ipv6 && number_of(line) >= 100 && number_of(line) < 1280;
                     },
                     "Linux takes IPv6 off a device whose MTU is below 1280",
                     "at least tun-mtu 1280", "RFC 8200 section 5"},
            LintRule{"compress", LintKind::dangerous, "compress", v2_4, v2_7, always,
                     "compressed traffic gives away what it holds (VORACLE), and its framing keeps "
                     "the kernel "
                     "from carrying the data",
                     "take it away at both ends", "openvpn.net/security-advisory VORACLE, 2018"},
            LintRule{"comp-lzo", LintKind::dangerous, "comp-lzo", v2_4, v2_7,
                     [](const Line& line, const Subject&) { return line.word(1) != "no"; },
                     "compressed traffic gives away what it holds (VORACLE), and its framing keeps "
                     "the kernel "
                     "from carrying the data",
                     "take it away at both ends", "openvpn.net/security-advisory VORACLE, 2018"},
            LintRule{"allow-compression", LintKind::dangerous, "allow-compression", v2_4, later,
                     [](const Line& line, const Subject&) { return line.word(1) == "yes"; },
                     "compressed traffic gives away what it holds (VORACLE)",
                     "allow-compression no", "manual 2.6"},
            LintRule{
                "push-compression", LintKind::dangerous, "push", v2_4, later,
                [](const Line& line, const Subject&) {
                  return pushes(line, {"compress", "comp-lzo"});
                },
                "it makes every client compress, which gives away what the traffic holds (VORACLE)",
                "take it away", "manual 2.6"},
            LintRule{"no-encryption", LintKind::dangerous, "data-ciphers", v2_5, later,
                     has_no_cipher,
                     "with `none` in the list an end may choose no encryption at all",
                     "data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305", "measured"},
            LintRule{"no-encryption-cipher", LintKind::dangerous, "cipher", v2_4, later,
                     [](const Line& line, const Subject& s) {
                       return cipher_counts(s) && has_no_cipher(line, s);
                     },
                     "traffic travels as it is, readable by everybody on its way",
                     "cipher AES-256-GCM", "manual 2.4"},
            LintRule{
                "weak-cipher", LintKind::dangerous, "cipher", v2_4, later,
                [](const Line& line, const Subject& s) {
                  return cipher_counts(s) && has_weak_cipher(line, s);
                },
                "blocks of 64 bits repeat after some gigabytes and give traffic away (SWEET32)",
                "cipher AES-256-GCM", "CVE-2016-6329"},
            LintRule{
                "weak-cipher-list", LintKind::dangerous, "data-ciphers", v2_5, v2_6,
                has_weak_cipher,
                "blocks of 64 bits repeat after some gigabytes and give traffic away (SWEET32)",
                "data-ciphers AES-256-GCM:AES-128-GCM", "CVE-2016-6329"},
            LintRule{
                "weak-cipher-fallback", LintKind::dangerous, "data-ciphers-fallback", v2_5, later,
                has_weak_cipher,
                "blocks of 64 bits repeat after some gigabytes and give traffic away (SWEET32)",
                "data-ciphers-fallback AES-256-CBC, or none of it where both ends are 2.5 or later",
                "CVE-2016-6329"},
            LintRule{"old-tls", LintKind::dangerous, "tls-version-min", v2_4, later,
                     [](const Line& line, const Subject&) {
                       return line.word(1) == "1.0" || line.word(1) == "1.1";
                     },
                     "TLS {1} is broken and has been retired",
                     "tls-version-min 1.2, or 1.3 where both ends can", "RFC 8996"},
            LintRule{"no-replay", LintKind::dangerous, "no-replay", v2_4, later, always,
                     "packets that somebody recorded are taken again", "take it away", "measured"},
            LintRule{
                "script-security", LintKind::dangerous, "script-security", v2_4, later,
                [](const Line& line, const Subject&) { return number_of(line) >= 3; },
                "passwords reach scripts through the environment, which other programs can read",
                "script-security 2", "manual 2.6"},
            LintRule{
                "management-open", LintKind::dangerous, "management", v2_4, later,
                [](const Line& line, const Subject&) { return !is_local_address(line.word(1)); },
                "who reaches this address controls the tunnel and sees its passwords, unencrypted",
                "management /run/openvpn/NAME.sock unix", "manual 2.6"},
            LintRule{"no-server-check", LintKind::dangerous, "", v2_4, later,
                     [](const Line&, const Subject& s) {
                       return is_client(s) && is_tls(s) && !checks_server(s);
                     },
                     "nothing here tells the server from another client with a certificate of the "
                     "same CA, "
                     "which can play the server",
                     "remote-cert-tls server, or verify-x509-name NAME name", "manual 2.6"},
            LintRule{
                "self-signed-usage", LintKind::dangerous, "remote-cert-tls", v2_6, later,
                [](const Line&, const Subject& s) { return is_self_signed(s) && !s.has("ca"); },
                "a self-signed certificate made as the manual says has no such usage: the "
                "connection ends "
                "with VERIFY KU ERROR",
                "take it away: the fingerprint says enough", "measured"},
            LintRule{"tls-crypt-v2-hole", LintKind::dangerous, "tls-crypt-v2",
                     OpenVpnVersion{2, 6, 1}, OpenVpnVersion{2, 6, 14},
                     [](const Line&, const Subject& s) { return !is_client(s); },
                     "a packet from anybody with a client key stops this server (CVE-2025-2704)",
                     "install OpenVPN 2.6.14 or later", "CVE-2025-2704"},
            LintRule{"relative-path", LintKind::dangerous, "", v2_4, later,
                     [](const Line&, const Subject& s) {
                       return s.has("daemon") && !s.has("cd") &&
                              std::any_of(s.lines.begin(), s.lines.end(), names_file);
                     },
                     "with daemon the working folder becomes /: files named without their folder "
                     "are found at "
                     "the start and missed at the first reconnect, which ends OpenVPN",
                     "write absolute paths or inline blocks", "measured"},

            // --- what slows down ---
            LintRule{
                "buffers-tcp", LintKind::slow, "sndbuf", v2_4, later,
                [](const Line& line, const Subject& s) { return s.uses_tcp && !is_zero(line); },
                "over TCP a set size switches off the kernel's own sizing, which follows the line",
                "take it away, or compare it with none by a sweep", "tcp(7)"},
            LintRule{
                "receive-buffers-tcp", LintKind::slow, "rcvbuf", v2_4, later,
                [](const Line& line, const Subject& s) { return s.uses_tcp && !is_zero(line); },
                "over TCP a set size switches off the kernel's own sizing, which follows the line",
                "take it away, or compare it with none by a sweep", "tcp(7)"},
            LintRule{"push-buffers", LintKind::slow, "push", v2_4, later,
                     [](const Line& line, const Subject& s) {
                       const auto words = split(trim(line.word(1)), ' ');
                       return s.uses_tcp && pushes(line, {"sndbuf", "rcvbuf"}) &&
                              parse_u64(words.back()) != std::uint64_t{0};
                     },
                     "over TCP a set size switches off the clients' kernels' own sizing",
                     "take it away, or compare it with none by a sweep", "tcp(7)"},
            LintRule{"long-queue", LintKind::slow, "txqueuelen", v2_4, later,
                     [](const Line& line, const Subject&) { return number_of(line) > 1000; },
                     "a long queue multiplies latency under load and gains nothing: 15000 against "
                     "100 was the "
                     "same goodput at twice the latency",
                     "take it away: the default is 500", "measured"},
            LintRule{"short-queue", LintKind::slow, "", v2_4, v2_5,
                     [](const Line&, const Subject& s) { return !s.has("txqueuelen"); },
                     "OpenVPN 2.4 gives the device a queue of 100 packets", "txqueuelen 500",
                     "options.c 2.4"},
            LintRule{"slow-cipher", LintKind::slow, "data-ciphers", v2_5, later, has_slow_cipher,
                     "ciphers of the old kind take two passes over each packet, and keep the "
                     "kernel from "
                     "carrying the data",
                     "data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305", "dco.c 2.6"},
            LintRule{"slow-cipher-alone", LintKind::slow, "cipher", v2_4, v2_6,
                     [](const Line& line, const Subject& s) {
                       return is_tls(s) && has_slow_cipher(line, s);
                     },
                     "a cipher of the old kind takes two passes over each packet where the other "
                     "end does not "
                     "negotiate",
                     "cipher AES-256-GCM", "manual 2.4"},
            LintRule{
                "slow-cipher-fallback", LintKind::slow, "data-ciphers-fallback", v2_6, later,
                has_slow_cipher,
                "a fallback of the old kind keeps the kernel from carrying the data, even unused",
                "take it away where both ends are 2.5 or later", "dco.c 2.6"},
            LintRule{"fragment-udp", LintKind::slow, "fragment", v2_4, later,
                     [](const Line& line, const Subject& s) {
                       return s.uses_udp && number_of(line) >= 68;
                     },
                     "each packet is cut and joined by the program, and the kernel cannot carry "
                     "the data",
                     "take it away at both ends and lower tun-mtu to what the path fits",
                     "dco.c 2.6"},
            LintRule{"lzo-framing", LintKind::slow, "comp-lzo", v2_4, v2_7,
                     [](const Line& line, const Subject&) { return line.word(1) == "no"; },
                     "even `no` adds its framing to each packet and keeps the kernel from carrying "
                     "the data",
                     "take it away at both ends", "dco.c 2.6"},
            LintRule{"max-only", LintKind::slow, "tun-mtu-max", v2_6, later,
                     [](const Line& line, const Subject& s) {
                       return number_of(line) > 1600 && !s.has("tun-mtu");
                     },
                     "the device takes the server's MTU, but mssfix stays at 1492 and keeps "
                     "segments small: no "
                     "gain",
                     "tun-mtu {1} on this end too", "measured"},
            LintRule{"net30", LintKind::slow, "topology", v2_4, later,
                     [](const Line& line, const Subject& s) {
                       return is_server(s) && line.word(1) == "net30";
                     },
                     "four addresses for each client, and the kernel cannot carry the data",
                     "topology subnet", "dco.c 2.6"},
            LintRule{"net30-default", LintKind::slow, "", v2_4, v2_7,
                     [](const Line&, const Subject& s) {
                       const Line* device = s.last("dev");
                       const bool is_tap = device && device->word(1).starts_with("tap");
                       return is_server(s) && !is_tap && !s.has("topology");
                     },
                     "without a topology line it is net30: four addresses for each client, and the "
                     "kernel "
                     "cannot carry the data",
                     "topology subnet", "dco.c 2.6"},
            LintRule{"talkative", LintKind::slow, "verb", v2_4,
                     later, [](const Line& line, const Subject&) { return number_of(line) >= 5; },
                     "from 5 on OpenVPN writes to its log for every packet", "verb 3",
                     "manual 2.6"},
            LintRule{"shaper", LintKind::slow, "shaper", v2_4, later, always,
                     "it holds the tunnel to {1} bytes a second, and does nothing where the kernel "
                     "carries the "
                     "data",
                     "take it away, or shape by tc", "manual 2.6"},
            LintRule{
                "patient-client", LintKind::slow, "", v2_4, later,
                [](const Line&, const Subject& s) {
                  return is_client(s) && !s.has("connect-retry");
                },
                "after an outage the pause between attempts doubles up to 300 s",
                "connect-retry 1 10", "manual 2.6"},

            // --- what is read and not done ---
            LintRule{
                "push-local", LintKind::ignored, "push", v2_4, later,
                [](const Line& line, const Subject&) {
                  return pushes(line, {"txqueuelen", "mssfix", "fragment", "tcp-queue-limit",
                                       "bcast-buffers", "fast-io", "tun-mtu-max"});
                },
                "a client takes no such option from a server: it writes an error to its log and "
                "goes on "
                "without",
                "write the option into the client's own file", "measured"},
            LintRule{"push-mtu", LintKind::ignored, "push", v2_4, v2_6,
                     [](const Line& line, const Subject&) { return pushes(line, {"tun-mtu"}); },
                     "clients below 2.6 take no tun-mtu from a server",
                     "write tun-mtu into the client's own file", "options.c 2.5"},
            LintRule{"cipher-ignored", LintKind::ignored, "cipher", v2_6,
                     later, [](const Line&, const Subject& s) { return is_tls(s); },
                     "from 2.6 both ends choose from data-ciphers, in the server's order",
                     "data-ciphers on the server, where {1} is not what is meant already",
                     "measured"},
            LintRule{
                "nodelay-always", LintKind::ignored, "tcp-nodelay", always_nodelay, later,
                always, "from 2.7.6 every TCP socket has it; it only pushes it to older clients",
                "take it away", "socket.c 2.7.6"},
            LintRule{"flags-always", LintKind::ignored, "socket-flags", always_nodelay, later,
                     [](const Line& line, const Subject&) { return line.word(1) == "TCP_NODELAY"; },
                     "from 2.7.6 every TCP socket has it", "take it away", "socket.c 2.7.6"},
            LintRule{"fast-io", LintKind::ignored, "fast-io", v2_7,
                     later, always, "OpenVPN 2.7 has no such short cut any more", "take it away",
                     "Changes.rst 2.7"},
            LintRule{"persist-key", LintKind::ignored, "persist-key", v2_7,
                     later, always, "from 2.7 keys always stay", "take it away", "Changes.rst 2.7"},
            LintRule{"compress-2-7", LintKind::ignored, "compress", v2_7, later, always,
                     "OpenVPN 2.7 compresses nothing it sends, yet the framing keeps the kernel "
                     "from carrying the "
                     "data",
                     "take it away at both ends", "Changes.rst 2.7"},
            LintRule{"comp-lzo-2-7", LintKind::ignored, "comp-lzo", v2_7, later, always,
                     "OpenVPN 2.7 compresses nothing it sends, yet the framing keeps the kernel "
                     "from carrying the "
                     "data",
                     "take it away at both ends", "Changes.rst 2.7"},
            LintRule{"exit-notify-tcp", LintKind::ignored, "explicit-exit-notify", v2_4,
                     later, [](const Line&, const Subject& s) { return is_only_tcp(s); },
                     "over TCP the end of the connection says it", "take it away", "measured"},
            LintRule{"nodelay-client", LintKind::ignored, "tcp-nodelay", v2_4, always_nodelay,
                     [](const Line&, const Subject& s) { return is_client(s) && s.uses_tcp; },
                     "on a client it sets this end's socket only; the server's stays as it is",
                     "tcp-nodelay on the server, which pushes it to the client", "measured"},

            // --- what has no effect here ---
            LintRule{"queue-limit-room", LintKind::dead, "tcp-queue-limit", v2_4,
                     later, is_beyond_buffers,
                     "the queue's room is bcast-buffers (256 unless said otherwise): it overflows "
                     "first, dropping "
                     "the oldest, and this limit never acts",
                     "bcast-buffers {buffers} beside it", "multi.h 2.6"},
            LintRule{"queue-limit-role", LintKind::dead, "tcp-queue-limit", v2_4,
                     later, [](const Line&, const Subject& s) { return !is_server(s); },
                     "only a server in `mode server` has this queue",
                     "write it into the server's file", "multi.h 2.6"},
            LintRule{
                "queue-limit-udp", LintKind::dead, "tcp-queue-limit", v2_4, later,
                [](const Line&, const Subject& s) { return is_server(s) && is_only_udp(s); },
                "over UDP there is no such queue", "take it away", "multi.h 2.6"},
            LintRule{"buffers-role", LintKind::dead, "bcast-buffers", v2_4,
                     later, [](const Line&, const Subject& s) { return !is_server(s); },
                     "only a server in `mode server` has these buffers",
                     "write it into the server's file", "multi.h 2.6"},
            LintRule{"nodelay-udp", LintKind::dead, "tcp-nodelay", v2_4, always_nodelay,
                     [](const Line&, const Subject& s) { return is_only_udp(s); },
                     "over UDP there is no such delay", "take it away", "manual 2.6"},
            LintRule{"flags-udp", LintKind::dead, "socket-flags", v2_4, always_nodelay,
                     [](const Line& line, const Subject& s) {
                       return is_only_udp(s) && line.word(1) == "TCP_NODELAY";
                     },
                     "over UDP there is no such delay", "take it away", "manual 2.6"},
            LintRule{"fast-io-tcp", LintKind::dead, "fast-io", v2_4, v2_7,
                     [](const Line&, const Subject& s) { return is_only_tcp(s); },
                     "it works with proto udp only", "take it away", "measured"},
            LintRule{"zero-sndbuf", LintKind::dead, "sndbuf", v2_4,
                     later, [](const Line& line, const Subject&) { return is_zero(line); },
                     "it undid a default that went with 2.3.9: the system's size holds anyway",
                     "take it away", "Changes.rst 2.3.9"},
            LintRule{"zero-rcvbuf", LintKind::dead, "rcvbuf", v2_4,
                     later, [](const Line& line, const Subject&) { return is_zero(line); },
                     "it undid a default that went with 2.3.9: the system's size holds anyway",
                     "take it away", "Changes.rst 2.3.9"},
            LintRule{
                "push-zero-buffers", LintKind::dead, "push", v2_4, later,
                [](const Line& line, const Subject&) {
                  const auto words = split(trim(line.word(1)), ' ');
                  return pushes(line, {"sndbuf", "rcvbuf"}) &&
                         parse_u64(words.back()) == std::uint64_t{0};
                },
                "it undid a default that went with 2.3.9: the system's size holds anyway",
                "take it away", "Changes.rst 2.3.9"},

            // --- what may surprise later ---
            LintRule{"ncp-ciphers", LintKind::note, "ncp-ciphers", v2_5,
                     later, always, "an old name of data-ciphers", "data-ciphers {1}", "measured"},
            LintRule{
                "link-mtu", LintKind::note, "link-mtu", v2_6, later,
                always, "deprecated: it counts the tunnel's own bytes, which depend on the cipher",
                "tun-mtu, the size of what travels inside", "Changes.rst 2.6"},
            LintRule{
                "mssfix-kernel", LintKind::note, "mssfix", v2_6, later,
                [](const Line& line, const Subject& s) {
                  return !is_zero(line) && !s.has("disable-dco") && !s.has("fragment");
                },
                "where the kernel carries the data (DCO) nothing clamps: the line then does "
                "nothing",
                "a tun-mtu that fits the path, as 1420, works either way", "ovpn-dco issue 61"},
            LintRule{
                "mssfix-default", LintKind::note, "", v2_6, later,
                [](const Line&, const Subject& s) {
                  return s.uses_udp && s.tun_mtu == 1500 && !s.has("mssfix") && !s.has("fragment");
                },
                "the default clamps segments to packets of 1492 bytes outside: right for most "
                "lines, too much "
                "for some DSL and mobile ones",
                "mssfix 1450 where large transfers hang; linktune probe finds what the path fits",
                "OpenVPN issues 571 and 831"},
            LintRule{"mtu-both-ends", LintKind::note, "tun-mtu", v2_4, later,
                     [](const Line&, const Subject& s) { return is_server(s) && raises_mtu(s); },
                     "a client without its own tun-mtu stays at 1600 at most: large packets to it "
                     "vanish",
                     "tun-mtu {1} in the client's file too; lint both files together", "measured"},
            LintRule{"mtu-test", LintKind::note, "mtu-test", v2_4, later,
                     [](const Line&, const Subject& s) { return s.uses_udp; },
                     "it tests for three minutes after each start and only writes to the log",
                     "take it away; linktune probe measures the path", "measured"},
            LintRule{"no-liveness", LintKind::note, "", v2_4, later,
                     [](const Line&, const Subject& s) {
                       return !is_client(s) && !s.has("keepalive") && !s.has("ping-restart") &&
                              !s.has("ping-exit");
                     },
                     "nothing notices a dead path", "keepalive 10 60", "manual 2.6"},
            LintRule{"ns-cert-type", LintKind::note, "ns-cert-type", v2_4, later, always,
                     "deprecated", "remote-cert-tls {1}", "measured"},
        };

// --- what two ends do not agree on ---

bool has_different_mtu(const Subject& server, const Subject& client) {
  return client.has("tun-mtu") && server.tun_mtu != client.tun_mtu;
}

// Before 2.6 a server says nothing of its MTU; after it the client follows, up to its maximum.
bool exceeds_client(const Subject& server, const Subject& client) {
  if (client.has("tun-mtu") || server.role != OpenVpnRole::server) return false;
  const bool follows = server.version >= v2_6 && client.version >= v2_6;
  return server.tun_mtu > (follows ? client.number("tun-mtu-max", 1600) : 1500);
}

bool has_different_word(const Subject& a, const Subject& b, std::string_view option) {
  const Line* one = a.last(option);
  const Line* two = b.last(option);
  return one && two && one->word(1) != two->word(1);
}

bool is_on_one_end(const Subject& a, const Subject& b, std::string_view option) {
  return a.has(option) != b.has(option);
}

constexpr std::string_view default_ciphers = "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305";

std::vector<std::string_view> ciphers_of(const Subject& s) {
  const Line* line = s.last("data-ciphers");
  if (line == nullptr) line = s.last("ncp-ciphers");
  auto ciphers = split(line ? line->word(1) : default_ciphers, ':');
  for (std::string_view& cipher : ciphers)
    if (cipher.starts_with('?')) cipher.remove_prefix(1);
  return ciphers;
}

bool has_no_common_cipher(const Subject& server, const Subject& client) {
  if (server.version < v2_5 || client.version < v2_5) return false;
  if (server.is_static_key || client.is_static_key) return false;
  const auto ours = ciphers_of(server);
  const auto theirs = ciphers_of(client);
  const auto is_default = [](std::string_view cipher) { return cipher == "DEFAULT"; };
  if (std::any_of(ours.begin(), ours.end(), is_default) ||
      std::any_of(theirs.begin(), theirs.end(), is_default))
    return false;
  return std::none_of(ours.begin(), ours.end(), [&](std::string_view cipher) {
    return std::find(theirs.begin(), theirs.end(), cipher) != theirs.end();
  });
}

constexpr std::array pairs{
    PairRule{"pair-transport", LintKind::dangerous, "proto",
             [](const Subject& server, const Subject& client) {
               const bool meets =
                   (server.uses_tcp && client.uses_tcp) || (server.uses_udp && client.uses_udp);
               return !meets;
             },
             "one end speaks TCP, the other UDP: they never meet", "the same proto at both ends"},
    PairRule{"pair-mtu", LintKind::dangerous, "tun-mtu", has_different_mtu,
             "the ends have different tun-mtu: what fills the larger one vanishes at the smaller",
             "the same tun-mtu at both ends"},
    PairRule{"pair-mtu-max", LintKind::dangerous, "tun-mtu-max", exceeds_client,
             "the server's tun-mtu is above what this client takes over (1600 unless tun-mtu-max "
             "says more, "
             "1500 before 2.6): large packets to it vanish",
             "the server's tun-mtu in the client's file too"},
    PairRule{"pair-ciphers", LintKind::dangerous, "data-ciphers", has_no_common_cipher,
             "no cipher is in both lists: the server rejects the client",
             "the same data-ciphers at both ends"},
    PairRule{"pair-device", LintKind::dangerous, "dev",
             [](const Subject& server, const Subject& client) {
               const Line* one = server.last("dev");
               const Line* two = client.last("dev");
               return one && two && one->word(1).substr(0, 3) != two->word(1).substr(0, 3) &&
                      !server.has("dev-type") && !client.has("dev-type");
             },
             "one end carries packets (tun), the other Ethernet frames (tap)",
             "the same kind of dev at both ends"},
    PairRule{"pair-fragment", LintKind::dangerous, "fragment",
             [](const Subject& server, const Subject& client) {
               return is_on_one_end(server, client, "fragment");
             },
             "fragment changes each packet's form and stands at one end only: nothing passes",
             "fragment at both ends, or at none"},
    PairRule{"pair-tls-auth", LintKind::dangerous, "tls-auth",
             [](const Subject& server, const Subject& client) {
               return is_on_one_end(server, client, "tls-auth");
             },
             "one end wants tls-auth, the other does not: the handshake fails",
             "tls-auth at both ends, or at none"},
    PairRule{"pair-tls-crypt", LintKind::dangerous, "tls-crypt",
             [](const Subject& server, const Subject& client) {
               return is_on_one_end(server, client, "tls-crypt");
             },
             "one end wants tls-crypt, the other does not: the handshake fails",
             "tls-crypt at both ends, or at none"},
    PairRule{"pair-compression", LintKind::dangerous, "comp-lzo",
             [](const Subject& server, const Subject& client) {
               return is_on_one_end(server, client, "comp-lzo") && !server.has("push") &&
                      !client.has("compress") && !server.has("compress");
             },
             "comp-lzo changes each packet's form and stands at one end only",
             "take it away at both ends"},
    PairRule{"pair-static", LintKind::dangerous, "secret",
             [](const Subject& server, const Subject& client) {
               return server.is_static_key != client.is_static_key;
             },
             "one end has a static key, the other certificates", "certificates at both ends"},
    PairRule{"pair-roles", LintKind::dangerous, "",
             [](const Subject& server, const Subject& client) {
               return server.role == client.role && server.role != OpenVpnRole::peer;
             },
             "both files are of the same role", "one server and one client"},
    PairRule{
        "pair-auth", LintKind::note, "auth",
        [](const Subject& server, const Subject& client) {
          return has_different_word(server, client, "auth");
        },
        "the ends name different digests: wherever a cipher of the old kind is used nothing passes",
        "the same auth at both ends"},
    PairRule{"pair-mssfix", LintKind::note, "mssfix",
             [](const Subject& server, const Subject& client) {
               return is_on_one_end(server, client, "mssfix") ||
                      has_different_word(server, client, "mssfix");
             },
             "each end clamps both directions: the smaller mssfix of the two counts",
             "the same mssfix at both ends"},
    PairRule{"pair-txqueuelen", LintKind::note, "txqueuelen",
             [](const Subject& server, const Subject& client) {
               return is_on_one_end(server, client, "txqueuelen") ||
                      has_different_word(server, client, "txqueuelen");
             },
             "each end's txqueuelen is for what it sends: the two ways queue differently",
             "the same txqueuelen at both ends, unless it is meant"},
};

}  // namespace

std::span<const LintRule> lint_rules() {
  return rules;
}

std::span<const PairRule> pair_rules() {
  return pairs;
}

}  // namespace lt::configs
