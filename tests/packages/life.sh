# Runs in a root that has another mail program, or none: installs the packages, sends, upgrades, removes, purges.
# What happened is written to /mnt/told, as "what: exit code"; test_life.py starts it, with bash.
# With the argument `whole` they are upgraded and removed in between; with `smoke` their own test runs, too.
cd /
exec >/mnt/output 2>&1 </dev/null
PS4='+ $SECONDS '
set -x

told() { echo "$1:" $2 >>/mnt/told; }
try() { what=$1; shift; "$@"; told "$what" $?; }
files() { find /etc /lib/ /usr /var -xdev -path /var/tmp -prune -o -printf '%D %y %p\n'; }
install() { apt-get -q -y --no-install-recommends install "$@"; }
# As cron calls it.
send() {
    printf 'From: root (Cron Daemon)\nTo: bob@example.org\nSubject: %s\n\nDone.\n' "$1" |
        setpriv --reuid="$2" --regid="$2" --clear-groups env -i PATH=/usr/bin:/bin HOME=/nonexistent \
            /usr/sbin/sendmail -i -FCronDaemon -B8BITMIME -oem bob@example.org
}
queued() { python3 -ISc 'import sqlite3; print(sqlite3.connect("file:/var/spool/pysendmail/queue.db?mode=ro", uri=True).execute("select count(*) from message").fetchone()[0])'; }
# Its mail has left when it has no child any more.
cron_mail() {
    rm -f /run/crond.reboot
    /usr/sbin/cron || return
    for _ in {1..600}; do
        [ -e /tmp/cron-ran ] && [ -z "$(pgrep -P "$(cat /run/crond.pid)")" ] && break
        sleep 0.1
    done
    kill "$(cat /run/crond.pid)" && [ -e /tmp/cron-ran ]
}
arrive() { for _ in {1..600}; do [ "$(queued)" = 0 ] && return; sleep 0.1; done; return 1; }

hash=$(openssl x509 -in /mnt/ca.pem -noout -hash)
cp /mnt/ca.pem "/etc/ssl/certs/$hash.0"
cat /mnt/ca.pem >>/etc/ssl/certs/ca-certificates.crt
# The machine's own files show through, and its dpkg may be at work.
mount -t tmpfs tmpfs /var/lib/dpkg/updates
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/tests
echo 'man-db man-db/auto-update boolean false' | debconf-set-selections
rm -f /var/lib/man-db/auto-update
touch /etc/layer
stat -c %d /etc/layer >/mnt/layer
sh -e /mnt/satellite || told satellite $?
# A machine has cron; where this root has none it is that of another one.
[ -x /usr/sbin/cron ] || cp /mnt/cron /usr/sbin/cron
mkdir -p /var/spool/cron/crontabs
printf '%s\n' MAILTO=bob@example.org '@reboot touch /tmp/cron-ran; echo from cron' >/var/spool/cron/crontabs/root
chmod 600 /var/spool/cron/crontabs/root
files >/mnt/before

try install install /mnt/old/*.deb
told program "$(readlink -f /usr/sbin/sendmail /usr/lib/sendmail /usr/bin/mailq | uniq)"
find /usr/lib/pysendmail -name '*.pyc' | grep -c . >/mnt/compiled
find /usr/lib/pysendmail -name '*.py' | grep -c . >/mnt/modules
stat -c '%a %U' /etc/pysendmail/pysendmail.conf >/mnt/rights
try cron cron_mail
try root send 'from root' 0
# As where there is no systemd. (In a chroot nobody knows the runlevel, and invoke-rc.d does nothing.)
try start /etc/init.d/pysendmail start
try running /etc/init.d/pysendmail status
try nobody send 'from nobody' 65534
try nobody-arrives arrive
if [ "$1" = whole ]; then
try upgrade install /mnt/new/*.deb
try restart /etc/init.d/pysendmail restart
try after-upgrade send 'after the upgrade' 65534
try after-arrives arrive
# Nothing can leave: the message stays in the queue.
sed -i 's/^port .*/port 9/' /etc/pysendmail/pysendmail.conf
try reload /etc/init.d/pysendmail reload
/etc/init.d/pysendmail restart   # which is done when it returns
told queueing "$(send 'kept' 65534 2>/dev/null; echo $?)"
told queued "$(queued)"
/etc/init.d/pysendmail stop
dpkg --remove pysendmail-mta pysendmail >/mnt/removed 2>&1; told remove $?
try stop sh -c '! pgrep pysendmaild'
try gone test ! -e /usr/sbin/sendmail -a ! -e /usr/lib/pysendmail -a ! -e /run/pysendmail/submit.sock
told kept "$(queued) $(stat -c %U /var/spool/pysendmail/*)"
sed -i "s/^port .*/port @PORT@/" /etc/pysendmail/pysendmail.conf
try again install /mnt/new/*.deb
fi
/etc/init.d/pysendmail stop
if [ "$1" = smoke ]; then
    echo host >/etc/pysendmail/pysendmail.conf
    before=$SECONDS
    try wrong /etc/init.d/pysendmail start
    told wrong-took $((SECONDS - before))
    rm /etc/pysendmail/pysendmail.conf
    try smoke python3 /mnt/smoke
    /etc/init.d/pysendmail stop
fi
dpkg --purge pysendmail-mta pysendmail >/mnt/purged 2>&1; told purge $?
files >/mnt/after
try user-gone sh -c '! getent passwd pysendmail'
touch /mnt/done
