//! The binary `narthex`. Everything is in the library beside it, so that the reference pages can be made from it.

use std::process::ExitCode;

/// Returns memory to the system soonest after a load, and is the fastest under it; its options stand in
/// `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    narthex_cli::main()
}
