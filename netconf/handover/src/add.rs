//! ADD: the device goes to the container.

use std::time::Duration;

use attach::config::check_mtu;
use attach::container;
use attach::ends::{Ends, interface};
use attach::lease;
use attach::undo::Undo;
use cni::{AddResult, Attachment, Call, Code, Error, Interface, IpConfig};
use devices::{Device, DeviceId};
use ipam::Ipam;
use kernel::link::{self, Link};
use kernel::{Lock, Netns};

use crate::back::back;
use crate::del::adding;
use crate::desk::{Desk, Survey};
use crate::journal::Entry;
use crate::record::{
    Asked, Identity, Original, Owner, Phase, Prefix, Record, VERSION, VfPlace, assignable,
};
use crate::standing::Standing;
use crate::{Kind, Sought, Wanted, give, info, refuse, virtual_function};

use crate::locate::is_pair_of_ours;

/// How long the interface may take to carry packets before its addresses are announced without that.
const PATIENCE: Duration = Duration::from_millis(200);

/// Attaches the container. When a step fails, those before it are taken back.
pub fn add<K: Kind>(kind: &K, call: &Call) -> Result<AddResult, Error> {
    let sought = kind.sought(call)?;
    let ipam = Ipam::of(&call.conf, &call.path)?;
    let ends = Ends::open(call)?;
    let desk = Desk::open(&call.conf, adding(&call.attachment))?;
    let cookie = ends.netns.cookie()?;

    settle(&desk, &call.attachment, &sought, Desk::survey)?;
    let mut wanted = kind.wanted(call).or_else(|e| {
        // Somebody may have got it between the two looks.
        settle(&desk, &call.attachment, &sought, Desk::stock)?;
        Err(e)
    })?;
    let id = wanted.device.id.clone();
    let mut lock = Some(desk.lock(&id)?);
    // The survey has told of the damaged ones; where the id is sought, there was none.
    if settle_locked(&desk, &call.attachment, &id, sought.id.is_none())? {
        // It was found before it came back.
        wanted = kind.wanted(call)?;
        if wanted.device.id != id {
            let msg = format!("the device {id} is {} now", wanted.device.id);
            return Err(Error::new(Code::TRY_AGAIN, msg));
        }
    }
    let file = info::file(&call.conf, &wanted.device)?;
    let link = examine(&desk, &ends, &wanted)?;
    let record = write_down::<K>(&desk, &ends, cookie, &wanted, link.as_ref())?;
    let mut attaching = Attaching { desk: &desk, ends: &ends, wanted: &wanted, file, record };
    let mut undo = Undo::default();
    match attaching.run(ipam.as_ref(), link, &mut lock, &mut undo) {
        Ok(result) => Ok(result),
        Err(e) => Err(attaching.take_back(e, ipam.as_ref(), lock, undo)),
    }
}

/// Looks for the device in the journal, and gives it back to the node where its owner is gone.
/// Damaged records are left to `survey` and to whoever takes the device.
fn settle(
    desk: &Desk,
    attachment: &Attachment,
    sought: &Sought,
    survey: fn(&Desk) -> Result<Survey, Error>,
) -> Result<(), Error> {
    let ids = if let Some(id) = &sought.id {
        vec![id.clone()]
    } else {
        let records = survey(desk)?.records;
        records.into_iter().filter(|(id, r)| sought.means(id, r)).map(|(id, _)| id).collect()
    };
    for id in ids {
        if matches!(desk.journal.read(&id)?, Entry::Whole(_)) {
            let _lock = desk.lock(&id)?;
            settle_locked(desk, attachment, &id, false)?;
        }
    }
    Ok(())
}

/// Code 11 when another container has the device, 101 when this one has. What a dead owner left is given
/// back first: true then.
fn settle_locked(
    desk: &Desk,
    attachment: &Attachment,
    id: &DeviceId,
    damage_is_told: bool,
) -> Result<bool, Error> {
    let record = match desk.journal.read(id)? {
        Entry::Nothing => return Ok(false),
        Entry::Whole(record) => record,
        Entry::Damaged(_) if damage_is_told => return Ok(false),
        Entry::Damaged(why) => {
            // The device is where it is found: on the node, or ADD fails for want of it. What it was
            // like before cannot be known any more.
            cni::warn(format_args!(
                "the journal is damaged, and {id} is taken to be as it should: {why}"
            ));
            return Ok(false);
        }
    };
    let (owner, ours) = (&record.owner, record.owner.is(attachment));
    match Standing::of(desk, id, &record)? {
        Standing::Held if ours => {
            Err(Error::new(Code::CONFLICT, format!("{id} is attached to {owner} already"))
                .details(format!("DEL {attachment} before it is added again")))
        }
        Standing::Held => {
            let name = record.original.as_ref().map(|was| &was.name);
            let name =
                name.filter(|name| **name != id.to_string()).map(|name| format!(" ({name})"));
            Err(Error::new(
                Code::TRY_AGAIN,
                format!("{id}{} is attached to {owner}", name.unwrap_or_default()),
            )
            .details(format!("it is free when {} is deleted", owner.container)))
        }
        Standing::Left | Standing::Past => back(desk, id, &record)
            .map(|()| true)
            .map_err(|e| e.while_(format!("{id} was {owner}'s, and is not as it was before"))),
    }
}

/// Refuses what can be refused before anything is changed. Gives the interface as it is, `None` where a
/// program drives the device.
fn examine(desk: &Desk, ends: &Ends<'_>, wanted: &Wanted) -> Result<Option<Link>, Error> {
    let device = &wanted.device;
    refuse::has_vfs(device, wanted.force)?;
    let Some(name) = &wanted.link else {
        refuse::driver(device)?;
        refuse::group(&desk.roots, device)?;
        return Ok(None);
    };
    let Some(link) = link::get(&desk.host, name)?.filter(|link| belongs(device, link)) else {
        return Err(Error::new(
            Code::TRY_AGAIN,
            format!("{}: its network interface {name} is gone from the node meanwhile", device.id),
        ));
    };
    refuse::needed(&desk.host, &link, wanted.force)?;
    if link::get(&ends.inner, ends.ifname())?.is_some() {
        return Err(attach::veth::interface_exists(&ends.call.attachment, &ends.netns));
    }
    Ok(Some(link))
}

/// True when an interface is one of the device's.
fn belongs(device: &Device, link: &Link) -> bool {
    device.netdevs.iter().any(|own| own.index == link.index)
}

/// Writes the device down, before it is changed.
fn write_down<K: Kind>(
    desk: &Desk,
    ends: &Ends<'_>,
    cookie: u64,
    wanted: &Wanted,
    link: Option<&Link>,
) -> Result<Record, Error> {
    let (device, attachment) = (&wanted.device, &ends.call.attachment);
    let vf = device.vf.map(|vf| VfPlace { pf: vf.pf, number: vf.index });
    let original_vf = match &vf {
        Some(place) => virtual_function::read(desk, place, wanted)?,
        None => None,
    };
    let mut original = link.map(Original::of);
    if let (Some(original), Some(link), true) = (&mut original, link, wanted.carry_network) {
        give::carried(desk, link, original)?;
    }
    let record = Record {
        version: VERSION,
        plugin: K::NAME.to_owned(),
        owner: Owner {
            network: attachment.network.to_string(),
            container: attachment.container.to_string(),
            ifname: attachment.ifname.to_string(),
            netns: ends.netns.path().to_owned(),
            cookie,
        },
        boot: desk.boot.clone(),
        device: device.id.clone(),
        incarnation: device.incarnation,
        phase: Phase::Taken,
        identity: Identity {
            driver: device.driver.clone(),
            index: link.map(|link| link.index),
            inside: None,
            kind: link.map(|link| link.kind.clone()).unwrap_or_default(),
            peer: link.and_then(|link| link.peer),
            pair_at_home: link.map_or(Ok(false), |link| is_pair_of_ours(desk, link))?,
            parent: link.and_then(|link| link.parent_device.clone()),
            permanent_mac: assignable(link.and_then(|link| link.permanent_mac)),
            vf,
        },
        original,
        original_vf,
        wanted: Asked {
            mac: wanted.mac,
            mtu: wanted.mtu,
            all_multicast: wanted.all_multicast,
            promiscuous: wanted.promiscuous,
            vf: wanted.vf.clone(),
        },
    };
    if let Err(e) = desk.journal.write(&record) {
        // It may be there for all that, and nothing was changed.
        let _ = desk.journal.remove(&device.id);
        return Err(e);
    }
    Ok(record)
}

/// An ADD whose device is written down.
struct Attaching<'a> {
    desk: &'a Desk,
    ends: &'a Ends<'a>,
    wanted: &'a Wanted,
    /// Where the container's device is described.
    file: Option<String>,
    record: Record,
}

impl<'a> Attaching<'a> {
    /// The lock is let go of while IPAM is asked, which may take long; the record protects the device.
    fn run<'b>(
        &mut self,
        ipam: Option<&'b Ipam>,
        link: Option<Link>,
        lock: &mut Option<Lock>,
        undo: &mut Undo<'b>,
    ) -> Result<AddResult, Error>
    where
        'a: 'b,
    {
        let (desk, ends, wanted) = (self.desk, self.ends, self.wanted);
        virtual_function::set(desk, &mut self.record, wanted.on_unsupported)?;
        let inside = match link {
            Some(link) => {
                let moved = give::relocate(desk, ends, &link)?;
                self.record.identity.inside = Some(moved.index);
                Some(give::shape(desk, &mut self.record, ends, &moved, wanted, &link.name)?)
            }
            None => None,
        };
        let mut result = AddResult::default();
        if let Some(ipam) = ipam {
            if let Some(inside) = inside.as_ref().filter(|_| ipam.speaks_through_interface()) {
                ends.inner.run(link::set_up(inside.index, &inside.name))?;
            }
            *lock = None;
            result = lease::take(ipam, ends.call, 0, undo)?;
            *lock = Some(desk.lock(&wanted.device.id)?);
            self.is_still_ours()?;
        }
        if !wanted.dns.is_empty() {
            result.dns = wanted.dns.clone();
        }
        let own = match inside {
            Some(inside) => self.configure(&inside, &mut result)?,
            None => self.reported(),
        };
        result.interfaces.insert(0, own);
        self.record.phase = Phase::Ready;
        desk.journal.write(&self.record)?;
        if let Some(file) = &self.file {
            info::complete(desk, &wanted.device, file)?;
        }
        Ok(result)
    }

    /// Code 11 when a DEL has taken the device away while IPAM was asked.
    fn is_still_ours(&self) -> Result<(), Error> {
        let (id, owner) = (&self.wanted.device.id, &self.record.owner);
        match self.desk.journal.read(id)? {
            Entry::Whole(record) if record.owner == *owner && record.phase == Phase::Taken => {
                Ok(())
            }
            _ => Err(Error::new(
                Code::TRY_AGAIN,
                format!("{id} was taken away from {owner} while addresses were asked for"),
            )),
        }
    }

    /// Gives the interface its addresses and routes, and tells the neighbours.
    fn configure(&self, inside: &Link, result: &mut AddResult) -> Result<Interface, Error> {
        let (ends, wanted) = (self.ends, self.wanted);
        check_mtu(Some(inside.mtu), result)?;
        let mut routes = container::routes(result);
        if let Some(was) = self.record.original.as_ref().filter(|_| wanted.carry_network) {
            let address = |Prefix(address): &Prefix| IpConfig {
                interface: Some(0),
                address: *address,
                gateway: None,
            };
            result.ips.extend(was.addresses.iter().map(address));
            result.routes.extend(was.routes.iter().map(cni::Route::from));
            routes.extend(was.routes.iter().map(kernel::route::Route::from));
        }
        let addresses: Vec<_> = result.ips.iter().map(|ip| ip.address).collect();
        let announced = !addresses.is_empty();
        let wanted = container::Wanted { addresses, routes, ..container::Wanted::default() };
        container::configure(&ends.netns, &ends.inner, ends.ifname(), &wanted)?;
        let name = ends.ifname();
        if announced {
            announce(&ends.netns, ends, inside);
        }
        let link = container::look_up(&ends.inner, name, &ends.netns)?;
        Ok(Interface { pci_id: self.pci_id(), ..interface(&link, &ends.sandbox()) })
    }

    /// The interface that there is not: a program drives the device.
    fn reported(&self) -> Interface {
        let mac = self.wanted.vf.mac.or(self.record.original_vf.as_ref().and_then(|vf| vf.mac));
        Interface {
            name: self.ends.ifname().to_owned(),
            mac: mac.map(|mac| mac.to_string()).unwrap_or_default(),
            sandbox: self.ends.sandbox(),
            pci_id: self.pci_id(),
            ..Interface::default()
        }
    }

    fn pci_id(&self) -> String {
        match &self.wanted.device.id {
            DeviceId::Pci(address) => address.to_string(),
            DeviceId::Aux(_) | DeviceId::Link(_) => String::new(),
        }
    }

    /// Takes everything back. What cannot be is added to the error's details; DEL will be asked to.
    fn take_back(
        &self,
        error: Error,
        ipam: Option<&Ipam>,
        lock: Option<Lock>,
        undo: Undo<'_>,
    ) -> Error {
        let id = &self.wanted.device.id;
        let release = |error: Error| {
            let locked = lock.map_or_else(|| self.desk.lock(id), Ok);
            let done = locked.and_then(|_lock| match self.desk.journal.read(id)? {
                Entry::Whole(record) if record.owner == self.record.owner => {
                    back(self.desk, id, &self.record)
                }
                _ => Ok(()),
            });
            match done {
                Ok(()) => error,
                Err(left) => error.details(format!("could not be taken back: {left}")),
            }
        };
        if ipam.is_some_and(Ipam::speaks_through_interface) {
            release(undo.run(error))
        } else {
            undo.run(release(error))
        }
    }
}

/// Tells the neighbours who has the addresses now, as soon as the interface can carry packets. A port may
/// have no cable: that it cannot be told does not fail the ADD.
fn announce(netns: &Netns, ends: &Ends<'_>, link: &Link) {
    let waited = netns.enter(|| link::wait_until_up(&ends.inner, &link.name, PATIENCE));
    if let Ok(Link { mac: Some(mac), .. }) = waited {
        let _ = ends.inner.run(link::announce(link.index, &link.name, mac));
    }
}
