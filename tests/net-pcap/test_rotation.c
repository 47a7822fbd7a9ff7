/* SPDX-License-Identifier: MIT
 *
 * net-pcap/test_rotation.c - the model `capture` into numbered files: where one ends and the next
 * begins, and which are kept.
 */
#include "blocks.h"
#include "folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void send_many(struct link *l, unsigned count)
{
    uint8_t frame[1000];

    for (unsigned i = 0; i < count; i++) {
        link_udp(frame, sizeof(frame), (uint16_t)i);
        link_send(l, frame, sizeof(frame));
    }
}

static void rotation_by_size_makes_files_that_each_stand_alone(void **state)
{
    struct fixture *f = *state;
    char base[512];
    int64_t total = 0;

    snprintf(base, sizeof(base), "%s/a.b.pcapng", f->folder);
    f->config.file = base;
    f->config.rotate_size = 10000;
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 100);
    link_stop(f->link);
    assert_true(files_in_folder(f) >= 11);
    for (unsigned i = 1; i <= files_in_folder(f); i++) {
        char name[64];
        struct blocks b;

        snprintf(name, sizeof(name), "a.b-%05u.pcapng", i);
        blocks_read(&b, in_folder(f, name));
        assert_true(b.len <= 10000 + 256);
        assert_true(b.packets > 0);
        assert_int_equal(b.blocks[b.count - 1].type, 5);
        total += b.packets;
        blocks_free(&b);
    }
    assert_int_equal(total, 100);
}

static void rotation_by_size_counts_what_the_file_takes(void **state)
{
    struct fixture *f = *state;
    char base[512];

    snprintf(base, sizeof(base), "%s/a.pcap", f->folder);
    f->config.file = base;
    /* A header, three frames with theirs, and what is kept for the end of a file. */
    f->config.rotate_size = 24 + 3 * 1016 + 128;
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 7);
    link_stop(f->link);
    assert_int_equal(files_in_folder(f), 3);
    assert_int_equal(count_frames(in_folder(f, "a-00001.pcap")), 3);
    assert_int_equal(count_frames(in_folder(f, "a-00002.pcap")), 3);
    assert_int_equal(count_frames(in_folder(f, "a-00003.pcap")), 1);
    f->config.rotate_size--;
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 5);
    link_stop(f->link);
    assert_int_equal(files_in_folder(f), 6);
    assert_int_equal(count_frames(in_folder(f, "a-00004.pcap")), 2);
    assert_int_equal(count_frames(in_folder(f, "a-00006.pcap")), 1);
}

static void a_file_has_one_frame_at_least(void **state)
{
    struct fixture *f = *state;
    char base[512];

    snprintf(base, sizeof(base), "%s/a.pcapng", f->folder);
    f->config.file = base;
    f->config.rotate_size = 1;
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 3);
    link_stop(f->link);
    assert_int_equal(files_in_folder(f), 3);
    for (unsigned i = 1; i <= 3; i++) {
        char name[64];

        snprintf(name, sizeof(name), "a-%05u.pcapng", i);
        assert_int_equal(count_frames(in_folder(f, name)), 1);
    }
}

static void rotation_keeps_the_newest_files_and_goes_on_numbering(void **state)
{
    struct fixture *f = *state;
    char base[512];

    snprintf(base, sizeof(base), "%s/a.pcap", f->folder);
    f->config.file = base;
    f->config.rotate_size = 10000;
    f->config.keep = 3;
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 85); /* nine each */
    link_stop(f->link);
    assert_int_equal(files_in_folder(f), 3);
    assert_int_equal(count_frames(in_folder(f, "a-00008.pcap")), 9);
    assert_int_equal(count_frames(in_folder(f, "a-00009.pcap")), 9);
    assert_int_equal(count_frames(in_folder(f, "a-00010.pcap")), 4);
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 1);
    link_stop(f->link);
    assert_int_equal(files_in_folder(f), 3);
    assert_int_equal(count_frames(in_folder(f, "a-00011.pcap")), 1);
}

static void rotation_by_time_begins_with_the_next_frame(void **state)
{
    struct fixture *f = *state;
    char base[512];

    snprintf(base, sizeof(base), "%s/a.pcap", f->folder);
    f->config.file = base;
    f->config.rotate_time = 1;
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 1);
    LINK_WAIT(count_frames(in_folder(f, "a-00001.pcap")) == 1);
    while (files_in_folder(f) < 2) {
        usleep(100000);
        send_many(f->link, 1);
    }
    link_stop(f->link);
    assert_true(count_frames(in_folder(f, "a-00001.pcap")) > 0);
    assert_true(count_frames(in_folder(f, "a-00002.pcap")) > 0);
}

static void bad_rotation_keys_are_told(void **state)
{
    struct fixture *f = *state;
    struct fake_host *h;

    f->config.file = "/dev/null";
    f->config.keep = 3;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "capture", &f->config, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "`keep` is about numbered files, and there is one only: give "
                        "`rotate-size` or `rotate-time`, or leave it out");
    f->config.rotate_size = 10000;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "capture", &f->config, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "'/dev/null' is no regular file, and only those have numbers: leave out "
                        "`rotate-size` and `rotate-time`, or name a file");
    f->config.file = "/dir/-";
    assert_int_equal(fake_host_try(PLUGIN_FILE, "capture", &f->config, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "standard output has no numbers: leave out `rotate-size` and "
                        "`rotate-time`, or name a file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(rotation_by_size_makes_files_that_each_stand_alone),
        FOLDER_TEST(rotation_by_size_counts_what_the_file_takes),
        FOLDER_TEST(a_file_has_one_frame_at_least),
        FOLDER_TEST(rotation_keeps_the_newest_files_and_goes_on_numbering),
        FOLDER_TEST(rotation_by_time_begins_with_the_next_frame),
        FOLDER_TEST(bad_rotation_keys_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
