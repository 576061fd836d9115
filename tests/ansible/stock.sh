# A repository with what targets install, since none can be fetched: the names and versions are those
# that they ask for, and there is next to nothing in the packages.
mkdir -p /srv/stock; cd /srv/stock
stock() {
  local name=$1 version=$2
  mkdir -p p/DEBIAN p/usr/share/doc/$name
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: t <t@t>\nDescription: t\n' $name $version >p/DEBIAN/control
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
  esac
  dpkg-deb --root-owner-group -Znone -b p ${name}_${version//:/%3a}_all.deb >/dev/null
  rm -r p
}
stock hello 2.10-3
stock equivs 2.3.1
for name in at cron debconf-utils libfaketime libfile-fcntllock-perl python3-apt python3-debian python3-rpm rolldice; do
  stock $name 99
done
: >Packages
for file in *.deb; do
  dpkg-deb -f $file
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $file $(stat -c %s $file) $(sha256sum $file | cut -d' ' -f1)
done >>Packages
rm -rf /etc/apt/sources.list.d /etc/apt/preferences.d /etc/apt/apt.conf.d
mkdir -p /var/lib/apt/lists/partial /etc/apt/apt.conf.d /etc/apt/sources.list.d /etc/apt/preferences.d
echo 'deb [trusted=yes] file:/srv/stock ./' >/etc/apt/sources.list
apt-get -q update >&2
