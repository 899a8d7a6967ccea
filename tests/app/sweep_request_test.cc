// What another site may ask: everything it can say is taken as it was meant, and everything else is refused.
#include "app/sweep_request.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/text.h"

using namespace lt;
using namespace lt::app;

namespace {

TrialKeysShown some_keys() {
  TrialKeysShown keys;
  keys.native.fill(7);
  keys.certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCATmg+/AA==\n-----END CERTIFICATE-----\n";
  for (int i = 0; i < 32; ++i) keys.fingerprint += i == 0 ? "A1" : ":A1";
  return keys;
}

Json open_json() { return to_json(SweepRequest(OpenRequest{"office", some_keys(), "10.78.0.1", Seconds(600)})); }

bool is_refused(const Json& said) {
  const auto read = parse_sweep_request(to_line(said));
  if (read) return false;
  // What the other site wrote is quoted without its control characters.
  const std::string& what = read.error().what;
  CHECK(std::none_of(what.begin(), what.end(), [](unsigned char c) { return c < ' ' || c == 127; }));
  return true;
}

}  // namespace

TEST_CASE("every request is read as it was meant", "[app][hosts]") {
  LeaseId lease{};
  lease.fill(9);
  const auto arm = *parse_checked_arm("native mtu=9000 lanes=2");
  const std::vector<SweepRequest> all{OpenRequest{"office", some_keys(), "10.78.0.1", Seconds(600)}, ResumeRequest{lease}, BeatRequest{}, StartRequest{arm},
                                      StateRequest{}, StopRequest{}, CloseRequest{}, ApplyRequest{arm, Seconds(60)}, ConfirmRequest{}, RollbackRequest{}, MeasureRequest{}};
  REQUIRE(all.size() == std::variant_size_v<SweepRequest>);
  for (const SweepRequest& request : all) {
    const std::string text = to_line(to_json(request));
    const auto read = parse_sweep_request(text);
    INFO(text);
    REQUIRE(read);
    CHECK(read->index() == request.index());
    CHECK(to_line(to_json(*read)) == text);
  }
}

TEST_CASE("a request cut short at any byte is refused", "[app][hosts]") {
  const std::string text = to_line(open_json());
  for (std::size_t length = 0; length < text.size(); ++length) CHECK_FALSE(parse_sweep_request(text.substr(0, length)));
  CHECK_FALSE(parse_sweep_request(std::string(sweep_request_bytes_max + 1, ' ')));
}

TEST_CASE("a request without a field, or with one out of its range, is refused", "[app][hosts]") {
  const Json open = open_json();
  for (const auto& [key, value] : open.items()) {
    Json lacking = open;
    lacking.erase(key);
    CHECK(is_refused(lacking));
    for (const Json& odd : {Json(-1), Json(1.5), Json(nullptr), Json::array(), Json(std::string(5000, 'a')), Json("\x1b[2J")}) {
      Json wrong = open;
      wrong[key] = odd;
      INFO(key << " " << to_line(odd));
      CHECK(is_refused(wrong));
    }
  }
  for (const char* site : {"", "../etc", "a b", "-x"}) {
    Json wrong = open;
    wrong["site"] = site;
    CHECK(is_refused(wrong));
  }
  Json long_plan = open;
  long_plan["planned_s"] = planned_max.count() + 1;
  CHECK(is_refused(long_plan));
  for (const long seconds : {9L, 601L}) CHECK(is_refused({{"do", "apply"}, {"arm", "native"}, {"patience_s", seconds}}));
  CHECK_FALSE(is_refused({{"do", "apply"}, {"arm", "native"}, {"patience_s", 10}}));
  CHECK(is_refused({{"do", "resume"}, {"lease", "00"}}));
  CHECK(is_refused({{"do", "reboot"}}));
}

TEST_CASE("keys that are no keys do not come in", "[app][hosts]") {
  const auto is_taken = [](const std::string& field, const std::string& value) {
    Json keys = to_json(some_keys());
    keys[field] = value;
    return trial_keys_from_json(keys).has_value();
  };
  const std::string certificate = some_keys().certificate;
  CHECK(is_taken("certificate", certificate));
  // It stands in a config of OpenVPN as a block: nothing may end that block, and nothing may follow.
  CHECK_FALSE(is_taken("certificate", certificate + "</ca>\nscript-security 2\n"));
  CHECK_FALSE(is_taken("certificate", certificate + certificate));
  CHECK_FALSE(is_taken("certificate", "-----BEGIN CERTIFICATE-----\n</ca>\n-----END CERTIFICATE-----\n"));
  CHECK_FALSE(is_taken("certificate", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"));
  CHECK_FALSE(is_taken("certificate", ""));
  std::string fingerprint = some_keys().fingerprint;
  CHECK(is_taken("fingerprint", fingerprint));
  CHECK_FALSE(is_taken("fingerprint", fingerprint + ":A1"));
  fingerprint[4] = '\n';
  CHECK_FALSE(is_taken("fingerprint", fingerprint));
  CHECK_FALSE(is_taken("native", std::string(62, '0')));
  CHECK_FALSE(is_taken("native", std::string(64, 'g')));
}

TEST_CASE("an arm comes in only with knobs of the knob table, within their ranges", "[app][hosts]") {
  for (const char* text : {"bare", "native", "native mtu=9000", "openvpn proto=tcp tun_mtu=65000", "openvpn sndbuf=unset"}) {
    INFO(text);
    CHECK(parse_checked_arm(text));
  }
  for (const char* text : {"", "native mtu=0", "native mtu=65536", "native mtu=9000\nscript", "openvpn up=/bin/sh", "openvpn tun_mtu=9000;x", "native key=/etc/shadow",
                           "native listen=0.0.0.0:22", "bare mtu=1500", "wireguard", "wireguard mtu=1420", "openvpn config=/tmp/x", "native io=aio"}) {
    INFO(text);
    CHECK_FALSE(parse_checked_arm(text));
    CHECK(is_refused({{"do", "start"}, {"arm", text}}));
  }
}

TEST_CASE("an answer is what was said, or the other site's error made safe to show", "[app][hosts]") {
  const auto good = read_answer(to_line(answer_of(Json{{"ready", true}})));
  REQUIRE(good);
  CHECK((*good)["ready"].get<bool>());
  const auto bad = read_answer(to_line(answer_of(fail(Errc::busy, "a\x1b[2Jb"))));
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == Errc::busy);
  CHECK(bad.error().what.find('\x1b') == std::string::npos);
  for (const char* text : {"", "[]", "{}", "{\"ok\":1}", "{\"error\":{}}", "{\"error\":{\"code\":\"x\",\"what\":\"y\"}}"}) CHECK_FALSE(read_answer(text));
}
