#include "base/log.h"

#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>

#include "base/text.h"

namespace lt {

namespace {

constexpr std::size_t value_length_max = 240;

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warn: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
    case LogLevel::off: return spdlog::level::off;
  }
  return spdlog::level::off;
}

std::string quoted(std::string_view value) {
  std::string safe = printable(value, value_length_max);
  if (!safe.empty() && safe.find_first_of(" \"=") == std::string::npos) return safe;
  std::string text = "\"";
  for (const char c : safe) {
    if (c == '"') text += '\\';
    text += c;
  }
  return text + '"';
}

// Writes lines to standard error, and never waits for its reader: a pipe that nobody empties, a full disk, a closed
// descriptor cost lines, which are counted, and not the link's time. A pipe that poll() calls writable takes a page at
// once, and no line is longer.
class PatientStderr final : public spdlog::sinks::base_sink<std::mutex> {
 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (lost_ != 0) {
      line.resize(line.size() - 1);  // its end
      const std::string said = " lost=" + std::to_string(lost_) + "\n";
      line.append(said.data(), said.data() + said.size());
    }
    pollfd polled{STDERR_FILENO, POLLOUT, 0};
    const bool is_ready = ::poll(&polled, 1, 0) == 1 && (polled.revents & POLLOUT) != 0;
    ssize_t written = -1;
    while (is_ready && (written = ::write(STDERR_FILENO, line.data(), line.size())) < 0 && errno == EINTR) {
    }
    lost_ = written < 0 ? lost_ + 1 : 0;
  }
  void flush_() override {}

  unsigned lost_{0};  // since the last line that got through
};

}  // namespace

struct Log::Sink {
  std::shared_ptr<spdlog::logger> logger;

  struct Budget {
    std::chrono::steady_clock::time_point second;
    unsigned lines{0};
    unsigned suppressed{0};
  };
  std::mutex mutex;  // guards `budgets`; held for a look-up only
  std::map<std::string, Budget, std::less<>> budgets;

  // The number of lines left out before this one, or nothing when this one is left out too.
  std::optional<unsigned> admit(std::string_view event) {
    const std::lock_guard lock(mutex);
    auto found = budgets.find(event);
    if (found == budgets.end()) found = budgets.emplace(event, Budget{}).first;
    Budget& budget = found->second;
    const auto now = std::chrono::steady_clock::now();
    if (now - budget.second >= std::chrono::seconds(1)) {
      budget.second = now;
      budget.lines = 0;
    }
    if (budget.lines == lines_per_second_max) {
      ++budget.suppressed;
      return std::nullopt;
    }
    ++budget.lines;
    return std::exchange(budget.suppressed, 0U);
  }
};

Log::Log(std::unique_ptr<Sink> sink) : sink_(std::move(sink)) {}
Log::Log(Log&&) noexcept = default;
Log::~Log() = default;

Log Log::to_stderr(LogLevel level) {
  auto sink = std::make_unique<Sink>();
  sink->logger = std::make_shared<spdlog::logger>("linktune", std::make_shared<PatientStderr>());
  sink->logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  sink->logger->set_level(spdlog_level(level));
  return Log(std::move(sink));
}

Log Log::silent() { return to_stderr(LogLevel::off); }

void Log::write(LogLevel level, std::string_view event, Fields fields) {
  if (!sink_->logger->should_log(spdlog_level(level))) return;
  const auto suppressed = sink_->admit(event);
  if (!suppressed) return;
  std::string line(event);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    line += quoted(field.value);
  }
  if (*suppressed != 0) line += " left_out=" + std::to_string(*suppressed);
  sink_->logger->log(spdlog_level(level), "{}", line);
}

}  // namespace lt
