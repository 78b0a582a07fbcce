"""bench.py - times the plugins, the reference plugins and a bare netlink floor, interleaved, in the namespaces it is run in.

Started by scripts/bench, which makes the namespaces. Every call is a process of its own, started and waited for as a
runtime does it. Compared are medians; what is printed for a reader is the median and its quartiles.
"""
import argparse
import glob
import ipaddress
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import agent
import chain
import chart
import nodes
import ports

NETNS = '/run/netns/'
LEASES = (10, 4000, 60000)
CROWD = 200
PEERS = 5000


class Failed(Exception):
    """A plugin or the floor answered with an error."""


def spawn(argv, env, stdin, stdout):
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, stdout + '.err', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ]
    return os.posix_spawn(argv[0], argv, env, file_actions=actions)


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def timed(argv, env, stdin, stdout):
    """Milliseconds from the start of the process until it has been waited for."""
    began = time.perf_counter_ns()
    _, status, _ = os.wait4(spawn(argv, env, stdin, stdout), 0)
    took = (time.perf_counter_ns() - began) / 1e6
    if status:
        raise Failed(f'{" ".join(argv)} {env.get("CNI_COMMAND", "")}: {read(stdout)}{read(stdout + ".err")}')
    return took


class Floor:
    """The C program, on a bridge of its own."""

    def __init__(self, program):
        self.program, self.count = program, 1
        ip('link', 'add', 'name', 'floor0', 'type', 'bridge')
        ip('addr', 'add', '10.250.0.1/16', 'dev', 'floor0')
        ip('link', 'set', 'floor0', 'up')
        self.bridge = read('/sys/class/net/floor0/ifindex').strip()

    def add(self, pod):
        self.count = self.count % 60000 + 1
        address = ipaddress.ip_address('10.250.0.1') + self.count
        return self.call('add', NETNS + pod, self.bridge, f'floor{self.count}', f'{address}/16', '10.250.0.1')

    def delete(self, pod):
        return self.call('del', NETNS + pod)

    def call(self, *words):
        return timed([self.program, *words], {}, '/dev/null', '/run/floor.out')


class Network:
    """A network of one suite of plugins; its leases are in a directory of its own."""

    count = 0

    def __init__(self, suite, plugins, data, leases=0, masquerade=False, kind='bridge', ipam='host-local',
                 peers=0):
        Network.count += 1
        number = Network.count
        self.suite, self.plugins, self.kind = suite, plugins, kind
        self.name = f'{suite}{number}'
        self.directory = os.path.join(data, self.name)
        self.config = {'cniVersion': '1.0.0', 'name': self.name, 'type': kind}
        if kind in ('bridge', 'host-gw', 'vxlan'):
            self.config.update(bridge=f'bench{number}', isGateway=True, ipMasq=masquerade)
        if peers:
            self.config.update(nodes.config(kind, peers, os.path.join(data, f'node{number}')))
        if kind != 'loopback':
            self.config['ipam'] = {'type': ipam, 'routes': [{'dst': '0.0.0.0/0'}]}
            if ipam == 'host-local':
                self.config['ipam'].update(dataDir=self.directory, ranges=[[{'subnet': f'10.{number}.0.0/16'}]])
            else:
                self.config['ipam'].update(addresses=[{'address': f'10.{number}.0.9/16', 'gateway': f'10.{number}.0.1'}])
        if leases:
            self.fill(leases, ipaddress.ip_address(f'10.{number}.0.2'))

    def fill(self, leases, first):
        """Leases as both suites keep them, of containers that live."""
        directory = os.path.join(self.directory, self.name)
        os.makedirs(directory)
        for number in range(leases):
            with open(os.path.join(directory, str(first + number)), 'w', encoding='ascii') as file:
                file.write(f'container-{number}\r\neth0')
        with open(os.path.join(directory, 'last_reserved_ip.0'), 'w', encoding='ascii') as file:
            file.write(str(first + leases - 1))

    def environment(self, command, pod, interface='eth0'):
        return {'CNI_COMMAND': command, 'CNI_CONTAINERID': pod, 'CNI_NETNS': NETNS + pod, 'CNI_IFNAME': interface,
                'CNI_PATH': self.plugins, 'PATH': os.environ['PATH']}

    def prepare(self, pod, previous=None):
        """The call's files: its configuration and where its answer goes."""
        stdin, stdout = f'/run/{self.name}-{pod}.in', f'/run/{self.name}-{pod}.out'
        with open(stdin, 'w', encoding='utf-8') as file:
            json.dump(dict(self.config, prevResult=previous) if previous else self.config, file)
        return stdin, stdout

    def call(self, command, pod, previous=None):
        stdin, stdout = self.prepare(pod, previous)
        interface = 'lo' if self.kind == 'loopback' else 'eth0'
        argv = [os.path.join(self.plugins, self.kind)]
        took = timed(argv, self.environment(command, pod, interface), stdin, stdout)
        return took, stdout

    def add(self, pod):
        took, stdout = self.call('ADD', pod)
        self.result = json.loads(read(stdout))
        return took

    def check(self, pod):
        return self.call('CHECK', pod, self.result)[0]

    def delete(self, pod):
        return self.call('DEL', pod, self.result)[0]

    def peak(self, floor, pod):
        """Peak memory in KiB of ADD, CHECK and DEL, whichever is most; with what each of them executes."""
        most, result = 0, None
        for command in 'ADD', 'CHECK', 'DEL':
            stdin, _ = self.prepare(pod, result)
            interface = 'lo' if self.kind == 'loopback' else 'eth0'
            with open(stdin, encoding='utf-8') as config:
                done = subprocess.run([floor.program, 'peak', '/run/peak', os.path.join(self.plugins, self.kind)], stdin=config,
                                      env=self.environment(command, pod, interface), capture_output=True, check=False)
            if done.returncode:
                raise Failed(f'{self.kind} {command}: {done.stdout.decode()}{done.stderr.decode()}')
            most = max(most, int(read('/run/peak')))
            if command == 'ADD':
                result = json.loads(done.stdout)
        return most

    def crowd(self, command, pods, results):
        """All pods at once: milliseconds, and the answers of those that succeeded."""
        argv = [os.path.join(self.plugins, self.kind)]
        calls = [(pod, self.environment(command, pod), *self.prepare(pod, results.get(pod))) for pod in pods]
        began = time.perf_counter_ns()
        running = {spawn(argv, env, stdin, stdout): (pod, stdout) for pod, env, stdin, stdout in calls}
        good = []
        while running:
            pid, status, _ = os.wait3(0)
            if status == 0:
                good.append(running[pid])
            del running[pid]
        took = (time.perf_counter_ns() - began) / 1e6
        return took, {pod: json.loads(read(stdout) or 'null') for pod, stdout in good}


def ip(*words):
    subprocess.run(['ip', *words], check=True)


def progress(text):
    print(f'\r\033[K{text}' if sys.stderr.isatty() else text, end='' if sys.stderr.isatty() else '\n', file=sys.stderr, flush=True)


def in_turn(contestants, rounds, samples, what):
    """Each round, every contestant once, in an order that turns; the first two rounds only warm up."""
    names = list(contestants)
    for name, one in contestants.items():
        samples.update({(name, verb): [] for verb in ('ADD', 'CHECK', 'DEL') if verb != 'CHECK' or hasattr(one, 'check')})
    for number in range(rounds + 2):
        if number % 10 == 0:
            progress(f'{what}: round {number} of {rounds}')
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            one = contestants[name]
            took = {'ADD': one.add('pod')}
            if hasattr(one, 'check'):
                took['CHECK'] = one.check('pod')
            took['DEL'] = one.delete('pod')
            if number >= 2:
                for verb, milliseconds in took.items():
                    samples[name, verb].append(milliseconds)


def crowds(networks, pods, rounds):
    figures = {name: {'ADD': [], 'DEL': [], 'failed': 0, 'twice': 0} for name in networks}
    for number in range(rounds):
        for name, network in networks.items():
            progress(f'{len(pods)} at once: {name}, round {number + 1} of {rounds}')
            took, results = network.crowd('ADD', pods, {})
            addresses = [entry['address'] for result in results.values() for entry in result['ips']]
            mine = figures[name]
            mine['ADD'].append(took)
            mine['failed'] += len(pods) - len(results)
            mine['twice'] += len(addresses) - len(set(addresses))
            took, gone = network.crowd('DEL', pods, results)
            mine['DEL'].append(took)
            mine['failed'] += len(pods) - len(gone)
    return figures


def sizes(directory):
    files = [path for path in glob.glob(directory + '/*') if os.path.isfile(path) and os.access(path, os.X_OK)]
    return {os.path.basename(path): os.path.getsize(path) for path in sorted(files)}


def measure(options):
    subprocess.run(['ip', '-batch', '-'], check=True, text=True,
                   input=''.join(f'netns add {name}\n' for name in ['pod', *(f'pod{n}' for n in range(options.crowd))]))
    suites = {'podwire': options.plugins, 'reference': options.reference}
    floor = Floor(options.floor)
    samples = {}

    plain = {name: Network(name, path, options.data) for name, path in suites.items()}
    masked = {name + ' ipMasq': Network(name, path, options.data, masquerade=True) for name, path in suites.items()}
    in_turn({'floor': floor, **plain, **masked}, options.rounds, samples, 'one at a time')

    progress('writing leases')
    leased = {}
    for leases in options.leases:
        for name, path in suites.items():
            rounds = options.rounds if name == 'podwire' else max(5, options.rounds // 5) # a reference ADD takes seconds
            leased[f'{name} {leases} leases'] = Network(name, path, options.data, leases=leases), rounds
    ours = {name: network for name, (network, rounds) in leased.items() if rounds == options.rounds}
    theirs = {name: network for name, (network, rounds) in leased.items() if name not in ours}
    in_turn(ours, options.rounds, samples, 'leases, podwire')
    in_turn(theirs, max(5, options.rounds // 5), samples, 'leases, reference')

    nodes.underlay()
    fleet = {f'{kind}, {options.peers} peers': Network('podwire', options.plugins, options.data, kind=kind, peers=options.peers)
             for kind in ('host-gw', 'vxlan')}
    few = {f'{kind}, first': network for kind, network in fleet.items()}
    for name, network in few.items():
        samples[name, 'ADD'] = []
        for number in range(7):
            progress(f'{name} ADD: round {number} of 5')
            took = network.add('pod')
            network.delete('pod')
            if number >= 2:
                samples[name, 'ADD'].append(took)
            nodes.forget(network)
    beside = {'bridge beside peers': Network('podwire', options.plugins, options.data), **fleet}
    in_turn(beside, options.rounds, samples, 'peers in place')
    for network in fleet.values():
        nodes.forget(network)

    agents = measure_agent(options)
    measure_chained(options, suites, samples)

    # networks in pairs of their own, with leases on disk as on a node
    crowd = crowds({name: Network(name, path, options.data) for name, path in suites.items()},
                   [f'pod{n}' for n in range(options.crowd)], 3)

    progress('memory')
    memory = {}
    for name, path in suites.items():
        for kind, ipam in ('bridge', 'host-local'), ('ptp', 'host-local'), ('bridge', 'static'), ('loopback', None):
            if os.path.exists(os.path.join(path, kind)):
                network = Network(name, path, options.data, kind=kind, ipam=ipam, masquerade=kind == 'bridge')
                memory[f'{name} {kind}' + (f' + {ipam}' if ipam else '')] = network.peak(floor, 'pod')
    progress('')
    return {'milliseconds': {f'{name} {verb}': values for (name, verb), values in samples.items()},
            'at once': crowd, 'agent': agents, 'memory KiB': memory, 'sizes': {name: sizes(path) for name, path in suites.items()},
            'ports': options.ports, 'pods at once': options.crowd, 'peers': options.peers, 'leases': options.leases, 'static': options.static}


def measure_chained(options, suites, samples):
    in_turn(chain.contestants(suites, options.data, timed), options.rounds, samples, 'a chain of five')
    progress('making port mappings')
    mapped = ports.contestants(suites, options.ports, timed)
    for name, rounds in ('podwire', options.rounds), ('reference', max(5, options.rounds // 5)): # its ADD takes seconds
        mine = {key: one for key, one in mapped.items() if key.startswith(name)}
        if mine:
            in_turn(mine, rounds, samples, f'port mappings, {name}')


def least(what, ratio, budget):
    """A row: the ratio, and whether it is large enough."""
    return what, f'{ratio:.1f} x', f'at least {budget} x', ratio >= budget


def most_of(median):
    """Makes rows: the ratio of two medians, and whether it is small enough."""
    def most(what, upper, lower, budget, digits=2):
        ratio = median[upper] / median[lower]
        return what, f'{ratio:.{digits}f} x', budget and f'at most {budget} x', budget and ratio <= budget
    return most


def rows_of_chained(median, present):
    """The same of plugins behind others."""
    yield from chain.rows(median, least)
    yield from ports.rows(median, present, most_of(median), least)


def measure_agent(options):
    return {kind: agent.measure(os.path.join(options.plugins, 'podwire'), kind, options.peers, options.data, options.changes, progress)
            for kind in ('host-gw', 'vxlan')}


def rows_of_agent(found):
    """The same of the node agent."""
    for kind, figures in found['agent'].items():
        name = f'agent, {kind}, {found["peers"]} peers'
        middle = {what: statistics.median(figures[what]) for what in ('floor', 'routes', 'ready', 'change')}
        yield f'{name}: all routes, to ip -batch', f'{middle["routes"] / middle["floor"]:.2f} x', None, None
        yield f'{name}: ready after', f'{middle["ready"]:.2f} s', 'under 1 s', middle['ready'] < 1
        spent = statistics.median(figures['start spent'])
        yield f'{name}: until ready, processor time', f'{spent:.2f} s', None, None
        yield f'{name}: a change, median', f'{middle["change"] * 1000:.0f} ms', 'at most 100 ms', middle['change'] <= 0.1
        worst = max(figures['change'])
        yield f'{name}: a change, the worst', f'{worst * 1000:.0f} ms', 'at most 100 ms', worst <= 0.1
        yield f'{name}: a change, processor time', f'{figures["change spent"] * 1000:.0f} ms', None, None
        behind = f'{figures["behind"] * 1000:.0f} ms'
        yield f'{name}: behind {agent.RATE} changes a second', behind, 'at most 1 s', figures['behind'] <= 1
        yield f'{name}: processor meanwhile', f'{figures["stream"] * 100:.0f} %', None, None
        yield f'{name}: processor, idle', f'{figures["idle"] * 100:.2f} %', 'under 1 %', figures['idle'] < 0.01
        idle, peak = figures['memory']['idle']
        yield f'{name}: memory, idle', f'{idle / 1024:.1f} MB', 'at most 40 MB', idle <= 40 << 10
        yield f'{name}: memory, at most', f'{peak / 1024:.1f} MB', 'at most 40 MB', peak <= 40 << 10


def rows(found):
    """The table: what, figure, its meaning, budget, whether it is met (None: no budget)."""
    median = {name: statistics.median(values) for name, values in found['milliseconds'].items()}
    few, many = found['leases'][0], found['leases'][-1]
    most = most_of(median)
    yield most('ADD, to the floor', 'podwire ADD', 'floor ADD', 2)
    yield least('ADD, faster than the reference', median['reference ADD'] / median['podwire ADD'], 5)
    yield most('ADD with ipMasq, to ADD without', 'podwire ipMasq ADD', 'podwire ADD', 1.5)
    yield most('    the reference', 'reference ipMasq ADD', 'reference ADD', None)
    yield most('DEL, to the floor', 'podwire DEL', 'floor DEL', 1.1)
    yield most('    the reference', 'reference DEL', 'floor DEL', None)
    yield most('CHECK, to the floor of ADD', 'podwire CHECK', 'floor ADD', None)
    yield most('    the reference', 'reference CHECK', 'floor ADD', None)
    for verb in 'ADD', 'DEL':
        yield most(f'{verb}, {many} leases to {few}', f'podwire {many} leases {verb}', f'podwire {few} leases {verb}', 1.2)
        yield most('    the reference', f'reference {many} leases {verb}', f'reference {few} leases {verb}', None, 1)
    for kind in 'host-gw', 'vxlan':
        name = f'{kind}, {found["peers"]} peers'
        first = median[f'{name}, first ADD'] / 1000
        yield f'{name}: first ADD', f'{first:.2f} s', 'under 1 s', first < 1
        yield most(f'{name}: ADD, to bridge', f'{name} ADD', 'bridge beside peers ADD', 1.3)
    yield from rows_of_agent(found)
    yield from rows_of_chained(median, found['ports'])
    ours, theirs = found['at once']['podwire'], found['at once']['reference']
    pods = found['pods at once']
    yield f'{pods} at once: failed', str(ours['failed']), 'none', ours['failed'] == 0
    yield '    the reference', str(theirs['failed']), None, None
    yield f'{pods} at once: addresses given twice', str(ours['twice']), 'none', ours['twice'] == 0
    yield least(f'{pods} ADDs at once, throughput to the reference', min(theirs['ADD']) / min(ours['ADD']), 3)
    memory = max(value for name, value in found['memory KiB'].items() if name.startswith('podwire'))
    yield 'peak memory, the largest', f'{memory / 1024:.1f} MB', 'at most 4 MB', memory <= 4096
    theirs = max(value for name, value in found['memory KiB'].items() if name.startswith('reference'))
    yield '    the reference', f'{theirs / 1024:.1f} MB', None, None
    plugins = {name: size for name, size in found['sizes']['podwire'].items() if name != 'podwire'}
    kind = 'static' if found['static'] else 'dynamic'
    size, total = max(plugins.values()), sum(plugins.values())
    yield f'size, {kind}, the largest', f'{size / 1e6:.2f} MB', 'at most 1.5 MB', size <= 1.5e6
    yield f'size, {kind}, all {len(plugins)} plugins', f'{total / 1e6:.2f} MB', 'under 25 MB', total < 25e6


def report(found):
    print(f'{"milliseconds":<34}{"median":>9}{"quartiles":>20}')
    for name, values in found['milliseconds'].items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f'{name:<34}{middle:>9.2f}{f"{low:.2f} - {high:.2f}":>20}')
    for name, figures in found['at once'].items():
        per_second = found['pods at once'] / min(figures['ADD']) * 1000
        print(f'{name} {found["pods at once"]} ADDs at once{min(figures["ADD"]):>14.0f} ms, {per_second:.0f} a second')
    table(rows(found))


def table(all_rows):
    print(f'\n{"what":<58}{"measured":>12}   {"budget":<16}')
    for what, figure, budget, met in all_rows:
        verdict = {True: 'met', False: 'MISSED', None: ''}[met]
        print(f'{what:<58}{figure:>12}   {budget or "":<16}{verdict}'.rstrip())


def main():
    parser = argparse.ArgumentParser()
    for name in 'plugins', 'reference', 'floor', 'data', 'json', 'svg':
        parser.add_argument('--' + name, required=True)
    parser.add_argument('--agent', action='store_true')
    parser.add_argument('--chained', action='store_true')
    parser.add_argument('--changes', type=int, default=30)
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--crowd', type=int, default=CROWD)
    parser.add_argument('--peers', type=int, default=PEERS)
    parser.add_argument('--leases', type=lambda text: [int(part) for part in text.split(',')], default=list(LEASES))
    parser.add_argument('--ports', type=lambda text: [int(part) for part in text.split(',')], default=list(ports.PRESENT))
    parser.add_argument('--static', action='store_true')
    options = parser.parse_args()
    try:
        if options.agent:
            nodes.underlay()
            table(rows_of_agent({'agent': measure_agent(options), 'peers': options.peers}))
            return
        if options.chained:
            samples = {}
            ip('netns', 'add', 'pod')
            measure_chained(options, {'podwire': options.plugins, 'reference': options.reference}, samples)
            progress('')
            table(rows_of_chained({f'{name} {verb}': statistics.median(values) for (name, verb), values in samples.items()}, options.ports))
            return
        found = measure(options)
    except (Failed, agent.Late) as problem:
        progress('')
        sys.exit(f'bench: {problem}')
    finally:
        shutil.rmtree(options.data, ignore_errors=True)
    found['table'] = [dict(zip(('what', 'measured', 'budget', 'met'), row)) for row in rows(found)]
    with open(options.json, 'w', encoding='utf-8') as file:
        json.dump(found, file, indent=1)
    with open(options.svg, 'w', encoding='utf-8') as file:
        file.write(chart.svg({name: statistics.median(values) for name, values in found['milliseconds'].items()}))
    report(found)


main()
