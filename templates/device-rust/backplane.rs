//! What this plugin uses of Backplane's ABI 0.0, written down from the headers <backplane/host.h>, instance.h,
//! plugin.h, props.h and state.h, which say what each function does, and on which thread.
//!
//! Functions of host tables are all there; those that this plugin does not call are typed as plain pointers, to be
//! given their types when they are needed.
#![allow(dead_code)]

use core::ffi::{c_char, c_int, c_void};
use core::mem::size_of;

pub const ABI_MINOR: u32 = 0;
pub const SPACE_MMIO: u32 = 0;
pub const KIND_DEVICE: u32 = 2;
pub const LOG_WARN: u32 = 2;
pub const LOG_GUEST: u32 = 0x100;
pub const REG_RW: u32 = 0;
pub const REG_RO: u32 = 1;
pub const PROP_UINT: u32 = 2;
pub const CLAIM_MMIO: u32 = 2;
pub const CLAIM_IRQ: u32 = 3;
pub const ENOMEM: c_int = 12;

/// The host's handles.
#[repr(C)]
pub struct Node {
    opaque: [u8; 0],
}
#[repr(C)]
pub struct Region {
    opaque: [u8; 0],
}

/// struct bp_host
#[repr(C)]
pub struct Host {
    pub size: u32,
    pub abi_minor: u32,
    pub log: extern "C" fn(*mut Node, u32, *const c_char),
    pub fail: extern "C" fn(*mut Node, c_int, *const c_char) -> c_int,
    pub name: *const c_void,
    pub extension: *const c_void,
    pub peer: *const c_void,
    pub link: *const c_void,
    pub request: *const c_void,
    pub region_new: extern "C" fn(*mut Node, u32, u64, *const RegionOps, *mut c_void, *mut *mut Region) -> c_int,
    pub ram_region_new: *const c_void,
    pub region_place: extern "C" fn(*mut Region, u64) -> c_int,
    pub irq_set: extern "C" fn(*mut Node, u32, u32),
    pub msi_send: *const c_void,
    pub dma_read: extern "C" fn(*mut Node, u64, *mut c_void, u64) -> c_int,
    pub dma_write: extern "C" fn(*mut Node, u64, *const c_void, u64) -> c_int,
    pub dma_map: *const c_void,
    pub dma_unmap: *const c_void,
    pub fd_watch: *const c_void,
    pub clock_ns: extern "C" fn(*mut Node) -> u64,
    pub utc_ns: extern "C" fn(*mut Node) -> u64,
    pub timer_set: extern "C" fn(*mut Node, u32, u64) -> c_int,
}
const _: () = assert!(size_of::<Host>() == 8 + 20 * 8);

/// struct bp_register
#[repr(C)]
pub struct Register {
    pub name: *const c_char,
    pub offset: u64,
    pub width: u32,
    pub access: u32,
}

/// struct bp_region_ops
#[repr(C)]
pub struct RegionOps {
    pub size: u32,
    pub min_access: u8,
    pub max_access: u8,
    pub reserved: [u8; 2],
    pub flags: u32,
    pub register_stride: u32,
    pub name: *const c_char,
    pub registers: *const Register,
    pub read: extern "C" fn(*mut c_void, u64, u32) -> u64,
    pub write: extern "C" fn(*mut c_void, u64, u64, u32),
}
const _: () = assert!(size_of::<RegionOps>() == 48);

/// struct bp_field
#[repr(C)]
pub struct Field {
    pub name: *const c_char,
    pub offset: u32,
    pub width: u32,
    pub count: u32,
    pub stride: u32,
    pub since: u32,
    pub reserved: u32,
}
const _: () = assert!(size_of::<Field>() == 32);

/// struct bp_instance_ops; an optional function is None
#[repr(C)]
pub struct InstanceOps {
    pub size: u32,
    pub state_version: u32,
    pub fields: *const Field,
    pub field_stride: u32,
    pub reserved: u32,
    pub create: extern "C" fn(*const Host, *mut Node, *const c_void, *mut *mut c_void) -> c_int,
    pub destroy: extern "C" fn(*mut c_void),
    pub reset: extern "C" fn(*mut c_void, u32),
    pub start: Option<extern "C" fn(*mut c_void) -> c_int>,
    pub stop: Option<extern "C" fn(*mut c_void)>,
    pub timer: Option<extern "C" fn(*mut c_void, u32)>,
    pub save: *const c_void,
    pub load: *const c_void,
    pub after_load: Option<extern "C" fn(*mut c_void) -> c_int>,
    pub extension: Option<extern "C" fn(*mut c_void, *const c_char) -> *const c_void>,
}
const _: () = assert!(size_of::<InstanceOps>() == 24 + 10 * 8);

/// struct bp_prop
#[repr(C)]
pub struct Prop {
    pub name: *const c_char,
    pub help: *const c_char,
    pub initial: *const c_char,
    pub choices: *const *const c_char,
    pub needs: *const c_char,
    pub min: u64,
    pub max: u64,
    pub claim_length: u64,
    pub claim: u32,
    pub kind: u32, // `type` in C
    pub flags: u32,
    pub offset: u32,
    pub width: u32,
    pub reserved: u32,
}
const _: () = assert!(size_of::<Prop>() == 88);

/// struct bp_model
#[repr(C)]
pub struct Model {
    pub size: u32,
    pub kind: u32,
    pub id: *const c_char,
    pub summary: *const c_char,
    pub props: *const Prop,
    pub prop_stride: u32,
    pub config_size: u32,
    pub flags: u32,
    pub reserved: u32,
    pub instance: *const InstanceOps,
    pub cpu: *const c_void,
    pub regions: *const *const RegionOps,
}
const _: () = assert!(size_of::<Model>() == 72);

/// struct bp_plugin
#[repr(C)]
pub struct Plugin {
    pub size: u32,
    pub abi_minor: u32,
    pub needs_minor: u32,
    pub reserved: u32,
    pub name: *const c_char,
    pub version: *const c_char,
    pub models: *const *const Model,
}
const _: () = assert!(size_of::<Plugin>() == 40);

// Tables are constant data; what they point to is, too.
unsafe impl Sync for Plugin {}
