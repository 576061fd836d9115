# A repository with what targets install, since none can be fetched: the names and versions are those
# that they ask for, and there is next to nothing in the packages.
mkdir -p /srv/stock; cd /srv/stock
# stock NAME VERSION [ARCHITECTURE [FIELD]...]
stock() {
  local name=$1 version=$2 arch=${3:-all}
  mkdir -p p/DEBIAN p/usr/share/doc/$name
  printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: t <t@t>\nDescription: t\n' $name $version $arch >p/DEBIAN/control
  [ $# -lt 4 ] || printf '%s\n' "${@:4}" >>p/DEBIAN/control
  case $name in
  hello)
    mkdir -p p/usr/bin
    printf '#!/bin/sh\necho hello\n' >p/usr/bin/hello; chmod 755 p/usr/bin/hello;;
  equivs)
    mkdir -p p/usr/bin
    # As the original does it, as far as the specifications of the targets go.
    cat >p/usr/bin/equivs-build <<'END'
#!/bin/bash
set -e
made=$(mktemp -d)
mkdir $made/DEBIAN
grep -Ev '^(Standards-Version:|$)' $1 | sed 's/^Section:.*//; /^$/d' >$made/DEBIAN/control
field() { sed -n "s/^$1: //p" $made/DEBIAN/control; }
grep -q ^Maintainer: $made/DEBIAN/control || echo 'Maintainer: t <t@t>' >>$made/DEBIAN/control
dpkg-deb --root-owner-group -b $made $(field Package)_$(field Version)_$(field Architecture).deb
END
    chmod 755 p/usr/bin/equivs-build;;
  cron)
    mkdir -p p/usr/sbin p/var/spool/cron/crontabs p/lib/systemd/system
    cat >p/DEBIAN/postinst <<'END'
#!/bin/sh
getent group crontab >/dev/null || groupadd -r crontab
chown root:crontab /var/spool/cron/crontabs; chmod 1730 /var/spool/cron/crontabs
END
    # What is due each minute runs twice a second, so that no test waits for a minute to be over.
    cat >p/usr/sbin/cron <<'END'
#!/bin/bash
while sleep 0.5; do
  for table in /var/spool/cron/crontabs/*; do
    [ ! -f "$table" ] || grep -v '^#' "$table" |
      while read -r minute _ _ _ _ job; do [ "$minute" != '*' ] || bash -c "$job"; done
  done
done
END
    chmod 755 p/DEBIAN/postinst p/usr/sbin/cron
    # What else starts with a service empties /tmp.
    printf '[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/usr/sbin/cron\n' >p/lib/systemd/system/cron.service;;
  libfaketime)
    mkdir -p p/usr/lib/faketime
    : >p/usr/lib/faketime/libfaketime.so.1;;
  unscd)
    # It is at work as long as a file says so.
    mkdir -p p/etc/init.d
    cat >p/etc/init.d/unscd <<'END'
#!/bin/sh
case $1 in
start) : >/run/unscd;;
stop) rm -f /run/unscd;;
status) [ -e /run/unscd ] || exit 3;;
esac
END
    printf '#!/bin/sh\ninvoke-rc.d unscd start\n' >p/DEBIAN/postinst
    chmod 755 p/etc/init.d/unscd p/DEBIAN/postinst;;
  esac
  dpkg-deb --root-owner-group -Znone -b p ${name}_${version//:/%3a}_$arch.deb >/dev/null
  rm -r p
}
stock hello 2.10-3
stock equivs 2.3.1
for name in at cron debconf-utils libfaketime libfile-fcntllock-perl python3-apt python3-debian python3-rpm rolldice; do
  stock $name 99
done
MORE
: >Packages
for file in *.deb; do
  dpkg-deb -f $file
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $file $(stat -c %s $file) $(sha256sum $file | cut -d' ' -f1)
done >>Packages
# Reading all manuals anew takes longer than all else.
[ ! -e /var/lib/dpkg/info/man-db.postinst ] || printf '#!/bin/sh\n' >/var/lib/dpkg/info/man-db.postinst
rm -rf /etc/apt/sources.list.d /etc/apt/preferences.d /etc/apt/apt.conf.d
mkdir -p /var/lib/apt/lists/partial /etc/apt/apt.conf.d /etc/apt/sources.list.d /etc/apt/preferences.d
echo 'deb [trusted=yes] copy:/srv/stock ./' >/etc/apt/sources.list
[ ! -e Sources ] || echo 'deb-src [trusted=yes] copy:/srv/stock ./' >>/etc/apt/sources.list
apt-get -q update >&2
# They are old enough for a target that fetches them anew.
touch -d '1 hour ago' /var/lib/apt/lists
