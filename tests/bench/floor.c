/* floor - the least a CNI ADD and DEL can cost: a process that makes the same kernel requests and does nothing else.
 *
 *   floor add NETNS BRIDGE_INDEX HOST_NAME ADDRESS/LENGTH GATEWAY   what bridge + host-local ask of the kernel
 *   floor del NETNS                                                 delete eth0 there
 *   floor peak FILE COMMAND [ARG...]                                run it; its peak memory in KiB goes to FILE
 *
 * `peak` is here because the peak of a process is inherited from the one it was forked from, so that must be a small one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

struct request {
    struct nlmsghdr head;
    char body[1024];
};

/* Appends `size` bytes, padded as netlink wants it, and returns where they lie. */
static void *append(struct request *request, const void *data, size_t size) {
    char *place = (char *)request + NLMSG_ALIGN(request->head.nlmsg_len);
    if (data) memcpy(place, data, size);
    request->head.nlmsg_len = NLMSG_ALIGN(request->head.nlmsg_len) + size;
    return place;
}

static struct rtattr *attribute(struct request *request, int type, const void *data, size_t size) {
    struct rtattr head = {.rta_len = RTA_LENGTH(size), .rta_type = type};
    struct rtattr *place = append(request, &head, sizeof head);
    if (size) append(request, data, size);
    return place;
}

static void end(struct request *request, struct rtattr *nest) {
    nest->rta_len = (char *)request + NLMSG_ALIGN(request->head.nlmsg_len) - (char *)nest;
}

static void begin(struct request *request, int type, int flags, const void *body, size_t size) {
    memset(request, 0, sizeof *request);
    request->head.nlmsg_len = NLMSG_HDRLEN;
    request->head.nlmsg_type = type;
    request->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    append(request, body, size);
}

static int open_netlink(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) fail("socket");
    return fd;
}

static void ask(int fd, struct request *request, const char *what) {
    char answer[4096];
    struct nlmsghdr *head = (struct nlmsghdr *)answer;
    if (send(fd, request, request->head.nlmsg_len, 0) < 0) fail(what);
    if (recv(fd, answer, sizeof answer, 0) < 0) fail(what);
    errno = -((struct nlmsgerr *)NLMSG_DATA(head))->error;
    if (head->nlmsg_type != NLMSG_ERROR || errno) fail(what);
}

static void enter(int netns) {
    if (setns(netns, CLONE_NEWNET)) fail("setns");
}

static void add(int netns, int bridge, const char *name, char *address, const char *gateway) {
    struct request request;
    struct ifinfomsg link = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, peer = {0};

    begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
    attribute(&request, IFLA_IFNAME, name, strlen(name) + 1);
    attribute(&request, IFLA_MASTER, &bridge, sizeof bridge);
    struct rtattr *info = attribute(&request, IFLA_LINKINFO, NULL, 0);
    attribute(&request, IFLA_INFO_KIND, "veth", 5);
    struct rtattr *data = attribute(&request, IFLA_INFO_DATA, NULL, 0);
    struct rtattr *other = attribute(&request, VETH_INFO_PEER, NULL, 0);
    append(&request, &peer, sizeof peer);
    attribute(&request, IFLA_IFNAME, "eth0", 5);
    attribute(&request, IFLA_NET_NS_FD, &netns, sizeof netns);
    end(&request, other);
    end(&request, data);
    end(&request, info);
    ask(open_netlink(), &request, "create veth");

    enter(netns);
    int fd = open_netlink(), index = if_nametoindex("eth0");
    char *slash = strchr(address, '/');
    struct in_addr ip, via;
    *slash = 0;
    if (inet_pton(AF_INET, address, &ip) != 1 || inet_pton(AF_INET, gateway, &via) != 1) fail("address");
    struct ifaddrmsg own = {.ifa_family = AF_INET, .ifa_prefixlen = atoi(slash + 1), .ifa_index = index};
    begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &own, sizeof own);
    attribute(&request, IFA_LOCAL, &ip, sizeof ip);
    attribute(&request, IFA_ADDRESS, &ip, sizeof ip);
    ask(fd, &request, "add address");

    link.ifi_index = index;
    begin(&request, RTM_NEWLINK, 0, &link, sizeof link);
    ask(fd, &request, "set link up");

    struct rtmsg route = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC,
                          .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
    begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
    attribute(&request, RTA_GATEWAY, &via, sizeof via);
    attribute(&request, RTA_OIF, &index, sizeof index);
    ask(fd, &request, "add route");
}

static void del(int netns) {
    struct request request;
    struct ifinfomsg link = {0};
    enter(netns);
    begin(&request, RTM_DELLINK, 0, &link, sizeof link);
    attribute(&request, IFLA_IFNAME, "eth0", 5);
    ask(open_netlink(), &request, "delete link");
}

static int peak(const char *path, char **command) {
    struct rusage usage;
    int status;
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
        execv(command[0], command);
        fail(command[0]);
    }
    if (wait4(pid, &status, 0, &usage) < 0) fail("wait");
    FILE *file = fopen(path, "w");
    if (!file || fprintf(file, "%ld\n", usage.ru_maxrss) < 0 || fclose(file)) fail(path);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int count, char **words) {
    if (count > 3 && !strcmp(words[1], "peak")) return peak(words[2], words + 3);
    int netns = count > 2 ? open(words[2], O_RDONLY | O_CLOEXEC) : -1;
    if (netns < 0) fail(count > 2 ? words[2] : "usage: floor add|del|peak ...");
    if (count == 7 && !strcmp(words[1], "add")) add(netns, atoi(words[3]), words[4], words[5], words[6]);
    else if (count == 3 && !strcmp(words[1], "del")) del(netns);
    else fail("usage");
    return 0;
}
