// MirrorSite: what every mirror command of a site stands on: both configs, the site's key, the way to the
// other site's agent.
#pragma once

#include <memory>
#include <string>

#include "configs/link_config.h"
#include "configs/mirror_config.h"
#include "crypto/identity.h"
#include "mirror/remote.h"

namespace lt::app {

/// The environment in which Syncoid's `ssh` finds the site it belongs to.
inline constexpr const char* mirror_config_variable = "LINKTUNE_MIRROR_CONFIG";
inline constexpr const char* mirror_jobs_variable = "LINKTUNE_MIRROR_JOBS";

class MirrorSite {
 public:
  /// Guards the process's secrets, then loads. @param jobs_path  empty: the mirror's sections are in the site's config
  /// @error invalid: a config · not_found, not_permitted: the key
  [[nodiscard]] static Result<MirrorSite> load(const std::string& config_path, const std::string& jobs_path);

  [[nodiscard]] const configs::LinkConfig& link() const { return link_; }
  [[nodiscard]] const configs::MirrorConfig& mirror() const { return mirror_; }
  [[nodiscard]] const IpAddress& own_address() const { return own_; }
  [[nodiscard]] const IpAddress& peer_address() const { return peer_; }

  /// Signs with this site's key, believes the other's.
  [[nodiscard]] mirror::Identification identification() const;
  /// The way to the other site's agent.
  [[nodiscard]] mirror::RemoteOptions remote_options() const;

 private:
  MirrorSite() = default;

  configs::LinkConfig link_;
  configs::MirrorConfig mirror_;
  IpAddress own_;
  IpAddress peer_;
  std::shared_ptr<const crypto::Identity> identity_;
};

}  // namespace lt::app
