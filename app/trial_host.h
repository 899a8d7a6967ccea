// TrialHost: one site's part of trials between two hosts: its folder, its keys, its end of a link under trial.
//
// Both sites of a sweep have one, the asking one in `linktune sweep`, the asked one in `linktune sweep agent`. The site
// that listens in the config listens in trials, on the trial port. A link under trial carries no network of either
// site: only the two trial addresses, so that no packet of anybody else enters it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/left_overs.h"
#include "app/openvpn_pair.h"
#include "app/sweep_request.h"
#include "app/trial_side.h"
#include "configs/link_config.h"
#include "crypto/identity.h"

namespace lt::app {

struct TrialPeer {
  std::string site;
  TrialKeysShown keys;
  IpAddress trial_address;
};

/// What an owner sees of it in `linktune status`.
struct TrialNotice {
  std::string who;    // whose sweep
  std::string what;   // the arm under trial
  std::string until;  // as the asker means it, UTC
};

class TrialHost {
 public:
  /// Takes the site's folder and makes fresh keys. @error busy: trials of this site run already
  [[nodiscard]] static Result<std::unique_ptr<TrialHost>> create(const configs::LinkConfig& config, const std::string& run_directory);
  ~TrialHost();

  [[nodiscard]] TrialKeysShown shown() const;
  [[nodiscard]] const Prefix& address() const { return address_; }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

  /// Starts this end; nothing of an earlier arm is left. A bare arm starts nothing.
  /// @error invalid: the peer's address is not in our network · not_found: no openvpn · busy: the trial port is taken
  ///        · unsupported: this openvpn is too old for the arm · others of a start
  [[nodiscard]] Status start(const tuner::Arm& arm, const TrialPeer& peer);
  /// @error closed: it has ended; its last words are in the sentence
  [[nodiscard]] Result<bool> is_ready();
  [[nodiscard]] std::string last_words() const { return side_ ? side_->last_words() : ""; }
  /// Says so in the folder. What is not written there is no harm.
  void note(const TrialNotice& notice) const;
  /// Takes this end down.
  void stop();

 private:
  TrialHost(configs::LinkConfig config, Prefix address, TrialFolder folder, crypto::Identity identity)
      : config_(std::move(config)), address_(address), folder_(std::move(folder)), identity_(std::move(identity)) {}
  [[nodiscard]] Status start_native(const tuner::Arm& arm, const TrialPeer& peer, const std::string& folder);
  [[nodiscard]] Status start_openvpn(const tuner::Arm& arm, const TrialPeer& peer, const std::string& folder);
  [[nodiscard]] Endpoint endpoint() const;

  configs::LinkConfig config_;
  Prefix address_;
  TrialFolder folder_;
  crypto::Identity identity_;
  crypto::CertificatePem certificate_;
  unsigned starts_{0};
  std::optional<TrialSide> side_;
};

/// The installed OpenVPN; nothing: there is none.
[[nodiscard]] std::optional<configs::OpenVpnVersion> openvpn_here();

}  // namespace lt::app
