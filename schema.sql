-- alertlite: the data dictionary.
--
-- One SQLite file holds everything. alertlite.py executes this file once, in one transaction, when it creates a
-- database; later changes are the numbered migrations in alertlite.py, which end in the same shape.
--
-- Conventions
--   * Times are INTEGER milliseconds and end in _at or _until. SQL never asks for the time. They count on alertlite's own
--     timeline, which nobody can set: as long as the host's clock was never set, since 1970-01-01 UTC; the fact `clock` in
--     meta says what is to be added to a time from which moment on.
--   * Spans are INTEGER seconds.
--   * due_at: the timer must look at this row then, or a little later; NULL = never. It may be earlier than the real
--     deadline (the timer then moves it on), never later, so that a repeated report need not move it.
--   * seq: INTEGER PRIMARY KEY, the order in which rows were stored. Order is read from seq, never from a clock.
--   * Lists and objects are JSON text. A list has a newline before each element. A newline inside an element is escaped,
--     so that instr(list, newline || element) finds the element, and never a part of one or of two.
--   * customer '' = belongs to nobody in particular (shown as null).
--   * Every table is STRICT and every closed vocabulary has a CHECK. One of three values and more is written with OR: for
--     IN, SQLite builds a temporary index at every insertion: nearly half of the time of inserting an alert.


-- ---------------------------------------------------------------------------------------------------- the installation

-- One row per fact about this database itself. Written at creation, at start and by the timer; never deleted.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;


-- When nobody could have been heard: silence during it proves nothing. Written at each start, when the host or the process
-- was held, and when the clock jumped on; the oldest beyond a thousand go.
CREATE TABLE deaf_spans (
    seq      INTEGER PRIMARY KEY,
    start_at INTEGER NOT NULL,
    end_at   INTEGER NOT NULL CHECK (end_at >= start_at),
    reason   TEXT    NOT NULL CHECK (reason = 'stop' OR reason = 'crash' OR reason = 'boot' OR reason = 'sleep' OR
                     reason = 'pause' OR reason = 'full' OR reason = 'jump'),
    due_at   INTEGER                                 -- when people are told of it; NULL = they were
) STRICT;

-- Of which is somebody still to be told?
CREATE INDEX deaf_spans_due ON deaf_spans (due_at) WHERE due_at IS NOT NULL;


-- -------------------------------------------------------------------------------------------------------------- alerts

-- A problem somebody reported, or a silence the timer found. Identity: (environment, resource, event, customer) among
-- the rows that are not superseded. Written by reports, actions and the timer; deleted by its retention or on request.
CREATE TABLE alerts (
    seq               INTEGER PRIMARY KEY,
    id                TEXT    NOT NULL UNIQUE,
    resource          TEXT    NOT NULL,
    event             TEXT    NOT NULL,
    environment       TEXT    NOT NULL,
    severity          TEXT    NOT NULL CHECK (severity = 'security' OR severity = 'critical' OR severity = 'major' OR
                              severity = 'minor' OR severity = 'warning' OR severity = 'indeterminate' OR
                              severity = 'informational' OR severity = 'normal' OR severity = 'ok' OR
                              severity = 'cleared' OR severity = 'debug' OR severity = 'trace' OR
                              severity = 'unknown'),
    correlate         TEXT    NOT NULL,              -- JSON list of events that are states of the same problem
    status            TEXT    NOT NULL CHECK (status = 'open' OR status = 'assign' OR status = 'ack' OR status = 'shelved' OR
                              status = 'blackout' OR status = 'closed' OR status = 'expired' OR status = 'unknown'),
    previous_status   TEXT,                          -- the status before this status; NULL = it is the first
    before_ack        TEXT,                          -- where unack returns to
    before_shelve     TEXT,                          -- where unshelve returns to
    ack_until         INTEGER,                       -- end of the acknowledgement; NULL = no end
    shelve_until      INTEGER,                       -- end of the shelving; NULL = no end
    service           TEXT    NOT NULL,              -- JSON list
    group_name        TEXT    NOT NULL,
    value             TEXT,
    text              TEXT    NOT NULL,
    tags              TEXT    NOT NULL,              -- JSON list without repetition
    attributes        TEXT    NOT NULL,              -- JSON object
    origin            TEXT    NOT NULL,
    type              TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,              -- the sender's clock; for display only
    timeout           INTEGER NOT NULL CHECK (timeout >= 0),    -- seconds of silence until it expires; 0 = never
    raw_data          TEXT,
    customer          TEXT    NOT NULL,
    duplicate_count   INTEGER NOT NULL CHECK (duplicate_count >= 0),
    repeat            INTEGER NOT NULL CHECK (repeat IN (0, 1)),
    previous_severity TEXT    NOT NULL,
    trend             TEXT    NOT NULL CHECK (trend = 'moreSevere' OR trend = 'lessSevere' OR trend = 'noChange'),
    received_at       INTEGER NOT NULL,              -- when it was stored or last changed its nature
    last_receive_id   TEXT    NOT NULL,              -- id of the last report of it
    last_received_at  INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,              -- when its status last changed
    closed_at         INTEGER,                       -- since when it is closed or expired; NULL = it is not
    due_at            INTEGER,
    superseded        INTEGER NOT NULL DEFAULT 0 CHECK (superseded IN (0, 1))    -- a closed row that a new one replaced
) STRICT;

-- Is this report a repetition? One live row per problem.
CREATE UNIQUE INDEX alerts_identity ON alerts (environment, resource, event, customer) WHERE superseded = 0;
-- Which alerts of this resource count the reported event as a state of theirs?
CREATE INDEX alerts_correlating ON alerts (environment, resource, customer) WHERE superseded = 0 AND correlate <> '[]';
-- What is open (acknowledged, …) in this environment, newest first? The answer for several environments or statuses is
-- merged from as many ranges of it, which alert_counts names.
CREATE INDEX alerts_by_environment ON alerts (environment, status, last_received_at);
-- Which alert did this report end in? (A first report has the alert's own id, which the key finds.)
CREATE INDEX alerts_by_last_receive_id ON alerts (last_receive_id) WHERE last_receive_id <> id;
-- Which alerts must the timer look at?
CREATE INDEX alerts_due ON alerts (due_at) WHERE due_at IS NOT NULL;

-- One row per alert and service, kept in step with alerts.service by the same transaction. Answers: what is open in
-- this service of this environment, newest first?
CREATE TABLE alert_services (
    environment      TEXT    NOT NULL,
    service          TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    last_received_at INTEGER NOT NULL,
    alert            INTEGER NOT NULL,               -- alerts.seq
    severity         TEXT    NOT NULL,
    customer         TEXT    NOT NULL,
    PRIMARY KEY (environment, service, status, last_received_at, alert)
) STRICT, WITHOUT ROWID;

-- How many alerts there are of each kind: a total costs the same however many alerts are stored. service '' = all
-- alerts, else those of that service. Kept in step by the transaction that changes the alerts, once for each kind; a row
-- goes when it reaches zero.
CREATE TABLE alert_counts (
    customer    TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    service     TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    severity    TEXT    NOT NULL,
    count       INTEGER NOT NULL CHECK (count >= 0),
    PRIMARY KEY (environment, service, status, severity, customer)
) STRICT, WITHOUT ROWID;

-- What happened to an alert: one row per entry, in the order stored. Written with every change of its alert; the oldest
-- beyond the history limit go when a new one comes, all go with the alert.
CREATE TABLE alert_history (
    seq        INTEGER PRIMARY KEY,
    alert      INTEGER NOT NULL REFERENCES alerts (seq) ON DELETE CASCADE,
    id         TEXT    NOT NULL,                     -- of the report, the alert or the note behind the entry
    event      TEXT    NOT NULL,
    severity   TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    value      TEXT,
    text       TEXT,
    type       TEXT    NOT NULL,                     -- new, severity, status, value, note, dismiss or an action's name
    updated_at INTEGER NOT NULL,                     -- a report's entry carries the sender's clock; for display only
    user       TEXT,                                 -- login, NULL = nobody signed in
    timeout    INTEGER
) STRICT;

-- The history of one alert, in order.
CREATE INDEX alert_history_by_alert ON alert_history (alert);

-- A remark that somebody wrote on an alert. Identity: id. Deleted on request and with its alert.
CREATE TABLE notes (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    alert      INTEGER NOT NULL REFERENCES alerts (seq) ON DELETE CASCADE,
    text       TEXT    NOT NULL,
    user       TEXT,
    attributes TEXT    NOT NULL,                     -- JSON object: what the alert was when the note was written
    customer   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;

-- The notes of one alert, in order.
CREATE INDEX notes_by_alert ON notes (alert);

-- A planned silence. Identity: id. NULL and [] match everything. Written and deleted by operators.
CREATE TABLE blackouts (
    seq         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    environment TEXT    NOT NULL,
    service     TEXT    NOT NULL,                    -- JSON list, a subset of the alert's
    resource    TEXT,
    event       TEXT,
    group_name  TEXT,
    tags        TEXT    NOT NULL,                    -- JSON list, a subset of the alert's
    origin      TEXT,
    customer    TEXT    NOT NULL,
    start_at    INTEGER NOT NULL,
    end_at      INTEGER NOT NULL CHECK (end_at >= start_at),
    user        TEXT,
    text        TEXT,
    created_at  INTEGER NOT NULL
) STRICT;

-- Which blackouts are in force in this environment?
CREATE INDEX blackouts_by_environment ON blackouts (environment, end_at);


-- ---------------------------------------------------------------------------------------------------------- heartbeats

-- Something that promises to be heard from. Identity: (origin, customer). Written by its first beat and whenever a beat
-- says something new; deleted on request.
CREATE TABLE heartbeats (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    origin     TEXT    NOT NULL,
    customer   TEXT    NOT NULL,
    tags       TEXT    NOT NULL,                     -- JSON list
    attributes TEXT    NOT NULL,                     -- JSON object
    timeout    INTEGER NOT NULL CHECK (timeout >= 0),    -- seconds of silence until it expires; 0 = never
    silent     INTEGER NOT NULL DEFAULT 0 CHECK (silent IN (0, 1)),    -- the timer has raised its alert
    due_at     INTEGER,
    UNIQUE (origin, customer)
) STRICT;

-- Which heartbeats must the timer look at?
CREATE INDEX heartbeats_due ON heartbeats (due_at) WHERE due_at IS NOT NULL;

-- When a heartbeat was last heard: one row per heartbeat, and the only thing that an unchanged beat writes, so it is
-- kept narrow to spare flash storage.
CREATE TABLE beats (
    heartbeat   INTEGER PRIMARY KEY REFERENCES heartbeats (seq) ON DELETE CASCADE,
    created_at  INTEGER NOT NULL,                    -- the sender's clock; for display and latency
    received_at INTEGER NOT NULL,
    gap         INTEGER NOT NULL DEFAULT 0           -- milliseconds between the last two; 0 = unknown, or longer than its timeout
) STRICT;


-- -------------------------------------------------------------------------------------------------------------- checks

-- A job that promises to ping. Identity: code. Written by the management API and its pings; deleted on request.
CREATE TABLE checks (
    seq                 INTEGER PRIMARY KEY,
    code                TEXT    NOT NULL UNIQUE,     -- the secret in its ping address
    badge_key           TEXT    NOT NULL UNIQUE,
    unique_key          TEXT    NOT NULL UNIQUE,     -- what a read-only key sees instead of the code
    customer            TEXT    NOT NULL,
    name                TEXT    NOT NULL,
    slug                TEXT    NOT NULL,
    tags                TEXT    NOT NULL,            -- separated by blanks, as posted
    description         TEXT    NOT NULL,
    kind                TEXT    NOT NULL CHECK (kind IN ('simple', 'cron')),
    timeout             INTEGER NOT NULL,            -- seconds between pings of a simple check
    grace               INTEGER NOT NULL,            -- seconds
    schedule            TEXT    NOT NULL,            -- cron expression, as posted
    tz                  TEXT    NOT NULL,            -- time zone of the schedule
    methods             TEXT    NOT NULL CHECK (methods IN ('', 'POST')),
    manual_resume       INTEGER NOT NULL CHECK (manual_resume IN (0, 1)),
    start_kw            TEXT    NOT NULL,
    success_kw          TEXT    NOT NULL,
    failure_kw          TEXT    NOT NULL,
    filter_subject      INTEGER NOT NULL CHECK (filter_subject IN (0, 1)),
    filter_body         INTEGER NOT NULL CHECK (filter_body IN (0, 1)),
    filter_http_body    INTEGER NOT NULL CHECK (filter_http_body IN (0, 1)),
    filter_default_fail INTEGER NOT NULL CHECK (filter_default_fail IN (0, 1)),
    status              TEXT    NOT NULL CHECK (status = 'new' OR status = 'up' OR status = 'down' OR status = 'paused'),
    n_pings             INTEGER NOT NULL,
    last_ping_at        INTEGER,
    last_start_at       INTEGER,
    last_start_rid      TEXT,                        -- the run that the pending start belongs to
    last_duration       INTEGER,                     -- milliseconds
    next_at             INTEGER,                     -- the run that a cron check which is up waits for
    down_at             INTEGER,                     -- since when it is down; NULL = it is not
    alert               TEXT,                        -- alerts.id of the alert about its being down
    created_at          INTEGER NOT NULL,
    due_at              INTEGER,
    gap                 INTEGER NOT NULL DEFAULT 0   -- milliseconds between the last two pings; 0 = unknown, or longer than promised
) STRICT;

-- Which checks must the timer look at?
CREATE INDEX checks_due ON checks (due_at) WHERE due_at IS NOT NULL;
-- Which check does this slug name? Which are the checks of this customer?
CREATE INDEX checks_by_slug ON checks (customer, slug);
-- Which check does this name mean, where one is to be made only once?
CREATE INDEX checks_by_name ON checks (customer, name);

-- What a check was told. Identity: (check, n), the order of arrival. Of what is beyond the ping log limit, the oldest go
-- with every hundredth ping.
CREATE TABLE pings (
    check_seq   INTEGER NOT NULL REFERENCES checks (seq) ON DELETE CASCADE,
    n           INTEGER NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind = 'success' OR kind = 'fail' OR kind = 'start' OR kind = 'log' OR kind = 'ign'),
    created_at  INTEGER NOT NULL,
    scheme      TEXT    NOT NULL,
    method      TEXT    NOT NULL,
    remote_addr TEXT,
    user_agent  TEXT    NOT NULL,
    rid         TEXT,
    exit_status INTEGER,
    body        BLOB,                                -- as sent, up to the ping body limit; NULL = none
    PRIMARY KEY (check_seq, n)
) STRICT, WITHOUT ROWID;

-- A change of a check's status. Those older than both 93 days and the check's oldest ping go with a later one.
CREATE TABLE flips (
    seq          INTEGER PRIMARY KEY,
    check_seq    INTEGER NOT NULL REFERENCES checks (seq) ON DELETE CASCADE,
    old_status   TEXT    NOT NULL,
    new_status   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,                   -- when it became so; of a missed deadline, the deadline
    reason       TEXT    NOT NULL,                   -- timeout, fail or nothing
    down_seconds INTEGER,                            -- of a recovery: how long it was down
    missed_runs  INTEGER                             -- of a recovery: how many runs did not report in time
) STRICT;

-- The flips of one check, newest first.
CREATE INDEX flips_by_check ON flips (check_seq, created_at);

-- What the checks of one customer have in common. Identity: customer. Written when first needed, never deleted.
CREATE TABLE projects (
    customer     TEXT PRIMARY KEY,
    ping_key     TEXT NOT NULL UNIQUE,               -- the secret in ping addresses that name a slug
    badge_key    TEXT NOT NULL UNIQUE,               -- in the addresses of its badges
    badge_secret TEXT NOT NULL                       -- what those addresses are signed with
) STRICT, WITHOUT ROWID;


-- -------------------------------------------------------------------------------------------------------- notification

-- Where somebody wants to be told; a Healthchecks channel is the same row. Identity: id.
CREATE TABLE receivers (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    customer     TEXT    NOT NULL,
    type         TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    address_data TEXT    NOT NULL,                   -- JSON, may hold secrets
    created_at   INTEGER NOT NULL,
    fallback     TEXT    NOT NULL DEFAULT '',                 -- id of the receiver to tell where this one fails for long; '' = none
    remind_every INTEGER NOT NULL DEFAULT 0 CHECK (remind_every >= 0),     -- seconds between reminders of what stays open; 0 = none
    due_at       INTEGER                             -- the next reminder
) STRICT;

-- Who is to be reminded?
CREATE INDEX receivers_due ON receivers (due_at) WHERE due_at IS NOT NULL;

-- The receivers of one customer.
CREATE INDEX receivers_by_customer ON receivers (customer);

-- What there is to be told about. Identity: name. Built in, or from the operator's file.
CREATE TABLE event_types (
    seq                    INTEGER PRIMARY KEY,
    name                   TEXT    NOT NULL UNIQUE,
    display_name           TEXT    NOT NULL,
    description            TEXT    NOT NULL,
    default_receiver_types TEXT    NOT NULL,         -- JSON list
    hidden_receiver_types  TEXT    NOT NULL,         -- JSON list
    hide_ui_config         INTEGER NOT NULL CHECK (hide_ui_config IN (0, 1)),
    feature_flag           TEXT    NOT NULL
) STRICT;

-- Which event types a receiver wants to hear of. (The columns stand in the order of the key: else SQLite 3.40 takes the
-- table for damaged.)
CREATE TABLE receiver_event_types (
    event_type INTEGER NOT NULL REFERENCES event_types (seq) ON DELETE CASCADE,
    receiver   INTEGER NOT NULL REFERENCES receivers (seq) ON DELETE CASCADE,
    PRIMARY KEY (event_type, receiver)
) STRICT, WITHOUT ROWID;

-- Which receivers a check tells.
CREATE TABLE check_receivers (
    check_seq INTEGER NOT NULL REFERENCES checks (seq) ON DELETE CASCADE,
    receiver  INTEGER NOT NULL REFERENCES receivers (seq) ON DELETE CASCADE,
    PRIMARY KEY (check_seq, receiver)
) STRICT, WITHOUT ROWID;

-- Which checks tell this receiver?
CREATE INDEX check_receivers_by_receiver ON check_receivers (receiver);

-- Something that happened and that people may want to hear of, whatever caused it. Identity: seq, and id outside.
-- Written in the transaction that made it happen; kept for its retention.
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    customer    TEXT    NOT NULL,
    happened_at INTEGER NOT NULL,
    alert       TEXT,                                -- alerts.id; NULL = not about an alert
    messages    TEXT    NOT NULL,                    -- JSON object: what a message about it needs to say
    suppressed  TEXT                                 -- why nobody is told; NULL = whoever subscribed is told
) STRICT;

-- The events of a customer, in order. (Those of nobody in particular are most of the table and are read from it.)
CREATE INDEX events_by_customer ON events (customer) WHERE customer <> '';
-- Was anybody told that this alert opened?
CREATE INDEX events_suppressed ON events (alert) WHERE suppressed IS NOT NULL AND alert IS NOT NULL;

-- One delivery that is owed: event × receiver. Written with its event, marked after sending; goes with its event.
CREATE TABLE outbox (
    seq        INTEGER PRIMARY KEY,
    event      INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    receiver   INTEGER NOT NULL REFERENCES receivers (seq) ON DELETE CASCADE,
    state      TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'sent' OR state = 'dead'),
    attempts   INTEGER NOT NULL DEFAULT 0,
    waited     INTEGER NOT NULL DEFAULT 0,                 -- seconds for which it was tried, on a clock that nobody sets
    last_error TEXT,                                 -- the target's own words
    marked_at  INTEGER,                              -- when it was sent, given up or last tried
    UNIQUE (event, receiver)                         -- a receiver hears of an event once
) STRICT;

-- What is owed to a receiver, in order.
CREATE INDEX outbox_waiting ON outbox (receiver, seq) WHERE state = 'waiting';
-- What became of what was owed to a receiver, the newest first.
CREATE INDEX outbox_by_receiver ON outbox (receiver, seq);


-- ---------------------------------------------------------------------------------------------------------- people, keys

-- Somebody who may sign in or own keys: the white-list. Identity: login. Written and deleted by administrators.
CREATE TABLE users (
    seq            INTEGER PRIMARY KEY,
    id             TEXT    NOT NULL UNIQUE,
    login          TEXT    NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    email          TEXT,
    password_hash  TEXT,                             -- scrypt$salt$hash; NULL = cannot sign in with a password
    status         TEXT    NOT NULL CHECK (status IN ('active', 'inactive')),
    roles          TEXT    NOT NULL,                 -- JSON list
    attributes     TEXT    NOT NULL,                 -- JSON object
    text           TEXT    NOT NULL,
    email_verified INTEGER NOT NULL CHECK (email_verified IN (0, 1)),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    last_login_at  INTEGER
) STRICT;

-- Who has this address?
CREATE UNIQUE INDEX users_by_email ON users (email) WHERE email IS NOT NULL;

-- A key that a program presents. The key itself is shown once and never stored. Identity: id, and key_hash.
CREATE TABLE api_keys (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    key_hash     TEXT    NOT NULL UNIQUE,            -- SHA-256, hexadecimal
    hint         TEXT    NOT NULL,                   -- the first characters, to tell keys apart
    user         TEXT    NOT NULL,                   -- login
    scopes       TEXT    NOT NULL,                   -- JSON list
    text         TEXT    NOT NULL,
    customer     TEXT    NOT NULL,                   -- '' = not confined to one customer
    expires_at   INTEGER NOT NULL,
    count        INTEGER NOT NULL DEFAULT 0,         -- uses; written with the next write or within a minute
    last_used_at INTEGER
) STRICT;

-- The keys of one user.
CREATE INDEX api_keys_by_user ON api_keys (user);

-- A group of users. Identity: name.
CREATE TABLE groups (
    seq  INTEGER PRIMARY KEY,
    id   TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL
) STRICT;

-- Who is in which group.
CREATE TABLE group_users (
    group_seq INTEGER NOT NULL REFERENCES groups (seq) ON DELETE CASCADE,
    user_seq  INTEGER NOT NULL REFERENCES users (seq) ON DELETE CASCADE,
    PRIMARY KEY (group_seq, user_seq)
) STRICT, WITHOUT ROWID;

-- The scopes of a role that is not built in. Identity: match, the role's name.
CREATE TABLE permissions (
    seq    INTEGER PRIMARY KEY,
    id     TEXT NOT NULL UNIQUE,
    match  TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL                             -- JSON list
) STRICT;

-- Which customers a login, domain, group or role belongs to. Identity: id; many rows may share a match.
CREATE TABLE customers (
    seq      INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    match    TEXT NOT NULL,
    customer TEXT NOT NULL
) STRICT;
