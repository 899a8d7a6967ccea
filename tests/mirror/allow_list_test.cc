#include "mirror/allow_list.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::mirror;

namespace {

const AllowRules rules{.receive = {{.dataset = "tank/backup", .append_only = true}, {.dataset = "tank/loose", .append_only = false}},
                       .read = {"tank/shared"}};

std::optional<std::string> find(const std::string& program) {
  return program == "lzop" ? std::nullopt : std::optional("/usr/bin/" + program);
}

Result<std::vector<AllowedStep>> judged(const std::string& text) {
  LT_TRY(const auto command, parse_command_text(text));
  return allow(command, rules, find);
}

// The argument vectors that would run, written as one line.
std::string line_of(const std::vector<AllowedStep>& steps) {
  std::string line;
  for (const AllowedStep& step : steps) {
    if (!line.empty()) line += " ; ";
    if (const auto* const answer = std::get_if<Answer>(&step)) {
      line += "answer " + std::to_string(answer->exit_status) + " " + answer->output;
    } else if (std::holds_alternative<ReceiveList>(step)) {
      line += "receives";
    } else if (const auto* const rewind = std::get_if<Rewind>(&step)) {
      line += "rewind " + rewind->dataset;
    } else {
      for (const PipelineStage& stage : std::get<Pipeline>(step)) {
        if (&stage != &std::get<Pipeline>(step).front()) line += " | ";
        for (const std::string& word : stage.argv) line += (&word == &stage.argv.front() ? "" : " ") + word;
      }
    }
  }
  return line;
}

struct Asked {
  const char* text;
  const char* runs;
};

}  // namespace

TEST_CASE("everything that Syncoid 2.1.0 to 2.3 asks of a receiving side is allowed", "[mirror][allow]") {
  const Asked asked = GENERATE(values<Asked>({
      {"exit", "answer 0 "},
      {"echo -n", "answer 0 "},
      {"command -v mbuffer", "answer 0 /usr/bin/mbuffer\n"},
      {"command -v zstdmt 2>/dev/null", "answer 0 /usr/bin/zstdmt\n"},
      {"command -v lzop", "answer 1 "},
      {" zpool get -o value -H feature@extensible_dataset 'tank'", "zpool get -o value -H feature@extensible_dataset tank"},
      {"ps -Ao args=", "receives"},
      {" zfs get -H name 'tank/backup/a'", "zfs get -H name tank/backup/a"},
      {" zfs get -H syncoid:sync 'tank/backup/a'", "zfs get -H syncoid:sync tank/backup/a"},
      {" zfs get -H receive_resume_token 'tank/backup/a'", "zfs get -H receive_resume_token tank/backup/a"},
      {" zfs get -H -p used 'tank/backup/a'", "zfs get -H -p used tank/backup/a"},
      {" zfs get -H -o value used 'tank/backup/a'", "zfs get -H -o value used tank/backup/a"},
      {" zfs get -Hpd 1 -t snapshot guid,creation 'tank/backup/a' 2>/dev/null", "zfs get -Hpd 1 -t snapshot guid,creation tank/backup/a"},
      {" zfs get -Hpd 1 -t snapshot all 'tank/backup/a'", "zfs get -Hpd 1 -t snapshot all tank/backup/a"},
      {" zfs get -Hpd 1 type,guid,creation 'tank/backup/a'", "zfs get -Hpd 1 type,guid,creation tank/backup/a"},
      {" zfs get -Hpd 1 -t bookmark guid,creation 'tank/backup/a' 2>&1", "zfs get -Hpd 1 -t bookmark guid,creation tank/backup/a"},
      {" zfs get -Hpd 1 all 'tank/backup/a' 2>/dev/null", "zfs get -Hpd 1 all tank/backup/a"},
      {" zfs get -Hpd 1 -t bookmark all 'tank/backup/a' 2>&1", "zfs get -Hpd 1 -t bookmark all tank/backup/a"},
      {" zfs get -s local -H all 'tank/backup/a'", "zfs get -s local -H all tank/backup/a"},
      {" mbuffer  -q -s 128k -m 16M |  zfs receive  -s -F -o 'compression=lz4' -o 'org:note=a.b' 'tank/backup/a' 2>&1",
       "rewind tank/backup/a ; mbuffer -q -s 128k -m 16M | zfs receive -s -o compression=lz4 -o org:note=a.b tank/backup/a"},
      {" zfs list -o name,origin -t filesystem,volume -Hr 'tank/backup'", "zfs list -o name,origin -t filesystem,volume -Hr tank/backup"},
      {" mbuffer  -q -s 128k -m 16M 2>/dev/null | lzop -dfc |  zfs receive  -s -F 'tank/backup/a' 2>&1",
       "rewind tank/backup/a ; mbuffer -q -s 128k -m 16M | lzop -dfc | zfs receive -s tank/backup/a"},
      {" mbuffer -r 10M -q -s 128k -m 16M | zstdmt -dc |  zfs receive  -s -F 'tank/backup/a' 2>&1",
       "rewind tank/backup/a ; mbuffer -r 10M -q -s 128k -m 16M | zstdmt -dc | zfs receive -s tank/backup/a"},
      {" zfs receive -F 'tank/backup/a b'", "rewind tank/backup/a b ; zfs receive tank/backup/a b"},
      {" zfs receive -sF 'tank/backup/a'", "rewind tank/backup/a ; zfs receive -s tank/backup/a"},
      {" zfs receive -u -o compression=lz4 -x mountpoint -s -F 'tank/backup/a'", "rewind tank/backup/a ; zfs receive -u -o compression=lz4 -x mountpoint -s tank/backup/a"},
      {" zfs receive -o recordsize=128K -F 'tank/loose/a'", "zfs receive -o recordsize=128K -F tank/loose/a"},
      {" zfs receive  -s -F -o 'org:note=by me @ 10%' 'tank/backup/a' 2>&1", "rewind tank/backup/a ; zfs receive -s -o org:note=by me @ 10% tank/backup/a"},
      {" zfs receive  -s -o 'exec=off' -o 'overlay=off' 'tank/backup/a' 2>&1", "zfs receive -s -o exec=off -o overlay=off tank/backup/a"},
      {" zfs receive -A 'tank/backup/a'", "zfs receive -A tank/backup/a"},
      {"sudo zfs receive -s 'tank/backup/a'", "zfs receive -s tank/backup/a"},
      {" zfs rollback -R 'tank/backup/a'@'syncoid_x_2026-01-01:00:00:00-GMT00:00'", "zfs rollback tank/backup/a@syncoid_x_2026-01-01:00:00:00-GMT00:00"},
      {" zfs rollback -R 'tank/loose/a'@'s'", "zfs rollback -R tank/loose/a@s"},
      {" zfs destroy 'tank/loose/a'@s; zfs destroy 'tank/loose/a'@t", "zfs destroy tank/loose/a@s ; zfs destroy tank/loose/a@t"},
      {" zfs destroy 'tank/loose/a'@s,t,u", "zfs destroy tank/loose/a@s,t,u"},
      {" zfs destroy -r 'tank/loose/a'; ", "zfs destroy -r tank/loose/a"},
      {" zfs destroy 'tank/loose/a@s'; ", "zfs destroy tank/loose/a@s"},
      {" zfs hold syncoid_h_office 'tank/backup/a'@'s'", "zfs hold syncoid_h_office tank/backup/a@s"},
      {" zfs release syncoid_h_office 'tank/backup/a'@'s'", "zfs release syncoid_h_office tank/backup/a@s"},
      {" zfs send -w -nvP 'tank/shared/a@s'", "zfs send -w -nvP tank/shared/a@s"},
      {" zfs send -L -I 'tank/shared/a'@'s' 'tank/shared/a'@'t' | lz4  | mbuffer  -q -s 128k -m 16M 2>/dev/null",
       "zfs send -L -I tank/shared/a@s tank/shared/a@t | lz4 | mbuffer -q -s 128k -m 16M"},
      {" zfs send -i @s tank/backup/a@t", "zfs send -i @s tank/backup/a@t"},
      {" zfs send  -i 'tank/shared/a'#'s' 'tank/shared/a'@'t' | zstdmt -3 | mbuffer -R 10M -q -s 128k -m 16M",
       "zfs send -i tank/shared/a#s tank/shared/a@t | zstdmt -3 | mbuffer -R 10M -q -s 128k -m 16M"},
  }));
  INFO(asked.text);
  const auto steps = judged(asked.text);
  INFO((steps ? "" : steps.error().text()));
  REQUIRE(steps);
  CHECK(line_of(*steps) == asked.runs);
}

// Each breaks one thing that an allowed command has.
TEST_CASE("what no rule allows is refused, and nothing of its text runs", "[mirror][allow]") {
  static const char* const refused[] = {
      // other programs, and the ways to reach one
      "sh", "bash -c id", "rm -rf /", "cat /etc/shadow", "id", "/bin/sh", "perl -e 1", "python3", "nc -l 1", "socat - -", "busybox nc",
      "busybox sh", "ssh localhost", "scp a b", "dd if=/dev/zero", "tee /etc/passwd", "env sh", "nohup sh", "xargs sh", "find /",
      "awk 1", "sed -n 1p /etc/shadow", "true", "echo hello", "echo -n x", "echo", "exit 0", "eval id", "exec sh", "cd /", ". /etc/profile",
      "command", "command -v", "command -v sh", "command -v bash", "command -V mbuffer", "command mbuffer", "command -v mbuffer lzop",
      "command -v ../mbuffer", "command -v /bin/sh", "ps", "ps aux", "ps -Ao args", "ps -Ao pid=", "ps -Ao args= x", "sudo", "sudo -i",
      "sudo sh", "sudo -u root zfs list tank/backup", "sudo sudo zfs list tank/backup", "doas zfs list tank/backup", "/sbin/zfs list tank/backup",
      "./zfs list tank/backup", "ZFS list tank/backup", "PATH=/tmp zfs list tank/backup", "LD_PRELOAD=/tmp/x zfs list tank/backup",
      // other verbs of zfs and zpool
      "zfs", "zfs -?", "zfs create tank/backup/x", "zfs set readonly=off tank/backup", "zfs inherit compression tank/backup", "zfs rename tank/backup/a tank/x",
      "zfs promote tank/backup/a", "zfs clone tank/backup/a@s tank/backup/b", "zfs mount tank/backup", "zfs mount -a", "zfs umount tank/backup", "zfs share -a",
      "zfs snapshot tank/backup@s", "zfs bookmark tank/backup@s tank/backup#s", "zfs allow everyone destroy tank/backup", "zfs unallow tank/backup",
      "zfs load-key tank/backup", "zfs change-key tank/backup", "zfs upgrade -a", "zfs program tank x.lua", "zfs diff tank/backup@s", "zfs jail 1 tank/backup",
      "zpool", "zpool list", "zpool destroy tank", "zpool export tank", "zpool import -a", "zpool scrub tank", "zpool create x /dev/sda", "zpool set a=b tank",
      "zpool offline tank x", "zpool get all other", "zpool get -H cachefile tank", "zpool get feature@extensible_dataset", "zpool get feature@extensible_dataset tank other",
      "zpool get feature@extensible_dataset other", "zpool get -o value -H feature@extensible_dataset tank/backup",
      // places outside
      "zfs list", "zfs list -r", "zfs list tank", "zfs list -r tank", "zfs list other", "zfs list tank/back", "zfs list tank/backup2", "zfs list tank/backup/../other",
      "zfs list tank/backup/", "zfs list /tank/backup", "zfs list tank//backup", "zfs list tank/backup/./a", "zfs list tank/shared2", "zfs list tank/backup other",
      "zfs list other tank/backup", "zfs get name tank", "zfs get name", "zfs get name tank/backup tank/other", "zfs get all", "zfs get -H name 'tank/backup;id'",
      "zfs get -H name 'tank/backup|id'", "zfs get -H name 'tank/backup$(id)'", "zfs get -H name 'tank/backup`id`'", "zfs get -H name 'tank/backup*'",
      "zfs get -H name ''", "zfs get -H name '-r'", "zfs get -H name ' tank/backup'", "zfs get -H name 'tank/backup@a@b'", "zfs get -H name 'tank/backup@'",
      "zfs get -H name 'tank/backup@-x'", "zfs get -H 'name;id' tank/backup", "zfs get -H '' tank/backup", "zfs get -H -x name tank/backup", "zfs get -Z name tank/backup",
      "zfs get -d name tank/backup", "zfs get -d 9999 name tank/backup", "zfs get -d -1 name tank/backup", "zfs get -t everything name tank/backup",
      "zfs get -o 'a b' name tank/backup", "zfs get --help", "zfs get -- name tank/backup", "zfs list -o name -t", "zfs list -e tank/backup",
      "zfs get name tank/backup -r", "zfs list tank/backup -r",
      // receives
      "zfs receive", "zfs receive tank", "zfs receive tank/other", "zfs receive -F tank", "zfs receive tank/shared", "zfs receive -d tank/backup", "zfs receive -e tank/backup",
      "zfs receive -dF tank/backup", "zfs receive tank/backup/a tank/backup/b", "zfs receive tank/backup/a@s", "zfs receive -o mountpoint=/etc tank/backup/a",
      "zfs receive -o mountpoint=/ -F tank/backup/a", "zfs receive -omountpoint=/etc tank/backup/a", "zfs receive -uo mountpoint=/etc tank/backup/a",
      "zfs receive -o sharenfs=on tank/backup/a", "zfs receive -o setuid=on tank/backup/a", "zfs receive -o devices=on tank/backup/a", "zfs receive -o exec=on tank/backup/a",
      "zfs receive -o keylocation=file:///etc/shadow tank/backup/a", "zfs receive -o overlay=on tank/backup/a", "zfs receive -o compression tank/backup/a",
      "zfs receive -o 'a=b;id' tank/backup/a", "zfs receive -o tank/backup/a", "zfs receive -x tank/backup/a", "zfs receive -x 'a b' tank/backup/a", "zfs receive -Fo a=b tank/backup/a",
      "zfs receive -c tank/backup/a", "zfs receive -V tank/backup/a", "zfs receive -s -F", "zfs receive -F -- tank/backup/a", "zfs receive tank/backup/a -F",
      "zfs receive -F tank/backup/../other", "zfs receive tank/backup2/a", "zfs receive 'tank/backup/a%recv'", "zfs receive 'tank/backup/-F'", "zfs receive 'Tank/backup/a'",
      // what destroys
      "zfs destroy tank/backup", "zfs destroy -r tank/backup", "zfs destroy tank/backup/a@s", "zfs destroy -r tank/backup/a", "zfs destroy tank/other", "zfs destroy tank/other@s",
      "zfs destroy tank", "zfs destroy tank/loose", "zfs destroy -r tank/loose", "zfs destroy -R tank/loose/a", "zfs destroy -f tank/loose/a", "zfs destroy -d tank/loose/a@s",
      "zfs destroy tank/loose/a@s%t", "zfs destroy tank/loose/a@%", "zfs destroy tank/loose/a@s,,t", "zfs destroy tank/loose/a#b", "zfs destroy", "zfs destroy tank/loose/a tank/loose/b",
      "zfs destroy tank/loose/a@s; zfs destroy tank/backup/a@s", "zfs rollback tank/backup/a", "zfs rollback -R tank/backup", "zfs rollback -R tank/other@s", "zfs rollback -R tank@s",
      "zfs rollback -x tank/backup/a@s", "zfs rollback tank/backup/a@s tank/backup/b@s", "zfs rollback -R tank/shared@s", "zfs rollback",
      "zfs hold x tank/backup/a@s", "zfs hold -r syncoid_x tank/backup/a@s", "zfs hold syncoid_x tank/other@s", "zfs hold syncoid_x tank/backup/a", "zfs release keep tank/backup/a@s",
      "zfs release syncoid_x tank/shared/a@s",
      // sends
      "zfs send tank/other@s", "zfs send tank@s", "zfs send tank/shared", "zfs send", "zfs send -t 1-abc", "zfs send -t1-abc", "zfs send -et 1-abc", "zfs send -nvP -t 1-abc",
      "zfs send -i tank/other@s tank/shared/a@t", "zfs send -itank/other@s tank/shared/a@t", "zfs send -I tank/other@s tank/shared/a@t", "zfs send -i 'tank/other#b' tank/shared/a@t",
      "zfs send -i - tank/shared/a@t", "zfs send tank/shared/a@s tank/other@s", "zfs send --redact x tank/shared/a@s", "zfs send -S tank/shared/a", "zfs send -X a tank/shared/a@s",
      "zfs send tank/shared/a@s | sh", "zfs send tank/shared/a@s | tee /tmp/x", "zfs send tank/shared/a@s | nc a 1", "zfs send tank/shared/a@s | zfs receive tank/backup/x",
      "zfs send tank/shared/a@s | mbuffer -o /tmp/x", "zfs send tank/shared/a@s | mbuffer -O host:1", "lz4 | zfs send tank/shared/a@s",
      // filters
      "mbuffer", "mbuffer -q", "mbuffer -i /etc/shadow", "mbuffer -I 1 | zfs receive tank/backup/a", "mbuffer -i /etc/shadow | zfs receive tank/backup/a", "mbuffer -o /tmp/x | zfs receive tank/backup/a",
      "mbuffer -T /tmp/x | zfs receive tank/backup/a", "mbuffer -t | zfs receive tank/backup/a", "mbuffer -l /tmp/x | zfs receive tank/backup/a", "mbuffer -m | zfs receive tank/backup/a",
      "mbuffer -m x | zfs receive tank/backup/a", "mbuffer -m 16M /etc/shadow | zfs receive tank/backup/a", "mbuffer -A 'sh -c id' | zfs receive tank/backup/a",
      "lzop -dfc /etc/shadow | zfs receive tank/backup/a", "lzop -o /tmp/x | zfs receive tank/backup/a", "zcat /etc/shadow | zfs receive tank/backup/a", "gzip -S | zfs receive tank/backup/a",
      "gzip -dc /etc/shadow | zfs receive tank/backup/a", "zstd -o /tmp/x | zfs receive tank/backup/a", "zstd -dc --patch-from=x | zfs receive tank/backup/a", "xz --files=/etc/shadow | zfs receive tank/backup/a",
      "pigz -dc x | zfs receive tank/backup/a", "lz4 -dc a b | zfs receive tank/backup/a", "cat | zfs receive tank/backup/a", "sh | zfs receive tank/backup/a", "zstd -dc", "lzop -dfc | lz4 -dc",
      "zfs receive tank/backup/a | sh", "zfs receive tank/backup/a | mbuffer", "zfs list tank/backup | mbuffer", "echo -n | zfs receive tank/backup/a", "exit | zfs receive tank/backup/a",
      "zfs get name tank/backup | zfs receive tank/backup/a",
      // Syncoid's way beside ssh, which would be one beside the link
      "command -v socat", "command -v busybox", " busybox nc -l 10.0.0.1:9 -w 60 | mbuffer -q -s 128k -m 16M | zfs receive -s -F 'tank/backup/a' 2>&1",
      " mbuffer  -W 60 -I 10.0.0.1:9 -q -s 128k -m 16M |  zfs receive  -s -F 'tank/backup/a' 2>&1",
      " zfs send  'tank/shared/a'@'s' | mbuffer -q -s 128k -m 16M | socat - TCP:10.0.0.1:9,retry=60,interval=1",
      // what a pull would change at its source, and properties that go along and reach other folders
      " zfs snapshot 'tank/shared/a'@syncoid_x", " zfs bookmark 'tank/shared/a'@s 'tank/shared/a'#s", " zfs hold syncoid_x 'tank/shared/a'@'s'",
      " zfs receive  -s -F -o 'mountpoint=/home' 'tank/backup/a' 2>&1", " zfs receive  -s -F -o 'sharenfs=rw=@10.0.0.0/8' 'tank/backup/a' 2>&1",
      " zfs destroy -r 'tank/backup/a'; ", " zfs destroy 'tank/backup/a'@s,t", "zfs destroy -r 'tank/loose'; ",
      // a good command does not carry a bad one
      "echo -n; id", "exit; sh", "zfs get -H name tank/backup; rm -rf /", "ps -Ao args=; sh", "zfs list tank/backup && id", "zfs list tank/backup || id", "zfs list tank/backup & id",
      "zfs list tank/backup > /etc/passwd", "zfs list tank/backup >> /etc/passwd", "zfs list tank/backup 2> /tmp/x", "zfs list $(id)", "zfs list `id`", "zfs list tank/backup\nid",
      "zfs list \"tank/backup$(id)\"", "(zfs list tank/backup)", "{ zfs list tank/backup; }", "if true; then id; fi", "zfs list tank/backup <(id)", "! zfs list tank/backup",
      "zfs list tank/back?p", "zfs list tank/{backup,other}", "~/zfs list tank/backup", "zfs list tank/backup # id"};
  static_assert(std::size(refused) >= 200);
  const auto index = GENERATE(range(std::size_t{0}, std::size(refused)));
  INFO(refused[index]);
  const auto steps = judged(refused[index]);
  CHECK_FALSE(steps);
}

TEST_CASE("the innermost tree decides whether it is append-only", "[mirror][allow]") {
  const AllowRules nested{.receive = {{.dataset = "a/b/c", .append_only = true}, {.dataset = "a/b", .append_only = false}}, .read = {}};
  const auto run = [&](const std::string& text) {
    const auto command = parse_command_text(text);
    REQUIRE(command);
    return allow(*command, nested, find);
  };
  CHECK(run("zfs destroy a/b/x@s"));
  CHECK_FALSE(run("zfs destroy a/b/c/x@s"));
  CHECK_FALSE(run("zfs destroy a/b/c@s"));
}

TEST_CASE("without rules nothing is allowed", "[mirror][allow]") {
  for (const std::string text : {"zfs list tank", "zfs receive tank/backup", "zpool get all tank", "zfs send tank@s"}) {
    const auto command = parse_command_text(text);
    REQUIRE(command);
    CHECK_FALSE(allow(*command, {}, find));
  }
}

TEST_CASE("the dataset of a running receive is found, and of nothing else", "[mirror][allow]") {
  CHECK(receive_target({"zfs", "receive", "-s", "a/b"}) == "a/b");
  CHECK(receive_target({"/sbin/zfs", "recv", "a/b"}) == "a/b");
  CHECK_FALSE(receive_target({"zfs", "send", "a/b@s"}));
  CHECK_FALSE(receive_target({"zfs", "receive"}));
  CHECK_FALSE(receive_target({"grep", "receive", "a/b"}));
}
