# Makes a root to throw away and runs a script in it; to be run by unshare, in namespaces of its own.
# $1: the host's mount namespace; $2: the script; $3: a directory of the host to show at /share.
# A script with a line `# may mount` may mount and unmount, in this namespace alone.
# Nothing of the host's is mounted but read-only: no /dev, no writable /sys or /proc/sys.
set -euo pipefail
host_mounts=$1 script=$2 share=$3
[ "$(readlink /proc/self/ns/mnt)" != "$host_mounts" ] || { echo 'these are the mounts of the host' >&2; exit 1; }
[ $$ = 1 ] || { echo 'this is not a process namespace of its own' >&2; exit 1; }

# The copy in memory hides a directory that every machine has, in this namespace alone.
base=/mnt
mount -t tmpfs -o mode=755,size=256m tmpfs $base
mkdir $base/{upper,work,root}
mount -t overlay overlay -o lowerdir=/,upperdir=$base/upper,workdir=$base/work $base/root
root=$base/root

mount -t proc proc $root/proc
mount --bind $root/proc/sys $root/proc/sys
mount -o remount,bind,ro $root/proc/sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs $root/sys
mount -t tmpfs -o mode=755 tmpfs $root/run
mount -t tmpfs -o mode=1777 tmpfs $root/tmp
mount -t tmpfs -o mode=755,size=1m tmpfs $root/dev
while read -r name major minor; do mknod -m 666 $root/dev/$name c $major $minor; done <<NODES
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
NODES
ln -s /proc/self/fd $root/dev/fd
mkdir $root/dev/shm
# Packages that a task installs start nothing.
printf '#!/bin/sh\nexit 101\n' >$root/usr/sbin/policy-rc.d
chmod 755 $root/usr/sbin/policy-rc.d

mkdir $root/share
mount --bind "$share" $root/share
mount -o remount,bind,ro $root/share

# pivot_root, so that the host's root is not even reachable any more.
mkdir $root/old
cd $root
pivot_root . old
cd /
umount -l /old
rmdir /old
hostname throwaway

echo 'throwaway root is ready' >&2
lost=-sys_module,-sys_boot,-sys_time,-sys_rawio,-mknod,-mac_admin,-mac_override,-syslog,-bpf,-perfmon
[[ $script == *'# may mount'* ]] || lost=$lost,-sys_admin
exec setpriv --bounding-set="$lost" --inh-caps="$lost" --no-new-privs -- bash -euo pipefail -c "$script"
