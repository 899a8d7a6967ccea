#include "app/cli_openvpn.h"

#include "app/cmd_openvpn.h"
#include "app/cmd_openvpn_lint.h"
#include "app/openvpn_choice.h"
#include "configs/knob.h"

namespace lt::app {

namespace {

// "--knob tun_mtu=9000" as a name and a text.
Result<std::vector<std::pair<std::string, std::string>>> knob_pairs(const std::vector<std::string>& words) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) return fail(Errc::invalid, "--knob " + word + ": write it as KNOB=VALUE, for example tun_mtu=9000");
    pairs.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return pairs;
}

// Knobs and versions of a sweep go first: a --knob stands over them.
Status take_result(OpenVpnExportOptions& options, const std::string& result) {
  if (result.empty()) return {};
  if (options.recipe) return fail(Errc::invalid, "--recipe and a sweep's result are two beginnings; choose one");
  LT_TRY(OpenVpnChoice choice, read_openvpn_choice(result));
  options.knobs = std::move(choice.knobs);
  options.found_versions = std::move(choice.versions);
  options.basis = std::move(choice.basis);
  return {};
}

void add_export(CLI::App& group, Shell& shell) {
  const auto options = std::make_shared<OpenVpnExportOptions>();
  const auto words = std::make_shared<std::vector<std::string>>();
  const auto result = std::make_shared<std::string>();
  CLI::App* command = add_command(group, shell, "export", "write server.conf and client.conf, checked by running them");
  command->add_option("RESULT", *result, "a sweep's journal: its OpenVPN settings, for the versions it found at both ends");
  command->add_option("--out", options->out, "the folder for the files")->required();
  command->add_option("--config", options->config, "a site's config (the server's)");
  command->add_option("--peer-config", options->peer_config, "the other site's config");
  command->add_option("--endpoint", options->endpoint, "or, without configs: ADDR:PORT where the client reaches the server");
  command->add_option("--lan", options->lan, "CIDR of a network behind the server; repeatable");
  command->add_option("--peer-lan", options->peer_lan, "CIDR of a network behind the client; repeatable");
  command->add_option("--tunnel", options->tunnel, "the server's address in the tunnel")->capture_default_str();
  command->add_option("--peer-tunnel", options->peer_tunnel, "the client's address in the tunnel (default: the next one)");
  command->add_option("--port", options->port, "instead of the configs' port")->check(CLI::Range(1, 65535));
  command->add_flag("--recipe", options->recipe, "begin with the widely copied jumbo recipe instead of OpenVPN's defaults");
  command->add_option("--knob", *words, "KNOB=VALUE, for example tun_mtu=9000; repeatable");
  command->add_option("--target-version", options->target_version, "the OpenVPN the files are for (default: the installed one)");
  command->add_option("--install-dir", options->install_dir, "where the server's files will stand (default: --out)");
  command->add_option("--days", options->days, "validity of the certificates")->capture_default_str();
  command->add_flag("--tls-crypt,!--no-tls-crypt", options->tls_crypt, "a tls-crypt-v2 key as well (default: yes)");
  command->add_flag("--check,!--no-check", options->check, "run the pair in private namespaces before writing it (default: yes)");
  command->footer("Knobs:\n" + configs::knob_table_text(configs::Carrier::openvpn));
  command->callback([&shell, options, words, result] {
    shell.command = [options, words, result](Log&) -> Result<Outcome> {
      LT_CHECK(take_result(*options, *result));
      LT_TRY(const auto knobs, knob_pairs(*words));
      options->knobs.insert(options->knobs.end(), knobs.begin(), knobs.end());
      LT_TRY(const OpenVpnExportReport made, export_openvpn(*options));
      return Outcome{export_json(made), export_text(made)};
    };
  });
}

void add_lint(CLI::App& group, Shell& shell) {
  const auto options = std::make_shared<OpenVpnLintOptions>();
  CLI::App* command = add_command(group, shell, "lint", "name the dead, ignored, dangerous and slow lines of a config, with reason and cure");
  command->add_option("FILE", options->files, "a config, or the two of a pair")->required()->expected(1, 2);
  command->add_option("--version", options->version, "the OpenVPN it is for: 2.4 to 2.7, or as exact as 2.6.14 (default: the installed one)");
  command->footer("Exit code 1: a line stops OpenVPN, or loses packets or secrets. Nothing is changed.");
  command->callback([&shell, options] {
    shell.command = [options](Log&) { return lint_openvpn(*options); };
  });
}

}  // namespace

void add_openvpn(CLI::App& app, Shell& shell) {
  CLI::App* group = app.add_subcommand("openvpn", "drop-in OpenVPN configs, and what is wrong with yours");
  group->require_subcommand(1);
  add_export(*group, shell);
  add_lint(*group, shell);
}

}  // namespace lt::app
