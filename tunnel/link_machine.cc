#include "tunnel/link_machine.h"

#include <algorithm>
#include <set>

#include "base/assert.h"
#include "crypto/random.h"

namespace lt::tunnel {

namespace {
constexpr Instant never = Instant::max();
}

LinkMachine::LinkMachine(const MachineOptions& options)
    : options_(options),
      door_(options.door),
      session_backoff_(options.times.reconnect_first, options.times.reconnect_longest) {
  options_.offer.psk_used = !options_.psk.empty();
}

Byte LinkMachine::draw() {
  Byte random = 0;
  crypto::fill_random(ByteSpan(&random, 1));
  return random;
}

std::vector<LinkAction> LinkMachine::take_actions() { return std::exchange(actions_, {}); }

void LinkMachine::tell(LinkEventKind kind, std::string peer, std::string detail) {
  actions_.emplace_back(DoTell{{kind, std::move(peer), std::move(detail)}});
}

// --- connections come in ---

std::optional<ConnectionId> LinkMachine::on_accept(const IpAddress& source, std::string peer, Instant now) {
  now_ = now;
  const ConnectionId id = ++last_id_;
  const auto verdict = door_.arrive(id, source, now);
  if (verdict.gives_way) {
    tell(LinkEventKind::stranger, greetings_.at(*verdict.gives_way).peer, "gave way to others before it knocked");
    close(*verdict.gives_way);
  }
  if (!verdict.is_admitted || is_shut_down_) {
    tell(LinkEventKind::stranger, std::move(peer), "too many half-open connections");
    return std::nullopt;
  }
  Greeting& greeting = greetings_[id];
  greeting.source = source;
  greeting.peer = std::move(peer);
  begin_handshake(id, greeting, now);
  const auto placed = greetings_.find(id);
  if (placed == greetings_.end()) return std::nullopt;
  placed->second.deadline = now + options_.times.knock;  // P-53
  return id;
}

// --- connections go out ---

void LinkMachine::on_tick(Instant now) {
  now_ = now;
  std::vector<ConnectionId> late;
  for (const auto& [id, greeting] : greetings_) {
    if (now >= greeting.deadline) late.push_back(id);
  }
  for (const ConnectionId id : late) {
    const bool has_begun = greetings_.at(id).handshake.has_value();
    fail_greeting(id, Error{Errc::timed_out, has_begun ? "the handshake took too long"
                                                       : "no answer: is the other site up, and its port open?", 0}, now);
  }
  if (session_ && lanes_up() > 0) session_->last_lane = now;
  if (session_ && lanes_up() == 0 && now - session_->last_lane >= options_.times.session_kept) {  // P-75
    close_joins();
    session_.reset();
  }
  plan(now);
}

// The client's wishes: what is due is begun.
void LinkMachine::plan(Instant now) {
  if (!is_client() || is_shut_down_) return;
  if (!session_) {
    if (now >= session_due()) attempt_session(now);
    return;
  }
  for (Slot& slot : session_->slots) {
    if (now >= slot.next_progress) slot.next_progress = now + pace_interval;  // it has been told, or there is nothing to tell
  }
  // What is missing goes before what is only old: the server takes few joins at a time.
  for (const Need need : {Need::missing, Need::silent, Need::held_back, Need::worn}) {
    for (std::size_t index = 0; index < session_->slots.size(); ++index) {
      const auto wish = wish_of(index, now);
      if (wish.need == need && wish.is_due(now)) attempt_join(index, need, now);
    }
  }
}

Instant LinkMachine::session_due() const {
  return is_shaking_hands(false, 0) ? never : std::max(next_session_, next_reach_);
}

// What an index needs, and since when, whether or not it may have it.
std::pair<LinkMachine::Need, Instant> LinkMachine::need_of(const Slot& slot) const {
  if (!slot.lane) return {Need::missing, Instant::min()};
  if (is_outsized(slot)) return {Need::silent, slot.started};  // P-80
  // P-70: a path that has gone silent may be back for a fresh connection long before TCP tries the old one again.
  const Instant silent_at = slot.heard + options_.times.suspect;
  const Instant worn_at = slot.is_worn ? slot.started : slot.renew_at;  // P-69
  const Instant held_back_at = slot.held_back_at ? *slot.held_back_at + options_.times.pace_pause : slot.started;  // P-77
  if (slot.pace.is_held_back() && held_back_at <= std::min(silent_at, worn_at)) return {Need::held_back, held_back_at};
  return silent_at <= worn_at ? std::pair(Need::silent, silent_at) : std::pair(Need::worn, worn_at);
}

TakeOver LinkMachine::take_over_for(const Slot& slot, Need need) {
  if (need == Need::worn) return TakeOver::graceful;
  return need != Need::missing || slot.has_had_lane ? TakeOver::abandoned : TakeOver::no;
}

// While somebody answers, each index calls by itself, and the kernel repeats what is lost. While nobody does, one calls for
// all, often (P-51); the others follow together once it has got through.
LinkMachine::Wish LinkMachine::wish_of(std::size_t index, Instant now) const {
  const Slot& slot = session_->slots[index];
  const auto [need, since] = need_of(slot);
  if (is_shaking_hands(true, index)) return {never, need};
  const bool is_probing = is_in_doubt(now);
  if (is_probing && index != prober(now)) return {never, need};
  const Instant free_at = has_attempt(true, index) ? Instant::min() : join_free_at(is_probing);
  return {std::max({since, slot.next_attempt, slot.next_reach, free_at}), need};
}

bool LinkMachine::is_in_doubt(Instant now) const {
  return is_refused_ || std::none_of(session_->slots.begin(), session_->slots.end(), [&](const Slot& slot) {
           return slot.lane && now - slot.heard < options_.times.suspect;
         });
}

// The index that has the most urgent need, the lowest of them.
std::size_t LinkMachine::prober(Instant now) const {
  const auto rank = [&](const Slot& slot) {
    const auto [need, since] = need_of(slot);
    return since > now ? 9 : static_cast<int>(need);
  };
  const auto& slots = session_->slots;
  const auto first = std::min_element(slots.begin(), slots.end(),
                                      [&](const Slot& left, const Slot& right) { return rank(left) < rank(right); });
  return static_cast<std::size_t>(first - slots.begin());
}

// Connects that went into the dark wait for the kernel's next try, seconds away: they are made anew.
void LinkMachine::end_doubt(ConnectionId answered, Instant now) {
  is_refused_ = false;
  close_where([&](ConnectionId id, const Greeting& greeting) {
    return id != answered && greeting.is_outgoing && greeting.joins && !greeting.handshake;
  });
  if (!session_) return;
  for (Slot& slot : session_->slots) slot.next_reach = std::min(slot.next_reach, now);
}

// What the server would refuse is not asked for: a refusal costs a handshake and a wait that doubles. P-55, P-66
Instant LinkMachine::join_free_at(bool is_probing) const {
  std::set<std::size_t> under_way;
  for (const auto& [id, greeting] : greetings_) {
    const bool counts = greeting.handshake || !is_probing;  // what goes into the dark takes no place there
    if (greeting.is_outgoing && greeting.joins && counts) under_way.insert(greeting.lane_index);
  }
  if (under_way.size() >= joins_under_way_max) return never;
  const std::size_t asked = session_->joins.size() + under_way.size();
  if (asked < joins_per_second_max) return Instant::min();
  return session_->joins[asked - joins_per_second_max] + join_pause;
}

bool LinkMachine::has_attempt(bool joins, std::size_t index) const {
  return std::any_of(greetings_.begin(), greetings_.end(), [&](const auto& entry) {
    return entry.second.is_outgoing && entry.second.joins == joins && entry.second.lane_index == index;
  });
}

bool LinkMachine::is_shaking_hands(bool joins, std::size_t index) const {
  return std::any_of(greetings_.begin(), greetings_.end(), [&](const auto& entry) {
    const Greeting& greeting = entry.second;
    return greeting.is_outgoing && greeting.handshake && greeting.joins == joins && greeting.lane_index == index;
  });
}

// P-51: while nobody answers, a fresh connect goes out every reach_interval beside those under way.
LinkMachine::Greeting& LinkMachine::attempt(Instant now) {
  const ConnectionId id = ++last_id_;
  Greeting& greeting = greetings_[id];
  greeting.is_outgoing = true;
  greeting.began = now;
  greeting.deadline = now + options_.times.connect;
  greeting.segment_bytes_max = ladder_.segment_bytes_max();
  actions_.emplace_back(DoConnect{id, greeting.segment_bytes_max});
  return greeting;
}

Instant LinkMachine::next_reach(Instant now) const {
  return now + options_.times.reach * 4 / 5 + options_.times.reach * 2 / 5 * draw() / 255;
}

void LinkMachine::attempt_session(Instant now) {
  attempt(now);
  next_reach_ = next_reach(now);
}

void LinkMachine::attempt_join(std::size_t index, Need need, Instant now) {
  Slot& slot = session_->slots[index];
  if (need == Need::silent) doubt_segments(slot);
  Greeting& greeting = attempt(now);
  greeting.joins = true;
  greeting.lane_index = index;
  greeting.take_over = take_over_for(slot, need);
  greeting.is_for_silent = need == Need::silent;
  if (need == Need::held_back) slot.held_back_at = now;
  slot.next_reach = is_in_doubt(now) ? next_reach(now) : std::max(next_reach(now), now + 2 * connect_took_);
}

// P-79: what stops a lane at its first PING of full size, and never before, is the size.
void LinkMachine::doubt_segments(Slot& slot) {
  if (!is_client() || slot.is_proven || slot.segment_bytes_max != ladder_.segment_bytes_max()) return;
  if (std::exchange(slot.is_doubted, true) || !ladder_.on_unproven()) return;
  drop_attempts_of_other_size();
  const std::uint32_t most = ladder_.segment_bytes_max();
  tell(LinkEventKind::path_narrow, slot.peer,
       most == 0 ? std::string("small packets pass and full ones do not, of whatever size: segments are sized by the system again")
                 : "small packets pass and full ones do not: from here on TCP segments of at most " + std::to_string(most) + " bytes");
}

void LinkMachine::drop_attempts_of_other_size() {
  close_where([&](ConnectionId, const Greeting& greeting) {
    return greeting.is_outgoing && greeting.segment_bytes_max != ladder_.segment_bytes_max();
  });
  for (Slot& slot : session_->slots) slot.next_reach = std::min(slot.next_reach, now_);
}

void LinkMachine::on_connected(ConnectionId id, const IpAddress& peer_address, std::string peer, Instant now) {
  now_ = now;
  const auto found = greetings_.find(id);
  if (found == greetings_.end()) return;
  connect_took_ = now - found->second.began;
  if (is_refused_ || (session_ && is_in_doubt(now))) end_doubt(id, now);
  // The silent lane was heard again meanwhile: nobody has to take over.
  const Greeting& greeting = found->second;
  if (greeting.is_for_silent && session_ && greeting.lane_index < session_->slots.size()) {
    const Slot& slot = session_->slots[greeting.lane_index];
    if (slot.lane && now - slot.heard < options_.times.suspect && !is_outsized(slot)) return close(id);
  }
  found->second.source = peer_address;
  found->second.peer = std::move(peer);
  drop_other_attempts(id);
  begin_handshake(id, found->second, now);
}

// One answer is enough: what else is still on its way to the same end would only cost the server.
void LinkMachine::drop_other_attempts(ConnectionId kept) {
  const Greeting& winner = greetings_.at(kept);
  close_where([&](ConnectionId id, const Greeting& greeting) {
    return id != kept && greeting.is_outgoing && !greeting.handshake && greeting.joins == winner.joins &&
           greeting.lane_index == winner.lane_index;
  });
}

void LinkMachine::on_connect_failed(ConnectionId id, std::string peer, const Error& why, Instant now) {
  const auto found = greetings_.find(id);
  if (found == greetings_.end()) return;
  found->second.peer = std::move(peer);
  fail_greeting(id, why, now);
}

// --- greeting ---

void LinkMachine::begin_handshake(ConnectionId id, Greeting& greeting, Instant now) {
  HandshakeOptions options;
  options.role = options_.role;
  options.tls = options_.tls;
  options.own_key = options_.own_key;
  options.peer_key = options_.peer_key;
  options.psk = options_.psk;
  options.offer = options_.offer;
  options.sessions = this;
  if (greeting.joins) {
    if (!session_) return close(id);  // it has gone meanwhile
    options.join = JoinRequest{session_->id, &session_->terms, static_cast<std::uint8_t>(greeting.lane_index), greeting.take_over};
  }
  auto handshake = Handshake::create(options);
  if (!handshake) return fail_greeting(id, handshake.error(), now);
  greeting.handshake.emplace(std::move(*handshake));
  greeting.began = now;
  greeting.deadline = now + patience_with(greeting);
  flush(id, greeting);
}

// P-51: of the client, for the next sign of life. What a stopped server or a path that was cut have left half done is not
// waited for to the end.
std::chrono::nanoseconds LinkMachine::patience_with(const Greeting& greeting) const {
  const std::chrono::nanoseconds whole = options_.times.handshake;
  if (!greeting.is_outgoing) return whole;
  const std::chrono::nanoseconds stall = options_.times.stall * (1 << std::min(stalls_, 8U));
  return std::min(whole, std::max<std::chrono::nanoseconds>(stall, handshake_stall_round_trips * connect_took_));
}

void LinkMachine::flush(ConnectionId id, Greeting& greeting) {
  auto bytes = greeting.handshake->take_output();
  if (!bytes.empty()) actions_.emplace_back(DoSend{id, std::move(bytes)});
}

std::size_t LinkMachine::bytes_wanted_max(ConnectionId id) const {
  const auto found = greetings_.find(id);
  if (found == greetings_.end() || !found->second.handshake || found->second.handshake->is_established()) return 0;
  return found->second.handshake->bytes_wanted_max();
}

void LinkMachine::on_bytes(ConnectionId id, ByteView bytes, Instant now) {
  now_ = now;
  const auto found = greetings_.find(id);
  if (found == greetings_.end() || !found->second.handshake) return;
  Greeting& greeting = found->second;
  const bool had_knocked = greeting.handshake->has_knocked();
  const auto taken = greeting.handshake->on_bytes(bytes);
  if (!had_knocked && greeting.handshake->has_knocked()) {
    greeting.deadline = now + options_.times.handshake;  // P-53
    door_.knocked(id);
  }
  if (greeting.is_outgoing) greeting.deadline = std::min(greeting.began + options_.times.handshake, now + patience_with(greeting));
  flush(id, greeting);  // also after a failure: the REJECT or the alert that names the reason
  if (!taken) return fail_greeting(id, taken.error(), now);
  if (greeting.handshake->is_established()) promote(id, now);
}

void LinkMachine::on_closed(ConnectionId id, const Error& why, Instant now) {
  now_ = now;
  if (greetings_.contains(id)) fail_greeting(id, why, now);
}

void LinkMachine::close(ConnectionId id) {
  door_.left(id);
  greetings_.erase(id);
  actions_.emplace_back(DoClose{id});
}

void LinkMachine::close_where(std::predicate<ConnectionId, const Greeting&> auto is_meant) {
  std::vector<ConnectionId> meant;
  for (const auto& [id, greeting] : greetings_) {
    if (is_meant(id, greeting)) meant.push_back(id);
  }
  for (const ConnectionId id : meant) close(id);
}

void LinkMachine::fail_greeting(ConnectionId id, const Error& error, Instant now) {
  const Greeting& greeting = greetings_.at(id);
  const std::string peer = greeting.peer;
  if (!greeting.handshake) {
    is_refused_ = true;
    close(id);
    return tell(LinkEventKind::connect_failed, peer, error.text());
  }
  if (!greeting.handshake->has_knocked()) {
    close(id);
    return tell(LinkEventKind::stranger, peer, error.text());
  }
  const bool is_outgoing = greeting.is_outgoing;
  const bool joins = greeting.joins;
  const std::size_t index = greeting.lane_index;
  const auto code = greeting.handshake->rejected();
  const bool has_stalled = error.code == Errc::timed_out;
  close(id);
  tell(LinkEventKind::handshake_failed, peer, error.text());
  if (!is_outgoing) return;
  if (has_stalled) return static_cast<void>(++stalls_);  // P-51: it has waited long enough
  if (joins && code == RejectCode::unknown_session) return drop_session(GoodbyeReason::restart);  // P-67: begin anew, at once
  if (code == RejectCode::duplicate_identity) {
    next_session_ = now + duplicate_identity_wait;
    if (session_) session_->slots[index].next_attempt = next_session_;
    return;
  }
  if (joins && session_) {
    Slot& slot = session_->slots[index];
    slot.next_attempt = after_failure(slot.backoff, now);
  } else {
    next_session_ = after_failure(session_backoff_, now);
  }
}

// A handshake that failed costs both ends: never again at once.
Instant LinkMachine::after_failure(Backoff& backoff, Instant now) const {
  const Instant when = backoff.next(now, draw());
  return when > now ? when : backoff.next(now, draw());
}

// --- sessions, as the server judges them ---

const SessionTerms* LinkMachine::find(const SessionId& id) const {
  return session_ && session_->id == id ? &session_->terms : nullptr;
}

std::optional<Reject> LinkMachine::judge(const Hello& hello) const {
  if (hello.is_join()) {
    const Slot& slot = session_->slots[hello.lane_index];
    if (slot.lane && hello.take_over == TakeOver::no) return Reject{RejectCode::busy, "this lane runs already"};
    const auto recent = std::count_if(session_->joins.begin(), session_->joins.end(),
                                      [&](Instant at) { return now_ - at < std::chrono::seconds(1); });
    if (recent >= joins_per_second_max) return Reject{RejectCode::busy, "too many joins at a time"};  // P-66
    return std::nullopt;
  }
  // P-68: who was replaced and comes back, again and again, is a second machine with the same key.
  const auto returns = std::count_if(replaced_.begin(), replaced_.end(), [&](const Replaced& replaced) {
    return replaced.came_back && now_ - replaced.at < replacement_window;
  });
  const bool is_elder = session_ && session_->boot_id == hello.offer.boot_id;
  if (returns >= replacements_max && session_ && lanes_up() > 0 && !is_elder) {
    return Reject{RejectCode::duplicate_identity, "two machines use this key: give each site a key of its own"};
  }
  return std::nullopt;
}

void LinkMachine::note_replacement(const BootId& boot_id, Instant now) {
  const bool came_back = std::any_of(replaced_.begin(), replaced_.end(), [&](const Replaced& replaced) {
    return replaced.boot_id == boot_id && now - replaced.at < replacement_window;
  });
  replaced_.push_back({session_->boot_id, now, came_back});
  if (replaced_.size() > 16) replaced_.pop_front();
}

// --- a greeting becomes a lane ---

LinkMachine::Slot LinkMachine::make_slot() const {
  return {.backoff = Backoff(options_.times.reconnect_first, options_.times.reconnect_longest)};
}

void LinkMachine::promote(ConnectionId id, Instant now) {
  Greeting& greeting = greetings_.at(id);
  Established established = greeting.handshake->take_established();
  stalls_ = 0;
  door_.left(id);
  door_.remember(greeting.source);
  if (established.is_join) {
    const bool is_known = session_ && session_->id == established.session_id;
    if (!is_known || (!is_client() && session_->slots[established.lane_index].lane && established.take_over == TakeOver::no)) {
      return close(id);  // another one was faster
    }
    // P-78: a GO that was long on its way, whose client has moved on to the lane that runs.
    if (!is_client() && session_->slots[established.lane_index].lane > id) return close(id);
    session_->joins.push_back(now);
    if (session_->joins.size() > joins_per_second_max) session_->joins.pop_front();
    const auto ends = established.take_over == TakeOver::graceful ? std::optional(GoodbyeReason::moved) : std::nullopt;
    return put_lane(id, greeting, std::move(established), ends, now);
  }
  // A GO that was long on its way: its client has begun anew meanwhile, and that session stands.
  if (session_ && !is_client() && id < session_->opened_by) return close(id);
  if (session_ && !is_client()) note_replacement(established.peer_boot_id, now);
  if (session_) drop_session(GoodbyeReason::replaced);  // P-22: GO of the new one is here
  open_session(established, now);
  session_->opened_by = id;
  put_lane(id, greeting, std::move(established), GoodbyeReason::replaced, now);
}

void LinkMachine::open_session(Established& established, Instant now) {
  session_ = std::make_unique<Session>();
  session_->id = established.session_id;
  session_->boot_id = established.peer_boot_id;
  session_->terms = std::move(established.terms);
  session_->last_lane = now;
  for (std::size_t i = 0; i < session_->terms.lane_count; ++i) session_->slots.push_back(make_slot());
  established.terms.lane_count = session_->terms.lane_count;
  established.terms.express = session_->terms.express;
}

void LinkMachine::put_lane(ConnectionId id, Greeting& greeting, Established established,
                           std::optional<GoodbyeReason> ends, Instant now) {
  Slot& slot = session_->slots[established.lane_index];
  const bool is_first = !established.is_join;
  slot.lane = id;
  slot.peer = greeting.peer;
  slot.started = now;
  slot.heard = now;
  slot.renew_at = now + options_.times.lane_age / 10 * 9 + options_.times.lane_age / 5 * draw() / 255;
  slot.is_worn = false;
  slot.segment_bytes_max = greeting.segment_bytes_max;
  slot.is_proven = false;
  slot.is_doubted = false;
  slot.pace = LanePace();
  slot.next_progress = now;
  slot.has_had_lane = true;
  session_->last_lane = now;
  const std::string which = "lane " + std::to_string(established.lane_index) + " of " + std::to_string(session_->terms.lane_count);
  const std::string mtu = "tunnel MTU " + std::to_string(established.tun_mtu);
  const std::string peer = greeting.peer;
  greetings_.erase(id);
  actions_.emplace_back(DoStartLane{id, std::move(established), ends});
  tell(is_first ? LinkEventKind::session_up : LinkEventKind::lane_up, peer, is_first ? mtu + ", " + which : which);
}

// --- lanes run and end ---

void LinkMachine::on_lane_heard(ConnectionId id, Instant last_authenticated, bool is_proven, std::uint64_t wire_bytes) {
  if (!session_) return;
  for (Slot& slot : session_->slots) {
    if (slot.lane != id) continue;
    if (is_proven && !std::exchange(slot.is_proven, true)) ladder_.on_proven();
    slot.heard = std::max(slot.heard, last_authenticated);
    if (wire_bytes >= options_.times.lane_bytes) slot.is_worn = true;
  }
}

bool LinkMachine::wants_progress(ConnectionId id, Instant now) const {
  if (!is_client() || !session_) return false;
  return std::any_of(session_->slots.begin(), session_->slots.end(),
                     [&](const Slot& slot) { return slot.lane == id && now >= slot.next_progress; });
}

// P-77
void LinkMachine::on_lane_progress(ConnectionId id, const LaneProgress& progress, Instant now) {
  if (!session_) return;
  LaneRates best;
  for (const Slot& slot : session_->slots) {
    best.outbound = std::max(best.outbound, slot.pace.best().outbound);
    best.inbound = std::max(best.inbound, slot.pace.best().inbound);
  }
  for (Slot& slot : session_->slots) {
    if (slot.lane != id) continue;
    slot.pace.take(progress, best, now);
  }
}

void LinkMachine::on_lane_end(ConnectionId id, LaneEnd end, const std::string& reason, Instant now) {
  now_ = now;
  const auto slot = session_ ? std::find_if(session_->slots.begin(), session_->slots.end(),
                                            [id](const Slot& each) { return each.lane == id; })
                             : std::vector<Slot>::iterator{};
  if (!session_ || slot == session_->slots.end()) return;  // it was taken over, or its session has gone
  slot->lane.reset();
  tell(LinkEventKind::lane_ended, slot->peer, std::string(name_of(end)) + ": " + reason);
  if (now - slot->started >= options_.times.suspect) doubt_segments(*slot);
  if (now - slot->started >= options_.times.reset_after) slot->backoff.reset();  // P-52
  slot->next_attempt = slot->backoff.next(now, draw());                          // P-51
  slot->next_reach = std::min(slot->next_reach, now);
}

std::size_t LinkMachine::lanes_up() const {
  if (!session_) return 0;
  return static_cast<std::size_t>(
      std::count_if(session_->slots.begin(), session_->slots.end(), [](const Slot& slot) { return slot.lane.has_value(); }));
}

std::optional<ConnectionId> LinkMachine::lane_at(std::size_t index) const {
  return session_ && index < session_->slots.size() ? session_->slots[index].lane : std::nullopt;
}

// --- the end ---

void LinkMachine::drop_session(GoodbyeReason reason) {
  for (const Slot& slot : session_->slots) {
    if (slot.lane) actions_.emplace_back(DoStopLane{*slot.lane, reason});
  }
  close_joins();
  session_.reset();
  next_reach_ = {};
}

// Their handshakes read the terms of the session that goes.
void LinkMachine::close_joins() {
  close_where([](ConnectionId, const Greeting& greeting) { return greeting.joins && greeting.is_outgoing; });
}

void LinkMachine::shut_down() {
  is_shut_down_ = true;
  close_where([](ConnectionId, const Greeting&) { return true; });
  if (session_) drop_session(GoodbyeReason::shutdown);
}

Instant LinkMachine::next_deadline(Instant now) const {
  Instant next = now + std::chrono::seconds(60);
  for (const auto& [id, greeting] : greetings_) next = std::min(next, greeting.deadline);
  if (session_ && lanes_up() == 0) next = std::min(next, session_->last_lane + options_.times.session_kept);
  if (!is_client() || is_shut_down_) return next;
  if (!session_) return std::min(next, session_due());
  for (std::size_t index = 0; index < session_->slots.size(); ++index) {
    next = std::min(next, wish_of(index, now).due);
    if (const Slot& slot = session_->slots[index]; slot.lane) next = std::min(next, slot.next_progress);
  }
  return next;
}

}  // namespace lt::tunnel
