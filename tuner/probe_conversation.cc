#include "tuner/probe_conversation.h"

#include "tuner/fields.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds tick_period{500};

tl::unexpected<Error> server_error(const Json& said) {
  const auto object = object_field(said, "error");
  if (!object) return fail(object.error());
  const auto error = error_from_json(*object);
  return error ? fail(*error) : fail(error.error());
}

}  // namespace

Result<std::pair<Conversation, Welcome>> Conversation::begin(const ProbeClientOptions& options,
                                                             const std::stop_token& stop) {
  LT_TRY(ControlLine line, ControlLine::connect(options.control, options.connect_patience));
  Conversation talk(std::move(line), stop);
  Json hello = {{"linktune_probe", 1}};
  if (options.token) hello["token"] = options.token->hex;
  LT_CHECK(talk.say(hello));
  LT_TRY(const Json said, talk.expect("linktune_probe"));
  Welcome welcome;
  LT_TRY(welcome.boot_id, text_field(said, "boot_id", 64));
  LT_TRY(welcome.kernel, text_field(said, "kernel", 256));
  if (has_field(said, "path")) {
    LT_TRY(const std::uint64_t version, whole_field(said, "path", {0, 1'000'000}));
    welcome.path = static_cast<unsigned>(version);
  }
  return std::pair(std::move(talk), std::move(welcome));
}

Result<Json> Conversation::expect(std::string_view word) {
  last_heard_ = std::chrono::steady_clock::now();
  for (;;) {
    LT_TRY(const auto said, turn_once(turn));
    if (said && has_field(*said, word)) return *said;
    if (said && !has_field(*said, "tick"))
      return fail(Errc::protocol, "the probe server did not say `" + std::string(word) + "`");
  }
}

Status Conversation::pause(Milliseconds time) {
  last_heard_ = std::chrono::steady_clock::now();
  const Instant end = last_heard_ + time;
  for (;;) {
    const auto left =
        std::chrono::ceil<Milliseconds>(end - std::chrono::steady_clock::now());
    if (left <= Milliseconds(0)) return {};
    LT_CHECK(listen_only(std::min(left, turn)));
  }
}

Status Conversation::listen_only(Milliseconds patience) {
  LT_TRY(const auto said, turn_once(patience));
  if (said && !has_field(*said, "tick"))
    return fail(Errc::protocol, "the probe server spoke out of turn");
  return {};
}

Result<std::optional<Json>> Conversation::turn_once(Milliseconds patience) {
  if (stop_.stop_requested()) return fail(Errc::interrupted, "the test was stopped");
  LT_TRY(auto said, line_.read(patience));
  const Instant now = std::chrono::steady_clock::now();
  if (said) {
    last_heard_ = now;
    if (has_field(*said, "error")) return server_error(*said);
  } else if (now - last_heard_ > silence_max) {
    return fail(Errc::timed_out, "the probe server has gone silent");
  }
  if (now - last_tick_ >= tick_period) {
    last_tick_ = now;
    LT_CHECK(line_.write({{"tick", true}}));
  }
  return said;
}

}  // namespace lt::tuner
