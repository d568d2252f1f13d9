#!/bin/sh
# Engines of another Debian suite, in a directory tree of their own. Nothing is mounted or installed on the machine.
#   modern_engines.sh build TREE SUITE PACKAGE...        needs root, debootstrap and apt's lists; needs about 1 GB
#   modern_engines.sh run TREE DIRECTORY COMMAND...      DIRECTORY is the same inside and outside
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

build() {
    tree=$1 suite=$2
    shift 2
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n1)
    : "${mirror:?apt knows no Debian mirror; run apt-get update}"
    # An older debootstrap has no script for the suite, and sid's fits.
    debootstrap --variant=minbase "$suite" "$tree" "$mirror" sid
    printf '#!/bin/sh\nexit 101\n' > "$tree/usr/sbin/policy-rc.d" # no service starts
    chmod +x "$tree/usr/sbin/policy-rc.d"
    # The Release file of a mirror that lags behind is past its date. A package that the suite lacks is left out.
    chroot "$tree" sh -euc '
        export DEBIAN_FRONTEND=noninteractive
        alias get="apt-get -q -o Acquire::Check-Valid-Until=false"
        get update
        get install -y --no-install-recommends $(apt-cache pkgnames | grep -Fx "$(printf "%s\n" "$@")")
        get clean' sh "$@"
}

# The tree is the lower half of an overlay, so a command changes nothing in it. pivot_root and not chroot, because docker
# and runc pivot themselves. exec all along, so that the process id is the command's.
run() {
    tree=$1 directory=$2
    shift 2
    cd "$tree"
    mount -t tmpfs tmpfs mnt
    mkdir mnt/upper mnt/work mnt/root
    mount -t overlay -o "lowerdir=$tree,upperdir=$tree/mnt/upper,workdir=$tree/mnt/work" overlay mnt/root
    cd mnt/root
    for name in proc sys dev; do mount --rbind "/$name" "$name"; done
    mkdir -p "./$directory"
    mount --bind "$directory" "./$directory"
    pivot_root . .
    umount -l .
    cd /
    exec "$@"
}

case $1 in
    build | run) exec unshare -m "$0" "in_namespace_$1" "$@" ;;
    in_namespace_build | in_namespace_run) shift; "$@" ;;
esac
