-- Roles belong to the whole server, so they may be there already.
DO $$
DECLARE r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['market_owner', 'market_app', 'market_reporting'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', r);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    BEGIN
        GRANT market_reporting TO market_app;
    EXCEPTION WHEN unique_violation THEN
        NULL;
    END;
END $$;
