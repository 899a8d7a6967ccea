#include "app/ssh_shim.h"

#include <catch2/catch.hpp>

#include "base/text.h"

using namespace lt;
using namespace lt::app;

namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (const std::string_view word : split(text, ' ')) {
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

SshCall call_of(const std::string& text) {
  const auto call = parse_ssh_call(words_of(text));
  INFO(text);
  REQUIRE(call);
  return *call;
}

}  // namespace

TEST_CASE("what Syncoid says to ssh is understood", "[mirror][ssh]") {
  using Kind = SshCall::Kind;
  CHECK(call_of("-M -S /tmp/syncoid-root@peer-1 -o ControlPersist=1m root@peer exit").kind == Kind::answer_done);
  CHECK(call_of("-S /tmp/s root@peer -O exit").kind == Kind::answer_done);
  CHECK(call_of("-S /tmp/s root@peer -O check").kind == Kind::answer_done);
  CHECK(call_of("-S /tmp/s root@peer echo -n") == SshCall{Kind::run, "peer", "echo -n"});
  CHECK(call_of("-c aes128-gcm@openssh.com -o A=b -o C=d -p 2222 -i /key -S /tmp/s 10.77.0.2 zfs list -H tank") ==
        SshCall{Kind::run, "10.77.0.2", "zfs list -H tank"});
  CHECK(call_of("-oA=b -p22 peer -- ps -Ao args=") == SshCall{Kind::run, "peer", "ps -Ao args="});
  CHECK(call_of("-V").kind == Kind::version);
}

TEST_CASE("the host that Syncoid's second way to list snapshots hides is found", "[mirror][ssh]") {
  CHECK(call_of("ssh -S /tmp/s root@peer zfs get -Hpd 1 type,guid,creation 'tank'") ==
        SshCall{SshCall::Kind::run, "peer", "zfs get -Hpd 1 type,guid,creation 'tank'"});
}

TEST_CASE("what would carry something else is refused, and so is half a command", "[mirror][ssh]") {
  for (const std::string text : {"", "peer", "-S /tmp/s peer", "-L 1:a:2 peer ls", "-R 1:a:2 peer ls", "-D 1080 peer ls", "-W a:1 peer", "-N peer", "-f peer ls",
                                 "-w 0 peer ls", "-X peer ls", "-Z peer ls", "-p", "peer -o"}) {
    INFO(text);
    CHECK_FALSE(parse_ssh_call(words_of(text)));
  }
}

TEST_CASE("only data of a send or a receive is a stream", "[mirror][ssh]") {
  CHECK(is_stream_command(" mbuffer -q 2>/dev/null | lzop -dfc | zfs receive -s -F 'a/b' 2>&1"));
  CHECK(is_stream_command("zfs send -L 'a'@'b' | lz4"));
  CHECK(is_stream_command("sudo zfs receive 'a/b'"));
  CHECK_FALSE(is_stream_command("zfs send -nvP 'a'@'b'"));
  CHECK_FALSE(is_stream_command("zfs receive -A 'a/b'"));
  CHECK_FALSE(is_stream_command("zfs get -H name 'a/b'"));
  CHECK_FALSE(is_stream_command("echo -n"));
  CHECK_FALSE(is_stream_command("$(zfs receive a)"));
}
