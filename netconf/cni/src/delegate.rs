//! The execution of another plugin: IPAM, or whom a meta plugin calls. It gets the same bytes on
//! stdin and the whole environment, in which `CNI_COMMAND` names the verb; its stderr is ours.

mod program;

use std::env;
use std::ffi::OsString;
use std::path::Path;

use crate::{AddResult, Call, Code, Error, GcCall, Json, PluginPath, StatusCall};
use program::{Failed, Program};

/// ADD by the plugin named `kind`, whose result may be of any version; one that names none is of
/// the config's. The delegate's error object comes back as it is. Whatever else can go wrong with
/// an execution has code 7 (no such plugin), 5 (it did not run, or ended without an error object)
/// or 6 (what it printed), and names the delegate. An ADD that broke, or whose result nobody can
/// read, is followed by a DEL (spec section 4). One that was refused with an error object is not:
/// it may have been refused because an earlier ADD holds what such a DEL would take from it.
pub fn add(kind: &str, call: &Call) -> Result<AddResult, Error> {
    let program = Program::find(kind, &call.path)?;
    let result = format!("the result of {kind}");
    let answer = program.run("ADD", variables(call), &call.conf.raw).and_then(|stdout| {
        let json = Json::parse(&stdout, &result).map_err(Failed::Broken)?;
        AddResult::parse_any(&json, call.conf.version)
            .map_err(|e| Failed::Broken(e.while_(&result)))
    });
    if let Err(Failed::Broken(_)) = answer {
        // The ADD's error is the one to tell; the runtime will try DEL again.
        let _ = del(kind, call);
    }
    Ok(answer?)
}

/// DEL by the plugin named `kind`; errors as with [`add`].
pub fn del(kind: &str, call: &Call) -> Result<(), Error> {
    of_call("DEL", kind, call).map(drop)
}

/// CHECK by the plugin named `kind`; errors as with [`add`].
pub fn check(kind: &str, call: &Call) -> Result<(), Error> {
    of_call("CHECK", kind, call).map(drop)
}

/// GC by the plugin named `kind`; errors as with [`add`].
pub fn gc(kind: &str, call: &GcCall) -> Result<(), Error> {
    let variables = [("CNI_PATH", joined(&call.path))];
    Program::find(kind, &call.path)?.run("GC", variables, &call.conf.raw)?;
    Ok(())
}

/// STATUS by the plugin named `kind`; errors as with [`add`], but a plugin that does not exist has
/// code 50: an ADD would fail.
pub fn status(kind: &str, call: &StatusCall) -> Result<(), Error> {
    let variables = [("CNI_PATH", joined(&call.path))];
    let program = Program::find(kind, &call.path)
        .map_err(|missing| Error { code: Code::NOT_AVAILABLE, ..missing })?;
    program.run("STATUS", variables, &call.conf.raw)?;
    Ok(())
}

fn of_call(verb: &str, kind: &str, call: &Call) -> Result<Vec<u8>, Error> {
    Ok(Program::find(kind, &call.path)?.run(verb, variables(call), &call.conf.raw)?)
}

fn variables(call: &Call) -> [(&'static str, OsString); 5] {
    [
        ("CNI_CONTAINERID", call.attachment.container.as_str().into()),
        ("CNI_NETNS", call.netns.clone().map(OsString::from).unwrap_or_default()),
        ("CNI_IFNAME", call.attachment.ifname.as_str().into()),
        ("CNI_ARGS", call.args.clone().into()),
        ("CNI_PATH", joined(&call.path)),
    ]
}

/// A directory with a `:` in it cannot have come from the environment and cannot go there.
fn joined(path: &PluginPath) -> OsString {
    env::join_paths(&path.0).unwrap_or_default()
}

/// Whether the plugin named `kind` is one of ours: its executable stands beside the running one, links
/// followed, so both came out of the same build. What it does can then be done in this process.
pub fn is_own(kind: &str, path: &PluginPath) -> bool {
    let found = path.find(kind).ok();
    let own = env::current_exe().ok();
    found.zip(own).is_some_and(|(found, own)| stand_together(&found, &own))
}

fn stand_together(found: &Path, own: &Path) -> bool {
    let directory = |file: &Path| {
        let file = file.canonicalize().ok()?;
        file.parent().map(Path::to_owned)
    };
    directory(found).is_some_and(|theirs| directory(own) == Some(theirs))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_stands_beside_us_is_our_own() {
        let root = tempfile::tempdir().unwrap();
        let dir = |name: &str| {
            let dir = root.path().join(name);
            fs::create_dir(&dir).unwrap();
            dir
        };
        let (ours, theirs, links) = (dir("ours"), dir("theirs"), dir("links"));
        for file in [ours.join("bridge"), ours.join("host-local"), theirs.join("host-local")] {
            fs::write(file, "").unwrap();
        }
        symlink(ours.join("bridge"), links.join("bridge")).unwrap();
        symlink(ours.join("host-local"), links.join("host-local")).unwrap();
        symlink(theirs.join("host-local"), links.join("static")).unwrap();

        assert!(stand_together(&ours.join("host-local"), &ours.join("bridge")));
        assert!(stand_together(&links.join("host-local"), &ours.join("bridge")));
        assert!(stand_together(&ours.join("host-local"), &links.join("bridge")));
        assert!(!stand_together(&theirs.join("host-local"), &ours.join("bridge")));
        assert!(!stand_together(&links.join("static"), &links.join("bridge")));
        assert!(!stand_together(&ours.join("missing"), &ours.join("bridge")));
    }
}
