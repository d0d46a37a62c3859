# A router with the gateway on it, between a client, a server of the company, and the internet, where Docker Hub is.
. "$(dirname "$0")/network.sh"

for name in router client internet office peer; do machine "$name"; done
cable router lan0 client eth0
cable router out internet eth0
cable router inside office eth0
cable router far peer eth0
address router lan0 192.168.7.1/24 fd07::1/64
address router out 198.51.100.1/24 2001:db8:1::1/64
address router inside 10.9.9.1/24 fd09::1/64
address router far 203.0.113.1/24
address client eth0 192.168.7.2/24 fd07::2/64
address internet eth0 198.51.100.7/24 2001:db8:1::7/64
address office eth0 10.9.9.9/24 fd09::9/64
address peer eth0 203.0.113.7/24
gateway client 192.168.7.1 fd07::1
gateway internet 198.51.100.1 2001:db8:1::1
gateway office 10.9.9.1 fd09::1
gateway peer 203.0.113.1
forwarding router
says router gateway 8443
says router webserver 443
says internet internet 443
says office office 443

everybody() {
  for address in 198.51.100.7 '[2001:db8:1::7]'; do
    ask client nobody "$address"
    ask router nobody "$address"
  done
  ask client nobody 10.9.9.9
  ask client nobody '[fd09::9]'
  ask client nobody 192.168.7.1
  older_connection
}

# A connection that was there before the rules: it repeats what it is told.
in_machine peer socat TCP4-LISTEN:443,reuseaddr,fork SYSTEM:cat &
coproc older { in_machine client socat - TCP:203.0.113.7:443,connect-timeout=2,retry=20,interval=0.1; }
older_connection() {
  local repeated=
  echo word >&"${older[1]}"
  if read -r -t 2 repeated <&"${older[0]}"; then echo "client older connection: alive"; else echo "client older connection: dead"; fi
}

echo "before"
everybody
in_machine router nft -f "$RECIPE"
echo "after"
everybody
eval "in_machine router $(sed -n 's/^# undo: //p' "$RECIPE")"
echo "undone"
ask client nobody 198.51.100.7
