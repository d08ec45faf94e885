-- Who reads core and cards of the demo bank: SELECT on the columns that the pipeline file names,
-- and nothing else. For your own databases put your own names and columns in their place.
--
--   psql -U postgres -f deploy/grants/postgres.sql
--   psql -U postgres -c '\password prefetch_reader'
--
-- It may be applied again after each change. The role has no password until you give it one.
\set ON_ERROR_STOP on

SELECT 'CREATE ROLE prefetch_reader LOGIN'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'prefetch_reader') \gexec
ALTER ROLE prefetch_reader NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE prefetch_reader SET default_transaction_read_only = on;

\connect demo_core
GRANT CONNECT ON DATABASE demo_core TO prefetch_reader;
GRANT USAGE ON SCHEMA public TO prefetch_reader;
GRANT SELECT (customer_id, name, birth_date, email, phone, street, postal_code, city, country, language, segment, status, kyc_level, customer_since, updated_at) ON customer TO prefetch_reader;
GRANT SELECT (customer_id, password_hash, locked, closed, failed_attempts, last_login_at, updated_at) ON login TO prefetch_reader;
GRANT SELECT (customer_id, role, updated_at) ON customer_role TO prefetch_reader;
GRANT SELECT (customer_id, permissions, updated_at) ON access TO prefetch_reader;
GRANT SELECT (customer_id, flag, enabled, updated_at) ON feature TO prefetch_reader;
GRANT SELECT (account_no, product, balance, currency, interest_rate, opened_on, status, updated_at) ON account TO prefetch_reader;
GRANT SELECT (account_no, customer_id, role) ON account_holder TO prefetch_reader;

\connect demo_cards
GRANT CONNECT ON DATABASE demo_cards TO prefetch_reader;
GRANT USAGE ON SCHEMA public TO prefetch_reader;
GRANT SELECT (holder_ref, customer_id, updated_at) ON card_holder TO prefetch_reader;
GRANT SELECT (card_id, holder_ref, brand, kind, valid_until, credit_limit, status, updated_at) ON card TO prefetch_reader;
GRANT SELECT (purchase_id, card_id, holder_ref, amount, category, merchant, purchased_at, updated_at) ON purchase TO prefetch_reader;
