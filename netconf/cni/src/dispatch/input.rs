//! The keys that the protocol itself adds to a configuration.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{AddResult, ContainerId, Error, IfName, NetConf};

/// The config's `prevResult`.
pub(super) fn prev_result(conf: &NetConf) -> Result<Option<AddResult>, Error> {
    conf.tree()
        .get("prevResult")
        .map(|json| AddResult::parse(json, conf.version))
        .transpose()
        .map_err(|e| e.while_("prevResult"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(rename = "containerID")]
    container_id: ContainerId,
    ifname: IfName,
}

#[derive(Deserialize)]
struct Valid {
    #[serde(rename = "cni.dev/valid-attachments")]
    valid: Option<Vec<Listed>>,
    /// The draft's name for it, which libcni sends besides.
    #[serde(rename = "cni.dev/attachments")]
    draft: Option<Vec<Listed>>,
}

/// The attachments that GC has to leave alone; `None` when there is no list at all. A list with
/// an illegal name in it is refused as a whole: whom it meant to keep is not known.
pub(super) fn valid_attachments(
    conf: &NetConf,
) -> Result<Option<BTreeSet<(ContainerId, IfName)>>, Error> {
    let valid: Valid = conf.tree().decode()?;
    let listed = valid.valid.or(valid.draft);
    Ok(listed.map(|listed| listed.into_iter().map(|one| (one.container_id, one.ifname)).collect()))
}
