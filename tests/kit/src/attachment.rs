//! Attachments, as a runtime remembers them between ADD and DEL.

use serde_json::{Value, json};

use crate::{Call, Node, Output, Pod};

/// An attachment that an ADD has made: what libcni keeps in its cache.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The plugin's configuration.
    pub conf: Value,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_NETNS`.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// The ADD's result.
    pub result: Value,
}

impl Attachment {
    /// The addresses of the result with their prefix lengths, in its order.
    pub fn addresses(&self) -> Vec<String> {
        if let Some(ips) = self.result["ips"].as_array() {
            return ips.iter().filter_map(|ip| Some(ip["address"].as_str()?.to_owned())).collect();
        }
        ["ip4", "ip6"]
            .iter()
            .filter_map(|key| Some(self.result[key]["ip"].as_str()?.to_owned()))
            .collect()
    }

    /// The addresses of the result without prefix length, in its order.
    pub fn ips(&self) -> Vec<String> {
        let bare = |address: String| address.split('/').next().unwrap_or_default().to_owned();
        self.addresses().into_iter().map(bare).collect()
    }

    /// The first address of the result.
    pub fn ip(&self) -> String {
        self.ips().into_iter().next().expect("an address in the result")
    }

    /// The configuration with the result as `prevResult`.
    pub fn conf_with_result(&self) -> Value {
        let mut conf = self.conf.clone();
        conf["prevResult"] = self.result.clone();
        conf
    }

    /// The name of the first interface of the result that is on the host and no bridge: the veth.
    pub fn host_link(&self) -> String {
        let interfaces = self.result["interfaces"].as_array().expect("interfaces in the result");
        let host = interfaces.iter().filter(|i| i["sandbox"].as_str().unwrap_or("").is_empty());
        let names: Vec<&str> = host.filter_map(|i| i["name"].as_str()).collect();
        let veth = names.iter().find(|n| n.starts_with("veth"));
        (*veth.unwrap_or_else(|| panic!("no host veth in {}", self.result))).to_owned()
    }
}

/// The verbs, as libcni calls them.
impl Node {
    /// ADD.
    pub fn add(&self, conf: &Value, pod: &Pod, ifname: &str) -> Output {
        self.add_call(conf, pod, ifname).run()
    }

    /// ADD, not called yet.
    pub fn add_call(&self, conf: &Value, pod: &Pod, ifname: &str) -> Call<'_> {
        self.call(kind(conf)).verb("ADD").conf(conf).pod(pod).ifname(ifname)
    }

    /// ADD of `eth0` that must succeed.
    #[track_caller]
    pub fn attach(&self, conf: &Value, pod: &Pod) -> Attachment {
        self.attach_as(conf, pod, "eth0")
    }

    /// ADD that must succeed.
    #[track_caller]
    pub fn attach_as(&self, conf: &Value, pod: &Pod, ifname: &str) -> Attachment {
        let output = self.add(conf, pod, ifname);
        self.attached(conf, pod, ifname, &output)
    }

    /// The attachment that this ADD has made; the ADD must have succeeded.
    #[track_caller]
    pub fn attached(&self, conf: &Value, pod: &Pod, ifname: &str, output: &Output) -> Attachment {
        Attachment {
            conf: conf.clone(),
            container: pod.id.clone(),
            netns: pod.path().to_owned(),
            ifname: ifname.to_owned(),
            result: output.ok(),
        }
    }

    /// An attachment whose ADD was never heard of: what a runtime knows when it deletes it.
    pub fn unheard(&self, conf: &Value, pod: &Pod) -> Attachment {
        Attachment {
            conf: conf.clone(),
            container: pod.id.clone(),
            netns: pod.path().to_owned(),
            ifname: "eth0".to_owned(),
            result: Value::Null,
        }
    }

    /// CHECK.
    pub fn check(&self, attachment: &Attachment) -> Output {
        self.check_call(attachment).run()
    }

    /// CHECK, not called yet.
    pub fn check_call(&self, attachment: &Attachment) -> Call<'_> {
        self.about("CHECK", attachment).conf(&attachment.conf_with_result())
    }

    /// DEL. The result goes with it from 0.4.0 on, as in libcni.
    pub fn del(&self, attachment: &Attachment) -> Output {
        self.del_call(attachment).run()
    }

    /// DEL, not called yet.
    pub fn del_call(&self, attachment: &Attachment) -> Call<'_> {
        let call = self.about("DEL", attachment);
        let version = attachment.conf["cniVersion"].as_str().unwrap_or("0.1.0");
        if version < "0.4.0" || attachment.result.is_null() {
            return call.conf(&attachment.conf);
        }
        call.conf(&attachment.conf_with_result())
    }

    /// GC of everything of the network but `valid`.
    pub fn gc(&self, conf: &Value, valid: &[&Attachment]) -> Output {
        self.gc_call(conf, valid).run()
    }

    /// GC, not called yet. Both keys are sent, the spec's and the older draft's, as libcni does.
    pub fn gc_call(&self, conf: &Value, valid: &[&Attachment]) -> Call<'_> {
        let valid: Vec<Value> =
            valid.iter().map(|a| json!({"containerID": a.container, "ifname": a.ifname})).collect();
        let mut conf = conf.clone();
        conf["cni.dev/valid-attachments"] = json!(valid);
        conf["cni.dev/attachments"] = json!(valid);
        self.call(kind(&conf)).verb("GC").conf(&conf)
    }

    /// STATUS.
    pub fn status(&self, conf: &Value) -> Output {
        self.call(kind(conf)).verb("STATUS").conf(conf).run()
    }

    fn about(&self, verb: &str, attachment: &Attachment) -> Call<'_> {
        self.call(kind(&attachment.conf))
            .verb(verb)
            .env("CNI_CONTAINERID", &attachment.container)
            .env("CNI_NETNS", &attachment.netns)
            .ifname(&attachment.ifname)
    }
}

fn kind(conf: &Value) -> &str {
    conf["type"].as_str().expect("type in the configuration")
}
