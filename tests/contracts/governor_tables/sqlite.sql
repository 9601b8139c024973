CREATE TABLE governor_schema (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);

CREATE TABLE problems (
    name VARCHAR(200) NOT NULL,
    paused_by VARCHAR(200),
    pause_reason TEXT,
    answered_by VARCHAR(200),
    answered_at DATETIME,
    schedule_seen_at DATETIME NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE episodes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    problem VARCHAR(200) NOT NULL,
    cause VARCHAR(20) NOT NULL,
    name VARCHAR(200) NOT NULL,
    fingerprint VARCHAR(200) NOT NULL,
    starts_at VARCHAR(40) NOT NULL,
    opened_at DATETIME NOT NULL,
    received_at DATETIME NOT NULL,
    heard_at DATETIME NOT NULL,
    is_firing BOOLEAN NOT NULL,
    repeats INTEGER NOT NULL,
    cleared_at DATETIME,
    choice VARCHAR(20) NOT NULL,
    reason VARCHAR(40) NOT NULL,
    words TEXT NOT NULL,
    decided_at DATETIME,
    note TEXT,
    UNIQUE (problem, fingerprint, starts_at),
    FOREIGN KEY(problem) REFERENCES problems (name)
);

CREATE INDEX ix_episodes_choice ON episodes (choice);

CREATE TABLE history (
    id INTEGER NOT NULL,
    episode_id INTEGER NOT NULL,
    at DATETIME NOT NULL,
    recorded_at DATETIME NOT NULL,
    choice VARCHAR(20) NOT NULL,
    reason VARCHAR(40) NOT NULL,
    words TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(episode_id) REFERENCES episodes (id)
);

CREATE INDEX ix_history_episode_id ON history (episode_id);

CREATE TABLE runs (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "key" VARCHAR(250) NOT NULL,
    episode_id INTEGER NOT NULL,
    problem VARCHAR(200) NOT NULL,
    as_of DATETIME NOT NULL,
    state VARCHAR(20) NOT NULL,
    planned_at DATETIME NOT NULL,
    planned_wall DATETIME NOT NULL,
    started_at DATETIME,
    started_wall DATETIME,
    ended_at DATETIME,
    version VARCHAR(100),
    reasons TEXT NOT NULL,
    UNIQUE ("key"),
    UNIQUE (episode_id),
    FOREIGN KEY(episode_id) REFERENCES episodes (id),
    FOREIGN KEY(problem) REFERENCES problems (name)
);

CREATE INDEX ix_runs_problem ON runs (problem);

CREATE UNIQUE INDEX one_in_flight ON runs (problem) WHERE state IN ('planned', 'running');
