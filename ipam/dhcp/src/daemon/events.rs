//! What the daemon's one thread waits for: connections, requests, packets, signals and time.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timer::TimerSetTimeFlags;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags};
use nix::time::clock_gettime;

use super::machine::Moment;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The daemon was told to end.
    Told,
    /// Somebody wants to connect.
    Knock,
    /// Something came from, or happened to, a client.
    Client(u64),
    /// A packet arrived at a socket.
    Packet(u64),
    /// It is time.
    Time,
}

/// Numbers in the kernel's hands: the kind of what is waited for in the lowest bits.
const TOLD: u64 = 0;
const KNOCK: u64 = 1;
const TIME: u64 = 2;
const CLIENT: u64 = 3;
const PACKET: u64 = 4;
const KINDS: u64 = 8;
/// Events taken at once.
const MANY: usize = 64;

/// The kernel's queue of events.
pub struct Events {
    epoll: Epoll,
    signals: SignalFd,
    timer: TimerFd,
}

impl Events {
    /// Signals that end the daemon wait in it from now on.
    pub fn open() -> io::Result<Self> {
        let mut ending = SigSet::empty();
        ending.add(Signal::SIGTERM);
        ending.add(Signal::SIGINT);
        ending.thread_block()?;
        let signals =
            SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        // Leases end while the machine sleeps, too.
        let timer = TimerFd::new(
            ClockId::CLOCK_BOOTTIME,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&signals, EpollEvent::new(EpollFlags::EPOLLIN, TOLD))?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIME))?;
        Ok(Self { epoll, signals, timer })
    }

    /// Connections are waited for.
    pub fn add_listener(&self, listener: &UnixListener) -> io::Result<()> {
        Ok(self.epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, KNOCK))?)
    }

    /// Connections are waited for, or left waiting.
    pub fn set_listening(&self, listener: &UnixListener, listening: bool) -> io::Result<()> {
        let flags = if listening { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        Ok(self.epoll.modify(listener, &mut EpollEvent::new(flags, KNOCK))?)
    }

    /// Requests of a client are waited for, and its end. Closing the descriptor ends that.
    pub fn add_client(&self, client: impl AsFd, number: u64) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        Ok(self.epoll.add(client, EpollEvent::new(flags, number * KINDS + CLIENT))?)
    }

    /// Packets of a socket are waited for. Closing the descriptor ends that.
    pub fn add_packets(&self, packets: impl AsFd, number: u64) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number * KINDS + PACKET);
        Ok(self.epoll.add(packets, event)?)
    }

    /// Waits until something happens, or it is the moment `due`.
    pub fn wait(&self, due: Moment) -> io::Result<Vec<Event>> {
        // A time of zero would switch the timer off.
        let due = due.clamp(Duration::from_nanos(1), Duration::from_secs(u32::MAX.into()));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(due));
        self.timer.set(expiration, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        let mut happened = [EpollEvent::empty(); MANY];
        let count = match self.epoll.wait(&mut happened, EpollTimeout::NONE) {
            Err(nix::Error::EINTR) => 0,
            other => other?,
        };
        let events = happened.iter().take(count).map(|event| {
            let number = event.data() / KINDS;
            match event.data() % KINDS {
                TOLD => Event::Told,
                KNOCK => Event::Knock,
                CLIENT => Event::Client(number),
                PACKET => Event::Packet(number),
                _ => Event::Time,
            }
        });
        let events: Vec<Event> = events.collect();
        if events.contains(&Event::Told) {
            let _ = self.signals.read_signal();
        }
        Ok(events)
    }
}

/// The time since the boot, sleep included.
pub fn now() -> Moment {
    clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}
