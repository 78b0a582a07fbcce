"""ports.py - portmap with few and with many mappings present, for bench.py: each in a network namespace of its own."""
import ctypes
import hashlib
import json
import os
import socket
import subprocess

PRESENT = (10, 5000)
FIRST = 20000  # host ports of those that are there
SUBNET = '10.200.0'
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    with open(path, 'rb') as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f'setns {path}')


class Ports:
    """portmap of a suite on a node that has so many mappings; a call is made in the node's namespace."""

    def __init__(self, suite, plugins, present, timed):
        self.name, self.plugins, self.timed = f'{suite}-ports-{present}', plugins, timed
        self.by_us = suite == 'podwire'
        self.netns = '/run/netns/' + self.name
        subprocess.run(['ip', '-batch', '-'], check=True, text=True, input=f'netns add {self.name}\n')
        subprocess.run(['ip', '-n', self.name, '-batch', '-'], check=True, text=True, input=f'''
link set lo up
link add br0 type bridge
addr add {SUBNET}.1/16 dev br0
link set br0 up
''')
        self.fill(present)
        enter(self.netns)
        # A node tracks connections; one is enough for whoever looks for more.
        server = socket.create_server(('127.0.0.1', 0))
        self.connection = server, socket.create_connection(server.getsockname())
        enter(self.outer)

    outer = None

    def config(self, host, mappings):
        result = {'cniVersion': '1.0.0', 'interfaces': [{'name': 'eth0', 'sandbox': '/run/netns/pod'}],
                  'ips': [{'address': f'{host}/16', 'interface': 0}]}
        mappings = [{'hostPort': port, 'containerPort': 80, 'protocol': 'tcp'} for port in mappings]
        return {'cniVersion': '1.0.0', 'name': 'ports', 'type': 'portmap', 'prevResult': result,
                'runtimeConfig': {'portMappings': mappings}}

    def call(self, command, container, config):
        stdin, stdout = f'/run/{self.name}.in', f'/run/{self.name}.out'
        with open(stdin, 'w', encoding='utf-8') as file:
            json.dump(config, file)
        env = {'CNI_COMMAND': command, 'CNI_CONTAINERID': container, 'CNI_NETNS': '/run/netns/pod', 'CNI_IFNAME': 'eth0',
               'CNI_PATH': self.plugins, 'PATH': os.environ['PATH']}
        enter(self.netns)
        try:
            return self.timed([os.path.join(self.plugins, 'portmap')], env, stdin, stdout)
        finally:
            enter(self.outer)

    def fill(self, present):
        """Ten mappings for each container, by the plugin itself, or as iptables-restore has what the reference makes."""
        containers = [(f'resident{at}', f'{SUBNET[:-2]}.{at // 250}.{at % 250 + 2}', range(FIRST + at, FIRST + at + 10))
                      for at in range(0, present, 10)]
        for container, host, mappings in containers if self.by_us else containers[:1]:
            self.call('ADD', container, self.config(host, mappings))
        if self.by_us:
            return
        chains, rules, jumps = [], [], []
        for container, host, mappings in containers[1:]:
            chain = 'CNI-DN-' + hashlib.sha512(f'ports{container}'.encode()).hexdigest()[:21]
            chains.append(f'-N {chain}')
            ports = ','.join(map(str, mappings))
            jumps.append(f'-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"ports\\" id: \\"{container}\\"" '
                         f'-m multiport --dports {ports} -j {chain}')
            for port in mappings:
                match = f'-A {chain} -p tcp -m tcp --dport {port}'
                rules += [f'{match} -s {SUBNET[:-2]}.0.0/16 -j CNI-HOSTPORT-SETMARK',
                          f'{match} -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK', f'{match} -j DNAT --to-destination {host}:80']
        subprocess.run(['ip', 'netns', 'exec', self.name, 'iptables-restore', '--noflush'], check=True, text=True,
                       input='\n'.join(['*nat', *chains, *rules, *jumps, 'COMMIT', '']))

    def add(self, _pod):
        return self.call('ADD', 'visitor', self.config(f'{SUBNET}.250', [8080]))

    def delete(self, _pod):
        return self.call('DEL', 'visitor', self.config(f'{SUBNET}.250', [8080]))


def contestants(suites, present, timed):
    """Those of the suites that have the plugin."""
    # The namespace that is left for theirs is found again by a descriptor.
    Ports.outer = Ports.outer or f'/proc/self/fd/{os.open("/proc/self/ns/net", os.O_RDONLY)}'
    return {f'{name} portmap, {count} present': Ports(name, path, count, timed) for name, path in suites.items()
            for count in present if os.path.exists(os.path.join(path, 'portmap'))}


def rows(median, present, most, least):
    few, many = present[0], present[-1]
    for verb in 'ADD', 'DEL':
        ours = f'podwire portmap, {many} present {verb}', f'podwire portmap, {few} present {verb}'
        theirs = f'reference portmap, {many} present {verb}', f'reference portmap, {few} present {verb}'
        if ours[0] not in median:
            continue
        yield most(f'portmap {verb}, {many} mappings to {few}', *ours, 1.3)
        if theirs[0] in median:
            yield most('    the reference', *theirs, None)
            yield least(f'portmap {verb}, faster than the reference', median[theirs[1]] / median[ours[1]], 5)
