#include "tunnel/resolver.h"

namespace lt::tunnel {

Resolver::Resolver(Endpoint endpoint, std::function<void()> on_answer)
    : endpoint_(std::move(endpoint)), shared_(std::make_shared<Shared>()) {
  shared_->on_answer = std::move(on_answer);
  if (const auto numeric = IpAddress::parse(endpoint_.host)) {
    shared_->known = {SocketAddress::of(*numeric, endpoint_.port)};
  }
}

Resolver::~Resolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->on_answer = nullptr;
}

void Resolver::ask() {
  if (IpAddress::parse(endpoint_.host)) return;
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->is_asking) return;
    shared_->is_asking = true;
  }
  std::thread([endpoint = endpoint_, shared = shared_] {
    auto answer = resolve(endpoint);
    const std::lock_guard lock(shared->mutex);
    shared->is_asking = false;
    if (answer) {
      shared->known = std::move(*answer);
    } else {
      shared->failure = answer.error().text();
    }
    if (shared->on_answer) shared->on_answer();
  }).detach();
}

bool Resolver::is_asking() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->is_asking;
}

Result<SocketAddress> Resolver::next_address() {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->known.empty()) return fail(Errc::unreachable, shared_->failure);
  return shared_->known[turn_++ % shared_->known.size()];
}

}  // namespace lt::tunnel
