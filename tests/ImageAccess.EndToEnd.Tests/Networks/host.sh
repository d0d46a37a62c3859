# One machine with the gateway on it, a container, a server of the company, and the internet, where Docker Hub is.
. "$(dirname "$0")/network.sh"

for name in host container internet office; do machine "$name"; done
cable host out internet eth0
cable host bridge container eth0
cable host inside office eth0
address host out 198.51.100.1/24 2001:db8:1::1/64
address host bridge 172.18.0.1/16 fd18::1/64
address host inside 10.9.9.1/24 fd09::1/64
address internet eth0 198.51.100.7/24 2001:db8:1::7/64
address container eth0 172.18.0.2/16 fd18::2/64
address office eth0 10.9.9.9/24 fd09::9/64
gateway internet 198.51.100.1 2001:db8:1::1
gateway container 172.18.0.1 fd18::1
forwarding host
says host gateway 8443
says host webserver 443
says internet internet 443
says office office 443

everybody() {
  for address in 198.51.100.7 '[2001:db8:1::7]'; do
    ask host nobody "$address"
    ask host root "$address"
    ask host imageaccess "$address"
    ask container nobody "$address"
  done
  ask host nobody 10.9.9.9
  ask host nobody '[fd09::9]'
  ask host nobody 198.51.100.1
}

echo "before"
everybody
in_machine host nft -f "$RECIPE"
echo "after"
everybody
eval "in_machine host $(sed -n 's/^# undo: //p' "$RECIPE")"
echo "undone"
ask host nobody 198.51.100.7
