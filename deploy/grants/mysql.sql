-- Who reads lending of the demo bank: SELECT on the tables that the pipeline file names, and
-- nothing else. For MariaDB and MySQL 8. MariaDB tells a column's type to nobody who may not read
-- the whole table: name a view in the pipeline file where some columns are not to be read.
--
--   mariadb -u root < deploy/grants/mysql.sql
--   mariadb -u root -p -e "ALTER USER prefetch_reader IDENTIFIED BY '…' REQUIRE SSL ACCOUNT UNLOCK"
--
-- It may be applied again after each change. The user is locked until you give it a password.

CREATE USER IF NOT EXISTS prefetch_reader ACCOUNT LOCK;
GRANT SELECT ON demo_lending.loan TO prefetch_reader;
GRANT SELECT ON demo_lending.schedule TO prefetch_reader;
