// Where keys are, and where they are no more: this process looks through its own memory for the bytes of keys it has
// never held but as keys.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>

#include "app/privileges.h"
#include "app/scratch_folder.h"
#include "base/text.h"
#include "tests/tunnel/link_ends.h"

using namespace lt;
using namespace lt::tunnel;
using namespace lt::tunnel::testing;

namespace {

// 32 bytes that never stand in memory in one piece unless somebody loads the key: each is made when it is asked for.
struct Pattern {
  Byte start;
  [[nodiscard]] Byte at(std::size_t i) const { return static_cast<Byte>(start + 37 * i + (i * i ^ 0x5a)); }
};

constexpr Pattern office_seed{0x31};
constexpr Pattern offsite_seed{0x72};
constexpr Pattern shared_key{0xb3};

// Writes the files of the keys from a child: this process never holds them itself.
void write_keys(const std::string& folder) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    bool good = true;
    for (const auto& [name, header, pattern] : {std::tuple{"office.key", "linktune-private-key-1", office_seed},
                                                std::tuple{"offsite.key", "linktune-private-key-1", offsite_seed},
                                                std::tuple{"link.psk", "linktune-pre-shared-key-1", shared_key}}) {
      std::array<Byte, 32> raw{};
      for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = pattern.at(i);
      const std::string text = std::string(header) + "\n" + to_base64(raw) + "\n";
      good &= write_file(folder + "/" + name, text, 0600).has_value();
    }
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(status == 0);
}

// How often the pattern, or half of it, stands in the memory of this process that can be written.
unsigned count_in_memory(const Pattern& pattern) {
  std::FILE* maps = std::fopen("/proc/self/maps", "re");
  REQUIRE(maps != nullptr);
  const Fd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  REQUIRE(memory.is_open());
  static std::vector<Byte> chunk(1 << 20);  // static: it must not lie on a stack or heap that it reads half-way
  constexpr std::size_t length = 16;
  unsigned found = 0;
  std::array<char, 512> line{};
  while (std::fgets(line.data(), line.size(), maps) != nullptr) {
    unsigned long begin = 0;
    unsigned long end = 0;
    char rights[5] = {};
    if (std::sscanf(line.data(), "%lx-%lx %4s", &begin, &end, rights) != 3 || rights[1] != 'w') continue;
    for (unsigned long at = begin; at < end; at += chunk.size() - length) {
      const auto count = ::pread(memory.get(), chunk.data(), std::min<std::size_t>(chunk.size(), end - at), static_cast<off_t>(at));
      for (ssize_t i = 0; i + static_cast<ssize_t>(length) <= count; ++i) {
        const Byte* const candidate = chunk.data() + i;
        if (at + static_cast<unsigned long>(i) >= reinterpret_cast<unsigned long>(chunk.data()) &&
            at + static_cast<unsigned long>(i) < reinterpret_cast<unsigned long>(chunk.data() + chunk.size())) continue;
        for (const std::size_t half : {std::size_t{0}, length}) {
          std::size_t same = 0;
          while (same < length && candidate[same] == pattern.at(half + same)) ++same;
          found += same == length ? 1U : 0U;
        }
      }
      if (end - at <= chunk.size()) break;
    }
  }
  std::fclose(maps);
  return found;
}

// Both ends of a link with these keys, joined and taken down again.
void live_and_die(const std::string& folder, bool& was_found) {
  auto office_identity = crypto::Identity::load(folder + "/office.key");
  auto offsite_identity = crypto::Identity::load(folder + "/offsite.key");
  REQUIRE(office_identity);
  REQUIRE(offsite_identity);
  auto office_tls = crypto::TlsContext::create(*office_identity);
  auto offsite_tls = crypto::TlsContext::create(*offsite_identity);
  REQUIRE(office_tls);
  REQUIRE(offsite_tls);
  LinkOptions server = listening();
  server.tls = &*offsite_tls;
  server.own_key = offsite_identity->public_key();
  server.peer_key = office_identity->public_key();
  auto server_psk = crypto::load_psk(folder + "/link.psk");
  REQUIRE(server_psk);
  server.psk = std::move(*server_psk);
  RunningLink listener(std::move(server));
  LinkOptions client = connecting(listener.link->listen_port());
  client.tls = &*office_tls;
  client.own_key = office_identity->public_key();
  client.peer_key = offsite_identity->public_key();
  auto client_psk = crypto::load_psk(folder + "/link.psk");
  REQUIRE(client_psk);
  client.psk = std::move(*client_psk);
  RunningLink connector(std::move(client));
  connector.wait_for(LinkEventKind::session_up);
  listener.wait_for(LinkEventKind::session_up);
  was_found = count_in_memory(office_seed) > 0 && count_in_memory(offsite_seed) > 0 && count_in_memory(shared_key) > 0;
  connector.stop();
  listener.stop();
}

}  // namespace

TEST_CASE("no key is left in memory once a link and its identity are gone", "[app][secrets][D-19]") {
  const auto folder = app::ScratchFolder::create("secrets");
  REQUIRE(folder);
  write_keys(folder->path());
  REQUIRE(count_in_memory(office_seed) == 0);
  bool was_found = false;
  live_and_die(folder->path(), was_found);
  CHECK(was_found);  // while they are in use the search finds them
  CHECK(count_in_memory(office_seed) == 0);
  CHECK(count_in_memory(offsite_seed) == 0);
  CHECK(count_in_memory(shared_key) == 0);
}

TEST_CASE("a process with keys leaves no core file", "[app][secrets][D-19]") {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    app::forbid_dumps();
    ::signal(SIGABRT, SIG_DFL);
    std::abort();
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WIFSIGNALED(status));
  CHECK_FALSE(WCOREDUMP(status));
}
