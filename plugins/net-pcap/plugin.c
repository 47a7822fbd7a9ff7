/* SPDX-License-Identifier: MIT
 *
 * net-pcap/plugin.c - what net-pcap offers: network links that are recorded, recordings that are a
 * network, and an interface of the host as a network.
 */
#include "net_pcap.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): `model` is the beginning of names of tables */
#define MODEL(model, text)                                                                         \
    static const struct bp_model model##_model = {                                                 \
        .size = sizeof(struct bp_model),                                                           \
        .kind = BP_KIND_NET,                                                                       \
        .id = #model,                                                                              \
        .summary = text,                                                                           \
        .props = model##_props,                                                                    \
        .prop_stride = sizeof(struct bp_prop),                                                     \
        .config_size = sizeof(struct model##_config),                                              \
        .instance = &model##_ops,                                                                  \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

static const char *const formats[] = {"auto", "pcapng", "pcap", NULL};
static const char *const times[] = {"host", "guest", NULL};
static const char *const checksums[] = {"keep", "fill", NULL};

static const struct bp_prop capture_props[] = {
    {.name = "net",
     .help = "the network behind, which a NIC would name if nothing were recorded",
     .needs = BP_NET_ID,
     .type = BP_PROP_REF,
     .flags = BP_PROP_REQUIRED,
     BP_PROP_AT(struct capture_config, net)},
    {.name = "file",
     .help = "file or named pipe that gets the frames; -: standard output, unless a terminal",
     .type = BP_PROP_PATH,
     .flags = BP_PROP_REQUIRED | BP_PROP_CREATES,
     BP_PROP_AT(struct capture_config, file)},
    {.name = "format",
     .help = "of the file; auto: pcap if its name ends with .pcap or .cap, otherwise pcapng",
     .initial = "auto",
     .choices = formats,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct capture_config, format)},
    {.name = "filter",
     .help = "records only what matches, as in \"tcp port 80\": the language of pcap-filter(7)",
     .type = BP_PROP_STRING,
     BP_PROP_AT(struct capture_config, filter)},
    {.name = "snaplen",
     .help = "bytes of each frame that are recorded",
     .initial = "262144",
     .min = 14,
     .max = FRAME_MAX,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct capture_config, snaplen)},
    {.name = "time",
     .help = "clock of the timestamps: the host's wall clock, or guest time from power-on",
     .initial = "host",
     .choices = times,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct capture_config, time)},
    {.name = "checksums",
     .help = "what the receiver is to fill in: keep records it as it is, fill fills it in",
     .initial = "keep",
     .choices = checksums,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct capture_config, checksums)},
    {.name = "segment",
     .help = "large packets are recorded as the frames that they become, with their checksums",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct capture_config, segment)},
    {.name = "buffer",
     .help = "memory for what is not written yet; frames beyond it pass without being recorded",
     .initial = "4M",
     .min = UINT64_C(64) * 1024,
     .max = UINT64_C(1) << 30,
     .type = BP_PROP_SIZE,
     BP_PROP_AT(struct capture_config, buffer)},
    {.name = "flush",
     .help = "milliseconds until a frame is in the file at the latest",
     .initial = "200",
     .min = 1,
     .max = 60000,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct capture_config, flush)},
    {.name = "rotate-size",
     .help = "begins a new file at this size; files are then numbered, name-00001.pcapng; 0: never",
     .initial = "0",
     .type = BP_PROP_SIZE,
     BP_PROP_AT(struct capture_config, rotate_size)},
    {.name = "rotate-time",
     .help = "begins a new file after so many seconds, with the next frame; 0: never",
     .initial = "0",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct capture_config, rotate_time)},
    {.name = "keep",
     .help = "of the numbered files only so many are kept, the newest; 0: all",
     .initial = "0",
     .max = 9999,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct capture_config, keep)},
    {.name = NULL},
};
MODEL(capture, "records what passes between a NIC and a network, for Wireshark");

static const struct bp_prop replay_props[] = {
    {.name = "file",
     .help = "pcap or pcapng file of Ethernet frames for the guest",
     .type = BP_PROP_PATH,
     .flags = BP_PROP_REQUIRED,
     BP_PROP_AT(struct replay_config, file)},
    {.name = "speed",
     .help = "times as fast as recorded, 0.001 to 1000000; max: as fast as the guest takes it",
     .initial = "1",
     .type = BP_PROP_STRING,
     BP_PROP_AT(struct replay_config, speed)},
    {.name = "loop",
     .help = "starts over at the end of the file",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct replay_config, loop)},
    {.name = "delay",
     .help = "milliseconds of guest time before the first frame",
     .initial = "0",
     .max = 3600000,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct replay_config, delay)},
    {.name = "destination-mac",
     .help = "replaces the destination of every frame that is for one station, as by the guest's",
     .type = BP_PROP_MAC,
     BP_PROP_AT(struct replay_config, destination_mac)},
    {.name = "source-mac",
     .help = "replaces the source of every frame",
     .type = BP_PROP_MAC,
     BP_PROP_AT(struct replay_config, source_mac)},
    {.name = "rewrite-mac",
     .help = "pairs OLD>NEW of Ethernet addresses, in headers and in ARP",
     .type = BP_PROP_STRING,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct replay_config, rewrite_mac)},
    {.name = "rewrite-ip",
     .help = "pairs OLD>NEW of IPv4 addresses, in headers and in ARP, with their checksums",
     .type = BP_PROP_STRING,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct replay_config, rewrite_ip)},
    {.name = NULL},
};
MODEL(replay, "the frames of a pcap or pcapng file, once or again and again");

static const struct bp_prop live_props[] = {
    {.name = "ifname",
     .help = "network interface of the host, Ethernet, that the guest shares",
     .type = BP_PROP_STRING,
     .flags = BP_PROP_REQUIRED,
     BP_PROP_AT(struct live_config, ifname)},
    {.name = "promiscuous",
     .help = "takes frames for other addresses than the interface's own, such as the guest's",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct live_config, promiscuous)},
    {.name = "buffer",
     .help = "the kernel's memory for frames that the guest has not taken yet",
     .initial = "2M",
     .min = UINT64_C(512) * 1024,
     .max = UINT64_C(256) << 20,
     .type = BP_PROP_SIZE,
     BP_PROP_AT(struct live_config, buffer)},
    {.name = NULL},
};
MODEL(live, "an interface of the host: its frames for the guest, and the guest's on its wire");

static const struct bp_model *const models[] = {&capture_model, &replay_model, &live_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "net-pcap",
    .version = "0.1.0",
    .models = models,
};
