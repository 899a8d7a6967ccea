#include "lab/sandbox.h"

#include <sys/random.h>

#include "lab/carrier.h"
#include "lab/lab_state.h"
#include "lab/sites.h"

namespace lt::lab {

namespace {

Result<std::uint64_t> draw_seed() {
  std::uint32_t seed = 0;  // short enough to be typed again
  if (::getrandom(&seed, sizeof seed, 0) != sizeof seed)
    return fail_errno(errno, "cannot draw a seed");
  return seed;
}

Error no_settings() {
  return {Errc::unsupported,
          "the profile raw is a bare veth pair without settings: choose another profile", 0};
}

}  // namespace

Result<Profile> resolve(const SandboxOptions& options) {
  LT_CHECK(check_name(options.name));
  LT_TRY(Profile profile, find_profile(options.profile));
  if (profile.raw) return options.settings.empty() ? Result<Profile>(profile) : fail(no_settings());
  LT_TRY(const std::uint64_t seed,
         options.seed ? Result<std::uint64_t>(*options.seed) : draw_seed());
  for (const Direction direction : all_directions) {
    profile.of(direction).seed = seed;
    LT_TRY(profile.of(direction), WanSettings::parse(options.settings, profile.of(direction)));
  }
  return profile;
}

struct Sandbox::Inner {
  Topology topology;
  LabState state;
  std::unique_ptr<Carrier> carrier;  // none for the profile raw

  Inner(Topology place, LabState described)
      : topology(std::move(place)), state(std::move(described)) {}

  Status raise(const SandboxOptions& options) {
    LT_CHECK(build_sites(topology, options.congestion_control));
    if (state.profile.raw) {
      LT_CHECK(build_raw_wan(topology));
    } else {
      LT_TRY(carrier, Carrier::start(state));
    }
    state.standing = true;
    return write_state(state);
  }

  ~Inner() {
    carrier.reset();
    const auto lock = BuildLock::take();
    if (lock) static_cast<void>(remove_lab(*lock, topology));
  }
};

Sandbox::Sandbox(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
Sandbox::Sandbox(Sandbox&&) noexcept = default;
Sandbox& Sandbox::operator=(Sandbox&&) noexcept = default;
Sandbox::~Sandbox() = default;

Result<Sandbox> Sandbox::build(const SandboxOptions& options) {
  LT_TRY(const Profile profile, resolve(options));
  LT_CHECK(check_machine(!profile.raw));
  const Topology topology = Topology::standard(options.name);
  std::optional<Sandbox> sandbox;
  Status built;
  {
    LT_TRY(const BuildLock lock, BuildLock::take());
    LT_CHECK(clear_leftovers(lock, topology));
    LabState state{.name = options.name,
                   .profile = profile,
                   .seed = profile.of(Direction::to_offsite).seed,
                   .keeper = Keeper::program,
                   .standing = false,
                   .owner = ProcessId::self()};
    LT_CHECK(write_state(state));
    // From here on the object removes what is made, however far this comes.
    sandbox = Sandbox(std::make_unique<Inner>(topology, state));
    built = sandbox->inner_->raise(options);
  }
  if (!built) return fail(built.error());
  return std::move(*sandbox);
}

const Topology& Sandbox::topology() const {
  return inner_->topology;
}

std::uint64_t Sandbox::seed() const {
  return inner_->state.seed;
}

Argv Sandbox::exec(Host host, const Argv& argv) const {
  Argv inside{"ip", "netns", "exec", inner_->topology.namespace_of(host)};
  inside.insert(inside.end(), argv.begin(), argv.end());
  return inside;
}

Status Sandbox::set_wan(Direction direction, const WanSettings& settings) {
  if (!inner_->carrier) return fail(no_settings());
  inner_->carrier->set(direction, settings);
  return {};
}

Status Sandbox::set_wan(Directions directions, const std::vector<std::string>& words) {
  if (!inner_->carrier) return fail(no_settings());
  return inner_->carrier->set(directions, words);
}

Result<WanReport> Sandbox::report(Direction direction) const {
  if (!inner_->carrier) return fail(no_settings());
  return inner_->carrier->report(direction);
}

Result<Json> Sandbox::status() const {
  return inner_->carrier ? inner_->carrier->status() : describe(inner_->state);
}

Status Sandbox::route_in_clear(bool on) {
  return lab::route_in_clear(inner_->topology, on);
}

Status Sandbox::pin_congestion_control(const std::string& name) {
  return lab::pin_congestion_control(inner_->topology, name);
}

}  // namespace lt::lab
