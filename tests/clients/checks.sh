# shellcheck shell=bash
# Sourced by the client scripts beside it, which run inside a `machine`: what is judged, and how it is said.
client=${0##*/}

# ok WHAT COMMAND...: says `ok` or `FAIL`, and why.
ok() {
  local what=$1 out; shift
  if out=$("$@" 2>&1); then
    echo "ok   $client: $what"
  else
    echo "FAIL $client: $what"
    tail -n 8 <<<"$out" | cut -c 1-300 | sed 's/^/     /'
  fi
}
not() { ! "$@"; }
json() { jq -e "$2" <<<"$1"; } # json TEXT FILTER: the filter's last value is true

# retry SECONDS COMMAND...
retry() {
  local end=$((SECONDS + $1)); shift
  until "$@"; do
    if [ $SECONDS -ge $end ]; then return 1; fi
    sleep 0.1
  done
}

elements() { # every element of every nf_tables set and map, and every rule, one a line and without handles
  nft -j list ruleset | jq -c '.nftables[] | (.set, .map | values | {family, table, name, elem: .elem[]?}), (.rule | values | del(.handle))' |
    sed -E 's/"(packets|bytes)":[0-9]+/"\1":0/g' | sort
}

# baseline: what stays when all attachments have gone is what the first one leaves behind (tables, chains, sets, rules that
# name no attachment), so take it after one ADD and DEL.
baseline() { elements >/run/baseline; }

# nothing_left: no interface of a container, no lease, no rule or set element, no cached result.
nothing_left() {
  local bad=0 found
  found=$(ip -j link show type veth | jq -r '.[].ifname | select(. != "eth0")')
  found+=$(ip -j link show type ifb | jq -r '.[].ifname')
  [ -z "$found" ] || { echo "links left: $found"; bad=1; }
  found=$(find /var/lib/cni -type f -path '*/networks/*' ! -path '*/.index/*' ! -name lock ! -name 'last_reserved_ip.*')
  [ -z "$found" ] || { echo "leases left: $found"; bad=1; }
  found=$(find /var/lib/cni -type f -path '*/results/*')
  [ -z "$found" ] || { echo "results left: $found"; bad=1; }
  found=$(find /run/podwire /run/cni -type f ! -name '*lock*' 2>/dev/null || true)
  [ -z "$found" ] || { echo "files left: $found"; bad=1; }
  touch /run/baseline
  found=$(elements | comm -13 /run/baseline -)
  [ -z "$found" ] || { echo "nf_tables rules or elements left: $found"; bad=1; }
  return $bad
}
