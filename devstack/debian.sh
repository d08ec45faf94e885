#!/bin/sh
# What no wheel serves and tests need: MariaDB, a PostgreSQL that can TLS, npm, a browser with its
# driver. Where apt and root are lacking, the tests that need them are skipped.
missing=""
[ -x /usr/sbin/mariadbd ] || command -v mariadbd >/dev/null || missing="$missing mariadb-server"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v npm >/dev/null || missing="$missing nodejs npm"
command -v chromedriver >/dev/null || missing="$missing chromium chromium-driver"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed, so some tests are skipped:$missing (make test installs them as root)"
    exit 0
fi
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # words are meant
apt-get install -y -qq --no-install-recommends $missing
