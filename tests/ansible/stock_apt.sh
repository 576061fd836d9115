# What the target `apt` installs beside that: for another machine too, from sources and from a server.
native=$(dpkg --print-architecture)
rm hello_*.deb
stock hello 2.10-3 $native
stock hello 2.10-3 i386
stock hello-traditional 2.10-6 all 'Conflicts: hello'
stock libslang2-dev 99
stock libcaca-dev 99 all 'Depends: libslang2-dev'
stock elpa-yaml-mode 99 all 'Provides: yaml-mode'
for name in apt-transport-https aptitude debhelper emacs-nox po-debconf quilt unscd vim-tiny; do
  stock $name 99
done
cat >Sources <<'END'
Package: rolldice
Binary: rolldice
Version: 1
Maintainer: t <t@t>
Architecture: any
Build-Depends: debhelper, quilt
Directory: .

Package: tree
Binary: tree
Version: 1
Maintainer: t <t@t>
Architecture: any
Build-Depends: po-debconf
Directory: .
END
# The servers that the target asks, one with files and one that refuses, are this host.
mkdir -p served/test/integration/targets/apt; cd served/test/integration/targets/apt
stock hello 2.10-2ubuntu2 $native
stock echo-hello 1.0 all 'Depends: vim-tiny'
cd /srv/stock
ip link set lo up
echo '127.0.0.1 ci-files.testing.ansible.com ppa.launchpad.net' >>/etc/hosts
openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=t -keyout /srv/key -out /srv/certificate \
  -addext subjectAltName=DNS:ci-files.testing.ansible.com -addext basicConstraints=critical,CA:FALSE 2>/dev/null
export SSL_CERT_FILE=/srv/certificate
/usr/bin/python3 - >/dev/null 2>&1 <<'END' &
import http.server, ssl, threading
class Files(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args):
        super().__init__(*args, directory='/srv/stock/served')
class Refusal(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(403)
serves = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
serves.load_cert_chain('/srv/certificate', '/srv/key')
files = http.server.ThreadingHTTPServer(('127.0.0.1', 443), Files)
files.socket = serves.wrap_socket(files.socket, server_side=True)
threading.Thread(target=files.serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(('127.0.0.1', 80), Refusal).serve_forever()
END
rm /usr/sbin/policy-rc.d
# None of what the host has is in the way, or goes because nothing needs it.
: >/var/lib/apt/extended_states
