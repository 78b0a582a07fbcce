# shellcheck shell=bash
# Sourced by the scripts beside it: what they need from Debian.
#
# `needs` installs missing commands where it may (as root, with apt-get). Everything else is unpacked into a cache and never
# installed, so that a kernel, a QEMU or a containerd for tests leaves the system as it was. Apt's address is derived from
# the system's own sources.
#   PODWIRE_CACHE  the cache   [${XDG_CACHE_HOME:-~/.cache}/podwire]

cache=${PODWIRE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/podwire}
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

die() { echo "${0##*/}: $*" >&2; exit 1; }
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; } # the comment at the head of the script

# needs COMMAND=PACKAGE...: have these commands (or files, by their whole path), from these Debian packages.
needs() {
  local pair missing=()
  for pair; do
    command -v "${pair%%=*}" >/dev/null || [ -e "${pair%%=*}" ] || missing+=("${pair#*=}")
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "needs these Debian packages (or their like): ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -qq -o DPkg::Lock::Timeout=300 update &&
      apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"; } >"$(scratch)" 2>&1 </dev/null ||
    { cat "$(scratch)" >&2; die "cannot install ${missing[*]}"; }
}
scratch() { mkdir -p "$cache/log"; echo "$cache/log/install"; }

# once NAME FUNCTION [ARG...]: done before, or done now. Not to be called in a condition, where bash ignores `set -e`.
once() {
  local name=$1 lock began=$SECONDS; shift
  mkdir -p "$cache/done" "$cache/log"
  exec {lock}>"$cache/lock-$name"
  flock "$lock"
  if [ ! -e "$cache/done/$name" ]; then
    say "preparing $name ..."
    (set -euo pipefail; "$@") >"$cache/log/$name" 2>&1 </dev/null {lock}>&- &
    wait $! || { tail -n 20 "$cache/log/$name" >&2; die "$name failed; see $cache/log/$name"; }
    touch "$cache/done/$name"
    say "prepared $name in $((SECONDS - began)) s"
  fi
  exec {lock}>&-
}

# The suites that packages are taken from: this release's own and newer ones.
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-sid}")

# apt_cached SUITE TOOL [ARG...]: an apt tool with lists of its own in the cache; SUITE is preferred, and of suites newer
# than this release only that one is seen.
apt_cached() {
  local suite=$1 tool=$2 sources=$cache/apt/$1.list; shift 2
  LC_ALL=C "$tool" -q -o APT::Default-Release="${suite#all}" -o DPkg::Lock::Timeout=300 -o APT::Sandbox::User="$(id -un)" \
    -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$cache/apt/lists" -o Dir::Cache="$cache/apt/cache" \
    -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Languages=none "$@"
}

fetch_lists() {
  local uri suite suites=("$release") key=/usr/share/keyrings/debian-archive-keyring.gpg
  uri=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
    sed -nE 's/^(URIs:|deb) +(\[[^]]*\] +)?([^ ]+).*/\3/p' | head -n 1) || true
  [ -n "$uri" ] || { echo "no Debian package source to derive from"; return 1; }
  case $release in
    bookworm) suites+=(bookworm-backports trixie sid) ;;
    sid) ;;
    *) suites+=(sid) ;;
  esac
  mkdir -p "$cache"/apt/lists/partial "$cache"/apt/cache/archives/partial
  for suite in "${suites[@]}"; do
    printf "deb [signed-by=$key] $uri %s main\n" "$release" "$suite" | sort -u >"$cache/apt/$suite.list"
  done
  sort -u "$cache"/apt/*.list >"$cache/apt/all.list"
  echo "${suites[-1]}" >"$cache/apt/newest"
  apt_cached all apt-get update
}

# unpack NAME SUITE PACKAGE...: packages laid out under $cache/tree/NAME. Of this release (or its backports) come also the
# packages they depend on which the system lacks; of a newer one, which would bring its own libc, only what is named.
unpack() {
  local name=$1 suite=$2 deb dir tree=$cache/tree/$1 names; shift 2
  names=("$@")
  if [[ $suite == "$release"* ]]; then
    mapfile -t names < <({ printf '%s\n' "$@"
      apt_cached "$suite" apt-get -s install --no-install-recommends "$@" | awk '/^Inst/ {print $2}'; } | sort -u)
  fi
  rm -rf "${tree:?}" "$cache/debs-$name"
  mkdir -p "$tree" "$cache/debs-$name"
  (cd "$cache/debs-$name" && apt_cached "$suite" apt-get download "${names[@]}")
  for deb in "$cache/debs-$name"/*.deb; do dpkg-deb -x "$deb" "$tree"; done
  for dir in bin sbin lib lib64; do # a merged /usr, as the system has
    if [ -d "$tree/$dir" ] && [ ! -L "$tree/$dir" ]; then
      mkdir -p "$tree/usr/$dir" && cp -a "$tree/$dir/." "$tree/usr/$dir/" && rm -rf "${tree:?}/$dir"
    fi
    ln -sfn "usr/$dir" "$tree/$dir"
  done
  rm -rf "$cache/debs-$name" "$tree"/usr/share/{doc,man,locale}
}

# reference: unpack the newest reference plugins there are and name their directory in $REFERENCE_PLUGINS.
reference() {
  if [ -z "${REFERENCE_PLUGINS:-}" ]; then
    once lists fetch_lists
    once reference unpack reference "$(cat "$cache/apt/newest")" containernetworking-plugins
    REFERENCE_PLUGINS=$cache/tree/reference/usr/lib/cni
  fi
  export REFERENCE_PLUGINS
}

# daemons: the servers that tests talk to. Installed, these packages would start them on this machine, and one is a firewall. So
# what is missing is unpacked, and $DAEMONS is a /usr to be laid over the own one in a mount namespace; else it is empty.
daemons() {
  local names=(etcd etcdctl dnsmasq kea-dhcp4 kea-dhcp6 firewalld dbus-daemon systemd-analyze) name wanting=0
  for name in "${names[@]}"; do command -v "$name" >/dev/null || wanting=1; done
  DAEMONS=''
  if [ $wanting = 1 ]; then
    command -v apt-get >/dev/null || die "needs ${names[*]}"
    once lists fetch_lists
    once servers unpack servers "$release" etcd-server etcd-client dnsmasq-base kea-dhcp4-server kea-dhcp6-server firewalld dbus-daemon systemd
    DAEMONS=$cache/tree/servers/usr
  fi
  export DAEMONS
}
