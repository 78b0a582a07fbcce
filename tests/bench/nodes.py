"""nodes.py - a node with thousands of peers, for bench.py: its underlay, its peer file, and its removal."""
import ipaddress
import json
import os
import subprocess

CLUSTER = ipaddress.ip_network('100.64.0.0/10')
UNDERLAY = ipaddress.ip_network('192.168.0.0/16')
LINK = 'under0'


def underlay():
    """A link to nobody that holds the node's address."""
    subprocess.run(['ip', '-batch', '-'], check=True, text=True, input=f'''
link add {LINK} type veth peer name under1
link set {LINK} up
link set under1 up
addr add {UNDERLAY[1]}/{UNDERLAY.prefixlen} dev {LINK}
''')


def config(kind, peers, directory):
    """What the plugin's configuration says beside the usual, and the peer file that it names."""
    os.makedirs(directory)
    block = 1 if kind == 'vxlan' else 2  # of the cluster: a network each
    subnets = list(CLUSTER.subnets(prefixlen_diff=1))[block - 1]
    pods = subnets.subnets(new_prefix=24)
    nodes = [{'name': f'n{number}', 'podCIDRs': [str(next(pods))], 'nodeIPs': [str(UNDERLAY[number])]}
             for number in range(1, peers + 2)]
    path = os.path.join(directory, 'peers.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump({'version': 1, 'clusterCIDRs': [str(subnets)], 'local': nodes[0], 'peers': nodes[1:]}, file)
    return {'peersFile': path, 'stateDir': os.path.join(directory, 'state'), 'protocol': 112 + block,
            'isDefaultGateway': True}


def forget(network):
    """Takes the node's part away, so that the next ADD is the first one."""
    state = network.config['stateDir']
    for name in os.listdir(state):
        os.unlink(os.path.join(state, name))
    subprocess.run(['ip', 'route', 'flush', 'proto', str(network.config['protocol'])], check=True)
    if network.kind == 'vxlan':
        subprocess.run(['ip', 'link', 'del', 'vxlan.1'], check=True)
