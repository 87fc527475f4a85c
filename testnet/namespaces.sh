#!/bin/sh
# namespaces.sh: a network namespace with a TUN device in it, to try things in.
#
# The namespace is held by a process that sleeps (unshare(1) starts it) and is
# entered with nsenter(1). What is known about it is in a state directory:
#
#	pid	the sleeping process
#	netns	its network namespace as /proc/PID/ns/net names it, so that another
#		process with the same number is not taken for it
#	user	there if it has a user namespace too
set -eu

prog=${0##*/}
name=userstack
device=tun0
addr4=192.0.2.1/24
addr6=2001:db8::1/64

usage() {
	cat <<END
usage: $prog [-n NAME] COMMAND

A network namespace with a persistent TUN device, for trying userstack in.
Needs no root: without it, the namespace comes with a user namespace in which
you are root.

commands:
  up               make the namespace; if it is there, complete what is missing
  exec PROGRAM...  run a program in it, and return the program's exit status
  shell            run \$SHELL in it
  status           tell what is there; exit status 3 if it is not up
  down             kill the programs in it and remove it

options:
  -n NAME          name of the namespace, of letters, digits, - and _ (default: $name)
  -h, --help       this text

In the namespace, the device is $device, and the kernel's addresses on it are
$addr4 and $addr6. A userspace stack takes other addresses of
these networks, such as 192.0.2.2 and 2001:db8::2. The device lasts as long as
the namespace, whoever opens and closes it.

  $prog up
  $prog exec ip address
  $prog down

State is kept in \${XDG_RUNTIME_DIR:-/tmp}/userstack-UID/NAME. Nothing outside of
that directory and of the namespace is changed.

Needs unshare and nsenter (util-linux), ip (iproute2) and /dev/net/tun.
Exit status: 0 done, 1 failed, 2 wrong usage, 3 not up (status).
END
}

fail() {
	echo "$prog: $*" >&2
	exit 1
}

misuse() {
	echo "$prog: $*; try \"$prog --help\"" >&2
	exit 2
}

# need COMMAND PACKAGE
need() {
	command -v "$1" >/dev/null || fail "$1 is missing: install the package $2"
}

# netns_of PID prints the network namespace of a process; nothing for one that
# has ended, reaped or not.
netns_of() {
	readlink "/proc/$1/ns/net" 2>/dev/null || :
}

is_up() {
	[ -r "$state/pid" ] && [ -r "$state/netns" ] || return 1
	read -r pid <"$state/pid" && read -r netns <"$state/netns" || return 1
	[ -n "$pid" ] && [ -n "$netns" ] && [ "$(netns_of "$pid")" = "$netns" ]
}

must_be_up() {
	is_up || fail "namespace \"$name\" is not up: run \"$prog -n $name up\""
}

# inside runs a command in the namespace, which is up.
inside() {
	if [ -e "$state/user" ]; then
		nsenter -t "$pid" -U -n --preserve-credentials -- "$@"
	else
		nsenter -t "$pid" -n -- "$@"
	fi
}

# members prints the processes in the namespace, one on a line.
members() {
	for dir in /proc/[0-9]*; do
		[ "$(netns_of "${dir#/proc/}")" != "$netns" ] || echo "${dir#/proc/}"
	done
}

# why explains a refused namespace.
why() {
	check() {
		[ -r "$1" ] && [ "$(cat "$1")" = "$2" ] && echo ": $3"
	}
	check /proc/sys/kernel/apparmor_restrict_unprivileged_userns 1 \
		'AppArmor restricts user namespaces: "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"' ||
		check /proc/sys/kernel/unprivileged_userns_clone 0 \
			'user namespaces are for root only: "sysctl -w kernel.unprivileged_userns_clone=1"' ||
		check /proc/sys/user/max_user_namespaces 0 \
			'user namespaces are switched off: "sysctl -w user.max_user_namespaces=10000"' ||
		check /proc/sys/user/max_net_namespaces 0 \
			'network namespaces are switched off: "sysctl -w user.max_net_namespaces=10000"' ||
		echo ': run as root; in a container, use "--cap-add SYS_ADMIN" or "--security-opt seccomp=unconfined"'
}

# hold FLAG... starts the sleeping process in the namespaces that unshare's
# flags name, and waits until it is in them. It keeps nothing open and ignores
# the terminal's signals.
hold() {
	mkfifo "$state/fifo"
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare "$@" -- sh -c 'trap "" HUP INT QUIT; echo "$$" >&3; exec 3>&- tail -f /dev/null' \
		</dev/null >"$state/log" 2>&1 3>"$state/fifo" &
	pid=
	read -r pid <"$state/fifo" || :
	rm -f "$state/fifo"
	[ -n "$pid" ] || return 1
	netns=$(netns_of "$pid")
	[ -n "$netns" ] || return 1
	echo "$pid" >"$state/pid"
	echo "$netns" >"$state/netns"
}

start() {
	rm -rf "$state"
	mkdir "$state"
	trap 'abandon' EXIT
	trap 'exit 1' HUP INT TERM
	if [ "$(id -u)" -ne 0 ] || ! hold -n; then
		hold -r -n || fail "the kernel refuses a namespace: $(cat "$state/log")$(why)"
		: >"$state/user"
	fi
	furnish
	trap - EXIT HUP INT TERM
}

# abandon undoes a start that failed.
abandon() {
	trap - EXIT
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :
	rm -rf "$state"
}

# furnish sets up what is missing in the namespace.
furnish() {
	inside ip link set lo up
	inside ip link show dev "$device" >/dev/null 2>&1 ||
		inside ip tuntap add dev "$device" mode tun ||
		fail "cannot make the device $device"
	inside ip address replace "$addr4" dev "$device"
	inside ip address replace "$addr6" dev "$device" nodad ||
		fail 'no IPv6 address: is IPv6 disabled ("sysctl net.ipv6.conf.all.disable_ipv6")?'
	inside ip link set "$device" up
}

# private makes the directory that holds the states of all namespaces, and
# refuses one that somebody else has put there.
private() {
	mkdir -m 700 "$states" 2>/dev/null || :
	[ -n "$(find "$states" -prune -type d -user "$(id -u)" 2>/dev/null)" ] ||
		fail "$states cannot be made, or is not a directory of yours: remove it, or set XDG_RUNTIME_DIR"
}

up() {
	need ip iproute2
	need unshare util-linux
	need nsenter util-linux
	[ -e /dev/net/tun ] ||
		fail '/dev/net/tun is missing: run "modprobe tun"; in a container, start it with "--device /dev/net/tun"'
	if [ ! -r /dev/net/tun ] || [ ! -w /dev/net/tun ]; then
		fail '/dev/net/tun may not be opened by you: run as root, or "chmod 0666 /dev/net/tun"'
	fi
	private
	if is_up; then
		furnish
		echo "namespace \"$name\" is up already"
	else
		start
		echo "namespace \"$name\" is up: $device has $addr4 and $addr6"
	fi
}

down() {
	if ! is_up; then
		[ ! -d "$state" ] || rm -rf "$state"
		rmdir "$states" 2>/dev/null || :
		echo "namespace \"$name\" is not up"
		return
	fi
	tries=0
	while pids=$(members) && [ -n "$pids" ]; do
		tries=$((tries + 1))
		[ "$tries" -le 100 ] || fail "these processes do not end: $pids"
		# shellcheck disable=SC2086 # a list
		kill -KILL $pids 2>/dev/null || :
		sleep 0.05 2>/dev/null || sleep 1 # POSIX has whole seconds only
	done
	rm -rf "$state"
	rmdir "$states" 2>/dev/null || : # others may be up
	echo "namespace \"$name\" is down"
}

status() {
	if ! is_up; then
		echo "namespace \"$name\" is not up"
		exit 3
	fi
	echo "namespace \"$name\" is up, held by process $pid, with $(members | grep -cvx "$pid" || :) other processes"
	inside ip -brief address
}

enter() {
	need nsenter util-linux
	must_be_up
	USERSTACK_NAMESPACE=$name
	export USERSTACK_NAMESPACE
	if [ -e "$state/user" ]; then
		exec nsenter -t "$pid" -U -n --preserve-credentials -- "$@"
	fi
	exec nsenter -t "$pid" -n -- "$@"
}

while [ $# -gt 0 ]; do
	case $1 in
	-n)
		[ $# -ge 2 ] || misuse "-n needs a name"
		name=$2
		shift 2
		;;
	-h | --help)
		usage
		exit 0
		;;
	-*) misuse "unknown option $1" ;;
	*) break ;;
	esac
done
case $name in
'' | *[!A-Za-z0-9_-]*) misuse "\"$name\" is not a name of letters, digits, - and _" ;;
esac
[ $# -gt 0 ] || misuse "which command?"
command=$1
shift
states=${XDG_RUNTIME_DIR:-/tmp}/userstack-$(id -u)
state=$states/$name
pid=

case $command in
exec) [ $# -gt 0 ] || misuse "exec needs a program" ;;
*) [ $# -eq 0 ] || misuse "$command takes no argument" ;;
esac
case $command in
up) up ;;
down) down ;;
status) status ;;
exec) enter "$@" ;;
shell) enter "${SHELL:-/bin/sh}" ;;
help) usage ;;
*) misuse "unknown command $command" ;;
esac
