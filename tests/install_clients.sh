#!/bin/sh
# Debian's mail programs, browser, PostgreSQL and fault tools for the tests that use them. Without root or apt-get
# those tests are skipped, and pytest's summary says which.
set -eu
# imapflow (npm) goes to build/clients.
clients=$(dirname "$0")/../build/clients
if command -v npm >/dev/null && [ ! -d "$clients/node_modules/imapflow" ]; then
    npm install --silent --no-fund --no-audit --prefix "$clients" imapflow@2 >/dev/null || echo "could not be installed: imapflow"
fi
# imapclient and imap-tools (PyPI) go there, too.
if [ ! -d "$clients/python" ]; then
    { python3 -m venv "$clients/python" && "$clients/python/bin/pip" --disable-pip-version-check --no-input install \
        --quiet imapclient==4.1.0 imap-tools==1.16.0; } >/dev/null 2>&1 || {
        rm -rf "$clients/python"
        echo "could not be installed: imapclient imap-tools"
    }
fi
packages="chromium postfix openssl swaks libnet-ssleay-perl msmtp isync curl fetchmail offlineimap3 getmail6 mutt postgresql strace faketime e2fsprogs rspamd clamav-daemon unbound bind9-dnsutils pebble opendkim-tools"
missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed, so some tests will be skipped:$missing"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || true
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null || echo "could not be installed:$missing"
