"""chain.py - a whole chain as a node has it, for bench.py: each plugin a process, called one after the other as libcni does."""
import json
import os
import subprocess

NAMES = ('bridge', 'portmap', 'bandwidth', 'firewall', 'tuning')
LIMIT = {'ingressRate': 100_000_000, 'ingressBurst': 8_000_000, 'egressRate': 100_000_000, 'egressBurst': 8_000_000}


class Chain:
    """The chain of a suite, with the suite's default back ends, on a node where one container has it already."""

    def __init__(self, suite, plugins, data, number, timed):
        self.name, self.plugins, self.timed = f'{suite}-chain', plugins, timed
        subnet = f'10.{number}.0.0/16'
        ipam = {'type': 'host-local', 'dataDir': os.path.join(data, self.name), 'routes': [{'dst': '0.0.0.0/0'}],
                'ranges': [[{'subnet': subnet}]]}
        self.options = {
            'bridge': {'bridge': f'chain{number}', 'isGateway': True, 'ipMasq': True, 'hairpinMode': True, 'ipam': ipam},
            'portmap': {},
            'bandwidth': LIMIT,
            'firewall': {},
            'tuning': {'sysctl': {'net.core.somaxconn': '512'}},
        }
        # Ours has no program within reach: what works, works without one.
        self.path = '/nonexistent' if suite == 'podwire' else os.environ['PATH']
        self.result = None
        resident = f'{suite}-resident'
        subprocess.run(['ip', 'netns', 'add', resident], check=True)
        self.port = 8000 + number
        self.add(resident)
        self.port = 9000 + number

    def configs(self):
        mappings = [{'hostPort': self.port, 'containerPort': 80, 'protocol': 'tcp'}]
        self.options['portmap']['runtimeConfig'] = {'portMappings': mappings}
        return [{'cniVersion': '1.0.0', 'name': self.name, 'type': kind, **self.options[kind]} for kind in NAMES]

    def call(self, command, pod, config):
        stdin, stdout = f'/run/{self.name}.in', f'/run/{self.name}.out'
        with open(stdin, 'w', encoding='utf-8') as file:
            json.dump(config | ({'prevResult': self.result} if self.result else {}), file)
        env = {'CNI_COMMAND': command, 'CNI_CONTAINERID': pod, 'CNI_NETNS': '/run/netns/' + pod, 'CNI_IFNAME': 'eth0',
               'CNI_PATH': self.plugins, 'PATH': self.path}
        took = self.timed([os.path.join(self.plugins, config['type'])], env, stdin, stdout)
        if command == 'ADD':
            with open(stdout, encoding='utf-8') as file:
                self.result = json.load(file)
        return took

    def add(self, pod):
        self.result = None
        return sum(self.call('ADD', pod, config) for config in self.configs())

    def check(self, pod):
        return sum(self.call('CHECK', pod, config) for config in self.configs())

    def delete(self, pod):
        return sum(self.call('DEL', pod, config) for config in reversed(self.configs()))


def contestants(suites, data, timed):
    """Those of the suites that have all plugins."""
    return {f'{name} chain': Chain(name, path, data, 240 + at, timed) for at, (name, path) in enumerate(suites.items())
            if all(os.path.exists(os.path.join(path, kind)) for kind in NAMES)}


def rows(median, least):
    for verb, budget in ('ADD', 10), ('DEL', 5):
        ours, theirs = median.get(f'podwire chain {verb}'), median.get(f'reference chain {verb}')
        if ours and theirs:
            yield least(f'a chain of five: {verb}, faster than the reference', theirs / ours, budget)
