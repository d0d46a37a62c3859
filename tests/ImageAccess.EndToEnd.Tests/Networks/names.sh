# A resolver with a recipe, asked for NAMES and for one that is none of its business.
. "$(dirname "$0")/network.sh"

machine resolver
case $RECIPE in
  *dnsmasq*) in_machine resolver dnsmasq --keep-in-foreground --conf-file="$RECIPE" --no-resolv --no-hosts --user=root --pid-file= & ;;
  *unbound*)
    cat >"$WORK/unbound.conf" <<CONFIGURATION
server:
  chroot: ""
  username: ""
  pidfile: ""
  directory: "$WORK"
  interface: 127.0.0.1
  use-syslog: no
  logfile: /dev/null
  module-config: "iterator"
  do-not-query-localhost: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@9
remote-control:
  control-enable: no
include: "$RECIPE"
CONFIGURATION
    unbound-checkconf "$WORK/unbound.conf" >/dev/null
    in_machine resolver unbound -d -c "$WORK/unbound.conf" &
    ;;
esac

query() { # NAME TYPE
  in_machine resolver dig +time=2 +tries=1 "$3" @127.0.0.1 "$1" "$2"
}

for _ in $(seq 100); do
  if query docker.io A +short 2>/dev/null | grep -q '^192'; then break; fi
  sleep 0.05
done
for name in $NAMES; do
  for type in A AAAA HTTPS; do
    echo "$name $type:" $(query "$name" "$type" +short) "$(query "$name" "$type" +comments | grep -o 'status: [A-Z]*')"
  done
done
