#include "app/cmd_probe.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"
#include "tuner/path_shape.h"
#include "tuner/report.h"

namespace lt::app {

namespace {

constexpr const char* token_variable = "LINKTUNE_PROBE_TOKEN";

Result<std::optional<tuner::ProbeToken>> given_token(const std::string& file) {
  if (!file.empty()) {
    LT_TRY(auto token, tuner::ProbeToken::load(file));
    return std::optional(std::move(token));
  }
  const char* text = std::getenv(token_variable);
  if (text == nullptr) return std::optional<tuner::ProbeToken>();
  auto token = tuner::ProbeToken::parse(text);
  if (!token) return fail(with_context(token.error(), token_variable));
  return std::optional(std::move(*token));
}

Result<IpAddress> address_of(const std::string& text, const char* flag) {
  const auto address = IpAddress::parse(text);
  if (address) return *address;
  return fail(Errc::invalid, std::string(flag) +
                                 " takes a numeric address such as 10.77.0.2, not `" +
                                 printable(text, 60) + "`");
}

Result<Milliseconds> time_of(double seconds, const char* flag) {
  // The probe checks its own limits; here only what is no time at all.
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e6)
    return fail(Errc::invalid, std::string(flag) + " takes seconds");
  return Milliseconds(std::llround(seconds * 1000));
}

Result<tuner::ProbeRequest> request_of(const ProbeCommand& command) {
  tuner::ProbeRequest request;
  LT_TRY(request.data, address_of(command.data, "--data"));
  if (!command.source.empty()) {
    LT_TRY(request.source, address_of(command.source, "--source"));
  }
  request.data_port = command.data_port;
  LT_TRY(request.duration, time_of(command.seconds, "--seconds"));
  LT_TRY(request.omit, time_of(command.omit_seconds, "--omit"));
  LT_TRY(request.idle, time_of(command.idle_seconds, "--idle"));
  request.flows = command.flows;
  const auto load = tuner::load_from_name(command.direction);
  if (!load) return fail(Errc::invalid, "--direction takes up, down or both");
  request.load = *load;
  request.congestion = command.congestion;
  request.echo_per_second = command.echo_per_second;
  request.echo_bytes = command.echo_bytes;
  LT_CHECK(tuner::validate(request));
  return request;
}

Result<tuner::PathRequest> path_request_of(const ProbeCommand& command) {
  tuner::PathRequest request;
  LT_TRY(request.data, address_of(command.data, "--data"));
  if (!command.source.empty()) {
    LT_TRY(request.source, address_of(command.source, "--source"));
  }
  request.data_port = command.data_port;
  return request;
}

}  // namespace

Result<Outcome> run_probe_server(const ProbeServeCommand& command, const std::stop_token& stop,
                                 Log& log) {
  tuner::ProbeServerOptions options;
  LT_TRY(options.control, tuner::ControlAddress::parse(command.control));
  if (!command.data.empty()) {
    LT_TRY(options.data, address_of(command.data, "--data"));
  }
  options.once = command.once;
  bool is_fresh = false;
  if (!command.open) {
    LT_TRY(options.token, given_token(command.token_file));
    // A Unix socket is its owner's alone; only a TCP port needs more.
    is_fresh = !options.token && options.control.tcp.has_value();
    if (is_fresh) options.token = tuner::ProbeToken::random();
  }
  LT_TRY(auto server, tuner::ProbeServer::create(options, log));
  const std::string where = server.address().text();
  std::fprintf(stderr, "probe server listens on %s\n", where.c_str());
  if (is_fresh) {
    std::fprintf(stderr, "token, for %s or --token-file at the client: %s\n", token_variable,
                 options.token->hex.c_str());
  }
  LT_CHECK(server.serve(stop));
  return Outcome{{{"schema", "linktune.probe-server/1"}, {"control", where}},
                 "the probe server has ended\n"};
}

Result<Outcome> run_probe_command(const ProbeCommand& command, const std::stop_token& stop) {
  tuner::ProbeClientOptions options;
  LT_TRY(options.control, tuner::ControlAddress::parse(command.control));
  LT_TRY(options.token, given_token(command.token_file));
  if (command.is_path) {
    LT_TRY(const auto path, path_request_of(command));
    LT_TRY(const auto shape, tuner::probe_path(options, path, stop));
    return Outcome{tuner::to_json(shape), tuner::text_of(shape),
                   shape.path_failure ? exit_failed : exit_done};
  }
  LT_TRY(const auto request, request_of(command));
  LT_TRY(const auto result, tuner::run_probe(options, request, stop));
  return Outcome{tuner::to_json(result), tuner::text_of(result),
                 result.path_failure ? exit_failed : exit_done};
}

}  // namespace lt::app
