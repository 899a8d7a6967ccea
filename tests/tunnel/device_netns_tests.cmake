# Tests of the device half that need root and a network namespace of their own.
set(tunnel_device_netns_tests netlink_netns_test.cc steering_netns_test.cc super_packet_netns_test.cc tun_device_netns_test.cc)
