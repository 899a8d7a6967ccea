# Unit tests of the device half: no root, no socket.
set(tunnel_device_tests admission_test.cc drop_reason_test.cc flow_class_test.cc ip_packet_test.cc segmentation_test.cc steering_test.cc tun_device_test.cc
    virtio_test.cc)
