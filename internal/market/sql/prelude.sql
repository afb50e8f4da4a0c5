-- Helpers of the loading session only; nothing of this stays in the database.
SET synchronous_commit = off;
SET work_mem = '64MB';
SET maintenance_work_mem = '128MB';
SET jit = off;
SET timezone = 'UTC';
SET client_min_messages = warning;

-- h is a pseudo-random, non-negative number for row i of the stream s.
CREATE FUNCTION pg_temp.h(i bigint, s bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
AS $$ SELECT hashint8extended(i, s * 1000003 + {{seed}}) & 9223372036854775807 $$;

-- at is the moment of row i of n, spread over the ten months of history.
CREATE FUNCTION pg_temp.at(i bigint, n bigint) RETURNS timestamptz LANGUAGE sql STABLE
AS $$ SELECT timestamptz '2026-01-01 00:00:00+00'
    + ((i * (26265600000000 / n)) + (hashint8extended(i, 77) & 1048575)) * interval '1 microsecond' $$;

CREATE FUNCTION pg_temp.word(i bigint) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT (string_to_array('able amber ample apple arch ash atlas autumn axis balance bamboo basin beam birch blade blend bloom blue board bold bolt bottle bowl bracket braid brass breeze bridge bright brisk broad bronze brook brush buckle bundle cabin cable calm camp canvas carbon carry cast cedar chain charm chest chrome circle clay clean clear cliff cloud coast cobalt cocoa comfort compact cool copper coral cord cork corner cotton cover craft cream crest crisp crown crystal cup curve dark dawn deep delta denim desk dome double drift drum dry dual dusk earth easy ebony edge elm ember even ever extra fabric fair fern field fine finish firm flat fleet flint flow foam fold forest form forge frame fresh frost full garden gentle glass gloss glow gold grain granite grass gravel green grid grip grove guard hand harbour hazel heavy helm herb hill hinge hollow home honey hook hoop horizon ice indigo inner iron island ivory jade jar joint juniper kettle key kiln knit lake lamp large lasting latch leaf leather ledge level light linen link loft long loop loose low lunar maple marble marsh mat matte meadow medium mesh mild mint mist modern moon moss mount narrow natural navy nest night noble north nylon oak ocean olive onyx opal open orchard outer oval pad panel paper park path pearl pebble pine plain plank plum pocket polar pool prairie pure quartz quick quiet rain range raw reed rib ridge rim ring river robust rope rose round royal rust sage sail salt sand satin shade shell shine shore short silk silver simple slate sleek slim slope small smart smoke smooth soft solid south spare spark spring spruce square stable steel stem stone storm strap stream strong summer sun sure swift tall teal tide tight timber tin trail true twin vale velvet vine violet walnut warm water wave weave west wheat white wide willow wind winter wood wool yarn young zinc', ' '))[1 + i % 300] $$;

-- A stock of phrases; rows are composed of several, so that text repeats as it
-- does in a shop and not more.
CREATE TEMP TABLE phrase (i int PRIMARY KEY, t text NOT NULL);
INSERT INTO phrase
SELECT p, string_agg(pg_temp.word(pg_temp.h(p * 16 + k, 1)), ' ' ORDER BY k)
FROM generate_series(0, 4095) p, generate_series(1, 15) k
WHERE k <= 7 + p % 9
GROUP BY p;
ANALYZE phrase;
