# The device half of the tunnel: packets as the kernel hands them over, and the device, routes and rules around them.
set(tunnel_device_sources
    admission.cc
    bpf_program.cc
    checksum.cc
    drop_reason.cc
    flow_class.cc
    ip_packet.cc
    netlink.cc
    offload.cc
    segmentation.cc
    steering.cc
    tun_device.cc
    virtio.cc)
