#!/bin/sh
# roots.sh - a Debian root of its own for each real server of the tests: as packages the servers conflict with each
# other, and none of them may touch the machine's /usr/sbin/sendmail. One more, "programs", holds the programs that send
# mail: there the tests install our command.
#
#   roots.sh make [NAME...]          install the named roots, or all of them
#   roots.sh has NAME                exit 0 if NAME is installed
#   roots.sh run NAME DIR COMMAND... run COMMAND in NAME's root until standard input ends; DIR is its /mnt
#   roots.sh clean                   remove all roots
#
# A root is an overlay: `make` lays the packages over this machine's own files and keeps only that layer. Where the
# kernel cannot do overlays, the root is a tree that debootstrap makes. `run` works on a copy in memory
# that is forgotten at the end, so any number of runs may go on side by side. Every mount and every process lives in
# namespaces of its own: nothing is left behind, however a run ends.
#
# Needs root, util-linux and apt. PYSENDMAIL_ROOTS names the folder (default /var/tmp/pysendmail-roots).
set -eu
base=${PYSENDMAIL_ROOTS:-/var/tmp/pysendmail-roots}

packages() {
    case $1 in
    postfix) echo postfix libsasl2-modules sasl2-bin;;
    exim) echo exim4-daemon-light;;
    opensmtpd) echo opensmtpd openssl ca-certificates;;
    dovecot) echo dovecot-core dovecot-submissiond;;
    programs)
        echo cron at sudo mutt neomutt s-nail bsd-mailx mailutils nmh git-email php-cli libphp-phpmailer ruby-mail \
            libemail-sender-perl libmime-lite-perl libmailtools-perl mime-construct node-nodemailer nodejs logwatch \
            mdadm smartmontools swaks procmail maildrop vacation php-symfony-mailer alpine anacron \
            emacs-nox python3 util-linux;;
    # what pysendmail-mta takes the place of; without any of them, cron alone
    msmtp) echo msmtp-mta;;
    nullmailer) echo nullmailer;;
    dma) echo dma;;
    ssmtp) echo ssmtp;;
    plain) echo cron;;
    *) echo "roots.sh: no server is called $1" >&2; return 1;;
    esac
}

# Enter mount and process namespaces of our own, once.
enter() {
    [ "${PYSENDMAIL_NAMESPACE-}" != "$base" ] || return 0
    [ "$(id -u)" = 0 ] || { echo "roots.sh: only root can do this" >&2; exit 77; }
    PYSENDMAIL_NAMESPACE=$base exec unshare --mount --pid --fork --kill-child --propagation private sh "$0" "$@"
}

# overlay ROOT HOME LOWER: show at ROOT what HOME/upper says, and LOWER under it.
overlay() {
    mkdir -p "$2/upper" "$2/work"
    mount -t overlay overlay -o "lowerdir=$3,upperdir=$2/upper,workdir=$2/work" "$1" 2>/dev/null
}

furnish() {
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
}

forbid_services() {
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
}

# A tree in place of an overlay. One bare system is made, then copied.
bootstrap() {
    command -v debootstrap >/dev/null || apt-get -qq -y install debootstrap >/dev/null
    if [ ! -e "$base/bare.done" ]; then
        rm -rf "$base/bare"
        debootstrap --variant=minbase "$(. /etc/os-release; echo "$VERSION_CODENAME")" "$base/bare" >"$base/bare.log" 2>&1 ||
            { tail -5 "$base/bare.log" >&2; return 1; }
        touch "$base/bare.done"
    fi
    rm -rf "$1"; cp -a "$base/bare" "$1"
    cp /etc/resolv.conf "$1/etc/resolv.conf"
    cp -r /etc/apt/. "$1/etc/apt/"
}

in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} chroot "$@"
}

# Programs that send mail want a mailer. This package says that there is one; the tests put it there.
promise_mailer() {
    mkdir -p "$1/tmp/mailer/DEBIAN"
    printf '%s\n' 'Package: promised-mailer' 'Version: 1' 'Architecture: all' 'Maintainer: nobody <nobody@localhost>' \
        'Provides: mail-transport-agent, default-mta' 'Description: the mailer that the tests install' \
        >"$1/tmp/mailer/DEBIAN/control"
    in_root "$1" dpkg-deb --build /tmp/mailer /tmp/mailer.deb >/dev/null
    in_root "$1" dpkg --install /tmp/mailer.deb >/dev/null
}

candidate() { in_root "$1" apt-cache policy "$2" | sed -n 's/^ *Candidate: *//p'; }

# Debian 12's OpenSMTPD (6.8) fails in every TLS handshake with the OpenSSL 3 that it is built for; the backport does not.
add_backports() {
    list=etc/apt/sources.list.d/backports.list
    in_root "$1" apt-get indextargets --format \
        'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(REPO_URI) $(CODENAME)-backports main' \
        'Created-By: Packages' 'Label: Debian' 'Component: main' "Codename: $2" | head -1 >"$1/$list"
    in_root "$1" apt-get -q -o Dir::Etc::sourcelist="/$list" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 update
}

install_packages() {
    root=$1; shift; from=
    case $(candidate "$root" "$1") in ''|'(none)') in_root "$root" apt-get -q update;; esac
    release=$(. "$root/etc/os-release"; echo "${VERSION_CODENAME-}")
    if [ "$1" = opensmtpd ] && dpkg --compare-versions "$(candidate "$root" opensmtpd)" lt 7; then
        add_backports "$root" "$release"; from="-t $release-backports"
    fi
    # shellcheck disable=SC2086 # two words or none
    in_root "$root" apt-get -q -y --no-install-recommends $from install "$@"
}

make_root() {
    name=$1; wanted=$(packages "$name"); home=$base/$name
    if [ -e "$home/installed" ] && [ "$(cat "$home/installed")" = "$wanted" ]; then return 0; fi
    rm -rf "$home"; mkdir -p "$home/root"
    if overlay "$home/root" "$home" /; then
        root=$home/root
    else
        rm -rf "$home/upper" "$home/work"
        bootstrap "$home/tree"; root=$home/tree
    fi
    furnish "$root"
    forbid_services "$root"
    case $name in
    programs) promise_mailer "$root";;
    postfix) echo 'postfix postfix/main_mailer_type select No configuration' | in_root "$root" debconf-set-selections;;
    esac
    # shellcheck disable=SC2086 # a list of packages
    install_packages "$root" $wanted >"$home/install.log" 2>&1 </dev/null ||
        { echo "roots.sh: $name: cannot install $wanted:" >&2; tail -5 "$home/install.log" >&2; return 1; }
    in_root "$root" apt-get clean # what is kept here is copied for each run
    echo "$wanted" >"$home/installed"
    echo "roots.sh: $name: installed"
}

# The run's own layer is in memory; `mnt` is the folder that the test and the server share.
run() {
    name=$1; shared=$2; home=$base/$1; shift 2
    [ -e "$home/installed" ] || { echo "roots.sh: $name is not installed" >&2; exit 69; }
    root=$home/root
    if [ -d "$home/tree" ]; then
        mount -t tmpfs tmpfs "$root"
        cp -a "$home/tree/." "$root/"
    else
        mount -t tmpfs tmpfs "$home/work"   # a copy: the kernel takes no layer that lies inside another one
        cp -a "$home/upper" "$home/work"/upper
        overlay "$root" "$home/work" /
    fi
    furnish "$root"
    mount --bind "$shared" "$root/mnt"
    # Whoever started us holds the other end of standard input. When it closes, this shell ends, and as it is the first
    # process of its namespace the kernel ends every other one.
    { in_root "$root" "$@" || echo "roots.sh: $1 ended with $?"; } </dev/null >>"$shared/console" 2>&1 &
    cat >/dev/null
}

verb=${1-}
case $verb in
make) enter "$@"; shift
    for name in ${*:-postfix exim opensmtpd dovecot programs msmtp nullmailer dma ssmtp plain}; do make_root "$name"; done;;
has) [ -e "$base/$2/installed" ] && [ "$(cat "$base/$2/installed")" = "$(packages "$2")" ];;
run) enter "$@"; shift; run "$@";;
clean) rm -rf "${base:?}";;
*) sed -n '6,9s/^# *//p' "$0" >&2; exit 64;;
esac
