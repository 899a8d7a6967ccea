#include "mirror/session.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <tuple>

#include "base/text.h"
#include "mirror/rewind.h"

namespace lt::mirror {

namespace {

constexpr std::size_t read_bytes_max = 128 << 10;
constexpr std::size_t request_bytes_max = command_text_bytes_max;
constexpr std::size_t noted_chars_max = 400;  // of a peer's command
constexpr Seconds kill_patience{3};
constexpr std::size_t turns_max = 64;  // of one pump: others want their turn, too
constexpr std::size_t answer_bytes_max = 1024;  // holds the longest name of a snapshot, 255 bytes

void copy_front(const ReceiveWindow& window, std::span<Byte> to) {
  std::size_t done = 0;
  while (done < to.size()) {
    const ByteView piece = window.front(to.size() - done, done);
    std::copy(piece.begin(), piece.end(), to.begin() + static_cast<std::ptrdiff_t>(done));
    done += piece.size();
  }
}

// What is in a child's pipe; nothing where no more is there now. The pipe is closed where no more will come.
// @param has_ended  the children are gone: what is not in the pipe now never comes
std::optional<std::string_view> read_some(Fd& fd, std::span<char> bytes, bool has_ended) {
  while (fd.is_open()) {
    const ssize_t count = ::read(fd.get(), bytes.data(), bytes.size());
    if (count > 0) return std::string_view(bytes.data(), static_cast<std::size_t>(count));
    if (count < 0 && errno == EINTR) continue;
    const bool is_later = count < 0 && errno == EAGAIN;
    if (!is_later || has_ended) fd.reset();
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Status Session::pump() {
  for (std::size_t turn = 0; turn < turns_max; ++turn) {
    const auto before = std::tuple(pipe_.in.consumed(), pipe_.out.end(), step_);
    LT_CHECK(take_parts());
    collect();
    if (before == std::tuple(pipe_.in.consumed(), pipe_.out.end(), step_)) break;
  }
  return {};
}

Status Session::take_parts() {
  input_waits_ = false;
  for (;;) {
    if (input_left_) {
      if (!feed()) return {};
      continue;
    }
    std::array<Byte, part_header_bytes> header{};
    if (pipe_.in.ready() < header.size()) return {};
    copy_front(pipe_.in, header);
    const auto kind = static_cast<PartKind>(header[0]);
    const std::size_t length = load_be32(header.data() + 1);
    const bool is_request = kind == PartKind::command || kind == PartKind::request;
    if (is_request != !has_begun_ || length > (is_request ? request_bytes_max : part_bytes_max) ||
        (!is_request && (input_has_ended_ || (kind != PartKind::input && kind != PartKind::input_end)))) {
      return fail(Errc::protocol, "the other end sent a part that has no place here");
    }
    if (is_request) {
      if (pipe_.in.ready() < header.size() + length) return {};
      pipe_.in.consume(header.size());
      std::string text(length, '\0');
      copy_front(pipe_.in, std::span(reinterpret_cast<Byte*>(text.data()), text.size()));
      pipe_.in.consume(length);
      LT_CHECK(begin(kind, text));
      continue;
    }
    pipe_.in.consume(header.size());
    if (kind == PartKind::input) {
      input_left_ = length;
    } else {
      if (length != 0) return fail(Errc::protocol, "the other end sent a part of a wrong length");
      input_has_ended_ = true;
      if (running_) running_->input().reset();
    }
  }
}

Status Session::begin(PartKind kind, const std::string& text) {
  has_begun_ = true;
  auto steps = steps_of(kind, text);
  if (!steps) {
    note(AgentEvent::Kind::refused, steps.error().what + " in: " + printable(text, noted_chars_max));
    put_part(PartKind::errors, "linktune mirror agent: refused: " + steps.error().text() + "\n");
    exit_status_ = refused_status;
    return {};
  }
  note(AgentEvent::Kind::started, printable(text, noted_chars_max));
  steps_ = std::move(*steps);
  next_step();
  return {};
}

Result<std::vector<AllowedStep>> Session::steps_of(PartKind kind, const std::string& text) const {
  if (kind == PartKind::command) {
    LT_TRY(const auto command, parse_command_text(text));
    return allow(command, services_->rules, find_program);
  }
  const auto zero = text.find('\0');
  const auto handler = services_->requests.find(text.substr(0, zero));
  if (zero == std::string::npos || handler == services_->requests.end()) {
    return fail(Errc::rejected, "no such request; is the same linktune installed at both sites?");
  }
  LT_TRY(auto pipeline, handler->second(std::string_view(text).substr(zero + 1)));
  return std::vector<AllowedStep>{std::move(pipeline)};
}

// Hands input on. @return false when the child takes no more now, or no more is here
bool Session::feed() {
  if (*input_left_ == 0) {
    input_left_.reset();
    return true;
  }
  if (!is_last_step()) return false;
  const ByteView bytes = pipe_.in.front(*input_left_);
  if (bytes.empty()) return false;
  std::size_t taken = bytes.size();  // with nobody to read it, input is passed over
  if (running_ && running_->input().is_open()) {
    const ssize_t count = ::write(running_->input().get(), bytes.data(), bytes.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      input_waits_ = true;
      return false;
    }
    if (count < 0) running_->input().reset();
    if (count > 0) taken = static_cast<std::size_t>(count);
  }
  pipe_.in.consume(taken);
  *input_left_ -= taken;
  return true;
}

// Begins steps until one has children, or none is left. Who was given up begins no more.
void Session::next_step() {
  while (!running_ && !kill_at_ && step_ < steps_.size()) {
    const AllowedStep& step = steps_[step_];
    const auto* const rewind = std::get_if<Rewind>(&step);
    const auto* const pipeline = std::get_if<Pipeline>(&step);
    if (pipeline == nullptr && rewind == nullptr) {
      const auto* const answer = std::get_if<Answer>(&step);
      const std::string said = answer != nullptr ? answer->output : receive_list(services_->rules);
      if (!has_room(said.size())) return;
      put_part(PartKind::output, said);
      exit_status_ = answer != nullptr ? answer->exit_status : 0;
      ++step_;
      continue;
    }
    const Pipeline stages = rewind != nullptr ? snapshot_question(rewind->dataset) : *pipeline;
    auto running = Running::start(stages);
    if (!running) {
      if (!has_room(1024)) return;
      put_part(PartKind::errors, "linktune mirror agent: " + printable(running.error().text(), 900) + "\n");
      exit_status_ = 127;
      ++step_;
      continue;
    }
    running_ = std::move(*running);
    zfs_pid_ = -1;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      if (stages[i].argv.front() == "zfs") zfs_pid_ = running_->pid_of(i);
    }
    if (input_has_ended_ || !is_last_step()) running_->input().reset();
  }
}

void Session::collect() {
  if (!has_begun_ || is_finished_) return;
  if (running_) {
    const bool has_ended = running_->has_ended();
    if (std::holds_alternative<Rewind>(steps_[step_])) {
      read_answer(has_ended);
    } else {
      collect_from(running_->output(), PartKind::output, has_ended);
    }
    collect_from(running_->errors(), PartKind::errors, has_ended);
    if (!has_ended || running_->output().is_open() || running_->errors().is_open()) return;
    end_step();
  }
  next_step();
  if (running_ || step_ < steps_.size() || !has_room(1)) return;
  put_part(PartKind::exit_status, std::string(1, static_cast<char>(exit_status_)));
  is_finished_ = true;
  note(AgentEvent::Kind::ended, "exit status " + std::to_string(exit_status_));
}

void Session::end_step() {
  exit_status_ = running_->exit_status();
  running_.reset();
  if (const auto* const rewind = std::get_if<Rewind>(&steps_[step_])) {
    if (auto rollback = way_back(rewind->dataset, answer_)) {
      steps_[step_] = std::move(*rollback);
      return;
    }
  }
  ++step_;
}

// What a rewind's question prints is for us.
void Session::read_answer(bool has_ended) {
  std::array<char, read_bytes_max> bytes;
  while (const auto some = read_some(running_->output(), bytes, has_ended)) {
    answer_.append(*some);
    answer_.erase(0, answer_.size() - std::min(answer_.size(), answer_bytes_max));
  }
}

// @param has_ended  as of read_some()
void Session::collect_from(Fd& fd, PartKind kind, bool has_ended) {
  std::array<char, read_bytes_max> bytes;
  while (has_room(1)) {
    const std::size_t room = std::min(bytes.size(), pipe_.out.room() - part_header_bytes);
    const auto some = read_some(fd, std::span(bytes).first(room), has_ended);
    if (!some) return;
    put_part(kind, *some);
  }
}

void Session::put_part(PartKind kind, std::string_view bytes) {
  Writer header;
  header.u8(static_cast<std::uint8_t>(kind)).u32(static_cast<std::uint32_t>(bytes.size()));
  pipe_.out.put(header.view());
  pipe_.out.put(as_bytes(bytes));
}

void Session::add_waits(std::vector<pollfd>& waits) const {
  if (!running_) return;
  if (input_waits_) waits.push_back({running_->input().get(), POLLOUT, 0});
  for (const Fd* const fd : {&running_->output(), &running_->errors()}) {
    if (fd->is_open() && has_room(1)) waits.push_back({fd->get(), POLLIN, 0});
  }
  for (const int fd : running_->end_fds()) waits.push_back({fd, POLLIN, 0});
}

ChildWait Session::child_wait() const {
  if (!running_ || zfs_pid_ <= 0) return ChildWait::unknown;
  return running_->is_stopped() ? ChildWait::stopped : child_wait_of(zfs_pid_);
}

void Session::give_up(Instant now) {
  if (kill_at_) return;
  kill_at_ = now + kill_patience;
  if (!running_) return;
  note(AgentEvent::Kind::lost, "what it ran is ended");
  // First: with its input closed, a receive would only find its stream cut short.
  running_->signal(SIGTERM);
  running_->input().reset();
  running_->output().reset();
  running_->errors().reset();
}

bool Session::is_gone(Instant now) {
  if (!kill_at_) return false;
  if (!running_ || running_->has_ended()) return true;
  if (now >= *kill_at_) running_->signal(SIGKILL);
  return false;
}

void Session::note(AgentEvent::Kind kind, std::string text) const {
  if (services_->on_event) services_->on_event({kind, std::move(text)});
}

std::string receive_list(const AllowRules& rules) {
  std::string lines;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    if (!parse_u64(entry.path().filename().string())) continue;
    const auto command = read_file(entry.path().string() + "/cmdline", 64 << 10);
    if (!command || command->empty()) continue;
    Argv argv;
    for (const std::string_view word : split(std::string_view(*command).substr(0, command->size() - 1), '\0')) argv.emplace_back(word);
    const auto target = receive_target(argv);
    if (target && receive_rule(rules, *target) != nullptr) lines += join(argv, " ") + "\n";
  }
  return lines;
}

}  // namespace lt::mirror
