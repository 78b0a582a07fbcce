//! What `macvlan`, `ipvlan`, `vlan`, `dummy` and `tap` have in common: one link per attachment, in the
//! container and nowhere else, judged by `ip`.

mod check;
mod gone;
mod inherited;
mod life;
mod refused;

macro_rules! kinds {
    ($($name:ident $feature:ident: $($module:ident::$test:ident)+;)+) => {
        $(
            mod $name {
                $(
                    #[test]
                    fn $test() {
                        testkit::need!($feature);
                        super::$module::$test(stringify!($name));
                    }
                )+
            }
        )+
    };
}

macro_rules! all {
    ($($name:ident $feature:ident;)+) => {
        kinds! {
            $(
                $name $feature:
                    life::every_version_is_served_from_add_to_del
                    life::the_result_names_the_one_interface
                    life::the_link_is_marked_and_recorded_until_del
                    life::without_ipam_there_is_a_link_that_is_up
                    life::the_resolver_of_the_ipam_is_kept_unless_the_configuration_has_one
                    life::routes_have_the_attributes_of_version_1_1
                    life::a_second_add_leaves_the_first_attachment_whole
                    check::check_names_what_is_gone
                    check::check_names_a_link_of_another_kind
                    gone::del_needs_no_previous_result_and_succeeds_twice
                    gone::del_without_a_namespace_finds_the_link_by_its_record
                    gone::del_after_the_namespace_is_gone_frees_the_rest
                    gone::del_needs_no_valid_options
                    gone::del_frees_leases_whatever_the_ipam_says_now
                    gone::an_address_manager_that_speaks_through_the_link_finds_it
                    gone::del_removes_a_link_that_bears_no_mark
                    gone::a_late_del_does_not_hurt_a_newer_pod
                    gone::gc_removes_links_in_namespaces_that_still_stand
                    gone::gc_keeps_to_its_network
                    inherited::attachments_of_the_reference_are_checked_and_deleted_by_ours
                    inherited::attachments_of_ours_are_checked_and_deleted_by_the_reference
                    inherited::both_answer_the_same_in_every_version
                    refused::no_link_is_left_when_the_ipam_fails
                    refused::a_link_without_addresses_has_no_result_in_the_oldest_versions
                    refused::an_add_that_fails_late_undoes_itself
                    refused::an_interface_that_exists_is_not_touched
                    refused::options_out_of_their_range_are_named
                    refused::a_state_directory_that_cannot_be_holds_up_no_del
                ;
            )+
        }
    };
}

all! {
    macvlan Macvlan;
    ipvlan Ipvlan;
    vlan Vlan;
    dummy Dummy;
    tap Tap;
}

/// Kinds that this kernel lacks are named as such.
#[test]
fn a_kernel_without_the_kind_is_told_by_status_and_by_add() {
    use testkit::{Feature, Node, Pod, not_run};
    let kinds = [
        ("macvlan", Feature::Macvlan, "CONFIG_MACVLAN"),
        ("ipvlan", Feature::Ipvlan, "CONFIG_IPVLAN"),
        ("vlan", Feature::Vlan, "CONFIG_VLAN_8021Q"),
        ("dummy", Feature::Dummy, "CONFIG_DUMMY"),
    ];
    let missing: Vec<_> = kinds.iter().filter(|(_, kind, _)| kind.missing().is_some()).collect();
    if missing.is_empty() {
        return not_run("the kernel has all kinds of links");
    }
    for (kind, _, needs) in missing {
        let (node, pod) = (Node::new(), Pod::new());
        let conf = crate::conf::single(&node, kind, crate::conf::DUAL);
        node.status(&conf).fails().is(50, &[needs]);
        std::fs::create_dir(node.directory().join("links")).unwrap();
        let before = node.snapshot();
        node.add(&conf, &pod, "eth0").fails().is(100, &["eth0", needs]);
        before.assert_same(&node.snapshot());
        assert_eq!(pod.links(), ["lo"]);
    }
}
