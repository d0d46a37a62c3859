# A router between a network with a client and the gateway, a server of the company, and the internet, where Docker Hub is.
. "$(dirname "$0")/network.sh"

for name in router client proxy internet office; do machine "$name"; done
ip -n router link add lan0 type bridge
cable router port1 client eth0
cable router port2 proxy eth0
for port in port1 port2; do ip -n router link set "$port" master lan0 up; done
cable router out internet eth0
cable router inside office eth0
address router lan0 192.0.2.1/24 2001:db8::1/64
address router out 198.51.100.1/24 2001:db8:1::1/64
address router inside 10.9.9.1/24 fd09::1/64
address client eth0 192.0.2.2/24 2001:db8::2/64
address proxy eth0 192.0.2.10/24 2001:db8::10/64
address internet eth0 198.51.100.7/24 2001:db8:1::7/64
address office eth0 10.9.9.9/24 fd09::9/64
gateway client 192.0.2.1 2001:db8::1
gateway proxy 192.0.2.1 2001:db8::1
gateway internet 198.51.100.1 2001:db8:1::1
gateway office 10.9.9.1 fd09::1
forwarding router
says proxy gateway 443
says internet internet 443
says office office 443

everybody() {
  for address in 198.51.100.7 '[2001:db8:1::7]'; do
    ask client nobody "$address"
    ask proxy nobody "$address"
  done
  ask client nobody 10.9.9.9
  ask client nobody '[fd09::9]'
}

echo "before"
everybody
in_machine router nft -f "$RECIPE"
echo "after"
everybody
eval "in_machine router $(sed -n 's/^# undo: //p' "$RECIPE")"
echo "undone"
ask client nobody 198.51.100.7
