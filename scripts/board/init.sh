#!/bin/bash
# Makes a board out of a bare kernel, then does what the test tells it over a virtio port, a line at a time. Never
# started by hand: Tests/Board/board.py gives it to the kernel as `init=`. The root is the host's own file system.
#
#     BOARD=quick     this script is the only process besides what it starts; only /run can be written
#     BOARD=systemd   it lays a file system in memory over the root, puts our unit there, and becomes systemd, which
#                     starts it again as a service
#
# An answer is what the command printed, then ASCII 4 and its exit status on a line of its own.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/run
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
units=$here/../../systemd

# As systemd: the host's own services stay out, for nothing wants them but targets that we do not reach.
become_systemd() {
    mount -t tmpfs -o size=75% tmpfs /mnt
    mkdir /mnt/upper /mnt/work /mnt/root
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
    cd /mnt/root || exit
    : >etc/fstab
    : >etc/machine-id
    rm -rf etc/systemd/system/*
    ln -s /dev/null etc/tmpfiles.d/tmp.conf # It would empty /tmp, where the test's files may be.
    mkdir -p etc/systemd/network
    ln -s /dev/null etc/systemd/network/99-default.link # It would rename eth0.
    cp "$units/larmnod.service" usr/lib/systemd/system/
    cp "$units/larmnod.sysusers" usr/lib/sysusers.d/larmnod.conf
    cp "$units/larmnod.tmpfiles" usr/lib/tmpfiles.d/larmnod.conf
    cp "$units/60-larmnod.rules" usr/lib/udev/rules.d/
    cat >etc/systemd/system/board.service <<UNIT
[Service]
ExecStart=/bin/bash $here/init.sh
UNIT
    cat >etc/systemd/system/board.target <<UNIT
[Unit]
Requires=basic.target board.service
After=basic.target
UNIT
    pivot_root . mnt
    exec chroot . /lib/systemd/systemd --unit=board.target
}

if [[ $$ -eq 1 ]]; then
    if [[ $BOARD == systemd ]]; then become_systemd; fi
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t configfs configfs /sys/kernel/config
    mount -t tmpfs tmpfs /run
    mkdir -p /run/state /dev/pts
    mount -t devpts devpts /dev/pts
fi
mkdir -p /run/board

# The host's loopback is at 10.0.2.2.
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2

# One chip of ten named lines: label "cabinet", lines TERMINAL-1 to TERMINAL-10, the last two for outputs.
chip=/sys/kernel/config/gpio-sim/board
mkdir -p $chip/bank0
echo 10 >$chip/bank0/num_lines
echo cabinet >$chip/bank0/label
for n in 1 2 3 4 5 6 7 8 9 10; do
    mkdir $chip/bank0/line$((n - 1))
    echo "TERMINAL-$n" >$chip/bank0/line$((n - 1))/name
done

# pause SECONDS: waits without starting a program, which an emulated processor on a busy machine is long about.
mkfifo /run/board/nothing
exec 4<>/run/board/nothing
pause() { read -rt "$1" -u 4 || true; }

# chip in | chip out: plugs the chip in, with all lines low, or pulls it out, whoever uses it.
chip() {
    case $1 in
        in) echo 1 >$chip/live && lines=/sys/devices/platform/$(cat $chip/dev_name)/$(cat $chip/bank0/chip_name) ;;
        out) echo 0 >$chip/live ;;
    esac
}

# pull TERMINAL up|down …: sets lines, in this order, as fast as the board can. `pull 1 up 2 down`
pull() {
    while [[ $# -ge 2 ]]; do
        echo "pull-$2" >"$lines/sim_gpio$(($1 - 1))/pull" || return
        shift 2
    done
}

# levels TERMINAL: what a line's level is, twenty times in some two seconds, as "0010…".
levels() {
    local level n
    for n in {1..20}; do
        read -r level <"$lines/sim_gpio$(($1 - 1))/value" || return
        printf '%s' "$level"
        pause 0.1
    done
}

# uart SLOT in|out: plugs the card with a UART in, or pulls it out, whoever uses it. /run/uart/SLOT is its port.
uart() {
    local card=/sys/bus/pci/devices/0000:00:$1.0
    rm -f "/run/uart/$1"
    case $2 in
        in) if [[ ! -e $card ]]; then echo 1 >/sys/bus/pci/rescan; fi && ln -s "/dev/$(cd "$card/tty" && echo tty*)" "/run/uart/$1" ;;
        out) echo 1 >"$card/remove" ;;
    esac
}

# spare a|b in|out: plugs in another chip, with a line SPARE-1 at 0, or pulls it out. Both together have lines of one name.
spare() {
    local other=/sys/kernel/config/gpio-sim/spare-$1
    if [[ ! -d $other ]]; then
        mkdir -p $other/bank0
        echo 1 >$other/bank0/num_lines
        echo "spare-$1" >$other/bank0/label
        mkdir $other/bank0/line0
        echo SPARE-1 >$other/bank0/line0/name
    fi
    case $2 in in) echo 1 >$other/live ;; out) echo 0 >$other/live ;; esac
}

# pull_spare a|b up|down: sets that chip's line.
pull_spare() {
    local other=/sys/kernel/config/gpio-sim/spare-$1
    echo "pull-$2" >"/sys/devices/platform/$(cat $other/dev_name)/$(cat $other/bank0/chip_name)/sim_gpio0/pull"
}

# converter in|out: the kernel's own simulated analogue converter, "loops". Its voltages stand still.
converter() {
    local place=/sys/kernel/config/iio/devices/dummy/loops
    case $1 in in) mkdir $place ;; out) rmdir $place ;; esac
}

# udev: names for what is plugged in from now on, as on any board. systemd has its own.
udev() { /lib/systemd/systemd-udevd --daemon; }

# start PROGRAM CONFIGURATION [LIBRARIES]: the program under test, with its log on /run/larmnod.log; LIBRARIES is a
# directory of shared libraries that it takes before the system's.
start() {
    LD_LIBRARY_PATH=${3:-} "$1" run --config "$2" >>/run/larmnod.log 2>&1 </dev/null &
    program=$!
}

# stop: as systemd would. Fails when the program does not end within 20 seconds, or ends badly.
stop() {
    local guard status
    kill -TERM "$program" || return
    (sleep 20 && kill -KILL "$program") >/dev/null 2>&1 &
    guard=$!
    wait "$program"
    status=$?
    kill $guard 2>/dev/null
    return $status
}

# install_service PROGRAM CONFIGURATION WATCHDOG: as a package would; silence for WATCHDOG counts as hanging.
install_service() {
    cp "$1" /usr/bin/larmnod
    cp "$2" /etc/larmnod/site.toml
    chmod 644 /etc/larmnod/site.toml
    mkdir -p /etc/systemd/system/larmnod.service.d
    printf '[Service]\nWatchdogSec=%s\n' "$3" >/etc/systemd/system/larmnod.service.d/test.conf
    systemctl daemon-reload
}

chip in
spare a in
converter in
mkdir -p /run/uart
for slot in 10 11 12 13; do uart $slot in; done

# Named by its place among the virtio devices, so looked for.
exec 3<>"$(echo /dev/vport*p1)"
printf 'ready\n\004%d\n' 0 >&3
while read -r command <&3; do
    eval "$command" >/run/board/answer 2>&1 </dev/null 3>&-
    status=$?
    { cat /run/board/answer; printf '\n\004%d\n' "$status"; } >&3
done
