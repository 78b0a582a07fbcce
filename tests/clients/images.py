"""images.py BUSYBOX DIR - write DIR/busybox.tar and DIR/pause.tar, docker archives made of one static busybox."""
import hashlib
import io
import json
import sys
import tarfile

APPLETS = 'sh ip sleep ping ping6 wget nc httpd cat ls hostname env id true kill'


def add(archive, name, data=b'', mode=0o755, kind=tarfile.REGTYPE, link=''):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.type, entry.linkname = len(data), mode, kind, link
    archive.addfile(entry, io.BytesIO(data))


def layer(busybox):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode='w') as archive:
        for name in 'bin etc proc sys dev tmp'.split():
            add(archive, name, kind=tarfile.DIRTYPE)
        add(archive, 'bin/busybox', busybox)
        add(archive, 'etc/passwd', b'root:x:0:0:root:/:/bin/sh\n', 0o644)
        add(archive, 'etc/group', b'root:x:0:\n', 0o644)
        for applet in APPLETS.split():
            add(archive, 'bin/' + applet, kind=tarfile.SYMTYPE, link='busybox')
    return content.getvalue()


def image(path, tag, command, content):
    config = json.dumps({
        'architecture': 'amd64', 'os': 'linux',
        'config': {'Cmd': command, 'Env': ['PATH=/bin'], 'WorkingDir': '/'},
        'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(content).hexdigest()]},
        'history': [{'created_by': 'podwire'}],
    }).encode()
    name = hashlib.sha256(config).hexdigest() + '.json'
    manifest = json.dumps([{'Config': name, 'RepoTags': [tag], 'Layers': ['layer.tar']}]).encode()
    with tarfile.open(path, 'w') as archive:
        for member, data in (name, config), ('layer.tar', content), ('manifest.json', manifest):
            add(archive, member, data, 0o644)


with open(sys.argv[1], 'rb') as file:
    CONTENT = layer(file.read())
image(sys.argv[2] + '/busybox.tar', 'docker.io/library/busybox:local', ['sh'], CONTENT)
image(sys.argv[2] + '/pause.tar', 'localhost/pause:local', ['sleep', '2147483647'], CONTENT)
