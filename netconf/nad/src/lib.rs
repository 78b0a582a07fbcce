//! NetworkAttachmentDefinitions and what Multus makes of them.
