"""chain.py - a whole chain as a node has it, for bench.py: each plugin a process, called one after the other as libcni does."""
import json
import os

NAMES = ('bridge', 'portmap', 'bandwidth', 'firewall', 'tuning')
LIMIT = {'ingressRate': 100_000_000, 'ingressBurst': 8_000_000, 'egressRate': 100_000_000, 'egressBurst': 8_000_000}
NETNS = '/run/netns/pod'


class Chain:
    """The chain of a suite, with the suite's default back ends."""

    def __init__(self, suite, plugins, data, number, timed):
        self.name, self.plugins, self.timed = f'{suite}-chain', plugins, timed
        subnet = f'10.{number}.0.0/16'
        ipam = {'type': 'host-local', 'dataDir': os.path.join(data, self.name), 'routes': [{'dst': '0.0.0.0/0'}],
                'ranges': [[{'subnet': subnet}]]}
        options = {
            'bridge': {'bridge': f'chain{number}', 'isGateway': True, 'ipMasq': True, 'hairpinMode': True, 'ipam': ipam},
            'portmap': {'runtimeConfig': {'portMappings': [{'hostPort': 8000 + number, 'containerPort': 80, 'protocol': 'tcp'}]}},
            'bandwidth': LIMIT,
            'firewall': {},
            'tuning': {'sysctl': {'net.core.somaxconn': '512'}},
        }
        self.list = [{'cniVersion': '1.0.0', 'name': self.name, 'type': kind, **options[kind]} for kind in NAMES]
        # Ours has no program within reach: what works, works without one.
        self.path = '/nonexistent' if suite == 'podwire' else os.environ['PATH']
        self.result = None

    def call(self, command, config):
        stdin, stdout = f'/run/{self.name}.in', f'/run/{self.name}.out'
        with open(stdin, 'w', encoding='utf-8') as file:
            json.dump(config | ({'prevResult': self.result} if self.result else {}), file)
        env = {'CNI_COMMAND': command, 'CNI_CONTAINERID': 'pod', 'CNI_NETNS': NETNS, 'CNI_IFNAME': 'eth0',
               'CNI_PATH': self.plugins, 'PATH': self.path}
        took = self.timed([os.path.join(self.plugins, config['type'])], env, stdin, stdout)
        if command == 'ADD':
            with open(stdout, encoding='utf-8') as file:
                self.result = json.load(file)
        return took

    def add(self, _pod):
        self.result = None
        return sum(self.call('ADD', config) for config in self.list)

    def check(self, _pod):
        return sum(self.call('CHECK', config) for config in self.list)

    def delete(self, _pod):
        return sum(self.call('DEL', config) for config in reversed(self.list))


def contestants(suites, data, timed):
    """Those of the suites that have all plugins."""
    return {f'{name} chain': Chain(name, path, data, 240 + at, timed) for at, (name, path) in enumerate(suites.items())
            if all(os.path.exists(os.path.join(path, kind)) for kind in NAMES)}


def rows(median, least):
    for verb, budget in ('ADD', 10), ('DEL', 5):
        ours, theirs = median.get(f'podwire chain {verb}'), median.get(f'reference chain {verb}')
        if ours and theirs:
            yield least(f'a chain of five: {verb}, faster than the reference', theirs / ours, budget)
