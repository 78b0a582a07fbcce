//! Health and metrics over HTTP, for this node alone.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use cni::{Code, Error};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::AbortHandle;
use tracing::{info, warn};

use super::metrics;
use super::monitor::Monitor;
use super::state::{Shared, State};
use crate::plain::plain;

/// So many are served at a time. Whoever comes next takes the place of the oldest, so that connections that
/// nobody uses keep no probe out.
const AT_ONCE: usize = 64;
/// Who asks nothing for so long is not waited for.
const HEADER: Duration = Duration::from_secs(2);
/// Who does not take the answer for so long neither.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On the loopback interface.
    Loopback(SocketAddr),
    /// At a socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Path::new(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path.to_owned()))
            } else {
                Err("the path after unix: must be absolute".to_owned())
            };
        }
        let address: SocketAddr = text
            .parse()
            .map_err(|_| "must be 127.0.0.1:PORT, [::1]:PORT or unix:/path".to_owned())?;
        if address.ip().is_loopback() {
            Ok(Self::Loopback(address))
        } else {
            Err("only loopback addresses are served: what stands here is for this node alone"
                .into())
        }
    }
}

/// Who answers.
#[derive(Debug)]
struct Answers {
    state: Shared,
    monitor: Monitor,
}

/// Who serves.
#[derive(Debug)]
struct Server {
    state: Shared,
    monitor: Monitor,
    /// Those that are served, the oldest first.
    served: VecDeque<AbortHandle>,
}

/// Serves from now on; to be called inside of a runtime. Code 5 where the address is taken.
pub fn start(address: &Address, state: Shared, monitor: Monitor) -> Result<(), Error> {
    let mut server = Server { state, monitor, served: VecDeque::new() };
    let failed = |e: io::Error| Error::new(Code::IO, format!("--listen {address}: {e}"));
    match address {
        Address::Loopback(address) => {
            let listener = std::net::TcpListener::bind(address).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            let listener = TcpListener::from_std(listener).map_err(failed)?;
            let at = listener.local_addr().map_err(failed)?;
            info!(%at, "serves health and metrics");
            tokio::spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => server.serve(stream),
                        Err(error) => refused(&error).await,
                    }
                }
            });
        }
        Address::Unix(path) => {
            remove_stale(path).map_err(failed)?;
            let listener = UnixListener::bind(path).map_err(failed)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
            info!(at = %path.display(), "serves health and metrics");
            tokio::spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => server.serve(stream),
                        Err(error) => refused(&error).await,
                    }
                }
            });
        }
    }
    Ok(())
}

/// A socket that a process before left, and that nobody listens at.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Out of descriptors, most likely.
async fn refused(error: &io::Error) {
    warn!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_secs(1)).await;
}

impl Server {
    fn serve<S>(&mut self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.served.retain(|one| !one.is_finished());
        if self.served.len() >= AT_ONCE
            && let Some(oldest) = self.served.pop_front()
        {
            oldest.abort();
        }
        let server = Answers { state: self.state.clone(), monitor: self.monitor.clone() };
        let task = tokio::spawn(async move {
            let answer = service_fn(|request: Request<Incoming>| {
                let answered = server.answer(request.method(), request.uri().path());
                async { Ok::<_, Infallible>(answered) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            // Who hangs up, or talks nonsense, is nobody's concern.
            let _ = tokio::time::timeout(PATIENCE, connection).await;
        });
        self.served.push_back(task.abort_handle());
    }
}

impl Answers {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            return page(StatusCode::METHOD_NOT_ALLOWED, "only GET is served\n".into());
        }
        match path {
            // Who can answer, lives; whether a round hangs is the service manager's watchdog's.
            "/healthz" => page(StatusCode::OK, "ok\n".into()),
            "/readyz" => {
                let state = self.state.lock();
                match not_ready(&state) {
                    None => page(StatusCode::OK, "ok\n".into()),
                    Some(why) => {
                        page(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", plain(&why)).into())
                    }
                }
            }
            "/metrics" => {
                let state = self.state.lock().clone();
                match metrics::text(&state, &self.monitor) {
                    Ok(text) => page(StatusCode::OK, text.into()),
                    Err(e) => page(StatusCode::INTERNAL_SERVER_ERROR, e.to_string().into()),
                }
            }
            _ => page(StatusCode::NOT_FOUND, "see /healthz, /readyz, /metrics\n".into()),
        }
    }
}

/// Why pods on this node cannot rely on their way to others. A source that cannot be read changes
/// nothing of that.
fn not_ready(state: &State) -> Option<String> {
    match &state.trouble {
        Some(trouble) => Some(trouble.what.clone()),
        None if state.rounds == 0 => Some("nothing was compared yet".to_owned()),
        None => None,
    }
}

fn page(status: StatusCode, text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_is_served() {
        for good in ["127.0.0.1:9470", "[::1]:0", "unix:/run/podwire/agent.sock"] {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for bad in
            ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "localhost:80", "unix:sock", "9470", ""]
        {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
