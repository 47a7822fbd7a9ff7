/* SPDX-License-Identifier: MIT
 *
 * Fuzzes net-socket's stream: the input is what a peer sends, in parts. Whatever it is, each frame
 * has a length that a frame can have and lies in the buffer, and no part waits for ever: the frames
 * are the same however the stream is cut.
 */
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_socket: %s\n", what);
    abort();
}

/* What came of a stream. */
struct outcome {
    uint64_t frames, bytes, sum;
    uint32_t refused;
    int ended;
};

static void look(struct wire_in *w, struct outcome *o)
{
    struct bp_buf frame;
    int ret;

    while ((ret = wire_next(w, &frame)) == 1) {
        const uint8_t *at = frame.data;

        must(frame.len >= BP_FRAME_MIN && frame.len <= BP_FRAME_MAX, "a frame's length");
        must(at >= w->bytes && at + frame.len <= w->bytes + w->end, "a frame beyond what came");
        for (uint64_t i = 0; i < frame.len; i++)
            o->sum = o->sum * 31 + at[i];
        o->frames++;
        o->bytes += frame.len;
        wire_pop(w);
    }
    must(ret == 0 || ret == -EPROTO, "an error that is none of wire_next()'s");
    o->ended = ret < 0;
}

static struct outcome run(struct wire_in *w, const uint8_t *data, size_t size, uint32_t part)
{
    struct outcome o = {0};

    memset(w, 0xa5, sizeof(*w));
    w->start = w->end = w->skip = w->refused = 0;
    while (size && !o.ended) {
        uint32_t room, n;
        uint8_t *at = wire_room(w, &room);

        must(room > 0 && at + room <= w->bytes + sizeof(w->bytes), "no room for more");
        n = part < room ? part : room;
        n = n < size ? n : (uint32_t)size;
        memcpy(at, data, n);
        wire_filled(w, n);
        data += n;
        size -= n;
        look(w, &o);
    }
    o.refused = w->refused;
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_in w;
    struct outcome whole, parts;
    uint32_t part;

    if (size < 1)
        return 0;
    part = 1u + data[0];
    whole = run(&w, data + 1, size - 1, UINT32_MAX);
    parts = run(&w, data + 1, size - 1, part);
    must(whole.frames == parts.frames && whole.bytes == parts.bytes && whole.sum == parts.sum &&
             whole.refused == parts.refused && whole.ended == parts.ended,
         "what came depends on how it was cut");
    return 0;
}
