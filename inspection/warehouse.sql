-- The warehouse tables that programs write and dbt reads as sources. dlt makes the raw_* schemas,
-- dbt makes staging, intermediate and marts. Append-only unless said otherwise.

create schema if not exists ontology;
create schema if not exists releases;
create schema if not exists inference;
create schema if not exists monitoring;

-- One row for each publication; the newest is in force.
create table if not exists ontology.published (
    publication_id bigint generated always as identity primary key,
    ontology       text not null,
    version        text not null,
    sha256         text not null,
    document       jsonb not null,                 -- the whole file
    published_at   timestamptz not null default clock_timestamp()
);

-- A row that was in quarantine for its label when a publication brought the label's class. What becomes of
-- it, the next build of the models decides.
create table if not exists ontology.freed_rows (
    publication_id bigint not null references ontology.published,
    source_table   text not null,
    source_key     text not null,
    primary key (publication_id, source_table, source_key)
);

-- A split release: the rule that dealt it, then what each labelled image got.
create table if not exists releases.split_releases (
    release_id  text primary key,                  -- content hash of what follows
    as_of       timestamptz not null,              -- nothing captured later takes part
    policy      text not null check (policy in ('chronological', 'grouped')),
    window_days integer not null,
    created_at  timestamptz not null default clock_timestamp()
);
create table if not exists releases.split_assignments (
    release_id          text not null references releases.split_releases,
    image_id            text not null,
    production_order_id text not null,
    split               text not null check (split in ('train', 'validation', 'test', 'dropped')),
    fold_id             smallint check (fold_id between 1 and 5),
    primary key (release_id, image_id)
);

-- What the service said. Written by its outbox; the first verdict stands.
create table if not exists inference.predictions (
    inspection_id       uuid not null,
    role                text not null check (role in ('production', 'shadow')),
    image_id            text,
    part_serial         text,
    part_type           text,
    camera_id           text,
    model_version       text not null,
    ontology_version    text not null,
    prediction          text check (prediction in ('PASS', 'FAIL')),
    defects             jsonb not null,
    probabilities       jsonb,                     -- {class: probability}
    overall_confidence  double precision,
    inference_time_ms   double precision,
    timings_ms          jsonb,                     -- {step: milliseconds}
    recommended_action  text not null,
    auto_action         text,
    route_reason        text,
    review_probability  double precision,
    routed_to           text,
    image_sha256        text,
    captured_at         timestamptz,
    predicted_at        timestamptz not null,
    stored_at           timestamptz not null default clock_timestamp(),
    primary key (inspection_id, role)
);
-- For a warehouse of an earlier version. Only when it must: the lock that it takes stops every reader.
do $$
begin
    if not exists (
        select from information_schema.columns
        where table_schema = 'inference' and table_name = 'predictions' and column_name = 'camera_fault'
    ) then
        alter table inference.predictions
            add column production_order_id text,
            add column station_id text,
            add column thresholds jsonb,                -- {class: probability from which it is told}
            add column confidence_threshold double precision,
            add column image_quality jsonb,             -- sharpness, brightness, black and white share
            add column camera_fault text;
    end if;
end $$;
create index if not exists predictions_predicted_at on inference.predictions (predicted_at);

-- A person's decision on a part, agreeing ones included.
create table if not exists inference.reviews (
    review_id     uuid primary key,
    inspection_id uuid not null,
    image_id      text,
    inspector_id  text not null,
    decision      text not null check (decision in ('PASS', 'FAIL', 'REWORK')),
    defect_class  text,
    comment       text,
    reviewed_at   timestamptz not null,
    stored_at     timestamptz not null default clock_timestamp()
);
-- For a warehouse of an earlier version, as above.
do $$
begin
    if not exists (
        select from information_schema.columns
        where table_schema = 'inference' and table_name = 'reviews' and column_name = 'key_name'
    ) then
        alter table inference.reviews add column key_name text;  -- of the API key that the decision came with
    end if;
end $$;

-- cleared_at is set when the condition has gone or a person has answered it; a rule fires again only
-- after that.
create table if not exists monitoring.alerts (
    alert_id       uuid primary key,
    rule           text not null,
    scope          text not null,                  -- a line, a model, or 'plant'
    severity       text not null check (severity in ('warning', 'high', 'critical')),
    value          double precision,
    bound          double precision,               -- one-sided 95 % lower bound where there is one
    threshold      double precision,
    action         text not null,
    message        text not null,
    evidence       text[] not null default '{}',   -- inspection_id of each part that it rests on
    follows_resume text,                           -- the last resume before it; a later one answers it
    fired_at       timestamptz not null default clock_timestamp(),
    notified_at    timestamptz,                    -- null until somebody has been told
    cleared_at     timestamptz
);
create unique index if not exists one_open_alert on monitoring.alerts (rule, scope) where cleared_at is null;

-- Images that reading them found missing or damaged; the newest finding replaces an older one.
create schema if not exists features;
create table if not exists features.unreadable_images (
    image_id   text primary key,
    image_path text not null,
    reason     text not null,
    seen_at    timestamptz not null default clock_timestamp()
);

-- The content of the image files that have been read; the newest reading replaces an older one.
create table if not exists features.image_files (
    image_id   text primary key,
    image_path text not null,
    sha256     text not null,                      -- of the original file
    read_at    timestamptz not null default clock_timestamp()
);
-- Null for an image that was read before they were measured; see inspection/image_quality.py.
alter table features.image_files
    add column if not exists file_bytes  bigint,             -- of the original file
    add column if not exists sharpness   double precision,   -- of the cached frame, as the others
    add column if not exists brightness  double precision,   -- 0 to 255
    add column if not exists black_share double precision,   -- of the pixels
    add column if not exists white_share double precision;

-- Labels that a model which has not seen the image doubts; the newest findings replace the older ones.
create table if not exists features.label_error_candidates (
    image_id         text not null,
    labels           text[] not null,              -- as given
    defect_class     text not null,                -- the class in doubt
    probability      double precision not null,    -- that the image shows it, out of fold
    score            double precision not null,    -- probability of the label as given: low is doubtful
    direction        text not null check (direction in ('missing', 'extra')),
    data_fingerprint text not null,
    seen_at          timestamptz not null default clock_timestamp(),
    primary key (image_id, defect_class)
);

-- What ingestion keeps about itself.
create schema if not exists ingestion;
create table if not exists ingestion.progress (
    source_name  text not null,
    table_name   text not null,
    read_until   timestamptz,                      -- highest updated_at seen; null while the table is empty
    snapshot     text not null,                    -- the source's transactions that the reading saw
    transactions bigint not null,                  -- number of the source's next transaction then
    read_at      timestamptz not null,             -- when, by the loader's clock
    arrow_schema bytea not null,                   -- columns and types as loaded
    moved        bigint not null,                  -- rows that the reading moved
    primary key (source_name, table_name)
);

-- A row that was deleted at its source, as it was last loaded.
create table if not exists ingestion.deleted_rows (
    source_name text not null,
    table_name  text not null,
    source_key  text not null,                     -- values of the key, joined by '/'
    document    jsonb not null,
    deleted_at  timestamptz not null default clock_timestamp()
);
create index if not exists deleted_rows_deleted_at on ingestion.deleted_rows (deleted_at);

-- Which changes each incremental model of dbt has taken in; its hooks write it (dbt_project/macros/changes.sql).
create schema if not exists builds;
create table if not exists builds.progress (
    model    text primary key,
    batch    bigint not null,                      -- of intermediate.int_changes
    code     text not null,                        -- digest of the project that built it; '' if built by hand
    inputs   jsonb,                                -- of int_changes alone: the row of int_inputs then
    built_at timestamptz not null default clock_timestamp()
);
