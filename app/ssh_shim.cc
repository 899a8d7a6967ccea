#include "app/ssh_shim.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "app/mirror_site.h"
#include "base/text.h"
#include "mirror/command_text.h"

namespace lt::app {

namespace {

// OpenSSH 9.2's letters. Without a value, and with one; those that would carry something else.
constexpr std::string_view plain_letters = "1246aCfGgKkMNnqsTtVvXxYy";
constexpr std::string_view value_letters = "BbcDEeFIiJLlmOopQRSWw";
constexpr std::string_view refused_letters = "DfGgILNQRsWwXY";

tl::unexpected<Error> refuse(const std::string& option) {
  return fail(Errc::invalid, "this ssh carries commands to the mirror agent only, and does not know " + printable(option, 40) +
                                 "; the real one is /usr/bin/ssh");
}

}  // namespace

Result<SshCall> parse_ssh_call(const std::vector<std::string>& words) {
  SshCall call;
  bool is_master = false;
  bool is_control = false;
  std::size_t at = 0;
  // As ssh does: options, the host, more options, then the command with whatever it holds.
  for (; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (word == "--") {
      ++at;
      if (!call.host.empty()) break;
      if (at == words.size()) break;
    }
    if (words[at].empty() || words[at].front() != '-' || word == "--") {
      if (!call.host.empty()) break;
      call.host = words[at].substr(words[at].rfind('@') + 1);
      continue;
    }
    for (std::size_t i = 1; i < word.size(); ++i) {
      const char letter = word[i];
      if (refused_letters.find(letter) != std::string_view::npos) return refuse(word);
      if (letter == 'V') return SshCall{SshCall::Kind::version, "", ""};
      if (letter == 'M') is_master = true;
      if (letter == 'O') is_control = true;
      if (plain_letters.find(letter) != std::string_view::npos) continue;
      // -p is a port: the agent's is the config's.
      if (value_letters.find(letter) == std::string_view::npos && letter != 'p') return refuse(word);
      if (i + 1 == word.size() && ++at == words.size()) return fail(Errc::invalid, word + " lacks its value");
      break;
    }
  }
  // Syncoid 2.1's second way to list snapshots, where `zfs get` knows no -t, names ssh twice: "ssh ssh -S
  // SOCKET HOST COMMAND" (its getsnaps() hands a host that is an ssh call already to getsnapsfallback()).
  if (call.host == "ssh" && at < words.size()) {
    call.host = words[at].substr(words[at].rfind('@') + 1);
    ++at;
  }
  std::vector<std::string> command(words.begin() + static_cast<std::ptrdiff_t>(std::min(at, words.size())), words.end());
  call.command = join(command, " ");
  if (call.host.empty()) return fail(Errc::invalid, "no host is named");
  const bool is_only_exit = trim(call.command) == "exit";
  if (is_control || (is_master && (call.command.empty() || is_only_exit))) {
    call.kind = SshCall::Kind::answer_done;
    return call;
  }
  if (trim(call.command).empty()) return fail(Errc::invalid, "there is no login at a mirror agent: give a command");
  return call;
}

bool is_stream_command(const std::string& command) {
  const auto parsed = mirror::parse_command_text(command);
  if (!parsed) return false;
  for (const mirror::Pipeline& pipeline : *parsed) {
    for (const mirror::PipelineStage& stage : pipeline) {
      const auto zfs = std::find(stage.argv.begin(), stage.argv.end(), "zfs");
      if (zfs == stage.argv.end() || zfs + 1 == stage.argv.end()) continue;
      if (*(zfs + 1) != "send" && *(zfs + 1) != "receive" && *(zfs + 1) != "recv") continue;
      const bool is_dry = std::any_of(zfs + 2, stage.argv.end(), [](const std::string& word) {
        return word.starts_with('-') && word.find_first_of("nA") != std::string::npos;
      });
      if (!is_dry) return true;
    }
  }
  return false;
}

namespace {

Result<int> carry(const SshCall& call, std::stop_token stop) {
  const char* const config = std::getenv(mirror_config_variable);
  const char* const jobs = std::getenv(mirror_jobs_variable);
  if (config == nullptr || *config == '\0') {
    return fail(Errc::invalid, std::string("this ssh belongs to linktune's mirror and needs ") + mirror_config_variable +
                                   ", the path of the site's config; `linktune mirror run` sets it");
  }
  LT_TRY(const MirrorSite site, MirrorSite::load(config, jobs == nullptr ? "" : jobs));
  const std::string peer = site.peer_address().text();
  if (call.host != peer && call.host != "peer") {
    return fail(Errc::invalid, "\"" + printable(call.host, 60) + "\" is not the other site of this link: write root@peer:DATASET, or root@" + peer + ":DATASET");
  }
  LT_TRY(auto meter, mirror::Meter::from_environment());
  std::optional<mirror::MeterGate> gate;
  mirror::RemoteOptions options = site.remote_options();
  mirror::RemoteRequest request = mirror::RemoteRequest::command(call.command);
  request.is_stream = is_stream_command(call.command);
  if (meter) {
    options.meter = &*meter;
    if (request.is_stream) options.gate = &gate.emplace(*meter);
  }
  LT_TRY(const auto report, mirror::run_remote(options, request, {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}, stop));
  if (report.connections > 1 && request.is_stream) {
    std::fprintf(stderr, "linktune: the link was away %llu time(s) meanwhile; %llu bytes were sent again\n",
                 static_cast<unsigned long long>(report.connections - 1), static_cast<unsigned long long>(report.bytes_sent_again));
  }
  return report.exit_status;
}

}  // namespace

int run_ssh_shim(const std::vector<std::string>& words, std::stop_token stop) {
  const auto call = parse_ssh_call(words);
  if (!call) {
    std::fprintf(stderr, "linktune ssh: %s\n", call.error().text().c_str());
    return ssh_failed;
  }
  if (call->kind == SshCall::Kind::version) std::fputs("OpenSSH-shaped shim of linktune's mirror\n", stderr);
  if (call->kind != SshCall::Kind::run) return 0;
  const auto status = carry(*call, stop);
  if (status) return *status;
  std::fprintf(stderr, "linktune ssh: %s\n", status.error().text().c_str());
  return ssh_failed;
}

Status install_ssh_shim(const std::string& folder, const std::string& program) {
  std::error_code error;
  const std::filesystem::path link = std::filesystem::path(folder) / "ssh";
  std::filesystem::remove(link, error);
  std::filesystem::create_symlink(program, link, error);
  return error ? fail_errno(error.value(), "cannot make " + link.string()) : Status{};
}

}  // namespace lt::app
