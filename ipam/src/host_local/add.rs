//! ADD: one address of each range set, or none at all.

use std::net::IpAddr;
use std::path::Path;

use cni::{AddResult, Attachment, Call, Code, Dns, Error, IpConfig};
use ipnetwork::IpNetwork;

use super::conf::{Conf, Place};
use crate::range::{Range, RangeSet, Ranges, Sources};
use crate::request::Request;
use crate::store::{Store, Taken};
use crate::{resolver, route};

/// Gives the attachment its addresses.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    // Whatever can be wrong with the input is found before the first file is touched.
    let conf = Conf::of(&call.conf)?;
    let ranges = required(conf.ranges(&call.conf)?, call)?;
    let requests = conf.requests(call)?.assign(&ranges)?;
    let routes = route::routes(&conf.ipam.routes)?;
    let dns = match conf.ipam.resolv_conf.as_str() {
        "" => Dns::default(),
        path => resolver::read(Path::new(path))?,
    };
    let place = Place::of(&call.conf)?;
    let mut store = Store::create(&place.data_dir, &call.conf.network)?;
    refuse_second(&mut store, &ranges, &call.attachment)?;

    let mut ips = Vec::with_capacity(ranges.sets().len());
    let mut given: Vec<(usize, IpAddr)> = Vec::with_capacity(ranges.sets().len());
    for (number, (set, request)) in ranges.sets().iter().zip(&requests).enumerate() {
        match give(&mut store, number, set, request.as_ref(), &call.attachment) {
            Ok((address, range)) => {
                given.push((number, address));
                ips.push(ip_config(address, range)?);
            }
            Err(error) => {
                let undone = given.iter().filter_map(|(_, address)| {
                    store.release(*address, call.attachment.container.as_str()).err()
                });
                let errors = std::iter::once(error).chain(undone).collect();
                return Err(Error::all(errors).err().unwrap_or_else(|| exhausted(number, set)));
            }
        }
    }
    for (number, address) in given {
        store.remember(number, address);
    }
    Ok(AddResult { interfaces: Vec::new(), ips, routes, dns })
}

/// The range sets of a config that must have some.
pub fn required(ranges: Option<Ranges>, call: &Call) -> Result<Ranges, Error> {
    let none = Sources { runtime: &[], single: &crate::RangeConf::default(), ranges: &[] };
    ranges.map_or_else(|| Ranges::new(none, call.conf.version), Ok)
}

/// A second ADD of an attachment is a defect of the runtime, and would give it two addresses.
fn refuse_second(store: &mut Store, ranges: &Ranges, attachment: &Attachment) -> Result<(), Error> {
    let held = store.held(attachment)?;
    let Some((address, holder)) = held.iter().find(|(a, _)| ranges.range_of(*a).is_some()) else {
        return Ok(());
    };
    Err(Error::new(
        Code::CONFLICT,
        format!("{address} has been allocated to {holder}, duplicate allocation is not allowed"),
    )
    .details(format!("{attachment} was added before; DEL it first")))
}

fn give<'a>(
    store: &mut Store,
    number: usize,
    set: &'a RangeSet,
    request: Option<&Request>,
    attachment: &Attachment,
) -> Result<(IpAddr, &'a Range), Error> {
    let Some(Request { key, address }) = request else {
        return store.take_next(set, number, attachment)?.ok_or_else(|| exhausted(number, set));
    };
    let range = set.range_of(*address).ok_or_else(|| exhausted(number, set))?;
    match store.take(*address, attachment)? {
        Taken::Yes => Ok((*address, range)),
        Taken::No(holder) => Err(Error::new(
            Code::CONFLICT,
            format!("{key} {address}: the requested address is taken by {holder}"),
        )
        .details(format!("ask for another one of range set {set}, or DEL its holder"))),
    }
}

/// The error of a pool without a free address.
pub fn exhausted(number: usize, set: &RangeSet) -> Error {
    let given: Vec<String> = set.spans_after(None).iter().map(|(s, _)| s.to_string()).collect();
    let (count, given) = (set.capacity(), given.join(","));
    Error::new(
        Code::EXHAUSTED,
        format!(
            "no IP addresses available in range set {number}: {set}: all {count} of {given} are taken"
        ),
    )
    .details("widen the range, or free addresses that no container has any more by GC")
}

fn ip_config(address: IpAddr, range: &Range) -> Result<IpConfig, Error> {
    let network = IpNetwork::new(address, range.subnet().prefix())
        .map_err(|error| Error::new(Code::INTERNAL, format!("{address}: {error}")))?;
    Ok(IpConfig { interface: None, address: network, gateway: Some(range.gateway()) })
}
