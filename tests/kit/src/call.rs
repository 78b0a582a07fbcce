//! One execution of a plugin, with the environment and stdin that a runtime would give it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;

use crate::{Netns, Pod};

/// A call of a plugin that has not been made yet.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    netns: &'a Netns,
    executable: PathBuf,
    env: BTreeMap<String, String>,
    stdin: Vec<u8>,
}

impl<'a> Call<'a> {
    /// A call of `plugin` in `directory`, which is `CNI_PATH` too, in the node's namespace.
    pub(crate) fn new(netns: &'a Netns, directory: &Path, plugin: &str) -> Self {
        let path = directory.to_str().expect("a path in UTF-8").to_owned();
        // Tests have no say in the firewalld of the machine that they run on.
        let mut env = BTreeMap::from([
            ("CNI_PATH".to_owned(), path),
            ("DBUS_SYSTEM_BUS_ADDRESS".to_owned(), "unix:path=/proc/no-bus".to_owned()),
        ]);
        env.extend(std::env::var("PATH").ok().map(|path| ("PATH".to_owned(), path)));
        Self { netns, executable: directory.join(plugin), env, stdin: Vec::new() }
    }

    /// `CNI_COMMAND`.
    #[must_use]
    pub fn verb(self, verb: &str) -> Self {
        self.env("CNI_COMMAND", verb)
    }

    /// The configuration on stdin.
    #[must_use]
    pub fn conf(self, conf: &Value) -> Self {
        self.stdin(conf.to_string())
    }

    /// Any bytes on stdin.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Vec<u8>>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// `CNI_CONTAINERID` and `CNI_NETNS`.
    #[must_use]
    pub fn pod(self, pod: &Pod) -> Self {
        self.env("CNI_CONTAINERID", &pod.id).env("CNI_NETNS", pod.path())
    }

    /// `CNI_IFNAME`.
    #[must_use]
    pub fn ifname(self, ifname: &str) -> Self {
        self.env("CNI_IFNAME", ifname)
    }

    /// `CNI_ARGS`.
    #[must_use]
    pub fn args(self, args: &str) -> Self {
        self.env("CNI_ARGS", args)
    }

    /// Any variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The variable is not set at all.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Fails (`fail:N`), dies (`die:N`) or counts (`count:FILE`) at the points where the plugin
    /// changes the world (`kernel::fault`).
    #[must_use]
    pub fn fault(self, order: &str) -> Self {
        self.env("PODWIRE_FAULT", order)
    }

    /// Makes the call.
    pub fn run(&self) -> Output {
        let output = self.netns.enter(|| {
            let mut command = Command::new(&self.executable);
            command.env_clear().envs(&self.env);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child =
                command.spawn().unwrap_or_else(|e| panic!("{}: {e}", self.executable.display()));
            // A plugin that refuses the call before it reads closes the pipe, which is no failure.
            let _ = child.stdin.take().expect("a pipe").write_all(&self.stdin);
            child.wait_with_output().expect("the plugin's output")
        });
        let verb = self.env.get("CNI_COMMAND").map_or("", String::as_str);
        let plugin = self.executable.file_name().unwrap_or_default().to_string_lossy();
        Output {
            what: format!("{plugin} {verb} {}", String::from_utf8_lossy(&self.stdin)),
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Output {
    what: String,
    /// The exit status.
    pub status: ExitStatus,
    /// The result or the error object.
    pub stdout: String,
    /// What the plugin logged.
    pub stderr: String,
}

/// A CNI error object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginError {
    what: String,
    /// Its code.
    pub code: u64,
    /// Its message.
    pub msg: String,
    /// Its details, empty where there are none.
    pub details: String,
}

impl PluginError {
    /// Message and details, where the offending key and value must be.
    pub fn text(&self) -> String {
        format!("{} {}", self.msg, self.details)
    }

    /// Asserts the code, and that message and details together contain each of `words`.
    #[track_caller]
    pub fn is(&self, code: u64, words: &[&str]) {
        assert_eq!(self.code, code, "the code of {self}");
        let text = self.text();
        for word in words {
            assert!(text.contains(word), "{word:?} is not named by {self}");
        }
    }
}

impl std::fmt::Display for PluginError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "code {}: {} ({})\n{}", self.code, self.msg, self.details, self.what)
    }
}

impl Output {
    /// True for exit status 0.
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// True when the plugin was killed, as `PODWIRE_FAULT=die:N` orders.
    pub fn died(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// The result of a call that must have succeeded, `null` where the verb has none.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.succeeded(), "{self}");
        if self.stdout.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self}"))
    }

    /// The error object of a call that must have failed: exit status 1, and on stdout nothing but
    /// an object with a code and a message.
    #[track_caller]
    pub fn fails(&self) -> PluginError {
        assert_eq!(self.status.code(), Some(1), "{self}");
        let object: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self}"));
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let code = object["code"].as_u64().unwrap_or_else(|| panic!("no code: {self}"));
        let error = PluginError {
            what: self.what.clone(),
            code,
            msg: text("msg"),
            details: text("details"),
        };
        assert!(!error.msg.is_empty(), "no message: {self}");
        error
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n{}\nstdout: {}\nstderr: {}",
            self.what, self.status, self.stdout, self.stderr
        )
    }
}
