//! The way to etcd, and its answers as errors of ours.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, ToSocketAddrs as _, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cni::{Code, Error};
use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};

use super::options::Options;
use crate::agent::publish;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether it is alive.
const PING: Duration = Duration::from_secs(10);

/// Where a password may stand that is in no file. An argument would be seen by everybody.
const PASSWORD: &str = "PODWIRE_ETCD_PASSWORD";

/// Where etcd is.
#[derive(Debug)]
pub struct Endpoints {
    urls: Vec<String>,
    /// A name, and the file with the password unless it stands in the environment.
    user: Option<(String, Option<PathBuf>)>,
    authority: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    /// The member that is asked first at the next connection.
    next: AtomicUsize,
}

impl Endpoints {
    /// Separated by commas, as in `https://a:2379,https://b:2379`. Code 7.
    pub fn new(from: Option<&Path>, options: &Options) -> Result<Self, Error> {
        let from = from.and_then(Path::to_str).unwrap_or("http://127.0.0.1:2379");
        let urls: Vec<String> = from.split(',').map(|url| url.trim().to_owned()).collect();
        for url in &urls {
            // Not shown: it would be in every log.
            if url.contains('@') {
                let why = "must not hold a user or a password";
                return Err(Error::config("--from", "(an endpoint with @)", why)
                    .details("give them with --etcd-username and --etcd-password-file"));
            }
            if !url.starts_with("http://") && !url.starts_with("https://") {
                let why = "must be endpoints of etcd, as in https://192.168.2.9:2379";
                return Err(Error::config("--from", format_args!("{url:?}"), why));
            }
        }
        let identity = options.certificate.clone().zip(options.key.clone());
        let user = options.username.clone().map(|name| (name, options.password.clone()));
        // The fleet spreads over the members.
        let noise = RandomState::new().hash_one(urls.len()) >> 33;
        let next = AtomicUsize::new(usize::try_from(noise).unwrap_or_default());
        Ok(Self { urls, user, authority: options.authority.clone(), identity, next })
    }

    /// Connects to a member that answers, first to another one than the last time. All requests of a session
    /// go to one: a client of all would go on asking those that are away, too, and most sessions need more
    /// requests than would go well.
    pub async fn connect(&self) -> Result<Client, Error> {
        let options = self.options()?;
        let first = self.next.load(Ordering::Relaxed);
        let mut last = Error::new(Code::TRY_AGAIN, "there is no endpoint");
        for tried in 0..self.urls.len() {
            let at = first.wrapping_add(tried);
            let Some(url) = at.checked_rem(self.urls.len()).and_then(|at| self.urls.get(at)) else {
                continue;
            };
            self.next.store(at.wrapping_add(1), Ordering::Relaxed);
            match Self::connect_to(url, options.clone()).await {
                Ok(client) => return Ok(client),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(url: &str, options: ConnectOptions) -> Result<Client, Error> {
        let doing = format!("connect to {url}");
        let mut client = answer(&doing, Client::connect([url], Some(options))).await?;
        answer(&doing, client.status()).await?;
        Ok(client)
    }

    /// The files are read each time: they are renewed now and then.
    fn options(&self) -> Result<ConnectOptions, Error> {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(PATIENCE)
            .with_keep_alive(PING, PATIENCE)
            .with_keep_alive_while_idle(true)
            // A member that has lost the others ends the watch, so that another one is asked.
            .with_require_leader(true);
        let secure = self.urls.iter().any(|url| url.starts_with("https://"));
        if secure || self.authority.is_some() || self.identity.is_some() {
            options = options.with_tls(self.tls()?);
        }
        if let Some((name, file)) = &self.user {
            // A token holds for some minutes after its last use, a lease is renewed more seldom.
            options =
                options.with_user(name, password(file.as_deref())?).with_auto_token_refresh(true);
        }
        Ok(options)
    }

    fn tls(&self) -> Result<TlsOptions, Error> {
        let mut tls = TlsOptions::new();
        if let Some(path) = &self.authority {
            tls = tls.ca_certificate(Certificate::from_pem(read(path)?));
        }
        if let Some((certificate, key)) = &self.identity {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(tls)
    }

    /// This node's address on the way to etcd: nothing is sent. Code 11.
    pub fn own_address(&self) -> Result<IpAddr, Error> {
        let mut why = String::new();
        for url in &self.urls {
            match source_of_way(url) {
                Ok(ip) if ip.is_loopback() => why = format!("{url} is on this node itself"),
                Ok(ip) => return Ok(ip),
                Err(e) => why = format!("{url}: {e}"),
            }
        }
        Err(Error::new(
            Code::TRY_AGAIN,
            format!("find this node's address on the way to etcd: {why}"),
        )
        .details("give it with --public-ip"))
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "etcd at {}", self.urls.join(","))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    publish::read(path).map_err(|e| Error::new(Code::IO, format!("read {}: {e}", path.display())))
}

/// The first line of the file, or what the environment has.
fn password(file: Option<&Path>) -> Result<String, Error> {
    let Some(path) = file else {
        return std::env::var(PASSWORD).map_err(|_| {
            Error::new(Code::CONFIG, "--etcd-username: there is no password")
                .details(format!("give --etcd-password-file, or {PASSWORD} in the environment"))
        });
    };
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn source_of_way(url: &str) -> std::io::Result<IpAddr> {
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let mut last = std::io::Error::other("it has no address");
    for address in host.to_socket_addrs()? {
        let any = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        match UdpSocket::bind(any).and_then(|socket| {
            socket.connect(address)?;
            socket.local_addr()
        }) {
            Ok(own) => return Ok(own.ip()),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Waits for an answer, for a while.
pub async fn answer<T>(
    doing: &str,
    call: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(|e| broken(doing, &e)),
        Err(_) => Err(Error::new(Code::TRY_AGAIN, format!("{doing}: no answer in {PATIENCE:?}"))),
    }
}

/// What etcd, or the way to it, had against it.
pub fn broken(doing: &str, error: &etcd_client::Error) -> Error {
    let text = match error {
        etcd_client::Error::GRpcStatus(status) => {
            format!("{} ({:?})", status.message(), status.code())
        }
        other => other.to_string(),
    };
    Error::new(Code::TRY_AGAIN, format!("{doing}: {text}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Given {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn an_endpoint_with_a_password_is_refused_and_not_shown() {
        let options = Given::parse_from(["podwire"]).options;
        let of = |from: &str| Endpoints::new(Some(Path::new(from)), &options);
        for from in ["https://root:secret@192.0.2.1:2379", "http://a:2379,root:secret@b:2379"] {
            let refused = of(from).unwrap_err().to_string();
            assert!(
                refused.contains("--etcd-username") && !refused.contains("secret"),
                "{refused}"
            );
        }
        assert!(of("https://192.0.2.1:2379,https://192.0.2.2:2379").is_ok());
    }
}
