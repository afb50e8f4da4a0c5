ALTER TABLE accounts.users ADD PRIMARY KEY (id);
ALTER TABLE accounts.users ADD CONSTRAINT users_public_id_key UNIQUE (public_id);
CREATE UNIQUE INDEX users_email_lower ON accounts.users (lower(email));
CREATE INDEX users_suspended ON accounts.users (updated_at) WHERE status <> 'active';
ALTER TABLE accounts.addresses ADD PRIMARY KEY (id);
CREATE INDEX addresses_user ON accounts.addresses (user_id);
ALTER TABLE accounts.sessions ADD PRIMARY KEY (id);
CREATE INDEX sessions_user ON accounts.sessions (user_id, created_at DESC);
ALTER TABLE accounts.documents ADD PRIMARY KEY (id);

ALTER TABLE accounts.addresses ADD CONSTRAINT addresses_user_fk FOREIGN KEY (user_id) REFERENCES accounts.users ON DELETE CASCADE;
ALTER TABLE accounts.sessions ADD CONSTRAINT sessions_user_fk FOREIGN KEY (user_id) REFERENCES accounts.users ON DELETE CASCADE;
ALTER TABLE accounts.documents ADD CONSTRAINT documents_user_fk FOREIGN KEY (user_id) REFERENCES accounts.users;

SELECT setval(pg_get_serial_sequence('accounts.users', 'id'), {{users}});
SELECT setval(pg_get_serial_sequence('accounts.addresses', 'id'), {{addresses}});
SELECT setval(pg_get_serial_sequence('accounts.documents', 'id'), {{documents}});

CREATE FUNCTION accounts.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := greatest(clock_timestamp(), NEW.created_at);
    RETURN NEW;
END $$;
CREATE TRIGGER users_touch BEFORE UPDATE ON accounts.users FOR EACH ROW EXECUTE FUNCTION accounts.touch();

CREATE VIEW accounts.active_users AS
    SELECT id, public_id, email, full_name, country FROM accounts.users WHERE status = 'active';

ALTER TABLE accounts.users OWNER TO market_owner;
-- The owner needs it too: foreign keys are checked with the owner's rights.
GRANT USAGE ON SCHEMA accounts TO market_owner, market_app, market_reporting;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA accounts TO market_app;
GRANT SELECT ON accounts.active_users TO market_reporting;
GRANT SELECT (id, country, status, created_at) ON accounts.users TO market_reporting;
ANALYZE accounts.users, accounts.addresses, accounts.sessions, accounts.documents;
