#include "tests/hostile/stranger_kinds.h"

namespace lt::testing {

namespace {

using namespace std::string_literals;

std::string random_bytes(std::mt19937& random, std::size_t count) {
  std::string bytes(count, 0);
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::string be16(std::size_t value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}

// --- ways to speak ---

std::string as_it_is(std::mt19937&, const std::string& text) { return text; }

// The text, then bytes that nobody expects.
std::string with_noise(std::mt19937& random, const std::string& text) { return text + random_bytes(random, random() % 200); }

// A request with headers of a browser or a scanner.
std::string as_http(std::mt19937& random, const std::string& line) {
  static const char* const agents[] = {"Mozilla/5.0 zgrab/0.x", "masscan/1.3", "curl/8.5.0", "Nmap Scripting Engine"};
  return line + "\r\nHost: 192.0.2." + std::to_string(random() % 256) + "\r\nUser-Agent: " + agents[random() % 4] +
         "\r\nAccept: */*\r\nConnection: close\r\n\r\n";
}

// "RECORD HELLO": two versions in hexadecimal.
std::string as_tls(std::mt19937& random, const std::string& versions) {
  const auto version = [&](std::size_t at) {
    return be16(std::stoul(versions.substr(at, 4), nullptr, 16));
  };
  const std::string name = "host" + std::to_string(random() % 1000) + ".example.org";
  const std::string server_name = be16(0) + be16(name.size() + 5) + be16(name.size() + 3) + "\0"s + be16(name.size()) + name;
  const std::string supported = versions.ends_with(" 13") ? "\0\x2b\0\x03\x02\x03\x04"s : ""s;
  const std::string extensions = server_name + supported + "\0\x0a\0\x04\0\x02\0\x1d\0\x0d\0\x04\0\x02\x08\x07"s;
  const std::string body = version(5) + random_bytes(random, 32) + "\x20"s + random_bytes(random, 32) +
                           "\0\x06\x13\x01\x13\x02\xc0\x2f\x01\0"s + be16(extensions.size()) + extensions;
  const std::string message = "\x01\0"s + be16(body.size()) + body;
  return "\x16"s + version(0) + be16(message.size()) + message;
}

// As many random bytes as the text says.
std::string as_noise(std::mt19937& random, const std::string& count) { return random_bytes(random, std::stoul(count)); }

// A byte again and again.
std::string as_flood(std::mt19937& random, const std::string& byte) { return std::string(1 + random() % 3000, byte[0]); }

// Begins as a knock, and is none: so many bytes in all.
std::string as_false_knock(std::mt19937& random, const std::string& bytes) {
  const std::size_t count = std::stoul(bytes);
  return ("LT1\0\0\0\0\0"s + random_bytes(random, count)).substr(0, count);
}

}  // namespace

std::vector<StrangerKind> stranger_kinds() {
  std::vector<StrangerKind> kinds;
  const auto add = [&](const char* name, auto say, std::string text) { kinds.push_back({name, say, std::move(text)}); };

  for (const char* line : {"GET / HTTP/1.1", "GET / HTTP/1.0", "HEAD / HTTP/1.1", "POST /boaform/admin/formLogin HTTP/1.1",
                           "OPTIONS * HTTP/1.1", "CONNECT example.org:443 HTTP/1.1", "PUT /x HTTP/1.1", "DELETE /x HTTP/1.1",
                           "TRACE / HTTP/1.1", "PATCH /x HTTP/1.1", "PROPFIND / HTTP/1.1", "GET /.env HTTP/1.1",
                           "GET /../../etc/passwd HTTP/1.1", "GET /cgi-bin/luci HTTP/1.1", "GET http://example.org/ HTTP/1.1",
                           "M-SEARCH * HTTP/1.1", "SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1"}) {
    add(line, as_http, line);
  }
  add("HTTP/2", with_noise, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"s);
  for (const char* versions : {"0300 0300", "0301 0301", "0301 0302", "0302 0302", "0301 0303", "0303 0303", "0301 0303 13",
                               "0303 0303 13", "0301 0304", "0304 0304", "0305 0305", "fefd fefd", "0000 0000", "ffff ffff"}) {
    add((std::string("TLS ") + versions).c_str(), as_tls, versions);
  }
  add("SSL 2.0", with_noise, "\x80\x2e\x01\0\x02\0\x15\0\0\0\x10"s);
  add("TLS alert", as_it_is, "\x15\x03\x01\0\x02\x02\x28"s);
  add("TLS data", with_noise, "\x17\x03\x03\0\x40"s);
  add("TLS heartbeat", as_it_is, "\x18\x03\x02\0\x03\x01\x40\0"s);
  add("TLS change cipher", as_it_is, "\x14\x03\x03\0\x01\x01"s);
  add("TLS hello without end", with_noise, "\x16\x03\x01\x40\0\x01\0\x3f\xfc"s);
  for (const char* banner : {"SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-Go\r\n", "SSH-1.99-Cisco-1.25\n", "SSH-2.0-libssh2_1.11\r\n"}) {
    add(banner, with_noise, banner);
  }
  for (const char* line : {"EHLO example.org\r\n", "HELO x\r\n", "USER anonymous\r\n", "a1 CAPABILITY\r\n", "CAPA\r\n",
                           "NICK x\r\nUSER x x x :x\r\n", "OPTIONS sip:x@192.0.2.1 SIP/2.0\r\n\r\n",
                           "OPTIONS rtsp://192.0.2.1/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", "*1\r\n$4\r\nPING\r\n", "stats\r\n",
                           "HELP\r\n", "\r\n\r\n", "version\n", "JDWP-Handshake", "CNXN", "ruok", "NLST\r\n", "\x01" "finger\r\n",
                           "@RSYNCD: 31.0\n", "RFB 003.008\n", "GIOP\x01\x02", "D\0\0\0\x0b", "MGLNDD_192.0.2.1_5198\n",
                           "t3 12.1.2\nAS:255\nHL:19\n\n"}) {
    add(line, with_noise, line);
  }
  add("MySQL", with_noise, "\x20\0\0\x01\x85\xa6\x03\0"s);
  add("PostgreSQL", as_it_is, "\0\0\0\x08\x04\xd2\x16\x2f"s);
  add("MongoDB", with_noise, "\x3f\0\0\0\x01\0\0\0\0\0\0\0\xd4\x07\0\0"s);
  add("RDP", as_it_is, "\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0"s);
  add("SMB", with_noise, "\0\0\0\x45\xffSMB\x72\0\0\0\0\x18\x01\x28"s);
  add("SMB2", with_noise, "\0\0\0\x6e\xfeSMB\x40\0"s);
  add("LDAP", as_it_is, "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0"s);
  add("DNS over TCP", as_it_is, "\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07version\x04" "bind\0\0\x10\0\x03"s);
  add("SOCKS4", as_it_is, "\x04\x01\0\x50\xc0\0\x02\x01\0"s);
  add("SOCKS5", as_it_is, "\x05\x02\0\x02"s);
  add("BitTorrent", with_noise, "\x13" "BitTorrent protocol"s);
  add("WireGuard", with_noise, "\x01\0\0\0"s);
  add("OpenVPN reset", with_noise, "\0\x0e\x38"s);
  add("OpenVPN with tls-crypt", with_noise, "\0\x36\x38"s);
  add("IKE over TCP", with_noise, "IKETCP\0\x20"s);
  add("Modbus", as_it_is, "\0\x01\0\0\0\x05\x01\x2b\x0e\x01\0"s);
  add("MQTT", as_it_is, "\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0"s);
  add("AMQP", as_it_is, "AMQP\0\0\x09\x01"s);
  add("X11", as_it_is, "l\0\x0b\0\0\0\0\0\0\0\0\0"s);
  add("Telnet", as_it_is, "\xff\xfb\x01\xff\xfb\x03\xff\xfd\x0f"s);
  add("STUN", with_noise, "\0\x01\0\0\x21\x12\xa4\x42"s);
  add("PPTP", with_noise, "\0\x9c\0\x01\x1a\x2b\x3c\x4d\0\x01\0\0\x01\0\0\0"s);
  add("an LT1 record", with_noise, "\xa5\x01\0\0\0\0\0\x40"s);
  for (const char* count : {"0", "1", "8", "39", "40", "41", "100", "1400", "5000"}) {
    add((std::string("noise of ") + count).c_str(), as_noise, count);
  }
  add("zeros", as_flood, "\0"s);
  add("ones", as_flood, "\xff"s);
  add("letters", as_flood, "A"s);
  for (const char* bytes : {"1", "4", "8", "24", "39", "40", "41", "600"}) {
    add((std::string("a false knock of ") + bytes).c_str(), as_false_knock, bytes);
  }
  return kinds;
}

}  // namespace lt::testing
