# An index of what the target `pip` installs, since none can be asked: there is next to nothing in the
# packages, and those that are built from source are built by themselves.
unset ${!PIP_*}
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# Whether the host's Python is Debian's alone is for the target to say.
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
mkdir -p /srv/wheels /srv/git/pyiso8601/iso8601 /srv/lib/ansible_test/_data/requirements
: >/srv/lib/ansible_test/_data/requirements/constraints.txt
cp /usr/share/python-wheels/*.whl /srv/wheels
cd /srv/wheels
/usr/bin/python3 - <<'END'
import pathlib, zipfile
def wheel(name, version, module=None, more=''):
    info = f'{name}-{version}.dist-info'
    with zipfile.ZipFile(f'{name}-{version}-py3-none-any.whl', 'w') as made:
        made.writestr(f'{module or name}.py', '')
        made.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\nName: {name.replace("_", "-")}\nVersion: {version}\n{more}')
        made.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        made.writestr(f'{info}/RECORD', '')
for version in ['1.0', '2.0']:
    wheel('sampleprojectpy2', version, 'sample', 'Provides-Extra: test\nRequires-Dist: coverage; extra == "test"\n')
for name in ['coverage', 'jiphy', 'junit_xml', 'packaging', 'q']:
    wheel(name, '2.0')
wheel('fallible', '0.0.1a2')
# What packages are built with is that of the host.
libraries = pathlib.Path('/usr/lib/python3/dist-packages')
info = next(libraries.glob('wheel-*.dist-info'), None) or next(libraries.glob('wheel-*.egg-info'))
version = info.name.split('-')[1].removesuffix('.egg')
with zipfile.ZipFile(f'wheel-{version}-py3-none-any.whl', 'w') as made:
    for file in libraries.glob('wheel/**/*.py'):
        made.write(file, file.relative_to(libraries))
    name = f'wheel-{version}.dist-info'
    made.writestr(f'{name}/METADATA', f'Metadata-Version: 2.1\nName: wheel\nVersion: {version}\n')
    made.writestr(f'{name}/WHEEL', 'Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
    made.writestr(f'{name}/entry_points.txt', '[distutils.commands]\nbdist_wheel = wheel.bdist_wheel:bdist_wheel\n')
    made.writestr(f'{name}/RECORD', '')
END
printf '[global]\nno-index = true\nfind-links = /srv/wheels\ndisable-pip-version-check = true\n' >/etc/pip.conf
cd /srv/git/pyiso8601
printf 'from setuptools import setup\nsetup(name="iso8601", version="1.0", packages=["iso8601"])\n' >setup.py
: >iso8601/__init__.py
git init -q .; git add .
git -c user.name=t -c user.email=t@t commit -q -m t
git config --system url./srv/git/.insteadOf https://github.com/dvarrazzo/
git config --system safe.directory '*'
# Packages are put into one environment, and copied to all others, which saves seconds each.
/usr/bin/python3 -m venv /srv/first
cat >$(/usr/bin/python3 -c "import ensurepip; print(ensurepip.__path__[0])")/__main__.py <<'END'
import pathlib, shutil, sys
first, made = pathlib.Path('/srv/first'), pathlib.Path(sys.prefix)
library = next(first.glob('lib/python3*/site-packages')).relative_to(first)
shutil.copytree(first / library, made / library, dirs_exist_ok=True)
for program in first.glob('bin/pip*'):
    text = program.read_text().replace(str(first), str(made), 1)
    (made / 'bin' / program.name).write_text(text)
    (made / 'bin' / program.name).chmod(0o755)
END
cd /srv
