"""cri.py SOCKET VERB... - pods through a Container Runtime Interface v1 socket.

  status            has the runtime a network?
  run POD [PORT [RATE]]
                    a sandbox; prints its id. PORT of the node leads to its port 80; RATE (8M: bits a second) limits it both ways
  ctr POD COMMAND   a busybox container in it; prints its id
  exec CTR COMMAND  run in a container
  inspect POD       state, addresses, namespace and CNI result, as JSON
  stop POD          network DEL
  rm POD            network DEL once more, without a namespace
"""
import json
import sys

import grpc
import cri_pb2 as cri
import cri_pb2_grpc
from google.protobuf.json_format import MessageToDict

SOCKET, VERB, *ARGS = sys.argv[1:]
CHANNEL = grpc.insecure_channel('unix://' + SOCKET,
                                options=[('grpc.enable_http_proxy', 0), ('grpc.default_authority', 'localhost')])
RUNTIME = cri_pb2_grpc.RuntimeServiceStub(CHANNEL)
PATIENCE = 120


def config(name, port='0', rate=None):
    namespaces = cri.NamespaceOption(network=cri.POD, pid=cri.CONTAINER, ipc=cri.POD)
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(name=name, uid=name + '-uid', namespace='default', attempt=0),
        hostname=name, log_directory='/run', dns_config=cri.DNSConfig(servers=['192.0.2.53']),
        port_mappings=[cri.PortMapping(protocol=cri.TCP, host_port=int(port), container_port=80)],
        annotations={'kubernetes.io/%s-bandwidth' % way: rate for way in ('ingress', 'egress') if rate},
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent='/podwire-test',
            security_context=cri.LinuxSandboxSecurityContext(namespace_options=namespaces)))


def pod(name):
    items = RUNTIME.ListPodSandbox(cri.ListPodSandboxRequest()).items
    return next(item.id for item in items if item.metadata.name == name)


def container(name, command):
    request = cri.CreateContainerRequest(
        pod_sandbox_id=pod(name), sandbox_config=config(name),
        config=cri.ContainerConfig(
            metadata=cri.ContainerMetadata(name='main'), command=command, log_path=name + '.log',
            image=cri.ImageSpec(image='docker.io/library/busybox:local'), linux=cri.LinuxContainerConfig()))
    identity = RUNTIME.CreateContainer(request, timeout=PATIENCE).container_id
    RUNTIME.StartContainer(cri.StartContainerRequest(container_id=identity), timeout=PATIENCE)
    return identity


def execute(identity, command):
    answer = RUNTIME.ExecSync(cri.ExecSyncRequest(container_id=identity, cmd=command, timeout=60))
    sys.stdout.write(answer.stdout.decode())
    sys.stderr.write(answer.stderr.decode())
    return answer.exit_code


def inspect(name):
    answer = MessageToDict(RUNTIME.PodSandboxStatus(cri.PodSandboxStatusRequest(pod_sandbox_id=pod(name), verbose=True)))
    info = json.loads(answer['info']['info'])
    spaces = info.get('runtimeSpec', {}).get('linux', {}).get('namespaces', [])
    network = answer['status'].get('network', {})
    return {
        'state': answer['status'].get('state'),
        'addresses': [network.get('ip')] + [extra['ip'] for extra in network.get('additionalIps', [])],
        'namespace': next((space.get('path') for space in spaces if space['type'] == 'network'), None),
        'result': info.get('cniResult'),
    }


def main():
    if VERB == 'status':
        answer = MessageToDict(RUNTIME.Status(cri.StatusRequest(verbose=True)))
        ready = {item['type']: item.get('status', False) for item in answer['status']['conditions']}
        print(json.dumps(answer['status']['conditions']))
        return 0 if ready['NetworkReady'] else 1
    if VERB == 'run':
        request = cri.RunPodSandboxRequest(config=config(*ARGS))
        print(RUNTIME.RunPodSandbox(request, timeout=PATIENCE).pod_sandbox_id)
    elif VERB == 'ctr':
        print(container(ARGS[0], ARGS[1:]))
    elif VERB == 'exec':
        return execute(ARGS[0], ARGS[1:])
    elif VERB == 'inspect':
        print(json.dumps(inspect(ARGS[0])))
    elif VERB == 'stop':
        RUNTIME.StopPodSandbox(cri.StopPodSandboxRequest(pod_sandbox_id=pod(ARGS[0])), timeout=PATIENCE)
    elif VERB == 'rm':
        RUNTIME.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=pod(ARGS[0])), timeout=PATIENCE)
    else:
        return __doc__
    return 0


try:
    sys.exit(main())
except grpc.RpcError as error:
    sys.exit('%s: %s' % (error.code().name, error.details()))
