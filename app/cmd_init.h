// linktune init, keygen, pubkey: the configs and keys of a pair of sites.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "configs/link_config.h"

namespace lt::app {

/// As the command line gives it; init_pair() reads the texts.
struct InitPairOptions {
  std::string out;                     // the folder; made when it is not there
  std::string endpoint;                // ADDR:PORT where the offsite site reaches the office
  std::vector<std::string> lan;        // networks behind the office
  std::vector<std::string> peer_lan;   // networks behind the offsite site
  std::string tunnel{"10.77.0.1/30"};  // the office's address in the tunnel
  std::string peer_tunnel;             // empty: the address next to `tunnel`
  std::string device{"lt0"};
  configs::NativeKnobs knobs{};
};

/// Both configs, without their public keys: what the options say, and what follows from it.
struct SitePair {
  configs::LinkConfig office;
  configs::LinkConfig offsite;
};

/// @error invalid: an option that cannot be read, by its name and with its cure
[[nodiscard]] Result<SitePair> plan_pair(const InitPairOptions& options);
/// @error invalid: what does not fit in a pair whose keys are set, by the name of the option it
/// comes from
[[nodiscard]] Status check_pair(const SitePair& pair);

struct SiteFiles {
  std::string config_path;
  std::string key_path;
  std::string public_key;  // as text
};

struct InitPairReport {
  SiteFiles office;
  SiteFiles offsite;
};

/// Writes office.toml, office.key, offsite.toml and offsite.key (keys 0600) into `out`. The office
/// listens on all its addresses at the endpoint's port, the offsite site connects to the endpoint.
/// All or nothing.
/// @error invalid: an option, by its name and with its cure · exists: a file of the four is there;
/// none is touched
[[nodiscard]] Result<InitPairReport> init_pair(const InitPairOptions& options);

/// Makes a private key of mode 0600. @return its public key, as text. @error exists: never
/// overwrites
[[nodiscard]] Result<std::string> keygen(const std::string& path);

/// The public key of a private key's file, as text. @error as crypto::Identity::load
[[nodiscard]] Result<std::string> pubkey(const std::string& path);

/// What to do next, for people; and the same for programs.
[[nodiscard]] std::string init_text(const InitPairReport& report);
[[nodiscard]] Json init_json(const InitPairReport& report);

}  // namespace lt::app
