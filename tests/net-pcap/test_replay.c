/* SPDX-License-Identifier: MIT
 *
 * net-pcap/test_replay.c - the model `replay`: timing, back-pressure, passes, snapshots, and files
 * that are not what they seem.
 */
#include "folder.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

/* A file of classic pcap: `magic` and `snaplen` and `link` as given. */
static FILE *begin_file(struct fixture *f, uint32_t magic, uint32_t snaplen, uint32_t link)
{
    uint8_t head[24] = {0};
    FILE *file = fopen(in_folder(f, "in.pcap"), "wb");

    assert_non_null(file);
    bp_put_le32(head, magic);
    bp_put_le16(head + 4, 2);
    bp_put_le16(head + 6, 4);
    bp_put_le32(head + 16, snaplen);
    bp_put_le32(head + 20, link);
    assert_int_equal(fwrite(head, 1, sizeof(head), file), sizeof(head));
    return file;
}

static void add_frame(FILE *file, uint64_t when_ns, uint32_t caplen, uint32_t len, uint32_t bytes)
{
    uint8_t head[16], frame[2000];

    bp_put_le32(head, (uint32_t)(when_ns / 1000000000));
    bp_put_le32(head + 4, (uint32_t)(when_ns % 1000000000));
    bp_put_le32(head + 8, caplen);
    bp_put_le32(head + 12, len);
    link_udp(frame, sizeof(frame), 1);
    assert_int_equal(fwrite(head, 1, sizeof(head), file), sizeof(head));
    assert_int_equal(fwrite(frame, 1, bytes, file), bytes);
}

/* Frames of 60, 61, ... bytes, `gap_ns` apart. */
static void make_file(struct fixture *f, unsigned count, uint64_t gap_ns)
{
    FILE *file = begin_file(f, 0xa1b23c4d, 65535, 1);

    for (unsigned i = 0; i < count; i++)
        add_frame(file, UINT64_C(1700000000000000000) + i * gap_ns, 60 + i % 900, 60 + i % 900,
                  60 + i % 900);
    fclose(file);
}

static struct replay_config config_of(struct fixture *f, const char *speed)
{
    return (struct replay_config){.file = in_folder(f, "in.pcap"), .speed = speed};
}

static void frames_come_as_far_apart_as_in_the_file(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;

    make_file(f, 4, 10 * MS);
    c = config_of(f, "1");
    c.delay = 5;
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, 5 * MS - 1);
    assert_int_equal(f->link->got, 0);
    fake_advance_ns(f->link->host, 1000 * MS);
    assert_int_equal(f->link->got, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(f->link->got_ns[i] == (5 + 10 * i) * MS);
        assert_int_equal(f->link->got_len[i], 60 + i);
    }
    assert_non_null(strstr(fake_log(f->link->host, NULL),
                           "in.pcap' is replayed, with 4 frames for the guest, 0 refused by the "
                           "NIC, 0 left out"));
}

static void speed_divides_the_gaps(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;

    make_file(f, 3, 10 * MS);
    c = config_of(f, "10");
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, 1000 * MS);
    assert_true(f->link->got_ns[2] - f->link->got_ns[0] == 2 * MS);
    link_stop(f->link);
    f->link->got = 0;
    c.speed = "0.5";
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, 1000 * MS);
    assert_true(f->link->got_ns[2] - f->link->got_ns[0] == 40 * MS);
}

static void max_is_as_fast_as_the_guest_takes_it(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;

    make_file(f, 1000, UINT64_C(1000) * MS);
    c = config_of(f, "max");
    f->link->room = 300;
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, 1000);
    assert_int_equal(f->link->got, 300);
    fake_advance_ns(f->link->host, UINT64_C(100000) * MS);
    assert_int_equal(f->link->got, 300);
    f->link->room = UINT64_MAX;
    f->link->net->resume(f->link->self, 0);
    assert_int_equal(f->link->got, 300); /* not from inside */
    fake_advance_ns(f->link->host, 1000);
    assert_int_equal(f->link->got, 1000);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(f->link->got_len[i], 60 + i % 900);
}

static void back_pressure_shifts_what_follows(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;

    make_file(f, 4, 10 * MS);
    c = config_of(f, "1");
    f->link->room = 2;
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, 55 * MS);
    assert_int_equal(f->link->got, 2);
    f->link->room = UINT64_MAX;
    f->link->net->resume(f->link->self, 0);
    f->link->net->resume(f->link->self, 0);
    fake_advance_ns(f->link->host, 100 * MS);
    assert_int_equal(f->link->got, 4);
    assert_true(f->link->got_ns[2] == 55 * MS);
    assert_true(f->link->got_ns[3] == 65 * MS);
}

static void the_first_frame_waits_for_an_adapter_that_is_up(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;

    make_file(f, 2, 100 * MS);
    c = config_of(f, "1");
    f->link->refusal = -ENETDOWN;
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, 5005 * MS);
    f->link->refusal = 0;
    fake_advance_ns(f->link->host, 10 * MS);
    assert_int_equal(f->link->got, 1);
    assert_true(f->link->got_ns[0] == 5010 * MS);
    f->link->refusal = -ENETDOWN; /* later ones are lost, as on a wire */
    fake_advance_ns(f->link->host, 1000 * MS);
    assert_non_null(strstr(fake_log(f->link->host, NULL),
                           "is replayed, with 1 frames for the guest, 1 refused by the NIC"));
}

static void a_loop_starts_over_until_the_machine_ends(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;

    make_file(f, 2, 10 * MS);
    c = config_of(f, "1");
    c.loop = 1;
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, 1100 * MS - 1);
    assert_int_equal(f->link->got, 200); /* 11 ms a pass */
    assert_int_equal(fake_log_count(f->link->host), 0);
}

static void what_the_guest_sends_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;
    uint8_t frame[60];

    make_file(f, 1, 0);
    c = config_of(f, "1");
    link_start(f->link, "replay", &c);
    link_udp(frame, sizeof(frame), 1);
    assert_int_equal(link_send(f->link, frame, sizeof(frame)), 1);
    assert_null(f->link->net->offloads);
}

static void refused_and_cut_frames_are_counted_and_passed_over(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;
    FILE *file = begin_file(f, 0xa1b23c4d, 65535, 1);

    add_frame(file, 1000, 60, 60, 60);
    add_frame(file, 2000, 60, 1500, 60); /* cut */
    add_frame(file, 3000, 13, 13, 13);   /* no header */
    add_frame(file, 500, 60, 60, 60);    /* back in time: at once */
    fclose(file);
    c = config_of(f, "1");
    f->link->refusal = -EMSGSIZE;
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, 1000 * MS);
    assert_int_equal(f->link->got, 0);
    assert_non_null(strstr(fake_log(f->link->host, NULL),
                           "with 0 frames for the guest, 2 refused by the NIC, 2 left out"));
}

static void addresses_are_rewritten(void **state)
{
    static const char *const ips[] = {"10.0.0.2>10.0.2.15"};
    struct fixture *f = *state;
    struct replay_config c;

    make_file(f, 1, 0);
    c = config_of(f, "1");
    c.rewrite_ip = (struct bp_list){.items = ips, .count = 1};
    memcpy(c.destination_mac, "\x52\x54\x00\x12\x34\x56", 6);
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, MS);
    assert_int_equal(f->link->got, 1);
    assert_memory_equal(f->link->last, "\x52\x54\x00\x12\x34\x56\x52\x54\x00\x00\x00\x01", 12);
    assert_memory_equal(f->link->last + 26, "\x0a\x00\x00\x01\x0a\x00\x02\x0f", 8);
}

static void what_a_capture_wrote_is_replayed(void **state)
{
    struct fixture *f = *state;
    struct replay_config c = {.speed = "1"};
    uint8_t frame[100];

    f->config.file = in_folder(f, "a.pcapng");
    link_start(f->link, "capture", &f->config);
    for (unsigned i = 0; i < 3; i++) {
        link_udp(frame, 60 + i, 5);
        fake_set_utc_ns(f->link->host, UINT64_C(1700000000000000000) + UINT64_C(123457) * i);
        link_send(f->link, frame, 60 + i);
    }
    link_stop(f->link);
    c.file = f->path;
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, MS);
    assert_int_equal(f->link->got, 3);
    assert_true(f->link->got_ns[2] - f->link->got_ns[0] == UINT64_C(2) * 123457);
    assert_memory_equal(f->link->last, frame, 62);
}

static void a_snapshot_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct link *to = link_new();
    struct replay_config c;

    make_file(f, 6, 10 * MS);
    c = config_of(f, "1");
    link_start(f->link, "replay", &c);
    link_start(to, "replay", &c);
    fake_advance_ns(f->link->host, 25 * MS);
    assert_int_equal(f->link->got, 3);
    fake_move_state(f->link->host, to->host);
    to->got = 0;
    fake_advance_ns(to->host, 100 * MS);
    assert_int_equal(to->got, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(to->got_len[i], 63 + i);
        assert_true(to->got_ns[i] == (30 + 10 * i) * MS);
    }
    link_free(to);
}

/* A snapshot that cannot go on, as its file is gone or another one, leaves a network of which no
 * frame comes, until it begins anew. */
static void bad_97_snapshot_without_its_file_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct bp_instance_ops *ops;
    struct replay_config c;
    struct fake_host *h;
    char expect[512];

    for (int is_gone = 0; is_gone < 2; is_gone++) {
        make_file(f, 6, 10 * MS);
        c = config_of(f, "1");
        f->link->got = 0;
        link_start(f->link, "replay", &c);
        h = f->link->host;
        ops = fake_ops(h);
        fake_advance_ns(h, 25 * MS);
        assert_int_equal(f->link->got, 3);
        ops->stop(fake_self(h));
        if (is_gone)
            unlink(c.file);
        else
            make_file(f, 2, 10 * MS);
        assert_int_equal(ops->after_load(fake_self(h)), -EINVAL);
        if (is_gone)
            snprintf(expect, sizeof(expect),
                     "cannot replay '%s': No such file or directory; give `file` a pcap or pcapng "
                     "file of Ethernet frames",
                     c.file);
        else
            snprintf(expect, sizeof(expect),
                     "'%s' has 2 frames, and the snapshot was taken after 3: it is not the file "
                     "that was replayed",
                     c.file);
        assert_string_equal(fake_failure(), expect);
        assert_int_equal(ops->start(fake_self(h)), 0);
        fake_advance_ns(h, 1000 * MS);
        assert_int_equal(f->link->got, 3);
        make_file(f, 2, 10 * MS);
        ops->stop(fake_self(h));
        ops->reset(fake_self(h), BP_RESET_COLD);
        assert_int_equal(ops->start(fake_self(h)), 0);
        fake_advance_ns(h, 1000 * MS);
        assert_int_equal(f->link->got, 5);
        link_stop(f->link);
    }
}

static void power_on_begins_anew_and_a_reset_of_the_guest_does_not(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;
    struct fake_host *h;

    make_file(f, 4, 10 * MS);
    c = config_of(f, "1");
    link_start(f->link, "replay", &c);
    h = f->link->host;
    fake_advance_ns(h, 15 * MS);
    assert_int_equal(f->link->got, 2);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    fake_advance_ns(h, 10 * MS);
    assert_int_equal(f->link->got, 3);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_COLD);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    fake_advance_ns(h, 100 * MS);
    assert_int_equal(f->link->got, 7);
}

/* ---- bad files ---- */

static void expect_refused(struct fixture *f, int err, const char *why)
{
    struct replay_config c = config_of(f, "1");
    struct fake_host *h;
    char expect[1024];

    assert_int_equal(fake_host_try(PLUGIN_FILE, "replay", &c, &h), err);
    snprintf(expect, sizeof(expect),
             "cannot replay '%s': %s; give `file` a pcap or pcapng file of Ethernet frames", c.file,
             why);
    assert_string_equal(fake_failure(), expect);
}

static void bad_97_no_capture_is_told(void **state)
{
    struct fixture *f = *state;
    FILE *file;

    in_folder(f, "in.pcap");
    expect_refused(f, -ENOENT, "No such file or directory");
    fclose(begin_file(f, 0x12345678, 65535, 1));
    expect_refused(f, -EINVAL, "it is no capture (unknown file format)");
    file = fopen(in_folder(f, "in.pcap"), "wb");
    fclose(file);
    expect_refused(f, -EINVAL,
                   "it is no capture (truncated dump file; tried to read 4 file header bytes, only "
                   "got 0)");
    file = fopen(in_folder(f, "in.pcap"), "wb");
    fwrite("\xd4\xc3\xb2\xa1\2\0", 1, 6, file);
    fclose(file);
    expect_refused(f, -EINVAL,
                   "it is no capture (truncated dump file; tried to read 24 file header bytes, "
                   "only got 2)");
    fclose(begin_file(f, 0xa1b2c3d4, 65535, 113));
    expect_refused(f, -EINVAL, "its frames are of link type 113 (LINUX_SLL), not of Ethernet");
    fclose(begin_file(f, 0xa1b2c3d4, 65535, 0x0fff));
    expect_refused(f, -EINVAL, "its frames are of link type 4095 (unknown), not of Ethernet");
}

static void bad_97_folder_and_pipe_are_told(void **state)
{
    struct fixture *f = *state;
    struct replay_config c = {.file = f->folder, .speed = "1"};
    struct fake_host *h;
    char expect[256];

    assert_int_equal(fake_host_try(PLUGIN_FILE, "replay", &c, &h), -EINVAL);
    snprintf(expect, sizeof(expect),
             "cannot replay '%s': it is no regular file; give `file` a pcap or pcapng file of "
             "Ethernet frames",
             f->folder);
    assert_string_equal(fake_failure(), expect);
}

static void bad_speed_and_pairs_are_told(void **state)
{
    static const char *const speeds[] = {"",     "0",       "0.000",         "-1",
                                         "1e3",  ".5",      "1.2.3",         "1.0001",
                                         "fast", "1000001", "99999999999999"};
    static const char *const pair[] = {"10.0.0.1=10.0.0.2"};
    struct fixture *f = *state;
    struct replay_config c;
    struct fake_host *h;
    char expect[256];

    make_file(f, 1, 0);
    for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        c = config_of(f, speeds[i]);
        assert_int_equal(fake_host_try(PLUGIN_FILE, "replay", &c, &h), -EINVAL);
        snprintf(expect, sizeof(expect),
                 "`speed = %s`: expected max, or a number from 0.001 to 1000000", speeds[i]);
        assert_string_equal(fake_failure(), expect);
    }
    c = config_of(f, "1000000");
    c.rewrite_ip = (struct bp_list){.items = pair, .count = 1};
    assert_int_equal(fake_host_try(PLUGIN_FILE, "replay", &c, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "`rewrite-ip`: \"10.0.0.1=10.0.0.2\" is no pair of IPv4 addresses; "
                        "expected OLD>NEW, as in 192.0.2.1>10.0.2.15");
    c.rewrite_mac = c.rewrite_ip;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "replay", &c, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "`rewrite-mac`: \"10.0.0.1=10.0.0.2\" is no pair of Ethernet addresses; "
                        "expected OLD>NEW, as in 52:54:00:00:00:01>52:54:00:00:00:02");
}

/* After one good frame; `why` is the log's. */
static void expect_end(struct fixture *f, const char *why)
{
    struct replay_config c = config_of(f, "max");
    char expect[1024];

    c.loop = 1;
    f->link->got = 0;
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, 1000 * MS);
    assert_int_equal(f->link->got, 1);
    assert_int_equal(fake_log_count(f->link->host), 1);
    snprintf(expect, sizeof(expect),
             "'%s' is broken after frame 1: %s; its replay ends, with 1 frames for the guest, 0 "
             "refused by the NIC, 0 left out",
             c.file, why);
    assert_string_equal(fake_log(f->link->host, NULL), expect);
    link_stop(f->link);
}

static void bad_97_file_that_breaks_later_ends_there(void **state)
{
    struct fixture *f = *state;
    FILE *file = begin_file(f, 0xa1b23c4d, 0, 1); /* snaplen 0: any */

    add_frame(file, 1, 60, 60, 60);
    add_frame(file, 2, 60, 60, 59);
    fclose(file);
    expect_end(f, "truncated dump file; tried to read 60 captured bytes, only got 59");

    file = begin_file(f, 0xa1b23c4d, 65535, 1);
    add_frame(file, 1, 60, 60, 60);
    add_frame(file, 2, 100, 99, 100);
    fclose(file);
    expect_end(f, "a frame of 99 bytes of which 100 are there");

    file = begin_file(f, 0xa1b23c4d, 65535, 1);
    add_frame(file, 1, 60, 60, 60);
    add_frame(file, 2, UINT32_MAX, UINT32_MAX, 100);
    fclose(file);
    expect_end(f, "invalid packet capture length 4294967295, bigger than snaplen of 65535");

    for (uint32_t snaplen = 0;; snaplen = UINT32_MAX) { /* which bound nothing themselves */
        file = begin_file(f, 0xa1b23c4d, snaplen, 1);
        add_frame(file, 1, 60, 60, 60);
        add_frame(file, 2, UINT32_MAX, UINT32_MAX, 100);
        fclose(file);
        expect_end(f, "invalid packet capture length 4294967295, bigger than snaplen of 262144");
        if (snaplen)
            break;
    }

    file = begin_file(f, 0xa1b23c4d, 65535, 1);
    add_frame(file, 1, 60, 60, 60);
    fwrite("12345", 1, 5, file);
    fclose(file);
    expect_end(f, "truncated dump file; tried to read 16 header bytes, only got 5");
}

static void bad_97_times_that_jump_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;
    FILE *file = begin_file(f, 0xa1b23c4d, 65535, 1);

    add_frame(file, 0, 60, 60, 60);
    add_frame(file, UINT64_C(4294967295000000000), 60, 60, 60); /* 2106 */
    fclose(file);
    c = config_of(f, "1");
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, UINT64_C(864001000) * MS); /* ten days and a second */
    assert_int_equal(f->link->got, 2);
}

static void bad_97_loop_over_nothing_ends(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;

    make_file(f, 0, 0);
    c = config_of(f, "max");
    c.loop = 1;
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, MS);
    assert_int_equal(fake_log_count(f->link->host), 1);
    assert_non_null(
        strstr(fake_log(f->link->host, NULL), "in.pcap' has no frame to replay again and again"));
}

static void bad_97_file_that_is_gone_ends_the_loop(void **state)
{
    struct fixture *f = *state;
    struct replay_config c;

    make_file(f, 2, 10 * MS);
    c = config_of(f, "1");
    c.loop = 1;
    link_start(f->link, "replay", &c);
    fake_advance_ns(f->link->host, 5 * MS);
    unlink(c.file);
    fake_advance_ns(f->link->host, 1000 * MS);
    assert_int_equal(f->link->got, 2);
    assert_non_null(strstr(fake_log(f->link->host, NULL),
                           "' cannot be read again: No such file or directory; its replay ends, "
                           "with 2 frames for the guest, 0 refused by the NIC, 0 left out"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(frames_come_as_far_apart_as_in_the_file),
        FOLDER_TEST(speed_divides_the_gaps),
        FOLDER_TEST(max_is_as_fast_as_the_guest_takes_it),
        FOLDER_TEST(back_pressure_shifts_what_follows),
        FOLDER_TEST(the_first_frame_waits_for_an_adapter_that_is_up),
        FOLDER_TEST(a_loop_starts_over_until_the_machine_ends),
        FOLDER_TEST(what_the_guest_sends_is_dropped),
        FOLDER_TEST(refused_and_cut_frames_are_counted_and_passed_over),
        FOLDER_TEST(addresses_are_rewritten),
        FOLDER_TEST(what_a_capture_wrote_is_replayed),
        FOLDER_TEST(a_snapshot_goes_on_where_it_was),
        FOLDER_TEST(bad_97_snapshot_without_its_file_is_refused),
        FOLDER_TEST(power_on_begins_anew_and_a_reset_of_the_guest_does_not),
        FOLDER_TEST(bad_97_no_capture_is_told),
        FOLDER_TEST(bad_97_folder_and_pipe_are_told),
        FOLDER_TEST(bad_speed_and_pairs_are_told),
        FOLDER_TEST(bad_97_file_that_breaks_later_ends_there),
        FOLDER_TEST(bad_97_times_that_jump_are_bounded),
        FOLDER_TEST(bad_97_loop_over_nothing_ends),
        FOLDER_TEST(bad_97_file_that_is_gone_ends_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
