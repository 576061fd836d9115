# Makes a root to throw away and runs a script in it; to be run by unshare, in namespaces of its own.
# $1: the host's mount namespace; $2: the script; $3: a directory of the host to show at /share.
# A script with a line `# may mount` may mount and unmount, in this namespace alone.
# $4, if any: the script is a unit of a systemd that is at work in the root; what it says and how it ends
# go to `out` in $3, which can be written to.
# Nothing of the host's is mounted but read-only: no /dev, no writable /sys or /proc/sys.
set -euo pipefail
host_mounts=$1 script=$2 share=$3 booted=${4-}
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
if [ "$booted" ]; then
  # The name of the host is that of this namespace alone.
  mkdir $base/proc
  mount -t proc proc $base/proc
  mount --bind $base/proc/sys/kernel/hostname $root/proc/sys/kernel/hostname
  umount $base/proc
fi
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

if [ "$booted" ]; then
  mount -t tmpfs -o mode=755 tmpfs $root/sys/fs/cgroup
  mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
  mkdir $root/out
  mount --bind "$share/out" $root/out
  printf '%s\n' "$script" >$root/out/script
  rm -rf $root/etc/systemd/system $root/etc/machine-id
  mkdir $root/etc/systemd/system
  : >$root/etc/machine-id
  cat >$root/etc/systemd/system/driftless-test.service <<UNIT
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
WorkingDirectory=/
ExecStart=/bin/sh -c 'bash -euo pipefail /out/script >/out/stdout 2>/out/stderr; echo \$? >/out/code'
ExecStopPost=/bin/systemctl exit --force
UNIT
  printf '[Unit]\nDefaultDependencies=no\nRequires=driftless-test.service\n' >$root/etc/systemd/system/driftless-test.target
fi

# pivot_root, so that the host's root is not even reachable any more.
mkdir $root/old
cd $root
pivot_root . old
cd /
umount -l /old
rmdir /old
hostname throwaway

echo 'throwaway root is ready' >&2
lost=-sys_module,-sys_boot,-sys_time,-sys_rawio,-mac_admin,-mac_override,-syslog,-bpf,-perfmon
if [ "$booted" ]; then
  export container=driftless
  exec setpriv --bounding-set="$lost" --inh-caps="$lost" -- /lib/systemd/systemd --unit=driftless-test.target --show-status=false
fi
lost=$lost,-mknod
[[ $script == *'# may mount'* ]] || lost=$lost,-sys_admin
exec setpriv --bounding-set="$lost" --inh-caps="$lost" --no-new-privs -- bash -euo pipefail -c "$script"
