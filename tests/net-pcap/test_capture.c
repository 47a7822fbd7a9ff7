/* SPDX-License-Identifier: MIT
 *
 * net-pcap/test_capture.c - the model `capture`: what it hands on, and what it writes. What a
 * capture does with an output that fails is in test_output.c, numbered files in test_rotation.c.
 */
#include "blocks.h"
#include "folder.h"

#include <backplane/util/le.h>
#include <backplane/util/offload.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void frames_go_both_ways_and_are_in_the_file_with_directions(void **state)
{
    struct fixture *f = *state;
    char path[512];
    uint8_t frame[100];
    struct blocks b;

    snprintf(path, sizeof(path), "%s", in_folder(f, "a.pcapng"));
    f->config.file = path;
    link_start(f->link, "capture", &f->config);
    fake_set_utc_ns(f->link->host, UINT64_C(1234567890123456789));
    link_udp(frame, sizeof(frame), 1000);
    assert_int_equal(link_send(f->link, frame, sizeof(frame)), 1);
    fake_set_utc_ns(f->link->host, UINT64_C(1234567890123456790));
    link_udp(frame, 61, 1001);
    assert_int_equal(link_receive(f->link, frame, 61), 0);
    assert_int_equal(f->link->sent, 1);
    assert_int_equal(f->link->got, 1);
    assert_memory_equal(f->link->last, frame, 61);
    link_stop(f->link);

    blocks_read(&b, path);
    assert_int_equal(b.packets, 2);
    assert_int_equal(b.blocks[0].type, 0x0a0d0d0a);
    assert_string_equal(block_text(&b.blocks[0], 4), "Backplane");
    assert_string_equal(block_text(&b.blocks[0], 1), "");
    assert_string_equal(block_text(&b.blocks[1], 2), "fake");
    assert_int_equal(*block_option(&b.blocks[1], 9, NULL), 9);
    assert_true(packet_time(blocks_packet(&b, 0)) == UINT64_C(1234567890123456789));
    assert_true(packet_time(blocks_packet(&b, 1)) == UINT64_C(1234567890123456790));
    assert_int_equal(block_number(blocks_packet(&b, 0), 2), 2); /* outbound */
    assert_int_equal(block_number(blocks_packet(&b, 1), 2), 1); /* inbound */
    assert_null(block_option(blocks_packet(&b, 0), 4, NULL));
    assert_memory_equal(blocks_packet(&b, 1)->data + 28, frame, 61);
    assert_int_equal(block_number(blocks_of(&b, 5, 0), 4), 2); /* ifrecv */
    assert_int_equal(block_number(blocks_of(&b, 5, 0), 5), 0); /* ifdrop */
    blocks_free(&b);
    assert_int_equal(count_frames(path), 2);
}

static void guest_time_is_counted_from_power_on_and_the_file_says_so(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];
    struct blocks b;

    f->config.file = in_folder(f, "a.pcapng");
    f->config.time = TIME_GUEST;
    link_start(f->link, "capture", &f->config);
    fake_advance_ns(f->link->host, 1500000007);
    link_udp(frame, sizeof(frame), 1);
    link_send(f->link, frame, sizeof(frame));
    link_stop(f->link);
    blocks_read(&b, f->path);
    assert_true(packet_time(blocks_packet(&b, 0)) == 1500000007);
    assert_string_equal(block_text(&b.blocks[0], 1),
                        "timestamps are guest time, counted from 1970 instead of from power-on");
    blocks_free(&b);
}

static void classic_files_have_nanoseconds(void **state)
{
    struct fixture *f = *state;
    char reason[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const uint8_t *data;
    uint8_t frame[60];
    pcap_t *p;

    f->config.file = in_folder(f, "a.pcap");
    f->config.snaplen = 50;
    link_start(f->link, "capture", &f->config);
    fake_set_utc_ns(f->link->host, UINT64_C(1234567890123456789));
    link_udp(frame, sizeof(frame), 1);
    link_send(f->link, frame, sizeof(frame));
    link_stop(f->link);
    p = pcap_open_offline_with_tstamp_precision(f->path, PCAP_TSTAMP_PRECISION_NANO, reason);
    assert_non_null(p);
    assert_int_equal(pcap_datalink(p), DLT_EN10MB);
    assert_int_equal(pcap_major_version(p), 2);
    assert_int_equal(pcap_next_ex(p, &header, &data), 1);
    assert_int_equal(header->ts.tv_sec, 1234567890);
    assert_int_equal(header->ts.tv_usec, 123456789);
    assert_int_equal(header->caplen, 50);
    assert_int_equal(header->len, 60);
    assert_memory_equal(data, frame, 50);
    pcap_close(p);
}

static uint32_t magic_of(struct fixture *f, const char *name, uint32_t format)
{
    uint8_t magic[4] = {0};
    FILE *file;

    f->config.file = in_folder(f, name);
    f->config.format = format;
    link_start(f->link, "capture", &f->config);
    link_stop(f->link);
    file = fopen(f->path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(magic, 1, 4, file), 4);
    fclose(file);
    return bp_le32(magic);
}

static void the_name_chooses_the_format_unless_the_key_does(void **state)
{
    assert_true(magic_of(*state, "a.pcapng", FORMAT_AUTO) == 0x0a0d0d0a);
    assert_true(magic_of(*state, "a", FORMAT_AUTO) == 0x0a0d0d0a);
    assert_true(magic_of(*state, "a.pcap", FORMAT_AUTO) == 0xa1b23c4d);
    assert_true(magic_of(*state, "a.cap", FORMAT_AUTO) == 0xa1b23c4d);
    assert_true(magic_of(*state, "b.pcap", FORMAT_PCAPNG) == 0x0a0d0d0a);
    assert_true(magic_of(*state, "b.pcapng", FORMAT_PCAP) == 0xa1b23c4d);
}

static void only_what_matches_the_filter_is_recorded_and_all_passes(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[80];
    struct bp_buf pieces[2] = {{frame, 20}, {frame + 20, 60}};
    struct bp_frame in_pieces = {.size = sizeof(in_pieces), .nbufs = 2, .bufs = pieces};
    struct blocks b;
    uint32_t len;

    f->config.file = in_folder(f, "a.pcapng");
    f->config.filter = "udp src port 53";
    link_start(f->link, "capture", &f->config);
    for (uint16_t port = 50; port < 60; port++) {
        link_udp(frame, sizeof(frame), port);
        assert_int_equal(link_send(f->link, frame, sizeof(frame)), 1);
        assert_int_equal(f->link->net->send(f->link->self, 0, &in_pieces, 1), 1);
    }
    link_stop(f->link);
    assert_int_equal(f->link->sent, 20);
    blocks_read(&b, f->path);
    assert_int_equal(b.packets, 2);
    assert_int_equal(b.blocks[2].data[28 + 35], 53);
    assert_memory_equal(b.blocks[2].data + 28, b.blocks[3].data + 28, 80);
    assert_string_equal((const char *)block_option(&b.blocks[1], 11, &len) + 1, "udp src port 53");
    assert_int_equal(block_number(blocks_of(&b, 5, 0), 4), 20);
    assert_int_equal(block_number(blocks_of(&b, 5, 0), 6), 2); /* filteraccept */
    blocks_free(&b);
}

static void bad_filter_is_told_with_libpcaps_reason(void **state)
{
    struct fixture *f = *state;
    struct fake_host *h;

    f->config.file = in_folder(f, "a.pcapng");
    f->config.filter = "tcp prot 80";
    assert_int_equal(fake_host_try(PLUGIN_FILE, "capture", &f->config, &h), -EINVAL);
    assert_string_equal(fake_failure(), "`filter = tcp prot 80` is none: can't parse filter "
                                        "expression: syntax error; see pcap-filter(7)");
    f->config.filter = "vlan 5000";
    assert_int_equal(fake_host_try(PLUGIN_FILE, "capture", &f->config, &h), -EINVAL);
    assert_string_equal(fake_failure(), "`filter = vlan 5000` is none: VLAN tag 5000 greater than "
                                        "maximum 4095; see pcap-filter(7)");
}

static void back_pressure_passes_both_ways_and_is_recorded_once(void **state)
{
    struct fixture *f = *state;
    struct link *l = f->link;
    const struct bp_net_port *port;
    void *port_self;
    uint8_t frame[60];
    struct bp_buf buf = {frame, sizeof(frame)};
    struct bp_frame three[3];
    struct blocks b;

    f->config.file = in_folder(f, "a.pcapng");
    link_start(l, "capture", &f->config);
    link_udp(frame, sizeof(frame), 1);
    for (int i = 0; i < 3; i++)
        three[i] = (struct bp_frame){.size = sizeof(three[0]), .nbufs = 1, .bufs = &buf};
    l->takes = 2;
    assert_int_equal(l->net->send(l->self, 0, three, 3), 2);
    l->room = 0;
    assert_int_equal(link_receive(l, frame, sizeof(frame)), -EAGAIN);
    l->net->resume(l->self, 0);
    assert_int_equal(l->resumes, 1);
    l->room = 1;
    assert_int_equal(link_receive(l, frame, sizeof(frame)), 0);
    l->refusal = -EMSGSIZE;
    assert_int_equal(link_receive(l, frame, sizeof(frame)), -EMSGSIZE);
    port = link_port(l, &port_self);
    port->sent(port_self, 1);
    port->link(port_self, 1);
    assert_int_equal(l->sents, 1);
    assert_int_equal(l->links, 1);
    assert_int_equal(l->up, 1);
    link_stop(l);
    blocks_read(&b, f->path);
    assert_int_equal(b.packets, 4);
    blocks_free(&b);
}

static void offloads_and_queues_are_those_of_the_network_behind(void **state)
{
    struct fixture *f = *state;
    struct link *l = f->link;

    f->config.file = in_folder(f, "a.pcapng");
    l->offloads = BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4;
    link_start(l, "capture", &f->config);
    assert_int_equal(l->net->offloads(l->self), BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4);
    assert_int_equal(l->net->set_offloads(l->self, BP_NET_OFFLOAD_CSUM), 0);
    assert_int_equal(l->offloads, BP_NET_OFFLOAD_CSUM);
    assert_int_equal(l->net->set_offloads(l->self, 0x80), -EINVAL);
    assert_int_equal(l->net->set_queues(l->self, 3), 0);
    assert_int_equal(l->queues, 3);
    assert_int_equal(l->net->set_queues(l->self, 5), -EINVAL);
}

/* One segment as a NIC with offloads gives it: the checksum field holds the pseudo-header's sum. */
static void send_partial(struct link *l, uint8_t *frame, uint32_t len)
{
    struct bp_buf buf = {frame, len};
    struct bp_frame partial = {.size = sizeof(partial),
                               .nbufs = 1,
                               .bufs = &buf,
                               .flags = 1,
                               .gso_type = 5,
                               .gso_size = 32,
                               .hdr_len = 42,
                               .csum_start = 34,
                               .csum_offset = 6};
    uint32_t sum = 17 + len - 34;

    for (int i = 26; i < 34; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    frame[40] = (uint8_t)(sum >> 8);
    frame[41] = (uint8_t)sum;
    assert_int_equal(l->net->send(l->self, 0, &partial, 1), 1);
}

static void partial_checksums_are_recorded_as_they_are_with_a_comment(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[101];
    struct blocks b;

    f->config.file = in_folder(f, "a.pcapng");
    link_start(f->link, "capture", &f->config);
    link_udp(frame, sizeof(frame), 1);
    send_partial(f->link, frame, sizeof(frame));
    link_stop(f->link);
    blocks_read(&b, f->path);
    assert_memory_equal(blocks_packet(&b, 0)->data + 28, frame, sizeof(frame));
    assert_string_equal(block_text(blocks_packet(&b, 0), 1),
                        "checksum at byte 40 is to be filled in over 34 and up; to be cut into "
                        "segments of 32 bytes (UDP)");
    blocks_free(&b);
}

static void checksums_are_filled_in_when_asked_for_and_not_on_the_wire(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[101], good[101], sent[101];
    struct blocks b;

    f->config.file = in_folder(f, "a.pcapng");
    f->config.checksums = CHECKSUMS_FILL;
    link_start(f->link, "capture", &f->config);
    link_udp(frame, sizeof(frame), 1);
    memcpy(good, frame, sizeof(frame));
    send_partial(f->link, frame, sizeof(frame));
    memcpy(sent, frame, sizeof(frame));
    link_stop(f->link);
    assert_memory_equal(sent, frame, sizeof(frame));
    blocks_read(&b, f->path);
    assert_memory_equal(blocks_packet(&b, 0)->data + 28, good, sizeof(good));
    assert_string_equal(block_text(blocks_packet(&b, 0), 1),
                        "to be cut into segments of 32 bytes (UDP)");
    blocks_free(&b);
}

static void large_packets_are_cut_when_asked_for_and_not_on_the_wire(void **state)
{
    struct fixture *f = *state;
    static uint8_t frame[LINK_TCP(30000)];
    uint32_t at = 0;
    struct blocks b;

    f->config.file = in_folder(f, "a.pcapng");
    f->config.segment = 1;
    link_start(f->link, "capture", &f->config);
    link_large_tcp(f->link, frame, 30000, 1448);
    assert_int_equal(f->link->sent, 1); /* the network got it in one piece */
    link_udp(frame, 60, 7);
    link_send(f->link, frame, 60); /* a plain one is as it was */
    link_stop(f->link);
    blocks_read(&b, f->path);
    assert_int_equal(b.packets, 22);
    for (uint32_t i = 0; i < 21; i++) {
        const struct block *packet = blocks_packet(&b, i);
        const uint8_t *data = packet->data + 28;
        uint32_t len = bp_le32(packet->data + 20);

        assert_int_equal(bp_le32(packet->data + 24), len);
        assert_int_equal(len, i < 20 ? 1514 : 66 + 30000 - 20 * 1448);
        assert_int_equal(bp_sum(data + 14, 20, 0), 0xffff);
        assert_int_equal(bp_sum(data + 34, len - 34, bp_sum(data + 26, 8, 6 + len - 34)), 0xffff);
        assert_int_equal(bp_be32(data + 38), 1000 + at); /* sequence number */
        assert_string_equal(block_text(packet, 1), "");
        at += len - 66;
    }
    assert_memory_equal(blocks_packet(&b, 21)->data + 28, frame, 60);
    blocks_free(&b);
}

static void what_cannot_be_cut_is_recorded_as_it_is(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[101];
    struct blocks b;

    f->config.file = in_folder(f, "a.pcapng");
    f->config.segment = 1;
    link_start(f->link, "capture", &f->config);
    link_udp(frame, sizeof(frame), 1);
    send_partial(f->link, frame, sizeof(frame)); /* a kind of segmentation that nobody knows */
    link_stop(f->link);
    blocks_read(&b, f->path);
    assert_int_equal(b.packets, 1);
    assert_memory_equal(blocks_packet(&b, 0)->data + 28, frame, sizeof(frame));
    assert_string_not_equal(block_text(blocks_packet(&b, 0), 1), "");
    blocks_free(&b);
}

static void bad_checksum_beyond_the_frame_is_left_alone(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];
    struct bp_buf buf = {frame, sizeof(frame)};
    struct bp_frame far = {.size = sizeof(far),
                           .nbufs = 1,
                           .bufs = &buf,
                           .flags = 1,
                           .gso_type = 0x7f,
                           .csum_start = 0xffff,
                           .csum_offset = 0xffff};
    struct blocks b;

    f->config.file = in_folder(f, "a.pcapng");
    f->config.checksums = CHECKSUMS_FILL;
    link_start(f->link, "capture", &f->config);
    link_udp(frame, sizeof(frame), 1);
    assert_int_equal(f->link->net->send(f->link->self, 0, &far, 1), 1);
    far.csum_start = 0;
    far.csum_offset = 59; /* half of it */
    assert_int_equal(f->link->net->send(f->link->self, 0, &far, 1), 1);
    far.nbufs = 0; /* a frame of nothing */
    assert_int_equal(f->link->net->send(f->link->self, 0, &far, 1), 1);
    link_stop(f->link);
    blocks_read(&b, f->path);
    assert_int_equal(b.packets, 3);
    assert_memory_equal(blocks_packet(&b, 0)->data + 28, frame, sizeof(frame));
    assert_memory_equal(blocks_packet(&b, 1)->data + 28, frame, sizeof(frame));
    assert_int_equal(bp_le32(blocks_packet(&b, 2)->data + 24), 0);
    blocks_free(&b);
}

static void a_pause_flushes_and_the_capture_goes_on_behind_it(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];

    f->config.file = in_folder(f, "a.pcapng");
    f->config.flush = 60000;
    link_start(f->link, "capture", &f->config);
    link_udp(frame, sizeof(frame), 1);
    link_send(f->link, frame, sizeof(frame));
    fake_ops(f->link->host)->stop(f->link->self);
    assert_int_equal(count_frames(f->path), 1);
    assert_int_equal(fake_ops(f->link->host)->start(f->link->self), 0);
    link_send(f->link, frame, sizeof(frame));
    link_stop(f->link);
    assert_int_equal(count_frames(f->path), 2);
}

static void the_file_is_written_while_the_machine_runs(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];

    f->config.file = in_folder(f, "a.pcapng");
    link_start(f->link, "capture", &f->config);
    LINK_WAIT(count_frames(f->path) == 0);
    link_udp(frame, sizeof(frame), 1);
    link_send(f->link, frame, sizeof(frame));
    LINK_WAIT(count_frames(f->path) == 1);
}

/* The n-th of frames that differ in length and in all their bytes; returns its length. */
static uint32_t make_frame(uint8_t *to, uint32_t n)
{
    uint32_t len = 60 + n * 2654435761u % 9000u;

    link_udp(to, len, (uint16_t)n);
    memset(to + 42, (int)(n & 0xffu), len - 42);
    return len;
}

/* The smallest buffer is gone through twenty times, from either direction. */
static void frames_are_whole_wherever_they_stand_in_the_buffer(void **state)
{
    struct fixture *f = *state;
    static uint8_t frame[10000];
    struct blocks b;

    f->config.buffer = 65536;
    f->config.flush = 60000;
    f->config.file = in_folder(f, "a.pcapng");
    link_start(f->link, "capture", &f->config);
    for (uint32_t n = 0; n < 300; n++) {
        uint32_t len = make_frame(frame, n);

        if (n % 2)
            link_send(f->link, frame, len);
        else
            link_receive(f->link, frame, len);
        if (n % 5 == 4) { /* at most 45,000 bytes are in the buffer */
            fake_ops(f->link->host)->stop(f->link->self);
            fake_ops(f->link->host)->start(f->link->self);
        }
    }
    link_stop(f->link);
    blocks_read(&b, f->path);
    assert_int_equal(b.packets, 300);
    for (uint32_t n = 0; n < 300; n++) {
        uint32_t len = make_frame(frame, n);
        const struct block *packet = blocks_packet(&b, n);

        assert_int_equal(bp_le32(packet->data + 20), len);
        assert_int_equal(bp_le32(packet->data + 24), len);
        assert_memory_equal(packet->data + 28, frame, len);
        assert_int_equal(block_number(packet, 2), n % 2 ? 2 : 1);
        assert_null(block_option(packet, 4, NULL));
    }
    blocks_free(&b);
}

/* Neither behind the first nor before it is there room for the second; but the first is gone. */
static void a_long_frame_finds_room_in_an_empty_buffer(void **state)
{
    struct fixture *f = *state;
    static uint8_t frame[60000];

    f->config.buffer = 65536;
    f->config.file = in_folder(f, "a.pcapng");
    link_start(f->link, "capture", &f->config);
    link_udp(frame, sizeof(frame), 1);
    link_send(f->link, frame, 30000);
    fake_ops(f->link->host)->stop(f->link->self);
    fake_ops(f->link->host)->start(f->link->self);
    link_send(f->link, frame, sizeof(frame));
    link_stop(f->link);
    assert_int_equal(count_frames(f->path), 2);
}

static void bad_second_capture_into_one_file_is_told(void **state)
{
    struct fixture *f = *state;
    struct link *other = link_new();
    struct capture_config config = f->config;
    struct fake_host *h;
    char expect[1024];

    f->config.file = in_folder(f, "a.pcapng");
    link_start(f->link, "capture", &f->config);
    config.file = f->config.file;
    config.net = other->behind;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "capture", &config, &h), -EBUSY);
    snprintf(expect, sizeof(expect), "'%s' is written by another capture: give `file` another name",
             f->path);
    assert_string_equal(fake_failure(), expect);
    link_free(other);
}

static void bad_network_with_a_user_is_told(void **state)
{
    struct fixture *f = *state;
    struct capture_config config;
    struct fake_host *h;

    f->config.file = in_folder(f, "a.pcapng");
    link_start(f->link, "capture", &f->config);
    config = f->config;
    config.file = in_folder(f, "b.pcapng");
    assert_int_equal(fake_host_try(PLUGIN_FILE, "capture", &config, &h), -EBUSY);
    assert_string_equal(fake_failure(),
                        "cannot use the section that `net` names: Device or resource busy; name a "
                        "network backend that nothing else uses");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(frames_go_both_ways_and_are_in_the_file_with_directions),
        FOLDER_TEST(guest_time_is_counted_from_power_on_and_the_file_says_so),
        FOLDER_TEST(classic_files_have_nanoseconds),
        FOLDER_TEST(the_name_chooses_the_format_unless_the_key_does),
        FOLDER_TEST(only_what_matches_the_filter_is_recorded_and_all_passes),
        FOLDER_TEST(bad_filter_is_told_with_libpcaps_reason),
        FOLDER_TEST(back_pressure_passes_both_ways_and_is_recorded_once),
        FOLDER_TEST(offloads_and_queues_are_those_of_the_network_behind),
        FOLDER_TEST(partial_checksums_are_recorded_as_they_are_with_a_comment),
        FOLDER_TEST(checksums_are_filled_in_when_asked_for_and_not_on_the_wire),
        FOLDER_TEST(large_packets_are_cut_when_asked_for_and_not_on_the_wire),
        FOLDER_TEST(what_cannot_be_cut_is_recorded_as_it_is),
        FOLDER_TEST(bad_checksum_beyond_the_frame_is_left_alone),
        FOLDER_TEST(a_pause_flushes_and_the_capture_goes_on_behind_it),
        FOLDER_TEST(the_file_is_written_while_the_machine_runs),
        FOLDER_TEST(frames_are_whole_wherever_they_stand_in_the_buffer),
        FOLDER_TEST(a_long_frame_finds_room_in_an_empty_buffer),
        FOLDER_TEST(bad_second_capture_into_one_file_is_told),
        FOLDER_TEST(bad_network_with_a_user_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
