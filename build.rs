//! With the feature `torch`: compiles the C++ shim and tells binaries where libtorch is at run
//! time. Without it: nothing.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "torch")]
    torch::set_up();
}

#[cfg(feature = "torch")]
mod torch {
    use std::env;
    use std::fs;
    use std::path::PathBuf;

    const SHIM: &str = "src/engine/torch/shim.cpp";

    pub fn set_up() {
        // handed to direct dependents of torch-sys only, which is why it stands in Cargo.toml
        let lib = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from);
        let lib = lib.expect("torch-sys says where libtorch is");
        find_at_run_time(&lib);
        compile_shim(&lib.join("../include"));
    }

    /// An installed binary finds its libraries beside it, one of the build folder where they were
    /// linked. RUNPATH and not RPATH, so that LD_LIBRARY_PATH goes before both.
    fn find_at_run_time(lib: &std::path::Path) {
        // the loader does not follow links when it reads $ORIGIN in the libraries' own paths
        let library = fs::canonicalize(lib.join("libtorch_cpu.so"));
        let library = library.expect("libtorch_cpu.so is there: see setup/libtorch.sh");
        let folder = library.parent().expect("a file lies in a folder");
        println!("cargo::rustc-link-arg=-Wl,--enable-new-dtags");
        println!("cargo::rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/atrous");
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }

    fn compile_shim(include: &std::path::Path) {
        println!("cargo::rerun-if-changed={SHIM}");
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .warnings(false)
            .include(include)
            .define("_GLIBCXX_USE_CXX11_ABI", "1")
            .file(SHIM)
            .compile("atrous_torch_shim");
    }
}
