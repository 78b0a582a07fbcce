//! ADD: a link of the kind is made in the container, and configured.

use cni::{AddResult, Call, Code, Error};
use ipam::Ipam;
use kernel::link::{self, Link, New};

use super::record::{Record, Records};
use super::{Config, Kind, parent, teardown};
use crate::ends::{Ends, interface};
use crate::undo::Undo;
use crate::{config, container, lease, owner, veth};

/// The index of the container's interface in the result.
const CONTAINER: usize = 0;

/// Attaches the container. When a step fails, those before it are taken back.
pub fn add<K: Kind>(call: &Call) -> Result<AddResult, Error> {
    let mut conf = Config::<K>::of(call)?;
    if conf.options.master.is_none() {
        conf.options.master = conf.kind.chained_parent(call)?;
    }
    let records = Records::of(&call.conf)?;
    let ipam = Ipam::of(&call.conf, &call.path)?;
    let ends = Ends::open(call)?;
    let attaching = Attaching { conf: &conf, records: &records, ends: &ends };
    ends.add(|undo| attaching.run(ipam.as_ref(), undo))
}

struct Attaching<'a, K> {
    conf: &'a Config<K>,
    records: &'a Records,
    ends: &'a Ends<'a>,
}

impl<'a, K: Kind> Attaching<'a, K> {
    fn run(&self, ipam: Option<&'a Ipam>, undo: &mut Undo<'a>) -> Result<AddResult, Error> {
        let ends = self.ends;
        let link = self.make(undo)?;
        self.conf.kind.complete(ends, &link, &self.conf.options)?;

        let given = match ipam {
            Some(ipam) => {
                if ipam.speaks_through_interface() {
                    let request = link::set_up_notifying(link.index, &link.name);
                    ends.inner.run(request).map_err(|e| self.inside(e))?;
                }
                Some(lease::take(ipam, ends.call, CONTAINER, undo)?)
            }
            None => self.conf.kind.inherited(ends.call),
        };
        let layer2 = given.is_none();
        let mut result = given.unwrap_or_default();
        let mtu = self.conf.options.mtu;
        config::check_mtu(mtu.or(Some(link.mtu)), &result).map_err(|e| match mtu {
            Some(_) => e,
            None => e.details("mtu is not set, and this is the interface's own"),
        })?;
        result.dns = self.conf.options.dns.clone().or(std::mem::take(&mut result.dns));
        if layer2 {
            ends.inner.run(link::set_up(link.index, &link.name)).map_err(|e| self.inside(e))?;
        } else {
            self.configure(&link, &result)?;
        }
        // Setting it up may have changed its address: a device that shares its parent's takes it on then.
        let link = container::look_up(&ends.inner, ends.ifname(), &ends.netns)?;
        result.interfaces.insert(CONTAINER, interface(&link, &ends.sandbox()));
        Ok(result)
    }

    /// Records the link, makes it, down, and marks it as ours.
    fn make(&self, undo: &mut Undo<'a>) -> Result<Link, Error> {
        let (conf, records, ends) = (self.conf, self.records, self.ends);
        let options = &conf.options;
        let home = if options.in_container { &ends.inner } else { &ends.host };
        let parent = parent::find::<K>(home, options)?;
        let attachment = &ends.call.attachment;
        let record = Record::new(attachment, &ends.netns, K::LINK)?;
        // Before there is a record of ours to take back: one may be that of another ADD of the attachment.
        records.write(&record)?;
        undo.push(move || match link::get(&ends.inner, ends.ifname()) {
            // It was there first, made at the same time by another ADD of the attachment, whose record
            // this is, too.
            Ok(Some(link)) if teardown::belongs(&link, attachment, K::LINK) => Ok(()),
            _ => records.discard(attachment),
        });

        let new = New {
            name: ends.ifname(),
            netns: (!options.in_container).then_some(&ends.netns),
            parent: parent.as_ref().map(|parent| parent.index),
            mac: options.mac,
            mtu: options.mtu,
        };
        let socket = if parent.is_some() { home } else { &ends.inner };
        conf.kind.create(socket, &new).map_err(|e| self.refused(e, parent.as_ref()))?;
        undo.push(move || match ends.inner.run(link::delete_by_name(ends.ifname())) {
            Err(e) if !e.is_gone() => Err(e.into()),
            _ => Ok(()),
        });
        let alias = owner::alias(attachment);
        ends.inner.run(link::set_alias(ends.ifname(), &alias)).map_err(|e| self.inside(e))?;
        container::look_up(&ends.inner, ends.ifname(), &ends.netns)
    }

    fn configure(&self, link: &Link, result: &AddResult) -> Result<(), Error> {
        let ends = self.ends;
        let wanted = container::Wanted {
            addresses: result.ips.iter().map(|ip| ip.address).collect(),
            routes: container::routes(result),
            no_prefix_routes: false,
            detect_duplicates: self.conf.options.detect_duplicates,
            // The link leads to hosts that IPAM does not know.
            keep_detection: true,
        };
        container::configure(&ends.netns, &ends.inner, ends.ifname(), &wanted)?;
        if let (true, Some(mac)) = (K::ANNOUNCED, link.mac) {
            let request = link::announce(link.index, &link.name, mac);
            ends.inner.run(request).map_err(|e| self.inside(e))?;
        }
        Ok(())
    }

    fn inside(&self, e: kernel::Error) -> Error {
        Error::from(e).while_(format!("in {}", self.ends.netns.path().display()))
    }

    /// Why the kernel refused to make the link, in words that tell how to mend it.
    fn refused(&self, e: Error, parent: Option<&Link>) -> Error {
        let ends = self.ends;
        let e = match parent {
            Some(parent) => e.while_(format!("upon master {:?}", parent.name)),
            None => e,
        };
        if e.code != Code::CONFLICT {
            return e;
        }
        // The name that is taken may be the link's, which was free a moment ago.
        match link::get(&ends.inner, ends.ifname()) {
            Ok(Some(_)) => veth::interface_exists(&ends.call.attachment, &ends.netns),
            _ => e,
        }
    }
}
