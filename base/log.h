// The log: one event a line, `time level event key=value ...`. The door of spdlog.
//
// Values are escaped, so that no peer writes lines of its own. An event is written at most
// `lines_per_second_max` times a second; what was left out is said with the next line of its name. It never waits for
// who reads it: what a full pipe or disk did not take is counted, and said with the next line that got through.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace lt {

enum class LogLevel : std::uint8_t { debug, info, warn, error, off };

inline constexpr unsigned lines_per_second_max = 10;

struct Field {
  Field(std::string_view name, std::string_view text) : key(name), value(text) {}
  Field(std::string_view name, const char* text) : key(name), value(text) {}
  Field(std::string_view name, const std::string& text) : key(name), value(text) {}
  template <class Number>
    requires std::is_arithmetic_v<Number>
  Field(std::string_view name, Number number) : key(name), value(std::to_string(number)) {}

  std::string_view key;
  std::string value;
};

/// @thread any
class Log {
 public:
  /// Writes to standard error. A closed or full standard error is not an error of ours.
  static Log to_stderr(LogLevel level);
  /// Writes nothing: for tests and for commands whose output is JSON.
  static Log silent();

  Log(Log&&) noexcept;
  ~Log();

  using Fields = std::initializer_list<Field>;
  void debug(std::string_view event, Fields fields = {}) { write(LogLevel::debug, event, fields); }
  void info(std::string_view event, Fields fields = {}) { write(LogLevel::info, event, fields); }
  void warn(std::string_view event, Fields fields = {}) { write(LogLevel::warn, event, fields); }
  void error(std::string_view event, Fields fields = {}) { write(LogLevel::error, event, fields); }

 private:
  struct Sink;
  explicit Log(std::unique_ptr<Sink> sink);
  void write(LogLevel level, std::string_view event, Fields fields);

  std::unique_ptr<Sink> sink_;
};

}  // namespace lt
