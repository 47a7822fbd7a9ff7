// @NAME@ - a ticker: counts periods of guest time, stores the count in the guest's memory, and
// interrupts.
//
// One page with 32-bit registers:
//
//     0x00 ID      RO    "TICK"
//     0x04 PERIOD  RW    microseconds from tick to tick; 0 counts as 1
//     0x08 CONTROL RW    bit 0: the ticker runs
//     0x0c STATUS  RW1C  bit 0: it ticked, bit 1: TARGET is no memory; the interrupt is up while not 0
//     0x10 TARGET  RW    guest-physical address of 4 bytes that each tick stores TICKS to
//     0x14 TICKS   RO
//
// No exception may leave a function that Backplane calls.
#include <backplane/plugin.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>

namespace {

enum : std::uint64_t { ID = 0x00, PERIOD = 0x04, CONTROL = 0x08, STATUS = 0x0c, TARGET = 0x10, TICKS = 0x14, PAGE = 0x1000 };

constexpr std::uint32_t RUN = 1, TICKED = 1, DMA_ERROR = 2, TIMER = 0;

// What the machine file says; `props` below names the members.
struct Config {
    std::uint64_t base;
    std::uint8_t irq;
};

// A plain struct: a snapshot finds its members by their offsets.
struct Ticker {
    const bp_host *host; // every call into Backplane goes through this table
    bp_node *node;       // and begins with this
    const Config *config;
    std::uint32_t period, control, status, target, ticks;
    std::uint64_t next_ns; // guest time of the next tick

    void update_irq() const { host->irq_set(node, config->irq, status != 0); }
    void arm() const { host->timer_set(node, TIMER, control & RUN ? next_ns : UINT64_MAX); }
    void begin_period();
    void tick();
    std::uint64_t read(std::uint64_t offset) const;
    void write(std::uint64_t offset, std::uint32_t value);
    void reset();
};

// A period from now on.
void Ticker::begin_period()
{
    next_ns = host->clock_ns(node) + UINT64_C(1000) * (period ? period : 1);
    arm();
}

// No two functions of the device run at once: what is written here needs no lock.
void Ticker::tick()
{
    std::uint8_t bytes[4];

    status |= TICKED;
    bp_put_le32(bytes, ++ticks);
    // The guest chose the address; the host refuses what is not RAM.
    if (host->dma_write(node, target, bytes, sizeof(bytes)))
        status |= DMA_ERROR;
    update_irq();
    begin_period();
}

// The bus splits and widens, so that only whole registers arrive here.
std::uint64_t Ticker::read(std::uint64_t offset) const
{
    switch (offset) {
    case ID: return 0x4b434954;
    case PERIOD: return period;
    case CONTROL: return control;
    case STATUS: return status;
    case TARGET: return target;
    case TICKS: return ticks;
    default: return 0;
    }
}

void Ticker::write(std::uint64_t offset, std::uint32_t value)
{
    switch (offset) {
    case PERIOD:
        period = value;
        break;
    case CONTROL:
        control = value & RUN;
        begin_period();
        break;
    case STATUS:
        status &= ~value;
        update_irq();
        break;
    case TARGET:
        target = value;
        break;
    default:
        bp_logf(host, node, BP_LOG_WARN | BP_LOG_GUEST, "no register at 0x%x can be written", static_cast<unsigned>(offset));
    }
}

void Ticker::reset()
{
    period = control = status = target = ticks = 0;
    next_ns = 0;
    arm();
    update_irq();
}

Ticker *self_of(void *self) { return static_cast<Ticker *>(self); }

std::uint64_t region_read(void *self, std::uint64_t offset, std::uint32_t) { return self_of(self)->read(offset); }

void region_write(void *self, std::uint64_t offset, std::uint64_t value, std::uint32_t)
{
    self_of(self)->write(offset, static_cast<std::uint32_t>(value));
}

const bp_register registers[] = {
    {"ID", ID, 4, BP_REG_RO},         {"PERIOD", PERIOD, 4, BP_REG_RW}, {"CONTROL", CONTROL, 4, BP_REG_RW},
    {"STATUS", STATUS, 4, BP_REG_RW}, {"TICKS", TICKS, 4, BP_REG_RO},   {"TARGET", TARGET, 4, BP_REG_RW | BP_REG_ADDRESS},
    {nullptr, 0, 0, 0},
};

constexpr bp_region_ops make_region_ops()
{
    bp_region_ops o{};
    o.size = sizeof(o);
    o.min_access = o.max_access = 4;
    o.register_stride = sizeof(bp_register);
    o.name = "registers";
    o.registers = registers;
    o.read = region_read;
    o.write = region_write;
    return o;
}

constexpr bp_region_ops region_ops = make_region_ops();

int create(const bp_host *host, bp_node *node, const void *config, void **self)
{
    auto *t = new (std::nothrow) Ticker{};
    bp_region *region = nullptr;

    if (!t)
        return host->fail(node, -ENOMEM, "no memory for a ticker");
    t->host = host;
    t->node = node;
    t->config = static_cast<const Config *>(config);
    int err = host->region_new(node, BP_SPACE_MMIO, PAGE, &region_ops, t, &region);
    if (!err)
        err = host->region_place(region, t->config->base);
    if (err) {
        delete t;
        return host->fail(node, err, "the page of registers cannot be had; choose another `base`");
    }
    *self = t;
    return 0;
}

void destroy(void *self) { delete self_of(self); }
void reset(void *self, std::uint32_t) { self_of(self)->reset(); } // nothing survives a reset
void timer(void *self, std::uint32_t) { self_of(self)->tick(); }

// What follows from the fields.
int after_load(void *self)
{
    self_of(self)->arm();
    self_of(self)->update_irq();
    return 0;
}

// What a snapshot holds.
const bp_field fields[] = {
    BP_FIELD(Ticker, period, 1), BP_FIELD(Ticker, control, 1), BP_FIELD(Ticker, status, 1),
    BP_FIELD(Ticker, target, 1), BP_FIELD(Ticker, ticks, 1),   BP_FIELD(Ticker, next_ns, 1),
    {nullptr, 0, 0, 0, 0, 0, 0},
};

constexpr bp_instance_ops make_instance()
{
    bp_instance_ops o{};
    o.size = sizeof(o);
    o.state_version = 1;
    o.fields = fields;
    o.field_stride = sizeof(bp_field);
    o.create = create;
    o.destroy = destroy;
    o.reset = reset;
    o.timer = timer;
    o.after_load = after_load;
    return o;
}

constexpr bp_instance_ops instance = make_instance();

// The keys of a machine file.
constexpr bp_prop make_base()
{
    bp_prop p{};
    p.name = "base";
    p.help = "guest-physical address of the page of registers";
    p.initial = "0xfe000000";
    p.type = BP_PROP_UINT;
    p.claim = BP_CLAIM_MMIO;
    p.claim_length = PAGE;
    p.offset = offsetof(Config, base);
    p.width = sizeof(Config::base);
    return p;
}

constexpr bp_prop make_irq()
{
    bp_prop p{};
    p.name = "irq";
    p.help = "interrupt line";
    p.initial = "5";
    p.type = BP_PROP_UINT;
    p.max = 23;
    p.claim = BP_CLAIM_IRQ;
    p.claim_length = 1;
    p.offset = offsetof(Config, irq);
    p.width = sizeof(Config::irq);
    return p;
}

constexpr bp_prop props[] = {make_base(), make_irq(), {}};

const bp_region_ops *const regions[] = {&region_ops, nullptr};

constexpr bp_model make_model()
{
    bp_model m{};
    m.size = sizeof(m);
    m.kind = BP_KIND_DEVICE;
    m.id = "@ID@";
    m.summary = "@SUMMARY@";
    m.props = props;
    m.prop_stride = sizeof(bp_prop);
    m.config_size = sizeof(Config);
    m.instance = &instance;
    m.regions = regions;
    return m;
}

constexpr bp_model model = make_model();
const bp_model *const models[] = {&model, nullptr};

} // namespace

// The one symbol that Backplane looks for.
const bp_plugin bp_plugin_v0 = {sizeof(bp_plugin), BP_ABI_MINOR, 0, 0, "@NAME@", "1.0", models};
