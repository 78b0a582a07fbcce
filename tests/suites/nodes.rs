//! Node to node: three nodes on an underlay, every mode, judged from outside.

mod at_once;
mod devices;
mod direct;
mod drift;
mod foreign;
pub mod ground;
mod healing;
mod interrupted;
mod membership;
mod mtu;
mod refused;
pub mod state;
mod traffic;
mod verbs;

/// Each of these functions as a test of every mode.
macro_rules! each_mode {
    ($($name:ident),+ $(,)?) => {
        $crate::nodes::mode! { host_gw: HostGw, []; $($name)+ }
        $crate::nodes::each_tunnel! { $($name),+ }
    };
}

/// The same of the modes that have a tunnel.
macro_rules! each_tunnel {
    ($($name:ident),+ $(,)?) => {
        $crate::nodes::mode! { vxlan: Vxlan, []; $($name)+ }
        $crate::nodes::mode! { ipip: Ipip, [Ipip]; $($name)+ }
    };
}

macro_rules! mode {
    ($module:ident: $mode:ident, $needs:tt; $($name:ident)+) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    $crate::nodes::needs!($needs);
                    super::$name($crate::nodes::ground::Mode::$mode);
                }
            )+
        }
    };
}

macro_rules! needs {
    ([]) => {};
    ([$feature:ident]) => {
        testkit::need!($feature);
    };
}

pub(crate) use {each_mode, each_tunnel, mode, needs};
