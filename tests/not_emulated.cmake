# Tests that do not run under QEMU's user mode, by what it lacks. They are built all the same, and have the label
# not-emulated there. What is in no folder that tests/CMakeLists.txt takes when cross-compiling is for x86, or boots
# systems, or checks this machine's tools.
set(NOT_EMULATED
    # MADV_DONTNEED is taken as advice: pages keep what they have.
    test_ram
    # SIOCETHTOOL, which libpcap asks; ioctls of bridges.
    net_pcap_live net_tap_interface
    # Programs that programs start are not emulated in turn.
    test_signals img_makes_and_tells_and_resizes net_pcap_read_back)

# bp_label_not_emulated(TEST): for tests that bp_add_unit_test() does not make.
function(bp_label_not_emulated name)
    if(name IN_LIST NOT_EMULATED)
        set_tests_properties(${name} PROPERTIES LABELS not-emulated)
    endif()
endfunction()
