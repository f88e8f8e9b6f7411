#!/bin/sh
# apt-get install of "$@" while an image is built, through what the folder network/ beside it says: certificates of an intercepting
# proxy, a mirror. Proxies come by the environment. Leaves no lists, no caches and no network/ behind.
set -eu
here=$(dirname "$0")
export DEBIAN_FRONTEND=noninteractive
set -- install -y --no-install-recommends "$@"

# Pipelining hung a build on a silent connection (seen), and proxies are known to break it.
options="-o Acquire::Retries=3 -o Acquire::http::Timeout=20 -o Acquire::http::Pipeline-Depth=0"
if [ -s "$here/network/ca.crt" ]; then options="$options -o Acquire::https::CAInfo=$here/network/ca.crt"; fi
if [ -s "$here/network/mirror" ]; then
  mirror=$(cat "$here/network/mirror")
  . /etc/os-release
  {
    echo "deb ${mirror%/} $VERSION_CODENAME main"
    echo "deb ${mirror%/} $VERSION_CODENAME-updates main"
    # As Debian's own mirrors have it beside the other.
    case ${mirror%/} in */debian) echo "deb ${mirror%/}-security $VERSION_CODENAME-security main" ;; esac
  } > "$here/network/sources.list"
  options="$options -o Dir::Etc::sourcelist=$here/network/sources.list -o Dir::Etc::sourceparts=/dev/null"
fi

# Each option is two words without blanks.
apt-get $options update
apt-get $options "$@"
rm -rf "$here" /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/log/*.log /var/log/apt
