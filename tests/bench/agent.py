"""agent.py - the node agent with thousands of peers, for bench.py: how soon the kernel has what the fleet says, and what that
costs.

What the kernel has is told by its own notifications, and counted with `ip` at the end. Readiness is what the service manager is
told. Times are of this process's clock, processor time is the scheduler's.
"""
import ipaddress
import itertools
import json
import os
import random
import select
import socket
import struct
import subprocess
import time

import nodes

ROUTE_GROUP = 0x40  # RTMGRP_IPV4_ROUTE
NEW_ROUTE = 24
DESTINATION = 1  # RTA_DST
PATIENCE = 60
IDLE = 10
RATE = 100
STREAM = 10


class Late(Exception):
    """Something that was waited for did not come."""


class Listener:
    """Notifications of IPv4 routes."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.bind((0, ROUTE_GROUP))

    def read(self, patience):
        """Destinations of routes that came, and when; waits for some."""
        if not select.select([self.socket], [], [], max(0, patience))[0]:
            return time.perf_counter(), []
        data = self.socket.recv(1 << 16)
        now, found = time.perf_counter(), []
        while len(data) >= 16:
            length, kind = struct.unpack_from('=IH', data)
            if kind == NEW_ROUTE:
                found += self.destination(data[16:length])
            data = data[(length + 3) & ~3:]
        return now, found

    @staticmethod
    def destination(route):
        prefix, place = route[1], 12
        while place + 4 <= len(route):
            size, kind = struct.unpack_from('=HH', route, place)
            if kind == DESTINATION:
                yield f'{socket.inet_ntoa(route[place + 4:place + 8])}/{prefix}'
            place += (size + 3) & ~3

    def drain(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.socket.recv(1 << 16)

    def wait(self, wanted):
        """When the last of these destinations came."""
        end, missing, came = time.perf_counter() + PATIENCE, set(wanted), 0
        while missing:
            now, found = self.read(end - time.perf_counter())
            if not found and now >= end:
                raise Late(f'{len(missing)} of {len(wanted)} routes did not come, {min(missing)} among them')
            if not missing.isdisjoint(found):
                came = now
            missing.difference_update(found)
        return came


class Fleet:
    """The fleet's file. A change moves one peer's pods into a network that nobody had."""

    def __init__(self, kind, peers, directory):
        self.config = nodes.config(kind, peers, directory)
        with open(self.config['peersFile'], encoding='utf-8') as file:
            described = json.load(file)
        os.unlink(self.config['peersFile'])
        self.path = os.path.join(directory, 'fleet.json')
        everybody = [described['local'], *described['peers']]
        self.cluster = ipaddress.ip_network(described['clusterCIDRs'][0])
        self.head = json.dumps({'version': 1, 'clusterCIDRs': [str(self.cluster)]})[:-1] + ', "peers": ['
        self.nodes = [(node['name'], node['nodeIPs'][0]) for node in everybody]
        self.pods = [node['podCIDRs'][0] for node in everybody]
        self.entries = [self.entry(number) for number in range(len(everybody))]
        self.fresh = itertools.islice(self.cluster.subnets(new_prefix=24), len(everybody) + 1, None)
        self.write()

    def entry(self, number):
        name, ip = self.nodes[number]
        return json.dumps({'name': name, 'podCIDRs': [self.pods[number]], 'nodeIPs': [ip]})

    def change(self):
        """Prepares a change and tells the network that is to come."""
        number = random.randrange(1, len(self.nodes))
        self.pods[number] = str(next(self.fresh))
        self.entries[number] = self.entry(number)
        return self.pods[number]

    def write(self):
        """Puts the file in its place, and tells when."""
        with open(self.path + '.new', 'w', encoding='utf-8') as file:
            file.write(self.head + ', '.join(self.entries) + ']}')
        began = time.perf_counter()
        os.rename(self.path + '.new', self.path)
        return began

    def batches(self, kind):
        """The same by hand, for `ip` and `bridge`."""
        routes, entries = [], []
        protocol = self.config['protocol']
        for number, (pods, (_, ip)) in enumerate(zip(self.pods, self.nodes)):
            if number == 0:
                continue
            if kind == 'vxlan':
                gateway = pods.split('/', maxsplit=1)[0]
                mac = '66:00:00:%02x:%02x:%02x' % (number >> 16, number >> 8 & 255, number & 255)
                entries.append(f'fdb add {mac} dev vxlan.1 dst {ip} self permanent')
                routes.append(f'neigh add {gateway} lladdr {mac} dev vxlan.1 nud permanent')
                routes.append(f'route add {pods} via {gateway} dev vxlan.1 onlink proto {protocol} metric 112')
            else:
                routes.append(f'route add {pods} via {ip} dev {nodes.LINK} proto {protocol} metric 112')
        return '\n'.join(routes) + '\n', '\n'.join(entries) + '\n'


class Agent:
    """The agent, as a service manager starts it."""

    def __init__(self, program, kind, fleet, directory):
        conflist = os.path.join(directory, 'bench.conflist')
        with open(conflist, 'w', encoding='utf-8') as file:
            json.dump({'cniVersion': '1.0.0', 'name': f'agent-{kind}', 'type': kind, **fleet.config}, file)
        self.argv = [program, 'agent', '--network', conflist, '--source', 'file', '--from', fleet.path, '--node', 'n1']
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(PATIENCE)
        self.address = os.path.join(directory, 'notify')
        self.notify.bind(self.address)
        self.log = open(os.path.join(directory, 'log'), 'w', encoding='utf-8')
        self.began = time.perf_counter()
        self.process = subprocess.Popen(self.argv, env={'NOTIFY_SOCKET': self.address, 'PATH': os.environ['PATH']}, stderr=self.log)

    def ready(self):
        """When it said that it is ready. Who stops to read such messages has to close: senders wait for room."""
        while b'READY=1' not in self.notify.recv(4096).split(b'\n'):
            pass
        now = time.perf_counter()
        self.notify.close()
        os.unlink(self.address)
        return now

    def processor(self):
        """Seconds of processor time so far, of all threads there ever were (clock_getcpuclockid(3))."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def memory(self):
        """Resident now, and at most, in KiB."""
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as file:
            lines = dict(line.split(':', maxsplit=1) for line in file)
        return [int(lines[key].split()[0]) for key in ('VmRSS', 'VmHWM')]

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def installed(protocol):
    listed = subprocess.run(['ip', '-j', 'route', 'show', 'proto', str(protocol), 'type', 'unicast'], check=True, capture_output=True)
    return {(route['dst'] if '/' in route['dst'] else route['dst'] + '/32') for route in json.loads(listed.stdout)}


def clear(kind, fleet):
    subprocess.run(['ip', 'route', 'flush', 'proto', str(fleet.config['protocol'])], check=True)
    if kind == 'vxlan':
        subprocess.run(['ip', 'link', 'del', 'vxlan.1'], check=True)


def floor(kind, fleet):
    """Seconds that `ip -batch`, and `bridge -batch`, take for the same."""
    if kind == 'vxlan':
        subprocess.run(['ip', 'link', 'add', 'vxlan.1', 'type', 'vxlan', 'id', '1', 'dstport', '8472', 'dev', nodes.LINK, 'nolearning'],
                       check=True)
        subprocess.run(['ip', 'link', 'set', 'vxlan.1', 'up'], check=True)
    routes, entries = fleet.batches(kind)
    began = time.perf_counter()
    if kind == 'vxlan':
        subprocess.run(['bridge', '-batch', '-'], check=True, input=entries, text=True)
    subprocess.run(['ip', '-batch', '-'], check=True, input=routes, text=True)
    took = time.perf_counter() - began
    clear(kind, fleet)
    return took


def measure(program, kind, peers, data, rounds, progress):
    """All figures of one way to other nodes: seconds, KiB, and shares of a processor."""
    directory = os.path.join(data, f'agent-{kind}')
    fleet = Fleet(kind, peers, directory)
    listener = Listener()
    found = {'floor': [], 'routes': [], 'ready': [], 'start spent': [], 'change': []}
    agent = None
    for number in range(5):
        progress(f'agent, {kind}: start {number + 1} of 5')
        if agent:
            agent.end()
            clear(kind, fleet)
            subprocess.run(['rm', '-r', fleet.config['stateDir'], fleet.config['peersFile']], check=True)
        found['floor'].append(floor(kind, fleet))
        listener.drain()
        agent = Agent(program, kind, fleet, directory)
        found['routes'].append(listener.wait(fleet.pods[1:]) - agent.began)
        found['ready'].append(agent.ready() - agent.began)
        found['start spent'].append(agent.processor())
    found['memory'] = {'cold': agent.memory()}

    time.sleep(1)
    spent = agent.processor()
    for number in range(rounds):
        if number % 10 == 0:
            progress(f'agent, {kind}: change {number} of {rounds}')
        time.sleep(random.uniform(0.3, 0.7))
        listener.drain()
        comes = fleet.change()
        began = fleet.write()
        found['change'].append(listener.wait([comes]) - began)
    time.sleep(1)
    found['change spent'] = (agent.processor() - spent) / rounds

    progress(f'agent, {kind}: {RATE} changes a second')
    time.sleep(2)
    listener.drain()
    spent, began = agent.processor(), time.perf_counter()
    for number in range(RATE * STREAM):
        time.sleep(max(0, began + number / RATE - time.perf_counter()))
        comes = fleet.change()
        last = fleet.write()
        listener.drain()
    found['kept up'] = (last - began) / (STREAM - 1 / RATE)
    # The last of its notifications may have been among those just passed over.
    found['behind'] = 0 if comes in installed(fleet.config['protocol']) else listener.wait([comes]) - last
    found['stream'] = (agent.processor() - spent) / (time.perf_counter() - began)

    progress(f'agent, {kind}: idle')
    time.sleep(3)
    spent, began = agent.processor(), time.perf_counter()
    time.sleep(IDLE)
    found['idle'] = (agent.processor() - spent) / (time.perf_counter() - began)
    found['memory']['idle'] = agent.memory()
    differs = installed(fleet.config['protocol']) ^ set(fleet.pods[1:])
    agent.end()
    if differs:
        raise Late(f'{len(differs)} routes are not as the fleet says, {min(differs)} among them')
    clear(kind, fleet)
    return found
