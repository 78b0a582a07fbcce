use serde_json::json;
use testkit::Sysfs;

use crate::{call, complaints, nowhere, text};

#[test]
fn a_line_has_what_an_operator_looks_for() {
    let tree = Sysfs::new();
    let pf = tree.mlx5("0000:01:00.0", "ens1", 10, 1).with("numa_node", 1);
    tree.subfunction(&pf, "mlx5_core.sf.4", 88, ("enp1sf88", 20));
    let vfio = tree.pci("0000:02:10.0").numbers(0x8086, 0x1889, 0x02_0000).driver("vfio-pci");
    let neighbour = tree.pci("0000:02:10.2").numbers(0x8086, 0x1889, 0x02_0000).driver("iavf");
    tree.iommu_group(7, None, &[&vfio, &neighbour]);
    let without = tree.pci("0000:02:10.4").numbers(0xfade, 0x1889, 0x02_0000).driver("vfio-pci");
    tree.iommu_group(0, Some("vfio-noiommu"), &[&without]);
    let output = call(&tree, nowhere(), &[]);
    assert!(output.status.success() && complaints(&output).is_empty(), "{output:?}");
    // Columns are two blanks apart.
    let cells = |line: &str| -> Vec<String> {
        line.split("  ").map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned).collect()
    };
    let lines: Vec<Vec<String>> = text(&output.stdout).lines().map(cells).collect();
    let connect = "Mellanox Technologies MT27800 Family [ConnectX-5]";
    let virtual_connect = "Mellanox Technologies MT27800 Family [ConnectX-5 Virtual Function]";
    let ethernet = "Intel Corporation Ethernet Adaptive Virtual Function";
    assert_eq!(
        json!(lines),
        json!([
            [
                "DEVICE",
                "KIND",
                "NAME",
                "DRIVER",
                "CLASS",
                "INTERFACE",
                "NUMA",
                "IOMMU GROUP",
                "OWNER"
            ],
            ["0000:01:00.0", "PF, 1 VF", connect, "mlx5_core", "bifurcated", "ens1", "1", "-", "-"],
            [
                "0000:01:10.0",
                "VF 0 of 0000:01:00.0",
                virtual_connect,
                "mlx5_core",
                "bifurcated",
                "ens1v0",
                "-",
                "-",
                "-"
            ],
            [
                "0000:02:10.0",
                "function",
                ethernet,
                "vfio-pci",
                "vfio",
                "-",
                "-",
                "7 (blocked by 0000:02:10.2)",
                "-"
            ],
            ["0000:02:10.2", "function", ethernet, "iavf", "netdev", "-", "-", "7", "-"],
            [
                "0000:02:10.4",
                "function",
                "[fade] [1889]",
                "vfio-pci",
                "vfio",
                "-",
                "-",
                "0 (no IOMMU)",
                "-"
            ],
            [
                "mlx5_core.sf.4",
                "SF 88 of 0000:01:00.0",
                connect,
                "mlx5_core.sf",
                "netdev",
                "enp1sf88",
                "1",
                "-",
                "-"
            ],
        ])
    );
}

#[test]
fn names_cannot_steer_the_terminal() {
    let tree = Sysfs::new();
    tree.igb("0000:01:00.0", "a\u{1b}[2J\u{202e}b", 3, 0);
    let output = call(&tree, nowhere(), &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("a\\u001b[2J\\u202eb"), "{output:?}");
}

#[test]
fn a_wrong_argument_is_named() {
    let tree = Sysfs::new();
    let output = call(&tree, nowhere(), &["--jsn"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--json"), "{output:?}");
}
