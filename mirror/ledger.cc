#include "mirror/ledger.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/handle.h"

namespace lt::mirror {

namespace {

constexpr int schema_version = 1;

constexpr const char* schema = R"(
CREATE TABLE runs(
  id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, started INTEGER NOT NULL,
  ended INTEGER NOT NULL, outcome TEXT NOT NULL, mirrored INTEGER NOT NULL,
  unchanged INTEGER NOT NULL, failed INTEGER NOT NULL, sent INTEGER NOT NULL, what TEXT NOT NULL);
CREATE INDEX runs_of_job ON runs(job, id);
CREATE TABLE datasets(
  id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, job TEXT NOT NULL,
  source TEXT NOT NULL, target TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,
  outcome TEXT NOT NULL, attempts INTEGER NOT NULL, sent INTEGER NOT NULL, took_ms INTEGER NOT NULL,
  snapshot TEXT NOT NULL, guid TEXT NOT NULL, snapshot_created INTEGER NOT NULL,
  written INTEGER NOT NULL, what TEXT NOT NULL);
CREATE INDEX datasets_of_run ON datasets(run);
CREATE INDEX datasets_of_source ON datasets(job, source, id);
CREATE TABLE proofs(
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, job TEXT NOT NULL,
  dataset TEXT NOT NULL, snapshot TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,
  result TEXT NOT NULL, took_ms INTEGER NOT NULL, examined INTEGER NOT NULL,
  total INTEGER NOT NULL, files INTEGER NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX proofs_of_dataset ON proofs(kind, dataset, id);
PRAGMA user_version = 1;
)";

constexpr std::string_view run_columns =
    "id, job, started, ended, outcome, mirrored, unchanged, failed, sent, what";
constexpr std::string_view dataset_columns =
    "run, job, source, target, started, ended, outcome, attempts, sent, took_ms, snapshot, guid, "
    "snapshot_created, written, what";
constexpr std::string_view proof_columns =
    "id, kind, job, dataset, snapshot, started, ended, result, took_ms, examined, total, files, "
    "what, detail";

// The names of enumerators, in their order: what the ledger holds, and what people read.
constexpr std::array<std::string_view, 4> run_outcomes{"running", "done", "failed", "interrupted"};
constexpr std::array<std::string_view, 4> dataset_outcomes{"mirrored", "unchanged", "failed",
                                                           "busy"};
constexpr std::array<std::string_view, 6> proof_kinds{"guids",   "verify", "drill",
                                                      "restore", "seed",   "scrub"};
constexpr std::array<std::string_view, 4> proof_results{"running", "good", "bad", "interrupted"};

template <class Enum, std::size_t count>
std::string_view named(const std::array<std::string_view, count>& names, Enum value) {
  const auto index = static_cast<std::size_t>(value);
  LT_ASSERT(index < count);
  return names[index];
}

template <class Enum, std::size_t count>
std::optional<Enum> valued(const std::array<std::string_view, count>& names,
                           std::string_view name) {
  for (std::size_t i = 0; i < count; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

Errc code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Errc::busy;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH: return Errc::not_permitted;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: return Errc::invalid;
    case SQLITE_FULL: return Errc::limit;
    default: return Errc::io;
  }
}

}  // namespace

std::string_view name_of(RunOutcome outcome) { return named(run_outcomes, outcome); }
std::string_view name_of(DatasetOutcome outcome) { return named(dataset_outcomes, outcome); }
std::string_view name_of(ProofKind kind) { return named(proof_kinds, kind); }
std::string_view name_of(ProofResult result) { return named(proof_results, result); }
std::optional<ProofKind> proof_kind_from(std::string_view name) {
  return valued<ProofKind>(proof_kinds, name);
}

struct Ledger::Db {
  std::string path;
  std::unique_ptr<sqlite3, Freed<sqlite3_close>> handle;

  [[nodiscard]] tl::unexpected<Error> failed() const {
    const int code = sqlite3_errcode(handle.get());
    std::string what = "the ledger " + path + ": " + sqlite3_errmsg(handle.get());
    if (code_of(code) == Errc::invalid)
      what += "; move it away and run again: a new one is begun, and what was recorded is lost";
    if (code_of(code) == Errc::busy) what += "; another linktune holds it: try again";
    return fail(code_of(code), std::move(what));
  }

  [[nodiscard]] Status run(const char* sql) const {
    if (sqlite3_exec(handle.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    return failed();
  }
};

namespace {

/// One statement, its parameters bound in order, its columns read in order.
class Statement {
 public:
  static Result<Statement> prepare(sqlite3* db, std::string_view sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &raw, nullptr) !=
        SQLITE_OK)
      return fail(code_of(sqlite3_errcode(db)), std::string("the ledger: ") + sqlite3_errmsg(db));
    return Statement(raw);
  }

  Statement& bind(std::int64_t value) {
    bound_ = bound_ && sqlite3_bind_int64(handle_.get(), ++parameter_, value) == SQLITE_OK;
    return *this;
  }
  Statement& bind(std::string_view text) {
    bound_ = bound_ && sqlite3_bind_text(handle_.get(), ++parameter_, text.data(),
                                         static_cast<int>(text.size()), SQLITE_TRANSIENT) ==
                           SQLITE_OK;
    return *this;
  }
  Statement& bind(Bytes bytes) { return bind(static_cast<std::int64_t>(bytes.value)); }
  Statement& bind(WallTime time) { return bind(time.time_since_epoch().count()); }
  Statement& bind(Milliseconds time) { return bind(time.count()); }
  Statement& bind(unsigned number) { return bind(static_cast<std::int64_t>(number)); }

  /// @return whether there is a row to read
  Result<bool> step() {
    LT_ASSERT(bound_);
    column_ = 0;
    switch (sqlite3_step(handle_.get())) {
      case SQLITE_ROW: return true;
      case SQLITE_DONE: return false;
      default: {
        sqlite3* db = sqlite3_db_handle(handle_.get());
        return fail(code_of(sqlite3_errcode(db)),
                    std::string("the ledger: ") + sqlite3_errmsg(db));
      }
    }
  }
  Status finish() {
    LT_CHECK(step());
    return {};
  }
  void reset() {
    sqlite3_reset(handle_.get());
    parameter_ = 0;
  }

  std::int64_t number() { return sqlite3_column_int64(handle_.get(), column_++); }
  unsigned count() { return static_cast<unsigned>(number()); }
  Bytes bytes() { return {static_cast<std::uint64_t>(number())}; }
  WallTime time() { return WallTime(Seconds(number())); }
  std::string text() {
    const int column = column_++;
    const auto* raw = sqlite3_column_text(handle_.get(), column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
    std::string made(size, '\0');
    if (raw != nullptr) std::memcpy(made.data(), raw, size);
    return made;
  }
  /// A name of an enumerator; anything else is a ledger that we did not write.
  template <class Enum, std::size_t count>
  Enum name(const std::array<std::string_view, count>& names) {
    return valued<Enum>(names, text()).value_or(static_cast<Enum>(count - 1));
  }

 private:
  explicit Statement(sqlite3_stmt* raw) : handle_(raw) {}
  std::unique_ptr<sqlite3_stmt, Freed<sqlite3_finalize>> handle_;
  int parameter_{0};
  int column_{0};
  bool bound_{true};
};

RunRecord read_run(Statement& row) {
  RunRecord run;
  run.id = row.number();
  run.job = row.text();
  run.started = row.time();
  run.ended = row.time();
  run.outcome = row.name<RunOutcome>(run_outcomes);
  run.mirrored = row.count();
  run.unchanged = row.count();
  run.failed = row.count();
  run.sent = row.bytes();
  run.what = row.text();
  return run;
}

DatasetRecord read_dataset(Statement& row) {
  DatasetRecord dataset;
  dataset.run = row.number();
  dataset.job = row.text();
  dataset.source = row.text();
  dataset.target = row.text();
  dataset.started = row.time();
  dataset.ended = row.time();
  dataset.outcome = row.name<DatasetOutcome>(dataset_outcomes);
  dataset.attempts = row.count();
  dataset.sent = row.bytes();
  dataset.took = Milliseconds(row.number());
  dataset.snapshot = row.text();
  dataset.guid = row.text();
  dataset.snapshot_created = row.time();
  dataset.written = row.bytes();
  dataset.what = row.text();
  return dataset;
}

ProofRecord read_proof(Statement& row) {
  ProofRecord proof;
  proof.id = row.number();
  proof.kind = row.name<ProofKind>(proof_kinds);
  proof.job = row.text();
  proof.dataset = row.text();
  proof.snapshot = row.text();
  proof.started = row.time();
  proof.ended = row.time();
  proof.result = row.name<ProofResult>(proof_results);
  proof.took = Milliseconds(row.number());
  proof.examined = row.bytes();
  proof.total = row.bytes();
  proof.files = static_cast<std::uint64_t>(row.number());
  proof.what = row.text();
  proof.detail = row.text();
  return proof;
}

template <class Read>
auto all_of(Result<Statement> statement, const Read& read)
    -> Result<std::vector<decltype(read(*statement))>> {
  if (!statement) return fail(statement.error());
  std::vector<decltype(read(*statement))> rows;
  for (;;) {
    LT_TRY(const bool is_row, statement->step());
    if (!is_row) return rows;
    rows.push_back(read(*statement));
  }
}

void bind_proof(Statement& statement, const ProofRecord& proof) {
  statement.bind(name_of(proof.kind))
      .bind(proof.job)
      .bind(proof.dataset)
      .bind(proof.snapshot)
      .bind(proof.started)
      .bind(proof.ended)
      .bind(name_of(proof.result))
      .bind(proof.took)
      .bind(proof.examined)
      .bind(proof.total)
      .bind(static_cast<std::int64_t>(proof.files))
      .bind(proof.what)
      .bind(proof.detail);
}

Status make_folder(const std::string& folder) {
  for (std::size_t slash = folder.find('/', 1);; slash = folder.find('/', slash + 1)) {
    const std::string part = folder.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
      return fail_errno(errno, "cannot make the folder " + part + " of the ledger");
    if (slash == std::string::npos) return {};
  }
}

}  // namespace

Ledger::Ledger(std::unique_ptr<Db> db) : db_(std::move(db)) {}
Ledger::Ledger(Ledger&&) noexcept = default;
Ledger& Ledger::operator=(Ledger&&) noexcept = default;
Ledger::~Ledger() = default;

Result<Ledger> Ledger::open(const std::string& folder) {
  LT_CHECK(make_folder(folder));
  auto db = std::make_unique<Db>();
  db->path = folder + "/ledger.sqlite";
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(db->path.c_str(), &raw,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  db->handle.reset(raw);
  if (opened != SQLITE_OK) return db->failed();
  sqlite3_busy_timeout(raw, static_cast<int>(busy_wait.count()));
  // A record that was told is on the disk: full synchronisation, even with the write-ahead log.
  LT_CHECK(db->run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"));
  LT_CHECK(db->run("BEGIN IMMEDIATE"));
  LT_TRY(auto version, Statement::prepare(raw, "PRAGMA user_version"));
  LT_CHECK(version.step());
  const std::int64_t found = version.number();
  version.reset();
  if (found > schema_version)
    return fail(Errc::unsupported, "the ledger " + db->path + " was written by a newer linktune; "
                                   "install that one, or name another state_folder");
  if (found == 0) LT_CHECK(db->run(schema));
  LT_CHECK(db->run("COMMIT"));
  return Ledger(std::move(db));
}

Result<std::int64_t> Ledger::begin_run(const std::string& job, WallTime now) {
  LT_TRY(auto insert, Statement::prepare(db_->handle.get(),
                                         "INSERT INTO runs(job, started, ended, outcome, mirrored, "
                                         "unchanged, failed, sent, what) "
                                         "VALUES(?, ?, ?, 'running', 0, 0, 0, 0, '')"));
  LT_CHECK(insert.bind(job).bind(now).bind(now).finish());
  return sqlite3_last_insert_rowid(db_->handle.get());
}

Status Ledger::end_run(const RunRecord& run) {
  LT_TRY(auto update, Statement::prepare(db_->handle.get(),
                                         "UPDATE runs SET ended = ?, outcome = ?, mirrored = ?, "
                                         "unchanged = ?, failed = ?, sent = ?, what = ? "
                                         "WHERE id = ?"));
  LT_CHECK(update.bind(run.ended)
               .bind(name_of(run.outcome))
               .bind(run.mirrored)
               .bind(run.unchanged)
               .bind(run.failed)
               .bind(run.sent)
               .bind(run.what)
               .bind(run.id)
               .finish());
  if (sqlite3_changes(db_->handle.get()) == 1) return {};
  return fail(Errc::not_found, "the ledger holds no run " + std::to_string(run.id));
}

Status Ledger::record(const DatasetRecord& dataset) {
  return record(std::vector{dataset});
}

Status Ledger::record(const std::vector<DatasetRecord>& datasets) {
  LT_TRY(auto insert, Statement::prepare(db_->handle.get(),
                                         "INSERT INTO datasets(" + std::string(dataset_columns) +
                                             ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
  LT_CHECK(db_->run("BEGIN IMMEDIATE"));
  for (const DatasetRecord& dataset : datasets) {
    const Status inserted = insert.bind(dataset.run)
                                .bind(dataset.job)
                                .bind(dataset.source)
                                .bind(dataset.target)
                                .bind(dataset.started)
                                .bind(dataset.ended)
                                .bind(name_of(dataset.outcome))
                                .bind(dataset.attempts)
                                .bind(dataset.sent)
                                .bind(dataset.took)
                                .bind(dataset.snapshot)
                                .bind(dataset.guid)
                                .bind(dataset.snapshot_created)
                                .bind(dataset.written)
                                .bind(dataset.what)
                                .finish();
    insert.reset();
    if (!inserted) {
      static_cast<void>(db_->run("ROLLBACK"));  // the first error is the one to tell
      return inserted;
    }
  }
  return db_->run("COMMIT");
}

Result<std::int64_t> Ledger::record(const ProofRecord& proof) {
  LT_TRY(auto insert,
         Statement::prepare(db_->handle.get(),
                            "INSERT INTO proofs(kind, job, dataset, snapshot, started, ended, "
                            "result, took_ms, examined, total, files, what, detail) "
                            "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)"));
  bind_proof(insert, proof);
  LT_CHECK(insert.finish());
  return sqlite3_last_insert_rowid(db_->handle.get());
}

Status Ledger::update(const ProofRecord& proof) {
  LT_TRY(auto update,
         Statement::prepare(db_->handle.get(),
                            "UPDATE proofs SET kind = ?, job = ?, dataset = ?, snapshot = ?, "
                            "started = ?, ended = ?, result = ?, took_ms = ?, examined = ?, "
                            "total = ?, files = ?, what = ?, detail = ? WHERE id = ?"));
  bind_proof(update, proof);
  LT_CHECK(update.bind(proof.id).finish());
  if (sqlite3_changes(db_->handle.get()) == 1) return {};
  return fail(Errc::not_found, "the ledger holds no proof " + std::to_string(proof.id));
}

Result<unsigned> Ledger::close_abandoned_runs(const std::string& job, WallTime now) {
  LT_TRY(auto update, Statement::prepare(db_->handle.get(),
                                         "UPDATE runs SET outcome = 'interrupted', ended = ?, "
                                         "what = 'linktune ended before the run did' "
                                         "WHERE outcome = 'running' AND job = ?"));
  LT_CHECK(update.bind(now).bind(job).finish());
  return static_cast<unsigned>(sqlite3_changes(db_->handle.get()));
}

Status Ledger::prune(WallTime before) {
  LT_CHECK(db_->run("BEGIN IMMEDIATE"));
  for (const char* sql :
       {"DELETE FROM datasets WHERE ended < ? AND id NOT IN "
        "(SELECT max(id) FROM datasets GROUP BY job, source) AND id NOT IN "
        "(SELECT max(id) FROM datasets WHERE outcome IN ('mirrored', 'unchanged') "
        "GROUP BY job, source)",
        "DELETE FROM proofs WHERE ended < ? AND id NOT IN "
        "(SELECT max(id) FROM proofs GROUP BY kind, job, dataset)",
        "DELETE FROM runs WHERE ended < ? AND id NOT IN (SELECT max(id) FROM runs GROUP BY job) "
        "AND id NOT IN (SELECT run FROM datasets)"}) {
    auto statement = Statement::prepare(db_->handle.get(), sql);
    const Status deleted =
        statement ? statement->bind(before).finish() : Status(fail(statement.error()));
    if (!deleted) {
      static_cast<void>(db_->run("ROLLBACK"));
      return deleted;
    }
  }
  return db_->run("COMMIT");
}

Result<std::vector<RunRecord>> Ledger::runs(std::string_view job, unsigned count_max) const {
  auto select = Statement::prepare(db_->handle.get(),
                                   "SELECT " + std::string(run_columns) +
                                       " FROM runs WHERE job = ? ORDER BY id DESC LIMIT ?");
  if (select) select->bind(job).bind(count_max);
  return all_of(std::move(select), read_run);
}

Result<std::vector<DatasetRecord>> Ledger::datasets_of(std::int64_t run) const {
  auto select = Statement::prepare(
      db_->handle.get(),
      "SELECT " + std::string(dataset_columns) + " FROM datasets WHERE run = ? ORDER BY id");
  if (select) select->bind(run);
  return all_of(std::move(select), read_dataset);
}

Result<std::vector<DatasetRecord>> Ledger::newest(std::string_view job) const {
  auto select = Statement::prepare(
      db_->handle.get(),
      "SELECT " + std::string(dataset_columns) +
          " FROM datasets WHERE id IN (SELECT max(id) FROM datasets WHERE job = ? "
          "GROUP BY source) ORDER BY source");
  if (select) select->bind(job);
  return all_of(std::move(select), read_dataset);
}

Result<std::vector<DatasetRecord>> Ledger::newest_good(std::string_view job) const {
  auto select = Statement::prepare(
      db_->handle.get(),
      "SELECT " + std::string(dataset_columns) +
          " FROM datasets WHERE id IN (SELECT max(id) FROM datasets WHERE job = ? AND "
          "outcome IN ('mirrored', 'unchanged') GROUP BY source) ORDER BY source");
  if (select) select->bind(job);
  return all_of(std::move(select), read_dataset);
}

Result<std::vector<DatasetRecord>> Ledger::transfers(std::string_view job,
                                                     unsigned count_max) const {
  auto select = Statement::prepare(
      db_->handle.get(),
      "SELECT " + std::string(dataset_columns) +
          " FROM datasets WHERE job = ? AND outcome = 'mirrored' AND sent > 0 AND took_ms > 0 "
          "ORDER BY id DESC LIMIT ?");
  if (select) select->bind(job).bind(count_max);
  return all_of(std::move(select), read_dataset);
}

Result<std::vector<ProofRecord>> Ledger::proofs(ProofKind kind, std::string_view dataset,
                                                unsigned count_max) const {
  auto select = Statement::prepare(
      db_->handle.get(), "SELECT " + std::string(proof_columns) +
                             " FROM proofs WHERE kind = ?1 AND (?2 = '' OR dataset = ?2) "
                             "ORDER BY id DESC LIMIT ?3");
  if (select) select->bind(name_of(kind)).bind(dataset).bind(count_max);
  return all_of(std::move(select), read_proof);
}

}  // namespace lt::mirror
