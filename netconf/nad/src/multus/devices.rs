//! The devices that the kubelet gave a pod.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;

use cni::{Code, Error, Json};

/// Device ids by resource, in the order in which attachments get them: Multus takes what the kubelet
/// lists for the pod's containers, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices(BTreeMap<String, VecDeque<String>>);

impl Devices {
    /// Adds a device of a resource.
    pub fn add(&mut self, resource: &str, id: &str) {
        self.0.entry(resource.to_owned()).or_default().push_back(id.to_owned());
    }

    /// The next device of the resource; the error says whether there never was one (code 7).
    pub(super) fn take(&mut self, resource: &str) -> Result<String, Error> {
        let Some(left) = self.0.get_mut(resource) else {
            return Err(Error::new(Code::CONFIG, format!("the pod has no device of {resource}"))
                .details("request it in resources.requests and resources.limits of a container"));
        };
        left.pop_front().ok_or_else(|| {
            Error::new(Code::CONFIG, format!("the pod has no device of {resource} left"))
                .details("request as many of it as there are attachments that use it")
        })
    }
}

/// `RESOURCE=ID,RESOURCE=ID`. Code 7.
impl FromStr for Devices {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut devices = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((resource, id)) if !resource.is_empty() && !id.is_empty() => {
                    devices.add(resource, id);
                }
                _ => {
                    return Err(Error::config("device", Json::from(pair), "must be RESOURCE=ID")
                        .details("as in intel.com/sriov=0000:01:10.0"));
                }
            }
        }
        Ok(devices)
    }
}
