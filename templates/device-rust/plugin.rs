//! @NAME@ - a ticker: counts periods of guest time, stores the count in the guest's memory, and interrupts.
//!
//! One page with 32-bit registers:
//!
//!     0x00 ID      RO    "TICK"
//!     0x04 PERIOD  RW    microseconds from tick to tick; 0 counts as 1
//!     0x08 CONTROL RW    bit 0: the ticker runs
//!     0x0c STATUS  RW1C  bit 0: it ticked, bit 1: TARGET is no memory; the interrupt is up while not 0
//!     0x10 TARGET  RW    guest-physical address of 4 bytes that each tick stores TICKS to
//!     0x14 TICKS   RO
//!
//! A panic ends the program: it may not leave a function that Backplane calls. Needs rustc 1.77, for c"text" and
//! offset_of!().

mod backplane;

use backplane::*;
use core::ffi::{c_int, c_void, CStr};
use core::mem::{offset_of, size_of};
use core::ptr::{null, null_mut};

const ID: u64 = 0x00;
const PERIOD: u64 = 0x04;
const CONTROL: u64 = 0x08;
const STATUS: u64 = 0x0c;
const TARGET: u64 = 0x10;
const TICKS: u64 = 0x14;
const PAGE: u64 = 0x1000;
const RUN: u32 = 1;
const TICKED: u32 = 1;
const DMA_ERROR: u32 = 2;
const TIMER: u32 = 0;

/// What the machine file says; `PROPS` below names the members.
#[repr(C)]
struct Config {
    base: u64,
    irq: u8,
}

/// A snapshot finds the members by their offsets.
#[repr(C)]
struct Ticker {
    host: *const Host,
    node: *mut Node,
    config: *const Config,
    period: u32,
    control: u32,
    status: u32,
    target: u32,
    ticks: u32,
    next_ns: u64, // guest time of the next tick
}

impl Ticker {
    /// Every call into Backplane goes through this table, which lives as long as the instance.
    fn host(&self) -> &Host {
        unsafe { &*self.host }
    }

    fn config(&self) -> &Config {
        unsafe { &*self.config }
    }

    fn update_irq(&self) {
        (self.host().irq_set)(self.node, u32::from(self.config().irq), u32::from(self.status != 0));
    }

    fn arm(&self) {
        let when = if self.control & RUN != 0 { self.next_ns } else { u64::MAX };
        (self.host().timer_set)(self.node, TIMER, when);
    }

    /// A period from now on.
    fn begin_period(&mut self) {
        self.next_ns = (self.host().clock_ns)(self.node) + 1000 * u64::from(self.period.max(1));
        self.arm();
    }

    fn tick(&mut self) {
        self.status |= TICKED;
        self.ticks = self.ticks.wrapping_add(1);
        let bytes = self.ticks.to_le_bytes();
        // The guest chose the address; the host refuses what is not RAM.
        if (self.host().dma_write)(self.node, u64::from(self.target), bytes.as_ptr().cast(), 4) != 0 {
            self.status |= DMA_ERROR;
        }
        self.update_irq();
        self.begin_period();
    }

    fn read(&self, offset: u64) -> u32 {
        match offset {
            ID => 0x4b43_4954,
            PERIOD => self.period,
            CONTROL => self.control,
            STATUS => self.status,
            TARGET => self.target,
            TICKS => self.ticks,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u64, value: u32) {
        match offset {
            PERIOD => self.period = value,
            CONTROL => {
                self.control = value & RUN;
                self.begin_period();
            }
            STATUS => {
                self.status &= !value;
                self.update_irq();
            }
            TARGET => self.target = value,
            _ => (self.host().log)(self.node, LOG_WARN | LOG_GUEST, c"no register there can be written".as_ptr()),
        }
    }

    fn reset(&mut self) {
        self.period = 0;
        self.control = 0;
        self.status = 0;
        self.target = 0;
        self.ticks = 0;
        self.next_ns = 0;
        self.arm();
        self.update_irq();
    }
}

/// No two functions of the device run at once, so that there is one reference at a time.
fn ticker<'a>(this: *mut c_void) -> &'a mut Ticker {
    unsafe { &mut *this.cast() }
}

/// The bus splits and widens, so that only whole registers arrive here.
extern "C" fn region_read(this: *mut c_void, offset: u64, _width: u32) -> u64 {
    u64::from(ticker(this).read(offset))
}

extern "C" fn region_write(this: *mut c_void, offset: u64, value: u64, _width: u32) {
    ticker(this).write(offset, value as u32);
}

extern "C" fn create(host: *const Host, node: *mut Node, config: *const c_void, out: *mut *mut c_void) -> c_int {
    let table = unsafe { &*host };
    let t = Box::into_raw(Box::new(Ticker {
        host,
        node,
        config: config.cast(),
        period: 0,
        control: 0,
        status: 0,
        target: 0,
        ticks: 0,
        next_ns: 0,
    }));
    let mut region = null_mut();
    let mut err = (table.region_new)(node, SPACE_MMIO, PAGE, &REGION_OPS.0, t.cast(), &mut region);
    if err == 0 {
        err = (table.region_place)(region, ticker(t.cast()).config().base);
    }
    if err != 0 {
        destroy(t.cast());
        return (table.fail)(node, err, c"the page of registers cannot be had; choose another `base`".as_ptr());
    }
    unsafe { *out = t.cast() };
    0
}

extern "C" fn destroy(this: *mut c_void) {
    drop(unsafe { Box::from_raw(this.cast::<Ticker>()) });
}

/// Nothing survives a reset.
extern "C" fn reset(this: *mut c_void, _kind: u32) {
    ticker(this).reset();
}

extern "C" fn timer(this: *mut c_void, _id: u32) {
    ticker(this).tick();
}

/// What follows from the fields.
extern "C" fn after_load(this: *mut c_void) -> c_int {
    ticker(this).arm();
    ticker(this).update_irq();
    0
}

const fn register(name: &'static CStr, offset: u64, access: u32) -> Register {
    Register { name: name.as_ptr(), offset, width: 4, access }
}

const fn field(name: &'static CStr, offset: usize, width: u32) -> Field {
    Field { name: name.as_ptr(), offset: offset as u32, width, count: 1, stride: width, since: 1, reserved: 0 }
}

const fn number(name: &'static CStr, help: &'static CStr, initial: &'static CStr, offset: usize, width: u32) -> Prop {
    Prop {
        name: name.as_ptr(),
        help: help.as_ptr(),
        initial: initial.as_ptr(),
        choices: null(),
        needs: null(),
        min: 0,
        max: 0,
        claim_length: 0,
        claim: 0,
        kind: PROP_UINT,
        flags: 0,
        offset: offset as u32,
        width,
        reserved: 0,
    }
}

/// Constant data that holds pointers to constant data.
struct Table<T>(T);
unsafe impl<T> Sync for Table<T> {}

static REGISTERS: Table<[Register; 7]> = Table([
    register(c"ID", ID, REG_RO),
    register(c"PERIOD", PERIOD, REG_RW),
    register(c"CONTROL", CONTROL, REG_RW),
    register(c"STATUS", STATUS, REG_RW),
    register(c"TARGET", TARGET, REG_RW),
    register(c"TICKS", TICKS, REG_RO),
    Register { name: null(), offset: 0, width: 0, access: 0 },
]);

static REGION_OPS: Table<RegionOps> = Table(RegionOps {
    size: size_of::<RegionOps>() as u32,
    min_access: 4,
    max_access: 4,
    reserved: [0; 2],
    flags: 0,
    register_stride: size_of::<Register>() as u32,
    name: c"registers".as_ptr(),
    registers: REGISTERS.0.as_ptr(),
    read: region_read,
    write: region_write,
});

/// What a snapshot holds.
static FIELDS: Table<[Field; 7]> = Table([
    field(c"period", offset_of!(Ticker, period), 4),
    field(c"control", offset_of!(Ticker, control), 4),
    field(c"status", offset_of!(Ticker, status), 4),
    field(c"target", offset_of!(Ticker, target), 4),
    field(c"ticks", offset_of!(Ticker, ticks), 4),
    field(c"next_ns", offset_of!(Ticker, next_ns), 8),
    Field { name: null(), offset: 0, width: 0, count: 0, stride: 0, since: 0, reserved: 0 },
]);

static INSTANCE: Table<InstanceOps> = Table(InstanceOps {
    size: size_of::<InstanceOps>() as u32,
    state_version: 1,
    fields: FIELDS.0.as_ptr(),
    field_stride: size_of::<Field>() as u32,
    reserved: 0,
    create,
    destroy,
    reset,
    start: None,
    stop: None,
    timer: Some(timer),
    save: null(),
    load: null(),
    after_load: Some(after_load),
    extension: None,
});

/// The keys of a machine file.
static PROPS: Table<[Prop; 3]> = Table([
    Prop {
        claim: CLAIM_MMIO,
        claim_length: PAGE,
        ..number(c"base", c"guest-physical address of the page of registers", c"0xfe000000", offset_of!(Config, base), 8)
    },
    Prop {
        claim: CLAIM_IRQ,
        claim_length: 1,
        max: 23,
        ..number(c"irq", c"interrupt line", c"5", offset_of!(Config, irq), 1)
    },
    Prop { name: null(), ..number(c"", c"", c"", 0, 0) },
]);

static MODEL: Table<Model> = Table(Model {
    size: size_of::<Model>() as u32,
    kind: KIND_DEVICE,
    id: c"@ID@".as_ptr(),
    summary: c"@SUMMARY@".as_ptr(),
    props: PROPS.0.as_ptr(),
    prop_stride: size_of::<Prop>() as u32,
    config_size: size_of::<Config>() as u32,
    flags: 0,
    reserved: 0,
    instance: &INSTANCE.0,
    cpu: null(),
    regions: REGIONS.0.as_ptr(),
});

/// What `backplane plugins show` tells of the registers.
static REGIONS: Table<[*const RegionOps; 2]> = Table([&REGION_OPS.0, null()]);

static MODELS: Table<[*const Model; 2]> = Table([&MODEL.0, null()]);

/// The one symbol that Backplane looks for.
#[no_mangle]
#[allow(non_upper_case_globals)]
pub static bp_plugin_v0: Plugin = Plugin {
    size: size_of::<Plugin>() as u32,
    abi_minor: ABI_MINOR,
    needs_minor: 0,
    reserved: 0,
    name: c"@NAME@".as_ptr(),
    version: c"1.0".as_ptr(),
    models: MODELS.0.as_ptr(),
};
