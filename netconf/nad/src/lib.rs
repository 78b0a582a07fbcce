//! NetworkAttachmentDefinitions and what Multus makes of them: pure values, but for the files of
//! device information and the directory of configurations.

pub mod device_info;
